//! References to files that travel beside a message or live elsewhere. Fetching and decoding them is not done here.
//!
//! | where the bytes are | `uri` | `data` |
//! | --- | --- | --- |
//! | in `blobs` under KEY | `blob://KEY` | absent |
//! | in the reference itself | empty | the bytes |
//! | somewhere else | `file://…`, `https://…` | absent |

use bytes::Bytes;

use crate::message::TypeError;
use crate::message::macros::{message, text_enum};
use crate::{Map, Value};

/// What the URI of a blob begins with.
pub const BLOB_SCHEME: &str = "blob://";

text_enum! {
    /// What sort of file a reference stands for.
    pub enum AssetKind {
        /// A picture.
        Image = "image",
        /// A sound.
        Audio = "audio",
        /// A film.
        Video = "video",
        /// Text.
        Text = "text",
        /// A 3D model.
        Model3d = "model_3d",
        /// A document: PDF and the like.
        Document = "document",
        /// A file of any sort.
        Asset = "asset",
    }
}

#[expect(clippy::derivable_impls, reason = "the variants stand inside a macro, where none can be marked")]
impl Default for AssetKind {
    fn default() -> Self {
        Self::Asset
    }
}

message! {
    /// A reference to a file.
    #[derive(Default)]
    pub struct AssetRef {
        /// The sort of file.
        pub kind: AssetKind as "type" = default,
        /// Where its bytes are; empty where `data` has them.
        pub uri: String = default,
        /// The host's own id of it.
        pub asset_id: Option<String>,
        /// Its bytes; for some hosts a text.
        pub data: Option<Value>,
        /// What its kind has to say about it: sizes, sample rates, …
        pub metadata: Option<Map>,
    }
}

impl AssetRef {
    /// A reference to the blob that travels under `key`.
    #[must_use]
    pub fn blob(kind: AssetKind, key: &str) -> Self {
        Self { kind, uri: format!("{BLOB_SCHEME}{key}"), ..Self::default() }
    }

    /// A reference that carries its bytes, as one inside a list or a map has to.
    #[must_use]
    pub fn inline(kind: AssetKind, data: Bytes) -> Self {
        Self { kind, data: Some(Value::Bytes(data)), ..Self::default() }
    }

    /// The key in `blobs` that it points to, if it does.
    #[must_use]
    pub fn blob_key(&self) -> Option<&str> {
        self.uri.strip_prefix(BLOB_SCHEME).filter(|key| !key.is_empty())
    }

    /// The bytes that it carries, without a copy.
    ///
    /// # Errors
    /// Where `data` is neither bytes nor text.
    pub fn data_bytes(&self) -> Result<Option<Bytes>, TypeError> {
        match &self.data {
            None => Ok(None),
            Some(Value::Bytes(bytes)) => Ok(Some(bytes.clone())),
            Some(Value::Str(text)) => Ok(Some(Bytes::copy_from_slice(text.as_bytes()))),
            Some(other) => Err(TypeError::new("bytes", other).under("data")),
        }
    }

    /// Whether a value looks like a reference: a map with the `type` of one, and somewhere for its bytes to be.
    #[must_use]
    pub fn is_ref(value: &Value) -> bool {
        let known = |kind| AssetKind::KNOWN.contains(&kind);
        value.get("type").and_then(Value::as_str).is_some_and(known)
            && ["uri", "data", "asset_id"].iter().any(|key| value.get(key).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map;

    #[test]
    fn a_blob_is_named_by_its_uri() {
        let image = AssetRef::blob(AssetKind::Image, "output");
        assert_eq!(image.blob_key(), Some("output"));
        assert_eq!(image.clone().into_map(), map! { "type" => "image", "uri" => "blob://output" });
        assert!(AssetRef::is_ref(&image.to_value()));
        assert_eq!(AssetRef { uri: "file:///a.png".to_owned(), ..image }.blob_key(), None);
    }

    #[test]
    fn bytes_may_travel_inside() {
        let sound = AssetRef::inline(AssetKind::Audio, Bytes::from_static(b"RIFF"));
        assert_eq!(sound.data_bytes(), Ok(Some(Bytes::from_static(b"RIFF"))));
        let wrong = AssetRef::from_map(map! { "type" => "text", "data" => 4 }).unwrap();
        assert_eq!(wrong.data_bytes().unwrap_err().to_string(), "data: expected bytes, got int");
    }

    #[test]
    fn what_a_peer_adds_is_kept() {
        let sent = map! {
            "type" => "video", "uri" => "", "asset_id" => "a1", "data" => "text",
            "metadata" => map! { "fps" => 24 }, "duration" => 2.5,
        };
        let read = AssetRef::from_map(sent.clone()).unwrap();
        assert_eq!(read.into_map(), sent);
        assert!(!AssetRef::is_ref(&map! { "type" => "int", "uri" => "" }.into()));
        assert!(!AssetRef::is_ref(&map! { "type" => "image" }.into()));
    }
}
