//! Voices of Piper against Piper itself: waveforms, phonemes, speakers, and what no voice can say.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use millwork_local::{Kind, Local, Roots};
use millwork_worker::convert::Audio;
use millwork_worker::prelude::*;
use millwork_worker::testing::{Called, ProviderTest};
use millwork_worker::{CancelToken, Provider as _};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::{models, npy};

const ENGLISH: &str = "en_US-tiny-low";
const GERMAN: &str = "de_DE-tiny-low";

/// Voices in a folder of their own, their files changed by the test.
struct Voices {
    folder: TempDir,
    test: ProviderTest<Local>,
}

impl Voices {
    fn new(names: &[&str], change: impl Fn(&mut Json)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            add(name, folder.path(), name, &change);
        }
        let test = ProviderTest::new(Local::new(Roots::only(&[folder.path().to_owned()])));
        Self { folder, test }
    }

    /// The voices as they are, but without noise.
    fn plain() -> Self {
        Self::new(&[ENGLISH, GERMAN], calm)
    }

    /// The same voices for texts that are phonemes already: no espeak-ng is needed.
    fn of_letters() -> Self {
        Self::new(&[ENGLISH, GERMAN], |config| {
            calm(config);
            config["phoneme_type"] = "text".into();
        })
    }

    fn encoded(&self, data: Map) -> Audio {
        let answer = self.test.call("tts_encoded", map! { "params" => data }).result.unwrap();
        Audio::decode(answer["blobs"].get("audio").cloned().unwrap().into_bytes().unwrap()).unwrap()
    }

    fn refused(&self, data: Map) -> String {
        self.test.call("tts", data).result.unwrap_err().message().to_owned()
    }
}

fn calm(config: &mut Json) {
    config["inference"] = json!({ "noise_scale": 0.0, "length_scale": 1.0, "noise_w": 0.0 });
}

/// Puts a voice into a folder under a name of its own.
fn add(voice: &str, folder: &Path, name: &str, change: impl Fn(&mut Json)) {
    let zoo = models().join("zoo/tiny-piper");
    fs::create_dir_all(folder).unwrap();
    std::os::unix::fs::symlink(
        zoo.join(format!("{voice}.onnx")).canonicalize().unwrap(),
        folder.join(format!("{name}.onnx")),
    )
    .unwrap();
    let mut config = serde_json::from_slice(&fs::read(zoo.join(format!("{voice}.onnx.json"))).unwrap()).unwrap();
    change(&mut config);
    fs::write(folder.join(format!("{name}.onnx.json")), config.to_string()).unwrap();
}

fn references() -> Vec<Json> {
    let all: Json = serde_json::from_slice(&fs::read(models().join("references/tiny-piper.json")).unwrap()).unwrap();
    all["voices"].as_array().unwrap().clone()
}

fn name_of(voice: &Json) -> String {
    Path::new(voice["voice"].as_str().unwrap()).file_stem().unwrap().to_str().unwrap().to_owned()
}

fn list(value: &Json) -> &[Json] {
    value.as_array().unwrap()
}

fn has_espeak() -> bool {
    let there = Command::new("espeak-ng").arg("--version").output().is_ok();
    if !there {
        println!("skipped: espeak-ng is not installed");
    }
    there
}

/// The largest difference of two sounds that are both at full loudness.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    let peak = |samples: &[f32]| samples.iter().fold(0f32, |peak, x| peak.max(x.abs()));
    let (a, b) = (peak(found), peak(expected));
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(x, y)| (x / a - y / b).abs()).fold(0.0, f32::max)
}

#[test]
fn waveforms_are_those_of_piper() {
    let voices = Voices::of_letters();
    let (mut worst, mut runs) = (0f32, 0);
    for voice in references() {
        let name = name_of(&voice);
        for sentence in list(&voice["texts"]).iter().flat_map(|text| list(&text["sentences"])) {
            let phonemes: String = list(&sentence["phonemes"]).iter().map(|one| one.as_str().unwrap()).collect();
            for run in list(&sentence["runs"]) {
                let mut data = map! { "model" => name.as_str(), "text" => phonemes.as_str() };
                data.insert("speed".into(), (1.0 / run["scales"][1].as_f64().unwrap()).into());
                if let Some(speaker) = run["speaker"].as_i64() {
                    data.insert("voice".into(), speaker.into());
                }
                let sound = voices.encoded(data);
                let (_, expected) = npy(&models().join("references").join(run["waveform"].as_str().unwrap()));
                assert_eq!(u64::from(sound.sample_rate), voice["sample_rate"].as_u64().unwrap());
                let found = difference(&sound.samples, &expected);
                assert!(found < 1e-3, "{name} {phonemes:?} {}: {found}", run["scales"]);
                worst = worst.max(found);
                runs += 1;
            }
        }
    }
    println!("piper: {runs} waveforms, largest difference {worst:.1e}");
}

/// What espeak-ng says differs between its releases; where it says the same as Piper's own, the file is the same.
#[test]
fn texts_are_spoken_as_piper_does() {
    if !has_espeak() {
        return;
    }
    let voices = Voices::plain();
    let (mut same, mut all) = (0, 0);
    for voice in references() {
        for text in list(&voice["texts"]) {
            let words = text["text"].as_str().unwrap();
            let sound = voices.encoded(map! { "model" => name_of(&voice), "text" => words });
            let wav = fs::read(models().join("references").join(text["wav"].as_str().unwrap())).unwrap();
            let expected = Audio::decode(wav).unwrap();
            all += 1;
            if sound.frames() == expected.frames() && difference(&sound.samples, &expected.samples) < 1e-3 {
                same += 1;
            }
            println!("{words:?}: {} samples, Piper has {}", sound.frames(), expected.frames());
        }
    }
    println!("{same} of {all} texts as Piper says them");
    assert!(same >= 4, "{same} of {all}");
}

#[test]
fn a_stream_has_a_chunk_a_sentence() {
    let voices = Voices::of_letters();
    let text = "tˈuː mˈɪlz tˈɜːn! stˈɑːp! ɡˈoʊ?";
    let Called { result, chunks, .. } = voices.test.call("tts", map! { "model" => ENGLISH, "text" => text });
    assert_eq!(result.unwrap(), map! { "done" => true });
    assert_eq!(chunks.len(), 3);
    let whole = voices.encoded(map! { "model" => ENGLISH, "text" => text });
    let bytes = |chunk: &Map| chunk["blobs"].get("audio").unwrap().as_bytes().unwrap().len();
    let samples: usize = chunks.iter().map(|chunk| bytes(chunk) / 2).sum();
    // 24 kHz, however many the voice has.
    let expected = whole.frames() as f64 * 24_000.0 / f64::from(whole.sample_rate);
    assert!((samples as f64 - expected).abs() < 4.0, "{samples} {expected}");
    let cancel = CancelToken::default();
    let roots = Roots::only(&[voices.folder.path().to_owned()]);
    let test = ProviderTest::new(Local::new(roots)).cancel(&cancel);
    let data = map! { "model" => ENGLISH, "text" => "stˈɑːp! ".repeat(100) };
    let called = test.call_with("tts", data, |_| cancel.cancel());
    assert_eq!((called.result.unwrap_err().kind(), called.chunks.len()), (&ErrorKind::Cancelled, 1));
}

#[test]
fn noise_makes_each_run_another() {
    let voices = Voices::new(&[ENGLISH], |config| config["phoneme_type"] = "text".into());
    let say = || voices.encoded(map! { "model" => ENGLISH, "text" => "stˈɑːp!" }).samples;
    let (first, second) = (say(), say());
    assert!(first != second && !first.is_empty());
}

#[test]
fn voices_are_found_wherever_they_lie() {
    let voices = Voices::new(&[], |_| {});
    let root = voices.folder.path();
    add(ENGLISH, root, "near", calm);
    add(ENGLISH, &root.join("shelf/rhasspy/piper-voices/en/en_US/tiny/low"), "far", calm);
    add(GERMAN, &root.join("shelf"), "a", calm);
    add(GERMAN, &root.join("shelf"), "broken", |config| config["audio"]["sample_rate"] = 1.into());
    add(GERMAN, &root.join("shelf"), "missing", calm);
    fs::remove_file(root.join("shelf/missing.onnx")).unwrap();
    add(GERMAN, &root.join("shelf"), "pointer", calm);
    fs::remove_file(root.join("shelf/pointer.onnx")).unwrap();
    fs::write(root.join("shelf/pointer.onnx"), "version https://git-lfs.github.com/spec/v1\n").unwrap();
    let found = Roots::only(&[root.to_owned()]).scan();
    let ids: Vec<&str> = found.models.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(ids, ["near", "shelf/a", "shelf/rhasspy/piper-voices/en/en_US/tiny/low/far"]);
    assert!(found.models.iter().all(|model| model.kind == Kind::Voice && model.path.extension().unwrap() == "onnx"));
    let problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    for (problem, word) in problems.iter().zip(["`audio.sample_rate` is 1", "missing.onnx: is missing", "Git LFS"]) {
        assert!(problem.contains(word), "{problem}");
    }
    let listed = voices.test.context();
    let models = Local::new(Roots::only(&[root.to_owned()])).models("tts", &listed).unwrap();
    assert_eq!(models[1]["voices"], Value::List(["anna", "bert", "clara"].map(Value::from).to_vec()));
    assert_eq!((&models[0]["language"], &models[0]["name"]), (&"en_US".into(), &"near".into()));
}

#[test]
fn a_capability_is_there_where_the_call_works() {
    let letters = Voices::of_letters();
    let capabilities = |voices: &Voices| {
        let provider = Local::new(Roots::only(&[voices.folder.path().to_owned()]));
        provider.info().capabilities.into_iter().collect::<HashSet<_>>()
    };
    let speech = HashSet::from(["tts".to_owned(), "tts_encoded".to_owned()]);
    assert_eq!(capabilities(&letters), speech);
    assert_eq!(capabilities(&Voices::plain()), if has_espeak() { speech } else { HashSet::new() });
}

#[test]
fn what_no_voice_can_do_is_told() {
    let voices = Voices::of_letters();
    let base = |extra: Map| {
        let mut data = map! { "model" => GERMAN, "text" => "a" };
        data.extend(extra);
        data
    };
    for (extra, words) in [
        (map! { "text" => "" }, "`text` is empty"),
        (map! { "text" => " \n" }, "`text` is empty"),
        (map! { "text" => 7 }, "`text` must be a text"),
        (map! { "text" => "a".repeat((1 << 20) + 1) }, "may have 1048576"),
        (map! { "reference_audio" => Bytes::from_static(b"RIFF") }, "clone voices"),
        (map! { "reference_text" => "hello" }, "clone voices"),
        (map! { "speed" => 0.0 }, "`speed` must be a number from 0.25 to 4"),
        (map! { "speed" => f64::NAN }, "`speed` must be"),
        (map! { "speed" => "fast" }, "`speed` must be"),
        (map! { "voice" => "eve" }, "from 0 to 2, or one of anna, bert, clara"),
        (map! { "voice" => 3 }, "from 0 to 2"),
        (map! { "voice" => -1 }, "from 0 to 2"),
        (map! { "language" => "fr" }, "speaks de_DE"),
        (map! { "model" => "nobody" }, "there is no voice \"nobody\"; there are: de_DE-tiny-low, en_US-tiny-low"),
        (map! { "model" => "" }, "must name a voice"),
    ] {
        let error = voices.refused(base(extra.clone()));
        assert!(error.contains(words), "{extra:?}: {error}");
    }
    let fine =
        map! { "voice" => "bert", "language" => "de", "instructions" => "softly", "reference_audio" => Bytes::new() };
    assert_eq!(voices.test.call("tts", base(fine)).result.unwrap(), map! { "done" => true });
}

#[test]
fn odd_texts_are_spoken_or_refused() {
    if !has_espeak() {
        return;
    }
    let voices = Voices::plain();
    for text in [
        "Dr. Smith paid 3.14 dollars, e.g. on Monday... (or not). Well…I know; \"stop.\" No. 5 is 12:30!",
        "a\u{1}b\u{0}c [[hello]] <b>bold</b> & \\ ` $(reboot) -q --help",
        "Москва 北京 مرحبا 😀 ñ\u{303}\u{200d}\u{feff} café",
        "one\n\ntwo\r\n\r\nthree",
        "-v",
        "....!!!!???",
        &"x".repeat(900),
        &"word ".repeat(200),
    ] {
        let called = voices.test.call("tts", map! { "model" => ENGLISH, "text" => text });
        match called.result {
            Ok(_) => assert!(!called.chunks.is_empty(), "{text:?}"),
            Err(error) => assert!(error.message().contains("nothing in `text`"), "{text:?}: {error}"),
        }
    }
    // A long text begins at once.
    let cancel = CancelToken::default();
    let test = ProviderTest::new(Local::new(Roots::only(&[voices.folder.path().to_owned()]))).cancel(&cancel);
    let data = map! { "model" => ENGLISH, "text" => "This is a sentence, and it is one of many. ".repeat(2400) };
    let called = test.call_with("tts", data, |_| cancel.cancel());
    assert_eq!((called.result.unwrap_err().kind(), called.chunks.len()), (&ErrorKind::Cancelled, 1));
}

#[test]
fn an_unknown_language_of_espeak_is_told() {
    if !has_espeak() {
        return;
    }
    let voices = Voices::new(&[ENGLISH], |config| config["espeak"]["voice"] = "xx-nowhere".into());
    let error = voices.refused(map! { "model" => ENGLISH, "text" => "Hello." });
    assert!(error.contains("\"xx-nowhere\"") && error.contains("does not exist"), "{error}");
}
