//! Which files hold what: a picture is not written as `.txt`, nor a tensor as `.png`. Names only; no bytes are looked at.

use millwork_protocol::metadata::TypeMetadata;

use super::types;

/// What is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Picture,
    Sound,
    Film,
    Model,
    Tensor,
    Text,
    /// A number, a list, a map, a table.
    Value,
    /// Bytes of any sort, or a type that does not say.
    Any,
}

/// What the ends of file names promise, for those that promise something.
const EXTENSIONS: &[(Content, &[&str])] = &[
    (
        Content::Picture,
        &["png", "jpg", "jpeg", "jpe", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "jxl", "ico", "ppm", "psd"],
    ),
    (Content::Sound, &["wav", "wave", "flac", "ogg", "oga", "mp3", "m4a", "aac", "opus", "aiff"]),
    (Content::Film, &["mp4", "webm", "mkv", "mov", "ogv", "avi"]),
    (Content::Model, &["glb", "gltf", "obj", "stl", "ply"]),
    (Content::Tensor, &["npy"]),
    (Content::Text, &["txt", "md", "log", "csv", "tsv", "html", "htm", "xml", "svg", "yaml", "yml", "toml", "wgsl"]),
    (Content::Value, &["json"]),
    // Nothing here can make one.
    (Content::Any, &["npz", "pdf", "zip", "gz", "onnx", "pt", "safetensors", "parquet", "docx", "xlsx"]),
];

impl Content {
    /// What a slot of this type gives; a list or a map of tensors or media is what its elements are.
    pub(crate) fn of(ty: &TypeMetadata) -> Self {
        match types::kind(ty) {
            "image" => Self::Picture,
            "audio" => Self::Sound,
            "video" => Self::Film,
            "model_3d" => Self::Model,
            "np_array" => Self::Tensor,
            "str" | "text" | "enum" => Self::Text,
            "int" | "float" | "bool" | "dataframe" => Self::Value,
            "list" | "dict" | "tuple" => match ty.type_args.last().map_or(Self::Any, Self::of) {
                Self::Text => Self::Value,
                inner => inner,
            },
            _ => Self::Any,
        }
    }

    /// Whether a file with this extension may hold it. An extension that promises nothing may hold anything.
    pub(crate) fn fits(self, extension: &str) -> bool {
        match (self, promise(extension)) {
            (_, None) | (Self::Any, _) => true,
            (Self::Tensor | Self::Text, Some(Self::Value)) => true,
            (Self::Value, Some(Self::Text)) => matches!(extension, "txt" | "md" | "log"),
            (content, Some(promised)) => content == promised,
        }
    }

    /// The same where the extension alone says the format: then one that promises nothing is a slip of the pen. Text may be
    /// anything.
    pub(crate) fn is_written_as(self, extension: &str) -> bool {
        self.fits(extension) && (matches!(self, Self::Any | Self::Text | Self::Value) || is_promise(extension))
    }

    /// What it is called, and the extension that suits it.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Picture => ("a picture", "png"),
            Self::Sound => ("a sound", "wav"),
            Self::Film => ("a film", "mp4"),
            Self::Model => ("a 3D model", "glb"),
            Self::Tensor => ("a tensor", "npy"),
            Self::Text => ("text", "txt"),
            Self::Value => ("a value", "json"),
            Self::Any => ("bytes", "bin"),
        }
    }
}

fn promise(extension: &str) -> Option<Content> {
    EXTENSIONS.iter().find(|(_, known)| known.contains(&extension)).map(|(content, _)| *content)
}

/// Whether a file with this extension is expected to hold something certain.
pub(crate) fn is_promise(extension: &str) -> bool {
    promise(extension).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_must_fit_what_they_hold() {
        for (content, good, bad) in [
            (Content::Picture, ["png", "gif", "", "bin"], ["npy", "txt", "json", "wav"]),
            (Content::Sound, ["wav", "mp3", "", "raw"], ["npy", "png", "json", "txt"]),
            (Content::Tensor, ["npy", "json", "", "bin"], ["png", "txt", "wav", "npz"]),
            (Content::Text, ["txt", "json", "html", "rs"], ["png", "npy", "mp3", "pdf"]),
            (Content::Value, ["json", "txt", "", "out"], ["csv", "npy", "png", "yaml"]),
        ] {
            assert!(good.iter().all(|extension| content.fits(extension)), "{content:?}");
            assert!(!bad.iter().any(|extension| content.fits(extension)), "{content:?}");
        }
        assert!(Content::Any.fits("npz"));
        assert!(Content::Picture.is_written_as("webp") && !Content::Picture.is_written_as("xyz"));
        assert!(Content::Text.is_written_as("srt"));
    }

    #[test]
    fn lists_of_tensors_are_tensors_and_lists_of_texts_are_values() {
        assert_eq!(Content::of(&TypeMetadata::list_of(TypeMetadata::np_array())), Content::Tensor);
        assert_eq!(Content::of(&TypeMetadata::list_of(TypeMetadata::str())), Content::Value);
        assert_eq!(Content::of(&TypeMetadata::list()), Content::Any);
    }
}
