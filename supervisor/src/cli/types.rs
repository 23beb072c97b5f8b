//! What people read and write for a type: its name, whether it is needed, an example of it.

use millwork_protocol::metadata::{PropertyMetadata, TypeMetadata};

use super::show::plain;

/// The type's name as this protocol spells it; peers in Python name some types after their classes.
pub(crate) fn kind(ty: &TypeMetadata) -> &str {
    match ty.kind.as_str() {
        "ImageRef" => "image",
        "AudioRef" => "audio",
        "VideoRef" => "video",
        "TextRef" => "text",
        "Model3DRef" => "model_3d",
        "AssetRef" => "asset",
        "DocumentRef" => "document",
        "NPArray" | "tensor" | "torch_tensor" => "np_array",
        "Any" => "any",
        kind => kind,
    }
}

/// Whether its values are files of bytes.
pub(crate) fn is_media(ty: &TypeMetadata) -> bool {
    matches!(kind(ty), "image" | "audio" | "video" | "text" | "model_3d" | "asset" | "document")
}

/// Whether a file of any sort can be its value, or one of its values, and nothing else can.
pub(crate) fn takes_file(ty: &TypeMetadata) -> bool {
    match kind(ty) {
        "bytes" | "np_array" => true,
        "list" => !ty.type_args.is_empty() && takes_file(&element(ty)),
        _ => is_media(ty),
    }
}

/// The type of a list's elements.
pub(crate) fn element(ty: &TypeMetadata) -> TypeMetadata {
    ty.type_args.first().cloned().unwrap_or_else(TypeMetadata::any)
}

/// Whether a call without this field cannot work. Peers in Python leave out a default that is None, and their types say so.
pub(crate) fn is_required(property: &PropertyMetadata) -> bool {
    let may_be_none = ["None", "Optional", "Union"].iter().any(|word| property.ty.kind.contains(word));
    property.default.is_none() && !property.ty.optional && !may_be_none && kind(&property.ty) != "any"
}

/// `list[image]`, `nearest | bilinear`, `float or nothing`.
pub(crate) fn text(ty: &TypeMetadata) -> String {
    let inside = |separator: &str| ty.type_args.iter().map(text).collect::<Vec<_>>().join(separator);
    let name = match kind(ty) {
        "enum" if !ty.values.is_empty() => ty.values.iter().map(plain).collect::<Vec<_>>().join(" | "),
        "union" if !ty.type_args.is_empty() => inside(" | "),
        kind if ty.type_args.is_empty() => kind.to_owned(),
        kind => format!("{kind}[{}]", inside(", ")),
    };
    if ty.optional { format!("{name} or nothing") } else { name }
}

/// What to write behind `field=` in an example, quoted for a shell.
pub(crate) fn placeholder(ty: &TypeMetadata) -> String {
    match kind(ty) {
        "list" if is_media(&element(ty)) => placeholder(&element(ty)),
        "list" | "tuple" => format!("'{}'", json(ty)),
        "dict" => "'{}'".to_owned(),
        "union" => {
            let rank = |ty: &&TypeMetadata| ["float", "int"].iter().position(|name| *name == kind(ty)).unwrap_or(2);
            ty.type_args.iter().min_by_key(rank).map_or_else(|| "value".to_owned(), placeholder)
        }
        "image" => "photo.png".to_owned(),
        "audio" => "sound.wav".to_owned(),
        "video" => "film.mp4".to_owned(),
        "np_array" => "tensor.npy".to_owned(),
        "str" => "text".to_owned(),
        "int" => "1".to_owned(),
        "float" => "1.0".to_owned(),
        "bool" => "true".to_owned(),
        "enum" => ty.values.first().map_or_else(|| "value".to_owned(), plain),
        _ if is_media(ty) => "FILE".to_owned(),
        _ => "value".to_owned(),
    }
}

/// An example inside of a list.
fn json(ty: &TypeMetadata) -> String {
    match kind(ty) {
        "list" | "tuple" if kind(&element(ty)) == "np_array" => r#"["a.npy", "b.npy"]"#.to_owned(),
        "list" | "tuple" => format!("[{}]", json(&element(ty))),
        "int" | "float" | "bool" => placeholder(ty),
        "dict" => "{}".to_owned(),
        _ => "\"a\"".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::Value;

    #[test]
    fn types_as_people_read_them() {
        assert_eq!(text(&TypeMetadata::list_of(TypeMetadata::image())), "list[image]");
        assert_eq!(text(&TypeMetadata::enum_of("Mode", ["a", "b"]).optional()), "a | b or nothing");
        assert_eq!(text(&TypeMetadata::union_of([TypeMetadata::int(), TypeMetadata::str()])), "int | str");
        assert_eq!(text(&TypeMetadata::new("ImageRef")), "image");
    }

    #[test]
    fn a_default_or_an_optional_type_makes_a_field_free() {
        let property = |ty| PropertyMetadata { ty, ..PropertyMetadata::default() };
        assert!(is_required(&property(TypeMetadata::image())));
        assert!(!is_required(&property(TypeMetadata::image().optional())));
        assert!(!is_required(&property(TypeMetadata::new("Optional[str, NoneType]"))));
        let with_default = PropertyMetadata { default: Some(Value::Int(1)), ..property(TypeMetadata::int()) };
        assert!(!is_required(&with_default));
    }

    #[test]
    fn examples_are_what_the_type_takes() {
        let number = TypeMetadata::union_of([TypeMetadata::np_array(), TypeMetadata::float()]);
        for (ty, example) in [
            (TypeMetadata::list_of(TypeMetadata::any()), r#"'["a"]'"#),
            (TypeMetadata::list_of(TypeMetadata::np_array()), r#"'["a.npy", "b.npy"]'"#),
            (TypeMetadata::list_of(TypeMetadata::list_of(TypeMetadata::float())), "'[[1.0]]'"),
            (TypeMetadata::list_of(TypeMetadata::audio()), "sound.wav"),
            (number, "1.0"),
        ] {
            assert_eq!(placeholder(&ty), example);
        }
    }
}
