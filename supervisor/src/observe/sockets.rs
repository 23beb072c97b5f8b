//! The sockets that running fleets answer on: where they are, making and removing one, and asking. What is answered is
//! [`http`](super::http)'s.

use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Asker, http};

/// A fleet answers at once, if it answers at all.
const PATIENCE: Duration = Duration::from_secs(5);
const FOLDER: &str = "millwork";

/// A running fleet of this user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Running {
    /// The process id of its supervisor.
    pub pid: u32,
    socket: PathBuf,
}

/// A socket that goes with its owner.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl Socket {
    /// Makes it, only for this user. What an earlier owner has left is removed.
    pub(super) fn bind(path: PathBuf) -> io::Result<Self> {
        if UnixStream::connect(&path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            std::fs::remove_file(&path)?;
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { path, listener: Some(listener) })
    }

    /// Answers on it from now on.
    pub(super) fn serve(mut self, asker: Asker) -> io::Result<Self> {
        if let Some(listener) = self.listener.take() {
            http::serve_unix(listener, asker)?;
        }
        Ok(self)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Somebody may have tidied up.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The user's runtime folder, where there is one.
fn folder() -> Option<PathBuf> {
    let runtime = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?);
    runtime.is_absolute().then(|| runtime.join(FOLDER))
}

/// The socket of this process, where there is a runtime folder.
pub(super) fn own() -> io::Result<Option<Socket>> {
    let Some(folder) = folder() else { return Ok(None) };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    remove_stale(&folder);
    Socket::bind(folder.join(format!("{}.sock", std::process::id()))).map(Some)
}

/// Removes what supervisors have left that were killed.
fn remove_stale(folder: &Path) {
    for running in in_folder(folder) {
        if UnixStream::connect(&running.socket).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            let _ = std::fs::remove_file(&running.socket);
        }
    }
}

fn in_folder(folder: &Path) -> Vec<Running> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<Running> = entries
        .filter_map(|entry| {
            let socket = entry.path();
            let pid = socket.file_name()?.to_str()?.strip_suffix(".sock")?.parse().ok()?;
            Some(Running { pid, socket })
        })
        .collect();
    all.sort();
    all
}

/// The running fleets of this user: those that `millwork serve` has started and that answer.
#[must_use]
pub fn running() -> Vec<Running> {
    let all = folder().map(|folder| in_folder(&folder)).unwrap_or_default();
    all.into_iter().filter(|running| UnixStream::connect(&running.socket).is_ok()).collect()
}

/// Asks a running fleet how it is: a JSON object with its `pid`, `open`, `queued` and `workers`.
///
/// # Errors
/// Where it has gone, or does not answer.
pub fn ask(running: &Running) -> io::Result<serde_json::Value> {
    let mut stream = UnixStream::connect(&running.socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /status HTTP/1.1\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(io::Error::other(body.trim().to_owned()));
    }
    serde_json::from_str(body).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_goes_with_its_owner_and_one_that_was_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("41.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "it was left");
        let socket = Socket::bind(path.clone()).unwrap();
        assert_eq!(in_folder(folder.path())[0].pid, 41);
        assert!(Socket::bind(path.clone()).is_err(), "it is in use");
        drop(socket);
        assert!(!path.exists());
        std::fs::write(folder.path().join("readme"), "").unwrap();
        assert_eq!(in_folder(folder.path()), []);
    }
}
