//! What detectors find: boxes with a class and a score, and the choice of the best. How a network's output is laid out is known to
//! those who ask one.

/// Boxes that are looked at: more than any picture has things.
const MOST: usize = 10_000;

/// One thing that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Left, top, right and bottom, in pixels.
    pub corners: [f64; 4],
    /// Which class it is of.
    pub class: usize,
    /// How sure the network is.
    pub score: f64,
}

/// The corners of a box that is given by its centre and sides.
#[must_use]
pub fn corners([x, y, width, height]: [f64; 4]) -> [f64; 4] {
    [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0]
}

/// The surest, at most `most` of those with a score of at least `least`, none of which overlaps a surer one of its class by more
/// than `iou`: non-maximum suppression. They come surest first.
#[must_use]
pub fn best(mut found: Vec<Found>, least: f64, iou: f64, most: usize) -> Vec<Found> {
    // What is no box cannot be drawn, however sure the network is.
    let is_box = |c: &[f64; 4]| c.iter().all(|x| x.is_finite()) && c[0] <= c[2] && c[1] <= c[3];
    found.retain(|one| one.score >= least && one.score.is_finite() && is_box(&one.corners));
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(MOST);
    let mut kept: Vec<Found> = Vec::new();
    for one in found {
        if kept.len() == most {
            break;
        }
        if kept.iter().all(|better| better.class != one.class || overlap(&better.corners, &one.corners) <= iou) {
            kept.push(one);
        }
    }
    kept
}

/// Intersection over union.
fn overlap(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let side = |low: f64, high: f64| (high - low).max(0.0);
    let area = |c: &[f64; 4]| side(c[0], c[2]) * side(c[1], c[3]);
    let common = side(a[0].max(b[0]), a[2].min(b[2])) * side(a[1].max(b[1]), a[3].min(b[3]));
    let union = area(a) + area(b) - common;
    if union > 0.0 { common / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_suppressed_within_a_class() {
        let found = |corners: [f64; 4], class, score| Found { corners, class, score };
        let all = vec![
            found([1.0, 0.0, 11.0, 10.0], 0, 0.8),
            found([0.0, 0.0, 10.0, 10.0], 0, 0.9),
            found([1.0, 0.0, 11.0, 10.0], 1, 0.7),
            found([20.0, 0.0, 30.0, 10.0], 0, 0.6),
            found([20.0, 0.0, 10.0, 10.0], 2, 0.99),
            found([0.0, 0.0, f64::NAN, 10.0], 2, 0.99),
            found([0.0, 0.0, 10.0, 10.0], 2, f64::NAN),
        ];
        let scores = |iou, most| best(all.clone(), 0.5, iou, most).iter().map(|one| one.score).collect::<Vec<_>>();
        assert_eq!(scores(0.5, 100), [0.9, 0.7, 0.6]);
        assert_eq!(scores(0.9, 2), [0.9, 0.8]);
        assert_eq!(best(all.clone(), 0.75, 0.9, 9).len(), 2);
        assert!((overlap(&[0.0, 0.0, 10.0, 10.0], &[1.0, 0.0, 11.0, 10.0]) - 90.0 / 110.0).abs() < 1e-12);
        assert_eq!(overlap(&[0.0; 4], &[0.0; 4]), 0.0);
        assert_eq!(corners([5.0, 6.0, 2.0, 4.0]), [4.0, 4.0, 6.0, 8.0]);
    }
}
