//! The end: the host closes the pipe, or sends SIGTERM, or both. Everything in flight gets its terminal frame.

use std::time::{Duration, Instant};

use millwork_e2e::descendants::marked;
use millwork_e2e::{PATIENCE, Program, Request, within};
use nix::sys::signal::Signal;

/// Well above every grace period together, and far below what the requests would take.
const END: Duration = Duration::from_secs(20);

/// Promise 1: at the end of input a short request ends by itself, a long one is cancelled, a stuck one is answered for.
#[test]
fn p01_at_the_end_of_input_every_request_is_answered() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let short = peer.begin("execute", Request::node("test.Sleep").field("ms", 50));
        let long = peer.begin("execute", Request::node("test.Sleep").field("ms", 600_000));
        let stuck = peer.begin("execute", Request::node("test.Spin").field("ms", 0));
        let start = Instant::now();
        peer.close();
        let answers = peer.rest();
        assert!(start.elapsed() < END, "{:?}", start.elapsed());
        let of = |id: &str| {
            let terminal = answers.iter().filter(|answer| answer.is_terminal());
            let of: Vec<_> = terminal.filter(|answer| answer.id.as_deref() == Some(id)).collect();
            assert_eq!(of.len(), 1, "{id} in {answers:?}");
            of[0]
        };
        assert_eq!(of(&short).kind, "result");
        assert_eq!(of(&long).error_kind(), "cancelled");
        assert_eq!(of(&stuck).kind, "error");
        assert_eq!(peer.exit(END).and_then(|status| status.code()), Some(0));
        assert!(within(Duration::from_secs(2), || marked(peer.mark()).is_empty()), "{:?}", marked(peer.mark()));
    }
}

/// An idle program ends soon: by the end of input, by SIGTERM with the pipe open, and by both at once as hosts do it.
#[test]
fn p02_an_idle_program_ends_when_asked() {
    for program in Program::BOTH {
        for (close, term) in [(true, false), (false, true), (true, true)] {
            let mut peer = program.start();
            let start = Instant::now();
            if close {
                peer.close();
            }
            if term {
                peer.signal(Signal::SIGTERM);
            }
            let status = peer.exit(END).expect("it ends");
            assert!(status.code() == Some(0), "{program:?} {close} {term}: {status:?}");
            // Under load as well; idle it is a few milliseconds.
            assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
            assert!(within(Duration::from_secs(2), || marked(peer.mark()).is_empty()));
        }
    }
}

/// Hosts on Node hand over sockets, which fill up as pipes do: a host that no longer reads keeps nobody alive.
#[test]
fn p02_over_sockets_an_unread_answer_keeps_nobody_alive() {
    for program in Program::BOTH {
        let mut peer = program.launch().sockets().start().ready();
        let blob = vec![7u8; 3 << 20];
        assert_eq!(peer.execute(Request::node("test.Echo").blob("value", blob.clone())).blob("output"), blob);
        peer.pause_reading(true);
        for _ in 0..3 {
            peer.begin("execute", Request::node("test.Echo").blob("value", blob.clone()));
        }
        peer.close();
        peer.signal(Signal::SIGTERM);
        assert!(peer.exit(END).is_some(), "{program:?} lives on");
        assert!(within(Duration::from_secs(2), || marked(peer.mark()).is_empty()), "{:?}", marked(peer.mark()));
    }
}

/// SIGTERM with work in flight: cancelled, answered, gone.
#[test]
fn p01_sigterm_answers_what_is_in_flight() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let id = peer.begin("execute", Request::node("test.Sleep").field("ms", 600_000));
        peer.is_well();
        peer.signal(Signal::SIGTERM);
        assert_eq!(peer.frames_of(&id).pop().unwrap().error_kind(), "cancelled");
        assert!(peer.exit(PATIENCE).is_some());
    }
}
