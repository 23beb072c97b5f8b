//! The fields of a node: as `discover` reports them, and as a request fills them.

use std::sync::Arc;

use millwork_package::manifest::{Field, FieldType, ItemType, to_value};
use millwork_worker::convert::{Audio, Image, Tensor};
use millwork_worker::node::{Fields, Range, reported};
use millwork_worker::protocol::metadata::{PropertyMetadata, TypeMetadata};
use millwork_worker::protocol::{Map, Value};
use millwork_worker::{Error, Result};

use crate::scope::Known;
use crate::value::Datum;

/// A field that can be read.
#[derive(Debug)]
pub(crate) struct FieldPlan {
    pub(crate) name: String,
    ty: FieldType,
    items: ItemType,
    values: Vec<String>,
    default: Option<Value>,
    optional: bool,
    range: Range,
    description: String,
}

impl FieldPlan {
    pub(crate) fn new(field: &Field) -> Self {
        let items = field.items.as_ref().map(|items| *items.as_ref()).unwrap_or_default();
        let default = field.default.as_ref().map(|default| match (to_value(default.as_ref()), field.ty) {
            (Value::Int(number), FieldType::Float) => Value::Float(number as f64),
            (value, _) => value,
        });
        Self {
            name: field.name.as_ref().clone(),
            ty: field.ty,
            items,
            values: field.values.as_ref().map(|values| values.as_ref().clone()).unwrap_or_default(),
            default,
            optional: field.optional,
            range: Range {
                min: field.min.as_ref().map(|min| *min.as_ref()),
                max: field.max.as_ref().map(|max| *max.as_ref()),
            },
            description: field.description.clone(),
        }
    }

    pub(crate) fn known(&self) -> Known {
        Known::of_field(self.ty, self.items)
    }

    /// As `discover` reports it.
    pub(crate) fn property(&self) -> PropertyMetadata {
        let item = match self.items {
            ItemType::Float => TypeMetadata::float(),
            ItemType::Int => TypeMetadata::int(),
            ItemType::Str => TypeMetadata::str(),
        };
        let ty = match self.ty {
            FieldType::Str => TypeMetadata::str(),
            FieldType::Int => TypeMetadata::int(),
            FieldType::Float => TypeMetadata::float(),
            FieldType::Bool => TypeMetadata::bool(),
            FieldType::Enum => TypeMetadata::enum_of(self.name.clone(), self.values.iter().map(String::as_str)),
            FieldType::List => TypeMetadata::list_of(item),
            FieldType::Image => TypeMetadata::image(),
            FieldType::Audio => TypeMetadata::audio(),
            FieldType::Tensor => TypeMetadata::np_array(),
        };
        let ty = if self.optional { ty.optional() } else { ty };
        let default = self.default.clone().or_else(|| self.optional.then_some(Value::Nil));
        reported(&self.name, ty, default, &self.description, self.range)
    }

    /// Takes the field of one request, and keeps in `raw` what came, for a fallback.
    pub(crate) fn take(&self, fields: &mut Fields<'_>, raw: &mut Map) -> Result<Datum> {
        let Some(value) = fields.take_value(&self.name).or_else(|| self.default.clone()) else {
            if self.optional {
                return Ok(Datum::Nil);
            }
            return Err(Error::invalid(format!("field `{}` is missing: it needs {}", self.name, self.known().what())));
        };
        raw.insert(self.name.clone(), value.clone());
        let name = &self.name;
        Ok(match (self.ty, self.items) {
            (FieldType::Str, _) => Datum::Text(fields.read(name, value)?),
            (FieldType::Int, _) => {
                let number: i64 = fields.read(name, value)?;
                self.within(number as f64)?;
                Datum::Int(number)
            }
            (FieldType::Float, _) => {
                let number: f64 = fields.read(name, value)?;
                self.within(number)?;
                Datum::Float(number)
            }
            (FieldType::Bool, _) => Datum::Bool(fields.read(name, value)?),
            (FieldType::Enum, _) => {
                let text: String = fields.read(name, value)?;
                if !self.values.contains(&text) {
                    let known = self.values.join(", ");
                    return Err(Error::invalid(format!("field `{name}`: {text:?} is none of {known}")));
                }
                Datum::Text(text)
            }
            (FieldType::List, ItemType::Str) => Datum::Texts(fields.read(name, value)?),
            (FieldType::List, ItemType::Int) => {
                Datum::Numbers(fields.read::<Vec<i64>>(name, value)?.into_iter().map(|number| number as f64).collect())
            }
            (FieldType::List, ItemType::Float) => Datum::Numbers(fields.read(name, value)?),
            (FieldType::Image, _) => Datum::Image(Arc::new(fields.read::<Image>(name, value)?)),
            (FieldType::Audio, _) => Datum::Audio(Arc::new(fields.read::<Audio>(name, value)?)),
            (FieldType::Tensor, _) => Datum::Tensor(fields.read::<Tensor>(name, value)?),
        })
    }

    fn within(&self, number: f64) -> Result<()> {
        self.range.check(number).map_err(|error| error.context(format!("field `{}`", self.name)))
    }
}
