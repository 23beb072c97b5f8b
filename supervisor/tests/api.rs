//! The Rust API as an application uses it, with real processes. The worker is the scripted one that behaves well.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use millwork::{Bytes, Client, Config, ErrorKind, Fleet, WorkerConfig, WorkerState};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Value<T> {
    value: T,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Output<T> {
    output: T,
}

fn worker() -> WorkerConfig {
    let program = env!("CARGO_BIN_EXE_millwork");
    WorkerConfig::new("fake", [program, "fake-worker", "--scenario", "well-behaved"])
}

/// Runs a test against a fleet of one worker, within a generous limit.
fn with_fleet<F: Future<Output = ()>>(test: impl FnOnce(Client) -> F) {
    let fleet = Fleet::builder().worker(worker()).start().unwrap();
    block_on(async {
        let client = fleet.client();
        client.ready().await.unwrap();
        test(client).await;
        fleet.shutdown().await;
    });
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limited = async { tokio::time::timeout(Duration::from_secs(120), future).await };
    runtime.block_on(limited).expect("the test ends in time")
}

#[test]
fn structs_go_in_and_come_out() {
    with_fleet(|client| async move {
        let echo = |client: &Client| client.execute("fake.Echo");
        let picture = Bytes::from(vec![7; 3 << 20]);
        let sent = Value { value: Some(picture.clone()) };
        assert!(echo(&client).input(&sent).call::<Output<Bytes>>().await.unwrap().output == picture);
        let number: Output<f32> = echo(&client).input(&Value { value: 2 }).call().await.unwrap();
        assert_eq!(number.output, 2.0);
        let nested: Output<Vec<Output<String>>> =
            echo(&client).field("value", vec![millwork_protocol::map! { "output" => "a" }]).call().await.unwrap();
        assert_eq!(nested.output, [Output { output: "a".to_owned() }]);
        let error = echo(&client).input(&Value { value: "x" }).call::<Output<u8>>().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Failed);
        assert!(error.message.starts_with("fake.Echo: its outputs are not what was expected: "), "{error}");
        let error = echo(&client).input(&3).call::<Output<u8>>().await.unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::InvalidInput, "fake.Echo: the input is a int, and no struct or map",)
        );
    });
}

#[test]
fn a_stream_comes_in_its_own_type() {
    with_fleet(|client| async move {
        let mut chunks = client.execute("fake.Stream").field("n", 5).stream::<Output<u32>>();
        let mut seen = Vec::new();
        while let Some(chunk) = chunks.next().await {
            seen.push(chunk.unwrap().output);
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert!(chunks.next().await.is_none());
        let mut none = client.execute("fake.Gone").stream::<Output<u32>>();
        assert_eq!(none.next().await.unwrap().unwrap_err().kind, ErrorKind::UnknownNode);
        assert!(none.next().await.is_none());
    });
}

#[test]
fn promise_12_a_slow_reader_slows_the_worker() {
    // What the worker has written so far, as the kernel counts it.
    fn written(pid: u32) -> u64 {
        let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
        io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
    }
    with_fleet(|client| async move {
        let pid = client.workers().await.unwrap()[0].pid.unwrap();
        // Some 200 MB, if nothing held it up.
        let mut slow = client.execute("fake.Stream").field("n", 2_000_000).stream::<Output<u32>>();
        for n in 0..3 {
            assert_eq!(slow.next().await.unwrap().unwrap().output, n);
        }
        // It writes until every buffer on the way is full, and no further.
        let (mut before, mut same) = (0, 0);
        while same < 20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = written(pid);
            same = if now == before { same + 1 } else { 0 };
            before = now;
        }
        assert!(before < 8 << 20, "{before} bytes lie about for one reader");
        assert_eq!(slow.next().await.unwrap().unwrap().output, 3);
        // Whoever leaves holds up nobody.
        drop(slow);
        client.execute("fake.Echo").call::<Output<Option<u8>>>().await.unwrap();
    });
}

#[test]
fn a_deadline_ends_a_call_and_dropping_it_cancels() {
    with_fleet(|client| async move {
        let sleep = || client.execute("fake.Sleep").field("ms", 600_000);
        for limit in [Duration::from_millis(50), Duration::ZERO] {
            let error = sleep().deadline(limit).call::<Output<u32>>().await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
        }
        let mut call = Box::pin(sleep().call::<Output<u32>>());
        tokio::select! {
            biased;
            _ = &mut call => unreachable!("it sleeps"),
            // Sent, and seen by the worker.
            () = in_flight(&client, 1) => {}
        }
        drop(call);
        in_flight(&client, 0).await;
    });
}

/// Waits until the worker has so many requests.
async fn in_flight(client: &Client, count: usize) {
    while client.workers().await.unwrap()[0].in_flight != count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn what_there_is_and_how_it_fares_are_types() {
    with_fleet(|client| async move {
        let inventory = client.inventory().await.unwrap();
        let nodes: Vec<&str> = inventory.nodes.iter().map(|node| node.node_type.as_str()).collect();
        assert_eq!((nodes, inventory.load_errors.len()), (vec!["fake.Echo", "fake.Sleep", "fake.Stream"], 0));
        let workers = client.workers().await.unwrap();
        assert_eq!((workers.len(), workers[0].name.as_str(), workers[0].state), (1, "fake", WorkerState::Ready));
        assert!(workers[0].uptime_s.is_some() && workers[0].last_error.is_none());
    });
}

#[test]
fn a_sink_sees_a_worker_from_its_start_to_its_end() {
    let (send, seen) = std::sync::mpsc::channel();
    let fleet = Fleet::builder().worker(worker()).on_change(move |change| drop(send.send(change))).start().unwrap();
    let client = fleet.client();
    block_on(async {
        client.ready().await.unwrap();
        fleet.shutdown().await;
        // Nobody waits for the changes of a fleet that is gone, though a client is still there.
        assert_eq!(client.changes().next().await, None);
    });
    // It has seen all when the fleet is gone, and is let go.
    let states: Vec<WorkerState> = seen.try_iter().map(|change| change.state).collect();
    assert_eq!(states.first(), Some(&WorkerState::Starting), "{states:?}");
    assert!(states.contains(&WorkerState::Ready), "{states:?}");
    assert_eq!(states.last(), Some(&WorkerState::Stopped), "{states:?}");
}

#[test]
fn a_builder_reads_a_file_and_says_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.toml");
    let command = toml::Value::from(worker().command);
    std::fs::write(&path, format!("max_queued = 7\n[[worker]]\nname = 'from the file'\ncommand = {command}\n"))
        .unwrap();
    let fleet = Fleet::builder().config_file(&path).worker(worker()).start().unwrap();
    block_on(async {
        let client = fleet.client();
        client.ready().await.unwrap();
        let names: Vec<String> = client.workers().await.unwrap().into_iter().map(|worker| worker.name).collect();
        assert_eq!(names, ["from the file", "fake"]);
        fleet.shutdown().await;
    });
    std::fs::write(&path, "max_queud = 7\n").unwrap();
    let error = Fleet::builder().config_file(&path).start().unwrap_err().to_string();
    assert!(error.contains("did you mean `max_queued`?"), "{error}");
    let twice = Fleet::builder().config(Config::default()).worker(worker()).worker(worker()).start().unwrap_err();
    assert!(twice.to_string().contains("two workers are called `fake`"), "{twice}");
}

#[test]
fn an_application_never_starts_itself_as_a_worker() {
    // This test is such an application; `millwork` is neither beside it nor in its PATH, or is the command itself.
    let (send, seen) = std::sync::mpsc::channel();
    let fleet = Fleet::builder().on_change(move |change| drop(send.send(change))).start().unwrap();
    let outcome = block_on(async {
        let client = fleet.client();
        let outcome = client.ready().await;
        fleet.shutdown().await;
        outcome
    });
    let this = std::env::current_exe().unwrap().display().to_string();
    if let Err(error) = outcome {
        assert!(!error.to_string().contains(&this) && error.to_string().contains("millwork"), "{error}");
    }
    assert!(seen.iter().all(|change| change.worker == "stock"));
}
