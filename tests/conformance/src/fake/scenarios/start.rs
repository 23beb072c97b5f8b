//! From the start of the process to READY.

use std::process;
use std::thread;
use std::time::Duration;

use millwork_protocol::READY_LINE;
use millwork_protocol::limits::DEFAULT_MAX_FRAME;

use super::super::out::stderr;
use super::super::scenario::{Scenario, Twist};
use super::super::worker::forever;

/// Long enough to be noticed, far below any sensible limit.
const SLOW: Duration = Duration::from_secs(2);

/// Its first four bytes as a length are far above every limit, so that no host waits for a payload.
const SEED: u32 = 0xdead_beef;
const _: () = assert!(SEED as usize > DEFAULT_MAX_FRAME);

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "well-behaved",
        "Does everything right: the worker that is behind all other scenarios.",
        "Everything works; begin with this one.",
        Twist::Nothing,
    ),
    Scenario::new(
        "slow-ready",
        "Takes two seconds from its start to READY.",
        "Waits, with a limit of 20 seconds or so; what it sends meanwhile waits in the pipe and is answered afterwards.",
        Twist::Start(|worker| {
            thread::sleep(SLOW);
            worker.say_ready();
        }),
    ),
    Scenario::new(
        "never-ready",
        "Starts, and says nothing at all.",
        "Ends it when the limit on starting is over, and says that READY did not come.",
        Twist::Start(|_| forever()),
    ),
    Scenario::new(
        "ready-then-silence",
        "Says READY, and never answers anything.",
        "Has a limit on discover too, ends it then, and says which question it did not answer.",
        Twist::Start(|worker| {
            worker.say_ready();
            forever();
        }),
    ),
    Scenario::new(
        "ready-twice",
        "Says READY two times.",
        "Takes note of the first and passes over the second; it does not ask discover twice.",
        Twist::Start(|worker| {
            worker.say_ready();
            worker.say_ready();
        }),
    ),
    Scenario::new(
        "ready-in-the-middle",
        "Writes its READY line in two pieces, between other log lines.",
        "Reads lines, not reads: READY counts once its line is complete.",
        Twist::Start(|_| {
            let (first, second) = READY_LINE.split_at(READY_LINE.len() / 2);
            stderr(format!("loading packages\n{first}").as_bytes());
            thread::sleep(Duration::from_millis(100));
            stderr(format!("{second}\nloaded\n").as_bytes());
        }),
    ),
    Scenario::new(
        "ready-on-stdout",
        "Prints its READY line to stdout, where only frames belong.",
        "Reads it as the length of a frame, finds it far too large, and ends the worker with an error that quotes the text.",
        Twist::Start(|worker| worker.out.raw(format!("{READY_LINE}\n").as_bytes())),
    ),
    Scenario::new(
        "text-before-ready",
        "Prints a greeting to stdout before READY, as a careless import does.",
        "Ends it with an error that quotes the text, so that its author knows which print it was.",
        Twist::Start(|worker| {
            worker.out.raw(b"Loading models, please wait...\n");
            worker.say_ready();
        }),
    ),
    Scenario::new(
        "garbage-after-ready",
        "Says READY, then writes random bytes to stdout.",
        "Ends it with an error that shows the first bytes; it never tries to find the next frame in such a stream.",
        Twist::Start(|worker| {
            worker.say_ready();
            // A fixed linear congruential generator: the same garbage each time, and no frame in it.
            let bytes =
                std::iter::successors(Some(SEED), |x| Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)));
            let garbage: Vec<u8> = bytes.take(1024).flat_map(u32::to_be_bytes).collect();
            worker.out.raw(&garbage);
        }),
    ),
    Scenario::new(
        "exits-at-start",
        "Prints how it is used to stderr and exits with status 2.",
        "Notices the end at once, without waiting for the limit on starting, and shows the status and the last lines of stderr.",
        Twist::Start(|_| {
            stderr(b"usage: worker [OPTIONS] MODEL\nerror: MODEL is missing\n");
            process::exit(2);
        }),
    ),
    Scenario::new(
        "exits-after-ready",
        "Says READY and exits with status 0.",
        "Takes it as a failure all the same, waits a little longer before each further start, and gives up after a few.",
        Twist::Start(|worker| {
            worker.say_ready();
            process::exit(0);
        }),
    ),
];
