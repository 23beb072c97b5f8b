//! The scenarios, a module for each part of a worker's life. Each is a name, two sentences and the few lines that do it.

mod answers;
mod blobs;
mod cancel;
mod crashes;
mod discover;
mod errors;
mod frames;
mod pipes;
mod start;
mod stderr;

use super::scenario::Scenario;

/// The parts, each with a title.
pub(super) const GROUPS: [(&str, &[Scenario]); 10] = [
    ("Starting", start::ALL),
    ("Telling what it has", discover::ALL),
    ("Frames that are none", frames::ALL),
    ("Answers that do not fit", answers::ALL),
    ("Errors without words", errors::ALL),
    ("Blobs in chunks", blobs::ALL),
    ("Cancel, and the end", cancel::ALL),
    ("Logs", stderr::ALL),
    ("Pipes", pipes::ALL),
    ("Crashes", crashes::ALL),
];
