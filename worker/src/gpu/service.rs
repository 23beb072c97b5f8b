//! The GPU thread and the queue in front of it. Callers talk to it through channels and wait for no driver.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use parking_lot::Mutex;

use super::device::{Device, Failure, GRACE, Watch};
use super::shader::COMPILER_STACK;
use super::{Choice, Control, GpuError, GpuState, Job};

/// Longest time for opening the device.
const START: Duration = Duration::from_secs(30);
/// Time for the GPU thread to report a job that has run out of time, before it counts as hung in the driver.
const SLACK: Duration = Duration::from_secs(2);
/// How often a waiting caller looks for its cancel and for a hung thread.
const TICK: Duration = Duration::from_millis(20);

/// The handle's inside: what callers and the GPU thread share.
#[derive(Debug)]
pub(super) struct Service {
    shared: Arc<Shared>,
    /// The way to the GPU thread, once it has been started.
    requests: Mutex<Option<Sender<Request>>>,
}

#[derive(Debug)]
struct Shared {
    choice: Choice,
    state: Mutex<GpuState>,
    hung: AtomicBool,
    /// When the GPU thread must have come back from what it does now.
    due: Mutex<Option<Instant>>,
}

enum Request {
    Start(Sender<()>),
    Run {
        job: Job,
        timeout: Duration,
        cancelled: Arc<AtomicBool>,
        events: Sender<Event>,
    },
    #[cfg(test)]
    Lose,
}

enum Event {
    Started,
    Step(usize),
    Done(Result<Vec<Vec<u8>>, GpuError>),
}

impl Shared {
    fn wedged(&self) -> bool {
        let overdue = || self.due.lock().is_some_and(|due| Instant::now() > due);
        self.hung.load(Ordering::Acquire) || overdue()
    }
}

impl Service {
    pub(super) fn new(choice: Choice) -> Arc<Self> {
        let shared = Shared {
            choice,
            state: Mutex::new(GpuState::NotStarted),
            hung: AtomicBool::new(false),
            due: Mutex::new(None),
        };
        Arc::new(Self { shared: Arc::new(shared), requests: Mutex::new(None) })
    }

    pub(super) fn state(&self) -> GpuState {
        self.shared.state.lock().clone()
    }

    pub(super) fn wedged(&self) -> bool {
        self.shared.wedged()
    }

    pub(super) fn start(&self) -> GpuState {
        let state = self.state();
        if state != GpuState::NotStarted {
            return state;
        }
        let (started, answer) = bounded(1);
        if let Err(reason) = self.send(Request::Start(started)) {
            return GpuState::Unavailable { reason };
        }
        loop {
            match answer.recv_timeout(TICK) {
                Ok(()) => return self.state(),
                Err(RecvTimeoutError::Disconnected) => {
                    return GpuState::Unavailable { reason: "the GPU thread ended".to_owned() };
                }
                Err(RecvTimeoutError::Timeout) if self.wedged() => {
                    return GpuState::Unavailable { reason: "the driver hangs".to_owned() };
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    pub(super) fn run(&self, job: Job, control: &Control<'_>) -> Result<Vec<Vec<u8>>, GpuError> {
        if self.wedged() {
            return Err(GpuError::Wedged);
        }
        let (events, answers) = unbounded();
        let cancelled = Arc::new(AtomicBool::new(false));
        let (mut started, mut done, total) = (false, 0, job.steps.len());
        let request = Request::Run { job, timeout: control.timeout, cancelled: cancelled.clone(), events };
        self.send(request).map_err(|reason| GpuError::Unavailable { reason })?;
        loop {
            match answers.recv_timeout(TICK) {
                Ok(Event::Started) => started = true,
                Ok(Event::Step(step)) => {
                    done = step;
                    (control.progress)(done, total);
                }
                Ok(Event::Done(result)) => return result,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(GpuError::Internal("the GPU thread ended".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) if self.wedged() => {
                    let late = GpuError::Timeout { after: control.timeout, done, total };
                    return Err(if started { late } else { GpuError::Wedged });
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if (control.cancelled)() {
                cancelled.store(true, Ordering::Release);
                return Err(GpuError::Cancelled);
            }
        }
    }

    /// The next job finds its device gone.
    #[cfg(test)]
    pub(super) fn lose_device(&self) {
        self.send(Request::Lose).expect("a GPU thread");
    }

    /// Hands `request` to the GPU thread, which is started by the first.
    fn send(&self, request: Request) -> Result<(), String> {
        let mut requests = self.requests.lock();
        let sender = match &*requests {
            Some(sender) => sender,
            None => {
                let (sender, receiver) = unbounded();
                let shared = self.shared.clone();
                std::thread::Builder::new()
                    .name("millwork-gpu".to_owned())
                    .stack_size(COMPILER_STACK)
                    .spawn(move || serve(&receiver, &shared))
                    .map_err(|error| format!("its thread cannot start: {error}"))?;
                requests.insert(sender)
            }
        };
        sender.send(request).map_err(|_| "the GPU thread ended".to_owned())
    }
}

/// What the GPU thread does: one request after another, until every handle is gone.
fn serve(requests: &Receiver<Request>, shared: &Shared) {
    let mut device = None;
    for request in requests {
        match request {
            Request::Start(started) => {
                let _ = open(&mut device, shared);
                let _ = started.send(());
            }
            Request::Run { job, timeout, cancelled, events } => {
                let watch = Caller { cancelled, events };
                let result = run(&mut device, shared, &job, timeout, &watch);
                // The caller may have gone.
                let _ = watch.events.send(Event::Done(result));
            }
            #[cfg(test)]
            Request::Lose => open(&mut device, shared).expect("a device").lose(),
        }
    }
}

struct Caller {
    cancelled: Arc<AtomicBool>,
    events: Sender<Event>,
}

impl Watch for Caller {
    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    fn step(&self, done: usize) {
        let _ = self.events.send(Event::Step(done));
    }
}

/// The device, opened if it is not. An adapter that is not there is not looked for again.
fn open<'a>(device: &'a mut Option<Device>, shared: &Shared) -> Result<&'a mut Device, String> {
    if let GpuState::Unavailable { reason } = &*shared.state.lock() {
        return Err(reason.clone());
    }
    let opened = match device.take() {
        Some(open) => open,
        None => {
            *shared.due.lock() = Some(Instant::now() + START);
            let opened = catch_unwind(AssertUnwindSafe(|| Device::open(&shared.choice)));
            *shared.due.lock() = None;
            let opened = opened.unwrap_or_else(|panic| Err(format!("opening it panicked: {}", text(&*panic))));
            match opened {
                Ok(opened) => {
                    *shared.state.lock() = GpuState::Ready(opened.info().clone());
                    opened
                }
                Err(reason) => {
                    *shared.state.lock() = GpuState::Unavailable { reason: reason.clone() };
                    return Err(reason);
                }
            }
        }
    };
    Ok(device.insert(opened))
}

fn run(
    slot: &mut Option<Device>,
    shared: &Shared,
    job: &Job,
    timeout: Duration,
    caller: &Caller,
) -> Result<Vec<Vec<u8>>, GpuError> {
    if caller.cancelled() {
        return Err(GpuError::Cancelled);
    }
    if shared.hung.load(Ordering::Acquire) {
        return Err(GpuError::Wedged);
    }
    let device = open(slot, shared).map_err(|reason| GpuError::Unavailable { reason })?;
    let _ = caller.events.send(Event::Started);
    *shared.due.lock() = Some(Instant::now() + timeout + GRACE + SLACK);
    let outcome = catch_unwind(AssertUnwindSafe(|| device.run(job, timeout, caller)));
    *shared.due.lock() = None;
    match outcome {
        Ok(Ok(results)) => Ok(results),
        Ok(Err(Failure { error, hung })) => {
            if hung {
                shared.hung.store(true, Ordering::Release);
                // Dropping it would wait for the work that hangs.
                std::mem::forget(slot.take());
            } else if matches!(error, GpuError::DeviceLost(_)) {
                *slot = None;
            }
            Err(error)
        }
        Err(panic) => {
            let lost = slot.as_ref().and_then(Device::lost);
            // Nobody knows what state it is in, so it is not even dropped.
            std::mem::forget(slot.take());
            Err(lost.unwrap_or_else(|| GpuError::Internal(text(&*panic))))
        }
    }
}

/// What a panic said.
fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}
