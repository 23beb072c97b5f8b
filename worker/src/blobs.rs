//! Blobs into fields: a blob sent for a field becomes a ref of the field's media type with the bytes inside.

use millwork_protocol::metadata::{NodeMetadata, TypeMetadata};
use millwork_protocol::{Map, Value, map};

/// Puts `blobs` into `fields`; a list of byte strings becomes a list of refs. What a ref already says is kept.
pub(crate) fn place(fields: &mut Map, blobs: Map, metadata: &NodeMetadata) {
    for (name, blob) in blobs {
        let ty = metadata.properties.iter().find(|p| p.name == name).map(|p| &p.ty);
        let value = match blob {
            Value::Nil => continue,
            Value::List(parts) => {
                let kind = media_kind(ty.and_then(|ty| ty.type_args.first()));
                Value::List(parts.into_iter().map(|part| reference(Map::new(), kind, &name, part)).collect())
            }
            bytes => {
                // Taken from its place, which the ref then fills: the order of fields is kept.
                let known = fields.get_mut(&name).map(std::mem::take).and_then(Value::into_map).unwrap_or_default();
                reference(known, media_kind(ty), &name, bytes)
            }
        };
        fields.insert(name, value);
    }
}

fn reference(mut known: Map, kind: &str, name: &str, bytes: Value) -> Value {
    known.entry("type".to_owned()).or_insert_with(|| Value::from(kind));
    let mut placed = map! { "uri" => format!("blob://{name}"), "data" => bytes.into_bytes().unwrap_or_default() };
    known.append(&mut placed);
    Value::Map(known)
}

fn media_kind(ty: Option<&TypeMetadata>) -> &str {
    match ty.map(|ty| ty.kind.as_str()) {
        Some(kind @ ("image" | "audio" | "video" | "text" | "model_3d" | "np_array")) => kind,
        _ => "asset",
    }
}
