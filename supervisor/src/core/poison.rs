//! Requests that kill workers: recognised by what they ask for, since a host that sends one again gives it a new id.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use super::policy::Millis;

/// So many workers dead by one request make it poison.
const KILLS: u32 = 2;
/// For so long after the last of them; what caused it may have been repaired since.
const REMEMBER: Millis = 10 * 60 * 1000;
/// Up to here all bytes count; beyond it samples of them.
const WHOLE: usize = 4096;
const SAMPLES: usize = 64;
const SAMPLE: usize = 64;

/// A request's content in eight bytes.
pub(crate) type Fingerprint = u64;

/// The fingerprint of a message type and its encoded data.
pub(crate) fn fingerprint(kind: &str, data: &[u8]) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    hasher.write(kind.as_bytes());
    hasher.write_usize(data.len());
    if data.len() <= WHOLE {
        hasher.write(data);
    } else {
        let step = (data.len() - SAMPLE) / (SAMPLES - 1);
        (0..SAMPLES).filter_map(|i| data.get(i * step..i * step + SAMPLE)).for_each(|sample| hasher.write(sample));
    }
    hasher.finish()
}

/// Who has killed how many.
#[derive(Debug, Default)]
pub(super) struct Poison {
    kills: HashMap<Fingerprint, (u32, Millis)>,
}

impl Poison {
    /// A worker died while this request alone was running on it.
    pub(super) fn blame(&mut self, fingerprint: Fingerprint, now: Millis) {
        self.kills.retain(|_, (_, last)| *last + REMEMBER > now);
        let entry = self.kills.entry(fingerprint).or_default();
        *entry = (entry.0 + 1, now);
    }

    /// It ran and the worker lived.
    pub(super) fn acquit(&mut self, fingerprint: Fingerprint) {
        if !self.kills.is_empty() {
            self.kills.remove(&fingerprint);
        }
    }

    pub(super) fn is_poison(&self, fingerprint: Fingerprint, now: Millis) -> bool {
        self.kills.get(&fingerprint).is_some_and(|(kills, last)| *kills >= KILLS && *last + REMEMBER > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_deaths_are_poison_for_a_while() {
        let mut poison = Poison::default();
        poison.blame(7, 0);
        assert!(!poison.is_poison(7, 1));
        poison.acquit(7);
        poison.blame(7, 2);
        poison.blame(8, 2);
        assert!(!poison.is_poison(7, 3));
        poison.blame(7, 3);
        assert!(poison.is_poison(7, 4) && !poison.is_poison(8, 4));
        assert!(!poison.is_poison(7, 3 + REMEMBER));
    }

    #[test]
    fn content_tells_requests_apart_also_large_ones() {
        let large = vec![0_u8; 1 << 20];
        let mut other = large.clone();
        other[0] = 1;
        let all = [fingerprint("a", b"x"), fingerprint("b", b"x"), fingerprint("a", &large), fingerprint("a", &other)];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), 4);
        assert_eq!(fingerprint("a", &large), fingerprint("a", &large.clone()));
    }
}
