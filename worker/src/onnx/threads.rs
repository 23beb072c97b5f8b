//! The threads that runs of plans compute on.

use parking_lot::Mutex;
use tract_linalg::multithread::{Executor, multithread_tract_scope, set_threading_mac_threshold};

/// From so many multiplications on a product of a vector and a matrix is split. tract waits for 2²¹, but handing out work costs less
/// from within its threads.
const SPLIT: usize = 1 << 17;

/// Some threads, for one run at a time.
#[derive(Debug)]
pub(super) struct Threads {
    executor: Executor,
    taken: Mutex<()>,
}

impl Threads {
    /// # Panics
    /// Where the system has no more threads to give.
    pub(super) fn start(count: usize) -> Self {
        let executor = match count {
            0 | 1 => Executor::SingleThread,
            _ => {
                set_threading_mac_threshold(SPLIT);
                Executor::multithread_with_name(count, "onnx")
            }
        };
        Threads { executor, taken: Mutex::new(()) }
    }

    /// Runs `work` on these threads, and where another run has them on the caller's alone: two that share threads would each
    /// compute parts of the other's, however long those take.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match (&self.executor, self.taken.try_lock()) {
            // From within: between its products the run would else compete with its own threads, which look for work for a while.
            (Executor::MultiThread(pool), Some(_taken)) => {
                pool.install(|| multithread_tract_scope(self.executor.clone(), work))
            }
            _ => multithread_tract_scope(Executor::SingleThread, work),
        }
    }
}
