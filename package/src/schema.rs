//! The JSON Schema of package.toml, for completion in editors.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use crate::manifest::{Buffer, Fallback, Field, HeadTable, Input, NodeHead, Output, Step};

/// The schema, JSON Schema draft 2020-12. It knows the keys and their types; `millwork check` knows the rest.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut step = object::<Step>(&mut generator);
    list::<Input>(&mut generator, &mut step, "input");
    list::<Output>(&mut generator, &mut step, "output");
    let mut node = object::<NodeHead>(&mut generator);
    list::<Field>(&mut generator, &mut node, "field");
    list::<Buffer>(&mut generator, &mut node, "buffer");
    list::<Output>(&mut generator, &mut node, "output");
    node["properties"]["step"] = json!({ "type": "array", "items": step });
    node["properties"]["fallback"] = generator.subschema_for::<Fallback>().to_value();
    let head = object::<HeadTable>(&mut generator);
    let text_list = json!({ "type": "array", "items": { "type": "string" } });
    let program = json!({
        "type": "object",
        "description": "A command that speaks the bridge protocol; beside these, the keys of a [[worker]] in millwork.toml.",
        "properties": {
            "command": { "type": "array", "items": { "type": "string" }, "minItems": 1,
                "description": "The program and its arguments. With a / in it, relative to the folder." },
            "build": { "type": "string", "description": "How to come by the program." },
            "env": { "type": "object", "additionalProperties": { "type": "string" },
                "description": "Variables added to the environment." },
            "env_allow": text_list, "secrets": text_list,
            "limits": { "type": "object" }, "instances": {}, "max_in_flight": { "type": "integer", "minimum": 1 },
            "idle_stop_ms": { "type": "integer", "minimum": 0 }, "recycle": { "type": "object" },
            "temp": { "type": "boolean" }, "sandbox": { "type": "boolean" }, "sandbox_read": text_list,
            "sandbox_write": text_list, "labels": { "type": "object" }, "retry_idempotent": { "type": "boolean" },
            "health_while_busy": { "type": "boolean" },
        },
        "required": ["command"],
        "additionalProperties": false,
    });
    let definitions = generator.take_definitions(true);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "package.toml of Millwork",
        "type": "object",
        "properties": { "package": head, "program": program, "node": { "type": "array", "items": node } },
        "required": ["package"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// A type's own schema, to which keys can be added.
fn object<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    T::json_schema(generator).to_value()
}

fn list<T: JsonSchema>(generator: &mut SchemaGenerator, into: &mut Value, name: &str) {
    into["properties"][name] = json!({ "type": "array", "items": generator.subschema_for::<T>() });
}
