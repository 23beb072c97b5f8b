//! The end of a worker: why it ends, and that it does, also with a compute thread stuck. Requests are ended here, not run.
//!
//! A plain thread watches the host's pipes and the signals. It needs neither the protocol thread nor a free compute
//! thread, so a host that dies takes its worker with it whatever the worker is doing.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::Error;
use crate::child;
use crate::in_flight::InFlight;
use crate::output::Output;
use crate::system;

/// How long cancelled requests have to end.
const CANCEL_GRACE: Duration = Duration::from_millis(400);
/// How long the last frames have to be read.
const FLUSH_GRACE: Duration = Duration::from_millis(200);

/// Ends the process when its time has come.
#[derive(Debug)]
pub(crate) struct Shutdown {
    input: OwnedFd,
    /// Written to by [`Closing`]: the protocol thread has read its last frame.
    closing: OwnedFd,
    output: Arc<Output>,
    in_flight: Arc<InFlight>,
    /// How long requests in flight may go on after the host has closed our input.
    grace: Duration,
}

/// How the protocol thread says that it has read its last frame.
#[derive(Debug)]
pub(crate) struct Closing(OwnedFd);

impl Closing {
    /// No more frames will come.
    pub(crate) fn close(&self, in_flight: &InFlight) {
        in_flight.close();
        let _ = rustix::io::write(&self.0, &[0]);
    }
}

impl Shutdown {
    /// Starts the watch. Call it before any other thread is started: signals are for this one alone.
    pub(crate) fn watch(
        input: OwnedFd,
        output: Arc<Output>,
        in_flight: Arc<InFlight>,
        grace: Duration,
    ) -> std::io::Result<Closing> {
        let (closing, close) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let signals = system::take_signals()?;
        let shutdown = Self { input, closing, output, in_flight, grace };
        std::thread::Builder::new()
            .name("millwork-watch".into())
            .stack_size(256 << 10)
            .spawn(move || shutdown.run(signals))?;
        Ok(Closing(close))
    }

    fn run(self, signals: system::Signals) {
        // A hung-up input may still hold frames: those are read first, within the grace period.
        let reason = loop {
            let mut fds = [
                PollFd::new(&self.closing, PollFlags::IN),
                PollFd::new(&self.input, PollFlags::empty()),
                PollFd::new(self.output.fd(), PollFlags::empty()),
                PollFd::new(&signals, PollFlags::IN),
            ];
            if rustix::event::poll(&mut fds, None::<&Timespec>).is_err() {
                continue;
            }
            let [closing, input, output, signal] = fds.map(|fd| !fd.revents().is_empty());
            match () {
                () if output => break "the host no longer reads",
                () if signal => break "a signal",
                () if closing || input => break "end of input",
                () => {}
            }
        };
        tracing::debug!(reason, in_flight = self.in_flight.len(), "ending");
        self.end(reason);
    }

    fn end(&self, reason: &str) {
        self.end_at_the_latest();
        let gone = |output: &Output| output.is_broken() || hung_up(output);
        let deadline = Instant::now() + self.grace;
        // In small steps, so that a host that dies meanwhile is noticed.
        while Instant::now() < deadline && !gone(&self.output) {
            let step = Instant::now() + Duration::from_millis(20);
            if self.in_flight.wait_for_end(step.min(deadline)) {
                break;
            }
        }
        self.in_flight.close();
        if !self.in_flight.is_empty() {
            self.in_flight.cancel_all();
            self.in_flight.wait_for_end(Instant::now() + CANCEL_GRACE);
            self.in_flight.fail_all(&Error::new(
                crate::ErrorKind::Cancelled,
                format!("Cancelled: the worker ends ({reason}) and the node did not stop in time"),
            ));
        }
        if !gone(&self.output) {
            self.output.flush(Instant::now() + FLUSH_GRACE);
        }
        child::end_all();
        system::kill_descendants();
        system::exit_now(0);
    }

    /// Should even this thread be held up, as by a terminal that takes no more output, the process ends all the same.
    fn end_at_the_latest(&self) {
        let latest = self.grace + CANCEL_GRACE + FLUSH_GRACE + Duration::from_secs(1);
        let spawned = std::thread::Builder::new().name("millwork-end".into()).stack_size(64 << 10).spawn(move || {
            std::thread::sleep(latest);
            child::end_all();
            system::kill_descendants();
            system::exit_now(0);
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread to end the process should this one be stuck");
        }
    }
}

fn hung_up(output: &Output) -> bool {
    let mut fds = [PollFd::new(output.fd(), PollFlags::empty())];
    matches!(rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(n) if n > 0)
}
