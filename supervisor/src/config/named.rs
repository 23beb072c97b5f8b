//! Who names packages: the command line, a file, the variable, and the user's folder of installed ones. What lies there is found
//! out in [`roster`](super::roster).

use std::path::{Path, PathBuf};

use millwork_package::find::{self, PACKAGES_ENV};
use toml::Value;

use super::keys::package_keys;
use super::layers::{check_key, check_limits};
use super::{ConfigError, Origin, PackageConfig};

/// Adds the packages that are not in a file: those of the command line come first, then the variable's and the user's.
pub(super) fn add(listed: &mut Vec<PackageConfig>, flags: &[PathBuf]) {
    let flags = flags.iter().map(|path| PackageConfig::named_by(path.clone(), Origin::Flag));
    listed.splice(..0, flags);
    let origin = Origin::Environment(PACKAGES_ENV.to_owned());
    let named = std::env::var_os(PACKAGES_ENV).map(|value| find::split(&value)).unwrap_or_default();
    listed.extend(named.into_iter().map(|path| PackageConfig::named_by(path, origin.clone())));
    // Where nothing is installed, nothing is missing.
    let user = user_packages().filter(|path| !find::inside(path).is_empty());
    listed.extend(user.map(|path| PackageConfig::named_by(path.clone(), Origin::Installed(path))));
}

/// The folder that `millwork package add` puts packages in.
#[must_use]
pub fn user_packages() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "millwork").map(|dirs| dirs.data_dir().join("packages"))
}

/// Whether these `[[package]]`s have no keys but known ones.
pub(super) fn check(packages: &Value, origin: &Origin) -> Result<(), ConfigError> {
    let tables = packages.as_array().into_iter().flatten().filter_map(Value::as_table);
    for (key, value) in tables.flatten() {
        if key == "limits" {
            check_limits("package", value, origin)?;
        }
        check_key("package", key, &package_keys(), origin)?;
    }
    Ok(())
}

/// Paths in a file are relative to its folder.
pub(super) fn place(packages: &mut Value, origin: &Origin) {
    let Origin::File(file) = origin else { return };
    let folder = std::path::absolute(file).ok().and_then(|file| file.parent().map(Path::to_owned)).unwrap_or_default();
    let tables = packages.as_array_mut().into_iter().flatten().filter_map(Value::as_table_mut);
    for path in tables.filter_map(|table| table.get_mut("path")) {
        if let Value::String(text) = path
            && !text.is_empty()
        {
            *text = folder.join(&*text).to_string_lossy().into_owned();
        }
    }
}
