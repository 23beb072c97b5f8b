//! The face to a host on the other end of a pipe: the whole fleet behind one stdin and stdout.

use crate::{Config, Error};

/// Serves the fleet over stdin and stdout until the host closes the pipe or a signal asks for the end.
///
/// Takes the process's own descriptors 0 and 1: after this, 0 is `/dev/null` and 1 is stderr.
///
/// # Errors
/// A configuration that cannot be used, or descriptors that cannot be taken.
pub fn stdio(config: Config) -> Result<(), Error> {
    let _ = config;
    Err(Error::Stopped)
}
