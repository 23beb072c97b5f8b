//! The decoder's graphs: tokens in, scores of the next token out, keys and values kept between. Which token is taken is
//! `decode`'s.
//!
//! Exports have one graph without a past and one with it, or both as the branches of one graph. The first run makes keys and
//! values of what was heard, which later runs only read, and of the tokens, which grow.

use std::iter;

use indexmap::IndexMap;
use millwork_worker::convert::{DType, Tensor};
use millwork_worker::onnx::{Carry, Dim, Model, OnnxError, ValueInfo};
use millwork_worker::{Context, Error, Result};
use ndarray::{Array2, Axis, Ix3, s};

use super::files::{DecoderFiles, Files};
use crate::onnx_file;

const TOKENS: &str = "input_ids";
const HEARD: &str = "encoder_hidden_states";
const BRANCH: &str = "use_cache_branch";
const POSITION: &str = "cache_position";
const PAST: &str = "past_key_values.";
/// In the names of keys and values of what was heard.
const OF_HEARD: &str = ".encoder.";
/// What the names of new keys and values begin with; the longer one is of older exports.
const PRESENT: [&str; 2] = ["present_key_values.", "present."];
/// The axis of keys and values along which tokens stand.
const LENGTH: usize = 2;
/// Tokens of a first run, at least: what is told without a prompt.
const FEWEST: usize = 4;

/// Bytes of a past that nobody looks at.
const MOST_NOTHING: usize = 64 << 20;

/// A graph, and which of its results go into which input of the next run.
#[derive(Debug)]
struct Graph {
    model: Model,
    links: IndexMap<String, String>,
}

/// Both graphs.
#[derive(Debug)]
pub(super) struct Decoder {
    first: Graph,
    next: Graph,
    /// Tokens that there are positions for.
    positions: usize,
}

/// What the decoder remembers of the tokens that it has read. A clone shares the memory, and goes its own way.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    carry: Carry,
    length: usize,
}

impl Decoder {
    pub(super) fn load(files: &Files, cx: &Context) -> Result<Self> {
        let (heard, positions) = (files.window / 2, files.positions);
        let (first, next) = match &files.decoder {
            DecoderFiles::Pair { first, next } => (onnx_file::load(first, cx)?, onnx_file::load(next, cx)?),
            DecoderFiles::Merged(path) => {
                let both = onnx_file::load(path, cx)?;
                (branch(&both, false)?, branch(&both, true)?)
            }
        };
        Ok(Self {
            // A plan for any number of tokens adds masks along the wrong axis: it fails, or worse.
            first: Graph::new(first.per_shape(), |_| true)?,
            next: Graph::new(sized(next, heard), |name| !name.contains(OF_HEARD))?,
            positions,
        })
    }

    /// Reads the first tokens, with what the encoder made of the sound; gives the scores after each, `[tokens, vocabulary]`.
    pub(super) fn begin(&self, heard: &Tensor, tokens: &[u32]) -> Result<(Memory, Array2<f32>)> {
        let mut carry = Carry::default();
        for input in &self.first.model.info().inputs {
            if input.name == HEARD {
                let heard = heard.cast(input.dtype.unwrap_or(heard.dtype)).map_err(Error::failed)?;
                carry.set(HEARD, &heard).map_err(OnnxError::into_error)?;
            } else if input.name.starts_with(PAST) {
                // A merged graph wants them, and does not look at them in this branch.
                carry.set(&input.name, &nothing(input)?).map_err(OnnxError::into_error)?;
            }
        }
        let mut memory = Memory { carry, length: 0 };
        // Few lengths are few plans. What stands behind a token changes nothing of it, and is forgotten again.
        let length = tokens.len().next_power_of_two().max(FEWEST).min(self.positions).max(tokens.len());
        let padded: Vec<u32> = tokens.iter().copied().chain(iter::repeat(0)).take(length).collect();
        let scores = self.first.run(&mut memory, &padded)?;
        let is_growing = |name: &str| name.starts_with(PAST) && !name.contains(OF_HEARD);
        memory.carry.truncate(LENGTH, tokens.len(), is_growing).map_err(OnnxError::into_error)?;
        memory.length = tokens.len();
        Ok((memory, scores.slice_move(s![..tokens.len(), ..])))
    }

    /// Reads one more token; gives the scores of what follows it.
    pub(super) fn step(&self, memory: &mut Memory, token: u32) -> Result<Vec<f32>> {
        let scores = self.next.run(memory, &[token])?;
        Ok(scores.index_axis_move(Axis(0), 0).to_vec())
    }
}

impl Graph {
    /// `is_new` says of which keys and values, by name, the model makes new ones that count.
    fn new(model: Model, is_new: impl Fn(&str) -> bool) -> Result<Self> {
        let known = |name: &str| [TOKENS, HEARD, BRANCH, POSITION].contains(&name) || name.starts_with(PAST);
        if let Some(input) = model.info().inputs.iter().find(|input| !known(&input.name)) {
            let text =
                format!("{}: the input {:?} is none that a decoder of speech has", model.info().name, input.name);
            return Err(Error::unavailable(text).permanent());
        }
        let outputs = model.info().outputs.iter().filter(|output| is_new(&output.name));
        let link = |output: &ValueInfo| {
            let of = PRESENT.iter().find_map(|start| output.name.strip_prefix(start))?;
            Some((output.name.clone(), format!("{PAST}{of}")))
        };
        Ok(Self { links: outputs.filter_map(link).collect(), model })
    }

    fn run(&self, memory: &mut Memory, tokens: &[u32]) -> Result<Array2<f32>> {
        let mut inputs = IndexMap::new();
        for input in &self.model.info().inputs {
            let numbers: Vec<i64> = match input.name.as_str() {
                TOKENS => tokens.iter().copied().map(i64::from).collect(),
                POSITION => (memory.length..memory.length + tokens.len()).map(|at| at as i64).collect(),
                _ => continue,
            };
            let shape = if input.name == TOKENS { vec![1, numbers.len()] } else { vec![numbers.len()] };
            let tensor = Tensor::from_slice(&shape, &numbers).map_err(Error::failed)?;
            inputs.insert(input.name.clone(), tensor.cast(input.dtype.unwrap_or(DType::I64)).map_err(Error::failed)?);
        }
        let mut outputs = self.model.step(&inputs, &mut memory.carry, &self.links).map_err(OnnxError::into_error)?;
        memory.length += tokens.len();
        let name = &self.model.info().name;
        let scores =
            outputs.shift_remove("logits").ok_or_else(|| Error::failed(format!("{name} gives no `logits`")))?;
        let scores = scores.to_array_f32()?;
        let shape = scores.shape().to_vec();
        match scores.into_dimensionality::<Ix3>() {
            Ok(scores) if shape[0] == 1 && shape[1] == tokens.len() && shape[2] > 0 => {
                Ok(scores.index_axis_move(Axis(0), 0))
            }
            _ => Err(Error::failed(format!("{name} gives scores {shape:?} and not [1, {}, vocabulary]", tokens.len()))),
        }
    }
}

/// A merged graph, fixed to one of its branches.
fn branch(model: &Model, with_past: bool) -> Result<Model> {
    let value = Tensor::from_slice(&[1], &[with_past]).map_err(Error::failed)?;
    Ok(model.clone().with_constant(BRANCH, value))
}

/// Says how long the axes are of one more token behind any number, for one plan that serves every step.
fn sized(model: Model, heard: usize) -> Model {
    let inputs = model.info().inputs.clone();
    inputs.into_iter().fold(model, |model, input| {
        // Axes that every input of its kind has; the others are as the file says.
        let open = match input.name.as_str() {
            TOKENS => vec![Dim::Fixed(1), Dim::Fixed(1)],
            POSITION => vec![Dim::Fixed(1)],
            HEARD => vec![Dim::Fixed(1), Dim::Fixed(heard)],
            name if name.starts_with(PAST) => {
                let length = if name.contains(OF_HEARD) { Dim::Fixed(heard) } else { Dim::Symbol("past".to_owned()) };
                vec![Dim::Fixed(1), Dim::Unknown, length]
            }
            _ => return model,
        };
        let Some(mut shape) = input.shape.filter(|shape| shape.len() >= open.len()) else { return model };
        for (dim, open) in shape.iter_mut().zip(open).filter(|(dim, _)| !matches!(dim, Dim::Fixed(_))) {
            *dim = open;
        }
        model.with_shape(&input.name, shape)
    })
}

/// Keys or values of no token.
fn nothing(input: &ValueInfo) -> Result<Tensor> {
    let dims = input.shape.iter().flatten().enumerate();
    let shape: Vec<usize> = dims
        .map(|(axis, dim)| match dim {
            Dim::Fixed(length) => *length,
            _ => usize::from(axis == 0),
        })
        .collect();
    let dtype = input.dtype.unwrap_or(DType::F32);
    let bytes = shape.iter().try_fold(dtype.itemsize(), |bytes, axis| bytes.checked_mul(*axis));
    let Some(bytes) = bytes.filter(|bytes| *bytes <= MOST_NOTHING) else {
        let text = format!("the decoder's input {:?} is {input}, which is no past of no tokens", input.name);
        return Err(Error::unavailable(text).permanent());
    };
    Tensor::new(dtype, shape, vec![0; bytes].into()).map_err(Error::failed)
}
