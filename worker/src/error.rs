//! What a node fails with, and how any other error becomes it.

use std::fmt;

use millwork_protocol::message::ErrorKind;

/// The result of nodes and of everything they call here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure with the kind that the host is told.
///
/// Any `std::error::Error` becomes one by `?`, of kind `failed` and with its causes in the text. It implements no
/// `Error` itself, or that could not be.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    traceback: Option<String>,
    /// Nothing means: as errors of its kind are.
    retryable: Option<bool>,
}

impl Error {
    /// A failure of the given kind.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl fmt::Display) -> Self {
        Self(Box::new(Inner { kind, message: message.to_string(), traceback: None, retryable: None }))
    }

    /// The input is wrong: say which, what was found and what is expected.
    #[must_use]
    pub fn invalid(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// The work failed.
    #[must_use]
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// Something that the work needs is not there: a model, an adapter, a service.
    #[must_use]
    pub fn unavailable(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// The request was cancelled.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "Cancelled")
    }

    /// With a traceback for the host to show.
    #[must_use]
    pub fn traceback(mut self, traceback: impl Into<String>) -> Self {
        self.0.traceback = Some(traceback.into());
        self
    }

    /// Marked as worth trying again.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.0.retryable = Some(true);
        self
    }

    /// Marked as the same however often it is tried, although errors of its kind mostly pass.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.0.retryable = Some(false);
        self
    }

    /// With words in front of the message. That a request was cancelled stays as it is: hosts know it by its words.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        if self.0.kind != ErrorKind::Cancelled {
            self.0.message = format!("{what}: {}", self.0.message);
        }
        self
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the same request may succeed when it is sent again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable.unwrap_or_else(|| self.0.kind.is_retryable())
    }

    /// The same with its texts changed.
    pub(crate) fn blotted(&self, blot: impl Fn(&str) -> String) -> Self {
        let (message, traceback) = (blot(&self.0.message), self.0.traceback.as_deref().map(&blot));
        Self(Box::new(Inner { message, traceback, ..(*self.0).clone() }))
    }

    pub(crate) fn parts(&self) -> (&ErrorKind, &str, Option<&str>) {
        (&self.0.kind, &self.0.message, self.0.traceback.as_deref())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self::failed(with_causes(&error))
    }
}

/// The message and each cause behind it that says something new.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

/// Words and kinds for the errors of other crates.
pub trait ResultExt<T> {
    /// Puts words in front of the error.
    ///
    /// # Errors
    /// The same error, with the words.
    fn context(self, what: impl fmt::Display) -> Result<T>;

    /// Says that the error is the input's: kind `invalid_input`, with words in front.
    ///
    /// # Errors
    /// The same error, with the kind and the words.
    fn invalid(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> ResultExt<T> for std::result::Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|e| e.into().context(what))
    }

    fn invalid(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|e| {
            let mut error = e.into().context(what);
            error.0.kind = ErrorKind::InvalidInput;
            error
        })
    }
}
