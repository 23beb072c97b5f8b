//! From many frames to the one that does it, and from that to its smallest form. Each try has a worker of its own.

use std::time::{Duration, Instant};

use super::{ended, framed, started, throw, whole_frames};
use crate::session::Session;

/// Shrinking stops after this long; what it has by then is shown.
const TIME: Duration = Duration::from_secs(120);

/// The smallest input that still fails, and whether it does so by itself.
pub(super) fn shrink(session: &Session, history: Vec<Vec<u8>>) -> (Vec<u8>, bool) {
    let end = Instant::now() + TIME;
    let fails = |frames: &[Vec<u8>]| Instant::now() < end && fails(session, frames);
    if !fails(&history) {
        return (history.concat(), false);
    }
    let frames = fewer(history, &fails);
    match frames.as_slice() {
        [one] if whole_frames(one) => {
            (framed(&smaller(one.get(4..).unwrap_or_default().to_vec(), |payload| fails(&[framed(payload)]))), true)
        }
        [one] => (smaller(one.clone(), |bytes| !whole_frames(bytes) && fails(&[bytes.to_vec()])), true),
        _ => (frames.concat(), true),
    }
}

fn fails(session: &Session, frames: &[Vec<u8>]) -> bool {
    session.begin("fuzz", Duration::from_secs(600));
    let Ok(mut worker) = started(session) else { return true };
    if whole_frames(&frames.concat()) {
        throw(&mut worker, frames).is_err()
    } else {
        ended(worker, &frames.concat()).is_err()
    }
}

/// Leaves out frames, ever smaller groups of them, as long as it still fails.
fn fewer(mut frames: Vec<Vec<u8>>, fails: &dyn Fn(&[Vec<u8>]) -> bool) -> Vec<Vec<u8>> {
    let mut group = frames.len() / 2;
    while group > 0 {
        let mut at = 0;
        while at < frames.len() && frames.len() > 1 {
            let mut without = frames.clone();
            without.drain(at..(at + group).min(frames.len()));
            if !without.is_empty() && fails(&without) { frames = without } else { at += group }
        }
        group /= 2;
    }
    frames
}

/// Leaves out bytes in the same way.
fn smaller(mut bytes: Vec<u8>, fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut group = bytes.len() / 2;
    while group > 0 {
        let mut at = 0;
        while at < bytes.len() {
            let mut without = bytes.clone();
            without.drain(at..(at + group).min(bytes.len()));
            if fails(&without) { bytes = without } else { at += group }
        }
        group /= 2;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_goes() {
        let bytes = smaller((0..=255).collect(), |bytes| bytes.contains(&7) && bytes.contains(&200));
        assert_eq!(bytes, [7, 200]);
        let frames = (0..32u8).map(|n| vec![n; 3]).collect();
        assert_eq!(fewer(frames, &|frames| frames.iter().any(|frame| frame[0] == 9)), [[9, 9, 9]]);
    }
}
