//! PRV: named sources of model calls. Only the provider `test` is asked for more than its models: others may cost money.

use millwork_protocol::{Bytes, Map, Value, map};

use super::common::{error_names, found, json, list_in, map_in, noise, nothing_more, payload, same_bytes};
use crate::check::{Check, Outcome, ensure, fail, not_applicable};
use crate::message::Message;
use crate::worker::{Worker, whole};

/// What a provider can be asked for, and a request for each.
const CAPABILITIES: [&str; 12] = [
    "generate",
    "stream",
    "text_to_image",
    "image_to_image",
    "text_to_video",
    "image_to_video",
    "reference_to_video",
    "text_to_audio",
    "tts",
    "tts_encoded",
    "asr",
    "embedding",
];

pub(super) const CHECKS: &[Check] = &[
    Check::new("PRV-001", |w| {
        for provider in list(w)? {
            for key in ["id", "display_name", "access"] {
                let text = provider.get(key).and_then(Value::as_str).unwrap_or_default();
                ensure!(!text.is_empty(), "a provider without the text `{key}`: {}", json(&provider));
            }
            for key in ["capabilities", "required_secrets"] {
                let texts = provider.get(key).and_then(Value::as_list);
                let all = texts.is_some_and(|texts| texts.iter().all(|text| text.as_str().is_some()));
                ensure!(all, "`{key}` of a provider is no list of texts: {}", json(&provider));
            }
        }
        Ok(())
    }),
    Check::new("PRV-002", |w| {
        for provider in some(w)? {
            let access = provider.get("access").and_then(Value::as_str);
            ensure!(access == Some("in_process"), "the `access` of a provider is {}", found(provider.get("access")));
        }
        Ok(())
    }),
    Check::new("PRV-003", |w| {
        let listed = list(w)?.len();
        let status = w.call("worker.status", map! {})?;
        let count = whole(&status.data, "provider_count");
        ensure!(
            count == i64::try_from(listed).ok(),
            "`provider_count` is {}, and {listed} providers are listed",
            found(status.data.get("provider_count"))
        );
        Ok(())
    }),
    Check::new("PRV-004", |w| {
        let mut ids: Vec<String> = some(w)?.iter().filter_map(|p| Some(p.get("id")?.as_str()?.to_owned())).collect();
        ids.sort();
        let twice = ids.windows(2).find(|pair| pair[0] == pair[1]);
        match twice {
            Some(twice) => Err(fail(format!("two providers have the id {:?}", twice[0]))),
            None => Ok(()),
        }
    }),
    Check::new("PRV-005", |w| {
        let answer = w.call("provider.dance", map! {})?;
        error_names(&answer, "Unknown provider message type: provider.dance")
    }),
    Check::new("PRV-006", |w| {
        let requests = [
            ("provider.models", map! { "model_type" => "language" }),
            ("provider.generate", map! { "messages" => Value::List(Vec::new()), "model" => "m" }),
            ("provider.text_to_image", map! { "params" => map! { "model" => "m", "prompt" => "p" } }),
            ("provider.embedding", map! { "text" => "a", "model" => "m" }),
        ];
        for (kind, mut data) in requests {
            data.insert("provider".to_owned(), "no-such-provider".into());
            let answer = w.call(kind, data)?;
            error_names(&answer, "no-such-provider")?;
        }
        Ok(())
    }),
    Check::new("PRV-007", |w| {
        for kind in ["provider.models", "provider.generate", "provider.stream", "provider.tts", "provider.asr"] {
            w.call(kind, map! {})?.expect_error()?;
        }
        w.is_well()
    }),
    Check::new("PRV-008", |w| {
        test_provider(w, "models")?;
        for model_type in ["language", "image", "tts", "music", "asr", "video", "embedding", "3d"] {
            let answer = w.call(
                "provider.models",
                map! { "provider" => "test", "model_type" => model_type, "secrets" => map! {} },
            )?;
            answer.expect_kind("result")?;
            for model in list_in(&answer, "models")? {
                let text = |key| model.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
                ensure!(text("id") && text("name"), "a model without the texts `id` and `name`: {}", json(model));
            }
        }
        Ok(())
    }),
    Check::new("PRV-009", |w| {
        test_provider(w, "models")?;
        let answer = w.call("provider.models", map! { "provider" => "test", "model_type" => "no-such-type" })?;
        answer.expect_kind("result")?;
        let models = list_in(&answer, "models")?;
        ensure!(models.is_empty(), "{} models of an unknown type are listed", models.len());
        Ok(())
    }),
    Check::new("PRV-010", |w| {
        for (id, mut message) in [("prv-010/absent", map! {}), ("prv-010/nil", map! { "data" => Value::Nil })] {
            message.extend(map! { "type" => "provider.list", "request_id" => id });
            w.send_payload(payload(message));
            w.terminal(id)?.expect_kind("result")?;
        }
        Ok(())
    }),
    Check::new("PRV-011", |w| {
        let answer = ask(w, "generate")?;
        let message = map_in(&answer, "message")?;
        let role = message.get("role");
        ensure!(role.and_then(Value::as_str) == Some("assistant"), "the `role` of the message is {}", found(role));
        let content = message.get("content");
        let same = content.and_then(Value::as_str) == Some("hello there you");
        ensure!(same, "the content is {}, not the last message's text", found(content));
        Ok(())
    }),
    Check::new("PRV-012", |w| {
        test_provider(w, "stream")?;
        let id = w.send("provider.stream", request("stream"));
        let frames = w.frames(&id)?;
        let chunks = frames.iter().filter(|frame| frame.kind == "chunk");
        let contents = chunks.filter_map(|chunk| chunk.data.get("content")?.as_str());
        let text: String = contents.collect();
        ensure!(text == "hello there you", "the chunks put together are {text:?}");
        is_done(&frames)
    }),
    Check::new("PRV-013", |w| media(w, "text_to_image", "image").map(|_| ())),
    Check::new("PRV-014", |w| {
        let picture = media(w, "image_to_image", "image")?;
        same_bytes(&picture, &noise(500, 14))
    }),
    Check::new("PRV-015", |w| {
        test_provider(w, "tts")?;
        let id = w.send("provider.tts", request("tts"));
        let frames = w.frames(&id)?;
        let mut len = 0;
        for chunk in frames.iter().filter(|frame| frame.kind == "chunk") {
            let samples = chunk.blob("audio")?.len();
            ensure!(samples % 2 == 0, "a chunk of {samples} bytes holds half a sample");
            len += samples;
        }
        ensure!(len > 0, "no sound came");
        is_done(&frames)
    }),
    Check::new("PRV-016", |w| {
        let answer = ask(w, "asr")?;
        let text = answer.get("text")?;
        ensure!(text.as_str().is_some(), "`text` is no text but {}", json(text));
        Ok(())
    }),
    Check::new("PRV-017", |w| {
        let numbers = embeddings(w, Value::List(vec!["hello".into(), "you two".into(), "".into()]))?;
        ensure!(numbers.len() == 3, "{} embeddings came for 3 texts", numbers.len());
        let all = numbers.iter().all(|one| one.as_list().is_some_and(|one| one.iter().all(|n| n.as_f64().is_some())));
        ensure!(all, "an embedding is no list of numbers");
        Ok(())
    }),
    Check::new("PRV-018", |w| any_of(w, &["text_to_video", "image_to_video"], "video")),
    Check::new("PRV-019", |w| any_of(w, &["text_to_audio", "tts_encoded"], "audio")),
    Check::new("PRV-020", |w| {
        let lacking = some(w)?.into_iter().find_map(|provider| {
            let listed = provider.get("capabilities")?.as_list()?.to_vec();
            let lacks = CAPABILITIES.into_iter().find(|known| !listed.iter().any(|one| one.as_str() == Some(known)))?;
            Some((provider.get("id")?.as_str()?.to_owned(), lacks))
        });
        let (id, lacks) =
            lacking.ok_or_else(|| not_applicable("every provider of the worker lists every capability"))?;
        let mut data = request(lacks);
        data.insert("provider".to_owned(), Value::from(id));
        w.call(&format!("provider.{lacks}"), data)?.expect_error().map(|_| ())
    }),
    Check::new("PRV-021", |w| {
        test_provider(w, "text_to_image")?;
        let params = map! { "model" => "test-image", "prompt" => "a", "seed" => 5, "numInferenceSteps" => 3 };
        let nested = w.call("provider.text_to_image", map! { "provider" => "test", "params" => params })?;
        let flat = map! { "provider" => "test", "model" => "test-image", "prompt" => "a", "seed" => 5, "num_inference_steps" => 3 };
        let flat = w.call("provider.text_to_image", flat)?;
        same_bytes(flat.blob("image")?, nested.blob("image")?)
            .map_err(|stop| stop.cause("The seed seems to be read in only one of the two places."))
    }),
    Check::new("PRV-022", |w| {
        test_provider(w, "text_to_image")?;
        let params = |mut more: Map| {
            more.extend(map! { "model" => "test-image", "prompt" => "a" });
            map! { "provider" => "test", "params" => more }
        };
        let nil = params(map! { "seed" => Value::Nil, "width" => Value::Nil, "negativePrompt" => Value::Nil });
        let nil = w.call("provider.text_to_image", nil)?;
        let absent = w.call("provider.text_to_image", params(map! {}))?;
        same_bytes(nil.blob("image")?, absent.blob("image")?)
    }),
    Check::new("PRV-023", |w| {
        test_provider(w, "generate")?;
        let part = |text: &str| Value::Map(map! { "type" => "text", "text" => text });
        let message = map! { "role" => "user", "content" => vec![part("hello "), part("you")] };
        let data = map! { "provider" => "test", "model" => "test-language", "messages" => vec![message] };
        let answer = w.call("provider.generate", data)?;
        let content = map_in(&answer, "message")?.get("content");
        let same = content.and_then(Value::as_str) == Some("hello you");
        ensure!(same, "the content is {}, not the text of the parts", found(content));
        Ok(())
    }),
    Check::new("PRV-024", |w| {
        test_provider(w, "stream")?;
        let words = "word ".repeat(200_000);
        let data = map! {
            "provider" => "test", "model" => "test-language",
            "messages" => vec![map! { "role" => "user", "content" => words }],
        };
        let id = w.send("provider.stream", data);
        w.next_of(&id)?.expect_kind("chunk")?;
        w.cancel(&id);
        w.terminal(&id)?;
        w.is_well()?;
        nothing_more(w)
    }),
    Check::new("PRV-025", |w| {
        let secret = "hunter2-of-a-provider";
        let mut requests =
            vec![("provider.generate", map! { "provider" => "no-such-provider" }), ("provider.models", map! {})];
        if test_provider(w, "generate").is_ok() {
            requests.extend([
                ("provider.generate", request("generate")),
                ("provider.generate", map! { "provider" => "test" }),
            ]);
        }
        for (kind, mut data) in requests {
            data.insert("secrets".to_owned(), map! { "API_KEY" => secret }.into());
            let answer = w.call(kind, data)?;
            let told = answer.payload.windows(secret.len()).any(|part| part == secret.as_bytes());
            ensure!(!told, "the answer to {kind} holds the value of a secret");
        }
        w.is_well()?;
        ensure!(!w.stderr().contains(secret), "stderr holds the value of a secret");
        Ok(())
    }),
    Check::new("PRV-026", |w| {
        let one = embeddings(w, "hello you".into())?;
        let list = embeddings(w, Value::List(vec!["hello you".into()]))?;
        ensure!(
            one == list && one.len() == 1,
            "one text gives {} embeddings, and a list of it {}",
            one.len(),
            list.len()
        );
        Ok(())
    }),
    Check::new("PRV-060", |w| any_of(w, &["reference_to_video"], "video")),
];

fn list(w: &mut Worker) -> Outcome<Vec<Value>> {
    let answer = w.call("provider.list", map! {})?;
    answer.expect_kind("result")?;
    Ok(list_in(&answer, "providers")?.to_vec())
}

fn some(w: &mut Worker) -> Outcome<Vec<Value>> {
    let providers = list(w)?;
    if providers.is_empty() { Err(not_applicable("the worker has no providers")) } else { Ok(providers) }
}

/// The provider `test` is there and lists this capability; every provider has models.
pub(super) fn test_provider(w: &mut Worker, capability: &str) -> Outcome {
    let test = list(w)?.into_iter().find(|provider| provider.get("id").and_then(Value::as_str) == Some("test"));
    let test = test.ok_or_else(|| not_applicable("the worker has no provider `test`"))?;
    let listed = test.get("capabilities").and_then(Value::as_list).unwrap_or_default();
    if capability == "models" || listed.iter().any(|one| one.as_str() == Some(capability)) {
        return Ok(());
    }
    Err(not_applicable(format!("the worker's provider `test` does not list `{capability}`")))
}

/// A request for a capability of the provider `test`.
fn request(capability: &str) -> Map {
    let messages = vec![
        map! { "role" => "system", "content" => "be brief" },
        map! { "role" => "user", "content" => "hello there you" },
    ];
    let params = map! { "model" => "test-media", "prompt" => "a picture", "seed" => 5, "text" => "hello there" };
    let (picture, sound) = (noise(500, 14), Bytes::from(vec![0; 4800]));
    let mut data = match capability {
        "generate" | "stream" => map! { "messages" => messages, "model" => "test-language" },
        "image_to_image" | "image_to_video" => map! { "image" => picture, "params" => params },
        "reference_to_video" => {
            map! { "reference_images" => vec![picture], "reference_videos" => Value::List(Vec::new()), "params" => params }
        }
        "tts" => map! { "text" => "hello there", "model" => "test-tts" },
        "asr" => map! { "audio" => sound, "model" => "test-asr" },
        "embedding" => map! { "text" => "hello", "model" => "test-embedding" },
        _ => map! { "params" => params },
    };
    data.insert("provider".to_owned(), "test".into());
    data
}

fn ask(w: &mut Worker, capability: &str) -> Outcome<Message> {
    test_provider(w, capability)?;
    let answer = w.call(&format!("provider.{capability}"), request(capability))?;
    answer.expect_kind("result")?;
    Ok(answer)
}

fn media(w: &mut Worker, capability: &str, slot: &str) -> Outcome<Vec<u8>> {
    let answer = ask(w, capability)?;
    let blob = answer.blob(slot)?;
    ensure!(!blob.is_empty(), "the file `{slot}` of {capability} is empty");
    Ok(blob.to_vec())
}

/// Those of these capabilities that are listed, at least one.
fn any_of(w: &mut Worker, capabilities: &[&str], slot: &str) -> Outcome {
    let listed: Vec<&&str> = capabilities.iter().filter(|one| test_provider(w, one).is_ok()).collect();
    if let ([], Some(first)) = (listed.as_slice(), capabilities.first()) {
        return test_provider(w, first);
    }
    listed.into_iter().try_for_each(|capability| media(w, capability, slot).map(|_| ()))
}

fn embeddings(w: &mut Worker, text: Value) -> Outcome<Vec<Value>> {
    test_provider(w, "embedding")?;
    let answer =
        w.call("provider.embedding", map! { "provider" => "test", "model" => "test-embedding", "text" => text })?;
    answer.expect_kind("result")?;
    Ok(list_in(&answer, "embeddings")?.to_vec())
}

fn is_done(frames: &[Message]) -> Outcome {
    let end = frames.last().ok_or_else(|| fail("no frame came"))?.expect_kind("result")?;
    let done = end.get("done")?;
    ensure!(done.as_bool() == Some(true), "`done` of the result is {}", json(done));
    Ok(())
}
