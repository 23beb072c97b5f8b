//! Names that become parts of paths and URLs: whatever a request or a server says, they stay inside the cache.

use super::StoreError;

/// The longest path inside a repository.
const LONGEST: usize = 1024;

/// Checks `name` or `org/name`, as the hub allows them.
pub(super) fn repository(id: &str) -> Result<(), StoreError> {
    let is_part = |part: &str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !part.is_empty() && part.chars().all(is_letter) && !part.starts_with(['.', '-']) && !part.ends_with(['.', '-'])
    };
    let parts: Vec<&str> = id.split('/').collect();
    let is_fine = id.len() <= 96 && parts.len() <= 2 && parts.into_iter().all(is_part);
    if is_fine && !id.contains("--") && !id.contains("..") && !id.ends_with(".git") {
        return Ok(());
    }
    Err(StoreError::Invalid(format!(
        "{id:?} is no name of a repository: it is `org/name`, of letters, digits and - _ ."
    )))
}

/// Checks the path of a file inside a repository.
pub(super) fn path(path: &str) -> Result<(), StoreError> {
    let is_part = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() <= 255;
    let is_fine = path.len() <= LONGEST && path.split('/').all(is_part) && !path.contains('\\');
    if is_fine && !path.chars().any(char::is_control) {
        return Ok(());
    }
    Err(StoreError::Invalid(format!("{path:?} is no path of a file inside a repository")))
}

/// Checks a branch, tag or commit.
pub(super) fn revision(revision: &str) -> Result<(), StoreError> {
    path(revision)
        .ok()
        .filter(|()| !revision.starts_with(['-', '.']))
        .ok_or_else(|| StoreError::Invalid(format!("{revision:?} is no branch, tag or commit")))
}

/// Whether this names a commit, and can name a folder.
pub(crate) fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The tag of a file's contents as the cache writes it, if it can name a file.
pub(super) fn etag(header: &str) -> Option<String> {
    let tag = header.trim().trim_start_matches("W/").trim_matches('"');
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let is_fine = (4..=128).contains(&tag.len()) && tag.bytes().all(is_letter);
    (is_fine && !tag.starts_with('.') && !tag.ends_with(".incomplete")).then(|| tag.to_owned())
}

/// A path for a URL; its slashes stay.
pub(super) fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out() {
        for bad in [
            "", "../x", "/no/such", "a/../..", "..", "a/b/c", "a//b", "a/", "-a/b", "a--b", "a b", "a/.b", "a\0",
            "x.git",
        ] {
            assert!(repository(bad).is_err(), "{bad:?}");
        }
        assert!(repository("gpt2").is_ok() && repository("org-1/some_name.v2").is_ok());
        for bad in
            ["", "/etc/passwd", "../a", "a/../../b", "a/./b", "a//b", "a\\..\\b", "a\n", "a/..", &"x".repeat(300)]
        {
            assert!(path(bad).is_err(), "{bad:?}");
        }
        assert!(path("onnx/model (1).onnx_data").is_ok() && path("a/..b").is_ok());
        assert!(revision("refs/pr/1").is_ok() && revision("../main").is_err());
        assert_eq!(etag("W/\"abcd-1\"").as_deref(), Some("abcd-1"));
        assert!([".x..", "\"../a\"", "", "abc/def", "abcdef.incomplete"].iter().all(|bad| etag(bad).is_none()));
        assert!(is_commit("0123456789abcdef") && !is_commit("main") && !is_commit("../../.."));
        assert_eq!(encoded("a b/é?#.x"), "a%20b/%C3%A9%3F%23.x");
    }
}
