//! A configuration that is read again while the fleet runs: on SIGHUP, and when one of its files has changed. What the state
//! machine makes of it is in `core/reload`.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::Level;

use super::Fleet;
use crate::config::{Config, WorkerConfig};
use crate::core::{Changes, Event, GroupPolicy, Policy};
use crate::error::Error;
use crate::process::declared_secrets;

/// Reads the configuration, as it was read at the start; or says why it cannot be used.
pub(crate) type Read = Box<dyn FnMut() -> Result<Config, String> + Send>;

/// How the fleet comes to other settings.
pub(crate) struct Reload {
    /// What it was read from.
    files: Vec<PathBuf>,
    read: Read,
    /// A file has changed.
    changed: mpsc::UnboundedReceiver<()>,
    hangup: Signal,
    /// As it is in force.
    current: Config,
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reload").finish_non_exhaustive()
    }
}

impl Reload {
    /// Needs a runtime with IO around it.
    pub(crate) fn new(
        current: Config,
        files: &[PathBuf],
        read: Read,
        changed: mpsc::UnboundedReceiver<()>,
    ) -> Result<Self, Error> {
        let hangup = signal(SignalKind::hangup()).map_err(Error::io("listen for signals"))?;
        let files = files.iter().filter(|file| file.is_file()).cloned().collect();
        Ok(Self { files, read, changed, hangup, current })
    }

    /// The configuration as it is now. A disk that is full, or an editor that is not done, is no wish for another fleet; and
    /// a pipe in the place of a file may never end.
    fn again(&mut self) -> Result<Config, String> {
        let is_whole = |file: &&PathBuf| std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() > 0);
        match self.files.iter().find(|file| !is_whole(file)) {
            Some(lost) => Err(format!("{} is empty or gone, or no file any more", lost.display())),
            None => (self.read)(),
        }
    }
}

impl Fleet {
    /// Goes by other settings from now on, where there are any.
    pub(super) fn poll_reload(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(reload) = &mut self.reload else { return false };
        let mut is_asked = reload.hangup.poll_recv(cx).is_ready();
        while let Poll::Ready(Some(())) = reload.changed.poll_recv(cx) {
            is_asked = true;
        }
        if !is_asked {
            return false;
        }
        match reload.again() {
            Ok(config) => self.reconfigure(config),
            Err(why) => {
                self.say(Level::WARN, &format!("the configuration is left as it was: {why}"));
                self.events.tell("config", json!({ "applied": false, "error": why }));
            }
        }
        true
    }

    fn reconfigure(&mut self, config: Config) {
        let specs = match config.fleet() {
            Ok(specs) => specs,
            Err(error) => return self.say(Level::WARN, &format!("the configuration is left as it was: {error}")),
        };
        let Some(before) = self.reload.as_mut().map(|reload| std::mem::replace(&mut reload.current, config.clone()))
        else {
            return;
        };
        let mut news = Vec::new();
        let mut changes = Changes {
            policy: Policy::new(&config, self.limits.max_frame),
            kept: Vec::new(),
            added: Vec::new(),
            removed: Vec::new(),
        };
        let mut unseen: Vec<WorkerConfig> = specs.into_iter().map(|spec| self.completed(spec)).collect();
        for (group, old) in self.specs.iter_mut().enumerate() {
            let Some(old_spec) = old.as_ref() else { continue };
            let Some(at) = unseen.iter().position(|spec| spec.name == old_spec.name) else {
                news.push(format!("worker `{}` is removed", old_spec.name));
                changes.removed.push(group);
                *old = None;
                continue;
            };
            let mut spec = unseen.remove(at);
            if spec.pool != old_spec.pool {
                news.push(format!("the `pool` of worker `{}` needs a restart", spec.name));
                spec.pool.clone_from(&old_spec.pool);
            }
            let is_other = process_of(&spec) != process_of(old_spec);
            if spec != **old_spec {
                let how = if is_other { "is replaced" } else { "has other settings" };
                news.push(format!("worker `{}` {how}", spec.name));
            }
            let reason = is_other.then(|| "its configuration has changed".to_owned());
            changes.kept.push((group, GroupPolicy::new(&spec, &config), reason));
            *old = Some(Arc::new(spec));
        }
        for spec in unseen {
            news.push(format!("worker `{}` is added", spec.name));
            changes.added.push(GroupPolicy::new(&spec, &config));
            self.specs.push(Some(Arc::new(spec)));
        }
        for (name, is_other) in [
            ("events", before.events != config.events),
            ("metrics", before.metrics != config.metrics),
            ("otlp", before.otlp != config.otlp),
        ] {
            if is_other {
                news.push(format!("`{name}` needs a restart"));
            }
        }
        let declared = |config: &Config| config.fleet().map(|specs| declared_secrets(specs.iter())).unwrap_or_default();
        for name in declared(&config).difference(&declared(&before)) {
            news.push(format!("the variable {name} is kept from other workers after a restart only"));
        }
        if news.is_empty() && before != config {
            news.push("limits have changed".to_owned());
        }
        if news.is_empty() {
            return;
        }
        self.say(Level::INFO, &format!("the configuration was read again: {}", news.join(", ")));
        self.events.tell("config", json!({ "applied": true, "changes": news }));
        self.handle(Event::Configure(Box::new(changes)));
    }

    fn say(&self, level: Level, text: &str) {
        self.log.news(level, "", text);
    }
}

/// What makes a process another one; the rest is about how many there are and what they are given.
fn process_of(spec: &WorkerConfig) -> WorkerConfig {
    let WorkerConfig {
        name,
        command,
        env,
        cwd,
        limits,
        env_allow,
        secrets,
        temp,
        sandbox,
        sandbox_read,
        sandbox_write,
        ..
    } = spec.clone();
    let plain = WorkerConfig::new(name, command);
    WorkerConfig { env, cwd, limits, env_allow, secrets, temp, sandbox, sandbox_read, sandbox_write, ..plain }
}
