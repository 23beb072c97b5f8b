//! How many requests a worker has ended and how long they took. Who reads the figures, and how they look, is not known here.

use super::policy::Millis;

/// The upper bounds of the buckets that are counted for ever, in milliseconds.
pub(crate) const BOUNDS: [Millis; 14] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000, 600_000];
/// Percentiles are those of the last one to two such times.
const RECENT: Millis = 60_000;

/// What one worker has done for hosts, over all its processes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// Requests that have ended.
    pub(crate) requests: u64,
    /// Those of them that ended with an error.
    pub(crate) errors: u64,
    /// How long they were on it in all, in milliseconds.
    pub(crate) total_ms: u64,
    /// How many took at most the bound of the same place, and longer than the one before.
    pub(crate) buckets: [u64; BOUNDS.len()],
    since: Millis,
    current: Histogram,
    before: Histogram,
}

impl Figures {
    /// A request has ended that was on the worker for so long.
    pub(super) fn record(&mut self, now: Millis, took: Millis, is_error: bool) {
        self.requests += 1;
        self.errors += u64::from(is_error);
        self.total_ms += took;
        if let Some(bucket) = BOUNDS.iter().position(|bound| took <= *bound).and_then(|at| self.buckets.get_mut(at)) {
            *bucket += 1;
        }
        self.turn(now);
        self.current.add(took);
    }

    /// How long the slowest of so many thousandths took lately, in milliseconds; nothing where nothing has ended lately.
    pub(crate) fn recent(&self, now: Millis, thousandths: u64) -> Option<Millis> {
        let mut both = self.clone();
        both.turn(now);
        both.current.quantile(&both.before, thousandths)
    }

    fn turn(&mut self, now: Millis) {
        let age = now.saturating_sub(self.since);
        if age >= RECENT {
            let current = std::mem::take(&mut self.current);
            self.before = if age < 2 * RECENT { current } else { Histogram::default() };
            self.since = now;
        }
    }
}

/// Counts by size, eight steps to a power of two: a value is known to one part in eight.
#[derive(Debug, Clone, Default)]
struct Histogram {
    counts: Vec<u32>,
}

/// Values below it have a place each.
const EXACT: u64 = 8;

impl Histogram {
    fn add(&mut self, value: u64) {
        let place = place(value);
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }

    fn quantile(&self, other: &Self, thousandths: u64) -> Option<u64> {
        let places = self.counts.len().max(other.counts.len());
        let count =
            |place: usize| [self, other].iter().filter_map(|h| h.counts.get(place)).map(|n| u64::from(*n)).sum::<u64>();
        let total: u64 = (0..places).map(count).sum();
        let wanted = (total * thousandths).div_ceil(1000).max(1);
        let mut seen = 0;
        (0..places)
            .find(|place| {
                seen += count(*place);
                seen >= wanted
            })
            .map(top)
    }
}

fn place(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    let octave = value.ilog2() - 3;
    (EXACT as u32 + octave * 8) as usize + ((value >> octave) - EXACT) as usize
}

/// The largest value of a place.
fn top(place: usize) -> u64 {
    let place = place as u64;
    if place < EXACT {
        return place;
    }
    let (octave, step) = ((place - EXACT) / 8, (place - EXACT) % 8);
    ((EXACT + step + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_known_to_one_part_in_eight() {
        for value in (0..5_000).chain([1 << 20, (1 << 30) + 7]) {
            let told = top(place(value));
            assert!(told >= value && told - value <= value / 8, "{value} is told as {told}");
        }
    }

    #[test]
    fn percentiles_are_of_late_and_counts_of_ever() {
        let mut figures = Figures::default();
        (1..=100).for_each(|took| figures.record(0, took, took > 98));
        assert_eq!((figures.requests, figures.errors, figures.total_ms), (100, 2, 5050));
        assert_eq!((figures.buckets[0], figures.buckets[3], figures.buckets[5]), (1, 15, 50));
        assert_eq!((figures.recent(0, 500), figures.recent(0, 990)), (Some(51), Some(103)));
        figures.record(RECENT + 1, 700, false);
        assert_eq!(figures.recent(RECENT + 1, 1000), Some(703), "those before count for a while");
        assert_eq!(figures.recent(2 * RECENT, 9), Some(1));
        assert_eq!(figures.recent(4 * RECENT, 500), None);
        assert_eq!(figures.requests, 101);
    }
}
