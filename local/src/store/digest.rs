//! Whether a file is the one that the hub means: large ones are named by their SHA-256, small ones as git names them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// What a file's contents must give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Digest {
    /// Of a file in Git LFS: 64 hexadecimal digits.
    Sha256(String),
    /// Of a file in git itself, over `blob LENGTH\0` and the contents: 40 digits.
    Git(String),
}

impl Digest {
    /// The digest that a tag is; nothing where a server has tags of another kind.
    pub(super) fn of_etag(etag: &str) -> Option<Self> {
        let is_hex = etag.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match etag.len() {
            64 if is_hex => Some(Self::Sha256(etag.to_owned())),
            40 if is_hex => Some(Self::Git(etag.to_owned())),
            _ => None,
        }
    }

    /// Whether a file has it. `go_on` is asked between pieces, and ends it where it says no.
    pub(super) fn fits(&self, path: &Path, go_on: &dyn Fn() -> bool) -> io::Result<bool> {
        let mut file = File::open(path)?;
        let (mut sha256, mut sha1) = (Sha256::new(), Sha1::new());
        if let Self::Git(_) = self {
            sha1.update(format!("blob {}\0", file.metadata()?.len()).as_bytes());
        }
        let mut buffer = vec![0; 1 << 18];
        loop {
            if !go_on() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let read = file.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            match self {
                Self::Sha256(_) => sha256.update(bytes),
                Self::Git(_) => sha1.update(bytes),
            }
        }
        Ok(match self {
            Self::Sha256(wanted) => *wanted == hex(&sha256.finalize()),
            Self::Git(wanted) => *wanted == hex(&sha1.finalize()),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_digest_where_it_looks_like_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        std::fs::write(&file, "hello\n").unwrap();
        // `git hash-object x` and `sha256sum x`.
        for tag in [
            "ce013625030ba8dba906f756967f9e9ca394464a",
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        ] {
            assert!(Digest::of_etag(tag).unwrap().fits(&file, &|| true).unwrap(), "{tag}");
            std::fs::write(&file, "hullo\n").unwrap();
            assert!(!Digest::of_etag(tag).unwrap().fits(&file, &|| true).unwrap());
            std::fs::write(&file, "hello\n").unwrap();
        }
        assert_eq!(Digest::of_etag("d41d8cd98f00b204e9800998ecf8427e"), None);
        assert!(Digest::of_etag(&"a".repeat(40)).unwrap().fits(&file, &|| false).is_err());
    }
}
