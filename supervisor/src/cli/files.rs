//! Files in and out, and what their bytes are. What a node makes of them is not known here.

use std::fs::Permissions;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use millwork_protocol::Bytes;
use nix::unistd::{AccessFlags, access};

use super::failure::{Failure, Outcome};
use super::out;

/// Bytes of a file that is given to a node or a model, at most.
const MOST: u64 = 2 << 30;

/// How the names of files begin that are not whole yet. A process that is killed may leave one behind.
const TEMPORARY: &str = ".millwork-part-";

/// Reads a file, or stdin where the name is `-`.
pub(crate) fn read(path: &str) -> Result<Bytes, String> {
    if path == "-" {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Err("stdin can be given to one field only".to_owned());
        }
        let mut bytes = Vec::new();
        return std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map(|_| Bytes::from(bytes))
            .map_err(|error| format!("cannot read stdin: {error}"));
    }
    // A device has no end.
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 > MOST => Err(format!("cannot read {path}: it has more than {MOST} bytes")),
        Ok(_) => Ok(bytes.into()),
        Err(error) => Err(format!("cannot read {path}: {error}")),
    }
}

/// Whether a file can be made there: found out now, and not after hours of work.
pub(crate) fn writable(path: &Path) -> Outcome {
    if path.as_os_str() == "-" {
        return Ok(());
    }
    let cannot = |why: &str| Err(Failure::usage(format!("cannot write {}: {why}", path.display())));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.as_os_str().is_empty() {
        return Err(Failure::usage("-o is given no file").hint("-o FILE, or -o - for stdout"));
    }
    if path.is_dir() {
        return cannot("it is a folder");
    }
    if !folder.is_dir() {
        return cannot(&format!("there is no folder {}", folder.display()));
    }
    let target = if path.exists() { path } else { folder };
    access(target, AccessFlags::W_OK).or_else(|error| cannot(error.desc()))
}

/// Writes a file, or stdout where the name is `-`. A file is there whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Outcome {
    if path.as_os_str() == "-" {
        return out::write(bytes);
    }
    replace(path, bytes).map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))
}

/// Writes beside the file and renames: whoever looks, and whatever ends us, finds the old bytes or the new ones.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a link points to is written, and the link stays.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let old = std::fs::metadata(&target).ok();
    // A device or a pipe cannot be renamed over, and a link to nothing should not be.
    if old.as_ref().is_some_and(|old| !old.is_file()) || target.is_symlink() {
        return std::fs::write(&target, bytes);
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Less what the umask takes, as for any new file.
    let permissions = Permissions::from_mode(0o666);
    let temporary = tempfile::Builder::new().prefix(TEMPORARY).permissions(permissions).tempfile_in(folder);
    let mut temporary = match temporary {
        // A file may be writable in a folder that is not.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return std::fs::write(&target, bytes),
        temporary => temporary?,
    };
    if let Some(old) = old {
        temporary.as_file().set_permissions(old.permissions())?;
    }
    temporary.write_all(bytes)?;
    temporary.persist(&target).map(drop).map_err(|error| error.error)
}

/// The end of a file's name in lower case, without the point.
pub(crate) fn extension(path: &Path) -> String {
    path.extension().map(|ext| ext.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// `x.npy` as `x-NAME.npy`; stdout stays stdout.
pub(crate) fn with(path: &Path, name: &str) -> PathBuf {
    if path.as_os_str() == "-" {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|ext| format!(".{}", ext.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{}{extension}", name.replace('/', "_")))
}

/// An encoding that is recognised by its first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) name: &'static str,
    pub(crate) extensions: &'static [&'static str],
    pub(crate) is_image: bool,
}

/// How each format begins, and how it goes on at byte 8 where that tells it apart.
const FORMATS: &[(&[u8], &[u8], Format)] = &[
    (b"\x89PNG\r\n", b"", Format { name: "PNG", extensions: &["png"], is_image: true }),
    (b"\xff\xd8\xff", b"", Format { name: "JPEG", extensions: &["jpg", "jpeg", "jpe"], is_image: true }),
    (b"RIFF", b"WEBP", Format { name: "WebP", extensions: &["webp"], is_image: true }),
    (b"GIF8", b"", Format { name: "GIF", extensions: &["gif"], is_image: true }),
    (b"BM", b"", Format { name: "BMP", extensions: &["bmp"], is_image: true }),
    (b"II*\0", b"", Format { name: "TIFF", extensions: &["tif", "tiff"], is_image: true }),
    (b"MM\0*", b"", Format { name: "TIFF", extensions: &["tif", "tiff"], is_image: true }),
    (b"RIFF", b"WAVE", Format { name: "WAV", extensions: &["wav", "wave"], is_image: false }),
    (b"fLaC", b"", Format { name: "FLAC", extensions: &["flac"], is_image: false }),
    (b"OggS", b"", Format { name: "Ogg", extensions: &["ogg", "oga", "ogv"], is_image: false }),
    (b"ID3", b"", Format { name: "MP3", extensions: &["mp3"], is_image: false }),
    (b"\x1aE\xdf\xa3", b"", Format { name: "WebM", extensions: &["webm", "mkv"], is_image: false }),
    (b"glTF", b"", Format { name: "glTF", extensions: &["glb"], is_image: false }),
];

/// What the bytes are, where they say so.
pub(crate) fn format(bytes: &[u8]) -> Option<&'static Format> {
    let matches = |(head, at8, _): &&(&[u8], &[u8], Format)| {
        bytes.starts_with(head) && bytes.get(8..).is_some_and(|rest| rest.starts_with(at8))
    };
    FORMATS.iter().find(matches).map(|(_, _, format)| format)
}

/// `PNG, 512×512, 345 KiB`.
pub(crate) fn summary(bytes: &[u8]) -> String {
    let mut parts = Vec::new();
    if let Some(format) = format(bytes) {
        parts.push(format.name.to_owned());
        if let ("PNG", Some([w0, w1, w2, w3, h0, h1, h2, h3])) = (format.name, bytes.get(16..24)) {
            let (width, height) = (u32::from_be_bytes([*w0, *w1, *w2, *w3]), u32::from_be_bytes([*h0, *h1, *h2, *h3]));
            parts.push(format!("{width}×{height}"));
        }
    }
    parts.push(size(bytes.len()));
    parts.join(", ")
}

/// A number of bytes for people.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..0x10_0000 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_bytes() {
        let name = |bytes: &[u8]| format(bytes).map(|format| format.name);
        assert_eq!(name(b"RIFF\0\0\0\0WEBPVP8 "), Some("WebP"));
        assert_eq!(name(b"RIFF\0\0\0\0WAVEfmt "), Some("WAV"));
        assert_eq!(name(b"\xff\xd8\xff\xe0\0\0\0\0\0"), Some("JPEG"));
        assert_eq!(name(b"hello, world"), None);
        assert_eq!(name(b"BM"), None);
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.txt"), folder.path().join("link.txt"));
        write(&file, b"one").unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o600, 0o600);
        std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let reader = std::fs::File::open(&file).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, b"two").unwrap();
        assert_eq!((std::fs::read(&file).unwrap(), link.is_symlink()), (b"two".to_vec(), true));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        // Whoever had the old file open still has all of it.
        assert_eq!(std::io::read_to_string(reader).unwrap(), "one");
        write("/dev/null".as_ref(), b"three").unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(write(&folder.path().join("gone/a.txt"), b"x").is_err());
    }

    #[test]
    fn names_go_before_the_extension() {
        assert_eq!(with("out/frame.png".as_ref(), "0003"), Path::new("out/frame-0003.png"));
        assert_eq!(with("frame".as_ref(), "a/b"), Path::new("frame-a_b"));
        assert_eq!(with("-".as_ref(), "1"), Path::new("-"));
    }

    #[test]
    fn a_picture_is_summed_up() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\0\0\0\x01\0";
        assert_eq!(summary(png), "PNG, 512×256, 24 bytes");
        assert_eq!(size(3 << 20), "3.0 MiB");
    }
}
