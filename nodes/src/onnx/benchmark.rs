//! How long a model takes here.

use std::time::{Duration, Instant};

use indexmap::IndexMap;
use millwork_worker::models::{CacheUser, ModelCache};
use millwork_worker::onnx::{Dim, Model, Onnx, OnnxError, ValueInfo};
use millwork_worker::prelude::*;

use super::table;

/// Elements of one made-up input, at most: 256 MiB of float32.
const MOST_ELEMENTS: usize = 64 << 20;

/// Measures how long an ONNX model takes to load, to prepare for its input shapes, and to run.
///
/// The inputs are made up: floats between 0 and 1, whole numbers 0. Loading is measured afresh, beside what is cached.
#[derive(Node)]
#[node("onnx.Benchmark")]
pub(super) struct Benchmark {
    /// Path of the .onnx file; empty for the built-in digits model.
    #[node(default)]
    model: String,
    /// Timed runs, after two that are not.
    #[node(default = 20, min = 1, max = 10_000)]
    runs: usize,
    /// Threads to compute on; 0 measures one and then one per core.
    #[node(default = 0, min = 0, max = 64)]
    threads: usize,
    /// Lengths of the axes that the model leaves open, by their names, or by `input:axis`. Others are 1 in the first place
    /// and 64 elsewhere.
    #[node(default)]
    dims: Map,
}

#[derive(Outputs)]
pub(super) struct Measured {
    /// A row for each number of threads: `threads`, `load_ms`, `plan_ms`, `min_ms`, `p50_ms`, `max_ms`.
    results: Vec<Map>,
    /// The same as a table.
    text: String,
}

struct Row {
    threads: usize,
    load: Duration,
    plan: Duration,
    /// Sorted.
    runs: Vec<Duration>,
}

impl Run for Benchmark {
    type Output = Measured;

    fn run(self, cx: &Context) -> Result<Measured> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = match self.threads {
            0 if cores == 1 => vec![1],
            0 => vec![1, cores],
            n => vec![n],
        };
        let mut rows = Vec::new();
        let mut shapes = String::new();
        for (i, count) in threads.iter().enumerate() {
            // Its own cache, so that every time is a first time.
            let onnx = Onnx::new(ModelCache::new(u64::MAX), *count);
            let started = Instant::now();
            let model = onnx.load(super::source(&self.model, cx)?, &CacheUser::default());
            let model = model.map_err(OnnxError::into_error)?.per_shape();
            let load = started.elapsed();
            let inputs = made_up(&model.info().inputs, &self.dims)?;
            shapes =
                inputs.iter().map(|(name, tensor)| format!("{name} {:?}", tensor.shape)).collect::<Vec<_>>().join(", ");
            let started = Instant::now();
            model.prepare(&inputs).map_err(OnnxError::into_error)?;
            let plan = started.elapsed();
            let runs = self.measure(cx, &model, &inputs, (i * self.runs, threads.len() * self.runs))?;
            rows.push(Row { threads: *count, load, plan, runs });
        }
        let name = if self.model.is_empty() { "digits.onnx (built in)" } else { &self.model };
        let text = format!("{name} with {shapes}, {} runs\n{}", self.runs, text(&rows));
        Ok(Measured { results: rows.iter().map(Row::data).collect(), text })
    }
}

impl Benchmark {
    fn measure(
        &self,
        cx: &Context,
        model: &Model,
        inputs: &IndexMap<String, Tensor>,
        (before, total): (usize, usize),
    ) -> Result<Vec<Duration>> {
        for _ in 0..2 {
            model.run(inputs).map_err(OnnxError::into_error)?;
            cx.check()?;
        }
        let mut times = Vec::with_capacity(self.runs);
        for i in 0..self.runs {
            let started = Instant::now();
            model.run(inputs).map_err(OnnxError::into_error)?;
            times.push(started.elapsed());
            cx.check()?;
            cx.progress((before + i + 1) as f64, total as f64);
        }
        times.sort();
        Ok(times)
    }
}

impl Row {
    /// Load, plan, least, middle and longest, in milliseconds.
    fn times(&self) -> [(&'static str, f64); 5] {
        let run = |i: usize| self.runs.get(i).copied().unwrap_or_default();
        let (least, middle, most) = (run(0), run(self.runs.len() / 2), run(self.runs.len().saturating_sub(1)));
        [("load_ms", self.load), ("plan_ms", self.plan), ("min_ms", least), ("p50_ms", middle), ("max_ms", most)]
            .map(|(name, time)| (name, time.as_secs_f64() * 1e3))
    }

    fn data(&self) -> Map {
        let mut data = map! { "threads" => self.threads };
        data.extend(self.times().map(|(name, ms)| (name.to_owned(), Value::Float(ms))));
        data
    }
}

fn text(rows: &[Row]) -> String {
    let head = ["threads", "load ms", "plan ms", "min ms", "p50 ms", "max ms"].map(str::to_owned).to_vec();
    let line = |row: &Row| {
        let times = row.times().map(|(_, ms)| format!("{ms:.3}"));
        std::iter::once(row.threads.to_string()).chain(times).collect()
    };
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(rows.iter().map(line)).collect();
    table::columns(&lines)
}

fn made_up(inputs: &[ValueInfo], dims: &Map) -> Result<IndexMap<String, Tensor>> {
    let mut tensors = IndexMap::new();
    for input in inputs {
        let name = &input.name;
        let dtype = input.dtype.ok_or_else(|| Error::invalid(format!("input {name:?} is {}", input.dtype_name)))?;
        let open = || Error::invalid(format!("input {name:?} has any shape: measure it with onnx.Run"));
        let shape = input.shape.as_ref().ok_or_else(open)?;
        let shape = shape.iter().enumerate().map(|(axis, dim)| length(name, axis, dim, dims));
        let shape = shape.collect::<Result<Vec<usize>>>()?;
        let count = shape.iter().try_fold(1usize, |count, axis| count.checked_mul(*axis));
        let count = count.filter(|count| *count <= MOST_ELEMENTS).ok_or_else(|| {
            Error::invalid(format!("input {name:?} of shape {shape:?} is too large: {MOST_ELEMENTS} elements at most"))
        })?;
        // A fixed sequence, spread evenly: the same numbers every time.
        let numbers: Vec<f32> = (0..count).map(|i| (i as f32 * 0.618_034).fract()).collect();
        let tensor = Tensor::from_slice(&shape, &numbers).and_then(|tensor| tensor.cast(dtype)).context(name)?;
        tensors.insert(name.clone(), tensor);
    }
    Ok(tensors)
}

fn length(input: &str, axis: usize, dim: &Dim, dims: &Map) -> Result<usize> {
    let key = match dim {
        Dim::Fixed(length) => return Ok(*length),
        Dim::Symbol(name) if dims.contains_key(name) => name.clone(),
        Dim::Symbol(_) | Dim::Unknown => format!("{input}:{axis}"),
    };
    match dims.get(&key) {
        None if axis == 0 => Ok(1),
        None => Ok(64),
        Some(given) => given.as_i64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).ok_or_else(|| {
            Error::invalid(format!("field `dims`: the length of {key:?} must be a whole number from 1 on"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use millwork_worker::CancelToken;
    use millwork_worker::testing::NodeTest;

    use super::*;

    #[test]
    fn the_built_in_model_is_measured() {
        let outcome = NodeTest::new::<Benchmark>().field("runs", 5).field("threads", 1).outcome();
        assert_eq!(outcome.progress.len(), 5);
        let outputs = outcome.result.unwrap().outputs;
        let rows = outputs["results"].as_list().unwrap();
        assert_eq!(rows.len(), 1);
        let row = rows[0].as_map().unwrap();
        let ms = |name: &str| row[name].as_f64().unwrap();
        assert!(0.0 < ms("min_ms") && ms("min_ms") <= ms("p50_ms") && ms("p50_ms") <= ms("max_ms"));
        assert!(ms("load_ms") > 0.0 && ms("plan_ms") > 0.0);
        assert!(
            outputs["text"]
                .as_str()
                .unwrap()
                .starts_with("digits.onnx (built in) with image [1, 1, 8, 8], 5 runs\nthreads")
        );
    }

    #[test]
    fn open_axes_get_the_lengths_asked_for() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/tests/onnx");
        let call = |dims: Map| {
            let call = NodeTest::new::<Benchmark>().workspace(&folder).field("model", "tokens.onnx");
            call.field("runs", 1).field("threads", 2).field("dims", dims)
        };
        let text = |dims: Map| call(dims).run().unwrap().outputs["text"].as_str().unwrap().to_owned();
        assert!(text(map! { "B" => 3 }).contains("ids [3, 64], mask [3, 64]"));
        assert!(text(map! { "T" => 5, "ids:0" => 2, "mask:0" => 2 }).contains("ids [2, 5], mask [2, 5]"));
        let error = call(map! { "B" => "many" }).run().unwrap_err();
        assert_eq!(error.message(), "field `dims`: the length of \"B\" must be a whole number from 1 on");
        assert!(call(map! { "B" => 1i64 << 40 }).run().unwrap_err().message().contains("too large"));
    }

    #[test]
    fn a_cancelled_measurement_ends() {
        let token = CancelToken::default();
        token.cancel();
        let error = NodeTest::new::<Benchmark>().field("runs", 10_000).cancel(&token).run().unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Cancelled);
    }
}
