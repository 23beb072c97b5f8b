//! The text of a model with connectionist temporal classification: the best symbol of each frame, repeats merged, blanks
//! dropped. Source: Graves et al., "Connectionist Temporal Classification", 2006, best path decoding.

use millwork_package::Kind;
use millwork_package::manifest::Output;
use millwork_worker::{Error, Result};
use ndarray::{Axis, Ix2};
use toml::Spanned;

use super::{array, classes_in, matrix};
use crate::check::Check;
use crate::value::Datum;

/// How frames of scores become a text.
#[derive(Debug)]
pub(crate) struct CtcPlan {
    vocabulary: Vec<String>,
    blank: usize,
}

impl CtcPlan {
    pub(crate) fn new(check: &mut Check<'_>, output: &Output, from: &Spanned<String>) -> Option<Self> {
        let shape = check.tensor(from)?;
        matrix(check, from, shape.as_deref(), "frames of scores are [1, T, V]", |_, _| true)?;
        let at = output.vocabulary.as_ref()?;
        let vocabulary = check.lines(Some(at))?;
        if let Some(symbols) = classes_in(shape.as_deref(), 0).filter(|symbols| *symbols != vocabulary.len()) {
            let text = format!("the vocabulary has {} symbols, and the model {symbols}", vocabulary.len());
            check.tell(at, Kind::LabelCount, text);
            return None;
        }
        let blank = output.blank.as_ref().map_or(0, |blank| *blank.as_ref());
        if let Some(at) = output.blank.as_ref().filter(|_| blank >= vocabulary.len()) {
            check.tell(
                at,
                Kind::InvalidValue,
                format!("`blank` is {blank}, and there are {} symbols", vocabulary.len()),
            );
            return None;
        }
        Some(Self { vocabulary, blank })
    }

    pub(crate) fn make(&self, value: &Datum) -> Result<Datum> {
        let frames = array(value)?;
        let shape = frames.shape().to_vec();
        let unfit = |_| Error::failed(format!("a tensor of shape {shape:?} is no text: [1, T, V]"));
        let frames = if shape.len() == 3 && shape[0] == 1 { frames.index_axis_move(Axis(0), 0) } else { frames };
        let frames = frames.into_dimensionality::<Ix2>().map_err(unfit)?;
        if frames.ncols() != self.vocabulary.len() {
            let (given, known) = (frames.ncols(), self.vocabulary.len());
            return Err(Error::failed(format!("the model has {given} symbols, and the vocabulary {known}")));
        }
        let best = frames.outer_iter().map(|frame| {
            let pick = |best: (usize, f32), (i, v): (usize, &f32)| if *v > best.1 { (i, *v) } else { best };
            frame.iter().enumerate().fold((self.blank, f32::NEG_INFINITY), pick).0
        });
        let mut text = String::new();
        let mut before = self.blank;
        for symbol in best {
            if symbol != before && symbol != self.blank {
                text += self.vocabulary.get(symbol).map_or("", String::as_str);
            }
            before = symbol;
        }
        Ok(Datum::Text(text))
    }
}
