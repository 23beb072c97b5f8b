//! Where packages lie: a path may be a package, a folder of packages, or an archive of one. What is in them is read by `read`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::archive;
use crate::problem::{Kind, Problem};
use crate::read::MANIFEST;

/// The variable that names packages, separated as in `PATH`.
pub const PACKAGES_ENV: &str = "MILLWORK_PACKAGES";

/// The folders of the packages that a path leads to: one with a package.toml, or that ought to have one; each of those in a
/// folder of packages; or where an archive was unpacked.
///
/// # Errors
/// A path that is not there or cannot be read, and as [`archive::folder`].
pub fn packages(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    let about = std::fs::metadata(path).map_err(|error| {
        let kind = if error.kind() == std::io::ErrorKind::NotFound { Kind::MissingFile } else { Kind::UnreadableFile };
        let name = path.file_name().unwrap_or(OsStr::new(".")).to_string_lossy();
        let problem = Problem::new(kind, format!("{}: {error}", path.display())).of(name);
        problem.hint("name a folder with a package.toml in it")
    })?;
    match path.parent() {
        _ if about.is_dir() => {
            let inside = if has_manifest(path) { Vec::new() } else { inside(path) };
            Ok(if inside.is_empty() { vec![path.to_owned()] } else { inside })
        }
        // Whoever names the file means its folder.
        Some(folder) if path.file_name() == Some(OsStr::new(MANIFEST)) => {
            Ok(vec![if folder == Path::new("") { PathBuf::from(".") } else { folder.to_owned() }])
        }
        _ => archive::folder(path).map(|folder| vec![folder]),
    }
}

/// The packages in a folder of packages, by name.
#[must_use]
pub fn inside(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut packages: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|folder| folder.is_dir() && has_manifest(folder))
        .collect();
    packages.sort();
    packages
}

fn has_manifest(folder: &Path) -> bool {
    folder.join(MANIFEST).symlink_metadata().is_ok()
}

/// The paths in a variable's value.
pub fn split(value: &OsStr) -> Vec<PathBuf> {
    std::env::split_paths(value).filter(|path| !path.as_os_str().is_empty()).collect()
}
