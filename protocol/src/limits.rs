//! The bounds on what may travel; reading them from the environment is the caller's business.

/// The environment variable that both sides read for [`Limits::max_frame`].
pub const MAX_FRAME_ENV: &str = "NODETOOL_BRIDGE_MAX_FRAME_SIZE";
/// The environment variable for [`Limits::blob_chunk`].
pub const BLOB_CHUNK_ENV: &str = "NODETOOL_BRIDGE_BLOB_CHUNK_SIZE";
/// 256 MiB: the largest frame unless [`MAX_FRAME_ENV`] says otherwise.
pub const DEFAULT_MAX_FRAME: usize = 256 << 20;
/// 1 MiB: the size of a blob chunk unless [`BLOB_CHUNK_ENV`] says otherwise.
pub const DEFAULT_BLOB_CHUNK: usize = 1 << 20;
/// Integers beyond ±2^53 are not exact in a host that only has doubles, so they are never emitted as integers.
pub const MAX_SAFE_INTEGER: i64 = 1 << 53;

/// What a reader accepts and a writer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest payload of one frame, in bytes.
    pub max_frame: usize,
    /// Deepest nesting of maps and lists.
    pub max_depth: usize,
    /// Most values in one payload; a map entry counts for [`Limits::MAP_ENTRY_COST`].
    pub max_elements: usize,
    /// Size of one blob chunk of `chunked-v1`, in bytes.
    pub blob_chunk: usize,
}

impl Limits {
    /// What one map entry takes of [`Limits::max_elements`]: it occupies about that many times a list element.
    pub const MAP_ENTRY_COST: usize = 4;

    /// The default limits with another frame size; the chunk size is kept at or below half of it.
    #[must_use]
    pub fn with_max_frame(mut self, max_frame: usize) -> Self {
        self.max_frame = max_frame;
        self.blob_chunk = self.blob_chunk.min((max_frame / 2).max(1));
        self
    }

    /// Limits from the two environment values, where they are positive whole numbers; anything else is left at its default.
    #[must_use]
    pub fn from_values(max_frame: Option<&str>, blob_chunk: Option<&str>) -> Self {
        let positive = |text: Option<&str>| text.and_then(|t| t.trim().parse::<usize>().ok()).filter(|n| *n > 0);
        let mut limits = Self::default();
        if let Some(chunk) = positive(blob_chunk) {
            limits.blob_chunk = chunk;
        }
        // The length prefix has 32 bits.
        let max_frame = positive(max_frame).unwrap_or(limits.max_frame).min(u32::MAX as usize);
        limits.with_max_frame(max_frame)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_frame: DEFAULT_MAX_FRAME, max_depth: 128, max_elements: 4 << 20, blob_chunk: DEFAULT_BLOB_CHUNK }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_values_are_bounded_and_bad_ones_ignored() {
        assert_eq!(Limits::from_values(None, None), Limits::default());
        assert_eq!(Limits::from_values(Some("junk"), Some("-1")), Limits::default());
        let small = Limits::from_values(Some("1000"), Some("4096"));
        assert_eq!((small.max_frame, small.blob_chunk), (1000, 500));
    }
}
