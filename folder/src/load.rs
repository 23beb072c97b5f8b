//! From paths to packages of a worker. Packages are loaded side by side, and so are the nodes of one.

use std::path::{Path, PathBuf};

use millwork_package::manifest::Node;
use millwork_package::{Kind, MANIFEST, Manifest, Problem, find};
use millwork_worker::models::ModelCache;
use millwork_worker::node::Entry;
use millwork_worker::onnx::Onnx;
use millwork_worker::protocol::message::LoadError;
use millwork_worker::{Package, contain};
use rayon::prelude::*;

use crate::files::Files;
use crate::node;

/// The packages that these paths lead to: each a folder with a package.toml, a folder of such, or an archive of one. What is
/// wrong with them is among their load errors.
#[must_use]
pub fn load(paths: &[PathBuf]) -> Vec<Package> {
    let (mut folders, mut lost) = (Vec::new(), Vec::new());
    for path in paths {
        match find::packages(path) {
            Ok(found) => folders.extend(found),
            Err(problem) => lost.push(LoadError::from(problem)),
        }
    }
    let packages = folders.par_iter().map(|folder| package(folder));
    packages.chain([Package::new("packages").load_errors(lost)]).collect()
}

/// One folder as a package.
#[must_use]
pub fn package(folder: &Path) -> Package {
    let manifest = match Manifest::read(folder) {
        Ok(manifest) => manifest,
        Err(broken) => return Package::new(broken.name).load_errors(broken.problems.into_iter().map(LoadError::from)),
    };
    let package = Package::new(manifest.head.name.clone());
    let package = package.load_errors(manifest.problems.iter().cloned().map(LoadError::from));
    if let Some(program) = &manifest.program {
        let text = "this package is a program of its own; a worker cannot take it in";
        let problem = Problem::new(Kind::InvalidValue, text).of(&manifest.head.name);
        let problem = problem.at(MANIFEST, Some(program.place));
        return package
            .load_errors([LoadError::from(problem.hint("give it to the supervisor: millwork serve --package"))]);
    }
    let files = match Files::new(folder) {
        Ok(files) => files,
        Err(problem) => return package.load_errors([LoadError::from(problem.of(&manifest.head.name))]),
    };
    // A model that several nodes use is read once; what was read for the check does not stay in memory.
    let onnx = Onnx::new(ModelCache::new(u64::MAX), 1);
    let load = |one: &Node| {
        let module = one.head.node_type.as_ref();
        contain(std::panic::AssertUnwindSafe(|| node::plan(&manifest, one, &files, &onnx))).unwrap_or_else(|panic| {
            let text = format!("it cannot be loaded: {}", panic.message);
            let at = Some(manifest.place(&one.head.node_type));
            Err(vec![Problem::new(Kind::InvalidModel, text).of(module).at(MANIFEST, at)])
        })
    };
    let loaded: Vec<_> = manifest.nodes.par_iter().map(load).collect();
    loaded.into_iter().fold(package, |package, node| match node {
        Ok(plan) => package.entry(Entry::dynamic(plan.metadata().clone(), move |fields, cx| plan.run(fields, cx))),
        Err(problems) => package.load_errors(problems.into_iter().map(LoadError::from)),
    })
}
