//! The limits that the system keeps for each process by itself. They are set between fork and exec, and inherited by the
//! worker's own children, each of which has them anew.
#![allow(unsafe_code, reason = "code between fork and exec")]

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::LimitsConfig;

/// From SIGXCPU, which a program may catch, to SIGKILL, in seconds of CPU time.
const CPU_GRACE: u64 = 5;

#[derive(Debug, Clone, Copy)]
struct Bound {
    setting: &'static str,
    resource: Resource,
    soft: u64,
    hard: u64,
}

/// What is asked for. A limit that the supervisor has itself and that is tighter stays.
fn bounds(limits: &LimitsConfig) -> Vec<Bound> {
    let bound = |setting, resource, soft: Option<u64>, grace| {
        soft.map(|soft| Bound { setting, resource, soft, hard: soft.saturating_add(grace) })
    };
    // Not 0: where the system pipes core dumps to a program, 0 does not keep it from doing so, and 1 does.
    let core = (!limits.core_dumps).then_some(1);
    let all = [
        bound("core_dumps", Resource::RLIMIT_CORE, core, 0),
        bound("address_space_mb", Resource::RLIMIT_AS, limits.address_space_mb.map(|mb| mb.saturating_mul(1 << 20)), 0),
        bound("cpu_seconds", Resource::RLIMIT_CPU, limits.cpu_seconds, CPU_GRACE),
        bound("open_files", Resource::RLIMIT_NOFILE, limits.open_files, 0),
    ];
    all.into_iter().flatten().collect()
}

/// Puts the limits on a process that is about to be started. Returns them in words, without those that every worker has.
pub(super) fn put_on(command: &mut Command, limits: &LimitsConfig) -> Vec<String> {
    let mut told = Vec::new();
    for bound in bounds(limits) {
        let most = getrlimit(bound.resource).map_or(u64::MAX, |(_, hard)| hard);
        let (soft, hard) = (bound.soft.min(most), bound.hard.min(most));
        let before_exec = move || Ok(setrlimit(bound.resource, soft, hard)?);
        // SAFETY: the closure makes one system call and allocates nothing, which is all that a forked child may do.
        unsafe { command.pre_exec(before_exec) };
        let unit = if bound.resource == Resource::RLIMIT_AS { 1 << 20 } else { 1 };
        match bound.resource {
            Resource::RLIMIT_CORE => {}
            _ if soft < bound.soft => {
                told.push(format!("{} {} (the supervisor's own limit)", bound.setting, soft / unit))
            }
            _ => told.push(format!("{} {}", bound.setting, soft / unit)),
        }
    }
    told
}
