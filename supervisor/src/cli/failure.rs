//! How a command ends when it does not end well: one text, one hint, one exit code.

use std::process::ExitCode;

use millwork_protocol::message::ErrorKind;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    kind: Option<String>,
    hint: Option<String>,
    traceback: Option<String>,
}

/// The result of a command.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// The node failed, or whatever else went wrong on the way: exit code 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into(), kind: None, hint: None, traceback: None }
    }

    /// The command line is wrong: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, ..Self::failed(message) }
    }

    /// There is no worker to do it: exit code 3.
    pub(crate) fn no_worker(message: impl Into<String>) -> Self {
        Self { code: 3, ..Self::failed(message) }
    }

    /// What `inspect` and `replay` say.
    pub(crate) fn of_look(error: &millwork_conformance::look::LookError) -> Self {
        let make = if error.is_about_a_file() { Self::usage } else { Self::no_worker };
        Self { hint: error.hint().map(str::to_owned), ..make(error.to_string()) }
    }

    /// Ctrl-C: the exit code that shells give it.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self { code: 130, ..Self::failed(message) }
    }

    /// The same with exit code 1: what is a mistake in one place is only a failure in another.
    pub(crate) fn into_failed(self) -> Self {
        Self { code: 1, ..self }
    }

    /// What went wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The sort of failure, where a worker said it.
    pub(crate) fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Shows it on stderr, the traceback only where it is asked for.
    pub(crate) fn report(&self, verbose: bool) -> ExitCode {
        eprintln!("{}", self.text(verbose));
        ExitCode::from(self.code)
    }

    fn text(&self, verbose: bool) -> String {
        let mut text = format!("error: {}", self.message);
        if let Some(kind) = &self.kind {
            text += &format!("\n kind: {kind}");
        }
        if let Some(hint) = &self.hint {
            text += &format!("\n hint: {hint}");
        }
        match &self.traceback {
            Some(traceback) if verbose => text += &format!("\n\n{}", traceback.trim_end()),
            Some(_) if self.hint.is_none() => text += "\n hint: -v shows where in the code it happened",
            _ => {}
        }
        text
    }
}

impl From<millwork::RequestError> for Failure {
    fn from(error: millwork::RequestError) -> Self {
        let hint = match &error.kind {
            ErrorKind::MissingSetting => Some("give it with --secret NAME; the value is taken from the environment"),
            ErrorKind::UnknownNode => Some("`millwork nodes` lists what there is"),
            ErrorKind::Unavailable => Some("`millwork status` says which workers run"),
            ErrorKind::Timeout => Some("--timeout SECONDS gives it more time"),
            ErrorKind::TooLarge => Some("NODETOOL_BRIDGE_MAX_FRAME_SIZE sets how large a frame may be, in bytes"),
            // Its worker died of it, and may again.
            ErrorKind::WorkerDied => None,
            _ if error.retryable => Some("the same command may succeed when it is run again"),
            _ => None,
        };
        Self {
            kind: Some(error.kind.to_string()),
            hint: hint.map(str::to_owned),
            traceback: error.traceback,
            ..Self::failed(error.message)
        }
    }
}

impl From<millwork::Error> for Failure {
    fn from(error: millwork::Error) -> Self {
        let text = error.to_string();
        match error {
            millwork::Error::Config(_) => Self::usage(text),
            millwork::Error::NoWorker { .. } => Self::no_worker(text)
                .hint("`millwork config` with the same flags shows the command of each worker, and where it is set"),
            _ => Self::failed(text),
        }
    }
}

impl From<millwork::config::ConfigError> for Failure {
    fn from(error: millwork::config::ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::message::ErrorData;

    #[test]
    fn a_worker_that_died_of_a_request_is_not_said_to_do_better_next_time() {
        let hint = |kind| {
            let data = ErrorData { retryable: Some(true), ..ErrorData::new(kind, "no") };
            Failure::from(millwork::RequestError::from(data)).hint
        };
        assert_eq!(hint(ErrorKind::WorkerDied), None);
        assert!(hint(ErrorKind::Failed).is_some_and(|hint| hint.contains("run again")));
    }

    #[test]
    fn the_traceback_waits_for_verbose() {
        let failure = Failure { traceback: Some("at main".to_owned()), ..Failure::failed("no") };
        assert_eq!(failure.text(false), "error: no\n hint: -v shows where in the code it happened");
        assert_eq!(failure.text(true), "error: no\n\nat main");
        assert_eq!(Failure::usage("no").hint("yes").text(false), "error: no\n hint: yes");
    }
}
