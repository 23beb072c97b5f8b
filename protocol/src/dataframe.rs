//! Tables as they travel: named columns, and rows as lists. Computing with them is not done here.

use thiserror::Error;

use crate::message::macros::message;
use crate::{Map, Value};

/// The `type` of a table.
pub const DATAFRAME_TYPE: &str = "dataframe";

message! {
    /// One column of a table.
    pub struct ColumnDef {
        /// Its name.
        pub name: String,
        /// `int`, `float`, `datetime`, `string` or `object`.
        pub data_type: String,
        /// What it holds.
        pub description: String = sparse,
    }
}

message! {
    /// A table.
    pub struct DataFrame {
        /// Always `dataframe`.
        pub kind: String as "type",
        /// Where it lies, if not here.
        pub uri: String = default,
        /// The host's own id of it.
        pub asset_id: Option<String>,
        /// Its columns.
        pub columns: Option<Vec<ColumnDef>>,
        /// Its rows, each with a value for every column.
        pub data: Option<Vec<Vec<Value>>>,
    }
}

/// A row with too few or too many values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("row {row} has {found} values for {expected} columns")]
pub struct RaggedRow {
    /// Which row, from 0.
    pub row: usize,
    /// How many values it has.
    pub found: usize,
    /// How many columns there are.
    pub expected: usize,
}

impl ColumnDef {
    /// A column without a description.
    pub fn new(name: impl Into<String>, data_type: impl Into<String>) -> Self {
        Self { name: name.into(), data_type: data_type.into(), description: String::new(), extra: Map::new() }
    }
}

impl DataFrame {
    /// A table of these rows.
    ///
    /// # Errors
    /// Where a row has not exactly one value for each column.
    pub fn new(columns: Vec<ColumnDef>, rows: Vec<Vec<Value>>) -> Result<Self, RaggedRow> {
        let frame = Self {
            kind: DATAFRAME_TYPE.to_owned(),
            uri: String::new(),
            asset_id: None,
            columns: Some(columns),
            data: Some(rows),
            extra: Map::new(),
        };
        frame.check()?;
        Ok(frame)
    }

    /// The values of one column, from the first row on; nothing where there is no such column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<impl Iterator<Item = &Value>> {
        let place = self.columns.as_deref()?.iter().position(|column| column.name == name)?;
        Some(self.data.iter().flatten().filter_map(move |row| row.get(place)))
    }

    /// Checks that every row has one value for each column; a table without named columns takes any rows.
    ///
    /// # Errors
    /// Names the first row that has not.
    pub fn check(&self) -> Result<(), RaggedRow> {
        let (Some(columns), Some(rows)) = (&self.columns, &self.data) else { return Ok(()) };
        let expected = columns.len();
        match rows.iter().enumerate().find(|(_, values)| values.len() != expected) {
            Some((row, values)) => Err(RaggedRow { row, found: values.len(), expected }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_travels_with_its_gaps() {
        let columns = vec![ColumnDef::new("name", "string"), ColumnDef::new("age", "int")];
        let rows = vec![vec!["Ada".into(), 36.into()], vec!["Bo".into(), Value::Nil]];
        let frame = DataFrame::new(columns, rows).unwrap();
        assert_eq!(frame.column("age").unwrap().collect::<Vec<_>>(), [&Value::from(36), &Value::Nil]);
        assert!(frame.column("size").is_none());
        assert_eq!(DataFrame::from_value(frame.to_value()), Ok(frame));
    }

    #[test]
    fn a_ragged_row_is_named() {
        let rows = vec![vec![1.into()], vec![1.into(), 2.into()]];
        let error = DataFrame::new(vec![ColumnDef::new("a", "int")], rows).unwrap_err();
        assert_eq!(error.to_string(), "row 1 has 2 values for 1 columns");
    }
}
