//! The command `millwork` as a person or a script meets it: what it prints, what it writes, how it exits.
#![cfg(feature = "stock")]
#![allow(clippy::disallowed_methods, reason = "the command itself is what is tested")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millwork"));
    command.args(args).current_dir(folder);
    // Nobody's own settings decide here.
    command.env("XDG_CONFIG_HOME", folder).env("XDG_DATA_HOME", folder);
    command.env_remove("MILLWORK_LOG").env_remove("MILLWORK_CONFIG").env_remove("MILLWORK_PACKAGES");
    command
}

fn millwork_in(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).stdin(Stdio::null()).output().unwrap()
}

fn millwork(args: &[&str]) -> Output {
    millwork_in(tempfile::tempdir().unwrap().path(), args)
}

fn start(args: &[&str]) -> Child {
    let folder = std::env::temp_dir();
    command(&folder, args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it says on stderr when it ends with this exit code.
#[track_caller]
fn error(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.starts_with("error: ") || text.contains("\nerror: "), "{text}");
    text
}

#[test]
fn a_node_runs_and_its_value_is_alone_on_stdout() {
    assert_eq!(stdout(&millwork(&["run", "test.Add", "a=2", "b=3.5", "--test-nodes"])), "5.5\n");
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&millwork(&["run", "test.Add", "a=2", "b=3.5", "--test-nodes", "--json"])))
            .unwrap();
    assert_eq!(json, serde_json::json!({ "output": 5.5 }));
}

#[test]
fn bytes_go_in_and_out_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    std::fs::write(folder.path().join("in.bin"), &bytes).unwrap();
    let output = millwork_in(folder.path(), &["run", "test.Echo", "value=@in.bin", "-o", "out.bin", "--test-nodes"]);
    assert_eq!(stdout(&output), "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("wrote out.bin"));
    assert!(std::fs::read(folder.path().join("out.bin")).unwrap() == bytes);
    let piped = millwork_in(folder.path(), &["run", "test.Echo", "value=@in.bin", "-o", "-", "--test-nodes"]);
    assert!(piped.stdout == bytes);
}

#[test]
fn mistakes_are_usage_errors_that_name_the_way_out() {
    let run = |args: &[&str]| error(&millwork(&[&["run", "--test-nodes"], args].concat()), 2);
    assert!(run(&["test.Ecko"]).contains("did you mean test.Echo?"));
    assert!(run(&["test.Add", "a=2", "c=3"]).contains("test.Add has no field c"));
    assert!(run(&["test.Add", "a=two", "b=3"]).contains("field a of test.Add takes float: \"two\" is no number"));
    assert!(run(&["control.If"]).contains("control.If needs the field condition (bool)"));
    assert!(run(&["test.Echo", "value=@nowhere.png"]).contains("cannot read nowhere.png"));
    assert!(run(&["test.Add", "a=1", "b=1", "-o", "sum=x.txt"]).contains("has no output sum"));
    assert!(run(&["test.Echo", "--secret", "MILLWORK_NOT_SET"]).contains("MILLWORK_NOT_SET is not in the environment"));
}

#[test]
fn a_node_that_fails_says_what_and_of_which_kind() {
    let output = millwork(&["run", "test.Fail", "message=it broke", "kind=timeout", "--test-nodes"]);
    let text = error(&output, 1);
    assert!(text.contains("error: it broke") && text.contains("kind: timeout"), "{text}");
    let text = error(&millwork(&["run", "test.Panic", "message=boo", "--test-nodes"]), 1);
    assert!(text.contains("boo") && text.contains("kind: panic") && text.contains("-v"), "{text}");
    let text = error(&millwork(&["run", "test.Panic", "message=boo", "--test-nodes", "-v", "--log", "off"]), 1);
    assert!(text.lines().count() > 5, "no traceback in {text}");
}

#[test]
fn without_a_worker_it_exits_with_3() {
    for command in [&["nodes"][..], &["status"], &["run", "test.Echo"], &["bench", "--", "false"]] {
        let worker: &[&str] = if command[0] == "bench" { &[] } else { &["--worker", "false", "--log", "off"] };
        error(&millwork(&[&command[..1], worker, &command[1..]].concat()), 3);
    }
}

#[test]
fn a_secret_comes_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let args = [&["run", "test.NeedsSecret", "--test-nodes"], args].concat();
        command(folder.path(), &args).env("TEST_SECRET", "open sesame").stdin(Stdio::null()).output().unwrap()
    };
    let digest = stdout(&run(&["--secret", "TEST_SECRET"]));
    assert_eq!(digest.trim(), "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb");
    let text = error(&run(&[]), 1);
    assert!(text.contains("missing_setting") && text.contains("--secret TEST_SECRET"), "{text}");
    assert!(!text.contains("sesame"));
}

#[test]
fn chunks_are_printed_as_they_come_and_ctrl_c_cancels() {
    let few = stdout(&millwork(&["run", "test.Stream", "n=3", "--test-nodes"]));
    assert_eq!(few.lines().count(), 3, "{few}");

    let mut child = start(&["run", "test.Stream", "n=1000000000", "--test-nodes"]);
    let mut chunks = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    chunks.read_line(&mut first).unwrap();
    assert!(first.trim().strip_prefix("output: ").is_some_and(|n| n.parse::<u64>().is_ok()), "{first:?}");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    std::io::copy(&mut chunks, &mut std::io::sink()).unwrap();
    let text = error(&child.wait_with_output().unwrap(), 130);
    assert!(text.contains("cancel") || text.contains("interrupted"), "{text}");
}

#[test]
fn a_watched_status_comes_again_and_again_until_ctrl_c() {
    let mut child = start(&["status", "--watch", "--json", "--test-nodes"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let status: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(status["extensions"]["supervisor"]["workers"][0]["state"], "ready", "{status}");
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert!(lines.all(|line| line.is_ok()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_inventory_is_a_table_a_page_and_json() {
    let all = stdout(&millwork(&["nodes", "--test-nodes"]));
    for part in ["control.If", "test.Echo", "did not load"] {
        assert!(all.contains(part), "{part} is not in\n{all}");
    }
    let one = stdout(&millwork(&["nodes", "control.If"]));
    assert!(one.contains("if_true") && one.contains("millwork run control.If condition=true"), "{one}");
    let json: serde_json::Value = serde_json::from_str(&stdout(&millwork(&["nodes", "--json"]))).unwrap();
    let nodes = json["nodes"].as_array().unwrap();
    assert!(nodes.iter().all(|node| !node["node_type"].as_str().unwrap().starts_with("test.")));
    assert!(error(&millwork(&["nodes", "contrl.If"]), 2).contains("did you mean control.If?"));
}

#[test]
fn status_names_the_worker() {
    let status: serde_json::Value = serde_json::from_str(&stdout(&millwork(&["status", "--json"]))).unwrap();
    assert_eq!(status["extensions"]["supervisor"]["workers"][0]["state"], "ready");
    let text = stdout(&millwork(&["status"]));
    assert!(text.contains("node count") && text.contains("ready"), "{text}");
}

#[test]
fn status_waits_for_every_worker() {
    let slow = ["--worker", concat!(env!("CARGO_BIN_EXE_millwork"), " worker --stdio")];
    let args =
        [&["status", "--json"], &slow[..], &["--worker", "sh -c 'sleep 1; echo last words >&2; exit 3'"]].concat();
    let status: serde_json::Value = serde_json::from_str(&stdout(&millwork(&args))).unwrap();
    let workers = &status["extensions"]["supervisor"]["workers"];
    assert_eq!((&workers[0]["state"], &workers[0]["in_flight"]), (&"ready".into(), &0.into()));
    assert_ne!(workers[1]["state"], "starting");
    assert!(status["load_errors"].to_string().contains("last words"), "{status}");
}

#[test]
fn flags_of_the_stock_worker_reach_a_listed_one_or_are_refused() {
    let ours = concat!(env!("CARGO_BIN_EXE_millwork"), " worker --stdio");
    assert_eq!(stdout(&millwork(&["run", "test.Add", "a=2", "b=3.5", "--test-nodes", "--worker", ours])), "5.5\n");
    let text = error(&millwork(&["nodes", "--test-nodes", "--worker", "python -m nodetool.worker"]), 2);
    assert!(text.contains("--test-nodes has no effect"), "{text}");
}

#[test]
fn variables_are_settings_too_and_slips_in_them_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        |name: &str, value: &str| command(folder.path(), &["config", "--origin"]).env(name, value).output().unwrap();
    let text = stdout(&config("MILLWORK_THREADS", "7"));
    assert!(text.lines().any(|line| line.contains("stock.threads") && line.contains("$MILLWORK_THREADS")), "{text}");
    assert!(error(&config("MILLWORK_THREADS", "abc"), 2).contains("$MILLWORK_THREADS"));
    let warning = |name, value| String::from_utf8_lossy(&config(name, value).stderr).into_owned();
    assert!(warning("MILLWORK_THREDS", "7").contains("did you mean MILLWORK_THREADS?"));
    assert!(warning("NODETOOL_BRIDGE_MAX_FRAME_SIZE", "abc").contains("no number of bytes"));
    assert_eq!(warning("MILLWORK_GPU", "off"), "");
}

#[test]
fn the_users_file_lies_below_that_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let user = folder.path().join("millwork");
    std::fs::create_dir(&user).unwrap();
    std::fs::write(user.join("millwork.toml"), "max_queued = 7\nmax_in_flight = 8\n").unwrap();
    std::fs::write(folder.path().join("millwork.toml"), "max_in_flight = 9\n").unwrap();
    let settings: serde_json::Value =
        serde_json::from_str(&stdout(&millwork_in(folder.path(), &["config", "--json"]))).unwrap();
    let value = |key: &str| settings.as_array().unwrap().iter().find(|s| s["key"] == key).unwrap()["value"].clone();
    assert_eq!((value("max_queued"), value("max_in_flight")), (7.into(), 9.into()));
}

#[test]
fn a_level_that_is_none_is_a_mistake() {
    assert!(error(&millwork(&["nodes", "--log", "banana"]), 2).contains("\"banana\" is no level"));
}

#[test]
fn settings_know_where_they_come_from() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("millwork.toml"), "max_queued = 7\n").unwrap();
    let text = stdout(&millwork_in(folder.path(), &["config", "--origin", "--threads", "2"]));
    let from = |key: &str| text.lines().find(|line| line.trim_start().starts_with(key)).unwrap().to_owned();
    assert!(from("max_queued ").contains("millwork.toml"));
    assert!(from("stock.threads").contains("command line"));
    assert!(error(&millwork(&["config", "--config", "gone.toml"]), 2).contains("gone.toml"));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = start(&["nodes"]);
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn the_benchmark_measures_a_worker_and_leaves_nothing_behind() {
    let this = env!("CARGO_BIN_EXE_millwork");
    let args = ["bench", "--quick", "--json", "--vs", &format!("'{this}' serve --stdio --test-nodes"), "--"];
    let output = millwork(&[&args[..], &[this, "worker", "--stdio", "--test-nodes"]].concat());
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let number = |key: &str, column: &str| {
        let row = rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no row {key}"));
        row[column].as_f64().unwrap_or_else(|| panic!("no {column} in {row}"))
    };
    for key in ["ready", "execute_p50", "status_p50", "pipelined", "blob_65536", "blob_134217728", "exit"] {
        assert!(["worker", "reference", "other"].iter().all(|column| number(key, column) > 0.0), "{key}");
    }
    for key in ["progress", "chunks", "cancel"] {
        assert!(number(key, "worker") > 0.0 && number(key, "other") > 0.0, "{key}");
    }
    assert!(number("memory_peak", "worker") >= number("memory_idle", "worker"));
    assert!(number("memory_idle_children", "other") > 0.0, "the supervisor's workers are listed apart");
}

#[test]
fn a_picture_is_written_in_the_format_of_its_files_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.png"), PIXEL).unwrap();
    for (file, head) in [("out.png", &b"\x89PNG"[..]), ("out.jpg", b"\xff\xd8\xff"), ("out.webp", b"RIFF")] {
        stdout(&millwork_in(folder.path(), &["run", "image.Invert", "image=in.png", "-o", file]));
        assert!(std::fs::read(folder.path().join(file)).unwrap().starts_with(head), "{file}");
    }
    let told = stdout(&millwork_in(folder.path(), &["run", "image.Invert", "image=in.png"]));
    assert!(told.starts_with("image (PNG, 1×1") && told.contains("-o FILE"), "{told}");
    let mut child = command(folder.path(), &["run", "image.Invert", "image=-", "-o", "-"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(PIXEL).unwrap();
    assert!(child.wait_with_output().unwrap().stdout.starts_with(b"\x89PNG"));
}

#[test]
fn tensors_in_a_list_come_out_whole() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        millwork_in(folder.path(), &[&["run", "tensor.Split", "tensor=[1, 2, 3.5]", "parts=3"], args].concat())
    };
    let told = run(&["-o", "part.npy"]);
    assert_eq!(stdout(&told), "");
    for (number, value) in [(1, 1.0f32), (2, 2.0), (3, 3.5)] {
        let file = std::fs::read(folder.path().join(format!("part-{number}.npy"))).unwrap();
        assert!(file.starts_with(b"\x93NUMPY") && file.ends_with(&value.to_le_bytes()));
        assert!(String::from_utf8_lossy(&told.stderr).contains(&format!("wrote part-{number}.npy")));
    }
    stdout(&run(&["-o", "part.json"]));
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let all = serde_json::json!([[1.0], [2.0], [3.5]]);
    assert_eq!(json(&std::fs::read_to_string(folder.path().join("part.json")).unwrap()), all);
    assert_eq!(json(&stdout(&run(&["--json"]))), serde_json::json!({ "output": all }));
    assert!(stdout(&run(&[])).contains("[3.5]"));
}

#[test]
fn what_cannot_be_written_is_said_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    // A node that would take an hour.
    let run = |output: &str| {
        let args = ["run", "test.Sleep", "ms=3600000", "--test-nodes", "-o", output];
        error(&millwork_in(folder.path(), &args), 2)
    };
    assert!(run("nowhere/x.txt").contains("there is no folder nowhere"));
    assert!(run("").contains("-o is given no file"));
    assert!(run("x.npy").contains("and no .npy"));
    let run = |args: &[&str]| error(&millwork_in(folder.path(), &[&["run"], args].concat()), 2);
    assert!(run(&["tensor.Create", "shape=[2]", "-o", "e.png"]).contains("name the file .npy"));
    let both =
        command(folder.path(), &["run", "image.Blend", "image=-", "other=-"]).stdin(Stdio::null()).output().unwrap();
    assert!(error(&both, 2).contains("stdin can be given to one field only"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_sound_is_not_written_under_another_formats_name() {
    let folder = tempfile::tempdir().unwrap();
    let run = |file: &str| millwork_in(folder.path(), &["run", "audio.Oscillator", "duration=0.01", "-o", file]);
    assert!(error(&run("d.mp3"), 1).contains("name the file .wav"));
    assert!(!folder.path().join("d.mp3").exists());
    stdout(&run("d.wav"));
    assert!(std::fs::read(folder.path().join("d.wav")).unwrap().starts_with(b"RIFF"));
}

#[test]
fn a_result_may_be_larger_than_a_frame() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["run", "test.BigBlob", "bytes=3000000", "-o", "big.bin", "--test-nodes"];
    let mut run = command(folder.path(), &args);
    stdout(&run.env("NODETOOL_BRIDGE_MAX_FRAME_SIZE", "1000000").stdin(Stdio::null()).output().unwrap());
    assert_eq!(std::fs::metadata(folder.path().join("big.bin")).unwrap().len(), 3_000_000);
}

#[test]
fn values_of_several_slots_keep_their_names_in_a_stream() {
    let text = stdout(&millwork(&["run", "text.Length", "text=hello", "--stream"]));
    assert!(text.contains("characters: 5\n") && text.contains("words: 1\n"), "{text}");
}

#[test]
fn a_worker_reaches_the_folders_that_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let (work, other) = (folder.path().join("work"), folder.path().join("other"));
    std::fs::create_dir(&work).unwrap();
    std::fs::create_dir(&other).unwrap();
    let save = |args: &[&str]| {
        millwork_in(&work, &[&["run", "tensor.Save", "tensor=[1]", "path=../other/x.npy"], args].concat())
    };
    assert!(error(&save(&[]), 1).contains("--allow-path"));
    stdout(&save(&["--allow-path", "../other"]));
    std::fs::write(work.join("millwork.toml"), "[stock]\nworkspace = \"../other\"\n").unwrap();
    stdout(&millwork_in(&work, &["run", "tensor.Save", "tensor=[1]", "path=y.npy"]));
    assert!(other.join("x.npy").exists() && other.join("y.npy").exists());
}

#[test]
fn the_examples_run_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("photo.png"), PIXEL).unwrap();
    let tensor = ["run", "tensor.FromList", "values=[[[[0, 0], [1, 1]]]]", "-o", "tensor.npy"];
    stdout(&millwork_in(folder.path(), &tensor));
    for file in ["a.npy", "b.npy"] {
        std::fs::copy(folder.path().join("tensor.npy"), folder.path().join(file)).unwrap();
    }
    for node in ["text.Join", "tensor.Stack", "tensor.Add", "image.Resize", "json.Parse", "tensor.Save", "text.Format"]
    {
        let page = stdout(&millwork(&["nodes", node]));
        let example = page.lines().last().unwrap().trim().strip_prefix("millwork ").unwrap();
        let args = shlex::split(example).unwrap();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        stdout(&millwork_in(folder.path(), &args));
    }
    let page = stdout(&millwork(&["nodes", "tensor.Abs"]));
    assert!(page.contains("tensor=tensor.npy -o out.npy"), "{page}");
}

#[test]
fn a_pattern_does_not_hide_that_something_did_not_load() {
    let text = stdout(&millwork(&["nodes", "image.Blur", "--test-nodes"]));
    assert!(text.contains("sigma"));
    let text = stdout(&millwork(&["nodes", "image.", "--test-nodes"]));
    assert!(text.contains("not shown: `millwork nodes` lists all"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
}

#[test]
fn logs_in_a_file_have_no_colours() {
    let output = millwork(&["run", "test.Add", "a=1", "b=2", "--test-nodes", "-v"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!text.is_empty() && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_worker_is_called_as_it_was_started() {
    let help = stdout(&millwork(&["worker", "--help"]));
    assert!(help.contains("Usage: millwork worker") && help.contains("--verbose"), "{help}");
}

#[test]
fn the_digit_of_the_readme_is_a_seven() {
    let picture = concat!("image=", env!("CARGO_MANIFEST_DIR"), "/../docs/images/seven.png");
    assert!(stdout(&millwork(&["run", "onnx.Classify", picture])).starts_with("label: 7\n"));
}

/// One pixel, red; the smallest PNG there is.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";

#[test]
fn the_completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&millwork(&["completions", shell]));
        assert!(script.contains("bench"), "{shell}");
        assert!(!script.contains("bench-echo"), "{shell}");
    }
}

#[test]
fn the_reference_gives_back_its_bytes() {
    let folder = std::env::temp_dir();
    let mut child = command(&folder, &["bench-echo"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"hello").unwrap();
    let mut back = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
    drop(input);
    assert!(child.wait().unwrap().success());
}
