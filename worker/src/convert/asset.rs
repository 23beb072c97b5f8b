//! Media as refs: `{type, uri, data}` with bytes from a blob, inline, a `data:` uri or a file of the workspace.

use std::io::Read;
use std::path::Path;

use base64::Engine;
use bytes::Bytes;
use millwork_protocol::asset::BLOB_SCHEME;
use millwork_protocol::metadata::TypeMetadata;
use millwork_protocol::{Map, Value};

use super::{FromWire, IntoWire, Reading, Writing, mismatch};
use crate::workspace::open_file;
use crate::{Error, Result, ResultExt};

/// Any file, with the kind of ref that it came as.
#[derive(Debug, Clone, PartialEq)]
pub struct Asset {
    /// The ref's type: `image`, `audio`, `video`, `text`, `model_3d`, `asset`.
    pub kind: String,
    /// The bytes.
    pub bytes: Bytes,
    /// The file's name, where the ref has a path.
    pub name: Option<String>,
}

impl Asset {
    /// Reads a ref, plain bytes, or a path as text; `expected` names the media in errors.
    ///
    /// # Errors
    /// Where it is none of these, is empty, or its bytes cannot be had.
    pub fn read(value: Value, expected: &str, reading: &Reading<'_>) -> Result<Self> {
        match value {
            Value::Bytes(bytes) => Ok(Self { kind: expected.to_owned(), bytes, name: None }),
            Value::Map(map) => Self::read_ref(map, expected, reading),
            Value::Str(uri) => Self::read_uri(&uri, expected, reading),
            other => Err(mismatch(&format!("{expected} (a ref with its bytes as a blob)"), &other)),
        }
    }

    fn read_ref(mut map: Map, expected: &str, reading: &Reading<'_>) -> Result<Self> {
        let kind = map.get("type").and_then(Value::as_str).unwrap_or(expected).to_owned();
        let uri = map.get("uri").and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = file_name(&uri);
        match map.shift_remove("data") {
            Some(data @ (Value::Bytes(_) | Value::Str(_))) => {
                Ok(Self { kind, bytes: data.into_bytes().unwrap_or_default(), name })
            }
            // Some hosts send the parts of a list of byte strings.
            Some(Value::List(parts)) => {
                let first = parts.into_iter().find_map(Value::into_bytes);
                first
                    .map(|bytes| Self { kind, bytes, name })
                    .ok_or_else(|| Error::invalid(format!("the {expected} ref's `data` holds no bytes")))
            }
            _ if uri.is_empty() => Err(Error::invalid(format!("the {expected} is empty: send its bytes as a blob"))),
            _ => Self::read_uri(&uri, expected, reading).map(|asset| Self { kind, ..asset }),
        }
    }

    fn read_uri(uri: &str, expected: &str, reading: &Reading<'_>) -> Result<Self> {
        let kind = expected.to_owned();
        if let Some(data) = uri.strip_prefix("data:") {
            let encoded = data.split_once(";base64,").map(|(_, encoded)| encoded);
            let encoded = encoded.ok_or_else(|| Error::invalid(format!("the {expected}'s data: uri is not base64")))?;
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(encoded)
                .invalid(format!("the {expected}'s data: uri"))?;
            return Ok(Self { kind, bytes: bytes.into(), name: None });
        }
        if let Some(key) = uri.strip_prefix(BLOB_SCHEME) {
            return Err(Error::invalid(format!(
                "the {expected} is the text {uri:?}: send a reference, {{type: \"{expected}\", uri: \"blob://{key}\"}}"
            )));
        }
        if let Some((scheme, _)) = uri.split_once("://").filter(|(scheme, _)| *scheme != "file") {
            return Err(Error::invalid(format!(
                "the {expected} is at {scheme}:// and this worker fetches nothing: send its bytes as a blob"
            )));
        }
        let path = reading.path(Path::new(uri.strip_prefix("file://").unwrap_or(uri)))?;
        let mut bytes = Vec::new();
        let read = open_file(&path).and_then(|mut file| file.read_to_end(&mut bytes));
        read.invalid(format!("cannot read {}", path.display()))?;
        Ok(Self { kind, bytes: bytes.into(), name: file_name(uri) })
    }
}

fn file_name(uri: &str) -> Option<String> {
    if uri.starts_with("data:") || uri.starts_with("blob:") {
        return None;
    }
    Path::new(uri).file_name().map(|name| name.to_string_lossy().into_owned())
}

impl FromWire for Asset {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::asset()
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        Self::read(value, "asset", reading)
    }
}

impl IntoWire for Asset {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::asset()
    }

    fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value> {
        Ok(Value::Map(writing.media(&self.kind, self.bytes)))
    }
}

macro_rules! encoded {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $metadata:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $name(pub Bytes);

        impl FromWire for $name {
            fn type_metadata() -> TypeMetadata {
                TypeMetadata::$metadata()
            }

            fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
                Asset::read(value, $kind, reading).map(|asset| Self(asset.bytes))
            }
        }

        impl IntoWire for $name {
            fn type_metadata() -> TypeMetadata {
                TypeMetadata::$metadata()
            }

            fn into_wire(self, writing: &mut Writing<'_>) -> Result<Value> {
                Ok(Value::Map(writing.media($kind, self.0)))
            }
        }
    )*};
}
encoded! {
    /// An image file as it is, undecoded.
    ImageBytes, "image", image;
    /// A sound file as it is, undecoded.
    AudioBytes, "audio", audio;
    /// A video file as it is.
    VideoBytes, "video", video;
    /// A 3D model file as it is.
    Model3dBytes, "model_3d", model_3d;
    /// A text file as it is.
    TextAsset, "text", text;
}
