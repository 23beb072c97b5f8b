//! Adapters by real processes: the example of the documentation, and programs that do everything wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millwork_local::{Adapter, Local, Roots};
use millwork_worker::convert::Audio;
use millwork_worker::prelude::*;
use millwork_worker::testing::{Called, ProviderTest};
use millwork_worker::{CancelToken, Provider as _};

const PREFIX: &str = "NODETOOL_PROVIDER_ADAPTER_";

/// The adapter X of a command.
fn adapter(command: &str, more: &[(&str, &str)]) -> Adapter {
    let capabilities = ("CAPABILITIES", "text_to_audio,image_to_video,reference_to_video");
    let given = [("COMMAND", command), capabilities].into_iter().chain(more.iter().copied());
    let variables = given.map(|(name, value)| (format!("{PREFIX}{name}_X"), value.to_owned()));
    let (mut adapters, errors) = Adapter::from_variables(variables);
    assert!(errors.is_empty(), "{errors:?}");
    adapters.remove(0)
}

/// A program of a few lines of shell, in a folder that must stay. Its request is in `$request`, and its folder is `$PWD`.
fn program(folder: &Path, script: &str) -> String {
    let path = folder.join("program");
    fs::write(&path, format!("#!/bin/sh\nread -r request\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn shell(script: &str, more: &[(&str, &str)], data: Map) -> Called {
    let folder = tempfile::tempdir().unwrap();
    ProviderTest::new(adapter(&program(folder.path(), script), more)).call("text_to_audio", data)
}

fn refused(script: &str, more: &[(&str, &str)]) -> String {
    shell(script, more, Map::new()).result.unwrap_err().message().to_owned()
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn the_example_makes_music() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/adapter.py");
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: python3 is not installed");
        return;
    }
    let test = ProviderTest::new(adapter(&format!("python3 {}", example.display()), &[("DISPLAY_NAME", "Chords")]));
    let params = map! { "model" => "chord", "prompt" => "a quiet chord", "durationSeconds" => 0.5 };
    let Called { result, progress, .. } = test.call("text_to_audio", map! { "params" => params });
    let sound = Audio::decode(result.unwrap()["blobs"].get("audio").cloned().unwrap().into_bytes().unwrap()).unwrap();
    assert_eq!((sound.frames(), sound.sample_rate, progress.len()), (12_000, 24_000, 10));
    assert_eq!(progress[9], map! { "progress" => 10.0, "total" => 10.0, "message" => "playing" });
    // Older hosts have no `params`.
    let old = test.call("text_to_audio", map! { "prompt" => "a", "durationSeconds" => 99 }).result.unwrap_err();
    assert!(old.message().contains("at most 60"), "{old}");
    let provider = adapter(&format!("python3 {}", example.display()), &[]);
    let context = test.context();
    let models = provider.models("music", &context).unwrap();
    assert_eq!(models, [map! { "id" => "chord", "name" => "Chord" }]);
    assert!(provider.models("video", &context).unwrap().is_empty());
    let error = test.call("image_to_video", map! { "image" => Bytes::from_static(b"x") }).result.unwrap_err();
    assert!(error.message().contains("nothing that this adapter does"), "{error}");
    let error = test.call("tts", Map::new()).result.unwrap_err();
    assert!(error.message().contains("does not offer tts"), "{error}");
}

#[test]
fn media_travels_by_file_and_secrets_in_the_request() {
    // The answer is the request itself, with what is in the folder, in the environment and among the arguments.
    let script = "{ echo \"$request\"; ls; cat image.png reference_image-1.jpg; env; cat /proc/$$/cmdline; } > out\n\
                  echo '{\"type\":\"result\",\"data\":{\"path\":\"out\"}}'";
    let folder = tempfile::tempdir().unwrap();
    let adapter = adapter(&program(folder.path(), script), &[("SECRETS", "KEY")]);
    assert_eq!(adapter.info().required_secrets, ["KEY"]);
    let test = ProviderTest::new(adapter).secret("KEY", "hidden-word").secret("OTHER", "another-word");
    let png = || Bytes::from_static(b"\x89PNG picture");
    let data = map! {
        "image" => png(),
        "reference_images" => Value::List(vec![png().into(), Bytes::from_static(b"\xff\xd8\xff photo").into()]),
        "params" => map! { "prompt" => "waves", "seed" => 7, "referenceAudio" => Bytes::from_static(b"fLaC"), "gone" => Value::Nil },
    };
    let answer = test.call("image_to_video", data).result.unwrap();
    let out = answer["blobs"].get("video").unwrap().as_bytes().unwrap().to_vec();
    let out = String::from_utf8_lossy(&out).into_owned();
    let request: serde_json::Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(request["operation"], "image_to_video");
    assert_eq!(request["params"], serde_json::json!({ "prompt": "waves", "seed": 7 }));
    assert_eq!(request["secrets"], serde_json::json!({ "KEY": "hidden-word" }));
    let path = |name: &str| PathBuf::from(request[name].as_str().unwrap());
    assert_eq!(path("image_path"), path("output_folder").join("image.png"));
    assert_eq!(path("reference_audio_path"), path("output_folder").join("reference_audio.flac"));
    assert_eq!(request["reference_image_paths"].as_array().unwrap().len(), 2);
    assert!(out.contains("PNG picture") && out.contains(" photo"), "{out}");
    // Once, and that is in the request.
    assert_eq!(out.matches("hidden-word").count(), 1, "{out}");
    assert!(!path("output_folder").exists(), "the folder stays behind");
    let bare = ProviderTest::new(self::adapter(&program(folder.path(), script), &[("SECRETS", "KEY")]));
    let error = bare.call("text_to_audio", Map::new()).result.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::MissingSetting, "{error}");
}

#[test]
fn bad_adapters_are_told() {
    let garbage = refused("echo hello; sleep 1000", &[]);
    assert!(
        garbage.contains("no JSON object") && garbage.contains("\"hello\"") && garbage.contains("standard error"),
        "{garbage}"
    );
    for (script, words) in [
        ("exit 3", "ended with exit status 3 and without a result"),
        ("echo 'no memory' >&2; kill -9 $$", "ended with signal 9 and without a result: no memory"),
        ("echo '[1]'", "no JSON object"),
        ("echo '{\"type\":\"song\"}'", "unknown type \"song\""),
        ("echo '{\"type\":\"error\",\"data\":{\"error\":\"no such model\"}}'", "failed: no such model"),
        ("echo '{\"type\":\"result\"}'", "a result that has no `path`"),
        ("echo '{\"type\":\"result\",\"data\":{\"path\":\"nowhere\"}}'", "not there, \"nowhere\""),
        ("echo '{\"type\":\"result\",\"data\":{\"path\":\"/etc/passwd\"}}'", "into `output_folder`"),
        ("ln -s /etc/passwd link; echo '{\"type\":\"result\",\"data\":{\"path\":\"link\"}}'", "into `output_folder`"),
        ("echo '{\"type\":\"result\",\"data\":{\"path\":\".\"}}'", "no file"),
        (": > empty; echo '{\"type\":\"result\",\"data\":{\"path\":\"empty\"}}'", "empty result"),
        ("yes '{\"type\":\"progress\",\"data\":{\"progress\":1}}'", "more than 16777216 bytes"),
        ("yes | tr -d '\\n'", "more than 16777216 bytes"),
    ] {
        let error = refused(script, &[]);
        assert!(error.contains(words) && error.contains("adapter \"x\""), "{script}: {error}");
    }
    let late = refused("sleep 1000", &[("TIMEOUT", "0.1")]);
    assert!(late.contains("longer than 0.1 s"), "{late}");
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn a_folder_of_its_own_is_emptied() {
    let own = tempfile::tempdir().unwrap();
    let path = own.path().join("made");
    let script =
        format!("echo sound > {0}; echo '{{\"type\":\"result\",\"data\":{{\"path\":\"{0}\"}}}}'", path.display());
    assert!(refused(&script, &[]).contains("into `output_folder`"));
    let called = shell(&script, &[("OUTPUT", own.path().to_str().unwrap())], Map::new());
    assert_eq!(called.result.unwrap()["blobs"].get("audio").unwrap().as_bytes(), Some(&b"sound\n"[..]));
    assert!(!path.exists());
}

#[test]
fn a_cancelled_call_takes_the_whole_group_along() {
    let folder = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! > ../child.tmp; mv ../child.tmp \"$0.pid\"\n\
                  echo '{\"type\":\"progress\",\"data\":{\"progress\":1,\"total\":2}}'; wait";
    let script = script.replace("../child.tmp", &folder.path().join("tmp").display().to_string());
    let cancel = CancelToken::default();
    let test = ProviderTest::new(adapter(&program(folder.path(), &script), &[])).cancel(&cancel);
    let pid = folder.path().join("program.pid");
    let called = std::thread::scope(|scope| {
        let call = scope.spawn(|| test.call("text_to_audio", Map::new()));
        wait_for("the adapter starts", || pid.exists());
        cancel.cancel();
        call.join().unwrap()
    });
    let error = called.result.unwrap_err();
    assert_eq!((error.kind(), error.message()), (&ErrorKind::Cancelled, "Cancelled"));
    let child = fs::read_to_string(&pid).unwrap();
    wait_for("its child ends", || !runs(&child));
}

#[test]
fn one_call_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    // Making a folder that is there already fails.
    let script = "mkdir \"$0.busy\" || exit 9; sleep 0.05; rmdir \"$0.busy\"; echo x > out\n\
                  echo '{\"type\":\"result\",\"data\":{\"path\":\"out\"}}'";
    let test = ProviderTest::new(adapter(&program(folder.path(), script), &[]));
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| test.call("text_to_audio", Map::new()).result)).collect();
        for call in calls {
            call.join().unwrap().unwrap();
        }
    });
}

#[test]
fn what_nobody_offers_is_told_with_the_remedy() {
    let test = ProviderTest::new(Local::new(Roots::only(&[])));
    for call in ["text_to_video", "text_to_audio", "reference_to_video"] {
        let error = test.call(call, Map::new()).result.unwrap_err();
        let words = format!("NODETOOL_PROVIDER_ADAPTER_CAPABILITIES_<ID>={call}");
        assert!(error.message().contains(&words) && *error.kind() == ErrorKind::Unavailable, "{error}");
    }
}
