//! The end of the whole fleet: requests may end, then are cancelled, then the workers go.

use super::state::{Condemned, WorkerState};
use super::timers::Watch;
use super::{Action, Cause, Core, Millis, Place, Timer};

/// How long requests have to end after they were cancelled by the shutdown.
const CANCEL_AT_SHUTDOWN: Millis = 300;
/// How long a worker whose stdin has been closed has until SIGTERM.
const CLOSED_STDIN: Millis = 150;

/// How far the shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shutdown {
    Running,
    /// Requests may still end by themselves.
    Grace,
    /// They have been cancelled.
    Cancelling,
    /// The workers are being ended.
    Stopping,
    Stopped,
}

impl Core {
    /// Whether workers may still be started.
    pub(super) fn is_running(&self) -> bool {
        !matches!(self.shutdown, Shutdown::Stopping | Shutdown::Stopped)
    }

    pub(super) fn begin_shutdown(&mut self, now: Millis, at_once: bool) {
        match self.shutdown {
            Shutdown::Stopping | Shutdown::Stopped => {}
            _ if at_once => self.stop_workers(now, true),
            Shutdown::Running => {
                self.shutdown = Shutdown::Grace;
                self.timers.add(now.saturating_add(self.policy.shutdown_grace), Timer::Shutdown);
            }
            Shutdown::Grace | Shutdown::Cancelling => {}
        }
    }

    pub(super) fn shutdown_due(&mut self, now: Millis) {
        match self.shutdown {
            Shutdown::Grace => {
                self.shutdown = Shutdown::Cancelling;
                for key in self.requests.of_hosts() {
                    self.cancel(now, key, Cause::Shutdown);
                }
                self.timers.add(now.saturating_add(CANCEL_AT_SHUTDOWN), Timer::Shutdown);
            }
            Shutdown::Cancelling => self.stop_workers(now, true),
            Shutdown::Running | Shutdown::Stopping | Shutdown::Stopped => {}
        }
    }

    /// Moves the shutdown on as soon as nothing holds it back.
    pub(super) fn continue_shutdown(&mut self, now: Millis) {
        if matches!(self.shutdown, Shutdown::Grace | Shutdown::Cancelling) && self.requests.open() == 0 {
            self.stop_workers(now, false);
        }
        if self.shutdown == Shutdown::Stopping && self.workers.iter().all(|worker| !worker.state.is_alive()) {
            self.shutdown = Shutdown::Stopped;
            self.out.push(Action::Stopped);
        }
    }

    /// Ends every worker: by the end of its stdin, then SIGTERM, then SIGKILL. At once means without waiting for the first.
    fn stop_workers(&mut self, now: Millis, at_once: bool) {
        self.shutdown = Shutdown::Stopping;
        for key in self.requests.of_hosts() {
            let is_sent = self.requests.get(key).is_some_and(|request| matches!(request.place, Place::Sent { .. }));
            match self.requests.get_mut(key) {
                Some(request) if is_sent => {
                    request.cancel.get_or_insert(Cause::Shutdown);
                    request.overdue = true;
                }
                _ => self.cancel(now, key, Cause::Shutdown),
            }
        }
        for id in 0..self.workers.len() {
            let Some(worker) = self.workers.get_mut(id) else { continue };
            if !worker.state.is_alive() {
                self.change(id, WorkerState::Stopped, None);
                continue;
            }
            worker.condemned.get_or_insert_with(|| Condemned {
                reason: "the supervisor is shutting down".to_owned(),
                is_crash: false,
                signal: "SIGTERM",
            });
            self.change(id, WorkerState::Draining, None);
            self.out.push(Action::CloseStdin { worker: id });
            let patience = if at_once { 0 } else { CLOSED_STDIN };
            self.watch(id, Watch::Terminate, now.saturating_add(patience));
        }
    }
}
