//! Rust types of a host's own as values, and back, through serde. The messages of the protocol have their own way.
//!
//! What serde calls bytes ([`Bytes`](bytes::Bytes), not `Vec<u8>`) are bytes here. Structs and maps are maps, enums are
//! as in JSON. Reading is as generous as the wire asks for: a float without a fraction is a whole number where one is
//! wanted, and a reference that carries its bytes is those bytes where bytes are.

mod de;
mod ser;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Value;

/// Why a value cannot be written or read as a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedError(String);

impl fmt::Display for TypedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TypedError {}

impl serde::ser::Error for TypedError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

impl serde::de::Error for TypedError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

/// Writes a Rust value.
///
/// # Errors
/// Where a key of a map is no text, or the type itself refuses.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, TypedError> {
    value.serialize(ser::Writer)
}

/// Reads a Rust value.
///
/// # Errors
/// Where something is missing or has another type; the text says what.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, TypedError> {
    T::deserialize(de::Reader(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map;
    use bytes::Bytes;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Fast,
        Scaled { by: f32 },
        Named(String),
        Pair(u8, u8),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        flag: bool,
        count: u32,
        large: u64,
        ratio: f64,
        letter: char,
        name: String,
        picture: Bytes,
        nothing: Option<i32>,
        modes: Vec<Mode>,
        table: BTreeMap<i32, (u8, String)>,
        unit: (),
    }

    #[test]
    fn what_is_written_is_read() {
        let all = Everything {
            flag: true,
            count: 7,
            large: 1 << 40,
            ratio: 0.5,
            letter: 'x',
            name: "n".into(),
            picture: Bytes::from_static(b"\0\xff"),
            nothing: None,
            modes: vec![Mode::Fast, Mode::Scaled { by: 2.0 }, Mode::Named("a".into()), Mode::Pair(1, 2)],
            table: [(-1, (2, "b".to_owned()))].into(),
            unit: (),
        };
        let value = to_value(&all).unwrap();
        assert_eq!(value.get("picture"), Some(&Value::Bytes(all.picture.clone())));
        let scaled = Value::Map(map! { "scaled" => map! { "by" => 2.0 } });
        assert_eq!(value.get("modes").unwrap().as_list().unwrap()[..2], ["fast".into(), scaled]);
        assert_eq!(from_value::<Everything>(value).unwrap(), all);
    }

    #[test]
    fn reading_is_as_generous_as_the_wire() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Loose {
            count: i64,
            ratio: f32,
            picture: Bytes,
            old: Vec<u8>,
            missing: Option<String>,
        }
        let picture = map! { "type" => "image", "uri" => "", "data" => Bytes::from_static(b"PNG") };
        let value = map! { "count" => 3.0, "ratio" => 2, "picture" => picture, "old" => Bytes::from_static(b"ab"),
        "more" => map! {} };
        let loose =
            Loose { count: 3, ratio: 2.0, picture: Bytes::from_static(b"PNG"), old: b"ab".to_vec(), missing: None };
        assert_eq!(from_value::<Loose>(value.into()).unwrap(), loose);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "it is never read whole")]
        struct Output {
            label: String,
            score: i32,
        }
        let error = |value: crate::Map| from_value::<Output>(value.into()).unwrap_err().to_string();
        assert_eq!(error(map! { "score" => 1 }), "missing field `label`");
        assert!(error(map! { "label" => "a", "score" => 1.5 }).contains("floating point `1.5`"));
        assert!(error(map! { "label" => 1 }).contains("expected a string"));
        assert!(to_value(&BTreeMap::from([((1, 2), 3)])).unwrap_err().to_string().contains("key"));
    }
}
