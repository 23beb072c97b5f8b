//! A worker between the supervisor and the real one, which passes frames on until it is told to break: for what no stock worker
//! does by itself. It is told by a file in its folder, named after its process id or `next`, that holds the name of a fault.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millwork_e2e::Bytes;
use millwork_e2e::process::start_behind_shim;
use millwork_protocol::{Frame, FrameEvent, FrameReader, Limits};

/// The file for whoever starts next.
pub(crate) const NEXT: &str = "next";

/// Its own way of breaking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// Half a frame, and then the end.
    TornFrame,
    /// Text where frames belong.
    Text,
    /// Megabytes of stderr.
    Flood,
    /// It reads no more of what the host sends.
    Deaf,
    /// It never says that it is ready.
    NeverReady,
}

impl Break {
    pub(crate) const ALL: [Self; 5] = [Self::TornFrame, Self::Text, Self::Flood, Self::Deaf, Self::NeverReady];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TornFrame => "torn frame",
            Self::Text => "text on stdout",
            Self::Flood => "stderr flood",
            Self::Deaf => "stdin not read",
            Self::NeverReady => "never ready",
        }
    }
}

/// Runs the real worker, to its end.
pub(crate) fn run(folder: &Path, command: &[OsString]) -> ExitCode {
    if take(&folder.join(NEXT)) == Some(Break::NeverReady) {
        std::thread::sleep(Duration::from_secs(3600));
    }
    let mut child = start_behind_shim(command);
    let (stdin, stdout) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let (out, is_deaf) = (Arc::new(Mutex::new(std::io::stdout())), Arc::<AtomicBool>::default());
    let (ears, voice) = (is_deaf.clone(), out.clone());
    std::thread::spawn(move || pass_requests(stdin, &ears));
    std::thread::spawn(move || pass_answers(stdout, &voice));
    let order = folder.join(std::process::id().to_string());
    let orders = std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(10));
            if let Some(order) = take(&order) {
                obey(order, &out, &is_deaf);
            }
        }
    });
    let status = child.wait().expect("it can be waited for");
    drop(orders);
    // As it ended, so do we.
    if let Some(signal) = status.signal().and_then(|signal| nix::sys::signal::Signal::try_from(signal).ok()) {
        let _ = nix::sys::signal::raise(signal);
    }
    ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
}

/// The order in this file, which is then gone.
fn take(file: &Path) -> Option<Break> {
    let name = fs::read_to_string(file).ok()?;
    fs::remove_file(file).ok()?;
    Break::ALL.into_iter().find(|order| order.name() == name)
}

fn obey(order: Break, out: &Mutex<std::io::Stdout>, is_deaf: &AtomicBool) {
    // Nobody else writes from now on where the stream is broken for good.
    let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
    match order {
        Break::TornFrame => {
            let _ = out.write_all(b"\0\0\x10\0\x83\xa4type").and_then(|()| out.flush());
            std::process::exit(7);
        }
        Break::Text => {
            let _ = out.write_all(b"Loading checkpoint shards: 100%\n").and_then(|()| out.flush());
        }
        Break::Flood => {
            drop(out);
            let line = "a warning that nobody reads ".repeat(40);
            (0..5_000).for_each(|_| eprintln!("{line}"));
        }
        Break::Deaf => is_deaf.store(true, Ordering::Relaxed),
        Break::NeverReady => {}
    }
}

fn pass_requests(mut stdin: ChildStdin, is_deaf: &AtomicBool) {
    let mut chunk = vec![0; 256 << 10];
    let mut input = std::io::stdin().lock();
    loop {
        if is_deaf.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_secs(3600));
        }
        match input.read(&mut chunk) {
            Ok(n @ 1..) if stdin.write_all(&chunk[..n]).is_ok() => {}
            _ => return,
        }
    }
}

/// Whole frames at a time, so that what an order writes does not fall into one.
fn pass_answers(mut stdout: ChildStdout, out: &Mutex<std::io::Stdout>) {
    let mut reader = FrameReader::new(Limits::default().max_frame);
    let mut chunk = vec![0; 256 << 10];
    let pass = |payload: Bytes| {
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&Frame::forward(payload).to_bytes()).and_then(|()| out.flush()).is_ok()
    };
    while let Ok(n @ 1..) = stdout.read(&mut chunk) {
        for part in chunk[..n].chunks(16 << 10) {
            reader.space().extend_from_slice(part);
            while let Some(FrameEvent::Frame(payload)) = reader.next_event() {
                if !pass(payload) {
                    return;
                }
            }
        }
    }
}
