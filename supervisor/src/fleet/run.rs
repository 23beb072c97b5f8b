//! The loop: polls every source, feeds the state machine, does what comes out, and sleeps until something stirs.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;
use tracing::Level;

use super::{Fleet, encode};
use crate::client::WorkerChange;
use crate::core::{Action, Answer, Event, HostId, Millis, WorkerState};

/// So many rounds without a pause, then the runtime gets its turn.
const ROUNDS: usize = 32;
/// How often a host is looked at that reads nothing, or is not read, in milliseconds.
const HOST_CHECK: Millis = 100;

/// One timer for everything that the state machine waits for.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    at: Millis,
}

impl Fleet {
    /// Runs until every worker is gone and every request has ended.
    pub(crate) async fn run(mut self) {
        self.handle(Event::Start);
        let mut alarm = Alarm { sleep: Box::pin(tokio::time::sleep(Duration::MAX)), at: Millis::MAX };
        poll_fn(|cx| self.poll(cx, &mut alarm)).await;
    }

    /// Milliseconds since the fleet was made.
    pub(super) fn now(&self) -> Millis {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    /// Feeds the state machine and does what it says.
    pub(super) fn handle(&mut self, event: Event) {
        let now = self.now();
        self.core.handle(now, event);
        if self.core.actions().is_empty() {
            return;
        }
        let mut actions = std::mem::take(self.core.actions());
        actions.drain(..).for_each(|action| self.act(action));
        // The buffer goes back, so that it need not grow again.
        *self.core.actions() = actions;
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Spawn { worker, run } => self.spawn(worker, run),
            Action::Send { worker, frame } => self.send(worker, frame),
            Action::CloseStdin { worker } => self.close_stdin(worker),
            Action::Terminate { worker } => self.terminate(worker),
            Action::Kill { worker } => self.kill(worker),
            Action::Emit { host: HostId::CLIENTS, id, payload, is_progress } => {
                if self.clients.emit(&id, payload, is_progress) {
                    self.pause_reading();
                }
            }
            Action::Emit { id, payload, is_progress, .. } => {
                if let Some(host) = &mut self.host {
                    host.emit(&id, payload, is_progress);
                }
            }
            Action::End { host: HostId::CLIENTS, id, answer } => self.clients.end(&id, answer),
            Action::End { id, answer, .. } => self.answer_host(&id, answer),
            Action::Changed { worker, state, detail } => {
                let name = self.core.name(worker);
                let reason = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
                let level = match state {
                    WorkerState::BackingOff | WorkerState::Failed => Level::WARN,
                    _ => Level::INFO,
                };
                self.log.news(level, name, &format!("worker `{name}` is {state}{reason}"));
                self.clients.tell(WorkerChange { worker: name.to_owned(), state, detail });
                self.announce();
            }
            Action::Stopped => {
                self.is_stopped = true;
                if let Some(host) = &mut self.host {
                    host.expect_flush();
                }
            }
        }
    }

    /// Answers the host behind the pipe.
    pub(super) fn answer_host(&mut self, id: &str, answer: Answer) {
        if let Some(host) = &mut self.host {
            host.link.push(encode(id, answer, self.limits.max_frame));
        }
    }

    /// Tells those who wait for it that the fleet is ready, or is not going to be.
    fn announce(&mut self) {
        let is_ready = self.core.has_ready();
        if is_ready || self.core.all_attempted() {
            if let Some(host) = &mut self.host {
                host.say_ready();
            }
            self.clients.report(is_ready, || self.core.failures());
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, alarm: &mut Alarm) -> Poll<()> {
        for _ in 0..ROUNDS {
            let mut busy = self.poll_notices(cx);
            busy |= self.poll_clients(cx);
            busy |= self.poll_workers(cx);
            busy |= self.poll_host(cx);
            busy |= self.write(cx);
            if self.is_stopped && self.is_flushed() {
                return Poll::Ready(());
            }
            if !busy && self.poll_alarm(cx, alarm).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sets the alarm for what is due next. Ready where it was due now, and has been seen to.
    fn poll_alarm(&mut self, cx: &mut Context<'_>, alarm: &mut Alarm) -> Poll<()> {
        let due = match self.core.next_due() {
            // Nothing else would stir while the host leaves its last answers unread.
            _ if self.is_stopped => self.now() + HOST_CHECK,
            // Nor where it goes while it is not read.
            due if self.is_congested() => due.unwrap_or(Millis::MAX).min(self.now() + HOST_CHECK),
            due => due.unwrap_or(Millis::MAX),
        };
        let spare = self.spare.expire().map_or(Millis::MAX, |left| self.now() + left.as_millis() as Millis + 1);
        let due = due.min(spare).min(self.usage_due);
        // Most timers are taken back before they are due: an alarm that rings too early costs less than setting it anew.
        if due < alarm.at {
            alarm.at = due;
            let until = Duration::from_millis(due.saturating_sub(self.now()));
            alarm.sleep.as_mut().reset(tokio::time::Instant::now() + until);
        }
        if alarm.at == Millis::MAX {
            return Poll::Pending;
        }
        std::task::ready!(alarm.sleep.as_mut().poll(cx));
        alarm.at = Millis::MAX;
        self.handle(Event::Tick);
        self.weigh_workers();
        Poll::Ready(())
    }

    /// Writes what waits, to workers and host. True where something has gone.
    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let wrote = self.write_to_workers(cx);
        self.write_to_host(cx) | wrote
    }
}
