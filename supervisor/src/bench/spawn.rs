//! Starts a plain child on pipes.

use std::io;
use std::process::{Child, Command, Stdio};

/// Starts `command` with pipes for stdin, stdout and stderr.
#[expect(clippy::disallowed_methods, reason = "until the supervisor's own module for starting processes is there")]
pub(super) fn piped(command: &[String]) -> io::Result<Child> {
    let (program, args) = command.split_first().ok_or_else(|| io::Error::other("the command is empty"))?;
    Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}
