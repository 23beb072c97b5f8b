//! What a check is and what it can say. How it talks to a worker is in [`crate::worker`]; which checks there are in
//! [`crate::checks`].
//!
//! ```ignore
//! Check::new("EXE-003", |w| {
//!     w.node("test.Add")?;
//!     let answer = w.execute("test.Add", map! { "a" => 1, "b" => 2 })?;
//!     ensure!(answer.output("output")?.as_f64() == Some(3.0), "1 + 2 is {:?}", answer.output("output")?);
//!     Ok(())
//! })
//! ```

use std::time::Duration;

use crate::session::Session;
use crate::worker::Worker;

/// How a check went: `Ok(())` is a pass.
pub type Outcome<T = ()> = Result<T, Stop>;

/// Why a check ended before its end.
#[derive(Debug, Clone)]
pub enum Stop {
    /// The requirement is not met.
    Fail(Failure),
    /// It cannot be checked with this worker, for this reason.
    NotApplicable(String),
}

/// In which way a requirement is not met.
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// What was seen, in one sentence or part of one.
    pub what: String,
    /// The likely cause, in one plain sentence.
    pub cause: Option<String>,
}

impl Stop {
    /// Says otherwise what was seen; "not applicable" stays.
    #[must_use]
    pub fn reworded(self, what: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Fail(failure) => Self::Fail(Failure { what: what(&failure.what), ..failure }),
            other => other,
        }
    }

    /// Adds the likely cause; one that is known already stays.
    #[must_use]
    pub fn cause(self, cause: impl Into<String>) -> Self {
        match self {
            Self::Fail(failure) => {
                Self::Fail(Failure { cause: failure.cause.or_else(|| Some(cause.into())), ..failure })
            }
            other => other,
        }
    }
}

/// The requirement is not met.
pub fn fail(what: impl Into<String>) -> Stop {
    Stop::Fail(Failure { what: what.into(), cause: None })
}

/// It cannot be checked here.
pub fn not_applicable(reason: impl Into<String>) -> Stop {
    Stop::NotApplicable(reason.into())
}

/// Adds the likely cause to a failure that is on its way out.
pub trait Because<T> {
    /// The likely cause, in one plain sentence.
    ///
    /// # Errors
    /// As before.
    fn because(self, cause: &str) -> Outcome<T>;
}

impl<T> Because<T> for Outcome<T> {
    fn because(self, cause: &str) -> Self {
        self.map_err(|stop| stop.cause(cause))
    }
}

/// Ends the check with a failure unless the condition holds: `ensure!(condition, "what was seen"; "likely cause")`.
macro_rules! ensure {
    ($condition:expr, $format:literal $(, $arg:expr)* $(,)?) => {
        if !$condition {
            return Err($crate::check::fail(format!($format $(, $arg)*)));
        }
    };
    ($condition:expr, $format:literal $(, $arg:expr)* ; $cause:literal $(, $more:expr)* $(,)?) => {
        if !$condition {
            return Err($crate::check::fail(format!($format $(, $arg)*)).cause(format!($cause $(, $more)*)));
        }
    };
}
pub(crate) use ensure;

/// How a check gets its worker.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Run {
    /// The worker that earlier checks have left well.
    Shared(fn(&mut Worker) -> Outcome),
    /// A worker of its own, which is ended after it.
    Fresh(fn(&mut Worker) -> Outcome),
    /// None: it starts what it needs.
    Launch(fn(&Session) -> Outcome),
    /// The worker that others use, for a rule that holds for every frame: a failure is one that was seen during any check.
    Standing(fn(&mut Worker) -> Outcome),
}

/// The check of one requirement.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    pub(crate) id: &'static str,
    pub(crate) run: Run,
    pub(crate) limit: Duration,
}

impl Check {
    const fn of(id: &'static str, run: Run) -> Self {
        Self { id, run, limit: Duration::from_secs(30) }
    }

    /// A check that leaves the worker as it found it, so that the next one can use it too.
    pub(crate) const fn new(id: &'static str, run: fn(&mut Worker) -> Outcome) -> Self {
        Self::of(id, Run::Shared(run))
    }

    /// A check that needs a worker of its own: it ends it, or hurts it.
    pub(crate) const fn fresh(id: &'static str, run: fn(&mut Worker) -> Outcome) -> Self {
        Self::of(id, Run::Fresh(run))
    }

    /// A check that starts its workers itself, with an environment, or looks at the start.
    pub(crate) const fn launch(id: &'static str, run: fn(&Session) -> Outcome) -> Self {
        Self::of(id, Run::Launch(run))
    }

    /// A rule that every frame is held to, whichever check is running; `run` makes some traffic of its own.
    pub(crate) const fn standing(id: &'static str, run: fn(&mut Worker) -> Outcome) -> Self {
        Self::of(id, Run::Standing(run))
    }

    /// With this much time in all instead of 30 s.
    pub(crate) const fn limit(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }
}
