//! Packages with real processes: found, checked, overridden, reported where they do not load, and replaced when their files
//! change. Their program is this very file, see [`worker`]; folders of nodes have tests of their own.
#![cfg(feature = "stock")]
#![allow(clippy::disallowed_methods, reason = "the command itself is what is tested")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use millwork::config::PackageConfig;
use millwork::{Client, Config, ErrorKind, Fleet, Pending, WorkerConfig};
use millwork_protocol::{Envelope, Frame, FrameEvent, FrameReader, Map, READY_LINE, Value, map};
use serde_json::Value as Json;
use tempfile::TempDir;

/// Not a test: the worker's side. It has the node `p.Value`, whose value stands in `state.txt` of the folder that it starts in;
/// where `broken` stands there, a load error; where `dead` stands there, nothing, not even a process.
#[test]
#[ignore = "the worker's side of the other tests"]
fn worker() {
    let mut output = OpenOptions::new().write(true).open("/proc/self/fd/3").unwrap();
    let mut input = File::open("/proc/self/fd/0").unwrap();
    let state = std::fs::read_to_string("state.txt").unwrap_or_default().trim().to_owned();
    if state == "dead" {
        eprintln!("these are my last words");
        std::process::abort();
    }
    let mut reader = FrameReader::new(1 << 20);
    eprintln!("{READY_LINE}");
    loop {
        let space = reader.space();
        let (start, room) = (space.len(), space.capacity());
        space.resize(room, 0);
        let read = input.read(&mut space[start..]).unwrap();
        space.truncate(start + read);
        if read == 0 {
            return;
        }
        while let Some(FrameEvent::Frame(payload)) = reader.next_event() {
            let envelope = Envelope::peek(&payload).unwrap();
            let node = |name: &str| {
                let slot = map! { "name" => "output", "type" => map! { "type" => "str" } };
                Value::Map(map! { "node_type" => name, "outputs" => vec![Value::Map(slot)] })
            };
            let broken = map! {
                "module" => "p.Value", "phase" => "import", "error_type" => "Broken", "error" => "it is broken",
                "file" => "state.txt", "line" => 1, "column" => 2,
            };
            let (kind, data) = match envelope.kind.unwrap() {
                "discover" if state == "broken" => {
                    ("discover", map! { "nodes" => Vec::<Value>::new(), "load_errors" => vec![Value::Map(broken)] })
                }
                "discover" => {
                    let nodes = vec![node("p.Value"), node("q.Stray")];
                    ("discover", map! { "nodes" => nodes, "load_errors" => Vec::<Value>::new() })
                }
                "execute" => ("result", map! { "outputs" => map! { "output" => state.as_str() }, "blobs" => map! {} }),
                _ => ("result", map! {}),
            };
            let pieces = Frame::message(kind, envelope.request_id, &data).into_pieces();
            pieces.iter().for_each(|piece| output.write_all(piece).unwrap());
        }
    }
}

/// The command of such a worker, as TOML.
fn program() -> String {
    let this = std::env::current_exe().unwrap();
    let script = "exec \"$0\" --ignored --exact worker --nocapture 3>&1 1>&2";
    format!("{:?}", ["sh", "-c", script, this.to_str().unwrap()])
}

/// A package with this in its `[program]`, and this in its `state.txt`.
fn package(folder: &Path, name: &str, more: &str, state: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let head = format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nnamespaces = [\"p\"]\n");
    let text = format!("{head}\n[program]\ncommand = {}\n{more}", program());
    std::fs::write(folder.join("package.toml"), text).unwrap();
    std::fs::write(folder.join("state.txt"), state).unwrap();
}

fn millwork(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millwork"));
    command.args(args).current_dir(folder).stdin(Stdio::null());
    // Nobody's own settings and packages decide here.
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
        command.env(name, folder.join(name));
    }
    command.env_remove("MILLWORK_LOG").env_remove("MILLWORK_CONFIG").env_remove("MILLWORK_PACKAGES");
    command.output().unwrap()
}

/// What it says on both, when it ends with this exit code.
#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn a_package_is_a_worker_beside_the_stock_one() {
    let home = TempDir::new().unwrap();
    package(&home.path().join("all/a"), "a", "", "7");
    let run = |args: &[&str]| millwork(home.path(), args);
    assert_eq!(said(&run(&["run", "p.Value", "--package", "all"]), 0).trim(), "7");
    assert_eq!(said(&run(&["run", "text.Concat", "a=x", "b=y", "--package", "all/a"]), 0).trim(), "xy");
    // The folder of a file is where its paths begin, and what it says lies over the package's own.
    std::fs::create_dir(home.path().join("etc")).unwrap();
    let file = "[[package]]\npath = \"../all/a\"\nname = \"b\"\ninstances = 2\n";
    std::fs::write(home.path().join("etc/millwork.toml"), file).unwrap();
    let text = said(&run(&["config", "--origin", "--config", "etc/millwork.toml"]), 0);
    has(&text, &["package.a", "instances = 2", "etc/millwork.toml"]);
    let text = said(&run(&["config", "--config", "etc/millwork.toml"]), 0);
    has(&text, &["[[package]]", "instances = 2"]);
    assert_eq!(said(&run(&["run", "p.Value", "--config", "etc/millwork.toml"]), 0).trim(), "7");
    let text = said(&run(&["status", "--config", "etc/millwork.toml"]), 0);
    has(&text, &["stock", "b/1", "b/2", "WrongNamespace"]);
    std::fs::write(home.path().join("millwork.toml"), "[[package]]\npath = \"all\"\ncommand = [\"x\"]\n").unwrap();
    has(&said(&run(&["nodes"]), 2), &["unknown setting `package.command`"]);
}

#[test]
fn check_shows_what_there_is_and_every_problem_with_its_place() {
    let home = TempDir::new().unwrap();
    let check = |args: &[&str]| millwork(home.path(), &[&["check"], args].concat());
    package(&home.path().join("a"), "a", "", "7");
    let text = said(&check(&["a"]), 1);
    has(&text, &["a 1.0.0 in a", "p.Value", "q.Stray is outside of the namespaces of package `a`: p", "1 problem"]);
    package(&home.path().join("b"), "b", "instnces = 3\nmax_in_flight = \"x\"\n", "7");
    let text = said(&check(&["b"]), 1);
    let mark =
        "b/package.toml:8:1: unknown key `instnces` in [program] [manifest: UnknownKey]\n  8 | instnces = 3\n    | ^";
    has(&text, &[mark, "did you mean `instances`?", "b/package.toml:9:1: `max_in_flight`", "WrongType", "2 problems"]);
    package(&home.path().join("c"), "c", "", "broken");
    let json: Json = serde_json::from_slice(&check(&["a", "c", "none", "--json"]).stdout).unwrap();
    let of = |index: usize| json["packages"][index].clone();
    assert_eq!((&of(0)["name"], &of(0)["nodes"][0]["node_type"]), (&"a".into(), &"p.Value".into()));
    let problem = &of(1)["problems"][0];
    assert_eq!((&problem["file"], &problem["line"], &problem["column"]), (&"state.txt".into(), &1.into(), &2.into()));
    assert_eq!(of(2)["problems"][0]["error_type"], "MissingFile");
}

#[test]
fn what_does_not_start_says_where_and_what_would_help() {
    let home = TempDir::new().unwrap();
    let folder = |name: &str| home.path().join(name);
    package(&folder("dead"), "dead", "build = \"make it\"\n", "dead");
    std::fs::create_dir(folder("gone")).unwrap();
    let text =
        "[package]\nname = \"gone\"\nversion = \"1.0.0\"\n[program]\ncommand = [\"./nothing\"]\nbuild = \"make it\"\n";
    std::fs::write(folder("gone/package.toml"), text).unwrap();
    std::fs::create_dir(folder("bad")).unwrap();
    std::fs::write(
        folder("bad/package.toml"),
        "[package]\nname = \"bad\"\nversion = \"1.0.0\"\nmillwork = \">=900\"\n",
    )
    .unwrap();
    package(&folder("zero"), "dead", "", "7");
    let run = |args: &[&str]| millwork(home.path(), args);
    let text = said(
        &run(&["nodes", "--package", "dead", "--package", "gone", "--package", "bad", "--package", "zero", "--json"]),
        0,
    );
    let json: Json = serde_json::from_str(&text[text.find('{').unwrap()..]).unwrap();
    let found: Vec<String> = json["load_errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| format!("{} {} {} {}", e["module"], e["phase"], e["error_type"], e["line"]).replace('"', ""))
        .collect();
    for wanted in [
        "dead handshake WorkerFailed 7",
        "gone spawn ProgramNotFound 5",
        "bad manifest VersionNotMet 4",
        "dead manifest DuplicatePackage 2",
    ] {
        assert!(found.iter().any(|found| found == wanted), "{wanted} is not in {found:?}");
    }
    let text = said(&run(&["run", "gone.X", "--package", "gone"]), 2);
    has(&text, &["gone did not load: there is no program `./nothing`", "package.toml:5:11", "try `make it`"]);
    let text = said(&run(&["check", "dead"]), 1);
    has(&text, &["SIGABRT", "my last words", "dead/package.toml:7:11", "hint: try `make it`"]);
}

#[test]
fn packages_are_installed_replaced_and_removed() {
    let home = TempDir::new().unwrap();
    let run = |args: &[&str]| millwork(home.path(), args);
    let source = home.path().join("source");
    package(&source, "a", "", "dead");
    has(&said(&run(&["package", "list"]), 1), &["there are no packages"]);
    has(&said(&run(&["package", "add", "source"]), 1), &["a is not installed: 1 problem", "--force"]);
    said(&run(&["package", "add", "source", "--force"]), 0);
    std::fs::write(source.join("state.txt"), "8").unwrap();
    let version = |version: &str| {
        let text = std::fs::read_to_string(source.join("package.toml")).unwrap();
        let (head, tail) = text.split_once("version = \"").unwrap();
        let tail = tail.split_once('"').unwrap().1;
        let tail = tail.replace("namespaces = [\"p\"]", "namespaces = [\"p\", \"q\"]");
        std::fs::write(source.join("package.toml"), format!("{head}version = \"{version}\"{tail}")).unwrap();
    };
    version("1.2.0");
    has(&said(&run(&["package", "add", "source"]), 0), &["installed a 1.2.0, in the place of 1.0.0"]);
    version("1.1.0");
    has(&said(&run(&["package", "add", "source"]), 1), &["a 1.2.0 is installed, which is newer"]);
    has(&said(&run(&["package", "list"]), 0), &["a", "1.2.0", "XDG_DATA_HOME/millwork/packages"]);
    assert_eq!(said(&run(&["run", "p.Value"]), 0).trim(), "8");
    version("2.0.0");
    said(&run(&["package", "add", "source", "--link"]), 0);
    std::fs::write(source.join("state.txt"), "9").unwrap();
    assert_eq!(said(&run(&["run", "p.Value"]), 0).trim(), "9");
    has(&said(&run(&["package", "remove", "aa"]), 2), &["no package \"aa\" is installed", "did you mean a?"]);
    has(&said(&run(&["package", "remove", "a"]), 0), &["removed a"]);
    assert!(source.join("package.toml").exists() && !said(&run(&["package", "list"]), 1).contains("2.0.0"));
    let schema: Json = serde_json::from_str(&said(&run(&["package", "schema"]), 0)).unwrap();
    assert_eq!(schema["type"], "object");
}

/// Runs a test against a fleet of a package `p` whose files are watched, within a generous limit.
fn with_watched<F: Future<Output = ()>>(test: impl FnOnce(Client, PathBuf) -> F) {
    let home = TempDir::new().unwrap();
    let folder = home.path();
    package(folder, "p", "", "0");
    // Another worker in the stock one's place: it need not start.
    let idle = WorkerConfig::new("idle", ["sh", "-c", "exit 1"]);
    let config = Config { packages: vec![PackageConfig::new(folder)], watch: true, ..Config::with_workers([idle]) };
    let fleet = Fleet::start(config).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = fleet.client();
        let limited = tokio::time::timeout(Duration::from_secs(120), async {
            client.ready().await.unwrap();
            test(client, folder.to_owned()).await;
        });
        limited.await.expect("the test ends in time");
        fleet.shutdown().await;
    });
}

/// The value that the package has by now, or its error's text.
async fn value(pending: Pending) -> Result<String, String> {
    match pending.finish().await {
        Ok(result) => Ok(result.get("outputs").unwrap().get("output").unwrap().as_str().unwrap().to_owned()),
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::UnknownNode, "{error}");
            Err(error.message)
        }
    }
}

/// Sends requests, some at a time, until one is answered so; at least `least`. Says how many, and what the others said.
async fn until(client: &Client, wanted: &Result<String, String>, least: usize) -> (usize, Vec<Result<String, String>>) {
    let (mut sent, mut answers, mut is_there) = (0, Vec::new(), false);
    while !is_there || sent < least {
        let some: Vec<Pending> = (0..8).map(|_| client.execute("p.Value").field("n", sent).send()).collect();
        for pending in some {
            sent += 1;
            let answer = value(pending).await;
            is_there |= answer == *wanted;
            if !answers.contains(&answer) {
                answers.push(answer);
            }
        }
    }
    (sent, answers)
}

#[test]
fn a_thousand_requests_across_ten_edits_fail_only_for_the_one_that_is_broken() {
    with_watched(|client, folder| async move {
        let broken =
            Err("Unknown node type: p.Value (p.Value did not load: it is broken, state.txt line 1, column 2)"
                .to_owned());
        let mut before = Ok("0".to_owned());
        let mut sent = until(&client, &before, 1).await.0;
        let start = Instant::now();
        for edit in 1..=10 {
            let is_broken = edit == 5;
            let state = if is_broken { "broken".to_owned() } else { edit.to_string() };
            std::fs::write(folder.join("state.txt"), &state).unwrap();
            let after = if is_broken { broken.clone() } else { Ok(state) };
            let (more, answers) = until(&client, &after, 100).await;
            sent += more;
            assert!(answers.iter().all(|answer| *answer == before || *answer == after), "edit {edit}: {answers:?}");
            before = after;
        }
        assert!(sent >= 1000);
        println!("{sent} requests across ten edits in {:?}", start.elapsed());
    });
}

#[test]
fn a_version_that_does_not_come_up_leaves_the_old_one_serving() {
    with_watched(|client, folder| async move {
        until(&client, &Ok("0".to_owned()), 1).await;
        std::fs::write(folder.join("state.txt"), "dead").unwrap();
        let failed = |found: &Map| {
            let errors = found.get("load_errors").and_then(Value::as_list).unwrap();
            errors.iter().any(|error| {
                error.get("error_type") == Some(&"WorkerFailed".into()) && error.get("module") == Some(&"p".into())
            })
        };
        while !failed(&client.discover().await.unwrap()) {
            let (_, answers) = until(&client, &Ok("0".to_owned()), 8).await;
            assert_eq!(answers, [Ok("0".to_owned())]);
        }
        // The next edit is taken up at once, whatever the wait was.
        std::fs::write(folder.join("state.txt"), "1").unwrap();
        until(&client, &Ok("1".to_owned()), 1).await;
        assert!(!failed(&client.discover().await.unwrap()));
    });
}

#[test]
fn a_manifest_that_breaks_and_is_mended_is_seen() {
    with_watched(|client, folder| async move {
        until(&client, &Ok("0".to_owned()), 1).await;
        let good = std::fs::read_to_string(folder.join("package.toml")).unwrap();
        std::fs::write(folder.join("package.toml"), good.replace("version = \"1.0.0\"", "version = 1")).unwrap();
        let told = loop {
            match value(client.execute("p.Value").send()).await {
                Ok(value) => assert_eq!(value, "0"),
                Err(text) => break text,
            }
        };
        assert!(told.contains("p did not load: ") && told.contains("package.toml line 3, column 11"), "{told}");
        std::fs::write(folder.join("package.toml"), good).unwrap();
        while value(client.execute("p.Value").send()).await.is_err() {}
    });
}
