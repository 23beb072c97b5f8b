//! Blobs that come in chunks, before their result: put together again. Without this a result could not be larger than a frame.

use millwork_protocol::message::{BlobChunk, BlobEnd, BlobStart};
use millwork_protocol::{Bytes, Map, Value};

use super::failure::{Failure, Outcome};

/// What `blob_transfer` in a request asks for.
pub(crate) const CHUNKED: &str = "chunked-v1";

/// The blobs of one request.
#[derive(Debug, Default)]
pub(crate) struct Transfer {
    open: Option<(String, Vec<u8>)>,
    blobs: Map,
}

impl Transfer {
    /// Takes one frame; other messages than those of a transfer are none of its business.
    pub(crate) fn take(&mut self, kind: &str, data: Map) -> Outcome {
        let done = match kind {
            "blob.start" => BlobStart::from_map(data).ok().map(|start| self.open = Some((start.name, Vec::new()))),
            "blob.chunk" => BlobChunk::from_map(data).ok().and_then(|chunk| self.chunk(&chunk)),
            "blob.end" => BlobEnd::from_map(data).ok().and_then(|end| self.end(&end)),
            _ => Some(()),
        };
        done.ok_or_else(|| Failure::failed(format!("the worker's {kind} does not fit what came before it")))
    }

    fn chunk(&mut self, chunk: &BlobChunk) -> Option<()> {
        let (_, bytes) = self.open.as_mut().filter(|(name, _)| *name == chunk.name)?;
        (bytes.len() as u64 == chunk.offset).then(|| bytes.extend_from_slice(&chunk.bytes))
    }

    fn end(&mut self, end: &BlobEnd) -> Option<()> {
        let (name, bytes) =
            self.open.take().filter(|(name, bytes)| *name == end.name && bytes.len() as u64 == end.size)?;
        self.blobs.insert(name, Value::Bytes(Bytes::from(bytes)));
        Some(())
    }

    /// Puts the blobs where a result without chunks has them.
    pub(crate) fn into_result(mut self, mut result: Map) -> Map {
        if let Some(Value::Map(blobs)) = result.get_mut("blobs") {
            blobs.append(&mut self.blobs);
        } else if !self.blobs.is_empty() {
            result.insert("blobs".to_owned(), self.blobs.into());
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::map;

    fn chunk(offset: u64, bytes: &'static [u8]) -> Map {
        map! { "name" => "a", "offset" => offset, "bytes" => Bytes::from_static(bytes) }
    }

    #[test]
    fn chunks_become_a_blob_of_the_result() {
        let mut transfer = Transfer::default();
        transfer.take("blob.start", map! { "name" => "a", "size" => 5 }).unwrap();
        transfer.take("blob.chunk", chunk(0, b"hel")).unwrap();
        transfer.take("acme.other", Map::new()).unwrap();
        transfer.take("blob.chunk", chunk(3, b"lo")).unwrap();
        transfer.take("blob.end", map! { "name" => "a", "size" => 5, "sha256" => "" }).unwrap();
        let result = transfer.into_result(map! { "outputs" => Map::new(), "blobs" => Map::new() });
        assert_eq!(result["blobs"].get("a").and_then(Value::as_bytes), Some(&b"hello"[..]));
    }

    #[test]
    fn a_gap_is_an_error() {
        let mut transfer = Transfer::default();
        assert!(transfer.take("blob.chunk", chunk(0, b"hel")).is_err());
        transfer.take("blob.start", map! { "name" => "a", "size" => 5 }).unwrap();
        assert!(transfer.take("blob.chunk", chunk(1, b"ello")).is_err());
        assert!(transfer.take("blob.end", map! { "name" => "a", "size" => 5, "sha256" => "" }).is_err());
    }
}
