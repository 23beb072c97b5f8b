//! The loop of a worker: descriptors, packages, READY, then frames until the host goes. What a frame means is in `dispatch`.

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;

use millwork_protocol::limits::{BLOB_CHUNK_ENV, MAX_FRAME_ENV};
use millwork_protocol::message::ErrorKind;
use millwork_protocol::{Envelope, FrameEvent, FrameReader, HEADER_LEN, Limits, READY_LINE};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::context::Services;
use crate::dispatch::Dispatcher;
use crate::in_flight::InFlight;
use crate::jobs::{self, Jobs};
use crate::output::Output;
use crate::pool::Pool;
use crate::registry::Registry;
use crate::shutdown::Shutdown;
use crate::stdio::Stdio;
use crate::worker::Args;
use crate::{Error, Package, Workspace, panics, system};

/// How long the rest of an oversized frame may fail to arrive before the stream counts as lost.
const SKIP_PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Serves until the host goes; only a worker that cannot start returns.
pub(crate) fn stdio(args: &Args, packages: impl FnOnce() -> Vec<Package>) -> ExitCode {
    system::lead_own_group();
    let stdio = match Stdio::take() {
        Ok(stdio) => stdio,
        Err(error) => {
            eprintln!("error: cannot take standard input and output for the protocol: {error}");
            return ExitCode::FAILURE;
        }
    };
    let env = |name: &str| std::env::var(name).ok();
    let limits = Limits::from_values(env(MAX_FRAME_ENV).as_deref(), env(BLOB_CHUNK_ENV).as_deref());
    let output = Output::new(stdio.output);
    let in_flight = Arc::new(InFlight::default());
    let watched = stdio
        .input
        .try_clone()
        .and_then(|input| Shutdown::watch(input, Arc::clone(&output), Arc::clone(&in_flight), args.grace()));
    let closing = match watched {
        Ok(closing) => closing,
        Err(error) => {
            eprintln!("error: cannot watch for the end of the host: {error}");
            return ExitCode::FAILURE;
        }
    };

    // From here on package code runs.
    let (packages, broken) = match panics::contain(packages) {
        Ok(packages) => (packages, None),
        Err(panic) => (Vec::new(), Some(panic)),
    };
    let broken = broken.map(|panic| Package::new("worker").load_error("worker", "import", "panic", &panic.message));
    let namespaces = (!args.namespaces.is_empty()).then_some(args.namespaces.as_slice());
    let registry = Registry::new(packages.into_iter().chain(broken).collect(), namespaces);
    for error in registry.load_errors() {
        tracing::warn!(module = error.module, phase = error.phase, error = error.error, "did not load");
    }
    let workspace = args.workspace.clone().or_else(|| std::env::current_dir().ok()).unwrap_or_default();
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(4, |n| n.get().max(4)));
    let services = Arc::new(Services::new(Workspace::new(&workspace, &args.allow_path)));
    let jobs = Jobs::new(env(jobs::TTL_ENV).as_deref(), services.models.clone());
    let pool = Pool::new(threads);
    let dispatcher = Dispatcher::new(registry, services, jobs, limits, output, Arc::clone(&in_flight), pool);

    eprintln!("{READY_LINE}");
    read_frames(&stdio.input, limits, &dispatcher);
    closing.close(&in_flight);
    // The watch ends the process once the last requests have ended.
    loop {
        std::thread::park();
    }
}

/// Reads until the end of input, or until frames can no longer be told from each other.
fn read_frames(input: &OwnedFd, limits: Limits, dispatcher: &Dispatcher) {
    let mut reader = FrameReader::new(limits.max_frame);
    loop {
        let mut answering = None;
        while let Some(event) = reader.next_event_reusing(|| dispatcher.take_spare_buffer()) {
            if answering.is_none() && !reader.pending().is_empty() {
                answering = Some(dispatcher.gather_answers());
            }
            match event {
                FrameEvent::Frame(payload) => dispatcher.frame(payload),
                FrameEvent::Oversized { claimed, max, head } => {
                    let text = head.iter().take(4).all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
                    let hint = if text {
                        format!("; the bytes are text: {:?}", String::from_utf8_lossy(&head))
                    } else {
                        String::new()
                    };
                    let message = format!("Frame too large: {claimed} bytes exceeds limit {max} bytes{hint}");
                    let id = head.get(HEADER_LEN..).and_then(Envelope::salvage_request_id);
                    dispatcher.refuse(id, &Error::new(ErrorKind::TooLarge, message));
                    if text {
                        return;
                    }
                }
                FrameEvent::NoMemory { len, head } => {
                    let message = format!("Frame too large: there is no memory for {len} bytes");
                    let id = head.get(HEADER_LEN..).and_then(Envelope::salvage_request_id);
                    dispatcher.refuse(id, &Error::new(ErrorKind::TooLarge, message));
                }
            }
        }
        drop(answering);
        if reader.is_skipping() && !readable(input) {
            tracing::error!("the rest of an oversized frame does not arrive; ending");
            return;
        }
        match rustix::io::read(input, spare_capacity(reader.space())) {
            Ok(0) => {
                if reader.is_mid_frame() {
                    tracing::warn!("the input ended inside a frame");
                }
                return;
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                // An error of poll is an error of the read that follows.
                let _ = rustix::event::poll(&mut [PollFd::new(input, PollFlags::IN)], None);
            }
            Err(error) => {
                tracing::error!(%error, "cannot read from the host");
                return;
            }
        }
    }
}

fn readable(input: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(input, PollFlags::IN)];
    !matches!(rustix::event::poll(&mut fds, Some(&SKIP_PATIENCE)), Ok(0))
}
