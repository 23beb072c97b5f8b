//! Language models against the transformers library: the same tokens, the same chances, the same prompts; and what it has no word on,
//! which is tools, grammars, stop strings and what is kept between requests.

use std::collections::HashMap;
use std::fs;

use millwork_local::{Local, LocalModel, Roots, prompt};
use millwork_worker::CancelToken;
use millwork_worker::prelude::*;
use millwork_worker::testing::{Called, ProviderTest};
use serde_json::{Value as Json, json};

/// Each layout that exporters publish, and each style.
const MODELS: [&str; 5] = ["tiny-gpt2", "tiny-gpt2-split", "tiny-llama", "tiny-llama-merged", "tiny-qwen"];

/// The models of which the zoo has weights and references.
fn there() -> Vec<(&'static str, Json)> {
    let read = |name: &'static str| {
        let path = super::models().join(format!("references/{name}.json"));
        let text = fs::read_to_string(&path).ok();
        if text.is_none() {
            eprintln!("skipped: there is no {}", path.display());
        }
        Some((name, serde_json::from_str(&text?).unwrap()))
    };
    MODELS.into_iter().filter_map(read).collect()
}

fn provider() -> ProviderTest<Local> {
    ProviderTest::new(Local::new(Roots::only(&[super::models().join("zoo")])))
}

/// A request in the words of JSON.
fn request(model: &str, fields: Json) -> Map {
    let mut data = Value::from(fields).into_map().unwrap();
    data.insert("model".into(), model.into());
    data
}

fn answer(provider: &ProviderTest<Local>, model: &str, fields: Json) -> Json {
    let Called { result, .. } = provider.call("generate", request(model, fields));
    Value::Map(result.unwrap()).to_json()
}

fn ids(json: &Json) -> Vec<u64> {
    json.as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect()
}

fn greedy(one: &Json) -> Json {
    json!({
        "messages": one["messages"], "tools": one["tools"], "max_tokens": 64, "temperature": 0,
        "repetition_penalty": 1, "return_token_ids": true,
    })
}

/// `fields` with more.
fn with(mut fields: Json, more: Json) -> Json {
    fields.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    fields
}

#[test]
fn greedy_tokens_are_those_of_transformers() {
    for (model, reference) in there() {
        let provider = provider();
        let ways = [
            json!({"use_cache": false, "cache_prompt": false}),
            json!({"cache_prompt": false}),
            json!({}),
            // Now all of each prompt but its last token has been read.
            json!({}),
        ];
        for (number, way) in ways.into_iter().enumerate() {
            for one in reference["greedy"].as_array().unwrap() {
                let told = answer(&provider, model, with(greedy(one), way.clone()));
                assert_eq!(ids(&told["prompt_token_ids"]), ids(&one["prompt_ids"]), "{model}: {}", one["prompt"]);
                assert_eq!(ids(&told["token_ids"]), ids(&one["ids"]), "{model} {way}: {}", one["prompt"]);
                let usage = &told["usage"];
                assert_eq!(usage["total_tokens"], ids(&one["prompt_ids"]).len() + ids(&one["ids"]).len());
                let calls = told["message"]["tool_calls"].as_array().map_or(0, Vec::len);
                if calls == 0 {
                    assert_eq!(told["message"]["content"], one["text"], "{model}");
                }
                let is_cached = usage["cached_tokens"].as_u64().unwrap() > 0;
                assert!(number >= 2 || !is_cached, "{model} {way}");
            }
        }
    }
}

#[test]
fn prompts_are_those_of_transformers() {
    for (model, reference) in there() {
        let folder = super::models().join("zoo").join(model);
        for one in reference["greedy"].as_array().unwrap() {
            let list = |json: &Json| Value::from(json.clone()).as_list().map(<[Value]>::to_vec).unwrap_or_default();
            let text = prompt(&folder, &list(&one["messages"]), &list(&one["tools"])).unwrap();
            assert_eq!(text, one["prompt"].as_str().unwrap(), "{model}");
        }
    }
}

#[test]
fn first_tokens_are_drawn_with_the_chances_of_transformers() {
    const DRAWS: u32 = 10_000;
    // The other layouts hold the same weights.
    let styles = ["tiny-gpt2", "tiny-llama", "tiny-qwen"];
    for (model, reference) in there().into_iter().filter(|(model, _)| styles.contains(model)) {
        let provider = provider();
        for one in reference["first_token"].as_array().unwrap().iter().take(3) {
            let fields = json!({
                "messages": one["messages"], "tools": one["tools"], "max_tokens": 1, "return_token_ids": true,
            });
            let fields = with(with(fields, one["settings"].clone()), json!({"min_p": 0}));
            let mut drawn: HashMap<u64, u32> = HashMap::new();
            for seed in 0..DRAWS {
                let told = answer(&provider, model, with(fields.clone(), json!({ "seed": seed })));
                *drawn.entry(ids(&told["token_ids"])[0]).or_default() += 1;
            }
            let expected: HashMap<u64, f64> = one["probabilities"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(id, p)| (id.parse().unwrap(), p.as_f64().unwrap()))
                .collect();
            for id in expected.keys().chain(drawn.keys()) {
                let share = f64::from(*drawn.get(id).unwrap_or(&0)) / f64::from(DRAWS);
                let chance = expected.get(id).copied().unwrap_or(0.0);
                assert!((share - chance).abs() < 0.02, "{model} {}: token {id}, {share} of {chance}", one["settings"]);
            }
        }
    }
}

#[test]
fn a_second_turn_reads_only_what_is_new() {
    for (model, _) in there() {
        let provider = provider();
        let ask = |messages: Json, more: Json| {
            let fields = json!({"messages": messages, "max_tokens": 24, "temperature": 0, "return_token_ids": true});
            answer(&provider, model, with(fields, more))
        };
        let mut messages = vec![json!({"role": "user", "content": "Tell me a story."})];
        let first = ask(json!(messages), json!({}));
        assert_eq!(first["usage"]["cached_tokens"], 0, "{model}");
        messages.push(json!({"role": "assistant", "content": first["message"]["content"]}));
        messages.push(json!({"role": "user", "content": "And then?"}));
        let second = ask(json!(messages), json!({}));
        let cached = second["usage"]["cached_tokens"].as_u64().unwrap();
        let read = first["usage"]["prompt_tokens"].as_u64().unwrap();
        // Where the prompt ends, an answer may grow together with its last letters.
        assert!(cached + 3 >= read, "{model}: {cached} of {read}");
        let fresh = ask(json!(messages), json!({"cache_prompt": false}));
        assert_eq!(second["token_ids"], fresh["token_ids"], "{model}");
        let usage = provider.context().models().usage();
        let kept = usage.entries.iter().filter(|entry| entry.name.contains("a conversation of")).count();
        // Unless the answer was cut into other tokens there, the second turn begins with all of the first.
        let most = if cached * 10 >= first["usage"]["total_tokens"].as_u64().unwrap() * 9 { 1 } else { 2 };
        assert_eq!(kept, most, "the second turn takes the place of the first: {usage:?}");
    }
}

#[test]
fn streams_say_the_same_in_pieces_and_end_when_they_are_cancelled() {
    let Some((model, reference)) = there().into_iter().next() else { return };
    let provider = provider();
    let one = &reference["greedy"][0];
    let Called { result, chunks, .. } = provider.call("stream", request(model, greedy(one)));
    let result = Value::Map(result.unwrap()).to_json();
    assert_eq!((&result["done"], &result["finish_reason"]), (&json!(true), &json!("length")));
    let text: String = chunks.iter().map(|chunk| chunk["content"].as_str().unwrap().to_owned()).collect();
    assert_eq!(text, one["text"].as_str().unwrap());
    assert!(chunks.len() > 10);
    assert!(chunks.iter().rev().skip(1).all(|chunk| chunk["done"] == Value::Bool(false)));
    assert_eq!(chunks.last().unwrap()["done"], Value::Bool(true));

    let token = CancelToken::default();
    let cancelled = self::provider().cancel(&token);
    let mut seen = 0;
    let Called { result, .. } = cancelled.call_with("stream", request(model, greedy(one)), |_| {
        seen += 1;
        if seen == 3 {
            token.cancel();
        }
    });
    assert_eq!(*result.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(seen, 3);
}

#[test]
fn stop_strings_end_answers() {
    let Some((model, reference)) = there().into_iter().next() else { return };
    let one = &reference["greedy"][0];
    let text = one["text"].as_str().unwrap();
    let stop: String = text.chars().skip(20).take(3).collect();
    let told = answer(&provider(), model, with(greedy(one), json!({ "stop": ["never", stop] })));
    assert_eq!(told["message"]["content"], text[..text.find(&stop).unwrap()]);
    assert_eq!(told["finish_reason"], "stop");
}

#[test]
fn tools_are_called() {
    for (model, reference) in there() {
        let provider = provider();
        for one in reference["greedy"].as_array().unwrap() {
            let text = one["text"].as_str().unwrap();
            // What was cut short or came out odd is no call.
            let is_call = text.contains("<tool_call>") || serde_json::from_str::<Json>(text).is_ok();
            if one["tools"].is_null() || !text.contains("\"name\"") || !is_call {
                continue;
            }
            let told = answer(&provider, model, greedy(one));
            assert!(told["message"]["tool_calls"].is_array(), "{model}: {text:?} {told}");
            let call = &told["message"]["tool_calls"][0];
            assert!(text.contains(call["name"].as_str().unwrap()), "{model}: {told}");
            assert!(call["args"].is_object() && call["id"].as_str().unwrap().len() == 9, "{model}: {told}");
            assert_eq!(told["finish_reason"], "tool_calls");
            let Called { result, chunks, .. } = provider.call("stream", request(model, greedy(one)));
            assert_eq!(result.unwrap()["finish_reason"], Value::from("tool_calls"));
            assert!(chunks.iter().any(|chunk| chunk["type"] == Value::from("tool_call")), "{model}: {chunks:?}");
            assert!(
                !chunks
                    .iter()
                    .any(|chunk| chunk.get("content").is_some_and(|text| text.to_json().to_string().contains('{')))
            );
        }
    }
}

#[test]
fn answers_follow_a_schema() {
    let schema = json!({
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 12}, "legs": {"enum": [2, 4, 8]}},
        "required": ["name", "legs"], "additionalProperties": false,
    });
    for (model, _) in there() {
        let provider = provider();
        for seed in 0..5 {
            let ask = |format: Json| {
                let messages = json!([{"role": "user", "content": "Write a robot as JSON. 🙂"}]);
                let fields = json!({"messages": messages, "response_format": format, "seed": seed, "temperature": 1.5, "max_tokens": 400});
                answer(&provider, model, fields)
            };
            let told = ask(json!({"type": "json_schema", "json_schema": {"name": "animal", "schema": schema}}));
            let made: Json = serde_json::from_str(told["message"]["content"].as_str().unwrap()).unwrap();
            assert!(made["name"].is_string() && [2, 4, 8].contains(&made["legs"].as_i64().unwrap()), "{model}: {made}");
            assert_eq!(told["finish_reason"], "stop");
            let told = ask(json!({"type": "json_object"}));
            if told["finish_reason"] == "stop" {
                let made: Json = serde_json::from_str(told["message"]["content"].as_str().unwrap()).unwrap();
                assert!(made.is_object(), "{model}: {made}");
            }
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let Some((model, _)) = there().into_iter().next() else { return };
    let provider = provider();
    let said = |fields: Json| {
        let fields = with(json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}), fields);
        provider.call("generate", request(model, fields)).result.unwrap_err().to_string()
    };
    for (fields, expected) in [
        (json!({"temperature": "hot"}), "`temperature` must be a number from 0 on, got \"hot\""),
        (json!({"top_p": 2}), "`top_p` must be a number from 0 to 1"),
        (json!({"top_k": -1}), "`top_k` must be a whole number from 0 on"),
        (json!({"max_tokens": 0}), "`max_tokens` must be a whole number from 1 on"),
        (json!({"stop": [1]}), "`stop` must be a text or a list"),
        (json!({"messages": []}), "`messages` must be a list of at least one"),
        (json!({"response_format": {"type": "xml"}}), "`response_format` must have the `type`"),
        (json!({"response_format": {"type": "json_schema"}}), "needs a `schema`"),
        (
            json!({"response_format": {"type": "json_schema", "schema": {"type": "elephant"}}}),
            "the schema of `response_format` cannot be used",
        ),
        (json!({"tools": [{"name": "add"}]}), "does not mention them"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image", "image": {}}]}]}),
            "this model reads only text",
        ),
    ] {
        let error = said(fields);
        assert!(error.contains(expected), "{error}");
    }
    let long = "word ".repeat(600);
    let error = said(json!({"messages": [{"role": "user", "content": long}]}));
    assert!(error.contains("tokens, and the model reads at most 512"), "{error}");
    let error = provider.call("generate", request("nobody", json!({}))).result.unwrap_err().to_string();
    assert!(error.contains("there is no language model \"nobody\"; there are: "), "{error}");
}

#[test]
fn answers_end_where_the_context_does() {
    if !there().iter().any(|(model, _)| *model == "tiny-gpt2") {
        return;
    }
    let long = "the baker sells bread ".repeat(50);
    let fields =
        json!({"messages": [{"role": "user", "content": long}], "max_tokens": 1000, "temperature": 1, "top_k": 0});
    let provider = provider();
    for seed in 0..8 {
        let told = answer(&provider, "tiny-gpt2", with(fields.clone(), json!({ "seed": seed })));
        let total = told["usage"]["total_tokens"].as_u64().unwrap();
        assert!(total <= 512 && (told["finish_reason"] == "stop" || total == 512), "{told}");
    }
}

#[test]
fn models_are_found_and_broken_ones_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("bare/config.json", r#"{"architectures": ["LlamaForCausalLM"]}"#);
    write("words/config.json", r#"{"architectures": ["GPT2LMHeadModel"]}"#);
    write("words/tokenizer.json", "{}");
    write("fetched/config.json", r#"{"architectures": ["Qwen3ForCausalLM"]}"#);
    write("fetched/tokenizer.json", "{}");
    write("fetched/onnx/decoder_model_merged.onnx", "version https://git-lfs.github.com/spec/v1\noid");
    let found = Roots::only(&[folder.path().to_owned()]).scan();
    let problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    assert!(found.models.is_empty());
    assert!(problems[0].contains("bare: has no tokenizer.json"), "{problems:?}");
    assert!(problems[1].contains("decoder_model_merged.onnx: is a pointer of Git LFS"), "{problems:?}");
    assert!(
        problems[2].contains("words: has no model.onnx or decoder_model_merged.onnx or decoder_model.onnx"),
        "{problems:?}"
    );
    let zoo = Roots::only(&[super::models().join("zoo")]).scan().models;
    for (model, _) in there() {
        assert!(zoo.iter().any(|found: &LocalModel| found.id == model && found.kind == millwork_local::Kind::Language));
    }
}
