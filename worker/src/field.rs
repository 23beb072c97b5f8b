//! The fields of a node: what is said of each, and how a request's are taken. What types they can have is in `convert`.

use indexmap::IndexMap;
use millwork_protocol::metadata::{PropertyMetadata, TypeMetadata};
use millwork_protocol::{Map, Value};

use crate::convert::{FromWire, ModelRef, Reading};
use crate::{Error, Result};

/// One field of a node.
#[derive(Debug)]
pub struct FieldSpec<T> {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its doc comment.
    pub description: &'static str,
    /// Makes its default; without one it is required, unless its type can be missing.
    pub default: Option<fn() -> T>,
    /// Smallest value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
    /// The sort of model that it takes, where it takes one.
    pub model: Option<&'static str>,
}

impl<T: FromWire> FieldSpec<T> {
    fn range(&self) -> Range {
        Range { min: self.min, max: self.max }
    }
}

/// The bounds of a number, both among what may be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range {
    /// The smallest value.
    pub min: Option<f64>,
    /// The largest value.
    pub max: Option<f64>,
}

impl Range {
    /// Whether a number may be.
    ///
    /// # Errors
    /// `invalid_input`, saying the bounds and the number.
    pub fn check(&self, number: f64) -> Result<()> {
        if (self.min.unwrap_or(f64::NEG_INFINITY)..=self.max.unwrap_or(f64::INFINITY)).contains(&number) {
            return Ok(());
        }
        let range = match (self.min, self.max) {
            (Some(low), Some(high)) => format!("between {low} and {high}"),
            (Some(low), None) => format!("at least {low}"),
            (None, Some(high)) => format!("at most {high}"),
            (None, None) => "a number".to_owned(),
        };
        Err(Error::invalid(format!("must be {range}, got {number}")))
    }
}

/// A field as `discover` reports it.
#[must_use]
pub fn property<T: FromWire>(spec: &FieldSpec<T>) -> PropertyMetadata {
    let default = spec.default.map(|make| make().to_default()).or_else(|| T::missing().map(|_| Value::Nil));
    reported(spec.name, of_model(T::type_metadata(), spec.model), default, spec.description, spec.range())
}

/// A field as `discover` reports it, its type only known at run time. Without a default it is required.
#[must_use]
pub fn reported(
    name: &str,
    ty: TypeMetadata,
    default: Option<Value>,
    description: &str,
    range: Range,
) -> PropertyMetadata {
    let mut extra = Map::new();
    for (key, bound) in [("min", range.min), ("max", range.max)] {
        if let Some(bound) = bound {
            extra.insert(key.to_owned(), Value::Float(bound));
        }
    }
    if default.is_none() {
        extra.insert("required".to_owned(), Value::Bool(true));
    }
    let description = (!description.is_empty()).then(|| description.to_owned());
    PropertyMetadata { name: name.to_owned(), ty, default, description, extra }
}

/// The fields of one request, taken one by one.
#[derive(Debug)]
pub struct Fields<'a> {
    pub(crate) values: Map,
    pub(crate) reading: Reading<'a>,
}

impl<'a> Fields<'a> {
    /// Fields with their blobs already in place.
    #[must_use]
    pub fn new(values: Map, reading: Reading<'a>) -> Self {
        Self { values, reading }
    }

    /// Takes one field: nil counts as not given.
    ///
    /// # Errors
    /// `invalid_input`, naming the field, where it is missing, of another type, or out of range.
    pub fn take<T: FromWire>(&mut self, spec: &FieldSpec<T>) -> Result<T> {
        let named = |e: Error| e.context(format!("field `{}`", spec.name));
        // What is left keeps its order: a dynamic node may read it as a list.
        match self.values.shift_remove(spec.name).filter(|value| !value.is_nil()) {
            Some(value) => {
                let value = T::from_wire(value, &self.reading.field(spec.name)).map_err(named)?;
                value.as_number().map_or(Ok(()), |number| spec.range().check(number)).map_err(named)?;
                Ok(value)
            }
            None => spec.default.map(|make| make()).or_else(T::missing).ok_or_else(|| {
                Error::invalid(format!(
                    "field `{}` is missing: it needs {}",
                    spec.name,
                    article(&T::type_metadata().kind)
                ))
            }),
        }
    }

    /// Every field that has not been taken.
    ///
    /// # Errors
    /// `invalid_input`, naming the field, where one is of another type.
    pub fn rest<T: FromWire>(&mut self) -> Result<IndexMap<String, T>> {
        T::map_from_wire(std::mem::take(&mut self.values), "field", &self.reading)
    }

    /// Old graphs carry retired fields: that is no error, but somebody should know.
    pub(crate) fn warn_of_rest(&self, node_type: &str) {
        if !self.values.is_empty() {
            let names: Vec<&str> = self.values.keys().map(String::as_str).collect();
            tracing::warn!(node_type, fields = names.join(", "), "fields that this node does not know were ignored");
        }
    }
}

/// The type with its models, also those in a list, of this sort.
fn of_model(mut ty: TypeMetadata, model: Option<&str>) -> TypeMetadata {
    if let Some(model) = model {
        if ty.kind == ModelRef::KIND {
            model.clone_into(&mut ty.kind);
        }
        ty.type_args = ty.type_args.into_iter().map(|ty| of_model(ty, Some(model))).collect();
    }
    ty
}

/// `an int`, `a list`.
fn article(type_name: &str) -> String {
    let article = if type_name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {type_name}")
}
