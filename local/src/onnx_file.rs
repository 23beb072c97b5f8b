//! Which .onnx file of a model is taken: exporters have put them in two places and under several names.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use millwork_worker::onnx::Model;
use millwork_worker::{Context, Error, ErrorKind, Result};

use crate::Problem;

/// Where exporters put them: Optimum beside the config, hub repositories often in a folder of their own.
const FOLDERS: [&str; 2] = ["", "onnx"];

/// How the names of other precisions end; the exact one comes first.
const PRECISIONS: [&str; 9] = ["", "_fp16", "_int8", "_uint8", "_quantized", "_q8", "_q4", "_q4f16", "_bnb4"];

/// What a file of Git LFS starts with that was never fetched.
const POINTER: &[u8] = b"version https://git-lfs";

/// The first file of `names`, without `.onnx`, in the model's folder or in `onnx/` inside it; full precision before others.
pub(crate) fn find(folder: &Path, names: &[&str]) -> Result<PathBuf, Problem> {
    let Some(path) = find_if_there(folder, names) else {
        let wanted: Vec<String> = names.iter().map(|name| format!("{name}.onnx")).collect();
        let reason = format!("has no {}, here or in onnx/", wanted.join(" or "));
        return Err(Problem::new(folder, reason).hint(hint(folder)));
    };
    check(&path)?;
    Ok(path)
}

/// Loads an ONNX file of a model, or finds it in the worker's cache. What is wrong with it is no fault of the request.
pub(crate) fn load(path: &Path, cx: &Context) -> Result<Model> {
    cx.onnx_model(path.to_owned()).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => Error::unavailable(error.message()).permanent().context(path.display()),
        _ => error,
    })
}

/// The same for a file that need not be there.
pub(crate) fn find_if_there(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    let places = PRECISIONS.iter().flat_map(|ending| {
        names.iter().flat_map(move |name| FOLDERS.iter().map(move |place| (place, format!("{name}{ending}.onnx"))))
    });
    places.map(|(place, name)| folder.join(place).join(name)).find(|path| path.is_file())
}

fn hint(folder: &Path) -> &'static str {
    let has = |ending: &str| {
        let files = folder.read_dir().into_iter().flatten().flatten();
        files.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(ending))
    };
    if has(".safetensors") || has(".bin") {
        "it has weights of PyTorch only: export it with `optimum-cli export onnx`, see docs/providers.md"
    } else {
        "fetch the whole model: its .onnx files are not there"
    }
}

/// Tells an empty file and a Git LFS pointer from a model.
pub(crate) fn check(path: &Path) -> Result<(), Problem> {
    let broken = |error: std::io::Error| Problem::new(path, format!("cannot be read: {error}"));
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(64).read_to_end(&mut head)).map_err(broken)?;
    if head.is_empty() {
        return Err(Problem::new(path, "is empty"));
    }
    if head.starts_with(POINTER) {
        return Err(
            Problem::new(path, "is a pointer of Git LFS and not the model itself").hint("run `git lfs pull` there")
        );
    }
    Ok(())
}
