//! The loop: polls every source, feeds the state machine, does what comes out, and sleeps until something stirs.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use millwork_protocol::message::ErrorKind;
use serde_json::json;
use tokio::time::Sleep;
use tracing::Level;

use super::{Fleet, encode};
use crate::client::WorkerChange;
use crate::core::{Action, Answer, Event, HostId, Millis, Trace, WorkerState, decode};
use crate::observe::RequestEnd;

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
        let facts = json!({ "pid": std::process::id(), "version": env!("CARGO_PKG_VERSION") });
        self.events.tell("started", facts);
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
            Action::End { host, id, answer, trace } => {
                self.core.count(self.now(), &trace);
                self.tell_end(&id, &answer, &trace);
                match host {
                    HostId::CLIENTS => self.clients.end(&id, answer),
                    _ => self.answer_host(&id, answer),
                }
            }
            Action::Changed { worker, state, detail } => {
                let name = self.core.name(worker);
                let reason = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
                let level = match state {
                    WorkerState::BackingOff | WorkerState::Failed => Level::WARN,
                    _ => Level::INFO,
                };
                self.log.news(level, name, &format!("worker `{name}` is {state}{reason}"));
                self.events.worker(name, state.as_str(), self.core.pid(worker), detail.as_deref());
                self.clients.tell(WorkerChange { worker: name.to_owned(), state, detail });
                self.announce();
            }
            Action::Stopped => {
                self.is_stopped = true;
                self.events.tell("stopped", json!({}));
                if let Some(host) = &mut self.host {
                    host.expect_flush();
                }
            }
        }
    }

    /// One line for each request that has ended.
    fn tell_end(&mut self, id: &str, answer: &Answer, trace: &Trace) {
        if !self.events.is_on() && !self.spans.is_on() {
            return;
        }
        let now = self.now();
        let kind = match answer {
            _ if !trace.is_error => "ok".to_owned(),
            Answer::Error(error) => error.kind.as_ref().map_or("failed", ErrorKind::as_str).to_owned(),
            Answer::Forward(payload) => {
                let error = decode(payload).err();
                error.and_then(|error| error.kind).as_ref().map_or("failed", ErrorKind::as_str).to_owned()
            }
            Answer::Message(..) => "failed".to_owned(),
        };
        let end = RequestEnd {
            id,
            kind: &trace.kind,
            target: trace.target.as_deref(),
            worker: trace.worker.map(|worker| self.core.name(worker)),
            queue_ms: trace.sent.unwrap_or(now).saturating_sub(trace.came),
            run_ms: trace.sent.map(|sent| now.saturating_sub(sent)),
            outcome: &kind,
        };
        self.events.request(&end);
        self.spans.request(&end);
    }

    /// Answers those who ask how the fleet is.
    fn poll_questions(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.now();
        let Some(questions) = &mut self.questions else { return false };
        let mut busy = false;
        while let Poll::Ready(Some(question)) = questions.poll_recv(cx) {
            busy = true;
            // One who has gone wants no answer.
            let _ = question.send(self.core.snapshot(now));
        }
        busy
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
            busy |= self.poll_questions(cx);
            busy |= self.poll_reload(cx);
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
