//! `millwork batch` as a person or a script meets it. The worker is a scripted one, so that it fails when it is told to.
#![allow(clippy::disallowed_methods, reason = "the command itself is what is tested")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder `in` with these files, and nothing else.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    for (name, text) in files {
        let path = folder.path().join("in").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// `millwork batch NODE --in in --out out` with a worker that follows a scenario.
fn batch(folder: &Path, scenario: &str, args: &[&str]) -> Command {
    let this = env!("CARGO_BIN_EXE_millwork");
    let mut command = Command::new(this);
    command.arg("batch").args(args).args(["--in", "in", "--out", "out", "--log", "off"]);
    command.args(["--worker", &format!("'{this}' fake-worker --scenario {scenario}")]);
    // Nobody's own settings decide here.
    command.current_dir(folder).env("XDG_CONFIG_HOME", folder).env_remove("MILLWORK_CONFIG").stdin(Stdio::null());
    command
}

fn run(folder: &Path, args: &[&str]) -> Output {
    batch(folder, "well-behaved", args).output().unwrap()
}

const ECHO: [&str; 3] = ["fake.Echo", "--field", "value"];
const SLEEP: [&str; 3] = ["fake.Sleep", "--field", "ms"];

fn with<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [first, more].concat()
}

/// The status of each file, from the lines on stdout.
#[track_caller]
fn statuses(output: &Output, code: i32) -> BTreeMap<String, String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let status = |line: &str| {
        let mut parts = line.split('\t').map(str::to_owned);
        (parts.next().unwrap(), parts.next().unwrap())
    };
    text.lines().map(status).collect()
}

fn expected(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(name, status)| ((*name).to_owned(), (*status).to_owned())).collect()
}

/// What it says on stderr when it ends with this exit code.
#[track_caller]
fn error(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// Everything in the folder of the outputs but the record.
fn outputs(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let (out, mut found) = (folder.join("out"), Vec::new());
    walk(&out, &mut found);
    let name = |path: PathBuf| path.strip_prefix(&out).unwrap().display().to_string();
    let mut names: Vec<String> = found.into_iter().map(name).filter(|name| name != ".millwork-batch.jsonl").collect();
    names.sort();
    names
}

#[test]
fn every_file_goes_through_and_the_second_time_none() {
    let folder = folder(&[("a.txt", "one"), ("b.bin", "two"), ("sub/c.txt", "three"), (".hidden", "x")]);
    let path = folder.path();
    assert_eq!(statuses(&run(path, &ECHO), 0), expected(&[("a.txt", "ok"), ("b.bin", "ok")]));
    let all = with(&ECHO, &["--recursive"]);
    let second = run(path, &all);
    assert_eq!(statuses(&second, 0), expected(&[("a.txt", "skipped"), ("b.bin", "skipped"), ("sub/c.txt", "ok")]));
    assert!(error(&second, 0).contains("3 files: 1 ok, 0 failed, 2 skipped"));
    assert_eq!(outputs(path), ["a.txt", "b.bin", "sub/c.txt"]);
    assert_eq!(std::fs::read_to_string(path.join("out/b.bin")).unwrap(), "two");
    // What has changed is done again, and so is everything where the way has changed, or it is asked for.
    std::fs::write(path.join("in/a.txt"), "other").unwrap();
    std::fs::remove_file(path.join("out/sub/c.txt")).unwrap();
    assert_eq!(statuses(&run(path, &all), 0), expected(&[("a.txt", "ok"), ("b.bin", "skipped"), ("sub/c.txt", "ok")]));
    assert_eq!(std::fs::read_to_string(path.join("out/a.txt")).unwrap(), "other");
    let ok = expected(&[("a.txt", "ok"), ("b.bin", "ok"), ("sub/c.txt", "ok")]);
    assert_eq!(statuses(&run(path, &with(&all, &["--force"])), 0), ok);
    assert_eq!(statuses(&run(path, &with(&all, &["--slot", "output"])), 0), ok);
}

#[test]
fn a_failed_file_does_not_stop_the_others_and_is_done_again() {
    let folder = folder(&[("a.txt", "0"), ("b.txt", "soon"), ("c.txt", "1")]);
    let path = folder.path();
    let first = run(path, &with(&SLEEP, &["--json", "--jobs", "1"]));
    assert!(error(&first, 1).contains("error: 1 of 3 files failed"), "{first:?}");
    let text = String::from_utf8(first.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["file"], &lines[0]["status"], &lines[0]["attempts"]),
        (&"a.txt".into(), &"ok".into(), &1.into())
    );
    assert_eq!(lines[2]["outputs"], json!({ "output": { "type": "value", "bytes": null, "file": "out/c.json" } }));
    assert!(lines[1]["status"] == "failed" && lines[1]["ms"].is_u64(), "{text}");
    assert!(lines[1]["error"].as_str().unwrap().contains("\"soon\" is no whole number"), "{text}");
    std::fs::write(path.join("in/b.txt"), "2").unwrap();
    let again = run(path, &SLEEP);
    assert_eq!(statuses(&again, 0), expected(&[("a.txt", "skipped"), ("b.txt", "ok"), ("c.txt", "skipped")]));
    assert_eq!(std::fs::read_to_string(path.join("out/b.json")).unwrap(), "2\n");
}

#[test]
fn fail_fast_stops_at_the_first() {
    let folder = folder(&[("a.txt", "soon"), ("b.txt", "0"), ("c.txt", "0")]);
    let output = run(folder.path(), &with(&SLEEP, &["--fail-fast", "--jobs", "1"]));
    assert_eq!(statuses(&output, 1), expected(&[("a.txt", "failed")]));
    assert!(outputs(folder.path()).is_empty());
}

#[test]
fn what_a_worker_dies_of_is_tried_again_so_often() {
    let files: Vec<(String, String)> = (0..6).map(|n| (format!("{n}.txt"), "0".to_owned())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    // Each worker dies at its third request.
    let args = with(&SLEEP, &["--json", "--jobs", "1"]);
    let folder_of_six = folder(&files);
    let output = batch(folder_of_six.path(), "'crash-after-reading' --after 3", &args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let attempts = |line: &str| serde_json::from_str::<Value>(line).unwrap()["attempts"].as_i64().unwrap();
    assert_eq!(text.lines().map(attempts).collect::<Vec<_>>(), [1, 1, 2, 1, 2, 1]);
    // Without retries that is the end of the file, and of no other.
    let one = folder(&[("a.txt", "0"), ("b.txt", "1"), ("c.txt", "2"), ("d.txt", "3")]);
    let output =
        batch(one.path(), "'crash-after-reading' --after 3", &with(&args, &["--retries", "0"])).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let failed = |line: &&str| serde_json::from_str::<Value>(line).unwrap()["kind"] == "worker_died";
    assert_eq!((text.lines().filter(failed).count(), text.lines().count()), (1, 4), "{text}");
}

/// Starts a batch whose third file takes ten minutes, and gives it a signal once the first two are done.
fn ended_by(signal: Signal) -> (TempDir, Output) {
    let folder = folder(&[("a.txt", "0"), ("b.txt", "0"), ("c.txt", "600000")]);
    let mut child = batch(folder.path(), "well-behaved", &with(&SLEEP, &["--jobs", "2"]));
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines().take(2);
    assert!(lines.map(Result::unwrap).all(|line| line.contains("\tok\t")));
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
    let output = child.wait_with_output().unwrap();
    std::fs::write(folder.path().join("in/c.txt"), "3").unwrap();
    (folder, output)
}

#[test]
fn an_interrupted_run_keeps_what_is_done_and_goes_on() {
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let (folder, output) = ended_by(signal);
        if signal == Signal::SIGINT {
            let text = error(&output, 130);
            assert!(text.contains("interrupted: 2 of 3 files done"), "{text}");
        }
        assert_eq!(outputs(folder.path()), ["a.json", "b.json"]);
        let again = run(folder.path(), &SLEEP);
        assert_eq!(statuses(&again, 0), expected(&[("a.txt", "skipped"), ("b.txt", "skipped"), ("c.txt", "ok")]));
    }
}

#[test]
fn no_more_files_are_under_way_than_asked_for() {
    let files: Vec<String> = (0..12).map(|n| format!("{n}.txt")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), "1")).collect();
    let folder = folder(&files);
    let this = env!("CARGO_BIN_EXE_millwork");
    let record = folder.path().join("frames.jsonl");
    let worker = format!("'{this}' inspect -q --record frames.jsonl -- '{this}' fake-worker --scenario well-behaved");
    let args = with(&SLEEP, &["--jobs", "3", "--worker", &worker]);
    let mut command = Command::new(this);
    command.arg("batch").args(args).args(["--in", "in", "--out", "out"]).current_dir(folder.path());
    let output = command.env("XDG_CONFIG_HOME", folder.path()).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = std::fs::read_to_string(&record).unwrap();
    let (mut open, mut most, mut asked) = (0_i32, 0, 0);
    let mut ids = std::collections::HashSet::new();
    for line in text.lines() {
        let frame: Value = serde_json::from_str(line).unwrap();
        let (kind, id) = (&frame["type"], frame["id"].to_string());
        match kind.as_str() {
            Some("execute") => (open, asked, _) = (open + 1, asked + 1, ids.insert(id)),
            Some("result") if ids.contains(&id) => open -= 1,
            _ => {}
        }
        most = most.max(open);
    }
    assert_eq!((asked, open), (12, 0), "{text}");
    assert!((1..=3).contains(&most), "{most} at once");
}

#[test]
fn mistakes_are_said_before_any_work() {
    let folder = folder(&[("a.txt", "1")]);
    let path = folder.path();
    let usage = |args: &[&str]| error(&run(path, args), 2);
    assert!(usage(&["fake.Ecko"]).contains("did you mean fake.Echo?"));
    assert!(usage(&["fake.Sleep"]).contains("no field that is free and for files"));
    assert!(usage(&["fake.Sleep", "--field", "m"]).contains("fake.Sleep has no field m"));
    assert!(usage(&["fake.Sleep", "ms=3", "--field", "ms"]).contains("cannot be given a value too"));
    assert!(usage(&with(&SLEEP, &["--slot", "outptu"])).contains("did you mean output?"));
    assert!(
        usage(&with(&SLEEP, &["--format", "png"])).contains("the output output of fake.Sleep is a value, and no .png")
    );
    assert!(usage(&with(&SLEEP, &["--match", "*.png"])).contains("there is no file to work on in in"));
    assert!(usage(&with(&SLEEP, &["--match", "["])).contains("--match ["));
    assert!(usage(&with(&SLEEP, &["--timeout=-1"])).contains("is no time in seconds"));
    assert!(!path.join("out").exists());
    let command = |from: &str, to: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millwork"));
        command.args(["batch", "fake.Echo", "--in", from, "--out", to, "--worker", "false", "--log", "off"]);
        command.current_dir(path).env("XDG_CONFIG_HOME", path).output().unwrap()
    };
    assert!(error(&command("gone", "out"), 2).contains("cannot read the folder gone"));
    assert!(error(&command("in", "in/../in"), 2).contains("are the same folder"));
    assert!(error(&command("in", "in/a.txt"), 2).contains("it is no folder"));
    error(&command("in", "out"), 3);
}

#[test]
fn outputs_within_the_folder_are_no_inputs_and_no_file_takes_anothers_place() {
    let folder = folder(&[("a.txt", "1"), ("a.dat", "2")]);
    let this = env!("CARGO_BIN_EXE_millwork");
    let run = |from: &str, to: &str| {
        let mut command = Command::new(this);
        command.args(with(&["batch"], &SLEEP)).args(["--in", from, "--out", to, "--recursive", "--log", "off"]);
        command.args(["--worker", &format!("'{this}' fake-worker --scenario well-behaved")]);
        command.current_dir(folder.path()).env("XDG_CONFIG_HOME", folder.path()).output().unwrap()
    };
    let ok = expected(&[("a.dat", "ok"), ("a.txt", "ok")]);
    assert_eq!(statuses(&run("in", "in/out"), 0), ok);
    let made = |name: &str| std::fs::read_to_string(folder.path().join("in/out").join(name)).unwrap();
    assert_eq!((made("a.txt.json").as_str(), made("a.dat.json").as_str()), ("1\n", "2\n"));
    let skipped = expected(&[("a.dat", "skipped"), ("a.txt", "skipped")]);
    assert_eq!(statuses(&run("in", "in/out"), 0), skipped);
    // The name within is such that the output would be a file of the folder.
    std::fs::create_dir_all(folder.path().join("x/x")).unwrap();
    for name in ["x/x/b.json", "x/b.json"] {
        std::fs::write(folder.path().join(name), "5").unwrap();
    }
    let output = run("x", ".");
    assert_eq!(statuses(&output, 1), expected(&[("b.json", "ok"), ("x/b.json", "failed")]));
    assert!(String::from_utf8_lossy(&output.stdout).contains("would take the place of a file"), "{output:?}");
}
