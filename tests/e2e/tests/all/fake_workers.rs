//! Promises 1, 2, 6 and 8, under every scripted worker that there is: whatever it does, each request is answered once and
//! in time, the error says what happened, the other worker of the fleet serves on, and nothing is left behind.
//!
//! What a scenario does is in docs/fake-worker.md; here is what the supervisor makes of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use millwork_e2e::descendants::marked;
use millwork_e2e::process::binary;
use millwork_e2e::{Launch, Map, Message, Peer, Request, Value, within};

/// Far above every limit that is set here, for machines that are busy.
const IN_TIME: Duration = Duration::from_secs(40);

/// How the first request to the scripted worker ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Result,
    /// With an error of this kind whose text has all these parts.
    Error(&'static str, &'static [&'static str]),
    /// There is no such node, and the reason is in the load errors: each part of it.
    NoWorker(&'static [&'static str]),
}

/// What the worker is asked, how that ends, and whether the same process answers the next request.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    end: End,
    lives: bool,
    /// Lines of the configuration.
    limits: &'static str,
    /// The time limit of the request, in milliseconds.
    timeout: Option<u32>,
    stream: bool,
    cancel: bool,
    /// Parts of the inventory, load errors included, as text.
    told: &'static [&'static str],
}

impl Case {
    const fn new(name: &'static str, end: End, lives: bool) -> Self {
        Self { name, end, lives, limits: "", timeout: None, stream: false, cancel: false, told: &[] }
    }

    /// Whatever it is, it is answered well, and so is the next.
    const fn fine(name: &'static str) -> Self {
        Self::new(name, End::Result, true)
    }

    /// The worker is replaced, and the request ends with this.
    const fn dies(name: &'static str, parts: &'static [&'static str]) -> Self {
        Self::new(name, End::Error("worker_died", parts), false)
    }

    /// No answer comes: the time limit ends it.
    const fn hangs(name: &'static str) -> Self {
        let end = End::Error("timeout", &["did not stop", "was ended by SIG"]);
        Self { limits: "cancel_grace_ms = 300\n", timeout: Some(1000), ..Self::new(name, end, false) }
    }

    /// The worker fails the request and goes on.
    const fn fails(name: &'static str, parts: &'static [&'static str]) -> Self {
        Self::new(name, End::Error("failed", parts), true)
    }

    /// It never gets as far as having nodes.
    const fn absent(name: &'static str, parts: &'static [&'static str]) -> Self {
        Self::new(name, End::NoWorker(parts), false)
    }

    const fn limits(self, limits: &'static str) -> Self {
        Self { limits, ..self }
    }

    const fn timeout(self, ms: u32) -> Self {
        Self { timeout: Some(ms), ..self }
    }

    const fn stream(self) -> Self {
        Self { stream: true, ..self }
    }

    const fn cancel(self) -> Self {
        Self { cancel: true, ..self }
    }

    const fn told(self, told: &'static [&'static str]) -> Self {
        Self { told, ..self }
    }
}

const START: &[Case] = &[
    Case::fine("well-behaved"),
    Case::fine("slow-ready"),
    Case::absent("never-ready", &["did not say READY within 3000 ms"]).limits("ready_timeout_ms = 3000\n"),
    Case::absent("ready-then-silence", &["did not answer discover and status within 3000 ms"])
        .limits("handshake_timeout_ms = 3000\n"),
    Case::fine("ready-twice"),
    Case::fine("ready-in-the-middle"),
    Case::absent("ready-on-stdout", &["no stream of frames", "NODETOOL_STDIO_READY"]),
    Case::absent("text-before-ready", &["no stream of frames", "Loading models, please wait..."]),
    Case::absent("garbage-after-ready", &["no stream of frames", "de ad be ef"]),
    Case::absent("exits-at-start", &["exit status 2", "MODEL is missing"]),
    Case::absent("exits-after-ready", &["exit status 0"]),
];

const DISCOVER: &[Case] = &[
    Case::absent("version-below-floor", &["protocol version 0", "1 is the oldest"]),
    Case::fine("version-above").told(&["\"protocol_version\": Int(6)"]),
    Case::fine("version-missing").told(&["\"protocol_version\": Int(1)"]),
    Case::fine("version-as-float").told(&["\"protocol_version\": Int(6)"]),
    Case::fine("load-errors").told(&["No module named 'torch'", "acme.audio.Mix"]),
    Case::fine("duplicate-node").told(&["fake.Echo comes from worker `scripted` already"]),
    Case::absent("discover-malformed", &["answer to discover has str where the list `nodes` belongs"]),
    Case::absent("discover-no-map", &["answered discover with an error", "expected a map, got list"]),
    Case::absent("discover-error", &["answered discover with an error: the package index is corrupt"]),
    Case::absent("discover-silence", &["did not answer discover and status within 3000 ms"])
        .limits("handshake_timeout_ms = 3000\n"),
];

const FRAMES: &[Case] = &[
    Case::dies("text-in-the-middle", &["no stream of frames", "DEBUG: x = 42"]),
    Case::hangs("torn-frame"),
    Case::dies("torn-frame-then-exit", &["exit status 0"]),
    Case::fine("byte-by-byte"),
    Case::dies("oversized-frame", &["4294967295 bytes where 268435456 is the maximum"]),
    Case::hangs("promised-length"),
    Case::dies("zero-length-frame", &["a frame that cannot be read"]),
    Case::dies("no-messagepack", &["a frame that cannot be read"]),
    Case::dies("no-map", &["a frame that cannot be read", "Expected a msgpack map, got list"]),
    Case::fine("type-missing"),
    Case::fine("type-unknown"),
    Case::fine("unknown-keys"),
];

const ANSWERS: &[Case] = &[
    Case::fine("terminal-twice"),
    Case::fine("result-then-error"),
    Case::fine("progress-after-result"),
    Case::hangs("terminal-missing"),
    Case::hangs("stream-without-end").stream(),
    Case::fine("chunk-after-end").stream(),
    Case::hangs("id-missing"),
    Case::hangs("id-as-number"),
    Case::fine("unknown-ids"),
    Case::fine("progress-flood"),
    Case::fine("progress-odd"),
    Case::fails("result-no-map", &["sent a result whose data is str"]),
    Case::fine("result-without-outputs"),
];

const ERRORS: &[Case] = &[
    Case::fails("error-without-text", &["worker `scripted` sent an error without a text"]),
    Case::fails("error-no-text", &["an error that is no text", "\"code\":7"]),
    Case::fails("error-not-utf8", &["an error that is no text", "caf"]),
    Case::new("error-null-traceback", End::Error("", &["division by zero"]), true),
    Case::new("error-huge", End::Error("", &["it went wrong, again."]), true),
];

/// Blobs pass through: the digest is between the worker and the host that asked for chunks.
const BLOBS: &[Case] = &[
    Case::fine("blob-bad-digest"),
    Case::fine("blob-missing-chunk"),
    Case::fine("blob-wrong-size"),
    Case::fine("blob-out-of-order"),
    Case::fine("blob-without-end"),
    Case::fine("blob-without-start"),
    Case::fine("blob-endless"),
];

const CANCEL: &[Case] = &[
    Case::new("late-frames-after-cancel", End::Error("", &["cancelled"]), true).cancel(),
    Case::fine("result-after-cancel").cancel(),
    Case::new("slow-cancel", End::Error("", &["cancelled"]), true).cancel(),
    Case::new("ignores-cancel", End::Error("cancelled", &["did not stop", "was ended by SIG"]), false)
        .limits("cancel_grace_ms = 300\n")
        .timeout(5000)
        .cancel(),
    Case::fine("ignores-sigterm"),
    Case::fine("outlives-its-input"),
];

const LOGS: &[Case] = &[Case::fine("stderr-flood"), Case::fine("stderr-binary"), Case::fine("stderr-one-line")];

const PIPES: &[Case] = &[
    Case::hangs("stops-reading"),
    Case::dies("stops-reading-then-exits", &["exit status 1", "the device is gone"]),
    Case::dies("closes-stdout", &["it closed its stdout"]),
    // The next request finds the pipe closed and is answered by the next process.
    Case::fine("closes-stdin"),
    Case::dies("grandchild-holds-pipes", &["exit status 1", "a child of mine stays"]),
];

const CRASHES: &[Case] = &[
    Case::dies("crash-before-reading", &["SIGABRT", "before it had read the request"]),
    Case::dies("crash-after-reading", &["SIGABRT", "after it had read the request"]),
    Case::dies("crash-mid-request", &["SIGABRT", "in the middle of the request"]),
    Case::dies("crash-mid-answer", &["SIGABRT", "in the middle of its answer"]),
    Case::new("crash-after-answer", End::Result, false),
    Case::dies("exit-mid-request", &["exit status 0"]),
    Case::dies("killed-mid-request", &["SIGKILL", "out of memory"]),
];

#[test]
fn every_scenario_is_tried() {
    let list = Launch::of("millwork").args(["fake-worker", "--list", "--json"]).run();
    assert!(list.status.success(), "{list:?}");
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let known: BTreeSet<&str> = list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    let all = [START, DISCOVER, FRAMES, ANSWERS, ERRORS, BLOBS, CANCEL, LOGS, PIPES, CRASHES];
    let tried: BTreeSet<&str> = all.concat().iter().map(|case| case.name).collect();
    assert_eq!(tried, known);
}

#[test]
fn starts() {
    START.iter().for_each(check);
}

#[test]
fn answers_to_discover() {
    DISCOVER.iter().for_each(check);
}

#[test]
fn frames_that_are_none() {
    FRAMES.iter().for_each(check);
}

#[test]
fn answers_that_do_not_fit() {
    ANSWERS.iter().for_each(check);
}

#[test]
fn errors_without_words() {
    ERRORS.iter().for_each(check);
}

#[test]
fn blobs_in_chunks() {
    BLOBS.iter().for_each(check);
}

#[test]
fn cancels_and_ends() {
    CANCEL.iter().for_each(check);
}

#[test]
fn logs() {
    LOGS.iter().for_each(check);
}

#[test]
fn pipes() {
    PIPES.iter().for_each(check);
}

#[test]
fn crashes() {
    CRASHES.iter().for_each(check);
}

/// What cannot be started says so, and what could be meant.
#[test]
fn a_wrong_command_line_is_named() {
    let run = |args: &[&str]| {
        let output = Launch::of("millwork").arg("fake-worker").args(args).run();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = run(&["--scenario", "torn"]);
    assert!(code == Some(2) && text.contains("did you mean torn-frame?"), "{text}");
    let (code, text) = run(&["--scenario", "never-ready", "--after", "2"]);
    assert!(code == Some(2) && text.contains("--after has no meaning for never-ready"), "{text}");
}

/// `--after` spares the requests before it.
#[test]
fn a_later_request_can_be_chosen() {
    let mut peer = fleet("crash-after-reading", &["--after", "3"], "");
    for i in 0..2 {
        assert_eq!(peer.execute(echo(i)).output("output"), &Value::Int(i));
    }
    assert_eq!(peer.execute(echo(2)).error_kind(), "worker_died");
}

/// The scripted worker and a healthy one behind one supervisor.
fn fleet(scenario: &str, options: &[&str], limits: &str) -> Peer {
    let [millwork, worker] = [binary("millwork"), binary("millwork-worker")];
    let command = [&["fake-worker", "--scenario", scenario], options].concat();
    let command: Vec<String> = command.iter().map(|arg| format!("{arg:?}")).collect();
    let config = format!(
        "{limits}[restart]\nmax_crashes = 3\nbackoff_ms = 20\n\
         [[worker]]\nname = \"scripted\"\ncommand = [{millwork:?}, {}]\n\
         [[worker]]\nname = \"healthy\"\ncommand = [{worker:?}, \"--stdio\", \"--test-nodes\"]\n",
        command.join(", ")
    );
    Launch::of("millwork").args(["serve", "--stdio"]).file("millwork.toml", config).start().ready().forgiving()
}

fn echo(value: i64) -> Request {
    Request::node("fake.Echo").field("value", value)
}

fn check(case: &Case) {
    eprintln!("{}:", case.name);
    let mut peer = fleet(case.name, &[], case.limits);
    let start = Instant::now();
    let end = first_request(&mut peer, case);
    assert!(start.elapsed() < IN_TIME, "{}: {:?}", case.name, start.elapsed());
    match case.end {
        End::Result => assert_eq!(end.kind, "result", "{}: {end:?}", case.name),
        End::Error(kind, parts) => {
            let found = end.data.get("kind").and_then(Value::as_str).unwrap_or_default();
            assert_eq!((end.kind.as_str(), found), ("error", kind), "{}: {end:?}", case.name);
            has_all(case.name, end.error(), parts);
        }
        End::NoWorker(parts) => {
            assert_eq!(end.error_kind(), "unavailable", "{}: {end:?}", case.name);
            has_all(case.name, end.error(), parts);
            let inventory = peer.ask("discover", Map::new()).data;
            has_all(case.name, &format!("{:?}", inventory["load_errors"]).replace("\\\"", "\""), parts);
        }
    }
    if !case.told.is_empty() {
        has_all(case.name, &format!("{:?}", peer.ask("discover", Map::new()).data), case.told);
    }
    peer.is_well();
    let next = peer.execute(echo(2).with("timeout_ms", case.timeout.unwrap_or(20_000)));
    if case.lives {
        assert_eq!(next.kind, "result", "{}: {next:?}", case.name);
        assert_eq!(next.output("output"), &Value::Int(2), "{}", case.name);
    }
    peer.is_well();
    peer.close();
    let rest = peer.rest();
    assert!(rest.is_empty(), "{}: {rest:?}", case.name);
    assert_eq!(peer.exit(IN_TIME).and_then(|status| status.code()), Some(0), "{}", case.name);
    let left = || marked(peer.mark());
    assert!(within(Duration::from_secs(5), || left().is_empty()), "{} leaves {:?}", case.name, left());
}

/// Asks the scripted worker what its scenario waits for; the terminal frame.
fn first_request(peer: &mut Peer, case: &Case) -> Message {
    // With every worker known, requests go straight through.
    if case.cancel {
        peer.ask("discover", Map::new());
    }
    let mut request = echo(1).with("blob_transfer", "chunked-v1");
    if let Some(ms) = case.timeout {
        request = request.with("timeout_ms", ms);
    }
    let id = peer.begin(if case.stream { "execute.stream" } else { "execute" }, request);
    if case.cancel {
        // Every worker has answered this, so that the scripted one has read the request before it.
        peer.ask("worker.status", Map::new());
        peer.send_more("cancel", &id, Map::new());
    }
    peer.frames_of(&id).pop().unwrap()
}

fn has_all(name: &str, text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{name}: {part:?} is not in: {text}");
    }
}
