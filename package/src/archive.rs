//! Archives of packages, `.tar.gz`: unpacked within bounds, and nothing outside of the folder that is named; each once, into the
//! user's cache.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use crate::problem::{Kind, Problem};
use crate::read::MANIFEST;

/// The folder of the package in an archive: in the user's cache, under a name that changes with the archive.
///
/// # Errors
/// As [`unpack`], and where the cache cannot be written.
pub fn folder(archive: &Path) -> Result<PathBuf, Problem> {
    let unwritable = |error: io::Error| {
        let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Problem::new(Kind::UnreadableFile, format!("{name} cannot be unpacked: {error}")).of(name).passing()
    };
    let cache = directories::ProjectDirs::from("", "", "millwork").map(|dirs| dirs.cache_dir().join("packages"));
    let cache = cache.unwrap_or_else(|| std::env::temp_dir().join("millwork-packages"));
    let about = std::fs::metadata(archive).map_err(unwritable)?;
    let changed = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let mut hasher = DefaultHasher::new();
    (archive, about.len(), changed).hash(&mut hasher);
    let place = cache.join(format!("{:016x}", hasher.finish()));
    if !place.is_dir() {
        std::fs::create_dir_all(&cache).map_err(unwritable)?;
        let fresh = tempfile::tempdir_in(&cache).map_err(unwritable)?;
        unpack(archive, fresh.path(), Limits::default())?;
        // Another process may have been as fast.
        let renamed = std::fs::rename(fresh.path(), &place);
        if !place.is_dir() {
            renamed.map_err(unwritable)?;
        }
    }
    Ok(top(&place).unwrap_or(place))
}

/// How much an archive may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files and folders.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 4 << 30, entries: 100_000 }
    }
}

/// Unpacks an archive into a folder that is there and empty, and says where in it the package is: at its top, or in its only
/// folder.
///
/// # Errors
/// [`Kind::InvalidArchive`] for what is none, or holds links, devices or paths that lead out; [`Kind::TooLarge`] over a limit;
/// [`Kind::UnreadableFile`]. What was unpacked by then stays for the caller to remove.
pub fn unpack(archive: &Path, into: &Path, limits: Limits) -> Result<PathBuf, Problem> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let problem =
        |kind, text: String| Problem::new(kind, format!("{name}: {text}")).of(name.clone()).at(name.clone(), None);
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::PermissionDenied => {
            problem(Kind::UnreadableFile, error.to_string())
        }
        _ => problem(
            Kind::InvalidArchive,
            format!("this is no .tar.gz, and archives of other sorts are not read: {error}"),
        ),
    };
    // Opening a named pipe would wait for whoever writes to it.
    if !std::fs::metadata(archive).is_ok_and(|about| about.is_file()) {
        return Err(problem(Kind::UnreadableFile, "not a file".to_owned()));
    }
    let file = File::open(archive).map_err(|error| problem(Kind::UnreadableFile, error.to_string()))?;
    let too_large = |what: String| problem(Kind::TooLarge, format!("it holds more than {what}"));
    let mut left = limits.bytes;
    // Headers count too, and a stream of zeros that never ends.
    let stream = GzDecoder::new(io::BufReader::new(file)).take(limits.bytes.saturating_add(1 << 30));
    let mut archive = Archive::new(stream);
    for (index, entry) in archive.entries().map_err(broken)?.enumerate() {
        let mut entry = entry.map_err(broken)?;
        if index >= limits.entries {
            return Err(too_large(format!("{} files", limits.entries)));
        }
        let path = entry.path().map_err(broken)?.into_owned();
        if path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(problem(Kind::InvalidArchive, format!("{} leads out of the package", path.display())));
        }
        let target = into.join(&path);
        match entry.header().entry_type() {
            EntryType::Directory => std::fs::create_dir_all(&target).map_err(broken)?,
            EntryType::Regular | EntryType::Continuous => {
                left = left.checked_sub(entry.size()).ok_or_else(|| too_large(format!("{} bytes", limits.bytes)))?;
                if let Some(folder) = target.parent() {
                    std::fs::create_dir_all(folder).map_err(broken)?;
                }
                let mut out = File::create_new(&target).map_err(broken)?;
                io::copy(&mut entry, &mut out).map_err(broken)?;
                keep_executable(&entry, &out).map_err(broken)?;
            }
            EntryType::XGlobalHeader | EntryType::XHeader | EntryType::GNULongName | EntryType::GNULongLink => {}
            _ => {
                let text = format!("{} is a link or a device; a package has files and folders", path.display());
                return Err(problem(Kind::InvalidArchive, text));
            }
        }
    }
    top(into).ok_or_else(|| problem(Kind::InvalidArchive, format!("there is no {MANIFEST} in it")))
}

#[cfg(unix)]
fn keep_executable<R: Read>(entry: &tar::Entry<'_, R>, file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if entry.header().mode()? & 0o100 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_executable<R: Read>(_: &tar::Entry<'_, R>, _: &File) -> io::Result<()> {
    Ok(())
}

fn top(folder: &Path) -> Option<PathBuf> {
    if folder.join(MANIFEST).is_file() {
        return Some(folder.to_owned());
    }
    let mut inside = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    match (inside.next(), inside.next()) {
        (Some(only), None) if only.join(MANIFEST).is_file() => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn archive(files: &[(&str, &[u8])], link: Option<&str>) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, data) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_mode(0o755);
            // `append_data` itself refuses paths that lead out.
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            tar.append(&header, *data).unwrap();
        }
        if let Some(target) = link {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, "link", target).unwrap();
        }
        file.write_all(&tar.into_inner().unwrap().finish().unwrap()).unwrap();
        file
    }

    fn unpacked(archive: &Path, limits: Limits) -> Result<PathBuf, Problem> {
        let folder = tempfile::tempdir().unwrap();
        unpack(archive, folder.path(), limits).map(|top| top.strip_prefix(folder.path()).unwrap().to_owned())
    }

    #[test]
    fn packages_are_found_at_the_top_or_one_folder_down() {
        let all = Limits::default();
        assert_eq!(unpacked(archive(&[("package.toml", b"")], None).path(), all), Ok(PathBuf::new()));
        assert_eq!(unpacked(archive(&[("a/package.toml", b""), ("a/b/c", b"x")], None).path(), all), Ok("a".into()));
        let error = unpacked(archive(&[("a/b/package.toml", b"")], None).path(), all).unwrap_err();
        assert!(error.text.contains("no package.toml"), "{error}");
    }

    #[test]
    fn what_is_hostile_is_refused() {
        let refused = |archive: &Path, limits| unpacked(archive, limits).unwrap_err();
        let all = Limits::default();
        for path in ["../x", "/x", "a/../../x"] {
            assert_eq!(refused(archive(&[(path, b"")], None).path(), all).kind, Kind::InvalidArchive, "{path}");
        }
        assert_eq!(refused(archive(&[], Some("/etc")).path(), all).kind, Kind::InvalidArchive);
        let large = archive(&[("package.toml", b""), ("x", &[0; 5000])], None);
        assert_eq!(refused(large.path(), Limits { bytes: 4999, ..all }).kind, Kind::TooLarge);
        assert_eq!(refused(large.path(), Limits { entries: 1, ..all }).kind, Kind::TooLarge);
        let text = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(text.path(), "no archive").unwrap();
        assert_eq!(refused(text.path(), all).kind, Kind::InvalidArchive);
    }
}
