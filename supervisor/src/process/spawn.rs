//! Starting one process, with its pipes and the threads that look after it.
#![allow(clippy::disallowed_methods, reason = "the one module that may start processes")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Child, Log, Notice, Order, ProcessGroup, Secrets, linux, stderr, wait};

/// Starts a process from this thread. The error says why there is none.
pub(super) fn spawn(
    order: Order,
    notices: &mpsc::UnboundedSender<Notice>,
    log: Log,
    secrets: &Secrets,
) -> Result<(), String> {
    let Order { worker, run, name, spec } = order;
    let (program, arguments) = spec.command.split_first().ok_or("its command is empty")?;
    let mut command = Command::new(program);
    command.args(arguments).envs(&spec.env).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(folder) = &spec.cwd {
        command.current_dir(folder);
    }
    linux::die_with_this_thread(&mut command);
    let mut child = command.spawn().map_err(|error| explain(program, &error))?;
    let group = Arc::new(ProcessGroup::new(child.id()));
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(errors)) = pipes else {
        return Err("the system gave it no pipes".to_owned());
    };
    let spawned = Notice::Spawned {
        worker,
        run,
        child: Child { stdin: stdin.into(), stdout: stdout.into(), group: group.clone() },
    };
    // Before anything else that is told about it.
    let _ = notices.send(spawned);
    let ears = stderr::Ears { worker, run, name, notices: notices.clone(), log, secrets: secrets.clone() };
    let tail = stderr::drain(errors, ears).map_err(|e| no_thread(&group, &e))?;
    wait::watch(group.clone(), worker, run, tail, notices.clone()).map_err(|e| no_thread(&group, &e))
}

/// Starts a plain child on three pipes. It dies with the thread that starts it; everything else is the caller's.
///
/// # Errors
/// Where there is no such program, or the system gives no process.
pub fn piped(command: &[String]) -> io::Result<std::process::Child> {
    let (program, arguments) = command.split_first().ok_or_else(|| io::Error::other("the command is empty"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    linux::die_with_this_thread(&mut command);
    command.spawn()
}

fn explain(program: &str, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => ": there is no such program, or its folder (cwd) does not exist",
        io::ErrorKind::PermissionDenied => ": it may not be executable",
        _ => "",
    };
    format!("cannot start `{program}`: {error}{hint}")
}

fn no_thread(group: &ProcessGroup, error: &io::Error) -> String {
    group.end();
    format!("no thread to watch it: {error}")
}
