//! The files of a batch: which ones of a folder, in which order, and what their outputs are called. None is opened.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use glob::Pattern;
use walkdir::{DirEntry, WalkDir};

use super::super::failure::{Failure, Outcome};
use super::Args;

/// One file to be worked on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct File {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its path within the folder.
    pub(super) name: String,
    /// What its outputs are called, within their folder and without an extension.
    pub(super) stem: String,
}

impl File {
    /// Its size, and when it was changed in nanoseconds since 1970.
    pub(super) fn stamp(&self) -> std::io::Result<(u64, u128)> {
        stamp(&self.path)
    }
}

/// The size of a file, and when it was changed in nanoseconds since 1970.
pub(super) fn stamp(path: &Path) -> std::io::Result<(u64, u128)> {
    let metadata = std::fs::metadata(path)?;
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    Ok((metadata.len(), changed))
}

/// The files of the folder in order, without hidden ones and without what is in the folder for outputs.
pub(super) fn files(args: &Args) -> Outcome<Vec<File>> {
    let (folder, output) = (&args.input, &args.output);
    let here = folder
        .canonicalize()
        .map_err(|error| Failure::usage(format!("cannot read the folder {}: {error}", folder.display())))?;
    let there = output.canonicalize().ok();
    if there.as_ref() == Some(&here) {
        return Err(Failure::usage("--in and --out are the same folder").hint("outputs need a folder of their own"));
    }
    if output.exists() && !output.is_dir() {
        return Err(Failure::usage(format!("--out {}: it is no folder", output.display())));
    }
    let patterns = patterns(&args.patterns)?;
    let is_hidden = |entry: &DirEntry| entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
    let is_output =
        |entry: &DirEntry| entry.file_type().is_dir() && there.is_some() && entry.path().canonicalize().ok() == there;
    let depth = if args.recursive { usize::MAX } else { 1 };
    let entries = WalkDir::new(folder).min_depth(1).max_depth(depth).sort_by_file_name().into_iter();
    let mut names = Vec::new();
    for entry in entries.filter_entry(|entry| !is_hidden(entry) && !is_output(entry)) {
        let entry = entry.map_err(|error| Failure::usage(format!("cannot read {}: {error}", folder.display())))?;
        // A link to a file is one; a link to a folder could lead in circles.
        if entry.path().is_file() {
            names.push(entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_owned());
        }
    }
    let files = named(folder, names, |name| patterns.is_empty() || patterns.iter().any(|one| matches(one, name)))?;
    if files.is_empty() {
        let hint = match (args.patterns.is_empty(), args.recursive) {
            (false, _) => "--match is held against names, or with a / in it against paths within the folder",
            (true, false) => "--recursive looks into the folders in it",
            (true, true) => "hidden files do not count",
        };
        return Err(Failure::usage(format!("there is no file to work on in {}", folder.display())).hint(hint));
    }
    Ok(files)
}

fn patterns(texts: &[String]) -> Outcome<Vec<Pattern>> {
    let read = |text: &String| Pattern::new(text).map_err(|error| Failure::usage(format!("--match {text}: {error}")));
    texts.iter().map(read).collect()
}

/// By the name alone, or by the whole path where the pattern has folders in it.
fn matches(pattern: &Pattern, name: &Path) -> bool {
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
    let subject = if pattern.as_str().contains('/') { name } else { Path::new(name.file_name().unwrap_or_default()) };
    pattern.matches_path_with(subject, options)
}

/// Outputs are called like the file without its extension; where two files would share that name, like the whole file.
/// Files that are not wanted count too, so that a name does not depend on a pattern.
fn named(folder: &Path, names: Vec<PathBuf>, is_wanted: impl Fn(&Path) -> bool) -> Outcome<Vec<File>> {
    let mut stems: HashMap<PathBuf, usize> = HashMap::new();
    for name in &names {
        *stems.entry(name.with_extension("")).or_default() += 1;
    }
    let wanted = names.into_iter().filter(|name| is_wanted(name));
    let file = |name: PathBuf| {
        let is_shared = stems.get(&name.with_extension("")).is_some_and(|count| *count > 1);
        let stem = if is_shared { name.clone() } else { name.with_extension("") };
        match (name.to_str(), stem.to_str()) {
            (Some(text), Some(stem)) => {
                Ok(File { path: folder.join(&name), name: text.to_owned(), stem: stem.to_owned() })
            }
            _ => Err(Failure::usage(format!("the name of {} is no Unicode text", name.display()))
                .hint("rename it, or leave it out with --match")),
        }
    };
    wanted.map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_outputs_are_short_where_nobody_else_has_them() {
        let names = ["a.b.jpg", "c.jpg", "c.png", "d/c.jpg", "e"].map(PathBuf::from).to_vec();
        let files = named(Path::new("in"), names, |name| !name.ends_with("c.png")).unwrap();
        let stems: Vec<&str> = files.iter().map(|file| file.stem.as_str()).collect();
        assert_eq!(stems, ["a.b", "c.jpg", "d/c", "e"]);
        assert_eq!(files[2].path, Path::new("in/d/c.jpg"));
    }

    #[test]
    fn a_pattern_is_for_names_or_for_paths() {
        let is_match = |pattern: &str, name: &str| matches(&Pattern::new(pattern).unwrap(), Path::new(name));
        assert!(is_match("*.png", "a/b.png") && !is_match("*.png", "a.jpg"));
        assert!(is_match("a/*.png", "a/b.png") && !is_match("a/*.png", "a/b/c.png"));
        assert!(is_match("**/c.png", "a/b/c.png"));
    }
}
