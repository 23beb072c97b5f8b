//! The graphs of a language model and the tensors that they take: ids, masks, positions, keys and values. Which tokens go through them
//! is `session`'s.

use indexmap::IndexMap;
use millwork_worker::convert::{DType, Tensor};
use millwork_worker::models::Loaded;
use millwork_worker::onnx::{Carry, Dim, Model, ModelInfo, ValueInfo};
use millwork_worker::prelude::*;

use super::layout::Layout;
use crate::onnx_file;

const PAST: &str = "past_key_values.";
const PRESENT: &str = "present.";
/// `[batch, tokens, vocabulary]`: only those behind the last token are ever wanted.
const LOGITS: &str = "logits";
const BRANCH: &str = "use_cache_branch";
/// What Optimum and others call the inputs that are no cache.
const KNOWN: [&str; 5] = ["input_ids", "attention_mask", "position_ids", "cache_position", "num_logits_to_keep"];
/// Keys and values are `[batch, heads, tokens, size]`.
const GROWING: usize = 2;
/// Two ways to the same logits may differ by so much of the largest.
const ALIKE: f32 = 1e-3;

/// A model's graphs: mostly one, else one for the beginning and one for what follows.
#[derive(Debug)]
pub(super) struct Networks {
    /// Takes tokens behind a past; without `first` also behind none.
    later: Graph,
    first: Option<Graph>,
}

/// One graph.
#[derive(Debug)]
struct Graph {
    model: Model,
    /// The same, planned for one token at a time: matrices become vectors, which is most of what answering takes.
    single: Model,
    /// The inputs for keys and values, without any.
    empty: Vec<(String, Tensor)>,
    /// Which output of one run is which input of the next.
    links: IndexMap<String, String>,
}

impl Networks {
    /// Loads them, or finds them in the worker's cache.
    pub(super) fn load(layout: &Layout, cx: &Context) -> Result<Self> {
        let branch = |model: Model, taken| Ok::<_, Error>(model.with_constant(BRANCH, flag(taken)?));
        let (later, path) = match layout {
            Layout::One(path) => return Ok(Self { later: Graph::new(onnx_file::load(path, cx)?)?, first: None }),
            Layout::Merged(path) => (branch(onnx_file::load(path, cx)?, true)?, path),
            Layout::Pair(_, path) => (onnx_file::load(path, cx)?, path),
        };
        let later = Graph::new(later)?;
        // Mostly the graph for what follows does for the beginning too, and the weights are needed once.
        let key = format!("whole:{}", crate::tokens::stamp(path));
        let is_whole = cx.models().get_or_load(&key, &cx.cache_user(), || {
            let name = format!("{} (what it takes)", later.model.info().name);
            let value = later.is_whole();
            // A run that was cancelled tells nothing.
            cx.check()?;
            Ok::<_, Error>(Loaded { value, name, bytes: 64 })
        })?;
        let first = match layout {
            _ if *is_whole => None,
            Layout::Pair(path, _) => Some(Graph::new(onnx_file::load(path, cx)?)?),
            Layout::Merged(path) | Layout::One(path) => Some(Graph::new(branch(onnx_file::load(path, cx)?, false)?)?),
        };
        Ok(Self { later, first })
    }

    /// Whether the graphs keep keys and values at all.
    pub(super) fn has_cache(&self) -> bool {
        !self.later.links.is_empty()
    }

    /// Whether tokens can be given several at a time behind a past.
    pub(super) fn takes_several(&self) -> bool {
        self.first.is_none()
    }

    /// Puts tokens through behind `past` others, whose keys and values are in `carry`; gives the logits behind the last of them.
    pub(super) fn run(&self, tokens: &[u32], past: usize, carry: &mut Carry) -> Result<Vec<f32>> {
        let first = self.first.as_ref().filter(|_| past == 0);
        first.unwrap_or(&self.later).run(tokens, past, carry)
    }

    /// Cuts keys and values to those of the first `length` tokens, at least one.
    pub(super) fn truncate(carry: &mut Carry, length: usize) -> Result<()> {
        carry.truncate(GROWING, length, |_| true).map_err(|error| error.into_error())
    }
}

impl Graph {
    fn new(model: Model) -> Result<Self> {
        let info = model.info();
        let refuse = |why: String| Error::unavailable(format!("{} cannot be used: {why}", info.name)).permanent();
        let mut empty = Vec::new();
        for input in &info.inputs {
            if input.name.starts_with(PAST) {
                let tensor = nothing(input).ok_or_else(|| {
                    refuse(format!("its cache {:?} is {input}, not [batch, heads, tokens, size]", input.name))
                })?;
                empty.push((input.name.clone(), tensor));
            } else if !KNOWN.contains(&input.name.as_str()) && input.name != BRANCH {
                return Err(refuse(format!("it wants an input {:?}, which language models do not have", input.name)));
            }
        }
        if info.outputs.iter().all(|output| output.name != LOGITS) {
            return Err(refuse(
                "it has no output `logits`: it was exported for another task than text generation".into(),
            ));
        }
        let links = links(info);
        if let Some((name, _)) = empty.iter().find(|(name, _)| !links.values().any(|input| input == name)) {
            return Err(refuse(format!("it takes {name:?} and has no output for it")));
        }
        let single = with_shapes(&model, Dim::Fixed(1));
        let model = model.with_last(LOGITS, 1);
        Ok(Self { single, model: with_shapes(&model, Dim::Symbol("new".to_owned())), empty, links })
    }

    /// Whether it takes several tokens behind a past or behind none: some were traced with one, and are wrong with two. It is tried
    /// out, on four tokens in one go and one by one.
    fn is_whole(&self) -> bool {
        const TOKENS: [u32; 4] = [1, 2, 3, 4];
        let in_parts = |sizes: &[usize]| {
            let (mut carry, mut past, mut logits) = (Carry::default(), 0, Vec::new());
            for size in sizes {
                logits = self.run(&TOKENS[past..past + size], past, &mut carry).ok()?;
                past += size;
            }
            Some(logits)
        };
        let Some(one_by_one) = in_parts(&[1, 1, 1, 1]) else { return false };
        let largest = one_by_one.iter().fold(0f32, |most, x| most.max(x.abs()));
        [[4].as_slice(), &[1, 3], &[3, 1]].into_iter().all(|sizes| {
            in_parts(sizes)
                .is_some_and(|logits| logits.iter().zip(&one_by_one).all(|(a, b)| (a - b).abs() <= ALIKE * largest))
        })
    }

    fn run(&self, tokens: &[u32], past: usize, carry: &mut Carry) -> Result<Vec<f32>> {
        let model = if tokens.len() == 1 { &self.single } else { &self.model };
        if past == 0 {
            for (name, nothing) in &self.empty {
                carry.set(name, nothing).map_err(|error| error.into_error())?;
            }
        }
        let (count, all) = (tokens.len(), past + tokens.len());
        let mut inputs = IndexMap::new();
        let open = |input: &&ValueInfo| !input.name.starts_with(PAST) && input.name != BRANCH;
        for input in model.info().inputs.iter().filter(open) {
            let positions = || (past..all).map(|at| at as i64).collect::<Vec<i64>>();
            let (shape, numbers) = match input.name.as_str() {
                "input_ids" => (vec![1, count], tokens.iter().copied().map(i64::from).collect()),
                "attention_mask" => (vec![1, all], vec![1; all]),
                "position_ids" => (vec![1, count], positions()),
                "cache_position" => (vec![count], positions()),
                _ => (Vec::new(), vec![1]),
            };
            let tensor = Tensor::from_slice(&shape, &numbers)?;
            inputs.insert(input.name.clone(), tensor.cast(input.dtype.unwrap_or(DType::I64))?);
        }
        let mut outputs = model.step(&inputs, carry, &self.links).map_err(|error| error.into_error())?;
        let logits = outputs.swap_remove(LOGITS).ok_or_else(|| Error::failed("the model gave no logits"))?;
        last_row(&logits)
    }
}

/// Says how the sizes hang together, which exporters say in many ways and some wrongly: one conversation, `new` tokens behind `past`.
fn with_shapes(model: &Model, new: Dim) -> Model {
    let info = model.info();
    let past = Dim::Symbol("past".to_owned());
    let has_past = info.inputs.iter().any(|input| input.name.starts_with(PAST));
    let all = match (has_past, &new) {
        (true, new) => Dim::Symbol(format!("past + {new}")),
        (false, new) => new.clone(),
    };
    info.inputs.iter().fold(model.clone(), |model, input| {
        let shape = match (input.name.as_str(), &input.shape) {
            ("input_ids" | "position_ids", _) => vec![Dim::Fixed(1), new.clone()],
            ("attention_mask", _) => vec![Dim::Fixed(1), all.clone()],
            ("cache_position", _) => vec![new.clone()],
            (name, Some(dims)) if name.starts_with(PAST) && dims.len() > GROWING => {
                let mut dims = dims.clone();
                dims[0] = Dim::Fixed(1);
                dims[GROWING] = past.clone();
                dims
            }
            _ => return model,
        };
        model.with_shape(&input.name, shape)
    })
}

/// `present.0.key` goes where `past_key_values.0.key` is.
fn links(info: &ModelInfo) -> IndexMap<String, String> {
    let link = |output: &ValueInfo| {
        let which = output.name.strip_prefix(PRESENT)?;
        Some((output.name.clone(), format!("{PAST}{which}")))
    };
    info.outputs.iter().filter_map(link).collect()
}

/// The keys or values of no tokens for one conversation.
fn nothing(input: &ValueInfo) -> Option<Tensor> {
    let dims = input.shape.as_ref().filter(|dims| dims.len() == 4)?;
    let [_, Dim::Fixed(heads), Dim::Symbol(_) | Dim::Unknown, Dim::Fixed(size)] = dims.as_slice() else { return None };
    Tensor::new(input.dtype?, vec![1, *heads, 0, *size], Bytes::new()).ok()
}

fn flag(yes: bool) -> Result<Tensor> {
    Ok(Tensor::new(DType::Bool, vec![1], Bytes::from(vec![u8::from(yes)]))?)
}

/// The last row of `[1, tokens, vocabulary]`.
fn last_row(logits: &Tensor) -> Result<Vec<f32>> {
    let width = logits.shape.last().copied().unwrap_or(0);
    let wrong = || Error::failed(format!("the model's logits are {:?}, not [1, tokens, vocabulary]", logits.shape));
    if logits.shape.len() != 3 || logits.is_empty() {
        return Err(wrong());
    }
    let bytes = width * logits.dtype.itemsize();
    let row = logits.data.slice(logits.data.len().checked_sub(bytes).ok_or_else(wrong)?..);
    let row = Tensor::new(logits.dtype, vec![width], row)?;
    Ok(row.to_array_f32()?.into_raw_vec_and_offset().0)
}
