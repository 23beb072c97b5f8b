//! `error`, the frame that ends a request which failed, and load errors, which say what is missing and why.

use super::macros::{message, text_enum};
use crate::Map;

text_enum! {
    /// What sort of failure an `error` reports, for programs to act upon; the text is for people.
    pub enum ErrorKind {
        /// The host asked for it with `cancel`.
        Cancelled = "cancelled",
        /// It took longer than allowed.
        Timeout = "timeout",
        /// A field, a file or a frame is not what it should be. The text names it.
        InvalidInput = "invalid_input",
        /// No worker has this node type.
        UnknownNode = "unknown_node",
        /// No worker has this provider.
        UnknownProvider = "unknown_provider",
        /// There is no such message, or not in this version.
        UnknownMessage = "unknown_message",
        /// It exists, but cannot be had now: a worker that is starting, a package that did not load, no GPU.
        Unavailable = "unavailable",
        /// The node's code panicked.
        Panic = "panic",
        /// Over a limit on size: a frame, a blob, memory.
        TooLarge = "too_large",
        /// A secret or a setting that the node needs was not given.
        MissingSetting = "missing_setting",
        /// The queues are full.
        Overloaded = "overloaded",
        /// The worker's process ended under the request.
        WorkerDied = "worker_died",
        /// This request has killed workers before and is refused.
        Poison = "poison",
        /// Anything else that went wrong while it ran.
        Failed = "failed",
    }
}

impl ErrorKind {
    /// Whether the same request may well succeed when it is sent again unchanged.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable | Self::Overloaded | Self::WorkerDied)
    }
}

message! {
    /// The data of an `error` frame. Hosts know `error` and `traceback`; the other keys are Millwork's.
    pub struct ErrorData {
        /// What went wrong, in words that can be shown.
        pub error: String,
        /// The stack of the code that failed, where there is one.
        pub traceback: Option<String> = lenient,
        /// The sort of failure.
        pub kind: Option<ErrorKind> = lenient,
        /// Whether the same request may succeed when it is sent again.
        pub retryable: Option<bool> = lenient,
    }
}

impl ErrorData {
    /// An error of one kind, retryable as that kind is.
    pub fn new(kind: ErrorKind, error: impl Into<String>) -> Self {
        let retryable = Some(kind.is_retryable());
        Self { error: error.into(), traceback: None, kind: Some(kind), retryable, extra: Map::new() }
    }

    /// The same error with the stack of the code that failed.
    #[must_use]
    pub fn with_traceback(mut self, traceback: impl Into<String>) -> Self {
        self.traceback = Some(traceback.into());
        self
    }
}

message! {
    /// Why something that should be in the inventory is not.
    #[derive(Default)]
    pub struct LoadError {
        /// The package, crate, folder or module.
        pub module: String = default,
        /// How far it came: `import`, `metadata`, `model`, …
        pub phase: String = default,
        /// The error's type, as its language names it.
        pub error_type: String = default,
        /// The error's text.
        pub error: String,
    }
}

impl LoadError {
    /// A load error without further keys.
    pub fn new(
        module: impl Into<String>,
        phase: impl Into<String>,
        error_type: impl Into<String>,
        error: impl Into<String>,
    ) -> Self {
        Self {
            module: module.into(),
            phase: phase.into(),
            error_type: error_type.into(),
            error: error.into(),
            extra: Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Value, map};

    #[test]
    fn optional_keys_are_left_out_and_unknown_ones_kept() {
        let plain = map! { "error" => "no", "traceback" => Value::Nil, "hint" => 7 };
        let read = ErrorData::from_map(plain).unwrap();
        assert_eq!((read.error.as_str(), &read.traceback, &read.kind), ("no", &None, &None));
        assert_eq!(read.into_map(), map! { "error" => "no", "hint" => 7 });
    }

    #[test]
    fn an_unknown_kind_is_kept_and_a_mistyped_one_ignored() {
        let read = ErrorData::from_map(map! { "error" => "no", "kind" => "melted" }).unwrap();
        assert_eq!(read.kind, Some(ErrorKind::Other("melted".to_owned())));
        assert_eq!(read.to_value().get("kind"), Some(&Value::from("melted")));
        let mistyped = ErrorData::from_map(map! { "error" => "no", "kind" => 3, "retryable" => "yes" }).unwrap();
        assert_eq!((mistyped.kind, mistyped.retryable), (None, None));
    }

    #[test]
    fn a_new_error_says_whether_to_try_again() {
        let died = ErrorData::new(ErrorKind::WorkerDied, "gone").with_traceback("at main");
        let expected =
            map! { "error" => "gone", "traceback" => "at main", "kind" => "worker_died", "retryable" => true };
        assert_eq!(Map::from(died), expected);
        assert_eq!(ErrorData::new(ErrorKind::Failed, "").retryable, Some(false));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(ErrorData::from_map(map! {}).unwrap_err().to_string(), "error: expected str, got nothing");
        let list = Value::List(vec![Value::from(map! { "error" => 1 })]);
        let error = <Vec<LoadError> as crate::message::Field>::from_value(list).unwrap_err().under("load_errors");
        assert_eq!(error.to_string(), "load_errors[0].error: expected str, got int");
    }
}
