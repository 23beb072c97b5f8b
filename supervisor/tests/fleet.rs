//! The fleet with real processes. The worker is this very program: see [`worker`].
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{File, OpenOptions};
use std::io::{IoSlice, Read, Write};
use std::time::{Duration, Instant};

use millwork::config::{Instances, Range, RecycleConfig, RestartConfig};
use millwork::{Changes, Client, Config, ErrorKind, Event, Fleet, Pending, RequestError, WorkerConfig, WorkerState};
use millwork_protocol::{Bytes, Envelope, Frame, FrameEvent, FrameReader, Limits, Map, READY_LINE, Value, map};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Not a test: the worker's side, run as a program of its own by the tests. Frames leave through descriptor 3, since the
/// test harness prints to 1.
#[test]
#[ignore = "the worker's side of the other tests"]
fn worker() {
    let mut output = OpenOptions::new().write(true).open("/proc/self/fd/3").unwrap();
    let mut input = File::open("/proc/self/fd/0").unwrap();
    let mut reader = FrameReader::new(1 << 28);
    eprintln!("{READY_LINE}");
    let mut held = Vec::new();
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
            answer(&payload, &mut output, &mut held);
        }
    }
}

fn answer(payload: &Bytes, output: &mut File, held: &mut Vec<String>) {
    let envelope = Envelope::peek(payload).unwrap();
    let id = envelope.request_id.unwrap();
    let data = envelope.decode_data(payload, &Limits::default()).unwrap();
    let fields = data.get("fields").and_then(Value::as_map).cloned().unwrap_or_default();
    let number = |name: &str| fields.get(name).and_then(Value::as_i64).unwrap_or_default();
    let mut send = |kind: &str, id: &str, data: Map| {
        let pieces = Frame::message(kind, Some(id), &data).into_pieces();
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let written = output.write_vectored(rest).unwrap();
            IoSlice::advance_slices(&mut rest, written);
        }
    };
    let result = || map! { "outputs" => fields.clone(), "blobs" => data.get("blobs").cloned().unwrap_or_default() };
    let node = envelope.data_texts(["node_type"])[0].unwrap_or_default();
    match (envelope.kind.unwrap(), node) {
        ("discover", _) => {
            let names = ["Echo", "Die", "Print", "Chatter", "Hold", "Spin", "Stream"];
            let nodes: Vec<Value> =
                names.iter().map(|name| Value::Map(map! { "node_type" => format!("t.{name}") })).collect();
            send(
                "discover",
                id,
                map! { "protocol_version" => 6, "nodes" => nodes, "load_errors" => Vec::<Value>::new() },
            );
        }
        ("cancel", _) if held.iter().any(|other| other == id) => {
            eprintln!("cancelled {id}");
            send("error", id, map! { "error" => "cancelled", "kind" => "cancelled" });
        }
        ("execute" | "execute.stream", "t.Echo") => send("result", id, result()),
        ("execute", "t.Die") => {
            eprintln!("these are my last words");
            std::process::abort();
        }
        ("execute", "t.Print") => output.write_all(b"Loading checkpoint shards: 100%\n").unwrap(),
        ("execute", "t.Chatter") => {
            let line = "x".repeat(99_999);
            (0..100).for_each(|_| eprintln!("{line}"));
            send("result", id, result());
        }
        ("execute", "t.Hold") => {
            send("update", id, map! { "type" => "held" });
            held.push(id.to_owned());
        }
        ("execute", "t.Spin") => loop {
            std::thread::park();
        },
        ("execute.stream", "t.Stream") => {
            let bytes = Bytes::from(vec![7; number("bytes") as usize]);
            (0..number("n"))
                .for_each(|n| send("chunk", id, map! { "outputs" => map! { "n" => n, "bytes" => bytes.clone() } }));
            send("result", id, map! { "outputs" => map! {}, "blobs" => map! {} });
        }
        ("worker.status", _) => send("result", id, map! { "pid" => std::process::id() }),
        _ => send("result", id, map! {}),
    }
}

fn config() -> Config {
    let program = std::env::current_exe().unwrap().to_string_lossy().into_owned();
    let script = "exec \"$0\" --ignored --exact worker --nocapture 3>&1 1>&2";
    let mut config = Config::with_workers([WorkerConfig::new("t", ["sh", "-c", script, &program])]);
    config.cancel_grace_ms = 300;
    config.restart = RestartConfig { backoff_ms: 10, ..RestartConfig::default() };
    config
}

/// Runs a test against a fleet of one worker, within a generous limit.
fn with_fleet<F: Future<Output = ()>>(test: impl FnOnce(Client) -> F) {
    with_fleet_of(config(), test);
}

fn with_fleet_of<F: Future<Output = ()>>(config: Config, test: impl FnOnce(Client) -> F) {
    let supervisor = Fleet::start(config).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = supervisor.client();
        let limited = tokio::time::timeout(Duration::from_secs(60), async {
            client.ready().await.unwrap();
            test(client).await;
        });
        limited.await.expect("the test ends in time");
        supervisor.shutdown().await;
    });
}

async fn echo(client: &Client) -> Result<Map, RequestError> {
    client.execute("t.Echo").field("x", 7).send().finish().await
}

async fn held(client: &Client) -> Pending {
    let mut pending = client.execute("t.Hold").send();
    assert!(matches!(pending.next().await, Some(Event::Update(_))));
    pending
}

/// The rows that `worker.status` has for workers.
async fn rows(client: &Client) -> Vec<Value> {
    let status = client.status().await.unwrap();
    let supervisor = status.get("extensions").unwrap().get("supervisor").unwrap();
    supervisor.get("workers").unwrap().as_list().unwrap().to_vec()
}

/// Waits for a change to a state, and gives its detail.
async fn until(changes: &mut Changes, state: WorkerState) -> String {
    loop {
        let change = changes.next().await.unwrap();
        if change.state == state {
            return change.detail.unwrap_or_default();
        }
    }
}

fn is_running(pid: i64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn values_and_blobs_come_back_as_they_went() {
    with_fleet(|client| async move {
        assert_eq!(echo(&client).await.unwrap().get("outputs"), Some(&Value::Map(map! { "x" => 7 })));
        let blob = Bytes::from((0..40_000_000_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>());
        let result = client.execute("t.Echo").blob("b", blob.clone()).send().finish().await.unwrap();
        assert!(result.get("blobs").unwrap().get("b").unwrap().as_bytes() == Some(&blob[..]));
        let inventory = client.discover().await.unwrap();
        assert_eq!(inventory.get("nodes").unwrap().as_list().unwrap().len(), 7);
        let error = client.execute("t.Nothing").send().finish().await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::UnknownNode, "Unknown node type: t.Nothing"));
    });
}

#[test]
fn many_requests_at_once_each_get_their_own_answer() {
    with_fleet(|client| async move {
        let pending: Vec<Pending> = (0..1000).map(|n| client.execute("t.Echo").field("x", n).send()).collect();
        for (n, pending) in (0..).zip(pending) {
            let result = pending.finish().await.unwrap();
            assert_eq!(result.get("outputs"), Some(&Value::Map(map! { "x" => n })));
        }
    });
}

#[test]
fn promise_1_death_is_reported_at_once_with_its_cause_and_the_next_request_works() {
    with_fleet(|client| async move {
        let neighbour = held(&client).await;
        let start = Instant::now();
        let error = client.execute("t.Die").send().finish().await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(error.kind == ErrorKind::WorkerDied && error.retryable);
        assert!(error.message.contains("signal 6 (SIGABRT)") && error.message.contains("my last words"), "{error}");
        assert_eq!(neighbour.finish().await.unwrap_err().kind, ErrorKind::WorkerDied);
        echo(&client).await.unwrap();
    });
}

#[test]
fn promise_1_text_on_stdout_is_quoted_and_the_worker_replaced() {
    with_fleet(|client| async move {
        let error = client.execute("t.Print").send().finish().await.unwrap_err();
        assert!(error.kind == ErrorKind::WorkerDied && error.message.contains("Loading checkpoint shards"), "{error}");
        echo(&client).await.unwrap();
    });
}

#[test]
fn promise_6_cancel_is_cooperative_first_and_then_by_force() {
    with_fleet(|client| async move {
        let polite = held(&client).await;
        polite.cancel();
        let error = polite.finish().await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Cancelled, "cancelled"));
        let mut changes = client.changes();
        let stuck = client.execute("t.Spin").send();
        stuck.cancel();
        let error = stuck.finish().await.unwrap_err();
        assert!(error.kind == ErrorKind::Cancelled && error.message.contains("SIGTERM"), "{error}");
        assert_eq!(changes.next().await.unwrap().state, WorkerState::Draining);
        assert_eq!(changes.next().await.unwrap().state, WorkerState::Starting);
        echo(&client).await.unwrap();
    });
}

#[test]
fn dropping_a_request_cancels_it() {
    with_fleet(|client| async move {
        drop(held(&client).await);
        // The worker gives its slot back.
        loop {
            let status = client.status().await.unwrap();
            let supervisor = status.get("extensions").unwrap().get("supervisor").unwrap();
            if supervisor.get("workers").unwrap().as_list().unwrap()[0].get("in_flight") == Some(&Value::Int(0)) {
                break;
            }
        }
    });
}

#[test]
fn promise_7_a_deadline_holds_against_a_worker_that_does_not_read() {
    with_fleet(|client| async move {
        let _spin = client.execute("t.Spin").send();
        let large = client.execute("t.Echo").blob("b", vec![1; 50 << 20]).deadline(Duration::from_millis(200)).send();
        let error = large.finish().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
    });
}

#[test]
fn promise_9_ten_megabytes_of_stderr_do_not_stop_a_worker() {
    with_fleet(|client| async move {
        client.execute("t.Chatter").send().finish().await.unwrap();
    });
}

#[test]
fn promise_12_a_stream_that_nobody_reads_waits_and_then_comes_whole() {
    with_fleet(|client| async move {
        let mut slow = client.execute("t.Stream").field("n", 200).field("bytes", 1 << 20).send_stream();
        let first = slow.next().await;
        assert!(matches!(first, Some(Event::Chunk(_))));
        // Other requests to this worker wait behind it, and go on once it is read.
        let other = client.execute("t.Echo").send();
        let mut chunks = 1;
        while let Some(event) = slow.next().await {
            assert!(
                matches!(&event, Event::Chunk(data) if data.get("outputs").unwrap().get("n") == Some(&Value::Int(chunks)))
            );
            chunks += 1;
        }
        assert_eq!(chunks, 200);
        slow.finish().await.unwrap();
        other.finish().await.unwrap();
    });
}

#[test]
fn nothing_lives_once_the_supervisor_is_dropped() {
    let supervisor = Fleet::start(config()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = supervisor.client();
    let (pid, spin) = runtime.block_on(async {
        client.ready().await.unwrap();
        let status = client.status().await.unwrap();
        let workers = status.get("extensions").unwrap().get("supervisor").unwrap().get("workers").unwrap().clone();
        (workers.as_list().unwrap()[0].get("pid").unwrap().as_i64().unwrap(), client.execute("t.Spin").send())
    });
    assert!(is_running(pid));
    let start = Instant::now();
    drop(supervisor);
    assert!(!is_running(pid) && start.elapsed() < Duration::from_secs(2));
    let error = runtime.block_on(spin.finish()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    assert!(matches!(runtime.block_on(client.ready()), Err(millwork::Error::Stopped)));
    assert_eq!(runtime.block_on(echo(&client)).unwrap_err().kind, ErrorKind::Unavailable);
}

#[test]
fn a_worker_that_rests_is_started_by_a_request() {
    let mut config = config();
    config.workers[0].instances = Instances::Range(Range { min: 0, max: 1 });
    config.workers[0].idle_stop_ms = 20;
    with_fleet_of(config, |client| async move {
        let mut changes = client.changes();
        let first = rows(&client).await[0].get("pid").cloned();
        for _ in 0..3 {
            if rows(&client).await[0].get("state") != Some(&Value::from("idle")) {
                until(&mut changes, WorkerState::Idle).await;
            }
            let inventory = client.discover().await.unwrap();
            assert_eq!(inventory.get("nodes").unwrap().as_list().unwrap().len(), 7);
            echo(&client).await.unwrap();
        }
        assert_ne!(rows(&client).await[0].get("pid").cloned(), first);
    });
}

#[test]
fn a_pool_grows_for_what_waits() {
    let mut config = config();
    config.workers[0].instances = Instances::Range(Range { min: 1, max: 3 });
    config.workers[0].max_in_flight = Some(1);
    with_fleet_of(config, |client| async move {
        // Each keeps a worker to itself: the second and third begin only where there is another one.
        let all = [held(&client).await, held(&client).await, held(&client).await];
        let rows = rows(&client).await;
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|row| row.get("in_flight") == Some(&Value::Int(1))));
        drop(all);
    });
}

#[test]
fn recycling_fails_no_request() {
    let mut config = config();
    config.workers[0].recycle = RecycleConfig { max_requests: 50, ..RecycleConfig::default() };
    with_fleet_of(config, |client| async move {
        let mut pids = std::collections::HashSet::new();
        for _ in 0..10 {
            let pending: Vec<Pending> = (0..40).map(|n| client.execute("t.Echo").field("x", n).send()).collect();
            for pending in pending {
                pending.finish().await.unwrap();
            }
            // The successor needs its time to start: without waiting for it, all would be over before.
            while rows(&client).await.len() > 1 {
                echo(&client).await.unwrap();
            }
            let pid = rows(&client).await[0].get("pid").and_then(Value::as_i64);
            pids.insert(pid);
        }
        assert!(pids.len() >= 3, "{pids:?}");
    });
}

#[test]
fn a_heavy_worker_is_replaced() {
    let mut config = config();
    config.workers[0].recycle = RecycleConfig { max_rss_bytes: 1, ..RecycleConfig::default() };
    with_fleet_of(config, |client| async move {
        let mut changes = client.changes();
        let detail = until(&mut changes, WorkerState::Draining).await;
        assert!(detail.contains("bytes of memory; 1 is the limit (recycle.max_rss_bytes)"), "{detail}");
        echo(&client).await.unwrap();
    });
}

#[test]
fn a_process_that_is_stopped_is_noticed_and_replaced() {
    let mut config = config();
    (config.health_interval_ms, config.health_timeout_ms) = (100, 1000);
    with_fleet_of(config, |client| async move {
        let mut changes = client.changes();
        let pid = rows(&client).await[0].get("pid").and_then(Value::as_i64).unwrap();
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGSTOP).unwrap();
        let detail = until(&mut changes, WorkerState::Draining).await;
        assert!(detail.contains("alive but silent"), "{detail}");
        echo(&client).await.unwrap();
        assert!(!is_running(pid));
    });
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let supervisor = Fleet::start(Config::with_workers([WorkerConfig::new("t", ["/no/such/program"])])).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(supervisor.client().ready()).unwrap_err().to_string();
    assert!(error.contains("cannot start `/no/such/program`") && error.contains("there is no such program"), "{error}");
}
