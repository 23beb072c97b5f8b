//! The compute pool: a bounded number of threads and the work that waits for them. What the work is, is not known here.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// One piece of work.
pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// Threads are started as work arrives, at most `threads`, and then kept.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    threads: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    started: usize,
    idle: usize,
}

impl Pool {
    pub(crate) fn new(threads: usize) -> Self {
        Self(Arc::new(Shared { threads: threads.max(1), state: Mutex::default(), work: Condvar::new() }))
    }

    /// Threads at most.
    pub(crate) fn threads(&self) -> usize {
        self.0.threads
    }

    /// Tasks that wait for a thread.
    pub(crate) fn queued(&self) -> usize {
        self.0.state.lock().tasks.len()
    }

    /// Puts a task behind the others.
    pub(crate) fn spawn(&self, task: Task) {
        let mut state = self.0.state.lock();
        state.tasks.push_back(task);
        if state.idle < state.tasks.len() && state.started < self.0.threads {
            let shared = Arc::clone(&self.0);
            let name = format!("millwork-node-{}", state.started);
            match std::thread::Builder::new().name(name).stack_size(8 << 20).spawn(move || shared.run()) {
                Ok(_) => state.started += 1,
                // The tasks wait for the threads that there are; with none at all there is nobody to wait for.
                Err(error) => tracing::error!(%error, started = state.started, "cannot start a compute thread"),
            }
        }
        drop(state);
        self.0.work.notify_one();
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let mut state = self.state.lock();
            let task = loop {
                if let Some(task) = state.tasks.pop_front() {
                    break task;
                }
                state.idle += 1;
                self.work.wait(&mut state);
                state.idle -= 1;
            };
            drop(state);
            task();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn no_more_threads_than_allowed_run_at_once() {
        let pool = Pool::new(3);
        let (sender, receiver) = mpsc::channel();
        let running = Arc::new(Mutex::new((0, 0)));
        for _ in 0..50 {
            let (running, sender) = (Arc::clone(&running), sender.clone());
            pool.spawn(Box::new(move || {
                {
                    let mut running = running.lock();
                    running.0 += 1;
                    running.1 = running.1.max(running.0);
                }
                std::thread::yield_now();
                running.lock().0 -= 1;
                sender.send(std::thread::current().name().map(str::to_owned)).unwrap();
            }));
        }
        assert_eq!(receiver.iter().take(50).count(), 50);
        assert!(running.lock().1 <= 3);
    }
}
