//! The packages of `tests/packages`, copied to where the rest of them can be made: links, named pipes and files too large to keep. What
//! they have to answer is compared in `answers`.

use std::fs;
use std::path::{Path, PathBuf};

use millwork_e2e::process::repository;
use nix::sys::stat::Mode;
use tempfile::TempDir;
use toml::{Table, Value};

/// All of it, for as long as this is kept.
pub(crate) struct Corpus {
    pub(crate) broken: Vec<Broken>,
    pub(crate) healthy: Vec<Healthy>,
    _folder: TempDir,
}

/// A package with one fault.
pub(crate) struct Broken {
    /// Its folder's name.
    pub(crate) name: String,
    /// What is loaded.
    pub(crate) path: PathBuf,
    /// Nodes that are there all the same.
    pub(crate) healthy: Vec<String>,
    /// The load error, as far as it is said.
    pub(crate) expected: Table,
}

/// A package without one.
pub(crate) struct Healthy {
    pub(crate) folder: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) cases: Vec<Table>,
}

/// What only a worker without a GPU complains about.
pub(crate) const NO_GPU: &str = "no-gpu";

impl Corpus {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&repository().join("tests/packages"), folder.path());
        let broken = folders(&folder.path().join("broken")).into_iter().map(broken).collect();
        let healthy = folders(&folder.path().join("healthy")).into_iter().map(healthy).collect();
        Self { broken, healthy, _folder: folder }
    }

    /// Everything that is loaded.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let broken = self.broken.iter().map(|package| &package.path);
        broken.chain(self.healthy.iter().map(|package| &package.path)).cloned().collect()
    }
}

impl Broken {
    /// Whether a load error is about this package.
    pub(crate) fn has(&self, module: &str) -> bool {
        let namespace = self.name.replace('-', "_");
        let is_inside =
            |name: &str| module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        is_inside(&self.name) || is_inside(&namespace) || self.expected["module"].as_str() == Some(module)
    }

    /// What is wrong with the load errors about this package, of which there should be this one.
    pub(crate) fn complaints(&self, errors: &[serde_json::Value]) -> Vec<String> {
        let [error] = errors else {
            return vec![format!("{}: {} load errors: {errors:#?}", self.name, errors.len())];
        };
        let wrong = self.expected.iter().filter(|(key, value)| {
            let found = &error[key.as_str()];
            match (key.as_str(), value) {
                ("error" | "hint", Value::String(part)) => !found.as_str().is_some_and(|text| text.contains(part)),
                (_, Value::Integer(number)) => found.as_i64() != Some(*number),
                (_, Value::Boolean(flag)) => found.as_bool() != Some(*flag),
                (_, value) => found.as_str() != value.as_str(),
            }
        });
        wrong.map(|(key, value)| format!("{}: `{key}` should be {value}: {error}", self.name)).collect()
    }
}

fn table(path: &Path) -> Table {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn broken(folder: PathBuf) -> Broken {
    let mut expected = table(&folder.join("expected.toml"));
    if let Some(Value::Table(setup)) = expected.remove("setup") {
        set_up(&folder, &setup);
    }
    let healthy = expected.remove("healthy").unwrap();
    let healthy = healthy.as_array().unwrap().iter().map(|node| node.as_str().unwrap().to_owned()).collect();
    let path = expected.remove("path").map_or(folder.clone(), |path| folder.join(path.as_str().unwrap()));
    Broken { name: folder.file_name().unwrap().to_string_lossy().into_owned(), path, healthy, expected }
}

fn healthy(folder: PathBuf) -> Healthy {
    let mut cases = table(&folder.join("cases.toml"));
    let path = cases.remove("path").map_or(folder.clone(), |path| folder.join(path.as_str().unwrap()));
    let cases = cases["case"].as_array().unwrap().iter().map(|case| case.as_table().unwrap().clone()).collect();
    Healthy { folder, path, cases }
}

/// Makes what no repository holds.
fn set_up(folder: &Path, setup: &Table) {
    if let Some(pipe) = setup.get("pipe").and_then(Value::as_str) {
        nix::unistd::mkfifo(&folder.join(pipe), Mode::from_bits_truncate(0o600)).unwrap();
    }
    if let Some(link) = setup.get("link") {
        let [name, to] = ["name", "to"].map(|key| link[key].as_str().unwrap());
        std::os::unix::fs::symlink(to, folder.join(name)).unwrap();
    }
    if let Some(sparse) = setup.get("sparse") {
        let file = fs::File::create_new(folder.join(sparse["file"].as_str().unwrap())).unwrap();
        file.set_len(u64::try_from(sparse["bytes"].as_integer().unwrap()).unwrap()).unwrap();
    }
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "{} is empty", of.display());
    folders
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
