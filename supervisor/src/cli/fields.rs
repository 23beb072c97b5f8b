//! `field=value` as the node's declared types want it. Files are read here; nothing is sent.

use millwork_protocol::metadata::{NodeMetadata, PropertyMetadata, TypeMetadata};
use millwork_protocol::{Bytes, Map, Value};
use serde_json::Value as Json;

use super::failure::{Failure, Outcome};
use super::npy::Tensor;
use super::{files, suggest, types};

/// What an `execute` carries.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Inputs {
    pub(crate) fields: Map,
    pub(crate) blobs: Map,
}

impl Inputs {
    /// Whether a field is given, as a value or as bytes.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name) || self.blobs.contains_key(name)
    }

    /// These, and those of `other` over them.
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.fields.extend(other.fields);
        self.blobs.extend(other.blobs);
        self
    }
}

/// One value, as a field or as bytes beside the fields.
#[derive(Debug, Clone, PartialEq)]
enum Given {
    Value(Value),
    Blob(Bytes),
    Blobs(Vec<Bytes>),
}

/// Reads every `field=value` for this node, and sees that nothing it needs is missing.
pub(crate) fn collect(node: &NodeMetadata, pairs: &[String]) -> Outcome<Inputs> {
    let inputs = read(node, pairs)?;
    check(node, |name| inputs.has(name)).map(|()| inputs)
}

/// Sees that nothing the node needs is missing.
pub(crate) fn check(node: &NodeMetadata, is_given: impl Fn(&str) -> bool) -> Outcome {
    let missing = node.properties.iter().find(|property| types::is_required(property) && !is_given(&property.name));
    missing.map_or(Ok(()), |property| Err(needs(node, property)))
}

/// Reads every `field=value` for this node; others may still come.
pub(crate) fn read(node: &NodeMetadata, pairs: &[String]) -> Outcome<Inputs> {
    let mut given: Vec<(&str, Vec<&str>)> = Vec::new();
    for pair in pairs {
        let (name, text) = pair.split_once('=').ok_or_else(|| {
            Failure::usage(format!("expected field=value, got {pair:?}")).hint(format!(
                "the fields of {0} are {1}",
                node.node_type,
                names(node)
            ))
        })?;
        match given.iter_mut().find(|(known, _)| *known == name) {
            Some((_, texts)) => texts.push(text),
            None => given.push((name, vec![text])),
        }
    }
    let mut inputs = Inputs::default();
    for (name, texts) in &given {
        let ty = known(node, name)?;
        let bad = |text: String| {
            Failure::usage(format!("field {name} of {} takes {}: {text}", node.node_type, types::text(&ty)))
        };
        match parse_all(&ty, texts).map_err(bad)? {
            Given::Value(value) => inputs.fields.insert((*name).to_owned(), value),
            Given::Blob(bytes) => inputs.blobs.insert((*name).to_owned(), Value::Bytes(bytes)),
            Given::Blobs(all) => inputs.blobs.insert((*name).to_owned(), all.into()),
        };
    }
    Ok(inputs)
}

/// The type of a field; anything, where the node takes other fields too.
pub(crate) fn known(node: &NodeMetadata, name: &str) -> Outcome<TypeMetadata> {
    match node.properties.iter().find(|property| property.name == name) {
        Some(property) => Ok(property.ty.clone()),
        None if node.is_dynamic => Ok(TypeMetadata::any()),
        None => Err(unknown(node, name)),
    }
}

pub(crate) fn names(node: &NodeMetadata) -> String {
    let names: Vec<&str> = node.properties.iter().map(|property| property.name.as_str()).collect();
    names.join(", ")
}

fn unknown(node: &NodeMetadata, name: &str) -> Failure {
    let known = node.properties.iter().map(|property| property.name.as_str());
    let failure = Failure::usage(format!("{} has no field {name}{}", node.node_type, suggest::phrase(name, known)));
    failure.hint(format!("its fields are {}", names(node)))
}

fn needs(node: &NodeMetadata, property: &PropertyMetadata) -> Failure {
    let (name, ty) = (&property.name, types::text(&property.ty));
    Failure::usage(format!("{} needs the field {name} ({ty})", node.node_type))
        .hint(format!("add {name}={}", types::placeholder(&property.ty)))
}

/// A field that is given twice is a list of two.
fn parse_all(ty: &TypeMetadata, texts: &[&str]) -> Result<Given, String> {
    match texts {
        [text] => parse(ty, text),
        _ if types::kind(ty) == "list" => {
            let element = types::element(ty);
            texts.iter().map(|text| parse(&element, text)).collect::<Result<Vec<_>, _>>().and_then(list)
        }
        _ => Err(format!("it is given {} times, and takes one value", texts.len())),
    }
}

fn parse(ty: &TypeMetadata, text: &str) -> Result<Given, String> {
    if ty.optional && matches!(text, "null" | "nil") {
        return Ok(Given::Value(Value::Nil));
    }
    let value = match types::kind(ty) {
        "image" | "audio" | "video" | "model_3d" | "asset" | "document" => return blob(text),
        "text" => return Ok(Given::Blob(from_at(text)?.unwrap_or_else(|| Bytes::copy_from_slice(text.as_bytes())))),
        "bytes" => Value::Bytes(files::read(text.strip_prefix('@').unwrap_or(text))?),
        "np_array" => tensor(text)?,
        "any" => return anything(text),
        "union" => return union(ty, text),
        "str" => Value::Str(plain_or_file(text)?),
        kind => {
            let text = plain_or_file(text)?;
            let text = text.trim();
            match kind {
                "int" => whole(text)?,
                "float" => text.parse::<f64>().map(Value::Float).map_err(|_| format!("{text:?} is no number"))?,
                "bool" => boolean(text)?,
                "enum" => one_of(ty, text)?,
                "list" | "tuple" | "set" => return elements(ty, text),
                "dict" => return from_json(ty, json(text)?),
                // A type of the package's own: JSON where it is some, text where it is not.
                _ => serde_json::from_str::<Json>(text).map_or_else(|_| Value::from(text), Value::from),
            }
        }
    };
    Ok(Given::Value(value))
}

/// The bytes of `@file`; nothing where the text means itself.
fn from_at(text: &str) -> Result<Option<Bytes>, String> {
    match text.strip_prefix('@') {
        Some(rest) if !rest.starts_with('@') => files::read(rest).map(Some),
        _ => Ok(None),
    }
}

/// The text itself, or that of `@file`; `@@` stands for one `@`.
fn plain_or_file(text: &str) -> Result<String, String> {
    match from_at(text)? {
        Some(bytes) => {
            String::from_utf8(bytes.to_vec()).map_err(|_| format!("{} is no text", text.trim_start_matches('@')))
        }
        None => Ok(text.strip_prefix('@').unwrap_or(text).to_owned()),
    }
}

fn blob(text: &str) -> Result<Given, String> {
    files::read(text.strip_prefix('@').unwrap_or(text)).map(Given::Blob)
}

fn whole(text: &str) -> Result<Value, String> {
    let float = || text.parse::<f64>().ok().and_then(|number| Value::Float(number).as_i64());
    let number = text.parse::<i64>().ok().or_else(float).ok_or_else(|| format!("{text:?} is no whole number"))?;
    Ok(Value::Int(number))
}

fn boolean(text: &str) -> Result<Value, String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(Value::Bool(true)),
        "false" | "no" | "off" | "0" => Ok(Value::Bool(false)),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

fn one_of(ty: &TypeMetadata, text: &str) -> Result<Value, String> {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_json().to_string(), str::to_owned);
    let found = ty
        .values
        .iter()
        .find(|v| shown(v) == text)
        .or_else(|| ty.values.iter().find(|value| shown(value).eq_ignore_ascii_case(text)));
    found.cloned().ok_or_else(|| {
        let known: Vec<String> = ty.values.iter().map(shown).collect();
        format!("{text:?} is none of them{}", suggest::phrase(text, known.iter().map(String::as_str)))
    })
}

fn json(text: &str) -> Result<Json, String> {
    serde_json::from_str(text).map_err(|error| format!("{text:?} is no JSON ({error})"))
}

/// A JSON list, or plain values with commas between them.
fn elements(ty: &TypeMetadata, text: &str) -> Result<Given, String> {
    if text.starts_with('[') {
        return from_json(ty, json(text)?);
    }
    let element = types::element(ty);
    if types::is_media(&element) {
        return list(vec![parse(&element, text)?]);
    }
    let parts = text.split(',').map(str::trim).filter(|_| !text.is_empty());
    parts.map(|part| parse(&element, part)).collect::<Result<Vec<_>, _>>().and_then(list)
}

/// A list of values, or of bytes.
fn list(items: Vec<Given>) -> Result<Given, String> {
    let (mut values, mut blobs) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Given::Value(value) => values.push(value),
            Given::Blob(bytes) => blobs.push(bytes),
            Given::Blobs(_) => return Err("files in lists of lists cannot be sent".to_owned()),
        }
    }
    match (values.is_empty(), blobs.is_empty()) {
        (_, true) => Ok(Given::Value(Value::List(values))),
        (true, false) => Ok(Given::Blobs(blobs)),
        (false, false) => Err("files and other values in one list cannot be sent".to_owned()),
    }
}

/// A JSON value for a type; texts in it are read as if they stood alone, so that a list of paths works.
fn from_json(ty: &TypeMetadata, json: Json) -> Result<Given, String> {
    match (types::kind(ty), json) {
        ("any", json) => Ok(Given::Value(Value::from(json))),
        ("str", Json::String(text)) => Ok(Given::Value(Value::Str(text))),
        ("str", other) => Err(format!("{other} is no text")),
        ("list" | "tuple" | "set", Json::Array(items)) => {
            let element = types::element(ty);
            items.into_iter().map(|item| from_json(&element, item)).collect::<Result<Vec<_>, _>>().and_then(list)
        }
        ("dict", Json::Object(entries)) => {
            let inner = ty.type_args.get(1).cloned().unwrap_or_else(TypeMetadata::any);
            let read = |(key, json): (String, Json)| match from_json(&inner, json)? {
                Given::Value(value) => Ok((key, value)),
                _ => Err(format!("{key}: files in maps cannot be sent")),
            };
            entries.into_iter().map(read).collect::<Result<Map, String>>().map(|map| Given::Value(Value::Map(map)))
        }
        (_, Json::Null) if ty.optional => Ok(Given::Value(Value::Nil)),
        (_, Json::String(text)) => parse(ty, &text),
        ("int" | "float" | "bool" | "enum", json) => parse(ty, &json.to_string()),
        ("dict" | "list" | "tuple" | "set", other) => Err(format!("{other} is something else")),
        (_, other) => Ok(Given::Value(Value::from(other))),
    }
}

/// A `.npy` file, or nested JSON lists of numbers.
fn tensor(text: &str) -> Result<Value, String> {
    let path = text.strip_prefix('@').unwrap_or(text);
    if text.trim_start().starts_with('[') {
        return Tensor::from_json(&json(text)?).map(|tensor| Value::Map(tensor.to_map()));
    }
    let tensor = Tensor::from_npy(&files::read(path)?).map_err(|error| format!("{path}: {error}"))?;
    Ok(Value::Map(tensor.to_map()))
}

/// JSON where it is some, else text; `@file` by its extension: JSON, a tensor, text, or bytes.
fn anything(text: &str) -> Result<Given, String> {
    if let Some(bytes) = from_at(text)? {
        let name = text.trim_start_matches('@');
        return match files::extension(name.as_ref()).as_str() {
            "npy" => tensor(name).map(Given::Value),
            "json" => plain_or_file(text).and_then(|text| json(&text)).map(|json| Given::Value(Value::from(json))),
            "txt" | "md" | "csv" => plain_or_file(text).map(|text| Given::Value(Value::Str(text))),
            _ => Ok(Given::Blob(bytes)),
        };
    }
    let text = plain_or_file(text)?;
    Ok(Given::Value(serde_json::from_str::<Json>(&text).map_or(Value::Str(text), Value::from)))
}

/// The first of its types that takes the text; text itself last.
fn union(ty: &TypeMetadata, text: &str) -> Result<Given, String> {
    let rank = |ty: &TypeMetadata| match types::kind(ty) {
        "str" => 2,
        "any" => 1,
        _ => 0,
    };
    let mut types: Vec<&TypeMetadata> = ty.type_args.iter().collect();
    types.sort_by_key(|ty| rank(ty));
    if types.is_empty() {
        return anything(text);
    }
    types.into_iter().find_map(|ty| parse(ty, text).ok()).ok_or_else(|| format!("{text:?} is none of these"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::map;

    fn value(ty: &TypeMetadata, text: &str) -> Value {
        match parse(ty, text).unwrap() {
            Given::Value(value) => value,
            Given::Blob(bytes) => Value::Bytes(bytes),
            Given::Blobs(all) => all.into(),
        }
    }

    fn node() -> NodeMetadata {
        let property = |name: &str, ty, default: Option<Value>| PropertyMetadata {
            name: name.to_owned(),
            ty,
            default,
            ..PropertyMetadata::default()
        };
        NodeMetadata {
            node_type: "acme.Blur".to_owned(),
            properties: vec![
                property("image", TypeMetadata::image(), None),
                property("sigma", TypeMetadata::float(), Some(Value::Float(2.0))),
                property("sizes", TypeMetadata::list_of(TypeMetadata::int()), Some(Value::List(vec![]))),
            ],
            ..NodeMetadata::default()
        }
    }

    fn error(pairs: &[&str]) -> String {
        let pairs: Vec<String> = pairs.iter().map(|p| (*p).to_owned()).collect();
        format!("{:?}", collect(&node(), &pairs).unwrap_err())
    }

    #[test]
    fn plain_values_by_type() {
        assert_eq!(value(&TypeMetadata::int(), "-7"), Value::Int(-7));
        assert_eq!(value(&TypeMetadata::int(), "1e3"), Value::Int(1000));
        assert_eq!(value(&TypeMetadata::float(), "3"), Value::Float(3.0));
        assert_eq!(value(&TypeMetadata::bool(), "Yes"), Value::Bool(true));
        assert_eq!(value(&TypeMetadata::str(), "12"), Value::from("12"));
        assert_eq!(value(&TypeMetadata::str(), "@@home"), Value::from("@home"));
        assert_eq!(value(&TypeMetadata::int().optional(), "null"), Value::Nil);
        assert_eq!(value(&TypeMetadata::any(), "[1, \"a\"]"), Value::List(vec![1.into(), "a".into()]));
        assert_eq!(value(&TypeMetadata::any(), "hello there"), Value::from("hello there"));
        assert_eq!(value(&TypeMetadata::dict(), r#"{"a": 1}"#), Value::from(map! { "a" => 1 }));
        let mixed = TypeMetadata::union_of([TypeMetadata::str(), TypeMetadata::int()]);
        assert_eq!((value(&mixed, "4"), value(&mixed, "four")), (Value::Int(4), Value::from("four")));
    }

    #[test]
    fn wrong_values_say_why() {
        let why = |ty: &TypeMetadata, text: &str| parse(ty, text).unwrap_err();
        assert_eq!(why(&TypeMetadata::int(), "2.5"), "\"2.5\" is no whole number");
        assert_eq!(why(&TypeMetadata::float(), "wide"), "\"wide\" is no number");
        assert_eq!(why(&TypeMetadata::bool(), "maybe"), "\"maybe\" is neither true nor false");
        assert!(why(&TypeMetadata::dict(), "{a}").contains("is no JSON"));
        assert!(why(&TypeMetadata::image(), "/nowhere.png").starts_with("cannot read /nowhere.png"));
        let mode = TypeMetadata::enum_of("Mode", ["nearest", "bilinear"]);
        assert_eq!(why(&mode, "biliner"), "\"biliner\" is none of them; did you mean bilinear?");
        assert_eq!(value(&mode, "Nearest"), Value::from("nearest"));
    }

    #[test]
    fn lists_in_three_ways() {
        let numbers = TypeMetadata::list_of(TypeMetadata::int());
        let expected = Value::List(vec![1.into(), 2.into()]);
        assert_eq!(value(&numbers, "[1, 2]"), expected);
        assert_eq!(value(&numbers, "1, 2"), expected);
        assert_eq!(parse_all(&numbers, &["1", "2"]), Ok(Given::Value(expected)));
        assert_eq!(value(&numbers, ""), Value::List(vec![]));
        assert!(parse(&numbers, "[1, \"x\"]").is_err());
        assert!(parse_all(&TypeMetadata::int(), &["1", "2"]).unwrap_err().contains("2 times"));
    }

    #[test]
    fn files_by_type() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path.display().to_string()
        };
        let picture = file("a.png", b"png");
        assert_eq!(parse(&TypeMetadata::image(), &picture), Ok(Given::Blob(Bytes::from_static(b"png"))));
        assert_eq!(value(&TypeMetadata::str(), &format!("@{}", file("a.txt", b"hi"))), Value::from("hi"));
        let numbers = file("a.json", b"{\"a\": [1]}");
        assert_eq!(value(&TypeMetadata::any(), &format!("@{numbers}")), value(&TypeMetadata::any(), "{\"a\": [1]}"));
        let tensor = Tensor { dtype: "<f4".into(), shape: vec![1], data: Bytes::from_static(&[0; 4]) };
        let npy = file("a.npy", &tensor.to_npy());
        assert_eq!(value(&TypeMetadata::np_array(), &npy), Value::Map(tensor.to_map()));
        assert_eq!(value(&TypeMetadata::np_array(), "[0]"), Value::Map(tensor.to_map()));
        let tensors = TypeMetadata::dict_of(TypeMetadata::str(), TypeMetadata::np_array());
        let expected = map! { "x" => tensor.to_map(), "y" => Value::List(vec![1.into()]) };
        assert_eq!(value(&tensors, &format!(r#"{{"x": "{npy}", "y": [1]}}"#)), Value::Map(expected));
        let pictures = parse_all(&TypeMetadata::list_of(TypeMetadata::image()), &[&picture, &picture]).unwrap();
        assert_eq!(pictures, Given::Blobs(vec![Bytes::from_static(b"png"); 2]));
    }

    #[test]
    fn mistakes_name_the_field_and_the_way_out() {
        assert!(error(&["sigma=4"]).contains("acme.Blur needs the field image (image)"));
        assert!(error(&["image=x", "sigmas=4"]).contains("cannot read x"), "values are read in order");
        assert!(error(&["sigmma=4"]).contains("no field sigmma; did you mean sigma?"));
        assert!(error(&["sigma"]).contains("expected field=value, got \\\"sigma\\\""));
        assert!(error(&["sigma=much"]).contains("field sigma of acme.Blur takes float: \\\"much\\\" is no number"));
    }
}
