//! What a command that is no worker seems to be, said in its first line.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use millwork_protocol::READY_LINE;

use crate::message::shorten;
use crate::peer::exit_text;
use crate::session::Session;
use crate::worker::Worker;

/// The command is no worker that could be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct NoWorker {
    /// What it seems to be.
    pub what: String,
    /// What to do about it.
    pub hint: String,
    /// What it printed.
    pub printed: Vec<String>,
}

impl fmt::Display for NoWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n hint: {}", self.what, self.hint)?;
        self.printed.iter().try_for_each(|line| write!(f, "\n  | {line}"))
    }
}

impl NoWorker {
    fn new(what: impl Into<String>, hint: impl Into<String>, printed: &str) -> Self {
        let lines: Vec<&str> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
        let tail = lines.len().saturating_sub(8);
        let printed = lines.iter().skip(tail).map(|line| shorten(line, 160)).collect();
        Self { what: what.into(), hint: hint.into(), printed }
    }

    pub(crate) fn not_started(command: &str, error: &io::Error) -> Self {
        let program = command.split(' ').next().unwrap_or_default();
        match error.kind() {
            io::ErrorKind::NotFound => Self::new(
                format!("there is no such program: {program}"),
                "write what you would type in a terminal, after `--`; a path where it is not on the PATH",
                "",
            ),
            io::ErrorKind::PermissionDenied if Path::new(program).is_dir() => Self::new(
                format!("{program} is a folder, and no program"),
                "name the program in it that is the worker",
                "",
            ),
            io::ErrorKind::PermissionDenied => Self::new(
                format!("{program} may not be executed"),
                "make it executable, or name its interpreter first, as in `-- python worker.py`",
                "",
            ),
            _ => {
                Self::new(format!("`{command}` cannot be started: {error}"), "see whether it starts in a terminal", "")
            }
        }
    }
}

/// How a command begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// With the READY line.
    Ready,
    /// Without it, and with bytes on stdout that may be frames: it may still be a worker.
    Unannounced,
    /// With nothing at all.
    Silent,
    /// With what no worker says.
    Foreign,
}

/// Waits until the command is ready, ends, or is seen to be something else; at most for the start-up limit.
pub(crate) fn await_start(worker: &mut Worker, session: &Session) -> Start {
    let end = Instant::now() + session.start_limit();
    while Instant::now() < end {
        if worker.wait_ready(session.seconds(0.1)) {
            return Start::Ready;
        }
        if worker.wait_exit(Duration::from_millis(10)).is_some() {
            break;
        }
        // A worker may print something by mistake, and be ready a moment later.
        let is_heard = worker.first_byte().is_some_and(|first| first.elapsed() > session.seconds(2.0));
        if is_heard && (worker.sends_back() || seems_foreign(&worker.stdout_head())) {
            return Start::Foreign;
        }
    }
    if worker.first_byte().is_some() { Start::Unannounced } else { Start::Silent }
}

fn seems_foreign(stdout: &str) -> bool {
    let stdout = stdout.trim_start();
    ["Content-Length:", "{", "[{", "HTTP/"].iter().any(|start| stdout.starts_with(start))
}

/// Looks at a command that did not become a worker within the start-up limit.
pub(crate) fn diagnose(command: &str, worker: &mut Worker, session: &Session) -> NoWorker {
    // Its pipes close a moment before it is gone.
    let exit = worker.wait_exit(Duration::from_millis(500)).map(|(status, _)| exit_text(status));
    // What it said on stdout is taken in as frames are: the first bytes are either unfinished or no frame.
    worker.listen(Duration::from_millis(300));
    let stdout = worker.stdout_head();
    let stderr = worker.stderr();
    let printed = format!("{stdout}\n{stderr}");
    let seconds = session.start_limit().as_secs_f64();
    let out = stdout.trim_start();
    if out.starts_with("Content-Length:") {
        return NoWorker::new(
            format!("`{command}` seems to speak LSP or DAP: its stdout begins with `Content-Length:`"),
            "this protocol has a 4-byte length and MessagePack instead; a language server cannot be checked here",
            &printed,
        );
    }
    if out.starts_with('{') && out.contains("\"jsonrpc\"") {
        return NoWorker::new(
            format!("`{command}` seems to speak JSON-RPC, as MCP servers do"),
            "this protocol has a 4-byte length and MessagePack instead; an MCP server cannot be checked here",
            &printed,
        );
    }
    if out.starts_with('{') || out.starts_with('[') {
        return NoWorker::new(
            format!("`{command}` seems to speak JSON lines"),
            "this protocol has a 4-byte length and MessagePack instead",
            &printed,
        );
    }
    if stdout.contains(READY_LINE) {
        return NoWorker::new(
            format!("`{command}` says {READY_LINE} on stdout: it belongs on stderr"),
            "stdout carries frames only; write the line, and every log, to stderr",
            &printed,
        );
    }
    let lower = printed.to_lowercase();
    let usage = [
        "usage:",
        "unrecognized argument",
        "unexpected argument",
        "unknown option",
        "unrecognized option",
        "invalid option",
    ];
    if let Some(exit) = exit {
        let what = if usage.iter().any(|word| lower.contains(word)) {
            format!("`{command}` printed its usage and ended ({exit}): it does not take these arguments")
        } else if printed.trim().is_empty() {
            format!("`{command}` ended at once ({exit}) and said nothing")
        } else {
            format!("`{command}` ended before it was ready ({exit})")
        };
        return NoWorker::new(what, "a worker stays and says READY; most need `--stdio`", &printed);
    }
    if !out.is_empty() {
        return NoWorker::new(
            format!("`{command}` writes text to stdout: {:?}", shorten(out.lines().next().unwrap_or_default(), 60)),
            "stdout carries frames only; write everything else to stderr",
            &printed,
        );
    }
    if worker.first_byte().is_some() {
        return NoWorker::new(
            format!("`{command}` answers with bytes that are no answers, and never says {READY_LINE}"),
            "it seems to send back what it is given, or to speak another binary protocol",
            &printed,
        );
    }
    NoWorker::new(
        format!(
            "`{command}` runs, but says nothing: no line {READY_LINE} on stderr and no frame within {seconds:.0} s"
        ),
        "see whether it needs `--stdio`, or more time: --timeout-scale 3",
        &printed,
    )
}
