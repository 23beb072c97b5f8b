//! What is done already, in a file beside the outputs: how each was made, and which file it came from.
//!
//! One JSON object a line, added once the outputs of a file are whole and under their names. An end at any moment loses a
//! line at the most, and that file is done again. Sizes are recorded too: after a power cut a file may be there without
//! its end.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use millwork_protocol::{Frame, Map, map};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::failure::{Failure, Outcome};
use super::super::fields::Inputs;
use super::super::files;
use super::scan::{File, stamp};

/// The file's name, in the folder of the outputs.
const FILE_NAME: &str = ".millwork-batch.jsonl";
/// Goes into every digest; another one makes all outputs count as made in another way.
const VERSION: &str = "1";

/// How the outputs of one file were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    /// The file's name within its folder.
    file: String,
    /// Of the node, its fields, and the file's size and time.
    digest: String,
    /// Each output's name within its folder, and its size.
    outputs: Vec<(String, u64)>,
}

#[derive(Debug)]
pub(super) struct Manifest {
    output: PathBuf,
    recipe: String,
    entries: HashMap<String, Entry>,
    /// For each output, the file that it is made from.
    owners: HashMap<String, String>,
    log: Option<std::fs::File>,
    /// The folder of the files, where outputs never belong.
    guarded: Option<PathBuf>,
}

/// A digest of everything that decides how a file is worked on, but the file. Secrets stay out of it.
pub(super) fn recipe(node: &str, field: &str, fixed: &Inputs, slots: &[String], format: Option<&str>) -> String {
    let sorted = |map: &Map| {
        let mut map = map.clone();
        map.sort_keys();
        map
    };
    let data = map! {
        "version" => VERSION, "node" => node, "field" => field, "slots" => slots.to_vec(), "format" => format,
        "fields" => sorted(&fixed.fields), "blobs" => sorted(&fixed.blobs),
    };
    hex(&Sha256::digest(Frame::message("batch", None, &data).to_payload()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Manifest {
    /// Reads what is there. Lines that are torn or not understood count as not there.
    pub(super) fn load(input: &Path, output: &Path, recipe: String) -> Outcome<Self> {
        let path = output.join(FILE_NAME);
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Failure::failed(format!("cannot read {}: {error}", path.display()))),
        };
        let mut entries: HashMap<String, Entry> = HashMap::new();
        for entry in text.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok()) {
            entries.insert(entry.file.clone(), entry);
        }
        // A file that is gone has no claim on its outputs any more.
        entries.retain(|file, _| input.join(file).exists());
        if entries.len() != text.lines().count() || !(text.is_empty() || text.ends_with('\n')) {
            let mut kept: Vec<&Entry> = entries.values().collect();
            kept.sort_by(|a, b| a.file.cmp(&b.file));
            files::write(&path, kept.into_iter().map(line).collect::<String>().as_bytes())?;
        }
        let outputs = |entry: &Entry| entry.outputs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let owners = entries.values().flat_map(|e| outputs(e).into_iter().map(|name| (name, e.file.clone()))).collect();
        let guarded = input.canonicalize().ok();
        // The folder for outputs may itself be in that of the files, which are then not looked for there.
        let guarded = guarded.filter(|input| !output.canonicalize().is_ok_and(|output| output.starts_with(input)));
        Ok(Self { output: output.to_owned(), recipe, entries, owners, log: None, guarded })
    }

    /// What a file's outputs will be recorded under; nothing where the file cannot be looked at.
    pub(super) fn digest(&self, file: &File) -> Option<String> {
        let (size, changed) = file.stamp().ok()?;
        Some(hex(&Sha256::digest(format!("{} {size} {changed}", self.recipe))))
    }

    /// Whether the outputs are there, whole, newer than the file, and made from it in this very way.
    pub(super) fn is_current(&self, file: &File) -> bool {
        let Some(entry) = self.entries.get(&file.name) else { return false };
        let Ok((_, changed)) = file.stamp() else { return false };
        let is_whole = |(name, bytes): &(String, u64)| {
            stamp(&self.output.join(name)).is_ok_and(|(size, made)| size == *bytes && made >= changed)
        };
        self.digest(file).is_some_and(|digest| digest == entry.digest) && entry.outputs.iter().all(is_whole)
    }

    /// Takes a name for an output of this file.
    pub(super) fn claim(&mut self, name: &str, file: &File) -> Outcome {
        let target = self.output.join(name);
        if let (Ok(there), Some(guarded)) = (target.canonicalize(), &self.guarded)
            && there.starts_with(guarded)
        {
            return Err(Failure::failed(format!("its output {} would take the place of a file", target.display()))
                .hint("--out another folder, outside of the one with the files"));
        }
        match self.owners.get(name) {
            Some(owner) if *owner != file.name => {
                Err(Failure::failed(format!("its output {} is that of {owner} already", target.display()))
                    .hint("rename one of the two files"))
            }
            _ => {
                self.owners.insert(name.to_owned(), file.name.clone());
                Ok(())
            }
        }
    }

    /// Records outputs that are whole.
    pub(super) fn record(&mut self, file: &File, digest: String, outputs: Vec<(String, u64)>) -> Outcome {
        let path = self.output.join(FILE_NAME);
        let entry = Entry { file: file.name.clone(), digest, outputs };
        let log = match self.log.take() {
            Some(log) => Ok(log),
            None => OpenOptions::new().create(true).append(true).open(&path),
        };
        // One write, so that lines of two commands do not mix.
        let written = log.and_then(|mut log| log.write_all(line(&entry).as_bytes()).map(|()| log));
        self.log = Some(written.map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))?);
        self.entries.insert(entry.file.clone(), entry);
        Ok(())
    }
}

fn line(entry: &Entry) -> String {
    serde_json::to_string(entry).map_or_else(|_| String::new(), |text| text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        folder: tempfile::TempDir,
        file: File,
    }

    impl Case {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            for name in ["in", "out"] {
                std::fs::create_dir(folder.path().join(name)).unwrap();
            }
            let file = File { path: folder.path().join("in/a.txt"), name: "a.txt".into(), stem: "a".into() };
            std::fs::write(&file.path, "one").unwrap();
            Self { folder, file }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn load(&self, sigma: f64) -> Manifest {
            let fixed = Inputs { fields: map! { "sigma" => sigma }, ..Inputs::default() };
            let recipe = recipe("acme.Blur", "image", &fixed, &[], None);
            Manifest::load(&self.path("in"), &self.path("out"), recipe).unwrap()
        }

        /// As after a run that has made `a.out`.
        fn made(&self) {
            let mut manifest = self.load(2.0);
            std::fs::write(self.path("out/a.out"), "made").unwrap();
            let digest = manifest.digest(&self.file).unwrap();
            manifest.record(&self.file, digest, vec![("a.out".into(), 4)]).unwrap();
            assert!(manifest.is_current(&self.file));
        }
    }

    #[test]
    fn an_output_counts_until_anything_about_it_changes() {
        let case = Case::new();
        assert!(!case.load(2.0).is_current(&case.file));
        case.made();
        assert!(case.load(2.0).is_current(&case.file) && !case.load(3.0).is_current(&case.file));
        std::fs::write(case.path("out/a.out"), "mad").unwrap();
        assert!(!case.load(2.0).is_current(&case.file), "half a file");
        std::fs::remove_file(case.path("out/a.out")).unwrap();
        assert!(!case.load(2.0).is_current(&case.file), "no file");
        case.made();
        std::fs::write(&case.file.path, "other").unwrap();
        assert!(!case.load(2.0).is_current(&case.file), "another input");
    }

    #[test]
    fn a_torn_line_is_as_none_and_later_ones_stand_for_themselves() {
        let case = Case::new();
        case.made();
        let log = case.path("out").join(FILE_NAME);
        let text = std::fs::read_to_string(&log).unwrap();
        std::fs::write(&log, format!("{text}{}", &text[..text.len() / 2])).unwrap();
        assert!(case.load(2.0).is_current(&case.file));
        assert_eq!(std::fs::read_to_string(&log).unwrap(), text);
        std::fs::write(&log, &text[..text.len() - 3]).unwrap();
        assert!(!case.load(2.0).is_current(&case.file));
        case.made();
        assert!(case.load(2.0).is_current(&case.file));
    }

    #[test]
    fn two_files_never_share_an_output_until_one_is_gone() {
        let case = Case::new();
        case.made();
        let other = File { path: case.path("in/b.txt"), name: "b.txt".into(), stem: "b".into() };
        let mut manifest = case.load(2.0);
        assert!(manifest.claim("a.out", &case.file).is_ok());
        assert!(format!("{:?}", manifest.claim("a.out", &other).unwrap_err()).contains("that of a.txt already"));
        assert!(manifest.claim("../in/a.txt", &case.file).is_err());
        std::fs::remove_file(&case.file.path).unwrap();
        assert!(case.load(2.0).claim("a.out", &other).is_ok());
    }

    #[test]
    fn the_order_of_fields_does_not_matter() {
        let recipe = |fields: Map| recipe("n", "f", &Inputs { fields, ..Inputs::default() }, &[], None);
        assert_eq!(recipe(map! { "a" => 1, "b" => 2 }), recipe(map! { "b" => 2, "a" => 1 }));
        assert_ne!(recipe(map! { "a" => 1 }), recipe(map! { "a" => 2 }));
    }
}
