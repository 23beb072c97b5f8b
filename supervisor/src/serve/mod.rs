//! The face to a host on the other end of a pipe: the whole fleet behind one stdin and stdout.

mod descriptors;

use std::path::PathBuf;

use crate::fleet::{Clients, Fleet, Host, Read, Reload, limits, runtime};
use crate::process::{Log, Logs};
use crate::{Config, Error, observe};

/// Serves the fleet over stdin and stdout until the host closes the pipe or a signal asks for the end.
///
/// Takes the process's own descriptors 0 and 1: after this, 0 is `/dev/null` and 1 is stderr. Call it once, before
/// anything else uses them. `NODETOOL_STDIO_READY` appears on stderr once a worker is ready, or all have failed to start.
///
/// # Errors
/// A configuration that cannot be used, or descriptors that cannot be taken.
pub fn stdio(config: Config) -> Result<(), Error> {
    stdio_with(config, Logs::default())
}

/// [`stdio`], with a say in what stands on stderr.
///
/// # Errors
/// As [`stdio`].
pub fn stdio_with(config: Config, logs: Logs) -> Result<(), Error> {
    run(config, logs, None)
}

/// [`stdio_with`], and the configuration is read again on SIGHUP and when one of these files changes. What can be applied is,
/// without losing a request; `read` reads it, or says why it cannot be used.
///
/// # Errors
/// As [`stdio`].
pub fn stdio_reloading(
    config: Config,
    logs: Logs,
    files: &[PathBuf],
    read: impl FnMut() -> Result<Config, String> + Send + 'static,
) -> Result<(), Error> {
    run(config, logs, Some((files, Box::new(read))))
}

fn run(config: Config, logs: Logs, reload: Option<(&[PathBuf], Read)>) -> Result<(), Error> {
    config.validate().map_err(|(key, text)| crate::config::ConfigError::invalid(key, text))?;
    let runtime = runtime()?;
    let (_listeners, questions) = observe::listen(&config)?;
    let descriptors = descriptors::take().map_err(Error::io("take over stdin and stdout"))?;
    let fleet = {
        let _guard = runtime.enter();
        let host = Host::new(descriptors.input, descriptors.output, limits().max_frame)?;
        let fleet = Fleet::new(&config, Log::Stderr(logs), Some(host), Clients::none())?.watched(&config, questions)?;
        match reload {
            None => fleet,
            Some((files, read)) => fleet.with_reload(Reload::of_files(config, files, read)?),
        }
    };
    runtime.block_on(fleet.run());
    if let Some(copier) = descriptors.copier {
        // The last answers are on their way to a file or terminal.
        let _ = copier.join();
    }
    Ok(())
}
