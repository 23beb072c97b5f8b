//! Whether what lies on disk is right: blobs have the digests that they are named by, and ONNX files load as a worker loads them.
//! A file that no worker would load is noted where it does not.

use std::fs;
use std::path::{Path, PathBuf};

use millwork_worker::models::{CacheUser, ModelCache};
use millwork_worker::onnx::{Onnx, OnnxError, UnsupportedOperator};
use walkdir::WalkDir;

use super::digest::Digest;
use crate::find::{has_onnx, models_in};
use crate::{LocalModel, tokens};

/// How deep the files of a model lie, and how many there are, at most.
const DEPTH: usize = 8;
const MOST_FILES: usize = 100_000;

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the model's folder.
    pub file: String,
    /// What is wrong.
    pub problem: String,
}

/// What was looked at, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// All files.
    pub files: usize,
    /// Those of them whose digest is known and fits.
    pub digests: usize,
    /// The ONNX files that load.
    pub models: usize,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// ONNX files that do not load, and that the model does without.
    pub notes: Vec<Finding>,
}

/// Looks at every file in a model's folder, or at one model that is a file; `seen` is told each before it is looked at.
#[must_use]
pub fn verify(model: &Path, mut seen: impl FnMut(&str)) -> Checked {
    let mut checked = Checked::default();
    // Of what is no model of ours each file may be meant.
    let found = models_in(model, "");
    let loaded: Vec<PathBuf> = found.models.iter().flat_map(LocalModel::networks).collect();
    for path in files(model) {
        let name = name_in(model, &path);
        seen(&name);
        checked.files += 1;
        match digest(&path) {
            Ok(is_known) => checked.digests += usize::from(is_known),
            Err(problem) => {
                checked.findings.push(Finding { file: name, problem });
                continue;
            }
        }
        if path.ends_with("tokenizer.json")
            && let Err(problem) = tokens::read(&path)
        {
            checked.findings.push(Finding { file: name, problem: problem.reason });
            continue;
        }
        if path.extension().is_none_or(|ending| ending != "onnx") {
            continue;
        }
        match load(&path) {
            Ok(()) => checked.models += 1,
            Err(_) if found.problems.iter().any(|problem| problem.file == path) => {}
            Err(problem) if loaded.is_empty() || loaded.contains(&path) => {
                checked.findings.push(Finding { file: name, problem });
            }
            Err(problem) => checked.notes.push(Finding { file: name, problem }),
        }
    }
    // What keeps it from being used at all. Other programs keep models for other runtimes in the hub's cache.
    if checked.digests == 0 || has_onnx(model) {
        let told = found.problems.iter().map(|problem| {
            let hint = problem.hint.iter().map(|hint| format!(" ({hint})"));
            let reason = format!("{}{}", problem.reason, hint.collect::<String>());
            Finding { file: name_in(model, &problem.file), problem: reason }
        });
        checked.findings.splice(0..0, told);
    }
    if checked.files == 0 && checked.findings.is_empty() {
        checked.findings.push(Finding { file: name_in(model, model), problem: "there are no files in it".to_owned() });
    }
    checked
}

/// A file's path in the model's folder; of the folder itself, or of a model that is a file, its name.
fn name_in(model: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(model).unwrap_or(path);
    let name = if inside.as_os_str().is_empty() { path.file_name().unwrap_or_default().as_ref() } else { inside };
    name.to_string_lossy().into_owned()
}

/// Whether a file's digest is known; it fits then.
fn digest(path: &Path) -> Result<bool, String> {
    fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "its contents are missing: pull the model again".to_owned(),
        _ => error.to_string(),
    })?;
    let tag = fs::read_link(path).ok().filter(|target| target.parent().is_some_and(|folder| folder.ends_with("blobs")));
    let tag = tag.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let digest = tag.and_then(Digest::of_etag);
    let fits =
        digest.as_ref().map(|digest| digest.fits(path, &|| true)).transpose().map_err(|error| error.to_string())?;
    if fits == Some(false) {
        return Err(
            "its contents have changed: they do not fit their digest; remove the model and pull it again".into()
        );
    }
    Ok(digest.is_some())
}

/// Loads an ONNX file as a worker does.
fn load(path: &Path) -> Result<(), String> {
    let onnx = Onnx::new(ModelCache::new(u64::MAX), 1);
    onnx.load(path, &CacheUser::default()).map(drop).map_err(|error| match error {
        OnnxError::Unsupported { operators: all, .. } => format!("operators that do not run here: {}", operators(&all)),
        other => other.to_string(),
    })
}

/// Operators by name, each once.
pub(crate) fn operators(all: &[UnsupportedOperator]) -> String {
    let mut names: Vec<String> = Vec::new();
    for UnsupportedOperator { op_type, domain, reason, .. } in all {
        let domain = if domain == "ai.onnx" { String::new() } else { format!(" of {domain}") };
        let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let name = format!("{op_type}{domain}{reason}");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// The files of a model, links to nowhere included, by name.
pub(crate) fn files(model: &Path) -> Vec<PathBuf> {
    let all = WalkDir::new(model).follow_root_links(true).max_depth(DEPTH).sort_by_file_name().into_iter();
    let files = all.flatten().filter(|entry| !entry.file_type().is_dir() && !entry.path().is_dir());
    files.map(|entry| entry.into_path()).take(MOST_FILES).collect()
}
