//! Requests: where they go, what they wait for, and how they end.

use super::*;

#[test]
fn bytes_pass_both_ways_untouched() {
    let mut sim = Sim::ready(&[("a", 1, 1), ("b", 1, 1)]);
    sim.execute("x", "b");
    assert_eq!(sim.sent.last().unwrap(), "execute x > 1");
    sim.reply(1, "progress", "x", &map! { "progress" => 1 });
    sim.reply(1, "whatever.new", "x", &map! {});
    assert_eq!(sim.emitted, ["x", "x"]);
    let data = map! { "outputs" => map! { "output" => 7 } };
    sim.reply(1, "result", "x", &data);
    assert_eq!(sim.end("x"), &Answer::Forward(payload("result", "x", &data)));
    // Doubled and invented ends are dropped.
    sim.reply(1, "result", "x", &data);
    sim.reply(1, "result", "nobody", &data);
    assert_eq!(sim.core.dropped, 2);
}

#[test]
fn requests_wait_for_the_first_attempts_and_then_know_their_place() {
    let mut sim = Sim::new(&[("a", 1, 4), ("b", 1, 4)], &config());
    sim.execute("x", "a");
    sim.execute("y", "b");
    sim.request("d", "discover", map! {});
    sim.spawn(1);
    sim.come_up(0);
    assert_eq!(sim.sent.last().unwrap(), "execute x > 0");
    assert!(sim.is_open("y") && sim.is_open("d"));
    sim.die(1);
    let (kind, text) = sim.error("y");
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(text.starts_with("Unknown node type: b.Node (worker `b` died (signal 11 (SIGSEGV))"), "{text}");
    assert!(text.contains("last words"), "{text}");
    let discover = sim.message("d");
    assert_eq!(discover.get("nodes").unwrap().as_list().unwrap().len(), 1);
    assert!(discover.get("load_errors").unwrap().to_json().to_string().contains("last words"));
}

#[test]
fn discover_is_answered_before_the_host_gives_up() {
    let mut sim = Sim::new(&[("a", 1, 1), ("b", 1, 1)], &config());
    sim.come_up(0);
    sim.request("d", "discover", map! {});
    sim.spawn(1);
    sim.handle(Event::Ready { worker: 1, run: 1 });
    sim.advance(25_000);
    assert!(sim.message("d").get("load_errors").unwrap().to_json().to_string().contains("still starting"));
}

#[test]
fn a_missing_node_tells_the_story_of_its_load_error() {
    let mut sim = Sim::ready(&[("a", 1, 1)]);
    sim.request("plain", "execute", map! { "node_type" => "z.Node" });
    assert_eq!(sim.error("plain"), (ErrorKind::UnknownNode, "Unknown node type: z.Node"));
    sim.request("lost", "execute", map! { "node_type" => "a.lost.Node" });
    assert_eq!(sim.error("lost").1, "Unknown node type: a.lost.Node (pkg.a.lost did not load: no disk)");
    sim.request("none", "execute", map! {});
    assert_eq!(sim.error("none").0, ErrorKind::InvalidInput);
    sim.request("p", "provider.generate", map! { "provider" => "zz" });
    assert_eq!(sim.error("p"), (ErrorKind::UnknownProvider, "Unknown provider: zz (there are a-ai)"));
    sim.request("q", "provider.zap", map! { "provider" => "zz" });
    assert_eq!(sim.error("q").1, "Unknown provider message type: provider.zap");
    sim.request("r", "zap", map! {});
    assert_eq!(sim.error("r").1, "Unknown message type: zap");
    sim.request("s", "comfy.run", map! {});
    assert_eq!(sim.error("s").0, ErrorKind::Unavailable);
    assert!(!sim.is_retryable("s"), "no worker that is there will ever have it");
    sim.request("t", "provider.generate", map! { "provider" => "a-ai" });
    assert_eq!(sim.sent.last().unwrap(), "provider.generate t > 0");
}

#[test]
fn what_an_absent_worker_may_have_is_worth_another_try() {
    let mut sim = Sim::new(&[("a", 1, 1), ("b", 1, 1)], &config());
    sim.come_up(0);
    sim.spawn(1);
    sim.die(1);
    sim.request("n", "execute", map! { "node_type" => "z.Node" });
    sim.request("p", "provider.generate", map! { "provider" => "zz" });
    sim.request("s", "comfy.run", map! {});
    for id in ["n", "p", "s"] {
        let (kind, text) = sim.error(id);
        assert!(kind == ErrorKind::Unavailable && text.contains("last words"), "{text}");
        assert!(sim.is_retryable(id));
    }
    // What is known to be missing, and why, is not.
    sim.request("lost", "execute", map! { "node_type" => "a.lost.Node" });
    assert_eq!(sim.error("lost").0, ErrorKind::UnknownNode);
    // Once it has told what it has, it is known that nobody has these.
    sim.advance(500);
    sim.come_up(1);
    sim.request("n2", "execute", map! { "node_type" => "z.Node" });
    assert_eq!(sim.error("n2"), (ErrorKind::UnknownNode, "Unknown node type: z.Node"));
}

#[test]
fn the_least_busy_instance_gets_the_request_and_the_rest_queues_up_to_a_bound() {
    let mut sim = Sim::ready(&[("a", 2, 2)]);
    (0..10).for_each(|i| sim.execute(&format!("r{i}"), "a"));
    let executes: Vec<&String> = sim.sent.iter().filter(|s| s.starts_with("execute")).collect();
    assert_eq!(executes, ["execute r0 > 0", "execute r1 > 1", "execute r2 > 0", "execute r3 > 1"]);
    assert!(sim.is_open("r7"));
    assert_eq!((sim.error("r8").0, sim.error("r9").0), (ErrorKind::Overloaded, ErrorKind::Overloaded));
    sim.reply(1, "result", "r3", &map! {});
    assert_eq!(sim.sent.last().unwrap(), "execute r4 > 1");
}

#[test]
fn jobs_and_hosts_take_turns_and_each_keeps_its_order() {
    let mut sim = Sim::ready(&[("a", 1, 1)]);
    sim.execute("running", "a");
    let job = |id: &str| map! { "node_type" => "a.Node", "job_id" => id };
    ["long0", "long1", "long2"].iter().for_each(|id| sim.request(id, "execute", job("long")));
    sim.request("short", "execute", job("short"));
    sim.core.policy.max_queued += 1;
    sim.request_from(HostId(2), "other", "execute", job("long"));
    let mut order = Vec::new();
    for id in ["running", "long0", "short", "other", "long1", "long2"] {
        sim.reply(0, "result", id, &map! {});
        order.extend(sim.sent.last().cloned());
    }
    let expected = ["long0", "short", "other", "long1", "long2", "long2"].map(|id| format!("execute {id} > 0"));
    assert_eq!(order, expected);
}

#[test]
fn an_id_in_flight_is_refused_and_another_hosts_same_id_waits_its_turn() {
    let mut sim = Sim::ready(&[("a", 1, 4)]);
    sim.execute("x", "a");
    let other = HostId(2);
    sim.request_from(other, "x", "execute", map! { "node_type" => "a.Node" });
    assert_eq!(sim.sent.iter().filter(|s| s.starts_with("execute x")).count(), 1);
    sim.reply(0, "result", "x", &map! {});
    assert!(!sim.is_open("x") && !sim.ended.contains_key(&(other, "x".to_owned())));
    assert_eq!(sim.sent.iter().filter(|s| s.starts_with("execute x")).count(), 2);
    sim.reply(0, "result", "x", &map! {});
    assert!(sim.ended.contains_key(&(other, "x".to_owned())));
}

#[test]
fn reusing_an_id_in_flight_is_an_error() {
    let mut sim = Sim::ready(&[("a", 1, 4)]);
    sim.execute("x", "a");
    sim.core.handle(0, Event::Request(incoming("x")));
    let actions = std::mem::take(sim.core.actions());
    assert!(
        matches!(&actions[..], [Action::End { answer: Answer::Error(e), .. }] if e.error.contains("still in flight"))
    );
}

fn incoming(id: &str) -> Incoming {
    let frame = Frame::message("execute", Some(id), &map! {});
    Incoming { host: HOST, id: id.into(), kind: "execute".into(), route: Route::default(), fingerprint: 0, frame }
}

#[test]
fn cancel_ends_a_queued_request_at_once_and_forwards_for_a_sent_one() {
    let mut sim = Sim::ready(&[("a", 1, 1)]);
    sim.execute("x", "a");
    sim.execute("y", "a");
    sim.cancel("y");
    assert_eq!(sim.error("y").0, ErrorKind::Cancelled);
    sim.cancel("x");
    sim.cancel("x");
    sim.cancel("unknown");
    assert_eq!(sim.sent.iter().filter(|s| *s == "cancel x > 0").count(), 1);
    let data = map! { "error" => "cancelled" };
    sim.reply(0, "error", "x", &data);
    assert_eq!(sim.end("x"), &Answer::Forward(payload("error", "x", &data)));
    sim.advance(10_000);
    assert!(!sim.processes[0].terminated);
}

#[test]
fn a_worker_that_ignores_cancel_is_replaced_and_its_neighbours_are_told_or_retried() {
    let mut sim = Sim::ready(&[("a", 1, 3)]);
    sim.execute("stuck", "a");
    sim.execute("neighbour", "a");
    sim.pipes_flow = false;
    sim.execute("unbegun", "a");
    sim.execute("queued", "a");
    sim.cancel("stuck");
    sim.advance(1000);
    assert!(sim.processes[0].terminated && !sim.processes[0].killed);
    sim.pipes_flow = true;
    // On its way out it may still cancel by itself what it runs, which names no cause.
    for (id, data) in [
        ("stuck", map! { "error" => "Cancelled", "kind" => "cancelled" }),
        ("neighbour", map! { "error" => "cancelled" }),
    ] {
        sim.reply(0, "error", id, &data);
    }
    sim.die(0);
    let (kind, text) = sim.error("stuck");
    assert!(kind == ErrorKind::Cancelled && text.contains("ended by SIGTERM"), "{text}");
    let (kind, text) = sim.error("neighbour");
    assert!(kind == ErrorKind::WorkerDied && text.contains("a cancelled request on it"), "{text}");
    // Replaced at once: it was not the worker's crash.
    assert_eq!(sim.state(0), WorkerState::Starting);
    sim.come_up(0);
    let last: Vec<&str> = sim.sent.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(last, ["execute queued > 0", "execute unbegun > 0"]);
}

#[test]
fn a_deadline_covers_the_queue_the_write_and_the_work() {
    let mut sim = Sim::ready(&[("a", 1, 1)]);
    let timed = |id: &str| (id.to_owned(), map! { "node_type" => "a.Node", "timeout_ms" => 50 });
    sim.pipes_flow = false;
    let (id, data) = timed("unwritten");
    sim.request(&id, "execute", data);
    let (id, data) = timed("queued");
    sim.request(&id, "execute", data);
    sim.advance(50);
    assert_eq!(sim.error("queued").0, ErrorKind::Timeout);
    assert_eq!(sim.sent.last().unwrap(), "cancel unwritten > 0");
    sim.advance(1000);
    assert!(sim.processes[0].terminated);
    sim.die(0);
    assert_eq!(sim.error("unwritten").0, ErrorKind::Timeout);
    sim.pipes_flow = true;
    sim.come_up(0);
    let (id, data) = timed("polite");
    sim.request(&id, "execute", data);
    sim.advance(50);
    sim.reply(0, "error", "polite", &map! { "error" => "cancelled" });
    assert_eq!(sim.error("polite").0, ErrorKind::Timeout);
}

#[test]
fn death_fails_what_had_begun_and_retries_what_had_not() {
    let mut sim = Sim::ready(&[("a", 2, 2)]);
    sim.execute("begun", "a");
    sim.pipes_flow = false;
    sim.execute("other", "a");
    sim.execute("unbegun", "a");
    assert_eq!(sim.sent.last().unwrap(), "execute unbegun > 0");
    sim.die(0);
    let (kind, text) = sim.error("begun");
    assert_eq!(kind, ErrorKind::WorkerDied);
    assert_eq!(text, "a.Node failed: worker `a/1` died (signal 11 (SIGSEGV)). Its last output:\nlast words");
    assert_eq!(sim.sent.last().unwrap(), "execute unbegun > 1");
}

#[test]
fn a_request_that_kills_two_workers_is_poison() {
    let mut sim = Sim::ready(&[("a", 1, 1)]);
    let deadly = || map! { "node_type" => "a.Node", "fields" => map! { "x" => 13 } };
    for id in ["one", "two"] {
        sim.request(id, "execute", deadly());
        sim.die(0);
        assert_eq!(sim.error(id).0, ErrorKind::WorkerDied);
        sim.advance(1000);
        sim.come_up(0);
    }
    sim.request("three", "execute", deadly());
    assert_eq!(sim.error("three").0, ErrorKind::Poison);
    sim.execute("harmless", "a");
    assert!(sim.is_open("harmless"));
}

#[test]
fn answers_of_several_workers_are_merged() {
    let mut sim = Sim::ready(&[("a", 1, 1), ("b", 1, 1)]);
    sim.request("e", "models.evict", map! { "job_id" => "j" });
    for (worker, freed) in [(0, 1.5), (1, 2.0)] {
        let id = sim.take_id(worker, "models.evict");
        let evicted = vec![Value::from(format!("m{worker}")), Value::from("same")];
        sim.reply(worker, "result", &id, &map! { "evicted" => evicted, "freed_vram_gb" => freed });
    }
    let merged = map! { "evicted" => vec!["m0", "same", "m1"], "freed_vram_gb" => 3.5 };
    assert_eq!(sim.message("e"), &merged);
    sim.request("s", "worker.status", map! {});
    let id = sim.take_id(0, "worker.status");
    sim.reply(0, "result", &id, &map! { "namespaces" => vec!["fresh"], "comfy" => map! { "enabled" => true } });
    // The other one does not answer: its last known status is used.
    sim.advance(5000);
    let status = sim.message("s");
    assert_eq!(status.get("namespaces"), Some(&Value::from(vec!["fresh", "b"])));
    assert_eq!(status.get("comfy"), Some(&Value::Map(map! { "enabled" => true })));
    assert_eq!((status.get("node_count"), status.get("provider_count")), (Some(&Value::Int(2)), Some(&Value::Int(2))));
    let rows = status.get("extensions").unwrap().get("supervisor").unwrap().get("workers").unwrap();
    assert_eq!(rows.as_list().unwrap()[1].get("state"), Some(&Value::from("ready")));
    sim.request("del", "models.delete", map! { "repo_id" => "r" });
    for (worker, deleted) in [(0, true), (1, false)] {
        let id = sim.take_id(worker, "models.delete");
        sim.reply(worker, "result", &id, &map! { "deleted" => deleted });
    }
    assert_eq!(sim.message("del"), &map! { "deleted" => true });
    sim.request("p", "provider.list", map! {});
    sim.die(0);
    let id = sim.take_id(1, "provider.list");
    sim.reply(1, "error", &id, &map! { "error" => "no" });
    assert_eq!(sim.message("p").get("providers").unwrap().as_list().unwrap().len(), 2);
    sim.request("m", "models.list_cached", map! {});
    sim.cancel("m");
    assert_eq!(sim.error("m").0, ErrorKind::Cancelled);
}

#[test]
fn model_backends_are_found_by_status() {
    let mut sim = Sim::ready(&[("a", 1, 1)]);
    sim.request("n", "models.prepare", map! { "backend" => "tract" });
    assert_eq!(sim.error("n").0, ErrorKind::Unavailable);
    sim.request("d", "models.download", map! { "repo_id" => "x" });
    assert_eq!(sim.sent.last().unwrap(), "models.download d > 0");
}

#[test]
fn what_is_no_answer_is_told_as_an_error() {
    let odd = |sim: &mut Sim, kind: &str, id: &str, data: Value| {
        let frame = map! { "type" => kind, "request_id" => id, "data" => data };
        let mut encoder = millwork_protocol::codec::Encoder::default();
        encoder.entries(&frame);
        sim.handle(Event::Frame { worker: 0, run: 1, payload: encoder.into_bytes() });
    };
    let mut sim = Sim::ready(&[("a", 1, 9)]);
    ["text", "none", "map", "bytes", "nil"].iter().for_each(|id| sim.execute(id, "a"));
    odd(&mut sim, "progress", "text", "half".into());
    assert!(sim.emitted.is_empty(), "it is not passed on");
    odd(&mut sim, "result", "text", "done".into());
    assert_eq!(sim.error("text").1, "a.Node failed: worker `a` sent a result whose data is str, not a map");
    odd(&mut sim, "error", "none", map! {}.into());
    assert_eq!(sim.error("none").1, "a.Node failed: worker `a` sent an error without a text");
    odd(&mut sim, "error", "map", map! { "error" => map! { "code" => 7 } }.into());
    assert_eq!(sim.error("map").1, "a.Node failed: worker `a` sent an error that is no text: {\"code\":7}");
    odd(&mut sim, "error", "bytes", map! { "error" => Bytes::from_static(b"caf\xe9") }.into());
    assert!(sim.error("bytes").1.ends_with("\"caf\u{fffd}\""), "{}", sim.error("bytes").1);
    odd(&mut sim, "error", "nil", map! { "error" => "no", "traceback" => Value::Nil }.into());
    assert_eq!(sim.end("nil"), &Answer::Message("error", map! { "error" => "no" }));
}

#[test]
fn only_hosts_requests_count_as_in_flight() {
    let mut sim = Sim::new(&[("a", 1, 4), ("b", 1, 4)], &config());
    sim.come_up(0);
    // It is being asked what it has.
    sim.spawn(1);
    sim.execute("x", "a");
    sim.request("s", "worker.status", map! {});
    sim.answer_handshake(0, "worker.status");
    let supervisor = sim.message("s").get("extensions").and_then(|all| all.get("supervisor")).unwrap();
    let workers = supervisor.get("workers").and_then(Value::as_list).unwrap();
    let in_flight: Vec<_> = workers.iter().map(|row| row.get("in_flight").and_then(Value::as_i64)).collect();
    assert_eq!(in_flight, [Some(1), Some(0)]);
}

#[test]
fn models_are_the_business_of_the_worker_with_a_store() {
    let mut sim = Sim::ready(&[("package", 1, 1), ("stock", 1, 2)]);
    for (worker, has_store) in [(0, false), (1, true)] {
        let status = map! { "extensions" => map! { "model_store" => has_store } };
        sim.core.workers[worker].known.as_mut().unwrap().status = Some(status);
    }
    sim.request("d", "models.download", map! { "repo_id" => "x" });
    assert_eq!(sim.sent.last().unwrap(), "models.download d > 1");
    // The answer of a worker that has nothing to delete does not hide what is wrong.
    sim.request("del", "models.delete", map! { "repo_id" => "x" });
    let id = sim.take_id(1, "models.delete");
    sim.reply(1, "error", &id, &map! { "error" => "it is yours", "kind" => "invalid_input" });
    assert_eq!(sim.error("del").1, "it is yours");
    // A download may take longer than other requests.
    sim.advance(60 * 60 * 1000);
    assert!(sim.is_open("d"));
}
