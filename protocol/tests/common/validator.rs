//! The part of JSON Schema that the schemas here use. A keyword that it does not know fails the test.

use serde_json::Value as Json;

/// Why `value` is not what `schema` says, or nothing.
pub(crate) fn violation(root: &Json, schema: &Json, value: &Json) -> Option<String> {
    let rules = match schema {
        Json::Bool(true) => return None,
        Json::Object(rules) => rules,
        other => panic!("no schema: {other}"),
    };
    rules.iter().find_map(|(keyword, rule)| {
        broken(root, schema, keyword, rule, value).map(|inner| format!("{keyword}: {inner}"))
    })
}

fn broken(root: &Json, schema: &Json, keyword: &str, rule: &Json, value: &Json) -> Option<String> {
    let fails = |failed: bool| failed.then(|| format!("{value} against {rule}"));
    let check = |schema: &Json, value: &Json| violation(root, schema, value);
    let list = || rule.as_array().unwrap();
    match keyword {
        "$schema" | "$id" | "$defs" | "$comment" | "title" | "description" | "format" | "default" => None,
        "$ref" => {
            let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
            check(root.pointer(pointer).unwrap(), value)
        }
        "type" => match rule {
            Json::Array(types) => fails(!types.iter().any(|t| is_type(t.as_str().unwrap(), value))),
            one => fails(!is_type(one.as_str().unwrap(), value)),
        },
        "const" => fails(rule != value),
        "enum" => fails(!list().contains(value)),
        "minLength" => fails(value.as_str().is_some_and(|s| s.chars().count() < rule.as_u64().unwrap() as usize)),
        "minimum" => fails(value.as_f64().is_some_and(|n| n < rule.as_f64().unwrap())),
        "maximum" => fails(value.as_f64().is_some_and(|n| n > rule.as_f64().unwrap())),
        "anyOf" => fails(!list().iter().any(|schema| check(schema, value).is_none())),
        "oneOf" => match list().iter().filter(|schema| check(schema, value).is_none()).count() {
            1 => None,
            0 => Some(list().iter().filter_map(|schema| check(schema, value)).collect::<Vec<_>>().join(" | ")),
            n => Some(format!("{n} of them")),
        },
        "allOf" => list().iter().find_map(|schema| check(schema, value)),
        "items" => value.as_array()?.iter().find_map(|item| check(rule, item)),
        "required" => list().iter().find_map(|key| {
            let object = value.as_object()?;
            (!object.contains_key(key.as_str().unwrap())).then(|| format!("{key} in {value}"))
        }),
        "properties" => {
            let object = value.as_object()?;
            rule.as_object()
                .unwrap()
                .iter()
                .find_map(|(key, schema)| check(schema, object.get(key)?).map(|inner| format!("{key}: {inner}")))
        }
        "propertyNames" => value.as_object()?.keys().find_map(|key| check(rule, &Json::String(key.clone()))),
        "additionalProperties" => value.as_object()?.iter().find_map(|(key, item)| {
            if schema["properties"].get(key).is_some() {
                return None;
            }
            if rule == &Json::Bool(false) { Some(format!("{key} is not allowed")) } else { check(rule, item) }
        }),
        unknown => panic!("the validator does not know {unknown}"),
    }
}

fn is_type(name: &str, value: &Json) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        other => panic!("the validator does not know the type {other}"),
    }
}
