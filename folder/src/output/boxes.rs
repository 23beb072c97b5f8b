//! Boxes around things: the formats of detectors, and back to the picture. Which boxes are kept is told in `millwork_nodes`.

use std::collections::HashMap;

use millwork_nodes::pixels::Placement;
use millwork_nodes::pixels::boxes::{Found, best, corners};
use millwork_package::manifest::{Activation, BoxFormat, Output};
use millwork_package::{Kind, Problem};
use millwork_worker::onnx::Dim;
use millwork_worker::protocol::map;
use millwork_worker::{Error, Result};
use ndarray::{Array2, ArrayD, Ix2, s};
use toml::Spanned;

use super::classes::activate;
use super::{array, classes_in, label, labels, matrix};
use crate::check::{Check, Number};
use crate::value::{Datum, Values};

/// How a detector's output becomes boxes.
#[derive(Debug)]
pub(crate) struct BoxesPlan {
    format: BoxFormat,
    scores: Option<String>,
    classes: Option<String>,
    labels: Vec<String>,
    activation: Activation,
    score: Number,
    iou: Number,
    max: Number,
    input: String,
}

impl BoxesPlan {
    /// `pictures` are the names of the models' inputs that are pictures.
    pub(crate) fn new(
        check: &mut Check<'_>,
        output: &Output,
        from: &Spanned<String>,
        pictures: &[&str],
    ) -> Option<Self> {
        let format = *output.format.as_ref()?.as_ref();
        let shape = check.tensor(from)?;
        let is_over = |dim: &Dim, least: usize| !matches!(dim, Dim::Fixed(n) if *n <= least);
        let what = match format {
            BoxFormat::Yolo => "yolo is [1, 4 + C, N]",
            BoxFormat::Yolo5 => "yolo5 is [1, N, 5 + C]",
            BoxFormat::Corners => "corners are [N, 4] or [1, N, 4]",
        };
        matrix(check, from, shape.as_deref(), what, |rows, columns| match format {
            BoxFormat::Yolo => is_over(rows, 4),
            BoxFormat::Yolo5 => is_over(columns, 5),
            BoxFormat::Corners => !matches!(columns, Dim::Fixed(n) if *n != 4),
        })?;
        let value = |check: &mut Check<'_>, name: Option<&Spanned<String>>| match name {
            None => Some((None, None)),
            Some(name) => check.tensor(name).map(|shape| (Some(name.as_ref().clone()), shape)),
        };
        let (scores, scores_shape) = value(check, output.scores.as_ref())?;
        let (classes, _) = value(check, output.classes.as_ref())?;
        if format == BoxFormat::Corners && scores.is_none() {
            let text = "format = \"corners\" needs `scores`: the value with the boxes' scores";
            check.tell(output.format.as_ref()?, Kind::MissingKey, text);
            return None;
        }
        let count = match format {
            BoxFormat::Yolo => classes_in(shape.as_deref(), 1).map(|n| n.saturating_sub(4)),
            BoxFormat::Yolo5 => classes_in(shape.as_deref(), 0).map(|n| n.saturating_sub(5)),
            BoxFormat::Corners if classes.is_some() => None,
            BoxFormat::Corners => {
                scores_shape.filter(|dims| dims.len() == 2).and_then(|dims| classes_in(Some(&dims), 0))
            }
        };
        let labels = labels(check, output, count)?;
        let input = match (&output.input, pictures) {
            (Some(input), _) if pictures.contains(&input.as_ref().as_str()) => input.as_ref().clone(),
            (Some(input), _) => {
                let text = format!("no model has an input {} that is a picture", input.as_ref());
                let problem = Problem::new(Kind::UnknownName, text);
                check.told(input, problem.hint(format!("there are {}", pictures.join(", "))));
                return None;
            }
            (None, [only]) => (*only).to_owned(),
            // A model that could not be loaded has told of itself.
            (None, []) if check.scope.is_partial => return None,
            (None, all) => {
                let text = if all.is_empty() {
                    "no model has a picture that boxes could lie in"
                } else {
                    "there are several pictures"
                };
                let problem = Problem::new(Kind::MissingKey, format!("{text}: `input` says which"));
                check.told(output.format.as_ref()?, problem.hint(format!("input = one of {}", all.join(", "))));
                return None;
            }
        };
        Some(Self {
            format,
            scores,
            classes,
            labels,
            activation: output.activation.as_ref().map_or(Activation::None, |activation| *activation.as_ref()),
            score: check.number(output.score.as_ref(), 0.25),
            iou: check.number(output.iou.as_ref(), 0.45),
            max: check.number(output.max.as_ref(), 100.0),
            input,
        })
    }

    pub(crate) fn make(&self, value: &Datum, values: &Values, placed: &HashMap<String, Placement>) -> Result<Datum> {
        let found = self.found(value, values)?;
        let kept = best(found, self.score.get(values)?, self.iou.get(values)?, self.max.count(values)?);
        let placement =
            placed.get(&self.input).ok_or_else(|| Error::failed(format!("there was no picture {}", self.input)))?;
        let line = |one: &Found| {
            let [x1, y1, x2, y2] = one.corners;
            let (left, top) = placement.to_picture(x1, y1);
            let (right, bottom) = placement.to_picture(x2, y2);
            map! {
                "x" => left, "y" => top, "width" => right - left, "height" => bottom - top,
                "label" => label(&self.labels, one.class), "score" => one.score,
            }
        };
        Ok(Datum::Maps(kept.iter().map(line).collect()))
    }

    fn found(&self, value: &Datum, values: &Values) -> Result<Vec<Found>> {
        let rows = rows(array(value)?)?;
        match self.format {
            BoxFormat::Yolo => self.centred(&rows.reversed_axes(), 4, |_| 1.0),
            BoxFormat::Yolo5 => {
                let there = rows.clone();
                self.centred(&rows, 5, |row| f64::from(there[[row, 4]]))
            }
            BoxFormat::Corners => self.cornered(&rows, values),
        }
    }

    /// Rows of centre and size, then from column `first` on a score a class.
    fn centred(&self, rows: &Array2<f32>, first: usize, factor: impl Fn(usize) -> f64) -> Result<Vec<Found>> {
        if rows.ncols() <= first {
            return Err(Error::failed(format!(
                "a detector's output has {} values a box, {first} before the scores",
                rows.ncols()
            )));
        }
        let one = |(index, row): (usize, ndarray::ArrayView1<'_, f32>)| {
            let (class, score) = self.best(row.iter().skip(first).copied());
            let corners = corners([0, 1, 2, 3].map(|i| f64::from(row[i])));
            Found { corners, class, score: score * factor(index) }
        };
        Ok(rows.outer_iter().enumerate().map(one).collect())
    }

    fn cornered(&self, rows: &Array2<f32>, values: &Values) -> Result<Vec<Found>> {
        let beside = |name: &Option<String>| match name {
            None => Ok(None),
            Some(name) => match values.get(name) {
                Some(value) => array(value).map(Some),
                None => Err(Error::failed(format!("there is no value {name}"))),
            },
        };
        let scores = beside(&self.scores)?.ok_or_else(|| Error::failed("there are no scores"))?;
        let classes = beside(&self.classes)?;
        let count = rows.nrows();
        let of = |all: &ArrayD<f32>, what: &str| {
            if all.len() < count || (count > 0 && !all.len().is_multiple_of(count)) {
                return Err(Error::failed(format!("{count} boxes and {} {what} do not go together", all.len())));
            }
            Ok(all.len() / count.max(1))
        };
        if rows.ncols() != 4 && count > 0 {
            return Err(Error::failed(format!("boxes have 4 corners and not {}", rows.ncols())));
        }
        let per_box = of(&scores, "scores")?;
        if let Some(classes) = &classes {
            of(classes, "classes")?;
        }
        let scores: Vec<f32> = scores.iter().copied().collect();
        let classes: Option<Vec<f32>> = classes.map(|classes| classes.iter().copied().collect());
        let one = |(index, row): (usize, ndarray::ArrayView1<'_, f32>)| {
            let (best, score) = self.best(scores[index * per_box..(index + 1) * per_box].iter().copied());
            let class = classes.as_ref().map_or(best, |classes| classes[index].clamp(0.0, 1e6) as usize);
            Found { corners: [0, 1, 2, 3].map(|i| f64::from(row[i])), class, score }
        };
        Ok(rows.outer_iter().enumerate().map(one).collect())
    }

    fn best(&self, scores: impl Iterator<Item = f32>) -> (usize, f64) {
        let mut scores: Vec<f64> = scores.map(f64::from).collect();
        activate(&mut scores, self.activation);
        let best =
            |best: (usize, f64), (class, score): (usize, f64)| if score > best.1 { (class, score) } else { best };
        scores.into_iter().enumerate().fold((0, f64::NEG_INFINITY), best)
    }
}

/// `[1, R, C]` or `[R, C]`.
fn rows(array: ArrayD<f32>) -> Result<Array2<f32>> {
    let shape = array.shape().to_vec();
    let array = if shape.len() == 3 && shape[0] == 1 { array.slice_move(s![0, .., ..]).into_dyn() } else { array };
    let unfit = |_| Error::failed(format!("a tensor of shape {shape:?} holds no boxes of one picture"));
    Ok(array.into_dimensionality::<Ix2>().map_err(unfit)?.as_standard_layout().into_owned())
}
