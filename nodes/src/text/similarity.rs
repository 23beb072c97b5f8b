//! How alike two texts are.

use std::collections::{HashMap, HashSet};

use millwork_worker::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

/// The most steps that comparing letter by letter may take: about a second.
const MAX_STEPS: usize = 400_000_000;

/// How likeness is measured.
#[derive(Choice, Debug, Clone, Copy)]
enum Measure {
    /// By the fewest letters to insert, remove or change (Levenshtein), as a share of the longer text.
    Levenshtein,
    /// By the words that both have, as a share of all words of either (Jaccard).
    Jaccard,
    /// By the angle between the counts of their runs of `n` characters.
    Cosine,
}

/// How alike two texts are, from 0, nothing in common, to 1, the same.
#[derive(Node)]
#[node("text.Similarity")]
pub(super) struct Similarity {
    /// A text.
    a: String,
    /// Another.
    b: String,
    /// levenshtein: by letters that differ; for short texts. jaccard: by words in common. cosine: by counts of n-grams.
    #[node(default = Measure::Levenshtein)]
    measure: Measure,
    /// Small and large letters are the same.
    #[node(default)]
    ignore_case: bool,
    /// For cosine: how many characters a run has.
    #[node(default = 3, min = 1, max = 16)]
    n: usize,
}

impl Run for Similarity {
    type Output = f64;

    fn run(mut self, _: &Context) -> Result<f64> {
        if self.ignore_case {
            (self.a, self.b) = (self.a.to_lowercase(), self.b.to_lowercase());
        }
        let (a, b) = (self.a.as_str(), self.b.as_str());
        if a == b {
            return Ok(1.0);
        }
        match self.measure {
            Measure::Levenshtein => {
                let (n, m) = (a.chars().count(), b.chars().count());
                if n.saturating_mul(m) > MAX_STEPS {
                    return Err(Error::invalid(format!(
                        "texts of {n} and {m} letters are too long to compare letter by letter: use jaccard or cosine"
                    )));
                }
                Ok(strsim::normalized_levenshtein(a, b))
            }
            Measure::Jaccard => Ok(jaccard(&a.unicode_words().collect(), &b.unicode_words().collect())),
            Measure::Cosine => Ok(cosine(&grams(a, self.n), &grams(b, self.n))),
        }
    }
}

fn jaccard(a: &HashSet<&str>, b: &HashSet<&str>) -> f64 {
    match a.union(b).count() {
        // Neither has words, and they are not the same.
        0 => 0.0,
        all => a.intersection(b).count() as f64 / all as f64,
    }
}

/// How often each run of `n` characters stands in a text; a shorter text is one run.
fn grams(text: &str, n: usize) -> HashMap<&str, f64> {
    let places: Vec<usize> = text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
    let mut counts = HashMap::new();
    let n = n.min(places.len() - 1);
    for (start, end) in places.iter().zip(places.iter().skip(n)) {
        if let Some(gram) = text.get(*start..*end).filter(|gram| !gram.is_empty()) {
            *counts.entry(gram).or_insert(0.0) += 1.0;
        }
    }
    counts
}

fn cosine(a: &HashMap<&str, f64>, b: &HashMap<&str, f64>) -> f64 {
    let length = |counts: &HashMap<&str, f64>| counts.values().map(|n| n * n).sum::<f64>().sqrt();
    let product: f64 = a.iter().filter_map(|(gram, n)| b.get(gram).map(|m| n * m)).sum();
    if product == 0.0 { 0.0 } else { (product / (length(a) * length(b))).min(1.0) }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::*;

    fn similarity(a: &str, b: &str, measure: &str) -> Result<f64> {
        let call = NodeTest::new::<Similarity>().field("a", a).field("b", b).field("measure", measure);
        call.run().map(|emitted| emitted.outputs["output"].as_f64().unwrap())
    }

    #[test]
    fn each_measure() {
        // Three edits of seven letters.
        assert!((similarity("kitten", "sitting", "levenshtein").unwrap() - 4.0 / 7.0).abs() < 1e-12);
        assert_eq!(similarity("the cat sat", "the cat ran", "jaccard").unwrap(), 0.5);
        // "aab" has aa and ab, "aba" has ab and ba: one in common of two each.
        let bigrams =
            NodeTest::new::<Similarity>().field("a", "aab").field("b", "aba").field("measure", "cosine").field("n", 2);
        assert!((bigrams.run().unwrap().outputs["output"].as_f64().unwrap() - 0.5).abs() < 1e-12);
        for measure in ["levenshtein", "jaccard", "cosine"] {
            assert_eq!(similarity("", "", measure).unwrap(), 1.0);
            assert_eq!(similarity("é!", "é!", measure).unwrap(), 1.0);
            assert_eq!(similarity("abc", "", measure).unwrap(), 0.0);
            assert_eq!(similarity("abc", "xyz", measure).unwrap(), 0.0);
        }
        let loud = NodeTest::new::<Similarity>().field("a", "ABC").field("b", "abc").field("ignore_case", true);
        assert_eq!(loud.run().unwrap().outputs["output"], Value::Float(1.0));
    }

    #[test]
    fn long_texts_are_refused_by_the_slow_measure_only() {
        let (a, b) = ("a ".repeat(20_000), "b ".repeat(20_000));
        assert!(similarity(&a, &b, "levenshtein").unwrap_err().message().contains("use jaccard or cosine"));
        assert_eq!(similarity(&a, &b, "jaccard").unwrap(), 0.0);
    }
}
