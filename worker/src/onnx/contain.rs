//! Keeps tract's panics inside the call that caused them, and its errors short.

use tract_onnx::prelude::TractResult;

/// Longest text taken over from tract, which likes to print whole nodes.
const LONGEST: usize = 1200;

/// Runs `work`, and makes one line of text of what goes wrong in it.
///
/// What `work` borrows must not be used again after an error, or be valid whatever `work` did to it.
pub(super) fn contain<T>(doing: &str, work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match crate::contain(work) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(shortened(format!("{error:#}"))),
        Err(panic) => {
            tracing::warn!(backtrace = %panic.backtrace, "tract panicked while {doing}: {}", panic.message);
            Err(shortened(format!("panic while {doing}: {}", panic.message)))
        }
    }
}

fn shortened(text: String) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use tract_onnx::tract_core::internal::format_err;

    use super::*;

    #[test]
    fn panics_and_errors_become_text() {
        assert_eq!(contain("adding", || Ok(1)), Ok(1));
        let failed = contain::<()>("adding", || Err(format_err!("inner").context("outer")));
        assert_eq!(failed, Err("outer: inner".into()));
        let panicked = contain::<()>("adding", || panic!("number {}", 7)).unwrap_err();
        assert!(panicked.starts_with("panic while adding: number 7 at "), "{panicked}");
        let long = contain::<()>("adding", || Err(format_err!("{}", "é ".repeat(2000)))).unwrap_err();
        assert!(long.len() < LONGEST + 8 && long.ends_with('…'), "{}", long.len());
    }
}
