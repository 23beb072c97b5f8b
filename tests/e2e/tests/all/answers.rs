//! Promise 1: every request gets exactly one terminal frame, whatever the worker does. That nothing follows a terminal
//! frame is checked for every frame of every test, where frames are received.

use std::time::{Duration, Instant};

use millwork_e2e::{Launch, Map, Message, Program, Request, Value, map};

/// Promise 1: a node that works, one that fails, and one that panics.
#[test]
fn p01_a_result_a_failure_and_a_panic_are_one_frame_each() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let sum = peer.execute(Request::node("test.Add").field("a", 1).field("b", 2.5));
        assert_eq!(sum.output("output"), &Value::Float(3.5));
        let failed = peer.execute(Request::node("test.Fail").field("message", "no luck").field("kind", "timeout"));
        assert_eq!((failed.error(), failed.error_kind()), ("no luck", "timeout"));
        let panicked = peer.execute(Request::node("test.Panic").field("message", "so it goes"));
        assert_eq!(panicked.error_kind(), "panic");
        assert!(panicked.error().contains("so it goes"), "{panicked:?}");
        let traceback = panicked.data["traceback"].as_str().unwrap();
        assert!(traceback.contains("millwork"), "a backtrace names our code: {traceback}");
        peer.is_well();
    }
}

/// Promise 1: progress frames come before the one result, in order, and the last of them is never lost.
#[test]
fn p01_progress_is_followed_by_one_result() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let mut frames = peer.call("execute", Request::node("test.Progress").field("n", 50));
        let result = frames.pop().unwrap();
        assert_eq!(result.output("output"), &Value::Int(50));
        assert!(frames.iter().all(|frame| frame.kind == "progress"), "{frames:?}");
        let steps: Vec<f64> = frames.iter().map(|frame| frame.data["progress"].as_f64().unwrap()).collect();
        assert!(steps.is_sorted(), "{steps:?}");
        assert_eq!(steps.last(), Some(&50.0));
    }
}

/// Promise 1: a stream is its chunks in order, then one empty result.
#[test]
fn p01_a_stream_ends_with_one_empty_result() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let mut frames = peer.call("execute.stream", Request::node("test.Stream").field("n", 20).field("bytes", 1000));
        let result = frames.pop().unwrap();
        assert_eq!(result.data, map! { "outputs" => Map::new(), "blobs" => Map::new() });
        assert_eq!(frames.len(), 20);
        for (i, chunk) in frames.iter().enumerate() {
            assert_eq!(chunk.kind, "chunk");
            assert_eq!(chunk.output("output"), &Value::from(i));
            assert_eq!(chunk.blob("blob").len(), 1000);
        }
    }
}

/// Promise 1: what does not exist is said by its name.
#[test]
fn p01_what_is_unknown_is_named() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let node = peer.execute(Request::node("nope.Nothing"));
        assert_eq!((node.error(), node.error_kind()), ("Unknown node type: nope.Nothing", "unknown_node"));
        let message = peer.ask("no.such.message", Map::new());
        assert_eq!(
            (message.error(), message.error_kind()),
            ("Unknown message type: no.such.message", "unknown_message")
        );
        let provider = peer.ask("provider.dance", Map::new());
        assert_eq!(provider.error(), "Unknown provider message type: provider.dance");
        for program in ["comfy.run", "blender.render"] {
            let name = program.split('.').next().unwrap();
            let answer = peer.ask(program, Map::new());
            assert!(answer.error().to_lowercase().contains(name), "{answer:?}");
            assert_eq!((answer.error_kind(), &answer.data["retryable"]), ("unavailable", &Value::Bool(false)));
        }
        peer.is_well();
    }
}

/// A worker and a fleet tell the same story of the same mistake.
#[test]
fn p05_mistakes_are_answered_alike() {
    let [worker, supervisor] = Program::BOTH.map(|program| {
        let mut peer = program.start();
        let told = |answer: Message| (answer.error().to_owned(), answer.error_kind().to_owned());
        let mut story = vec![told(peer.ask("provider.generate", map! { "provider" => "nobody" }))];
        // Data that is a list, and a type that is a number.
        for payload in [
            b"\x83\xa4type\xa7execute\xaarequest_id\xa3odd\xa4data\x91\x01".as_slice(),
            b"\x82\xa4type\x05\xaarequest_id\xa3odd",
        ] {
            peer.forget("odd");
            peer.payload(payload);
            story.push(told(peer.recv()));
        }
        let prepare = peer.ask("models.prepare", map! { "backend" => "none", "model_type" => "x" });
        assert_eq!((prepare.error_kind(), &prepare.data["retryable"]), ("unavailable", &Value::Bool(false)));
        peer.is_well();
        story
    });
    assert_eq!(worker, supervisor);
}

/// Where no worker comes up, the answer is not that there is no such node: it names the worker, and may be tried again.
#[test]
fn p05_a_node_of_a_worker_that_does_not_start_is_unavailable() {
    let mut peer = Launch::of("millwork").args(["serve", "--stdio", "--worker", "/no/such/worker"]).start().ready();
    let answer = peer.execute(Request::node("text.Case").field("text", "a"));
    assert_eq!((answer.error_kind(), &answer.data["retryable"]), ("unavailable", &Value::Bool(true)));
    assert!(answer.error().contains("/no/such/worker"), "{answer:?}");
}

/// Promise 1: a request id that is in flight is not taken a second time, and the first one is not disturbed.
#[test]
fn p01_an_id_in_flight_is_refused_and_the_first_request_goes_on() {
    for program in Program::BOTH {
        let mut peer = program.start();
        peer.send("execute", "same", Request::node("test.Sleep").field("ms", 600_000));
        // The refusal carries the same id, and so ends it for a host: nothing but the cancel's effect may follow.
        peer.send("execute", "same", Request::node("test.Sleep").field("ms", 1));
        let refusal = peer.recv();
        assert_eq!(refusal.id.as_deref(), Some("same"));
        assert_eq!(refusal.error_kind(), "invalid_input", "{refusal:?}");
        peer.forget("same");
        peer.is_well();
        peer.send_more("cancel", "same", Map::new());
        let first = peer.recv();
        assert_eq!((first.id.as_deref(), first.error_kind()), (Some("same"), "cancelled"));
        // Free again.
        peer.send("execute", "same", Request::node("test.Add"));
        assert_eq!(peer.recv().output("output"), &Value::Float(0.0));
    }
}

/// Promises 1 and 9: a worker that ends under its requests, by a signal or by itself, fails all of them at once, with
/// the cause and the end of its stderr; the next request has a new worker.
#[test]
fn p01_p09_a_dead_workers_requests_fail_with_the_cause() {
    let deaths = [
        (map! { "signal" => 6 }, "SIGABRT"),
        (map! { "signal" => 9 }, "SIGKILL"),
        (map! { "signal" => 11 }, "SIGSEGV"),
        (map! { "exit_code" => 7 }, "7"),
        (map! { "exit_code" => 0 }, "0"),
    ];
    for (fields, cause) in deaths {
        let mut peer = Program::Supervisor.start();
        peer.execute(Request::node("test.StdoutNoise").field("text", "a last word"));
        let sleeping = peer.begin("execute", Request::node("test.Sleep").field("ms", 600_000));
        let abort = peer.begin("execute", Request::node("test.Abort").with("fields", fields));
        let start = Instant::now();
        for _ in 0..2 {
            let answer = peer.recv();
            assert!([&sleeping, &abort].contains(&answer.id.as_ref().unwrap()));
            assert_eq!(answer.error_kind(), "worker_died", "{answer:?}");
            assert!(answer.error().contains(cause), "{answer:?}");
            assert!(answer.error().contains("a last word"), "{answer:?}");
        }
        // The promise is 100 ms; the bound here leaves room for a machine that does other things too.
        assert!(start.elapsed() < Duration::from_secs(10));
        peer.is_well();
    }
}

/// Promise 1: a worker alone that dies closes its pipe at a frame's end; the host reads what it had finished.
#[test]
fn p01_a_worker_alone_dies_between_frames() {
    let mut peer = Program::Worker.start();
    peer.is_well();
    peer.begin("execute", Request::node("test.Abort").field("signal", 9));
    assert!(peer.rest().is_empty());
}

/// Promise 1: 32 requests at once, each with its own answer.
#[test]
fn p01_concurrent_requests_get_their_own_answers() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let sent: Vec<(String, Value)> = (0..32)
            .map(|i| {
                let value = Value::from(format!("value {i} {}", "x".repeat(i * 500)));
                (peer.begin("execute", Request::node("test.Echo").field("value", value.clone())), value)
            })
            .collect();
        for _ in 0..sent.len() {
            let answer = peer.recv();
            let (_, value) = sent.iter().find(|(id, _)| Some(id) == answer.id.as_ref()).unwrap();
            assert_eq!(answer.output("output"), value);
        }
    }
}
