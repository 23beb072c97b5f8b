//! Shaders that follow one another as one job of the GPU: what one leaves for the next never leaves the device.

use std::time::Duration;

use indexmap::IndexMap;
use millwork_worker::gpu::{Buffer, Control, GpuError, Job};
use millwork_worker::{Context, Error, Result};

use super::{Bound, ShaderStep};
use crate::buffer::{self, BufferPlan};
use crate::value::{Datum, Pixels, Values};

/// Longest time for the shaders of one node; a cancel is honoured between two of them.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs shaders one after the other, and keeps of what they wrote the buffers that are needed afterwards.
///
/// # Errors
/// [`GpuError`] inside of the result where a GPU could not do it and something else might.
pub(crate) fn run(
    steps: &[&ShaderStep],
    plans: &[BufferPlan],
    is_needed: impl Fn(&str) -> bool,
    values: &mut Values,
    cx: &Context,
) -> Result<std::result::Result<(), GpuError>> {
    let mut used: IndexMap<&str, Pixels> = IndexMap::new();
    let mut sizes_only = Vec::new();
    // In the plans' order: sizes and uniforms may depend on any buffer before, bound or not.
    for plan in plans {
        let name = plan.name.as_str();
        let is_bound = steps.iter().any(|step| step.buffers().any(|buffer| buffer == name));
        let made = match values.get(name) {
            Some(Datum::Pixels(pixels)) => pixels.clone(),
            _ => match plan.make(values) {
                Ok(made) => {
                    values.insert(name.to_owned(), Datum::Pixels(made.clone()));
                    sizes_only.extend((!is_bound).then_some(name));
                    made
                }
                Err(error) if is_bound => return Err(error),
                // What it is made of comes later.
                Err(_) => continue,
            },
        };
        if is_bound {
            used.insert(name, made);
        }
    }
    let is_written = |name: &str| {
        let writes = |bound: &Bound| matches!(bound, Bound::Buffer { name: n, is_written: true } if n == name);
        steps.iter().any(|step| step.binds.iter().any(writes))
    };
    let mut comes_back = Vec::new();
    let mut buffers = Vec::new();
    for (name, pixels) in &used {
        let elements = (pixels.width as u64).saturating_mul(pixels.height as u64);
        let size = elements.saturating_mul(buffer::stride(pixels.format));
        if size == 0 {
            return Err(Error::invalid(format!("the buffer {name} is empty")));
        }
        let (is_written, is_needed, is_filled) = (is_written(name), is_needed(name), !pixels.bytes.is_empty());
        buffers.push(match (is_written, is_filled) {
            (false, true) => Buffer::Input(pixels.bytes.clone()),
            (true, true) => Buffer::InOut(pixels.bytes.clone()),
            (true, false) if is_needed => Buffer::Output(size),
            (_, false) => Buffer::Scratch(size),
        });
        if is_written && (is_filled || is_needed) {
            comes_back.push((*name).to_owned());
        }
    }
    let index = |name: &str| used.get_index_of(name).unwrap_or_default();
    let job_steps = steps.iter().map(|step| step.step(values, index).map_err(|e| e.context(&step.file)));
    let job = Job { buffers, steps: job_steps.collect::<Result<_>>()? };
    let (cancelled, progress) =
        (|| cx.is_cancelled(), |done: usize, total: usize| cx.progress(done as f64, total as f64));
    let control = Control { timeout: LIMIT, cancelled: &cancelled, progress: &progress };
    let results = match cx.gpu().require().and_then(|_| cx.gpu().run(job, &control)) {
        Ok(results) => results,
        Err(error @ (GpuError::Unavailable { .. } | GpuError::TooLarge { .. } | GpuError::OutOfMemory(_))) => {
            return Ok(Err(error));
        }
        Err(error) => return Err(error.for_node()),
    };
    // What is in them is made when they are bound.
    values.retain(|name, _| !sizes_only.contains(&name.as_str()));
    for (name, bytes) in comes_back.into_iter().zip(results) {
        if let Some(pixels) = used.get(name.as_str()) {
            values.insert(name, Datum::Pixels(Pixels { bytes: bytes.into(), ..pixels.clone() }));
        }
    }
    Ok(Ok(()))
}
