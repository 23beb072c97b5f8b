//! `millwork inspect` and `millwork replay`: what passes between a host and a worker is shown, recorded and sent again.

use std::fs;
use std::path::Path;

use millwork_e2e::process::binary;
use millwork_e2e::{Launch, Map, PATIENCE, Request, Value, within};
use nix::sys::signal::Signal;

const SECRET: &str = "hunter22-and-more";

fn fake(scenario: &str) -> Vec<String> {
    let millwork = binary("millwork").to_str().unwrap().to_owned();
    vec![millwork, "fake-worker".to_owned(), "--scenario".to_owned(), scenario.to_owned()]
}

fn replay(recording: &Path, scenario: &str) -> (Option<i32>, String) {
    let launch = Launch::of("millwork").args(["replay", recording.to_str().unwrap(), "--"]).args(fake(scenario));
    let output = launch.run();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_session_is_shown_recorded_and_played_again() {
    let folder = tempfile::tempdir().unwrap();
    let [recording, trace] = ["session.jsonl", "trace.json"].map(|name| folder.path().join(name));
    let options = ["--record", recording.to_str().unwrap(), "--chrome-trace", trace.to_str().unwrap(), "--"];
    let mut peer = Launch::of("millwork").arg("inspect").args(options).args(fake("well-behaved")).start().ready();
    assert_eq!(peer.ask("discover", Map::new()).kind, "discover");
    // Large enough for many reads, and back through both pipes unchanged.
    let bytes: Vec<u8> = (0..3 << 20).map(|i: u32| (i % 251) as u8).collect();
    let answer = peer.execute(Request::node("fake.Echo").blob("value", bytes.clone()).secret("KEY", SECRET));
    assert!(answer.blob("output") == bytes);
    let echoed = peer.execute(Request::node("fake.Echo").field("value", format!("401 for {SECRET}")));
    assert_eq!(echoed.output("output"), &Value::from(format!("401 for {SECRET}")), "the host gets what was sent");
    let stream = peer.call("execute.stream", Request::node("fake.Stream").field("n", 3));
    assert_eq!(stream.len(), 4);
    peer.close();
    assert_eq!(peer.exit(PATIENCE).and_then(|status| status.code()), Some(0));

    let shown = peer.stderr();
    assert!(shown.contains("→  execute") && shown.contains("←  chunk") && shown.contains("fake.Stream"), "{shown}");
    let recorded = fs::read_to_string(&recording).unwrap();
    assert!(!shown.contains(SECRET) && !recorded.contains(SECRET));
    let events: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(&trace).unwrap()).unwrap();
    let count = |phase: &str| events.iter().filter(|event| event["ph"] == phase).count();
    assert_eq!((count("b"), count("e"), count("n")), (4, 4, 3), "{events:?}");

    assert_eq!(replay(&recording, "well-behaved"), (Some(0), "4 requests, 4 the same, 0 different\n".to_owned()));
    let (code, text) = replay(&recording, "error-null-traceback");
    assert!(code == Some(1) && text.contains("was result, now error") && text.contains("3 the same, 1 diff"), "{text}");
    let (code, text) = replay(&recording, "crash-after-reading");
    assert!(code == Some(1) && text.contains("stopped: the worker ended before it answered"), "{text}");
}

/// As hosts do it: the end of input and SIGTERM together. The worker's end is the end, with its status.
#[test]
fn it_ends_with_its_worker() {
    let mut peer = Launch::of("millwork").args(["inspect", "--"]).args(fake("outlives-its-input")).start().ready();
    peer.ask("discover", Map::new());
    peer.close();
    peer.signal(Signal::SIGTERM);
    // As a shell says it: 128 and the signal that the worker died of.
    assert_eq!(peer.exit(PATIENCE).and_then(|status| status.code()), Some(128 + Signal::SIGTERM as i32));
    assert!(within(PATIENCE, || millwork_e2e::descendants::marked(peer.mark()).is_empty()));

    let mut peer = Launch::of("millwork").args(["inspect", "--quiet", "--"]).args(fake("exits-at-start")).start();
    assert_eq!(peer.exit(PATIENCE).and_then(|status| status.code()), Some(2));
    let output = Launch::of("millwork").args(["inspect", "--", "/no/such/worker"]).run();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && text.contains("cannot start `/no/such/worker`"), "{text}");
}
