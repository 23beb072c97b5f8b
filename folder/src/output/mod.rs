//! From what models and shaders give to what a host reads. The maths is in `docs/package-toml.md`.

mod boxes;
mod classes;
mod ctc;
mod embedding;
mod picture;

use std::collections::HashMap;
use std::ops::RangeInclusive;

use millwork_nodes::pixels::Placement;
use millwork_package::Kind;
use millwork_package::manifest::{As, Output, Size};
use millwork_worker::convert::{Audio, Tensor};
use millwork_worker::onnx::Dim;
use millwork_worker::protocol::metadata::TypeMetadata;
use millwork_worker::{Error, Result, ResultExt};
use ndarray::ArrayD;
use toml::Spanned;

use crate::check::{Check, Number};
use crate::input::InputPlan;
use crate::scope::Known;
use crate::value::{Datum, Values};

/// An output, or a value of a step, that can be made.
#[derive(Debug)]
pub(crate) struct OutputPlan {
    name: String,
    from: String,
    /// What else it is made from.
    beside: Vec<String>,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// As it is.
    Plain(Known),
    Tensor,
    Number,
    List,
    Image(picture::ImagePlan),
    Mask(picture::MaskPlan),
    Classes(classes::ClassesPlan),
    Boxes(Box<boxes::BoxesPlan>),
    Embedding(embedding::EmbeddingPlan),
    Ctc(ctc::CtcPlan),
    Audio(Number),
}

impl OutputPlan {
    /// `inputs` are the models' inputs so far: what boxes are mapped back through.
    pub(crate) fn new<I: std::borrow::Borrow<InputPlan>>(
        check: &mut Check<'_>,
        output: &Output,
        inputs: &[I],
    ) -> Option<Self> {
        let from = output.from.as_ref().unwrap_or(&output.name);
        let kind = output.kind.as_ref().map(|kind| *kind.as_ref());
        let way = match kind {
            None => Way::Plain(check.value(from)?),
            Some(As::Image) => Way::Image(picture::ImagePlan::new(check, output, from)?),
            Some(As::Tensor) => check.tensor(from).map(|_| Way::Tensor)?,
            Some(As::Number) => {
                let shape = check.tensor(from)?;
                one_element(check, from, shape.as_deref())?;
                Way::Number
            }
            Some(As::List) => check.tensor(from).map(|_| Way::List)?,
            Some(As::Mask) => Way::Mask(picture::MaskPlan::new(check, output, from)?),
            Some(kind @ (As::Label | As::Score | As::Labels)) => {
                Way::Classes(classes::ClassesPlan::new(check, output, from, kind)?)
            }
            Some(As::Boxes) => {
                let pictures: Vec<&str> =
                    inputs.iter().map(I::borrow).filter(|input| input.is_picture()).map(|i| i.name.as_str()).collect();
                Way::Boxes(Box::new(boxes::BoxesPlan::new(check, output, from, &pictures)?))
            }
            Some(As::Embedding) => Way::Embedding(embedding::EmbeddingPlan::new(check, output, from)?),
            Some(As::Ctc) => Way::Ctc(ctc::CtcPlan::new(check, output, from)?),
            Some(As::Audio) => {
                check.tensor(from)?;
                Way::Audio(check.number(output.rate.as_ref(), 0.0))
            }
        };
        let size = output.size.as_ref().and_then(|size| match size.as_ref() {
            Size::Like(name) => Some(name.clone()),
            Size::Pixels(_) => None,
        });
        let beside =
            [&output.scores, &output.classes, &output.mask].into_iter().flatten().map(|name| name.as_ref().clone());
        let beside = beside.chain(size).collect();
        Some(Self { name: output.name.as_ref().clone(), from: from.as_ref().clone(), beside, way })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is made from this value.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.from == name || self.beside.iter().any(|other| other == name)
    }

    /// What it is as a value.
    pub(crate) fn known(&self) -> Known {
        match &self.way {
            Way::Plain(known) => known.clone(),
            Way::Tensor => Known::Tensor(None),
            Way::Number => Known::Number,
            Way::List | Way::Embedding(_) => Known::Numbers,
            Way::Image(_) | Way::Mask(_) => Known::Image,
            Way::Classes(classes) => classes.known(),
            Way::Boxes(_) => Known::Maps,
            Way::Ctc(_) => Known::Text,
            Way::Audio(_) => Known::Audio,
        }
    }

    /// As `discover` reports it.
    pub(crate) fn type_metadata(&self) -> TypeMetadata {
        match self.known() {
            Known::Text => TypeMetadata::str(),
            Known::Number => TypeMetadata::float(),
            Known::Bool => TypeMetadata::bool(),
            Known::Numbers => TypeMetadata::list_of(TypeMetadata::float()),
            Known::Texts => TypeMetadata::list_of(TypeMetadata::str()),
            Known::Image => TypeMetadata::image(),
            Known::Buffer(_) if self.known().is_picture() => TypeMetadata::image(),
            Known::Audio => TypeMetadata::audio(),
            Known::Tensor(_) | Known::Buffer(_) => TypeMetadata::np_array(),
            Known::Maps => TypeMetadata::list_of(TypeMetadata::dict()),
            Known::Anything => TypeMetadata::any(),
        }
    }

    pub(crate) fn make(&self, values: &Values, placed: &HashMap<String, Placement>) -> Result<Datum> {
        let value = values.get(&self.from).ok_or_else(|| Error::failed(format!("there is no value {}", self.from)))?;
        let made = match &self.way {
            Way::Plain(_) => Ok(value.clone()),
            Way::Tensor => tensor(value).map(Datum::Tensor),
            Way::Number => array(value).and_then(|all| match all.as_slice() {
                Some([number]) => Ok(Datum::Float(f64::from(*number))),
                _ => Err(Error::failed(format!("it has the shape {:?} and not one element", all.shape()))),
            }),
            Way::List => array(value).map(|all| Datum::Numbers(all.iter().copied().map(f64::from).collect())),
            Way::Image(image) => image.make(value, values),
            Way::Mask(mask) => mask.make(value, values),
            Way::Classes(classes) => classes.make(value, values),
            Way::Boxes(boxes) => boxes.make(value, values, placed),
            Way::Embedding(embedding) => embedding.make(value, values),
            Way::Ctc(ctc) => ctc.make(value),
            Way::Audio(rate) => {
                let samples = array(value)?.iter().copied().collect();
                let rate = rate.get(values)?.clamp(1.0, f64::from(u32::MAX)) as u32;
                Audio::new(samples, 1, rate).map(|audio| Datum::Audio(audio.into()))
            }
        };
        made.context(format!("output `{}` from `{}`", self.name, self.from))
    }
}

fn one_element(check: &mut Check<'_>, from: &Spanned<String>, shape: Option<&[Dim]>) -> Option<()> {
    let is_more = |dim: &&Dim| matches!(dim, Dim::Fixed(n) if *n != 1);
    let Some(dim) = shape.unwrap_or_default().iter().find(is_more) else { return Some(()) };
    let text = format!("{} has an axis of length {dim}, and a number is one element", from.as_ref());
    check.tell(from, Kind::ShapeMismatch, text);
    None
}

/// A tensor, or a buffer as one.
fn tensor(value: &Datum) -> Result<Tensor> {
    match value {
        Datum::Tensor(tensor) => Ok(tensor.clone()),
        Datum::Pixels(pixels) => pixels.tensor(),
        other => Err(Error::failed(format!("it is {} and no tensor", other.what()))),
    }
}

/// Its elements as floats, in standard order.
fn array(value: &Datum) -> Result<ArrayD<f32>> {
    let array = tensor(value)?.to_array_as::<f32>().map_err(Error::failed)?;
    Ok(array.as_standard_layout().into_owned())
}

/// Holds a tensor to being a matrix, `[R, C]` or `[1, R, C]`, whose columns `fits` has nothing against.
fn matrix(
    check: &mut Check<'_>,
    from: &Spanned<String>,
    shape: Option<&[Dim]>,
    what: &str,
    fits: impl Fn(&Dim, &Dim) -> bool,
) -> Option<()> {
    let is_one = |dim: &Dim| !matches!(dim, Dim::Fixed(n) if *n != 1);
    let is_fine = match shape {
        None => true,
        Some([rows, columns]) => fits(rows, columns),
        Some([one, rows, columns]) => is_one(one) && fits(rows, columns),
        Some(_) => false,
    };
    if !is_fine {
        misshapen(check, from, shape, what);
    }
    is_fine.then_some(())
}

/// Holds a tensor to a number of axes, where its shape is known.
fn axis_count(
    check: &mut Check<'_>,
    from: &Spanned<String>,
    shape: Option<&[Dim]>,
    what: &str,
    count: RangeInclusive<usize>,
) -> Option<()> {
    let is_fine = shape.is_none_or(|dims| count.contains(&dims.len()));
    if !is_fine {
        misshapen(check, from, shape, what);
    }
    is_fine.then_some(())
}

fn misshapen(check: &mut Check<'_>, from: &Spanned<String>, shape: Option<&[Dim]>, what: &str) {
    let dims: Vec<String> = shape.unwrap_or_default().iter().map(ToString::to_string).collect();
    let text = format!("{} has the shape [{}], and {what}", from.as_ref(), dims.join(", "));
    check.tell(from, Kind::ShapeMismatch, text);
}

/// How many classes an axis counted from the end stands for, where the shape says so.
fn classes_in(shape: Option<&[Dim]>, from_end: usize) -> Option<usize> {
    match shape?.iter().rev().nth(from_end)? {
        Dim::Fixed(length) => Some(*length),
        _ => None,
    }
}

/// The labels, once there are as many as classes.
fn labels(check: &mut Check<'_>, output: &Output, classes: Option<usize>) -> Option<Vec<String>> {
    let Some(at) = &output.labels else { return Some(Vec::new()) };
    let labels = check.lines(Some(at))?;
    match classes {
        Some(classes) if classes != labels.len() => {
            let text = format!("there are {} labels, and the model has {classes} classes", labels.len());
            check.tell(at, Kind::LabelCount, text);
            None
        }
        _ => Some(labels),
    }
}

/// The label of a class, or its number.
fn label(labels: &[String], class: usize) -> String {
    labels.get(class).cloned().unwrap_or_else(|| class.to_string())
}
