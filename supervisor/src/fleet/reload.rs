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
#[cfg(target_os = "linux")]
use crate::config::watch_packages::Folders;
use crate::config::{Config, Roster, WorkerConfig};
use crate::core::{Changes, Event, GroupPolicy, Policy};
use crate::error::Error;
use crate::process::declared_secrets;

/// Reads the configuration, as it was read at the start; or says why it cannot be used.
pub(crate) type Read = Box<dyn FnMut() -> Result<Config, String> + Send>;

/// A configuration, and the workers that it asks for.
type Found = Result<(Config, Roster), String>;

/// How the fleet comes to other settings.
pub(crate) struct Reload {
    /// Reads and looks for packages on a thread of its own: that may take a while.
    ask: std::sync::mpsc::Sender<()>,
    found: mpsc::UnboundedReceiver<Found>,
    /// A file has changed.
    changed: mpsc::UnboundedReceiver<()>,
    /// Also asks for it, where nothing else is meant by it.
    hangup: Option<Signal>,
    #[cfg(target_os = "linux")]
    folders: Folders,
    /// As it is in force.
    current: Config,
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reload").finish_non_exhaustive()
    }
}

impl Reload {
    /// Reads `files` again with `read` when one of them changes, and on SIGHUP. Needs a runtime with IO around it.
    pub(crate) fn of_files(current: Config, files: &[PathBuf], read: Read) -> Result<Self, Error> {
        let mut reload = Self::new(current, files, read)?;
        reload.hangup = Some(signal(SignalKind::hangup()).map_err(Error::io("listen for signals"))?);
        Ok(reload)
    }

    /// Looks for packages again when one of them changes.
    pub(crate) fn of_packages(config: Config) -> Result<Self, Error> {
        let same = config.clone();
        Self::new(config, &[], Box::new(move || Ok(same.clone())))
    }

    fn new(current: Config, files: &[PathBuf], mut read: Read) -> Result<Self, Error> {
        let (change, changed) = mpsc::unbounded_channel();
        watch_files(files, change.clone());
        let files: Vec<PathBuf> = files.iter().filter(|file| file.is_file()).cloned().collect();
        let (ask, asked) = std::sync::mpsc::channel();
        let (tell, found) = mpsc::unbounded_channel();
        let look = move || {
            while asked.recv().is_ok() {
                while asked.try_recv().is_ok() {}
                if tell.send(again(&files, &mut read)).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("millwork-reload".to_owned());
        thread.spawn(look).map_err(Error::io("start a thread that reads settings"))?;
        #[cfg(target_os = "linux")]
        let folders = Folders::new(change);
        Ok(Self {
            ask,
            found,
            changed,
            hangup: None,
            #[cfg(target_os = "linux")]
            folders,
            current,
        })
    }

    /// Looks at these folders from now on.
    pub(super) fn watch(&mut self, folders: Vec<PathBuf>) {
        #[cfg(target_os = "linux")]
        if let Err(error) = self.folders.watch(folders) {
            tracing::warn!("changes of packages are not seen, but by SIGHUP: {error}");
        }
        #[cfg(not(target_os = "linux"))]
        let _ = folders;
    }
}

#[cfg(target_os = "linux")]
fn watch_files(files: &[PathBuf], changed: mpsc::UnboundedSender<()>) {
    if let Err(error) = crate::config::watch::watch(files, changed) {
        tracing::warn!("changes of the configuration are not seen, but by SIGHUP: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn watch_files(_: &[PathBuf], _: mpsc::UnboundedSender<()>) {}

/// The configuration as it is now. A disk that is full, or an editor that is not done, is no wish for another fleet; and a pipe
/// in the place of a file may never end.
fn again(files: &[PathBuf], read: &mut Read) -> Found {
    let is_whole = |file: &&PathBuf| std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() > 0);
    if let Some(lost) = files.iter().find(|file| !is_whole(file)) {
        return Err(format!("{} is empty or gone, or no file any more", lost.display()));
    }
    let config = read()?;
    let roster = config.roster().map_err(|error| error.to_string())?;
    Ok((config, roster))
}

impl Fleet {
    /// Goes by other settings from now on, where there are any.
    pub(super) fn poll_reload(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(reload) = &mut self.reload else { return false };
        let mut is_asked = reload.hangup.as_mut().is_some_and(|signal| signal.poll_recv(cx).is_ready());
        while let Poll::Ready(Some(())) = reload.changed.poll_recv(cx) {
            is_asked = true;
        }
        if is_asked {
            // The thread ends only with this fleet.
            let _ = reload.ask.send(());
        }
        let Poll::Ready(Some(found)) = reload.found.poll_recv(cx) else { return is_asked };
        match found {
            Ok((config, roster)) => self.reconfigure(config, roster),
            Err(why) => {
                self.say(Level::WARN, &format!("the configuration is left as it was: {why}"));
                self.events.tell("config", json!({ "applied": false, "error": why }));
            }
        }
        true
    }

    fn reconfigure(&mut self, config: Config, roster: Roster) {
        let Some(reload) = &mut self.reload else { return };
        let before = std::mem::replace(&mut reload.current, config.clone());
        reload.watch(roster.watched());
        let declared_before = declared_secrets(self.specs.iter().flatten().map(|spec| &**spec));
        let mut news = Vec::new();
        let mut changes = Changes {
            policy: Policy::new(&config, self.limits.max_frame),
            kept: Vec::new(),
            added: Vec::new(),
            removed: Vec::new(),
            unloaded: roster.unloaded(),
        };
        let mut unseen: Vec<WorkerConfig> = roster.workers().map(|spec| self.completed(spec.clone())).collect();
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
            let what = if revision_of(&spec) == revision_of(old_spec) { "configuration has" } else { "files have" };
            let reason = is_other.then(|| format!("its {what} changed"));
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
        for name in declared_secrets(self.specs.iter().flatten().map(|spec| &**spec)).difference(&declared_before) {
            news.push(format!("the variable {name} is kept from other workers after a restart only"));
        }
        for lost in changes.unloaded.iter().filter(|lost| !self.unloaded.contains(lost)) {
            news.push(format!("a package did not load: {lost}"));
        }
        let is_mended = self.unloaded.iter().any(|lost| !changes.unloaded.contains(lost));
        self.unloaded.clone_from(&changes.unloaded);
        if news.is_empty() && before != config {
            news.push("limits have changed".to_owned());
        }
        if news.is_empty() && is_mended {
            news.push("a package is not broken any more".to_owned());
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

/// Which files of a package it runs.
fn revision_of(spec: &WorkerConfig) -> Option<u64> {
    spec.package.as_ref().map(|package| package.revision)
}

/// What makes a process another one; the rest is about how many there are and what they are given.
fn process_of(spec: &WorkerConfig) -> (WorkerConfig, Option<u64>) {
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
    let process =
        WorkerConfig { env, cwd, limits, env_allow, secrets, temp, sandbox, sandbox_read, sandbox_write, ..plain };
    (process, revision_of(spec))
}
