//! Linux: tells when configuration files change, by inotify(7). Editors put a new file in the old one's place, so it is their
//! folders that are watched. Elsewhere SIGHUP is the way.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::sync::mpsc;

/// A file may be written in several steps.
const SETTLE: Duration = Duration::from_millis(200);

/// Sends something after each change of one of these files, whether they are there already or not.
pub(crate) fn watch(files: &[PathBuf], changed: mpsc::UnboundedSender<()>) -> io::Result<()> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
    let mut names: Vec<OsString> = Vec::new();
    for file in files {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let events = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_DELETE;
        // A folder that is not there has no file in it; one that is made later is not seen.
        if let (true, Some(name)) = (inotify.add_watch(folder, events).is_ok(), file.file_name()) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    let listen = move || {
        loop {
            let events = match inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EINTR) => continue,
                Err(_) => break,
            };
            if events.iter().any(|event| event.name.as_ref().is_some_and(|name| names.contains(name))) {
                std::thread::sleep(SETTLE);
                if changed.send(()).is_err() {
                    break;
                }
            }
        }
    };
    std::thread::Builder::new().name("millwork-config".to_owned()).spawn(listen).map(drop)
}
