//! The stock node that does the same where there is no GPU.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use millwork_package::manifest::{self, Fallback};
use millwork_package::{Kind, Problem, nearest};
use millwork_worker::node::{Emitted, Entry};
use millwork_worker::protocol::{Map, Value};
use millwork_worker::{Context, Options, Package, Result, ResultExt};

use crate::check::Check;
use crate::expression::Expression;
use crate::value::Values;

/// A stock node with its fields filled.
#[derive(Debug)]
pub(crate) struct FallbackPlan {
    entry: Arc<Entry>,
    fields: Vec<(String, Filled)>,
    /// Each output of this node, and which of that one's it is.
    outputs: Vec<(String, String)>,
}

#[derive(Debug)]
enum Filled {
    /// With a field of this node, as it came.
    Field(String),
    Computed(Expression),
}

/// The stock nodes by type.
fn stock() -> &'static HashMap<String, Arc<Entry>> {
    static STOCK: OnceLock<HashMap<String, Arc<Entry>>> = OnceLock::new();
    STOCK.get_or_init(|| {
        let packages = millwork_nodes::packages(&Options::default());
        let entries = packages.into_iter().flat_map(Package::into_entries);
        entries.map(|entry| (entry.metadata.node_type.clone(), Arc::new(entry))).collect()
    })
}

impl FallbackPlan {
    /// The node and its fields, once it is sure that they are there. `fields` are those of this node.
    pub(crate) fn new(check: &mut Check<'_>, fallback: &Fallback, fields: &[&str]) -> Option<Self> {
        let name = fallback.node.as_ref();
        let Some(entry) = stock().get(name) else {
            let meant = nearest(name, stock().keys().map(String::as_str));
            let hint = meant.map_or("`millwork nodes` lists them".to_owned(), |meant| format!("did you mean {meant}?"));
            let text = format!("there is no stock node {name}");
            check.told(&fallback.node, Problem::new(Kind::UnknownName, text).hint(hint));
            return None;
        };
        let metadata = &entry.metadata;
        let mut filled = Vec::new();
        let mut is_fine = true;
        for (field, value) in &fallback.fields {
            if !metadata.is_dynamic && metadata.properties.iter().all(|property| property.name != *field.as_ref()) {
                let names: Vec<&str> = metadata.properties.iter().map(|property| property.name.as_str()).collect();
                let text = format!("{name} has no field {}", field.as_ref());
                check.told(field, Problem::new(Kind::UnknownName, text).hint(format!("it has {}", names.join(", "))));
                is_fine = false;
                continue;
            }
            let made = match value.as_ref() {
                manifest::Expression::Text(text) if fields.contains(&text.as_str()) => {
                    Some(Filled::Field(text.clone()))
                }
                _ => check.expression(value).map(Filled::Computed),
            };
            is_fine &= made.is_some();
            filled.extend(made.map(|made| (field.as_ref().clone(), made)));
        }
        for property in &metadata.properties {
            let is_needed = property.extra.get("required") == Some(&Value::Bool(true));
            if is_needed && fallback.fields.keys().all(|field| *field.as_ref() != property.name) {
                let text = format!("{name} needs the field {}", property.name);
                check.tell(&fallback.node, Kind::MissingKey, text);
                is_fine = false;
            }
        }
        let mut outputs = Vec::new();
        for (mine, theirs) in &fallback.outputs {
            if metadata.outputs.iter().all(|slot| slot.name != *theirs.as_ref()) {
                let names: Vec<&str> = metadata.outputs.iter().map(|slot| slot.name.as_str()).collect();
                let text = format!("{name} has no output {}", theirs.as_ref());
                check.told(theirs, Problem::new(Kind::UnknownName, text).hint(format!("it has {}", names.join(", "))));
                is_fine = false;
            }
            outputs.push((mine.as_ref().clone(), theirs.as_ref().clone()));
        }
        is_fine.then(|| Self { entry: Arc::clone(entry), fields: filled, outputs })
    }

    /// Calls it. `raw` are the fields of the request as they came.
    pub(crate) fn run(&self, raw: &Map, values: &Values, cx: &Context) -> Result<Emitted> {
        let name = &self.entry.metadata.node_type;
        let mut fields = Map::new();
        for (field, filled) in &self.fields {
            let value = match filled {
                Filled::Field(name) => raw.get(name).cloned().unwrap_or(Value::Nil),
                Filled::Computed(expression) => expression.wire(values)?,
            };
            fields.insert(field.clone(), value);
        }
        let mut answer = self.entry.call(fields, cx).context(format!("the fallback {name}"))?;
        let mut emitted = Emitted::default();
        for (mine, theirs) in &self.outputs {
            let mut value = answer.outputs.swap_remove(theirs).unwrap_or(Value::Nil);
            if let Some(bytes) = answer.blobs.swap_remove(theirs) {
                if let Value::Map(map) = &mut value {
                    map.insert("uri".to_owned(), format!("blob://{mine}").into());
                }
                emitted.blobs.insert(mine.clone(), bytes);
            }
            emitted.outputs.insert(mine.clone(), value);
        }
        Ok(emitted)
    }
}
