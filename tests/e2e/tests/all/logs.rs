//! Promises 9 and 10: stderr is drained and bounded, and no secret ever stands in it.

use std::time::Instant;

use millwork_e2e::descendants::marked;
use millwork_e2e::{Map, PATIENCE, Program, Request, Value, map};
use sha2::{Digest, Sha256};

/// Promise 9: a flood on stderr, in lines and without any, neither stops the requests nor stays in memory.
#[test]
fn p09_a_flood_on_stderr_stops_nothing() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let start = Instant::now();
        for text in ["x".repeat(1 << 20), "a line of log\n".repeat(75_000)] {
            for _ in 0..5 {
                let noise = Request::node("test.StdoutNoise").field("text", text.as_str()).field("via", "libc");
                assert_eq!(peer.execute(noise).kind, "result");
            }
        }
        peer.is_well();
        assert!(start.elapsed() < PATIENCE);
        if program == Program::Supervisor {
            let longest = peer.stderr().lines().map(str::len).max().unwrap_or_default();
            assert!(longest < 100_000, "lines are bounded: one of {longest} bytes");
        }
    }
}

/// Promise 10: a secret is used, and neither logs, nor errors, nor arguments show it.
#[test]
fn p10_secrets_are_nowhere_to_be_read() {
    const SECRET: &str = "hunter2-and-then-some";
    for program in Program::BOTH {
        let mut peer = program.launch().env("MILLWORK_LOG", "trace").start().ready();
        let answer = peer.execute(Request::node("test.NeedsSecret").secret("TEST_SECRET", SECRET));
        let digest: String = Sha256::digest(SECRET).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(answer.output("output"), &Value::from(digest));

        let missing = peer.execute(Request::node("test.NeedsSecret").secret("OTHER", SECRET));
        assert_eq!(missing.error_kind(), "missing_setting");
        assert!(missing.error().contains("TEST_SECRET"), "{missing:?}");
        let mut answers = vec![missing];
        // Requests that fail, with the secret aboard.
        for node in ["test.Panic", "test.Fail", "nope.Nothing", "test.Broken"] {
            answers.push(peer.execute(Request::node(node).secret("TEST_SECRET", SECRET)));
        }
        answers.push(peer.ask("execute", map! { "node_type" => 5, "secrets" => map! { "TEST_SECRET" => SECRET } }));
        answers.push(peer.ask("execute", map! { "node_type" => "test.Add", "secrets" => SECRET }));
        answers.push(peer.ask(
            "provider.generate",
            map! { "provider" => "test", "messages" => 5, "secrets" => map! { "TEST_SECRET" => SECRET } },
        ));
        answers.push(peer.ask("worker.status", Map::new()));
        for process in marked(peer.mark()) {
            assert!(!process.command.contains(SECRET));
        }
        peer.close();
        answers.extend(peer.rest());
        let told = format!("{answers:?}{}", peer.stderr());
        assert!(!told.contains(SECRET), "it is told here: {told}");
    }
}

/// Promise 10: nor where a node prints its secret and takes its worker down.
#[test]
fn p10_a_dying_workers_last_words_are_told_without_secrets() {
    const SECRET: &str = "hunter2-and-then-some";
    let mut peer = Program::Supervisor.start();
    let noise = Request::node("test.StdoutNoise").field("text", format!("the key is {SECRET}."));
    assert_eq!(peer.execute(noise.secret("KEY", SECRET)).kind, "result");
    let died = peer.execute(Request::node("test.Abort"));
    assert!(died.error().contains("the key is ***."), "its last words are told: {}", died.error());
    peer.is_well();
    peer.close();
    let answers = peer.rest();
    let told = format!("{died:?}{answers:?}{}", peer.stderr());
    assert!(told.contains("the key is ***.") && !told.contains(SECRET), "it is told here: {told}");
}

/// Promise 9: a host that does not read the log loses lines of it, and nothing else.
#[test]
fn p09_an_unread_log_stops_nothing() {
    for program in Program::BOTH {
        let mut peer = program.start();
        peer.pause_hearing(true);
        for i in 0..2000 {
            // Each is worth a warning.
            let echo = Request::node("test.Echo").field("value", i).field("unknown", "x".repeat(100));
            assert_eq!(peer.execute(echo).output("output").as_i64(), Some(i));
        }
        assert_eq!(peer.execute(Request::node("test.Panic")).error_kind(), "panic");
        peer.pause_hearing(false);
        peer.is_well();
    }
}

/// The log is for programs where that is asked for: one JSON object a line, with the request's id.
#[test]
fn p09_the_log_is_json_where_asked_for() {
    let mut peer = Program::Worker.launch().args(["--log-format", "json"]).start().ready();
    peer.send("execute", "the-id", Request::node("test.Panic"));
    assert_eq!(peer.recv().error_kind(), "panic");
    peer.close();
    assert!(peer.exit(PATIENCE).is_some());
    let stderr = peer.stderr();
    let logged = stderr.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut logged = logged.filter(|entry| entry["level"] == "ERROR" && entry.to_string().contains("the-id"));
    let entry = logged.next().unwrap_or_else(|| panic!("{stderr}"));
    // Each key once, or a parser loses one of them.
    assert_eq!(entry["fields"]["message"], "a node panicked");
    assert!(entry["fields"]["panic"].is_string(), "{entry}");
}

/// So is that of a whole fleet: its own news, its workers' lines, and what programs print that know nothing of it.
#[test]
fn p09_a_fleets_log_is_json_where_asked_for() {
    let as_flag = Program::Supervisor.launch().args(["--log-format", "json"]);
    let as_variable = Program::Supervisor.launch().env("MILLWORK_LOG_FORMAT", "json");
    for launch in [as_flag, as_variable] {
        let mut peer = launch.start().ready();
        peer.execute(Request::node("test.StdoutNoise").field("text", "plain words\n"));
        peer.send("execute", "the-id", Request::node("test.Panic"));
        assert_eq!(peer.recv().error_kind(), "panic");
        // The news of a death has several lines.
        peer.execute(Request::node("test.Abort"));
        peer.is_well();
        peer.close();
        assert!(peer.exit(PATIENCE).is_some());
        let stderr = peer.stderr();
        let lines = stderr.lines().filter(|line| line.trim() != "NODETOOL_STDIO_READY");
        let entries: Vec<serde_json::Value> =
            lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?} in {stderr}"))).collect();
        assert!(entries.iter().all(|entry| entry["worker"] == "stock"), "{stderr}");
        let level_of = |text: &str| {
            let entry = entries.iter().find(|entry| entry["fields"].to_string().contains(text));
            entry.unwrap_or_else(|| panic!("{text} is not in {stderr}"))["level"].clone()
        };
        assert_eq!(level_of("plain words"), "INFO");
        assert_eq!(level_of("a node panicked"), "ERROR");
        assert_eq!(level_of("is ready"), "INFO");
        assert_eq!(level_of("is backing_off"), "WARN");
    }
}

/// How much is logged is said once, for the fleet and its workers.
#[test]
fn p09_a_fleets_workers_log_as_much_as_it_was_asked_to() {
    let mut peer = Program::Supervisor.launch().args(["--log", "error"]).start().ready();
    // A field that is not known is worth a warning.
    peer.execute(Request::node("test.Add").field("retired", 1));
    peer.execute(Request::node("test.Panic"));
    peer.close();
    assert!(peer.exit(PATIENCE).is_some());
    let stderr = peer.stderr();
    assert!(stderr.contains("a node panicked"), "{stderr}");
    assert!(!stderr.contains("retired") && !stderr.contains("is ready"), "{stderr}");
}
