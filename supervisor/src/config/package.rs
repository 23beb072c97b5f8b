//! `[[package]]`: where packages of nodes lie, and what of their settings is to be otherwise; and what a worker knows of the
//! package that it is. Which packages there are is found out in [`roster`](super::roster).

use std::path::PathBuf;

use millwork_package::Place;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{Origin, WorkerConfig};

/// One `[[package]]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PackageConfig {
    /// A package, a folder of packages, or an archive of one.
    pub path: PathBuf,
    /// Overrides [`Config::watch`](super::Config::watch).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<bool>,
    /// Keys of a [`WorkerConfig`] but `command`, instead of what the package says.
    #[serde(flatten)]
    pub settings: Table,
    /// Who named it.
    #[serde(skip)]
    pub origin: Origin,
}

/// The package that a worker is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackageSource {
    /// Its folder.
    pub folder: PathBuf,
    /// First segments of its node types.
    pub namespaces: Vec<String>,
    /// How to come by its program.
    pub build: Option<String>,
    /// Where `command` stands in its manifest.
    pub place: Option<Place>,
    /// Whether it is nodes without code, which run in a worker of our own.
    pub is_folder: bool,
    /// Another number where its files are others.
    pub revision: u64,
}

impl PackageConfig {
    /// Whatever lies there, as it says itself.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    pub(super) fn named_by(path: PathBuf, origin: Origin) -> Self {
        Self { origin, ..Self::new(path) }
    }

    /// A worker's settings with these over them. Of tables only the keys that are here are others.
    pub(super) fn over(&self, worker: &WorkerConfig) -> Result<WorkerConfig, String> {
        if self.settings.is_empty() {
            return Ok(worker.clone());
        }
        let mut table = Table::try_from(worker).map_err(|error| error.to_string())?;
        for (key, value) in self.settings.clone() {
            match (table.get_mut(&key), value) {
                (Some(Value::Table(own)), Value::Table(other)) => own.extend(other),
                (_, value) => drop(table.insert(key, value)),
            }
        }
        let over: WorkerConfig = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
        match over.problem().or_else(|| over.containment_problem()) {
            Some(problem) => Err(problem),
            None => Ok(WorkerConfig { package: worker.package.clone(), ..over }),
        }
    }

    /// What cannot be used in it, whatever the package is.
    pub(super) fn problem(&self) -> Option<String> {
        if self.path.as_os_str().is_empty() {
            return Some("has no path".to_owned());
        }
        // What the package says may be what makes the rest possible.
        let any = WorkerConfig { sandbox: true, ..WorkerConfig::new("any", ["any"]) };
        self.over(&any).err().map(|problem| format!("`{}`: {problem}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Instances;

    #[test]
    fn settings_lie_over_the_packages_own() {
        let mut worker = WorkerConfig::new("a", ["x"]);
        worker.env = [("A", "1"), ("B", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let entry = |text: &str| toml::from_str::<PackageConfig>(&format!("path = \"p\"\n{text}")).unwrap();
        let over = entry("watch = true\ninstances = 3\nenv = { B = \"3\" }").over(&worker).unwrap();
        assert_eq!((over.instances, over.env["A"].as_str(), over.env["B"].as_str()), (Instances::Fixed(3), "1", "3"));
        assert_eq!(entry("").over(&worker), Ok(worker));
        assert!(entry("instances = \"many\"").problem().unwrap().starts_with("`p`: expected a whole number"));
        assert!(entry("instances = 0").problem().unwrap().contains("1 or more"));
        assert_eq!(entry("sandbox_read = [\"/x\"]").problem(), None);
    }
}
