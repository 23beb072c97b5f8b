//! Promises 7 and 12: slow readers slow the writers, nothing is lost, and nobody waits for ever.

use std::time::Duration;

use millwork_e2e::descendants::{marked, memory};
use millwork_e2e::{Frame, Map, PATIENCE, Program, Request, Value, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Promise 12: a host that does not read for a while gets everything in order, and the waiting costs bounded memory.
#[test]
fn p12_a_slow_reader_slows_the_stream_and_loses_nothing() {
    const CHUNKS: i64 = 1000;
    for program in Program::BOTH {
        let mut peer = program.start();
        peer.pause_reading(true);
        let stream = Request::node("test.Stream").field("n", CHUNKS).field("bytes", 100_000);
        let id = peer.begin("execute.stream", stream);
        // Long enough for an unbounded queue to take the whole 100 MB.
        std::thread::sleep(Duration::from_secs(1));
        for process in marked(peer.mark()) {
            let most = memory(process.pid, "VmHWM").unwrap_or_default();
            assert!(most < 80 << 20, "{} keeps {most} bytes for a host that does not read", process.command);
        }
        peer.pause_reading(false);
        for i in 0..CHUNKS {
            let chunk = peer.recv();
            assert_eq!((chunk.kind.as_str(), chunk.output("output").as_i64()), ("chunk", Some(i)));
            assert_eq!(chunk.blob("blob").len(), 100_000);
        }
        assert_eq!(peer.frames_of(&id).len(), 1);
    }
}

/// Promise 12: both pipes full at once is no deadlock: what is sent is read, whether or not the answers are.
#[test]
fn p12_full_pipes_both_ways_do_not_deadlock() {
    const REQUESTS: usize = 48;
    for program in Program::BOTH {
        let mut peer = program.start();
        peer.pause_reading(true);
        let requests: Vec<u8> = (0..REQUESTS)
            .flat_map(|i| {
                let echo = Request::node("test.Echo").blob("value", vec![i as u8; 1 << 20]);
                Frame::message("execute", Some(&i.to_string()), &echo.into()).to_bytes().to_vec()
            })
            .collect();
        let writer = peer.raw_meanwhile(requests);
        // Let both sides fill up; how far they come does not matter.
        within(Duration::from_secs(1), || writer.is_finished());
        peer.pause_reading(false);
        let mut seen = [false; REQUESTS];
        for _ in 0..REQUESTS {
            let answer = peer.recv();
            let i: usize = answer.id.as_deref().unwrap().parse().unwrap();
            assert!(!std::mem::replace(&mut seen[i], true));
            let blob = answer.blob("output");
            assert!(blob.len() == 1 << 20 && blob.iter().all(|byte| usize::from(*byte) == i));
        }
        assert!(within(PATIENCE, || writer.is_finished()));
    }
}

/// Promise 12: requests that cost a host nothing and whose answers it does not read: it has to wait, and gets them all.
#[test]
fn p12_a_flood_of_cheap_requests_is_held_back() {
    const REQUESTS: usize = 600_000;
    for program in Program::BOTH {
        let mut peer = program.start();
        peer.pause_reading(true);
        let flood = Frame::message("nonsense", Some("a"), &Map::new()).to_bytes().repeat(REQUESTS);
        let writer = peer.raw_meanwhile(flood);
        // Long enough to take them all, were there no bound.
        assert!(!within(Duration::from_secs(3), || writer.is_finished()), "{program:?} takes whatever comes");
        for process in marked(peer.mark()) {
            let most = memory(process.pid, "VmHWM").unwrap_or_default();
            assert!(most < 250 << 20, "{} keeps {most} bytes for a host that does not read", process.command);
        }
        peer.pause_reading(false);
        for _ in 0..REQUESTS {
            assert_eq!(peer.recv_any().error_kind(), "unknown_message");
        }
        assert!(within(PATIENCE, || writer.is_finished()));
    }
}

/// Promise 12: of progress only the newest counts for a slow reader, the last one always comes, and results are never
/// coalesced.
#[test]
fn p12_only_progress_is_coalesced() {
    for program in Program::BOTH {
        let mut peer = program.start();
        peer.pause_reading(true);
        let id = peer.begin("execute", Request::node("test.Progress").field("n", 200_000));
        let add = peer.begin("execute", Request::node("test.Sleep").field("ms", 1));
        std::thread::sleep(Duration::from_millis(500));
        peer.pause_reading(false);
        let (mut last, mut ended) = (0.0, 0);
        while ended < 2 {
            let frame = peer.recv();
            match frame.kind.as_str() {
                "progress" => {
                    let now = frame.data["progress"].as_f64().unwrap();
                    assert!(now > last, "{now} after {last}");
                    last = now;
                }
                _ => {
                    assert!([&id, &add].contains(&frame.id.as_ref().unwrap()));
                    assert_eq!(frame.kind, "result");
                    ended += 1;
                }
            }
        }
        assert_eq!(last, 200_000.0);
    }
}

/// Promise 7: the time limit of a request counts while it is being written too, to a worker that has stopped reading.
#[test]
fn p07_a_deadline_covers_the_write() {
    let mut peer = Program::Supervisor.launch().file("millwork.toml", "cancel_grace_ms = 300\n").start().ready();
    peer.is_well();
    let supervisor = peer.pid();
    let worker = marked(peer.mark()).into_iter().find(|process| process.pid != supervisor).unwrap();
    kill(Pid::from_raw(worker.pid), Signal::SIGSTOP).unwrap();
    let large = Request::node("test.Echo").blob("value", vec![1; 100 << 20]).with("timeout_ms", 1000);
    let answer = peer.execute(large);
    assert_eq!(answer.error_kind(), "timeout", "{answer:?}");
    peer.is_well();
}

/// Promise 12: more requests at once than may be in flight are queued and all answered.
#[test]
fn p12_a_thousand_requests_at_once_are_all_answered() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let requests: Vec<u8> = (0..1000)
            .flat_map(|i| {
                let add = Request::node("test.Add").field("a", i).field("b", 1);
                Frame::message("execute", Some(&i.to_string()), &add.into()).to_bytes().to_vec()
            })
            .collect();
        peer.raw(&requests);
        for _ in 0..1000 {
            let answer = peer.recv();
            let i: f64 = answer.id.as_deref().unwrap().parse().unwrap();
            assert_eq!(answer.output("output"), &Value::Float(i + 1.0));
        }
    }
}
