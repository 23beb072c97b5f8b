//! A model's `tokenizer.json`, loaded once and shared.

use std::path::Path;

use millwork_worker::models::{Loaded, Pinned};
use millwork_worker::{Context, Result};
use tokenizers::Tokenizer;

use crate::{Problem, read};

/// A byte of the file occupies about so many in memory.
const BYTES_A_BYTE: u64 = 6;

/// The tokenizer of a folder, without padding and truncation: what calls need of those they do themselves.
pub(crate) fn load(folder: &Path, cx: &Context) -> Result<Pinned<Tokenizer>> {
    let path = folder.join("tokenizer.json");
    let key = format!("tokenizer:{}", stamp(&path));
    cx.models().get_or_load(&key, &cx.cache_user(), || {
        let (tokenizer, size) = read(&path)?;
        Ok(Loaded { value: tokenizer, name: name(&path), bytes: size * BYTES_A_BYTE })
    })
}

/// The tokenizer of a file, and the file's size.
pub(crate) fn read(path: &Path) -> Result<(Tokenizer, u64), Problem> {
    let text = read::text(path)?;
    let size = text.len() as u64;
    let broken = |error: tokenizers::Error| Problem::new(path, format!("is no tokenizer that can be read: {error}"));
    let mut tokenizer = Tokenizer::from_bytes(text).map_err(broken)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(broken)?;
    Ok((tokenizer, size))
}

/// Tells a file's states apart: its path, size and time.
pub(crate) fn stamp(path: &Path) -> String {
    let metadata = path.metadata().ok();
    let size = metadata.as_ref().map_or(0, std::fs::Metadata::len);
    let time = metadata.and_then(|data| data.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok());
    format!("{}@{size}-{}", path.display(), time.unwrap_or_default().as_nanos())
}

/// `model/tokenizer.json`, as people see it among what is loaded.
fn name(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    format!("{folder}/tokenizer.json")
}
