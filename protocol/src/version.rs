//! The versions of the bridge protocol: what each added, and what to say to a peer that speaks another one.

use thiserror::Error;

use crate::{MIN_PROTOCOL_VERSION, PROTOCOL_VERSION};

/// What each version added, from version 1 on. Every addition is one that older peers may ignore.
pub const HISTORY: [&str; PROTOCOL_VERSION as usize] = [
    "frames, discover, worker.status, execute, execute.stream, cancel, provider.*",
    "models.list_cached, models.download, models.delete",
    "comfy.* and the frame comfy.event",
    "run identity in execute, job.start, job.end, models.evict, requires_vram_gb",
    "blobs in chunks (chunked-v1), models.prepare",
    "provider.reference_to_video",
];

/// A peer whose version is below the oldest that is still spoken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the other side speaks version {theirs} of the bridge protocol, but {floor} is the oldest that this side \
     ({ours}) still speaks: update the other side"
)]
pub struct TooOld {
    /// The peer's version.
    pub theirs: u32,
    /// Ours.
    pub ours: u32,
    /// The oldest that we speak.
    pub floor: u32,
}

/// How a peer's version stands to ours, where they can talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compatibility {
    /// The same version.
    Same,
    /// An older one: what came later must not be asked of it.
    Older {
        /// The peer's version.
        theirs: u32,
    },
    /// A newer one: it may send keys and messages that we do not know.
    Newer {
        /// The peer's version.
        theirs: u32,
    },
}

impl Compatibility {
    /// A line for the log, naming both versions and the fix; nothing where they are the same.
    #[must_use]
    pub fn notice(self) -> Option<String> {
        match self {
            Self::Same => None,
            Self::Older { theirs } => Some(format!(
                "the other side speaks version {theirs} of the bridge protocol and this side {PROTOCOL_VERSION}: \
                 update the other side to have {}",
                HISTORY.get(theirs as usize..).unwrap_or_default().join(", "),
            )),
            Self::Newer { theirs } => Some(format!(
                "the other side speaks version {theirs} of the bridge protocol and this side {PROTOCOL_VERSION}: \
                 what it has of its own goes unused until this side is updated",
            )),
        }
    }
}

/// Compares a peer's version, which counts as 1 where it did not say, with ours.
///
/// # Errors
/// Where it is below [`MIN_PROTOCOL_VERSION`].
pub fn check(theirs: Option<u32>) -> Result<Compatibility, TooOld> {
    match theirs.unwrap_or(1) {
        theirs if theirs < MIN_PROTOCOL_VERSION => {
            Err(TooOld { theirs, ours: PROTOCOL_VERSION, floor: MIN_PROTOCOL_VERSION })
        }
        theirs if theirs < PROTOCOL_VERSION => Ok(Compatibility::Older { theirs }),
        PROTOCOL_VERSION => Ok(Compatibility::Same),
        theirs => Ok(Compatibility::Newer { theirs }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_both_versions_and_the_fix() {
        let old = check(Some(0)).unwrap_err().to_string();
        assert!(old.contains("version 0") && old.contains("(6)") && old.contains("update"), "{old}");
        let newer = check(Some(9)).unwrap().notice().unwrap();
        assert!(newer.contains("version 9") && newer.contains("side 6") && newer.contains("updated"), "{newer}");
        let older = check(None).unwrap().notice().unwrap();
        assert!(older.contains("version 1") && older.contains("models.download") && !older.contains("discover"));
        assert_eq!(check(Some(6)).unwrap().notice(), None);
    }
}
