//! What encloses a worker's process from before its start until nothing of it is left: its environment, its temporary
//! folder, its limits, its sandbox, and the mark that everything of it carries. When it starts and ends is not known here.

mod cgroup;
mod environment;
mod guardian;
mod mark;
mod oom;
mod remains;
mod rlimits;
mod sandbox;
mod temp;
mod usage;

use std::collections::BTreeSet;
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

use super::linux;
use crate::config::{LimitsConfig, WorkerConfig};
use cgroup::Cell;
use mark::Mark;
use oom::OomKills;
use temp::TempFolder;
use usage::Usage;

pub(crate) use environment::declared as declared_secrets;
pub use guardian::Guardian;
pub(in crate::process) use remains::remove_stale;

/// Where programs look for the folder for temporary files.
const TEMP: &str = "TMPDIR";

/// How long killing what is left may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// One process's enclosure.
#[derive(Debug)]
pub(super) struct Enclosure {
    mark: Mark,
    temp: Option<TempFolder>,
    cell: Option<Arc<Cell>>,
    usage: Option<Usage>,
    oom: OomKills,
    limits: LimitsConfig,
    /// What was asked for and is in force, in words.
    pub(super) in_force: Vec<String>,
    /// What was asked for and is not, and why.
    pub(super) missing: Vec<String>,
}

impl Enclosure {
    /// Prepares everything, and a command to be started inside it. The error says why there can be no such process.
    pub(super) fn around(
        command: &mut Command,
        spec: &WorkerConfig,
        declared: &BTreeSet<String>,
    ) -> Result<Self, String> {
        let limits = spec.limits.clone();
        let mut this = Self {
            mark: Mark::next(),
            temp: None,
            cell: None,
            usage: None,
            oom: OomKills::new(),
            limits,
            in_force: Vec::new(),
            missing: Vec::new(),
        };
        command.env_clear().envs(environment::passed(spec, declared, std::env::vars_os()));
        // A folder that the configuration names itself is taken as it is.
        if spec.temp && !spec.env.contains_key(TEMP) {
            match TempFolder::create() {
                Ok(folder) => {
                    command.env(TEMP, folder.path());
                    this.temp = Some(folder);
                }
                Err(error) => this.missing.push(format!("a temporary folder of its own: {error}")),
            }
        }
        command.envs(&spec.env).env(mark::MARK, this.mark.chained());
        if let Err(error) = this.share_out(command) {
            this.missing.push(format!("a cgroup: {error}"));
        }
        this.watch_the_rest();
        this.in_force.extend(rlimits::put_on(command, &this.limits));
        if spec.sandbox {
            let report = sandbox::put_on(command, spec, this.temp.as_ref().map(TempFolder::path));
            let report = report.map_err(|error| format!("cannot put it into a sandbox: {error}"))?;
            this.in_force.push(format!("sandbox: {}", report.in_force.join(" + ")));
            this.missing.extend(report.missing.into_iter().map(|text| format!("sandbox: {text}")));
        }
        Ok(this)
    }

    /// A cgroup where a limit needs one, with as many of the limits as the kernel keeps there.
    fn share_out(&mut self, command: &mut Command) -> io::Result<()> {
        let LimitsConfig { memory_mb, processes, .. } = self.limits;
        if memory_mb.is_none() && processes.is_none() {
            return Ok(());
        }
        // Without one, a watch does it: that is in the report.
        let Ok(home) = cgroup::home() else { return Ok(()) };
        let cell = Arc::new(Cell::create(home)?);
        let door = cell.door()?;
        self.cell = Some(cell.clone());
        linux::enter(command, door);
        if let Some(mb) = memory_mb.filter(|_| home.has_memory) {
            cell.limit_memory(mb << 20)?;
            self.in_force.push(format!("memory_mb {mb} (cgroup)"));
        }
        if let Some(most) = processes.filter(|_| home.has_pids) {
            cell.limit_processes(most)?;
            self.in_force.push(format!("processes {most} (cgroup)"));
        }
        Ok(())
    }

    /// Limits that no cgroup keeps are watched.
    fn watch_the_rest(&mut self) {
        let is_kept = |setting: &str| self.in_force.iter().any(|told| told.starts_with(setting));
        let memory = self.limits.memory_mb.filter(|_| !is_kept("memory_mb"));
        let processes = self.limits.processes.filter(|_| !is_kept("processes"));
        if memory.is_none() && processes.is_none() {
            return;
        }
        let told = [("memory_mb", memory), ("processes", processes)];
        let told = told.into_iter().filter_map(|(setting, value)| Some(format!("{setting} {} (watched)", value?)));
        self.in_force.extend(told);
        let no_cgroup = cgroup::home().err().unwrap_or("the cgroup of this process has no such controller");
        let settings = [memory.map(|_| "limits.memory_mb"), processes.map(|_| "limits.processes")];
        let settings = settings.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        let text = format!("{settings} by the kernel ({no_cgroup}): it is measured ten times a second instead");
        self.missing.push(text);
        let memory = memory.map(|mb| mb.saturating_mul(1 << 20));
        self.usage = Some(Usage::new(memory, processes, self.mark.clone(), self.cell.clone()));
    }

    /// What bounds it, in words.
    pub(super) fn told(&self) -> String {
        let missing = self.missing.iter().map(|text| format!("without {text}"));
        self.in_force.iter().cloned().chain(missing).collect::<Vec<_>>().join("; ")
    }

    /// Waits until `is_gone` says that the process is, for at most as long as it is told each time. Calls `kill` where it
    /// must not go on. Returns why it had to end, or what has ended it, where that is known.
    pub(super) fn watch(&mut self, mut is_gone: impl FnMut(Duration) -> bool, kill: impl Fn()) -> Option<String> {
        let interval = if self.usage.is_some() { usage::INTERVAL } else { oom::INTERVAL };
        let mut excess = None;
        while !is_gone(interval) {
            self.oom.look();
            if excess.is_none()
                && let Some(text) = self.usage.as_mut().and_then(Usage::excess)
            {
                excess = Some(text);
                kill();
            }
        }
        excess
    }

    /// What has ended a process that nobody of ours has, where it can be told.
    pub(super) fn cause(&self, status: Option<WaitStatus>, was_killed: bool) -> Option<String> {
        let LimitsConfig { memory_mb, address_space_mb, cpu_seconds, .. } = self.limits;
        let is_over = self.cell.as_ref().is_some_and(|cell| cell.ran_out_of_memory());
        match (status?, memory_mb, cpu_seconds, address_space_mb) {
            (WaitStatus::Signaled(..), Some(mb), ..) if is_over => {
                Some(format!("out of memory: the kernel ended it at limits.memory_mb = {mb}"))
            }
            (WaitStatus::Signaled(_, Signal::SIGXCPU, _), _, Some(seconds), _) => {
                Some(format!("it used up limits.cpu_seconds = {seconds}"))
            }
            (WaitStatus::Signaled(_, Signal::SIGKILL, _), ..) if !was_killed && self.oom.have_risen() => Some(
                "out of memory: the kernel ended a process of this system at that moment, because none was left; \
                      limits.memory_mb bounds a worker before it comes to that"
                    .to_owned(),
            ),
            (WaitStatus::Signaled(_, Signal::SIGABRT | Signal::SIGSEGV | Signal::SIGBUS, _), .., Some(mb)) => {
                Some(format!("it may have been refused memory: limits.address_space_mb = {mb}"))
            }
            _ => None,
        }
    }

    /// Kills what the process has started and left, wherever that is.
    pub(super) fn sweep(&self) {
        if let Some(cell) = &self.cell {
            cell.kill();
        }
        self.mark.sweep();
    }

    /// Removes what is left of it.
    pub(super) fn remove(self) {
        let Self { mark, temp, cell, usage, .. } = self;
        drop(usage);
        // What was just being born when it was swept before.
        mark.sweep_all(PATIENCE);
        if let Some(temp) = temp {
            temp.remove();
        }
        if let Some(cell) = cell.and_then(Arc::into_inner) {
            cell.remove();
        }
    }
}
