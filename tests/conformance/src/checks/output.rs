//! stdout purity and floods of stderr.

use millwork_protocol::{Map, map};

use super::framing::traffic;
use crate::check::{Check, Outcome, ensure};
use crate::validate::rule;
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::standing("OUT-001", traffic),
    Check::new("OUT-002", |w| noise(w, "rust")),
    Check::new("OUT-003", |w| noise(w, "libc")),
    Check::new("OUT-004", |w| noise(w, "child")),
    Check::fresh("OUT-005", |w| {
        w.node("test.StdoutNoise")?;
        let line = "x".repeat(1 << 20);
        for _ in 0..10 {
            print(w, &line, "rust")?;
        }
        w.is_well()
    })
    .limit(60),
    Check::fresh("OUT-006", |w| {
        const WORDS: &str = "a line for the log";
        w.node("test.StdoutNoise")?;
        print(w, WORDS, "rust")?;
        let there = w.wait_stderr(w.session().patience(), |text| text.contains(WORDS));
        ensure!(there, "what the node printed did not come on stderr"; "Somebody who looks for it will not find it.");
        Ok(())
    }),
];

fn noise(w: &mut Worker, via: &str) -> Outcome {
    w.node("test.StdoutNoise")?;
    let before = w.session().violations(rule::FRAMES_ONLY).len();
    let outcome = print(w, "noise on stdout", via).and_then(|()| w.is_well());
    ensure!(
        w.session().violations(rule::FRAMES_ONLY).len() == before, "what the node printed stands among the frames";
        "Descriptor 1 has to be the host's pipe no longer before any package code runs: duplicate it, then put stderr in its place."
    );
    outcome
}

fn print(w: &mut Worker, text: &str, via: &str) -> Outcome {
    let fields: Map = map! { "text" => text, "via" => via };
    w.execute("test.StdoutNoise", fields)?.expect_kind("result").map(|_| ())
}
