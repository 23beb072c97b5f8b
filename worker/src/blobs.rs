//! Blobs into fields: each goes to the refs that name it, or else to the field of its own name.

use std::collections::HashSet;

use bytes::Bytes;
use indexmap::IndexMap;
use millwork_protocol::asset::BLOB_SCHEME;
use millwork_protocol::metadata::{NodeMetadata, TypeMetadata};
use millwork_protocol::{Map, Value, map};

use crate::{Error, Result};

/// Puts `blobs` into `fields`. A ref to `blob://KEY`, wherever it stands, gets the bytes of that blob. A blob of a field's
/// own name makes that field a ref, and a list of them a list of refs; what a ref there already says is kept.
///
/// # Errors
/// `invalid_input` where a ref names a blob that is not there. Fields that the node does not know are not looked at.
pub(crate) fn place(fields: &mut Map, blobs: Map, metadata: &NodeMetadata) -> Result<()> {
    let property = |name: &str| metadata.properties.iter().find(|p| p.name == name).map(|p| &p.ty);
    let mut named = HashSet::new();
    for (name, value) in fields.iter_mut() {
        let is_known = metadata.is_dynamic || property(name).is_some();
        if is_known && !blobs.contains_key(name) {
            resolve(value, &blobs, &mut named).map_err(|error| error.context(format!("field `{name}`")))?;
        }
    }
    for (name, blob) in blobs {
        let ty = property(&name);
        if named.contains(&name) && ty.is_none() && !fields.contains_key(&name) {
            continue;
        }
        let value = match blob {
            Value::Nil => continue,
            Value::List(parts) => {
                let kind = media_kind(ty.and_then(|ty| ty.type_args.first()));
                Value::List(parts.into_iter().map(|part| reference(Map::new(), kind, part)).collect())
            }
            bytes => {
                // Taken from its place, which the ref then fills: the order of fields is kept.
                let known = fields.get_mut(&name).map(std::mem::take).and_then(Value::into_map).unwrap_or_default();
                reference(known, media_kind(ty), bytes)
            }
        };
        fields.insert(name, value);
    }
    Ok(())
}

/// A value with the bytes of the blobs that it names.
///
/// # Errors
/// Where it names one that is not there.
pub(crate) fn resolved(mut value: Value, blobs: &IndexMap<String, Bytes>) -> Result<Value> {
    let blobs = blobs.iter().map(|(name, bytes)| (name.clone(), Value::Bytes(bytes.clone()))).collect();
    resolve(&mut value, &blobs, &mut HashSet::new())?;
    Ok(value)
}

/// Gives every ref within `value` the bytes of the blob that it names.
fn resolve(value: &mut Value, blobs: &Map, named: &mut HashSet<String>) -> Result<()> {
    let map = match value {
        Value::List(items) => return items.iter_mut().try_for_each(|item| resolve(item, blobs, named)),
        Value::Map(map) => map,
        _ => return Ok(()),
    };
    let key = map.get("uri").and_then(Value::as_str).and_then(|uri| uri.strip_prefix(BLOB_SCHEME));
    match key.filter(|_| map.get("data").is_none_or(Value::is_nil)) {
        Some(key) => {
            let blob = blobs.get(key).ok_or_else(|| missing(key, blobs))?.clone();
            named.insert(key.to_owned());
            *value = reference(std::mem::take(map), "asset", blob);
            Ok(())
        }
        None => map.values_mut().try_for_each(|inner| resolve(inner, blobs, named)),
    }
}

fn missing(key: &str, blobs: &Map) -> Error {
    let names: Vec<&str> = blobs.keys().map(String::as_str).collect();
    let there = if names.is_empty() { "it has none".to_owned() } else { format!("there are: {}", names.join(", ")) };
    Error::invalid(format!("no blob `{key}` in this request ({there})"))
}

/// A ref with its bytes inside, as the protocol has it.
fn reference(mut known: Map, kind: &str, bytes: Value) -> Value {
    known.entry("type".to_owned()).or_insert_with(|| Value::from(kind));
    known.append(&mut map! { "uri" => "", "data" => bytes.into_bytes().unwrap_or_default() });
    Value::Map(known)
}

fn media_kind(ty: Option<&TypeMetadata>) -> &str {
    match ty.map(|ty| ty.kind.as_str()) {
        Some(kind @ ("image" | "audio" | "video" | "text" | "model_3d" | "np_array")) => kind,
        _ => "asset",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::metadata::PropertyMetadata;

    fn placed(fields: Map, blobs: Map, is_dynamic: bool) -> Result<Value> {
        let property = PropertyMetadata { name: "image".to_owned(), ty: TypeMetadata::image(), ..Default::default() };
        let metadata = NodeMetadata { properties: vec![property], is_dynamic, ..NodeMetadata::default() };
        let mut fields = fields;
        place(&mut fields, blobs, &metadata).map(|()| Value::Map(fields))
    }

    fn to(key: &str) -> Value {
        map! { "type" => "image", "uri" => format!("blob://{key}") }.into()
    }

    fn with(bytes: &'static [u8]) -> Value {
        map! { "type" => "image", "uri" => "", "data" => Value::Bytes(bytes.into()) }.into()
    }

    fn blob(bytes: &'static [u8]) -> Value {
        Value::Bytes(bytes.into())
    }

    #[test]
    fn a_ref_gets_the_blob_that_it_names_wherever_it_stands() {
        let list = Value::List(vec![to("a"), map! { "deep" => to("b") }.into(), to("a")]);
        let fields = map! { "image" => to("b"), "all" => list };
        let expected = Value::List(vec![with(b"A"), map! { "deep" => with(b"B") }.into(), with(b"A")]);
        assert_eq!(
            placed(fields, map! { "a" => blob(b"A"), "b" => blob(b"B") }, true).unwrap(),
            map! { "image" => with(b"B"), "all" => expected }.into()
        );
    }

    #[test]
    fn a_blob_of_a_fields_name_is_that_field() {
        let image = Value::from(map! { "image" => with(b"A") });
        assert_eq!(placed(Map::new(), map! { "image" => blob(b"A") }, false).unwrap(), image);
        // Also where the ref there names another one.
        let blobs = map! { "image" => blob(b"A"), "pic" => blob(b"B") };
        let Value::Map(fields) = placed(map! { "image" => to("pic") }, blobs, false).unwrap() else { panic!("a map") };
        assert_eq!(fields["image"], with(b"A"));
    }

    #[test]
    fn a_ref_to_nothing_is_an_error_that_names_what_there_is() {
        let text = |blobs: Map| placed(map! { "image" => to("pic") }, blobs, false).unwrap_err().to_string();
        assert_eq!(text(Map::new()), "field `image`: no blob `pic` in this request (it has none)");
        let some = map! { "a" => blob(b"A"), "b" => blob(b"B") };
        assert_eq!(text(some), "field `image`: no blob `pic` in this request (there are: a, b)");
        // A retired field decides nothing.
        assert!(placed(map! { "old" => to("pic") }, Map::new(), false).is_ok());
    }
}
