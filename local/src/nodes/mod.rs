//! The nodes on top of the provider: what its models do, in a graph, and what other networks for pictures do. What each family of
//! models needs is in its own folder.

mod background;
mod classify;
mod depth;
mod detect;
mod inpaint;
mod picture;
mod planes;
mod segment;
mod speak;
mod text;
mod tiles;
mod transcribe;
mod upscale;
mod weights;

use millwork_worker::onnx::{Dim, ModelInfo, ValueInfo};
use millwork_worker::{Error, Package, Result};
use parking_lot::RwLock;

use crate::Roots;
use weights::Weights;

/// Where the models of this process lie. Nodes are made without knowing their worker, so it is told here once.
static ROOTS: RwLock<Option<Roots>> = RwLock::new(None);

/// The nodes, over models in these places.
pub(crate) fn add(package: Package, roots: &Roots) -> Package {
    *ROOTS.write() = Some(roots.clone());
    package
        .node::<text::Generate>()
        .node::<text::Embed>()
        .node::<transcribe::Transcribe>()
        .node::<speak::Speak>()
        .node::<picture::Generate>()
        .node::<picture::Transform>()
        .node::<background::RemoveBackground>()
        .node::<upscale::Upscale>()
        .node::<inpaint::Inpaint>()
        .node::<depth::Depth>()
        .node::<segment::Segment>()
        .node::<detect::DetectObjects>()
        .node::<classify::Classify>()
}

/// Where models lie.
fn roots() -> Roots {
    ROOTS.read().clone().unwrap_or_else(|| Roots::new(&[]))
}

/// The input of a network that has one.
fn only_input(info: &ModelInfo) -> Result<&ValueInfo> {
    let [input] = info.inputs.as_slice() else {
        let names: Vec<&str> = info.inputs.iter().map(|input| input.name.as_str()).collect();
        let text = format!("{} has {} inputs ({})", info.name, names.len(), names.join(", "));
        return Err(Error::invalid(format!("field `model`: {text}, where a picture is the only one; use onnx.Run")));
    };
    Ok(input)
}

/// The size that the files beside a network say, where it does not fix one itself.
fn open_size(input: &ValueInfo, weights: &Weights) -> Option<[u32; 2]> {
    let is_fixed = |dim: &Dim| matches!(dim, Dim::Fixed(_));
    let fixed = input.shape.iter().flatten().skip(1).filter(|dim| is_fixed(dim)).count();
    weights.size().filter(|_| fixed < 3)
}
