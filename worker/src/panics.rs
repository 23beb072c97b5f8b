//! Panics of package code, caught with the place and backtrace they came from. What to answer is the caller's.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::{Error, ErrorKind};

/// A panic that was caught.
#[derive(Debug, Clone)]
pub struct Panicked {
    /// What it said, and where.
    pub message: String,
    /// The stack at that point.
    pub backtrace: String,
}

impl Panicked {
    /// The panic as an answer: of kind `panic`, with the stack as its traceback.
    #[must_use]
    pub fn into_error(self) -> Error {
        Error::new(ErrorKind::Panic, format!("panicked: {}", self.message)).traceback(self.backtrace)
    }
}

thread_local! {
    static LAST: RefCell<Option<Panicked>> = const { RefCell::new(None) };
    static CONTAINED: RefCell<u32> = const { RefCell::new(0) };
}

/// Runs `work` and gives its panic as a value.
///
/// # Errors
/// The panic.
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    install();
    CONTAINED.with(|depth| *depth.borrow_mut() += 1);
    // What `work` shares with others is locks without poison and atomics: a panic leaves them usable.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    CONTAINED.with(|depth| *depth.borrow_mut() -= 1);
    result.map_err(|payload| {
        LAST.with(|last| last.borrow_mut().take())
            .unwrap_or_else(|| Panicked { message: text(payload.as_ref()), backtrace: String::new() })
    })
}

/// Once, before package code: panics on contained threads are kept for their request instead of printed.
fn install() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if CONTAINED.with(|depth| *depth.borrow()) == 0 {
                return before(info);
            }
            let place =
                info.location().map(|l| format!(" at {}:{}:{}", l.file(), l.line(), l.column())).unwrap_or_default();
            let message = format!("{}{place}", text(info.payload()));
            let backtrace = Backtrace::force_capture().to_string();
            LAST.with(|last| *last.borrow_mut() = Some(Panicked { message, backtrace }));
        }));
    });
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without text".to_owned())
}
