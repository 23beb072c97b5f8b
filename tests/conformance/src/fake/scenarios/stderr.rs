//! Logs: too much of them, and such that are no text.

use super::super::out::stderr;
use super::super::scenario::{Scenario, Twist};

const LINE: &[u8] =
    b"WARNING: the tokenizer is slow; this line says so again and again, in a hundred bytes all together...\n";
const FLOOD: usize = 10 << 20;

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "stderr-flood",
        "Writes 10 MB of log lines to stderr before it answers.",
        "Always reads stderr, else the worker waits for ever; it keeps the end of it and bounds what it keeps.",
        Twist::Request(|call| {
            (0..FLOOD / LINE.len()).for_each(|_| stderr(LINE));
            call.answer();
        }),
    ),
    Scenario::new(
        "stderr-binary",
        "Writes every byte from 0 to 255 to stderr, then answers.",
        "Replaces what is no text, and lets no control characters through to a terminal.",
        Twist::Request(|call| {
            let all: Vec<u8> = (0..=u8::MAX).collect();
            stderr(&all.repeat(16));
            stderr(b"\n\x1b[2J\x1b]0;gotcha\x07\n");
            call.answer();
        }),
    ),
    Scenario::new(
        "stderr-one-line",
        "Writes 10 MB to stderr without the end of a line, then answers.",
        "Reads on, and bounds the length of a line.",
        Twist::Request(|call| {
            (0..FLOOD / 1024).for_each(|_| stderr(&[b'.'; 1024]));
            stderr(b"\n");
            call.answer();
        }),
    ),
];
