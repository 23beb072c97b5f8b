//! Weights beside the model: found, inside its folder, and large enough, before anything is loaded.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use tract_onnx::pb::{GraphProto, TensorProto, tensor_proto::DataLocation};

use super::error::OnnxError;
use super::source::{FileState, Source};
use super::walk;

/// A file that weights were read from.
#[derive(Debug)]
pub(super) struct ExternalFile {
    path: PathBuf,
    state: FileState,
}

impl ExternalFile {
    pub(super) fn is_unchanged(&self) -> bool {
        FileState::of(&self.path).is_ok_and(|now| now == self.state)
    }
}

/// The files that the graph's tensors lie in. tract resolves the paths again, by the same rules.
pub(super) fn check(source: &Source, graph: &GraphProto) -> Result<Vec<ExternalFile>, OnnxError> {
    let mut files: HashMap<PathBuf, FileState> = HashMap::new();
    let mut problem = None;
    walk::tensors(graph, &mut |tensor| {
        if problem.is_some() || tensor.data_location != Some(DataLocation::External as i32) {
            return;
        }
        let location = entry(tensor, "location").unwrap_or_default();
        match locate(source.folder().as_deref(), location)
            .and_then(|path| Ok((FileState::of(&path).map_err(text)?, path)))
        {
            Ok((state, path)) => match fits(tensor, state) {
                Ok(()) => drop(files.insert(path, state)),
                Err(reason) => problem = Some((tensor.name.clone(), location.to_owned(), reason)),
            },
            Err(reason) => problem = Some((tensor.name.clone(), location.to_owned(), reason)),
        }
    });
    match problem {
        Some((tensor, location, reason)) => {
            Err(OnnxError::ExternalData { model: source.name(), tensor, location, reason })
        }
        None => Ok(files.into_iter().map(|(path, state)| ExternalFile { path, state }).collect()),
    }
}

fn entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
}

fn locate(folder: Option<&Path>, location: &str) -> Result<PathBuf, String> {
    let folder = folder.ok_or("the model was given as bytes, without a folder that the file could lie in")?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if location.is_empty() {
        return Err("the model names no file".into());
    }
    if Path::new(location).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err("the path leads out of the model's folder".into());
    }
    let folder = folder.canonicalize().map_err(text)?;
    let path = folder.join(location).canonicalize().map_err(text)?;
    if !path.starts_with(&folder) {
        return Err("the file is a link that leads out of the model's folder".into());
    }
    Ok(path)
}

/// In the hub's cache every file of `<repository>/snapshots/<revision>` is a link to `<repository>/blobs/<digest>`: gives
/// `blobs` for a model that is such a link.
pub(super) fn blobs(model: &Path) -> Option<PathBuf> {
    let blob = model.is_symlink().then(|| model.canonicalize().ok())??;
    let blobs = blob.parent().filter(|folder| folder.file_name().is_some_and(|name| name == "blobs"))?;
    let snapshots = blobs.parent()?.join("snapshots");
    model.parent()?.canonicalize().ok()?.starts_with(snapshots).then(|| blobs.to_owned())
}

/// Makes the places of weights those of the files in `blobs` that the names beside the model lead to.
pub(super) fn follow(model: &Path, blobs: &Path, graph: &mut GraphProto) {
    let folder = model.parent().unwrap_or(Path::new(""));
    walk::tensors_mut(graph, &mut |tensor| {
        for entry in tensor.external_data.iter_mut().filter(|entry| entry.key == "location") {
            let target = folder.join(&entry.value).canonicalize().ok();
            let name = target.as_deref().and_then(|path| path.strip_prefix(blobs).ok()?.to_str());
            if let Some(name) = name {
                entry.value = name.to_owned();
            }
        }
    });
}

fn fits(tensor: &TensorProto, state: FileState) -> Result<(), String> {
    let number = |key| match entry(tensor, key) {
        None => Ok(None),
        Some(text) => text.parse::<u64>().map(Some).map_err(|_| format!("{key} {text:?} is not a number")),
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?.unwrap_or(0));
    match offset.checked_add(length) {
        Some(end) if end <= state.bytes() => Ok(()),
        _ => Err(format!("bytes {offset} to {offset}+{length} are asked for, the file has {}", state.bytes())),
    }
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}
