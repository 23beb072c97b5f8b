//! Starting one process, with its pipes and the threads that look after it.
#![allow(clippy::disallowed_methods, reason = "the one module that may start processes")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use tokio::sync::mpsc;

use super::contain::Enclosure;
use super::{Child, Log, Notice, Order, ProcessGroup, Secrets, linux, stderr, wait};

/// Starts a process from this thread, and tells what of its containment the system does not give. The error says why
/// there is none.
pub(super) fn spawn(
    order: Order,
    notices: &mpsc::UnboundedSender<Notice>,
    log: Log,
    secrets: &Secrets,
    declared: &BTreeSet<String>,
    something_left: Sender<Infallible>,
    mut tell: impl FnMut(&str, String),
) -> Result<(), String> {
    let Order { worker, run, name, spec } = order;
    let (program, arguments) = spec.command.split_first().ok_or("its command is empty")?;
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(folder) = &spec.cwd {
        command.current_dir(folder);
    }
    let enclosure = Enclosure::around(&mut command, &spec, declared)?;
    enclosure.missing.iter().for_each(|text| tell(&name, text.clone()));
    linux::die_with_this_thread(&mut command);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            enclosure.remove();
            return Err(explain(program, &error));
        }
    };
    let group = Arc::new(ProcessGroup::new(child.id()));
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(errors)) = pipes else {
        return Err("the system gave it no pipes".to_owned());
    };
    let spawned = Notice::Spawned {
        worker,
        run,
        child: Child { stdin: stdin.into(), stdout: stdout.into(), group: group.clone(), bounds: enclosure.told() },
    };
    // Before anything else that is told about it.
    let _ = notices.send(spawned);
    let ears = stderr::Ears { worker, run, name, notices: notices.clone(), log, secrets: secrets.clone() };
    let tail = stderr::drain(errors, ears).map_err(|e| no_thread(&group, &e))?;
    wait::watch(group.clone(), worker, run, tail, (enclosure, something_left), notices.clone())
        .map_err(|e| no_thread(&group, &e))
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
