//! The layers of a configuration: defaults, a file, the environment, flags; and which of them each value came from.

use std::fmt;
use std::path::{Path, PathBuf};

use millwork_package::nearest;
use millwork_protocol::limits::{BLOB_CHUNK_ENV, MAX_FRAME_ENV};
use serde::Deserialize;
use toml::{Table, Value};

use super::contain::LIMIT_KEYS;
use super::keys::{ALIASES, ENVIRONMENT, OTHERS, WORKER_KEYS, mistyped, no_size, parse, variable};
use super::{Config, ConfigError, StockConfig, WorkerConfig, named};

/// The file's name, in the working folder and in the user's configuration folder.
const FILE_NAME: &str = "millwork.toml";

/// Where a value came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it.
    #[default]
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable, by name.
    Environment(String),
    /// The command line.
    Flag,
    /// The folder of packages that are installed.
    Installed(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) | Self::Installed(path) => write!(f, "{}", path.display()),
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
    /// Packages, which come before all others.
    pub packages: Vec<PathBuf>,
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
    /// What is no error and still looks like a mistake: variables with mistyped names or values that nobody can read.
    pub warnings: Vec<String>,
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
        None => candidates().iter().filter(|path| path.exists()).try_for_each(|path| layers.file(path))?,
    }
    let read = |name: &str| std::env::var(name).ok();
    layers.environment(read)?;
    layers.flags(&overrides.settings)?;
    let mut loaded = layers.finish()?;
    named::add(&mut loaded.config.packages, &overrides.packages);
    let set = OTHERS.into_iter().filter_map(|name| Some((name, read(name)?)));
    loaded.settings.extend(set.map(|(name, text)| Setting {
        key: name.to_owned(),
        value: Value::from(text),
        origin: Origin::Environment(name.to_owned()),
    }));
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    loaded.warnings = names.filter_map(|name| mistyped(&name)).collect();
    loaded.warnings.extend([MAX_FRAME_ENV, BLOB_CHUNK_ENV].into_iter().filter_map(|name| no_size(name, &read(name)?)));
    Ok(loaded)
}

impl Overrides {
    /// The files that a configuration is read from, those that are not there too.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let named = self.file.clone().or_else(|| std::env::var_os("MILLWORK_CONFIG").map(PathBuf::from));
        named.map_or_else(candidates, |file| vec![file])
    }
}

/// Where files are looked for, each over the one before: the user's, then that of the working folder.
fn candidates() -> Vec<PathBuf> {
    let user = directories::ProjectDirs::from("", "", "millwork").map(|dirs| dirs.config_dir().join(FILE_NAME));
    user.into_iter().chain([PathBuf::from(FILE_NAME)]).collect()
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
                        if key == "stock" && name == "limits" {
                            check_limits("stock", &value, origin)?;
                        }
                        self.set_known(&format!("{key}.{name}"), value, origin)?;
                    }
                }
                ("package", mut value) => {
                    named::check(&value, origin)?;
                    named::place(&mut value, origin);
                    self.set("package", value, origin);
                }
                (_, value) => self.set_known(&key, value, origin)?,
            }
        }
        self.check(origin).map(drop)
    }

    fn environment(&mut self, read: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        let aliases = ALIASES.map(|(name, key)| (name.to_owned(), key));
        for (name, key) in aliases.into_iter().chain(ENVIRONMENT.map(|key| (variable(key), key))) {
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
            let suggestion = nearest(key, ENVIRONMENT.into_iter().chain(["worker", "package"])).map(str::to_owned);
            return Err(ConfigError::UnknownKey { key: key.to_owned(), origin: origin.clone(), suggestion });
        }
        self.set(key, value, origin);
        Ok(())
    }

    fn check_workers(&self, workers: &Value, origin: &Origin) -> Result<(), ConfigError> {
        let tables = workers.as_array().into_iter().flatten().filter_map(Value::as_table);
        for (key, value) in tables.flatten() {
            if key == "limits" {
                check_limits("worker", value, origin)?;
            }
            check_key("worker", key, &WORKER_KEYS, origin)?;
        }
        Ok(())
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
                return Err(bad(key.clone(), self.place(key) + &plain(error.message())));
            }
        }
        let config: Config =
            self.table.clone().try_into().map_err(|e: toml::de::Error| bad("config".to_owned(), plain(e.message())))?;
        config.validate().map_err(|(key, text)| bad(key, text))?;
        Ok(config)
    }

    /// Tells the listed workers what the command line says of the stock worker, where they are the same program.
    fn tell_workers(&self, config: &mut Config) -> Result<(), ConfigError> {
        let is_flag =
            |key: &&String| self.origins.iter().any(|(known, origin)| known == *key && *origin == Origin::Flag);
        let keys: Vec<&String> =
            self.origins.iter().map(|(key, _)| key).filter(|key| key.starts_with("stock.")).filter(is_flag).collect();
        if keys.is_empty() || config.workers.is_empty() {
            return Ok(());
        }
        let own = Table::try_from(&config.stock).unwrap_or_default();
        let told = own.into_iter().filter(|(name, _)| keys.iter().any(|key| key.ends_with(&format!(".{name}"))));
        let told: StockConfig = told.collect::<Table>().try_into().unwrap_or_default();
        let mut stock = config.workers.iter_mut().filter(|worker| worker.is_stock()).peekable();
        if stock.peek().is_none() {
            let origin = self.origins.iter().find(|(key, _)| key == "worker").map(|(_, origin)| origin.clone());
            let flags = keys.iter().map(|key| format!("--{}", key.trim_start_matches("stock.").replace('_', "-")));
            return Err(ConfigError::NoEffect {
                flags: flags.collect::<Vec<_>>().join(" and "),
                origin: origin.unwrap_or(Origin::Default),
            });
        }
        stock.for_each(|worker| told.tell(&mut worker.command));
        Ok(())
    }

    /// Which of the workers it is that cannot be read: `worker 2 (python): `.
    fn place(&self, key: &str) -> String {
        let workers = self.table.get(key).and_then(Value::as_array).into_iter().flatten().enumerate();
        let broken =
            workers.filter(|_| key == "worker").find(|(_, one)| WorkerConfig::deserialize((*one).clone()).is_err());
        broken.map_or_else(String::new, |(index, worker)| {
            let name = worker.get("name").and_then(Value::as_str).map_or_else(String::new, |name| format!(" ({name})"));
            format!("worker {}{name}: ", index + 1)
        })
    }

    fn finish(self) -> Result<Loaded, ConfigError> {
        let mut config = self.check(&Origin::Default)?;
        self.tell_workers(&mut config)?;
        let origin = |key: &str| {
            self.origins.iter().find(|(known, _)| known == key).map_or(Origin::Default, |(_, origin)| origin.clone())
        };
        let table = Table::try_from(&config).unwrap_or_default();
        config.packages.iter_mut().for_each(|package| package.origin = origin("package"));
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
        for worker in config.listed()? {
            let value = Value::try_from(&worker).unwrap_or_else(|_| Value::String(worker.command.join(" ")));
            settings.push(Setting { key: format!("worker.{}", worker.name), value, origin: origin("worker") });
        }
        Ok(Loaded { config, settings, warnings: Vec::new() })
    }
}

pub(super) fn check_limits(inside: &str, limits: &Value, origin: &Origin) -> Result<(), ConfigError> {
    let inside = format!("{inside}.limits");
    let mut keys = limits.as_table().into_iter().flat_map(Table::keys);
    keys.try_for_each(|key| check_key(&inside, key, &LIMIT_KEYS, origin))
}

pub(super) fn check_key(inside: &str, key: &str, known: &[&str], origin: &Origin) -> Result<(), ConfigError> {
    if known.contains(&key) {
        return Ok(());
    }
    let suggestion = nearest(key, known.iter().copied()).map(|name| format!("{inside}.{name}"));
    Err(ConfigError::UnknownKey { key: format!("{inside}.{key}"), origin: origin.clone(), suggestion })
}

/// The words of the TOML reader as people say it.
fn plain(text: &str) -> String {
    let names = [("usize", "a whole number"), ("u64", "a whole number"), ("u32", "a whole number")];
    let lists = [("a sequence", "a list"), ("a map", "a table"), ("struct WorkerConfig", "a table")];
    names.iter().chain(&lists).fold(text.to_owned(), |text, (theirs, ours)| {
        text.replace(&format!("expected {theirs}"), &format!("expected {ours}"))
    })
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
        let env = [
            ("MILLWORK_MAX_QUEUED", "10"),
            ("MILLWORK_STOCK_NAMESPACES", "a, b"),
            ("MILLWORK_STOCK_ALLOW_PATH", "/a:/b"),
        ];
        let loaded = layers(file, &env, Overrides::default().set("max_in_flight", 12)).unwrap();
        let config = &loaded.config;
        assert_eq!((config.max_in_flight, config.max_queued, config.restart.backoff_ms), (12, 10, 50));
        assert_eq!(config.stock.namespaces, ["a", "b"]);
        assert_eq!(config.stock.allow_path, [Path::new("/a"), Path::new("/b")]);
        let origin = |key: &str| loaded.settings.iter().find(|s| s.key == key).unwrap().origin.to_string();
        assert_eq!(origin("max_in_flight"), "command line");
        assert_eq!(origin("max_queued"), "$MILLWORK_MAX_QUEUED");
        assert_eq!(origin("restart.backoff_ms"), "millwork.toml");
        assert_eq!(origin("restart.stable_ms"), "default");
        assert_eq!(origin("worker.a"), "millwork.toml");
    }

    #[test]
    fn what_workers_read_themselves_is_a_setting_too() {
        let env = [("MILLWORK_THREADS", "7"), ("NODETOOL_WORKER_NAMESPACES", "a,b")];
        let loaded = layers("", &env, Overrides::default()).unwrap();
        assert_eq!((loaded.config.stock.threads, loaded.config.stock.namespaces.len()), (7, 2));
        let threads = loaded.settings.iter().find(|setting| setting.key == "stock.threads").unwrap();
        assert_eq!(threads.origin.to_string(), "$MILLWORK_THREADS");
        assert!(error("", &[("MILLWORK_THREADS", "abc")]).starts_with("`stock.threads` in $MILLWORK_THREADS"));
    }

    #[test]
    fn flags_reach_listed_workers_that_are_ours_or_are_refused() {
        let worker =
            |command: &str| format!("[stock]\ntest_nodes = true\n[[worker]]\nname = \"a\"\ncommand = [{command}]");
        let flags = || Overrides::default().set("stock.threads", 3);
        let told = |command: &str| {
            layers(&worker(command), &[], flags()).map(|loaded| loaded.config.workers[0].command.join(" "))
        };
        // What the file says of the stock worker is not about this one.
        let ours = told(r#""/opt/millwork", "worker", "--stdio""#).unwrap();
        assert_eq!(ours, "/opt/millwork worker --stdio --threads 3");
        let text = told(r#""python", "-m", "nodetool.worker""#).unwrap_err().to_string();
        assert_eq!(text, "--threads has no effect: none of the workers in millwork.toml is Millwork's own");
        let without = layers(&worker(r#""python""#), &[], Overrides::default()).unwrap();
        assert_eq!(without.config.workers[0].command, ["python"]);
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
        assert!(error("max_queued = \"many\"", &[]).ends_with("expected a whole number"));
        assert!(error("stock.namespaces = 3", &[]).ends_with("expected a list"));
        let text = error("[[worker]]\nname = \"a\"\ncommand = [\"x\"]\n[[worker]]\nname = \"b\"", &[]);
        assert!(text.contains("worker 2 (b): missing field `command`"), "{text}");
        assert_eq!(
            error("[[worker]]\nname = \"a\"\ncommand = [\"x\"]\n[worker.limits]\nmemory = 3", &[]),
            "unknown setting `worker.limits.memory` in millwork.toml: did you mean `worker.limits.memory_mb`?"
        );
        assert!(error("[stock.limits]\nopen_file = 3", &[]).ends_with("did you mean `stock.limits.open_files`?"));
        let text = error("[stock]\nlimits.memory_mb = 0", &[]);
        assert!(text.starts_with("`stock` in millwork.toml: limits.memory_mb must be 1 or more"), "{text}");
        let text = error("", &[("MILLWORK_STOCK_LIMITS", "much")]);
        assert!(text.starts_with("`stock.limits` in $MILLWORK_STOCK_LIMITS: invalid type"), "{text}");
        let worker = |setting: &str| error(&format!("[[worker]]\nname = \"a\"\ncommand = [\"x\"]\n{setting}"), &[]);
        let text = worker("instances = \"many\"");
        assert!(text.contains("expected a whole number, \"auto\", or a table such as { min = 1, max = 4 }"), "{text}");
        let text = worker("recycle = { max_request = 5 }");
        assert!(text.contains("unknown field `max_request`") && text.contains("`max_requests`"), "{text}");
    }

    #[test]
    fn the_stock_worker_is_bounded_as_listed_ones_are() {
        let file = "[stock]\nsecrets = [\"KEY\"]\n[stock.limits]\nmemory_mb = 512";
        let loaded = layers(file, &[], Overrides::default()).unwrap();
        let worker = loaded.config.listed().unwrap().remove(0);
        assert_eq!((worker.limits.memory_mb, worker.secrets), (Some(512), vec!["KEY".to_owned()]));
        let env = [("MILLWORK_STOCK_LIMITS", "{ open_files = 64 }"), ("MILLWORK_STOCK_TEMP", "no")];
        let stock = layers(file, &env, Overrides::default()).unwrap().config.stock;
        assert_eq!((stock.limits.open_files, stock.limits.memory_mb, stock.temp), (Some(64), None, false));
    }
}
