//! Whisper against transformers: spectra, tokens, times, languages, and a story that fits no window.

use std::fs;
use std::path::Path;

use millwork_local::speech::{Recogniser, Request, Segment, Task, Transcript};
use millwork_local::{Kind, Local, Roots};
use millwork_worker::convert::audio::WavEncoding;
use millwork_worker::prelude::*;
use millwork_worker::testing::{Called, ProviderTest};
use millwork_worker::{CancelToken, ErrorKind};
use serde_json::Value as Json;

use crate::{models, npy};

const MODEL: &str = "tiny-whisper";

/// The model and what transformers says of it.
struct Whisper {
    test: ProviderTest<Local>,
    recogniser: Recogniser,
    references: Json,
}

impl Whisper {
    fn new() -> Self {
        Self::in_folder(&models().join("zoo"))
    }

    fn in_folder(folder: &Path) -> Self {
        let roots = Roots::only(&[folder.to_owned()]);
        let test = ProviderTest::new(Local::new(roots.clone()));
        let model = roots.locate(MODEL, Kind::Speech).unwrap();
        let recogniser = Recogniser::load(&model, &test.context()).unwrap();
        let references = fs::read_to_string(models().join("references").join(format!("{MODEL}.json"))).unwrap();
        Self { test, recogniser, references: serde_json::from_str(&references).unwrap() }
    }

    fn clips(&self) -> impl Iterator<Item = &Json> {
        self.references["clips"].as_array().unwrap().iter()
    }

    fn clip(&self, name: &Json) -> &Json {
        self.clips().find(|clip| clip["name"] == *name).unwrap()
    }

    fn hear(&self, clip: &Json, request: &Request) -> Transcript {
        let request = Request { temperature: Some(0.0), ..request.clone() };
        self.recogniser.transcribe(sound(clip), &request, &self.test.context()).unwrap()
    }

    fn ask(&self, data: Map) -> Called {
        self.test.call("asr", Map::from_iter([("model".to_owned(), MODEL.into())].into_iter().chain(data)))
    }

    fn refused(&self, data: Map) -> String {
        let error = self.ask(data).result.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::InvalidInput, "{error}");
        error.message().to_owned()
    }
}

fn file(clip: &Json) -> Bytes {
    fs::read(models().join("references").join(clip["sound"].as_str().unwrap())).unwrap().into()
}

fn sound(clip: &Json) -> Audio {
    Audio::decode(file(clip)).unwrap()
}

fn ids(json: &Json) -> Vec<u32> {
    json.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn tokens(transcript: &Transcript) -> Vec<u32> {
    transcript.segments.iter().flat_map(|segment| segment.tokens.clone()).collect()
}

fn of(clip: &Json, answer: &Json, without_timestamps: bool) -> Request {
    let language = clip["language"].as_str().map(str::to_owned);
    let task = if answer["task"] == "translate" { Task::Translate } else { Task::Transcribe };
    Request { language, task, without_timestamps, ..Request::default() }
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap().trim()
}

fn assert_segments(found: &[Segment], expected: &Json) {
    let expected = expected.as_array().unwrap();
    // Every sound here begins with somebody speaking, at 0.00 s.
    let begins = ids(&expected[0]["tokens"])[0];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.text, expected["text"].as_str().unwrap());
        let mut tokens = ids(&expected["tokens"]);
        // Where a window is left, the reference keeps the beginning of the sentence that is cut with the one before.
        if tokens.len() > 2 && tokens[tokens.len() - 2] >= begins {
            tokens.pop();
        }
        assert_eq!(found.tokens, tokens);
        let (start, end) = (expected["start"].as_f64().unwrap(), expected["end"].as_f64().unwrap());
        assert!((found.start - start).abs() < 1e-9 && (found.end - end).abs() < 1e-9, "{found:?}, not {start} {end}");
    }
}

#[test]
fn spectra_are_those_of_the_reference() {
    let whisper = Whisper::new();
    let mut worst = 0f32;
    for spectrum in whisper.references["spectra"].as_array().unwrap() {
        let clip = whisper.clip(&spectrum["clip"]);
        let heard = whisper.recogniser.spectrum(sound(clip), &whisper.test.context()).unwrap();
        let window = heard.window(0).unwrap().to_array_f32().unwrap();
        assert_eq!(window.shape(), [1, 80, 3000]);
        let (shape, frames) = npy(&models().join("references").join(spectrum["first_frames"].as_str().unwrap()));
        let rest = spectrum["other_frames"].as_f64().unwrap() as f32;
        for ((_, band, frame), x) in window.into_dimensionality::<ndarray::Ix3>().unwrap().indexed_iter() {
            let expected = if frame < shape[1] { frames[band * shape[1] + frame] } else { rest };
            worst = worst.max((x - expected).abs());
        }
    }
    println!("spectra: largest difference {worst:.1e}");
    assert!(worst < 1e-4, "{worst}");
}

#[test]
fn tokens_are_those_of_the_reference() {
    let whisper = Whisper::new();
    let mut compared = 0;
    for clip in whisper.clips() {
        for answer in clip["plain"].as_array().unwrap() {
            let found = whisper.hear(clip, &of(clip, answer, true));
            assert_eq!(tokens(&found), ids(&answer["tokens"]), "{} {}", clip["name"], answer["task"]);
            assert_eq!(found.text, text(&answer["text"]));
            compared += 1;
        }
        for answer in clip["timed"].as_array().unwrap() {
            let found = whisper.hear(clip, &of(clip, answer, false));
            assert_segments(&found.segments, &answer["segments"]);
            assert_eq!(found.text, text(&answer["text"]));
            compared += 1;
        }
    }
    println!("transcripts: {compared} token for token");
    assert!(compared >= 20);
}

#[test]
fn languages_are_detected() {
    let whisper = Whisper::new();
    for clip in whisper.clips() {
        let found = whisper.hear(clip, &Request::default());
        assert_eq!(found.language.as_deref(), clip["detected"]["language"].as_str(), "{}", clip["name"]);
        assert_eq!(found.text, text(&clip["timed"][0]["text"]));
    }
}

#[test]
fn a_prompt_changes_the_answer() {
    let whisper = Whisper::new();
    let prompted = &whisper.references["prompted"];
    let clip = whisper.clip(&prompted["clip"]);
    let request = Request { prompt: prompted["prompt"].as_str().map(str::to_owned), ..of(clip, prompted, true) };
    let found = whisper.hear(clip, &request);
    assert_eq!(tokens(&found), ids(&prompted["tokens"]));
    assert_ne!(found.text, whisper.hear(clip, &of(clip, prompted, true)).text);
}

#[test]
fn a_story_of_several_windows_loses_and_doubles_nothing() {
    let whisper = Whisper::new();
    let story = &whisper.references["story"];
    let request = of(story, &story["timed"], false);
    let found = whisper.hear(story, &request);
    assert_segments(&found.segments, &story["timed"]["segments"]);
    assert_eq!(found.text, text(&story["timed"]["text"]));
    // Times are asked for where windows must be joined, also if nobody wants them.
    let found = whisper.hear(story, &Request { without_timestamps: true, ..request });
    assert_eq!(found.text, text(&story["timed"]["text"]));
}

/// Exports have their decoder in one graph or in two, and their graphs beside the config or in `onnx/`.
#[test]
fn the_other_layout_hears_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let from = models().join("zoo").join(MODEL);
    let to = folder.path().join(MODEL);
    fs::create_dir(&to).unwrap();
    for file in [from.clone(), from.join("onnx")].iter().flat_map(|folder| fs::read_dir(folder).unwrap().flatten()) {
        if file.path().is_file() && file.file_name() != "decoder_model_merged.onnx" {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    let (whisper, other) = (Whisper::new(), Whisper::in_folder(folder.path()));
    for clip in whisper.clips().take(3) {
        let request = of(clip, &clip["timed"][0], false);
        assert_eq!(other.hear(clip, &request), whisper.hear(clip, &request));
    }
}

#[test]
fn the_call_answers_as_hosts_expect() {
    let whisper = Whisper::new();
    let clip = whisper.clip(&"de-zwei".into());
    let timed = &clip["timed"][0];
    let answer = whisper.ask(map! { "audio" => Value::Bytes(file(clip)) }).result.unwrap();
    assert_eq!(answer["text"].as_str(), Some(text(&timed["text"])));
    assert_eq!(answer["language"].as_str(), Some("de"));
    let chunks = answer["chunks"].as_list().unwrap();
    assert_eq!(chunks.len(), timed["segments"].as_array().unwrap().len());
    let times: Vec<f64> =
        chunks[1].get("timestamp").unwrap().as_list().unwrap().iter().filter_map(Value::as_f64).collect();
    assert_eq!(times, [timed["segments"][1]["start"].as_f64().unwrap(), timed["segments"][1]["end"].as_f64().unwrap()]);
    assert_eq!(chunks[1].get("text").unwrap().as_str(), timed["segments"][1]["text"].as_str());
    // Stereo at another rate, with the language named in words.
    let half = sound(clip);
    let stereo = Audio::new(half.samples.iter().flat_map(|x| [*x, *x]).collect(), 2, 16_000).unwrap();
    let wav = stereo.to_wav(WavEncoding::Float32).unwrap();
    let again =
        whisper.ask(map! { "audio" => Value::Bytes(wav), "language" => "German", "temperature" => 0 }).result.unwrap();
    assert_eq!(again["text"], answer["text"]);
    let plain = whisper.ask(map! { "audio" => Value::Bytes(file(clip)), "timestamps" => false }).result.unwrap();
    assert!(plain.get("chunks").is_none() && plain["text"] == answer["text"]);
}

#[test]
fn nothing_is_heard_in_silence() {
    let whisper = Whisper::new();
    for frames in [0, 1, 16_000, 40 * 16_000] {
        let wav = Audio::new(vec![0.0; frames], 1, 16_000).unwrap().to_wav(WavEncoding::Pcm16).unwrap();
        let answer = whisper.ask(map! { "audio" => Value::Bytes(wav) }).result.unwrap();
        assert_eq!(
            (answer["text"].as_str(), answer["chunks"].as_list().map(<[_]>::len)),
            (Some(""), Some(0)),
            "{frames}"
        );
    }
    // A click is heard, whatever it is taken for.
    let wav = Audio::new(vec![0.5; 40], 1, 8000).unwrap().to_wav(WavEncoding::Pcm16).unwrap();
    assert!(whisper.ask(map! { "audio" => Value::Bytes(wav), "temperature" => 0 }).result.is_ok());
}

#[test]
fn bad_requests_name_what_is_wrong() {
    let whisper = Whisper::new();
    let clip = file(whisper.clip(&"en-mill".into()));
    let audio = || Value::Bytes(clip.clone());
    assert!(whisper.refused(map! {}).contains("`audio`"));
    assert!(whisper.refused(map! { "audio" => Value::Bytes(Bytes::from_static(b"RIFF?")) }).contains("`audio`"));
    let text = whisper.refused(map! { "audio" => audio(), "language" => "klingon" });
    assert!(text.contains("`language` is \"klingon\"") && text.contains("de, "), "{text}");
    assert!(whisper.refused(map! { "audio" => audio(), "task" => "sing" }).contains("transcribe or translate"));
    assert!(whisper.refused(map! { "audio" => audio(), "temperature" => -1 }).contains("`temperature`"));
    assert!(whisper.refused(map! { "audio" => audio(), "temperature" => "hot" }).contains("`temperature`"));
    assert!(whisper.refused(map! { "audio" => audio(), "word_timestamps" => true }).contains("`word_timestamps`"));
    assert!(whisper.refused(map! { "audio" => audio(), "prompt" => "a <|endoftext|> b" }).contains("<|endoftext|>"));
}

#[test]
fn a_cancelled_call_ends() {
    let token = CancelToken::default();
    token.cancel();
    let folder = models().join("zoo");
    let test = ProviderTest::new(Local::new(Roots::only(&[folder]))).cancel(&token);
    let whisper = Whisper::new();
    let audio = Value::Bytes(file(&whisper.references["story"]));
    let error = test.call("asr", map! { "model" => MODEL, "audio" => audio }).result.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Cancelled);
}

#[test]
fn broken_models_are_told_apart() {
    let from = models().join("zoo").join(MODEL);
    let config = fs::read_to_string(from.join("config.json")).unwrap();
    let problem = |change: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join(MODEL);
        fs::create_dir(&to).unwrap();
        for name in ["config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json"] {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
        for name in ["encoder_model", "decoder_model_merged"] {
            fs::copy(from.join(format!("onnx/{name}.onnx")), to.join(format!("{name}.onnx"))).unwrap();
        }
        change(&to);
        let found = Roots::only(&[folder.path().to_owned()]).scan();
        assert!(found.models.is_empty());
        let problem = &found.problems[0];
        format!("{problem} {}", problem.hint.clone().unwrap_or_default())
    };
    let missing = problem(&|to| fs::remove_file(to.join("encoder_model.onnx")).unwrap());
    assert!(missing.contains("encoder_model.onnx"), "{missing}");
    let missing = problem(&|to| fs::remove_file(to.join("decoder_model_merged.onnx")).unwrap());
    assert!(missing.contains("decoder_model_merged.onnx"), "{missing}");
    let missing = problem(&|to| {
        fs::rename(to.join("decoder_model_merged.onnx"), to.join("decoder_model.onnx")).unwrap();
    });
    assert!(missing.contains("decoder_with_past_model.onnx") && missing.contains("with-past"), "{missing}");
    let missing = problem(&|to| fs::remove_file(to.join("tokenizer.json")).unwrap());
    assert!(missing.contains("tokenizer.json"), "{missing}");
    let huge = problem(&|to| fs::write(to.join("config.json"), config.replace("1500", "99999999999")).unwrap());
    assert!(huge.contains("max_source_positions"), "{huge}");
    let other = problem(&|to| fs::write(to.join("preprocessor_config.json"), r#"{"hop_length": 128}"#).unwrap());
    assert!(other.contains("`hop_length` is 128"), "{other}");
}
