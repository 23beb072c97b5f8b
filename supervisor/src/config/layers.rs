//! The layers of a configuration: defaults, a file, the environment, flags; and which of them each value came from.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::suggest::nearest;
use super::{Config, ConfigError};

/// The file's name, in the working folder and in the user's configuration folder.
const FILE_NAME: &str = "millwork.toml";

/// The settings that a variable can hold, `MILLWORK_` and the name in capitals with `_` for the point.
const ENVIRONMENT: [&str; 17] = [
    "max_in_flight",
    "max_queued",
    "max_queued_bytes",
    "request_timeout_ms",
    "cancel_grace_ms",
    "kill_grace_ms",
    "ready_timeout_ms",
    "handshake_timeout_ms",
    "shutdown_grace_ms",
    "restart.backoff_ms",
    "restart.max_backoff_ms",
    "restart.max_crashes",
    "restart.open_ms",
    "restart.stable_ms",
    "stock.test_nodes",
    "stock.namespaces",
    "stock.threads",
];

/// Keys of a `[[worker]]`, for suggestions.
const WORKER_KEYS: [&str; 6] = ["name", "command", "env", "cwd", "instances", "max_in_flight"];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable, by name.
    Environment(String),
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// What the command line says; the last layer.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Read this file instead of looking for one.
    pub file: Option<PathBuf>,
    /// Settings by their dotted name, such as `stock.test_nodes`.
    pub settings: Vec<(String, Value)>,
}

impl Overrides {
    /// Sets one value by its dotted name.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }
}

/// One value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The dotted name, such as `restart.backoff_ms`; workers stand as `worker.NAME`.
    pub key: String,
    /// The value, as TOML.
    pub value: Value,
    /// The layer that set it.
    pub origin: Origin,
}

/// A configuration, and the origin of each value in it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Every value in the order of the documentation.
    pub settings: Vec<Setting>,
}

/// Values found so far, with their origins.
#[derive(Default)]
struct Layers {
    table: Table,
    origins: Vec<(String, Origin)>,
}

/// Reads everything that there is. See [`Config::load`].
pub(super) fn load(overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::default();
    let file = overrides.file.clone().or_else(|| std::env::var_os("MILLWORK_CONFIG").map(PathBuf::from));
    match file {
        Some(path) => layers.file(&path)?,
        None => {
            if let Some(path) = candidates().into_iter().find(|path| path.exists()) {
                layers.file(&path)?;
            }
        }
    }
    layers.environment(|name| std::env::var(name).ok())?;
    layers.flags(&overrides.settings)?;
    layers.finish()
}

/// Where a file is looked for, first match wins.
fn candidates() -> Vec<PathBuf> {
    let user = directories::ProjectDirs::from("", "", "millwork").map(|dirs| dirs.config_dir().join(FILE_NAME));
    std::iter::once(PathBuf::from(FILE_NAME)).chain(user).collect()
}

impl Layers {
    fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        self.text(&text, &Origin::File(path.to_owned()))
    }

    fn text(&mut self, text: &str, origin: &Origin) -> Result<(), ConfigError> {
        let table = text
            .parse::<Table>()
            .map_err(|error| ConfigError::Syntax { origin: origin.clone(), text: error.to_string() })?;
        for (key, value) in table {
            match (key.as_str(), value) {
                ("worker", value) => {
                    self.check_workers(&value, origin)?;
                    self.set("worker", value, origin);
                }
                ("restart" | "stock", Value::Table(inner)) => {
                    for (name, value) in inner {
                        self.set_known(&format!("{key}.{name}"), value, origin)?;
                    }
                }
                (_, value) => self.set_known(&key, value, origin)?,
            }
        }
        self.check(origin).map(drop)
    }

    fn environment(&mut self, read: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        for key in ENVIRONMENT {
            let name = format!("MILLWORK_{}", key.to_uppercase().replace('.', "_"));
            if let Some(text) = read(&name) {
                let origin = Origin::Environment(name);
                self.set(key, parse(key, &text), &origin);
                self.check(&origin)?;
            }
        }
        Ok(())
    }

    fn flags(&mut self, settings: &[(String, Value)]) -> Result<(), ConfigError> {
        for (key, value) in settings {
            if key == "worker" {
                self.check_workers(value, &Origin::Flag)?;
                self.set(key, value.clone(), &Origin::Flag);
            } else {
                self.set_known(key, value.clone(), &Origin::Flag)?;
            }
        }
        self.check(&Origin::Flag).map(drop)
    }

    fn set_known(&mut self, key: &str, value: Value, origin: &Origin) -> Result<(), ConfigError> {
        if !ENVIRONMENT.contains(&key) {
            let suggestion = nearest(key, ENVIRONMENT.into_iter().chain(["worker"])).map(str::to_owned);
            return Err(ConfigError::UnknownKey { key: key.to_owned(), origin: origin.clone(), suggestion });
        }
        self.set(key, value, origin);
        Ok(())
    }

    fn check_workers(&self, workers: &Value, origin: &Origin) -> Result<(), ConfigError> {
        let tables = workers.as_array().into_iter().flatten().filter_map(Value::as_table);
        match tables.flat_map(Table::keys).find(|key| !WORKER_KEYS.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(ConfigError::UnknownKey {
                key: format!("worker.{key}"),
                origin: origin.clone(),
                suggestion: nearest(key, WORKER_KEYS).map(|name| format!("worker.{name}")),
            }),
        }
    }

    fn set(&mut self, key: &str, value: Value, origin: &Origin) {
        match key.split_once('.') {
            None => drop(self.table.insert(key.to_owned(), value)),
            Some((outer, inner)) => {
                let table = self.table.entry(outer).or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(table) = table {
                    table.insert(inner.to_owned(), value);
                }
            }
        }
        self.origins.retain(|(known, _)| known != key);
        self.origins.push((key.to_owned(), origin.clone()));
    }

    /// Whether the values so far can be used; blames the layer that was added last.
    fn check(&self, origin: &Origin) -> Result<Config, ConfigError> {
        let bad = |key: String, text: String| {
            let found = self.origins.iter().find(|(known, _)| *known == key).map(|(_, origin)| origin);
            ConfigError::BadValue { key, origin: found.unwrap_or(origin).clone(), text }
        };
        // One value at a time, so that the error can name it.
        for (key, _) in &self.origins {
            let (outer, inner) = key.split_once('.').map_or((key.as_str(), None), |(o, i)| (o, Some(i)));
            let Some(value) = self.table.get(outer) else { continue };
            let value = match inner.and_then(|inner| Some((inner, value.get(inner)?))) {
                Some((inner, value)) => Value::Table(Table::from_iter([(inner.to_owned(), value.clone())])),
                None => value.clone(),
            };
            if let Err(error) = Table::from_iter([(outer.to_owned(), value)]).try_into::<Config>() {
                return Err(bad(key.clone(), error.message().to_owned()));
            }
        }
        let config: Config = self
            .table
            .clone()
            .try_into()
            .map_err(|e: toml::de::Error| bad("config".to_owned(), e.message().to_owned()))?;
        config.validate().map_err(|(key, text)| bad(key, text))?;
        Ok(config)
    }

    fn finish(self) -> Result<Loaded, ConfigError> {
        let config = self.check(&Origin::Default)?;
        let origin = |key: &str| {
            self.origins.iter().find(|(known, _)| known == key).map_or(Origin::Default, |(_, origin)| origin.clone())
        };
        let table = Table::try_from(&config).unwrap_or_default();
        let mut settings = Vec::new();
        for key in ENVIRONMENT {
            let value = match key.split_once('.') {
                None => table.get(key),
                Some((outer, inner)) => table.get(outer).and_then(|value| value.get(inner)),
            };
            if let Some(value) = value {
                settings.push(Setting { key: key.to_owned(), value: value.clone(), origin: origin(key) });
            }
        }
        for worker in config.fleet()? {
            let value = Value::try_from(&worker).unwrap_or_else(|_| Value::String(worker.command.join(" ")));
            settings.push(Setting { key: format!("worker.{}", worker.name), value, origin: origin("worker") });
        }
        Ok(Loaded { config, settings })
    }
}

/// A variable's text as the type that the setting has; left as text where it is not of that type, for the error to name.
fn parse(key: &str, text: &str) -> Value {
    let text = text.trim();
    match key {
        "stock.namespaces" => {
            Value::Array(text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(Value::from).collect())
        }
        "stock.test_nodes" => match text {
            "1" | "true" | "yes" => Value::Boolean(true),
            "0" | "false" | "no" | "" => Value::Boolean(false),
            other => Value::from(other),
        },
        _ => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::Integer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(file: &str, env: &[(&str, &str)], flags: Overrides) -> Result<Loaded, ConfigError> {
        let mut layers = Layers::default();
        layers.text(file, &Origin::File("millwork.toml".into()))?;
        layers.environment(|name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))?;
        layers.flags(&flags.settings)?;
        layers.finish()
    }

    fn error(file: &str, env: &[(&str, &str)]) -> String {
        layers(file, env, Overrides::default()).unwrap_err().to_string()
    }

    #[test]
    fn later_layers_win_and_each_value_knows_its_origin() {
        let file = "max_in_flight = 8\nmax_queued = 9\n[restart]\nbackoff_ms = 50\n[[worker]]\nname = \"a\"\ncommand = [\"x\"]";
        let env = [("MILLWORK_MAX_QUEUED", "10"), ("MILLWORK_STOCK_NAMESPACES", "a, b")];
        let loaded = layers(file, &env, Overrides::default().set("max_in_flight", 12)).unwrap();
        let config = &loaded.config;
        assert_eq!((config.max_in_flight, config.max_queued, config.restart.backoff_ms), (12, 10, 50));
        assert_eq!(config.stock.namespaces, ["a", "b"]);
        let origin = |key: &str| loaded.settings.iter().find(|s| s.key == key).unwrap().origin.to_string();
        assert_eq!(origin("max_in_flight"), "command line");
        assert_eq!(origin("max_queued"), "$MILLWORK_MAX_QUEUED");
        assert_eq!(origin("restart.backoff_ms"), "millwork.toml");
        assert_eq!(origin("restart.stable_ms"), "default");
        assert_eq!(origin("worker.a"), "millwork.toml");
    }

    #[test]
    fn every_setting_is_known_by_name() {
        let table = Table::try_from(Config::default()).unwrap();
        let mut keys = Vec::new();
        for (key, value) in &table {
            match value {
                Value::Table(inner) => keys.extend(inner.keys().map(|k| format!("{key}.{k}"))),
                Value::Array(_) => {}
                _ => keys.push(key.clone()),
            }
        }
        keys.sort();
        let mut known: Vec<String> = ENVIRONMENT.iter().map(|k| (*k).to_owned()).collect();
        known.sort();
        assert_eq!(keys, known);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        assert_eq!(
            error("max_inflight = 3", &[]),
            "unknown setting `max_inflight` in millwork.toml: did you mean `max_in_flight`?"
        );
        assert_eq!(
            error("[[worker]]\nname = \"a\"\ncomand = [\"x\"]", &[]),
            "unknown setting `worker.comand` in millwork.toml: did you mean `worker.command`?"
        );
        let text = error("max_queued = \"many\"", &[]);
        assert!(text.starts_with("`max_queued` in millwork.toml: invalid type: string"), "{text}");
        let text = error("", &[("MILLWORK_MAX_IN_FLIGHT", "lots")]);
        assert!(text.starts_with("`max_in_flight` in $MILLWORK_MAX_IN_FLIGHT: invalid type"), "{text}");
        assert_eq!(error("max_in_flight = 0", &[]), "`max_in_flight` in millwork.toml: must be 1 or more");
        assert!(error("max_in_flight = ", &[]).starts_with("millwork.toml is not TOML"));
        assert!(error("[[worker]]\nname = \"a\"", &[]).contains("missing field `command`"));
    }
}
