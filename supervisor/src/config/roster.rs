//! Which workers a fleet has: those of the configuration, and one for each package that is found. Packages are read here and
//! nothing is started; what is wrong with one by then is a load error of the fleet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millwork_package::{Broken, Kind, MANIFEST, Manifest, Place, Problem, find};
use millwork_protocol::message::LoadError;

use super::{Config, ConfigError, Origin, PackageConfig, PackageSource, WorkerConfig, program, revision};
use crate::core::Unloaded;

/// The workers of a fleet, and the packages that it should have.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Roster {
    /// The workers that are listed, or the stock worker.
    pub listed: Vec<WorkerConfig>,
    /// Every package that was named or found, in the order of who comes first.
    pub packages: Vec<Package>,
}

/// A package that was named or found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Package {
    /// Its name; where that cannot be read, its folder's.
    pub name: String,
    /// Its version, where that is known.
    pub version: Option<String>,
    /// Where its name stands in its package.toml, if that could be read.
    pub place: Option<Place>,
    /// Its folder, or the path that leads to none.
    pub folder: PathBuf,
    /// Who named it, or the folder that it lies in.
    pub origin: Origin,
    /// First segments of its node types.
    pub namespaces: Vec<String>,
    /// What was wrong with it before any process.
    pub problems: Vec<Problem>,
    /// The worker that it is, unless it does not load at all.
    pub worker: Option<WorkerConfig>,
    /// What is looked at for changes.
    pub(crate) watched: Option<PathBuf>,
}

impl Roster {
    /// Finds the packages of a configuration.
    pub(super) fn find(config: &Config) -> Result<Self, ConfigError> {
        let mut packages: Vec<Package> = Vec::new();
        let (listed, program) = (config.listed()?, config.program()?);
        let mut known: BTreeMap<String, String> =
            listed.iter().map(|worker| (worker.name.clone(), "a worker of the configuration".to_owned())).collect();
        let search = Search { config, program: &program };
        for mut package in config.packages.iter().flat_map(|entry| search.at(entry)) {
            let name = package.worker.as_ref().map_or(&package.name, |worker| &worker.name).clone();
            let place = package.folder.display().to_string();
            match known.get(&name) {
                // It is named twice, by two ways to the same folder.
                Some(first) if *first == place => continue,
                Some(first) => {
                    let text = format!("`{name}` is {first} already; {place} is not used");
                    let problem = Problem::new(Kind::DuplicatePackage, text).of(&name).at(MANIFEST, package.place);
                    package.problems.push(problem.hint("two packages need two names"));
                    package.worker = None;
                    // What is missing, the first one knows.
                    package.namespaces = Vec::new();
                }
                None => drop(known.insert(name, place)),
            }
            packages.push(package);
        }
        let mut roster = Self { listed, packages };
        roster.workers_mut().for_each(|worker| {
            for (name, value) in &config.worker_env {
                worker.env.entry(name.clone()).or_insert_with(|| value.clone());
            }
        });
        Ok(roster)
    }

    /// All workers.
    pub fn workers(&self) -> impl Iterator<Item = &WorkerConfig> {
        self.listed.iter().chain(self.packages.iter().filter_map(|package| package.worker.as_ref()))
    }

    fn workers_mut(&mut self) -> impl Iterator<Item = &mut WorkerConfig> {
        self.listed.iter_mut().chain(self.packages.iter_mut().filter_map(|package| package.worker.as_mut()))
    }

    /// What the state machine has to know of packages that did not load.
    pub(crate) fn unloaded(&self) -> Vec<Unloaded> {
        let of = |package: &Package| {
            let (name, namespaces) = (package.name.clone(), package.namespaces.clone());
            package.problems.clone().into_iter().map(move |problem| {
                // What is wrong with one node says nothing of others.
                let namespaces = if problem.module == name { namespaces.clone() } else { Vec::new() };
                let mut error = LoadError::from(problem);
                error.extra.insert("package".to_owned(), name.as_str().into());
                Unloaded { namespaces, error: error.into_map().into() }
            })
        };
        self.packages.iter().flat_map(of).collect()
    }

    /// What is looked at for changes while the fleet runs.
    pub(crate) fn watched(&self) -> Vec<PathBuf> {
        // The folder itself too: where packages are found there may be a link to it.
        let of = |package: &Package| package.watched.iter().chain([&package.folder]).cloned().collect::<Vec<_>>();
        let mut all: Vec<PathBuf> = self.packages.iter().filter(|one| one.watched.is_some()).flat_map(of).collect();
        all.sort();
        all.dedup();
        all
    }
}

struct Search<'a> {
    config: &'a Config,
    /// The program that runs folders of nodes.
    program: &'a str,
}

impl Search<'_> {
    /// Every package where an entry leads to.
    fn at(&self, entry: &PackageConfig) -> Vec<Package> {
        let path = std::path::absolute(&entry.path).unwrap_or_else(|_| entry.path.clone());
        let is_watched = entry.watch.unwrap_or(self.config.watch);
        let mut packages: Vec<Package> = match find::packages(&path) {
            Ok(folders) => folders.iter().map(|folder| self.read(folder, entry)).collect(),
            Err(problem) => vec![broken(&path, entry, Broken::new(problem.module.clone(), vec![problem]))],
        };
        packages.iter_mut().for_each(|package| package.watched = is_watched.then(|| path.clone()));
        packages
    }

    fn read(&self, folder: &Path, entry: &PackageConfig) -> Package {
        let manifest = match Manifest::read(folder) {
            Ok(manifest) => manifest,
            Err(found) => return broken(folder, entry, found),
        };
        let head = &manifest.head;
        let mut source = PackageSource {
            folder: folder.to_owned(),
            namespaces: head.namespaces.clone(),
            revision: revision::of(folder),
            ..PackageSource::default()
        };
        let worker = match &manifest.program {
            // Of a folder of nodes the worker itself tells what is wrong with some of them.
            None if !manifest.nodes.is_empty() => {
                source.is_folder = true;
                let mut worker = self.config.stock.package(self.program, folder, &head.settings);
                worker.name.clone_from(&head.name);
                worker.package = Some(Arc::new(source));
                Ok(worker)
            }
            None => Err(manifest.problems.clone()),
            Some(program) => {
                source.build.clone_from(&program.build);
                source.place = Some(program.place);
                let worker = program::worker(&manifest, program, source);
                match worker {
                    Ok(worker) if manifest.problems.is_empty() => Ok(worker),
                    Ok(_) => Err(manifest.problems.clone()),
                    Err(problems) => Err([manifest.problems.clone(), problems].concat()),
                }
            }
        };
        let worker = worker.and_then(|worker| {
            entry.over(&worker).map_err(|text| {
                let text = format!("[[package]] in {}: {text}", entry.origin);
                vec![Problem::new(Kind::InvalidValue, text).of(&head.name).at(MANIFEST, None)]
            })
        });
        let (worker, problems) = match worker {
            Ok(worker) => (Some(worker), Vec::new()),
            Err(problems) => (None, problems),
        };
        Package {
            name: head.name.clone(),
            version: Some(head.version.to_string()),
            place: Some(head.place),
            folder: folder.to_owned(),
            origin: entry.origin.clone(),
            namespaces: head.namespaces.clone(),
            problems,
            worker,
            watched: None,
        }
    }
}

/// A package whose manifest cannot be used.
fn broken(folder: &Path, entry: &PackageConfig, found: Broken) -> Package {
    Package {
        name: found.name,
        version: found.version,
        place: None,
        folder: folder.to_owned(),
        origin: entry.origin.clone(),
        namespaces: found.namespaces,
        problems: found.problems,
        worker: None,
        watched: None,
    }
}
