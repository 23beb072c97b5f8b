//! What the hub's API tells about a repository: its files at a commit, and the tag, size and address of one.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;
use ureq::http::Method;

use super::web::{Reply, Web};
use super::{StoreError, names};

/// The longest list of files that is read.
const MOST_LISTED: u64 = 64 << 20;

/// A repository at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: Vec<Listed>,
}

/// One of its files, as the list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) path: String,
    pub(super) size: Option<u64>,
    /// Its tag, where the list says it.
    pub(super) etag: Option<String>,
}

/// What the hub says about a file before it sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) etag: String,
    pub(super) size: Option<u64>,
}

#[derive(Deserialize)]
struct ModelInfo {
    sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

/// The files of a repository at a revision. All paths in it have been checked.
pub(super) fn list(web: &Web, id: &str, revision: &str) -> Result<Listing, StoreError> {
    // A revision's slashes are part of its name there.
    let revision_part = names::encoded(revision).replace('/', "%2F");
    let path = format!("/api/models/{}/revision/{revision_part}?blobs=true", names::encoded(id));
    let reply = web.send(&Method::GET, &path, 0, id)?;
    let mut text = Vec::new();
    let read = reply.body.into_reader().take(MOST_LISTED + 1).read_to_end(&mut text);
    read.map_err(|error| StoreError::passing(format!("{id}: the connection broke: {error}")))?;
    let wrong = |why: &str| StoreError::Wrong(format!("{id}: the hub's list of files {why}"));
    if text.len() as u64 > MOST_LISTED {
        return Err(wrong("is longer than such a list can be"));
    }
    let info: ModelInfo = serde_json::from_slice(&text).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    let commit = info.sha.filter(|sha| names::is_commit(sha)).ok_or_else(|| wrong("names no commit"))?;
    let files = info.siblings.into_iter().map(|sibling| {
        names::path(&sibling.rfilename).map_err(|_| {
            wrong(&format!("has {:?}, which is refused: it would lie outside of the repository", sibling.rfilename))
        })?;
        let (sha256, lfs_size) = sibling.lfs.map_or((None, None), |lfs| (lfs.sha256, lfs.size));
        let etag = sha256.or(sibling.blob_id).as_deref().and_then(names::etag);
        Ok(Listed { path: sibling.rfilename, size: lfs_size.or(sibling.size), etag })
    });
    let files = files.collect::<Result<Vec<Listed>, _>>()?;
    // No disk has both.
    let paths: HashSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let folders = files.iter().flat_map(|file| Path::new(&file.path).ancestors().skip(1).filter_map(Path::to_str));
    if let Some(both) = folders.into_iter().find(|folder| paths.contains(folder)) {
        return Err(wrong(&format!("has {both:?} as a file and as a folder")));
    }
    Ok(Listing { commit, files })
}

/// Asks about one file.
pub(super) fn facts(web: &Web, id: &str, commit: &str, path: &str) -> Result<Facts, StoreError> {
    let what = format!("{id}: {path}");
    let reply = web.send(&Method::HEAD, &address(id, commit, path), 0, &what)?;
    let etag = reply.any_header("x-linked-etag").or_else(|| reply.header("etag")).and_then(names::etag);
    let etag = etag.ok_or_else(|| StoreError::Wrong(format!("{what}: the hub sends no ETag that can name it")))?;
    let own_size = reply.header("content-length").filter(|_| reply.status.is_success());
    let size = reply.any_header("x-linked-size").or(own_size).and_then(|text| text.trim().parse().ok());
    Ok(Facts { etag, size })
}

/// Asks for a file from a byte on.
pub(super) fn open(web: &Web, id: &str, commit: &str, path: &str, from: u64) -> Result<Reply, StoreError> {
    web.send(&Method::GET, &address(id, commit, path), from, &format!("{id}: {path}"))
}

fn address(id: &str, commit: &str, path: &str) -> String {
    format!("/{}/resolve/{commit}/{}", names::encoded(id), names::encoded(path))
}
