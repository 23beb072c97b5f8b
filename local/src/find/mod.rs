//! Where models lie: the folders that the user names, and the hub's cache. What a folder holds is told by `recognise`, and which of its
//! files are loaded by `networks`.

mod hub;
mod networks;
mod recognise;

use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use millwork_worker::{Error, Result};

pub use hub::Hub;
pub(crate) use hub::Repository;
pub(crate) use hub::home as hub_home;

use crate::{Kind, LocalModel, Problem, voice};

/// How deep models may lie in a folder that the user names: `org/name`, and a shelf or two above. Voices lie deep:
/// `piper-voices/en/en_US/lessac/medium`.
const DEPTH: usize = 7;

/// The places where models are looked for.
#[derive(Debug, Clone)]
pub struct Roots {
    folders: Vec<PathBuf>,
    hub: Option<Hub>,
}

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Models that can be used, by where they lie and then by name.
    pub models: Vec<LocalModel>,
    /// What looks like a model and cannot be used.
    pub problems: Vec<Problem>,
}

impl Roots {
    /// The given folders, and the hub's cache where the environment has it.
    #[must_use]
    pub fn new(folders: &[PathBuf]) -> Self {
        Self { folders: folders.to_vec(), hub: Hub::from_env() }
    }

    /// The given folders alone.
    #[must_use]
    pub fn only(folders: &[PathBuf]) -> Self {
        Self { folders: folders.to_vec(), hub: None }
    }

    /// With this cache of the hub.
    #[must_use]
    pub fn with_hub(mut self, hub: Hub) -> Self {
        self.hub = Some(hub);
        self
    }

    /// The hub's cache.
    #[must_use]
    pub fn hub(&self) -> Option<&Hub> {
        self.hub.as_ref()
    }

    /// The folder or file that lies under a name in one of the folders, else the newest state of a repository of the hub. It need
    /// not be a model that [`Roots::scan`] knows.
    #[must_use]
    pub fn place(&self, id: &str) -> Option<PathBuf> {
        let path = Path::new(id);
        if id.is_empty() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let found = self.folders.iter().map(|folder| folder.join(path)).find(|place| place.exists());
        found.or_else(|| self.hub.as_ref()?.repository(id).snapshot())
    }

    /// Looks at everything. Of models of one id the first is taken: folders come in their order, the hub's cache last.
    #[must_use]
    pub fn scan(&self) -> Found {
        let mut found = Found::default();
        for root in &self.folders {
            if root.is_dir() {
                walk(root, root, DEPTH, &mut Met::at(root), &mut found);
            } else {
                found.problems.push(Problem::new(root, "there is no such folder of models"));
            }
        }
        for repository in self.hub.iter().flat_map(Hub::repositories) {
            // Other programs keep models for other runtimes there: those are none of ours, and nothing is wrong with them.
            let Some(snapshot) = repository.snapshot().filter(|folder| has_onnx(folder)) else { continue };
            let mut seen = models_in(&snapshot, &repository.id);
            seen.models.iter_mut().for_each(|model| model.is_in_hub = true);
            add(seen, &mut found);
        }
        let mut ids = HashSet::new();
        found.models.retain(|model| ids.insert(model.id.clone()));
        found
    }

    /// The model of an id, for a call of a kind.
    ///
    /// # Errors
    /// `unavailable` where there is none: with what is wrong with it, or with those that there are.
    pub fn locate(&self, id: &str, kind: Kind) -> Result<LocalModel> {
        if let Some(model) = self.look_up(id, kind) {
            return Ok(model);
        }
        let mut found = self.scan();
        if let Some(at) = found.models.iter().position(|model| model.id == id && model.kind == kind) {
            return Ok(found.models.swap_remove(at));
        }
        if let Some(other) = found.models.iter().find(|model| model.id == id) {
            let text = format!("the model {id:?} is a {}, not a {}", other.kind.noun(), kind.noun());
            return Err(Error::invalid(text));
        }
        if let Some(problem) = found.problems.iter().find(|problem| self.is_its(problem, id)) {
            return Err(Error::from(problem.clone()).context(format!("the model {id:?} cannot be used")));
        }
        let there: Vec<&str> =
            found.models.iter().filter(|model| model.kind == kind).map(|model| model.id.as_str()).collect();
        let there = match there.as_slice() {
            [] => format!("there is no {} at all: put one into a folder of --models or $MILLWORK_MODELS", kind.noun()),
            some => format!("there are: {}", some.join(", ")),
        };
        Err(Error::unavailable(format!("there is no {} {id:?}; {there}", kind.noun())).permanent())
    }

    /// Whether a problem is with what an id names: with a file in its folder or repository, or with the files of a voice.
    pub(crate) fn is_its(&self, problem: &Problem, id: &str) -> bool {
        let file = &problem.file;
        // A folder of models that is a model itself has its own name.
        let in_folder =
            |root: &PathBuf| file.strip_prefix(root).is_ok_and(|inside| is_called(inside, id) || root.ends_with(id));
        let in_hub = |hub: &Hub| hub.name_of(file).is_some_and(|name| is_called(&name, id));
        !id.is_empty() && (self.folders.iter().any(in_folder) || self.hub.as_ref().is_some_and(in_hub))
    }
}

/// What one place holds, wherever it lies: the model of a folder or, where that is no model's, the voices in it and below; of a
/// file the voice that it is. Whether it lies in the hub's cache is not asked: `is_in_hub` is false.
#[must_use]
pub fn models_in(place: &Path, id: &str) -> Found {
    let mut found = Found::default();
    if place.is_dir() {
        if !look(place, id, &mut found) {
            voices(place, id, DEPTH, &mut Met::at(place), &mut found);
        }
    } else if let Some(folder) = place.parent() {
        found = voice::find(folder, "");
        found.models.retain(|voice| voice.path == place);
        // Of `voice.onnx` or of `voice.onnx.json` beside it.
        found.problems.retain(|problem| problem.file == place || problem.file.with_extension("") == place);
        found.models.iter_mut().for_each(|voice| id.clone_into(&mut voice.id));
    }
    found
}

impl Roots {
    /// The model that lies where its id says. Only what is not there, or not as it should be, is worth looking at everything.
    fn look_up(&self, id: &str, kind: Kind) -> Option<LocalModel> {
        let path = Path::new(id);
        if id.is_empty() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let seen = |folder: &Path, prefix: &str| match kind {
            Kind::Voice => voice::find(folder, prefix),
            _ => recognise::folder(folder, id),
        };
        // A voice is one of the files of its folder.
        let shelf = if kind == Kind::Voice { path.parent()? } else { path };
        let prefix = shelf.to_string_lossy();
        // The first folder that has it decides, as it does in a scan.
        let own = self.folders.iter().map(|root| root.join(shelf)).find(|place| place.is_dir());
        let is_in_hub = own.is_none();
        let place = own.or_else(|| self.hub.as_ref()?.repository(id).snapshot())?;
        let found = seen(&place, &prefix).models.into_iter().find(|model| model.id == id && model.kind == kind);
        found.map(|model| LocalModel { is_in_hub, ..model })
    }
}

/// A model ends the way down: what lies in its folder is its own.
fn walk(root: &Path, folder: &Path, depth: usize, met: &mut Met, found: &mut Found) {
    let inside = folder.strip_prefix(root).unwrap_or(folder);
    let id = match inside.to_string_lossy() {
        path if path.is_empty() => {
            folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
        path => path.into_owned(),
    };
    // Voices share a folder with each other and with folders of other models.
    let prefix = if folder == root { "" } else { &id };
    if !add(voice::find(folder, prefix), found) && look(folder, &id, found) || depth == 0 {
        return;
    }
    for entry in met.folders(folder) {
        walk(root, &entry, depth - 1, met, found);
    }
}

/// The voices of a folder and of those inside it.
fn voices(folder: &Path, prefix: &str, depth: usize, met: &mut Met, found: &mut Found) {
    add(voice::find(folder, prefix), found);
    if depth == 0 {
        return;
    }
    for entry in met.folders(folder) {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        voices(&entry, &format!("{prefix}/{name}"), depth - 1, met, found);
    }
}

/// The folders that a walk has been in. Links may lead in circles.
struct Met(HashSet<PathBuf>);

impl Met {
    fn at(folder: &Path) -> Self {
        Self(folder.canonicalize().into_iter().collect())
    }

    /// The folders inside one, each once however many links lead to it; by its own name where it has one there.
    fn folders(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = sorted(folder).into_iter().filter(|entry| entry.is_dir()).collect();
        folders.sort_by_key(|entry| entry.is_symlink());
        folders.retain(|entry| entry.canonicalize().is_ok_and(|real| self.0.insert(real)));
        folders
    }
}

/// Tells what is in one folder, and whether it was a model or meant to be one.
fn look(folder: &Path, id: &str, found: &mut Found) -> bool {
    add(recognise::folder(folder, id), found)
}

/// Adds what was seen, and tells whether there was anything.
fn add(seen: Found, found: &mut Found) -> bool {
    let is_any = !seen.models.is_empty() || !seen.problems.is_empty();
    found.models.extend(seen.models);
    found.problems.extend(seen.problems);
    is_any
}

/// Whether an id names a path, a folder above it, or the voice that a file is of. Names count as a whole.
fn is_called(path: &Path, id: &str) -> bool {
    let is_voice = |path: &str| [".onnx", ".onnx.json"].into_iter().any(|ending| path.strip_suffix(ending) == Some(id));
    path.starts_with(id) || path.to_str().is_some_and(is_voice)
}

/// Whether there is an ONNX file in a folder or those inside it.
pub(crate) fn has_onnx(folder: &Path) -> bool {
    fn is_in(folder: &Path, depth: usize, met: &mut Met) -> bool {
        sorted(folder).iter().any(|path| path.extension().is_some_and(|ending| ending == "onnx"))
            || depth > 0 && met.folders(folder).iter().any(|inside| is_in(inside, depth - 1, met))
    }
    is_in(folder, DEPTH, &mut Met::at(folder))
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    entries.sort();
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_that_of_the_model_it_is_with() {
        let place = tempfile::tempdir().unwrap();
        let (shelf, cache) = (place.path().join("shelf"), place.path().join("hub"));
        let snapshot = cache.join("models--org--distilbert-y/snapshots/abcdef0");
        for folder in [&shelf.join("org/distilbert-x"), &snapshot] {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join("config.json"), "{}").unwrap();
            fs::write(folder.join("model.onnx"), "x").unwrap();
        }
        fs::write(shelf.join("org/amy.onnx.json"), "{}").unwrap();
        let roots = Roots::only(std::slice::from_ref(&shelf)).with_hub(Hub::new(cache));
        assert_eq!(roots.scan().problems.len(), 3);
        let error = |id: &str| roots.locate(id, Kind::Embedding).unwrap_err().to_string();
        for (id, file) in [
            ("org/distilbert-x", "shelf/org/distilbert-x/config.json"),
            ("org/distilbert-y", "abcdef0/config.json"),
            ("org/amy", "shelf/org/amy.onnx.json"),
        ] {
            assert!(error(id).contains("cannot be used") && error(id).contains(file), "{}", error(id));
        }
        for id in ["bert", "bert-x", "distilbert-y", "org/distilbert", "org/distil", "org/am", "my"] {
            assert!(error(id).contains("there is no sentence encoder"), "{id}: {}", error(id));
        }
        // A folder of models that is one has its own name.
        let own = Roots::only(&[shelf.join("org/distilbert-x")]);
        let error = own.locate("distilbert-x", Kind::Embedding).unwrap_err().to_string();
        assert!(error.contains("cannot be used"), "{error}");
    }

    #[test]
    fn what_is_half_there_is_told() {
        let place = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = place.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("model.onnx"), "x").unwrap();
            folder
        };
        folder("weights for a node");
        fs::write(folder("no config").join("tokenizer.json"), "{}").unwrap();
        std::os::unix::fs::symlink("gone", folder("lost config").join("config.json")).unwrap();
        fs::write(folder("no class").join("config.json"), r#"{"model_type": "bert"}"#).unwrap();
        let problems: Vec<String> =
            Roots::only(&[place.path().to_owned()]).scan().problems.iter().map(ToString::to_string).collect();
        let told = [
            "lost config/config.json: is a link to nothing",
            "no class/config.json: names no `architectures`",
            "no config: has no config.json",
        ];
        assert_eq!(problems.len(), told.len(), "{problems:?}");
        for (problem, told) in problems.iter().zip(told) {
            assert!(problem.contains(told), "{problem}");
        }
    }

    #[test]
    fn links_in_circles_are_walked_once() {
        let place = tempfile::tempdir().unwrap();
        let model = place.path().join("a model");
        fs::create_dir(&model).unwrap();
        fs::write(model.join("config.json"), "{}").unwrap();
        fs::write(model.join("model.onnx"), "x").unwrap();
        for link in 0..8 {
            std::os::unix::fs::symlink(".", place.path().join(link.to_string())).unwrap();
        }
        let found = Roots::only(&[place.path().to_owned()]).scan();
        assert_eq!(found.problems.len(), 1);
        assert!(found.problems[0].file.starts_with(&model), "{:?}", found.problems);
    }
}
