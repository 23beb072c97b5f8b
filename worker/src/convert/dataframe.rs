//! Tables as fields and outputs. What a table is stands in `millwork_protocol::dataframe`.

use indexmap::IndexSet;
use millwork_protocol::Value;
use millwork_protocol::dataframe::{ColumnDef, DataFrame};
use millwork_protocol::metadata::TypeMetadata;

use super::{FromWire, IntoWire, Reading, Writing, mismatch};
use crate::{Error, Result, ResultExt};

const EXPECTED: &str = "a table {type: \"dataframe\", columns, data} or a list of dicts";

impl FromWire for DataFrame {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::dataframe()
    }

    fn from_wire(value: Value, _: &Reading<'_>) -> Result<Self> {
        match value {
            Value::Map(map) if map.contains_key("data") || map.contains_key("columns") || map.contains_key("uri") => {
                let frame = Self::from_map(with_type(map)).invalid("the table")?;
                if frame.data.is_none() && !frame.uri.is_empty() {
                    let text =
                        format!("the table is at {:?} and its rows are not here: send them in `data`", frame.uri);
                    return Err(Error::invalid(text));
                }
                frame.check().invalid("the table")?;
                Ok(frame)
            }
            Value::List(rows) => from_dicts(rows),
            other => Err(mismatch(EXPECTED, &other)),
        }
    }

    fn to_default(&self) -> Value {
        self.to_value()
    }
}

impl IntoWire for DataFrame {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::dataframe()
    }

    fn into_wire(self, _: &mut Writing<'_>) -> Result<Value> {
        self.check()?;
        Ok(Value::Map(self.into_map()))
    }
}

/// People leave the type out.
fn with_type(mut map: millwork_protocol::Map) -> millwork_protocol::Map {
    map.entry("type".to_owned()).or_insert_with(|| Value::from(millwork_protocol::dataframe::DATAFRAME_TYPE));
    map
}

/// A row a dict: the columns are all keys, in the order in which they come up; what a row lacks is nil.
fn from_dicts(rows: Vec<Value>) -> Result<DataFrame> {
    let dict = |(row, value): (usize, Value)| match value {
        Value::Map(map) => Ok(map),
        other => Err(mismatch("a dict", &other).context(format!("row {row}"))),
    };
    let mut rows = rows.into_iter().enumerate().map(dict).collect::<Result<Vec<_>>>()?;
    let names: IndexSet<String> = rows.iter().flat_map(|row| row.keys().cloned()).collect();
    let cells: Vec<Vec<Value>> = rows
        .iter_mut()
        .map(|row| names.iter().map(|name| row.get_mut(name).map(std::mem::take).unwrap_or_default()).collect())
        .collect();
    let columns = names.into_iter().enumerate().map(|(place, name)| {
        let data_type = data_type(cells.iter().filter_map(|row| row.get(place)));
        ColumnDef::new(name, data_type)
    });
    Ok(DataFrame::new(columns.collect(), cells)?)
}

fn data_type<'a>(cells: impl Iterator<Item = &'a Value> + Clone) -> &'static str {
    let all = |is: fn(&Value) -> bool| cells.clone().all(|cell| cell.is_nil() || is(cell));
    if all(Value::is_nil) {
        "object"
    } else if all(|cell| matches!(cell, Value::Int(_))) {
        "int"
    } else if all(|cell| matches!(cell, Value::Int(_) | Value::Float(_))) {
        "float"
    } else if all(|cell| matches!(cell, Value::Str(_))) {
        "string"
    } else {
        "object"
    }
}
