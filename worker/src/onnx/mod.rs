//! ONNX models on the CPU: load, check, optimise, cache, run. tract does the arithmetic; this is what stands around it.
//!
//! - A model is refused up front, with every operator that this build does not have or would compute wrongly.
//! - Plans live in the [`ModelCache`], one for symbolic shapes where tract can make one, else one for each set of
//!   input shapes that is asked for.
//! - A run that is cancelled ends between two operators. Making a plan cannot be interrupted, nor can one operator be: a caller
//!   that must stop at once ends the process.

mod arithmetic;
mod branch;
mod bytes_of;
mod contain;
mod describe;
mod error;
mod external;
mod extremes;
mod graph;
mod info;
mod inputs;
mod lengths;
mod minuend;
mod names;
mod packed;
mod plan;
mod power;
mod source;
mod step;
mod supported;
mod threads;
mod value;
mod walk;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::Mutex;

use crate::cancel::CancelToken;
use crate::convert::{DType, Tensor};
use crate::models::{CacheUser, Loaded, ModelCache, Pinned};

pub use error::OnnxError;
pub use info::{Dim, ModelInfo, OperatorCount, ValueInfo};
pub use source::{FileVersion, Source};
pub use step::Carry;
pub use supported::UnsupportedOperator;

use contain::contain;
use describe::Described;
use graph::Graph;
use plan::{Attempt, Shapes};
use threads::Threads;

/// More threads than this never help one plan.
const MOST_THREADS: usize = 64;

/// An input of more integers than this is data: it says nothing of shapes.
const MOST_INTEGERS: usize = 64;

/// The ONNX service: loads models into the cache that it is given. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Onnx {
    cache: ModelCache,
    threads: usize,
    pools: Arc<Mutex<HashMap<usize, Arc<Threads>>>>,
}

impl Onnx {
    /// A service that keeps its models in `cache` and computes on `threads` threads unless a model is told otherwise.
    /// The threads are started by the first run that needs them.
    pub fn new(cache: ModelCache, threads: usize) -> Self {
        Onnx { cache, threads: threads.clamp(1, MOST_THREADS), pools: Arc::default() }
    }

    /// What a model says about itself, and which of its operators this build lacks. It need not be loadable; nothing
    /// is cached.
    ///
    /// # Errors
    /// [`OnnxError::Read`] or [`OnnxError::NotOnnx`].
    pub fn inspect(&self, source: impl Into<Source>) -> Result<ModelInfo, OnnxError> {
        let source = source.into();
        Ok(describe::describe(&source, &source.read()?)?.info)
    }

    /// Loads a model, or finds it in the cache. A file is loaded anew when it has changed.
    ///
    /// # Errors
    /// All of [`OnnxError`] but those of a run; [`OnnxError::Unsupported`] names every operator at once.
    pub fn load(&self, source: impl Into<Source>, user: &CacheUser) -> Result<Model, OnnxError> {
        let source = source.into();
        let key = source.key()?;
        let describe = || {
            let proto = source.read()?;
            let described = describe::describe(&source, &proto)?;
            described.refuse()?;
            let name = described.info.name.clone();
            // The weights are decoded, so keep them: the first plan is made from them. Not so where a branch is still to be chosen.
            if described.deciding.is_empty() {
                self.cache.get_or_load(&key.full, user, || graph::parse(&source, &proto))?;
            }
            Ok::<_, OnnxError>(Loaded { name, bytes: described.cost(), value: described })
        };
        let mut described = self.cache.get_or_load(&key.full, user, describe)?;
        if !described.external_files_are_the_same() {
            self.cache.forget(|other| other.starts_with(&key.full));
            described = self.cache.get_or_load(&key.full, user, describe)?;
        }
        // An older state of the same file is of no use any more.
        if !source.is_version() {
            self.cache.forget(|other| other.starts_with(&key.file) && !other.starts_with(&key.full));
        }
        let (onnx, user) = (self.clone(), user.clone());
        Ok(Model {
            onnx,
            source,
            key: key.full,
            described,
            user,
            threads: self.threads,
            per_shape: false,
            constants: IndexMap::new(),
            declared: IndexMap::new(),
            last: None,
            cancel: CancelToken::default(),
        })
    }

    fn pool(&self, threads: usize) -> Result<Arc<Threads>, OnnxError> {
        let mut pools = self.pools.lock();
        if let Some(pool) = pools.get(&threads) {
            return Ok(pool.clone());
        }
        let pool = contain("starting threads", || Ok(Threads::start(threads))).map_err(OnnxError::threads)?;
        let pool = Arc::new(pool);
        pools.insert(threads, pool.clone());
        Ok(pool)
    }
}

/// A loaded model. Hold it while working with it, not longer: loading again costs microseconds.
#[derive(Debug, Clone)]
pub struct Model {
    onnx: Onnx,
    source: Source,
    key: String,
    described: Pinned<Described>,
    user: CacheUser,
    threads: usize,
    per_shape: bool,
    /// Inputs that are not given with each run.
    constants: IndexMap<String, Tensor>,
    /// Shapes of inputs, in place of what the file says.
    declared: IndexMap<String, Vec<Dim>>,
    /// The output of which only the last entry along an axis is wanted.
    last: Option<(String, usize)>,
    cancel: CancelToken,
}

impl Model {
    /// What the model says about itself.
    pub fn info(&self) -> &ModelInfo {
        &self.described.info
    }

    /// Ends its runs with [`OnnxError::Cancelled`] once this is set, between two operators.
    pub fn with_cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Computes on this many threads, 1 to 64.
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.clamp(1, MOST_THREADS);
        self
    }

    /// Makes a plan for exactly the shapes of each run, also where a symbolic one would do: slower for the first run
    /// of a shape (15–50 ms for a small network), faster for the following ones.
    pub fn per_shape(mut self) -> Self {
        self.per_shape = true;
        self
    }

    /// Fixes an input for good: its plans are made for this value, and runs are not given it any more. What hangs on it, such as
    /// the branch of a decoder that has two, is decided then.
    pub fn with_constant(mut self, input: &str, value: Tensor) -> Self {
        self.constants.insert(input.to_owned(), value);
        self
    }

    /// Takes the shape of an input to be this, in place of what the file says of it: some say too little, or what is not so. A symbol
    /// may be a sum, `past + new`. Plans that are made for more than one size are made for these; a run with others fails.
    pub fn with_shape(mut self, input: &str, shape: Vec<Dim>) -> Self {
        self.declared.insert(input.to_owned(), shape);
        self
    }

    /// Gives of this output only the last entry along `axis`, which keeps a length of 1, and does not compute the others where
    /// nothing else needs them. A plan for an output or axis that there is not is an error.
    pub fn with_last(mut self, output: &str, axis: usize) -> Self {
        self.last = Some((output.to_owned(), axis));
        self
    }

    /// Makes the plan for these inputs, if the cache has none.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn prepare(&self, inputs: &IndexMap<String, Tensor>) -> Result<(), OnnxError> {
        inputs::check(&self.described.info, inputs, &self.constants)?;
        let shapes = Shapes::of(&self.described.info, &self.without_constants(inputs));
        self.plan(&shapes).map(|_| ())
    }

    /// Runs the model once: named tensors in, named tensors out, in the model's order.
    ///
    /// # Errors
    /// [`OnnxError::Input`] names the input that is missing, unknown, or of the wrong type or shape;
    /// [`OnnxError::Plan`] when tract cannot prepare the model for these shapes; [`OnnxError::Run`]; [`OnnxError::Cancelled`].
    pub fn run(&self, inputs: &IndexMap<String, Tensor>) -> Result<IndexMap<String, Tensor>, OnnxError> {
        inputs::check(&self.described.info, inputs, &self.constants)?;
        match self.run_checked(inputs) {
            Err(error @ OnnxError::Plan { .. }) => match self.with_integers_of(inputs) {
                Some(fixed) => fixed.run_checked(inputs).map_err(|_| error),
                None => Err(error),
            },
            done => done,
        }
    }

    /// What tract cannot plan for any axes, sizes and the like it often can for those that are given.
    fn with_integers_of(&self, inputs: &IndexMap<String, Tensor>) -> Option<Self> {
        let is_new = |name: &str| !self.constants.contains_key(name);
        let small = inputs.iter().filter(|(name, tensor)| {
            let is_small = tensor.len() <= MOST_INTEGERS;
            is_new(name) && is_small && matches!(tensor.dtype, DType::I32 | DType::I64 | DType::Bool)
        });
        let fixed = small.fold(self.clone(), |model, (name, tensor)| model.with_constant(name, tensor.clone()));
        (fixed.constants.len() > self.constants.len()).then_some(fixed)
    }

    fn without_constants<'a>(&self, inputs: &'a IndexMap<String, Tensor>) -> Cow<'a, IndexMap<String, Tensor>> {
        if self.constants.is_empty() {
            return Cow::Borrowed(inputs);
        }
        let open = inputs.iter().filter(|(name, _)| !self.constants.contains_key(*name));
        Cow::Owned(open.map(|(name, tensor)| (name.clone(), tensor.clone())).collect())
    }

    fn run_checked(&self, inputs: &IndexMap<String, Tensor>) -> Result<IndexMap<String, Tensor>, OnnxError> {
        let info = &self.described.info;
        let inputs = self.without_constants(inputs);
        let given = inputs::in_order(info, &inputs)?;
        let shapes = Shapes::of(info, &inputs);
        let pool = self.onnx.pool(self.threads)?;
        let outputs = self.run_plan(&shapes, |plan| pool.run(|| plan.run(info, given.clone(), &self.cancel)))?;
        let names = info.outputs.iter().map(|output| output.name.clone());
        Ok(names.zip(outputs).collect())
    }

    fn run_plan<T>(&self, shapes: &Shapes, run: impl Fn(&Attempt) -> Result<T, OnnxError>) -> Result<T, OnnxError> {
        let plan = self.plan(shapes)?;
        match run(&plan) {
            // Some symbolic plans come apart only when real sizes flow through them.
            Err(error) if plan.is_symbolic() && error != OnnxError::Cancelled => {
                tracing::debug!(%error, %shapes, "the plan for any size does not run for these");
                run(&*self.concrete(shapes)?)
            }
            done => done,
        }
    }

    fn plan(&self, shapes: &Shapes) -> Result<Pinned<Attempt>, OnnxError> {
        if shapes.needs_symbols() && !self.per_shape {
            let symbolic = self.attempt("symbolic", None)?;
            if symbolic.worked() {
                return Ok(symbolic);
            }
        }
        self.concrete(shapes)
    }

    fn concrete(&self, shapes: &Shapes) -> Result<Pinned<Attempt>, OnnxError> {
        let attempt = self.attempt(&shapes.to_string(), Some(shapes))?;
        attempt.outcome()?;
        Ok(attempt)
    }

    /// Failures are cached too: a symbolic plan that tract cannot make is tried once, not before every run.
    fn attempt(&self, what: &str, shapes: Option<&Shapes>) -> Result<Pinned<Attempt>, OnnxError> {
        let Onnx { cache, .. } = &self.onnx;
        let constants = self.constants.iter().map(|(name, value)| format!("{name}={:02x?}, ", &*value.data));
        let declared = self.declared.iter().filter(|_| shapes.is_none()).map(|(name, dims)| {
            let dims = dims.iter().map(ToString::to_string).collect::<Vec<String>>();
            format!(" {name}: {}", dims.join("x"))
        });
        let last = self.last.iter().map(|(output, axis)| format!(" {output}: last of {axis}"));
        let changes: String = declared.chain(last).collect();
        let key = format!("{}#{}{what}{changes}", self.key, constants.collect::<String>());
        cache.get_or_load(&key, &self.user, || {
            let graph = self.graph()?;
            let last = self.last.as_ref();
            Ok(plan::attempt(&self.described.info, &graph, shapes, &self.constants, &self.declared, last))
        })
    }

    /// The weights and the operators, of branches only the one that is chosen.
    fn graph(&self) -> Result<Pinned<Graph>, OnnxError> {
        let deciding = self.constants.iter().filter(|(name, _)| self.described.deciding.contains(name));
        let chosen: String = deciding.map(|(name, value)| format!("?{name}={:02x?}", &*value.data)).collect();
        self.onnx.cache.get_or_load(&format!("{}{chosen}", self.key), &self.user, || {
            let mut proto = self.source.read()?;
            if let Some(graph) = proto.graph.as_mut().filter(|_| !chosen.is_empty()) {
                branch::decide(graph, &self.constants);
            }
            graph::parse(&self.source, &proto)
        })
    }
}
