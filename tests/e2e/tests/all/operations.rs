//! What operators see and steer while a fleet runs: events, figures, the table of a running fleet, and other settings.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use millwork_e2e::{Launch, Map, PATIENCE, Peer, Program, Request, Value, within};
use nix::sys::signal::Signal;
use serde_json::Value as Json;

fn serve(config: &str) -> Launch {
    Launch::of("millwork").args(["serve", "--stdio"]).file("millwork.toml", config)
}

fn events(file: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn get(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The workers as the status has them: name and state.
fn workers(peer: &mut Peer) -> Vec<(String, String)> {
    let status = peer.ask("worker.status", Map::new());
    let rows = status.data["extensions"].get("supervisor").and_then(|s| s.get("workers")).cloned().unwrap();
    let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    rows.as_list().unwrap().iter().map(|row| (text(row, "name"), text(row, "state"))).collect()
}

fn are(peer: &mut Peer, due: &[(&str, &str)]) -> bool {
    let found = workers(peer);
    found.iter().map(|(name, state)| (name.as_str(), state.as_str())).eq(due.iter().copied())
}

/// Every change of a worker and every end of a request is a line, with the same ids as everywhere.
#[test]
fn events_are_written_as_they_happen() {
    let launch = Program::Supervisor.launch();
    let file = launch.folder().join("events.jsonl");
    let mut peer = launch.arg("--events").arg(&file).start().ready();
    let fine = peer.begin("execute", Request::node("test.Add"));
    peer.frames_of(&fine);
    let failed = peer.begin("execute", Request::node("test.Fail").field("kind", "too_large"));
    peer.frames_of(&failed);
    assert_eq!(peer.execute(Request::node("test.Abort")).error_kind(), "worker_died");
    peer.is_well();
    peer.close();
    assert!(peer.exit(PATIENCE).is_some());
    let events = events(&file);
    let of = |id: &str| {
        events.iter().find(|event| event["request_id"] == *id).unwrap_or_else(|| panic!("{id}: {events:#?}"))
    };
    let told = |event: &Json| [&event["type"], &event["target"], &event["worker"], &event["outcome"]].map(Json::clone);
    assert_eq!(told(of(&fine)), ["execute", "test.Add", "stock", "ok"]);
    assert_eq!(told(of(&failed)), ["execute", "test.Fail", "stock", "too_large"]);
    assert!(events.iter().any(|event| event["outcome"] == "worker_died" && event["run_ms"].is_u64()));
    let states: Vec<&str> =
        events.iter().filter(|e| e["event"] == "worker").filter_map(|e| e["state"].as_str()).collect();
    assert!(states.starts_with(&["starting", "discovering", "ready", "backing_off", "starting"]), "{states:?}");
    assert_eq!((&events[0]["event"], &events[events.len() - 1]["event"]), (&"started".into(), &"stopped".into()));
}

/// Prometheus and `millwork status --fleet` ask the fleet while it serves.
#[test]
fn a_running_fleet_tells_its_figures() {
    let launch = Program::Supervisor.launch();
    let (folder, socket) = (launch.folder().to_owned(), launch.folder().join("metrics.sock"));
    let address = format!("unix:{}", socket.display());
    let mut peer = launch.args(["--metrics", &address]).env("XDG_RUNTIME_DIR", &folder).start().ready();
    for _ in 0..3 {
        peer.is_well();
    }
    assert_eq!(peer.execute(Request::node("test.Fail")).kind, "error");
    let metrics = get(&socket, "/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200 OK"), "{metrics}");
    for line in [
        "millwork_requests_total{worker=\"stock\",outcome=\"ok\"} 3",
        "millwork_requests_total{worker=\"stock\",outcome=\"error\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(get(&socket, "/nothing").starts_with("HTTP/1.1 404"));
    // One who connects and says nothing holds nobody up for long.
    let _silent = UnixStream::connect(&socket).unwrap();
    peer.is_well();
    assert!(get(&socket, "/status").starts_with("HTTP/1.1 200"));

    let status = |args: &[&str]| {
        let output =
            Launch::of("millwork").args(["status", "--fleet"]).args(args).env("XDG_RUNTIME_DIR", &folder).run();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, table) = status(&[]);
    assert!(code == Some(0) && table.contains("stock") && table.contains("p99"), "{table}");
    let (_, json) = status(&[&peer.pid().to_string(), "--json"]);
    let json: Json = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!((&json["workers"][0]["requests"], &json["workers"][0]["errors"]), (&5.into(), &1.into()));
    let (code, text) = status(&["1"]);
    assert!(code == Some(3) && text.contains("no fleet of process 1"), "{text}");
    peer.close();
    assert!(peer.exit(PATIENCE).is_some());
    assert!(!socket.exists(), "it goes with the fleet");
    assert_eq!(status(&[]).0, Some(3));
}

/// Other settings are in force without a request lost; a file that is wrong changes nothing.
#[test]
fn a_configuration_that_changes_is_applied_under_load() {
    let worker = |name: &str, more: &str| {
        format!(
            "[[worker]]\nname = \"{name}\"\ncommand = [\"{}\", \"--stdio\", {more}]\n",
            millwork_e2e::process::binary("millwork-worker").display()
        )
    };
    let (one, two) =
        (worker("one", "\"--namespaces\", \"test\", \"--test-nodes\""), worker("two", "\"--namespaces\", \"text\""));
    let launch = serve(&one);
    let file = launch.folder().join("millwork.toml");
    let mut peer = launch.start().ready();
    let slow = peer.begin("execute", Request::node("test.Sleep").field("ms", 2_000));
    // As editors do it: a new file in the old one's place.
    let rewrite = |text: &str| {
        let draft = file.with_extension("new");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, &file).unwrap();
    };
    let is_soon = |peer: &mut Peer, due: &[(&str, &str)]| {
        assert!(within(PATIENCE, || are(peer, due)), "{:?}\n{}", workers(peer), peer.stderr());
    };
    rewrite(&format!("max_queued = 7\n{one}instances = 2\n{two}"));
    let answer = peer.frames_of(&slow).pop().unwrap();
    assert_eq!(answer.kind, "result", "{answer:?}");
    is_soon(&mut peer, &[("one", "ready"), ("one/2", "ready"), ("two", "ready")]);
    assert_eq!(peer.execute(Request::node("text.Concat").field("a", "x").field("b", "y")).kind, "result");

    rewrite("max_queued = \"many\"");
    let told = within(PATIENCE, || peer.stderr().contains("the configuration is left as it was"));
    assert!(told && peer.stderr().contains("max_queued"), "{}", peer.stderr());
    is_soon(&mut peer, &[("one", "ready"), ("one/2", "ready"), ("two", "ready")]);

    // Without inotify there is the signal.
    let under_way = peer.begin("execute", Request::node("test.Sleep").field("ms", 1_000));
    rewrite(&one);
    peer.signal(Signal::SIGHUP);
    assert_eq!(peer.frames_of(&under_way).pop().unwrap().kind, "result");
    is_soon(&mut peer, &[("one", "ready")]);
    assert_eq!(peer.execute(Request::node("text.Concat")).error_kind(), "unknown_node");
    peer.is_well();
    peer.close();
    assert!(peer.exit(PATIENCE).is_some());
}

/// What cannot be listened on or written to is said before anything is started.
#[test]
fn places_that_cannot_be_used_are_named() {
    for (flags, part) in [
        (["--metrics", "9464"], "`metrics` in command line: \"9464\" is no address"),
        (["--metrics", "unix:/no/such/folder/x.sock"], "cannot answer on the `metrics` socket"),
        (["--events", "/no/such/folder/events"], "cannot write to the file of `events`"),
    ] {
        let output = Launch::of("millwork").args(["serve", "--stdio"]).args(flags).run();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code().is_some_and(|code| code != 0) && text.contains(part), "{text}");
    }
}
