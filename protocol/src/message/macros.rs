//! The two declarations that all messages are made of: `message!`, a map with named keys, and `text_enum!`, a word.

/// Declares a struct that is a map on the wire.
///
/// A field is read from the key of its own name, or from `as "key" | "older key"`, of which the first is written.
/// What stands after `=` says what happens around it:
///
/// | | key absent or nil | on output |
/// | --- | --- | --- |
/// | nothing | an error, or `None` for an `Option` | always, or where it is `Some` |
/// | `default` | the default | always |
/// | `sparse` | the default | where it is not the default |
/// | `lenient` | the default, also for a value of another type | where it is not the default |
///
/// Unknown keys are kept in `extra` and written again behind the others. `after path` names a function that puts
/// older forms of the map right before it is read.
macro_rules! message {
    (
        $(#[doc = $doc:literal])*
        $(#[derive($($derive:ident),+)])?
        pub struct $name:ident $(after $prepare:path)? {
            $(
                $(#[doc = $field_doc:literal])*
                pub $field:ident: $type:ty $(as $key:literal $(| $alias:literal)*)? $(= $mode:ident)?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq $($(, $derive)+)?)]
        pub struct $name {
            $($(#[doc = $field_doc])* pub $field: $type,)*
            /// Keys that this version does not know, kept for whoever does.
            pub extra: $crate::Map,
        }

        #[allow(clippy::allow_attributes, unused_mut, reason = "a message may have no keys of its own")]
        impl $name {
            /// Reads it from the entries of a map.
            ///
            /// # Errors
            /// Where a required key is missing or a value has another type.
            pub fn from_map(mut map: $crate::Map) -> Result<Self, $crate::message::TypeError> {
                $($prepare(&mut map);)?
                Ok(Self {
                    $($field: message!(@read map, message!(@keys $field $($key $($alias)*)?) $(, $mode)?),)*
                    extra: map,
                })
            }

            /// Writes it as the entries of a map.
            #[must_use]
            pub fn into_map(self) -> $crate::Map {
                let mut map = $crate::Map::with_capacity(8 + self.extra.len());
                $(message!(@write map, message!(@key $field $($key)?), self.$field $(, $mode)?);)*
                for (key, value) in self.extra {
                    map.entry(key).or_insert(value);
                }
                map
            }

            /// As [`Self::from_map`], for a value that has to be a map.
            ///
            /// # Errors
            /// Where it is none, and as [`Self::from_map`].
            pub fn from_value(value: $crate::Value) -> Result<Self, $crate::message::TypeError> {
                match value {
                    $crate::Value::Map(map) => Self::from_map(map),
                    other => Err($crate::message::TypeError::new("map", &other)),
                }
            }

            /// The map as a value; bytes are shared with this, everything else is a copy.
            #[must_use]
            pub fn to_value(&self) -> $crate::Value {
                $crate::Value::Map(self.clone().into_map())
            }
        }

        impl $crate::message::Field for $name {
            const EXPECTED: &'static str = "map";

            fn from_value(value: $crate::Value) -> Result<Self, $crate::message::TypeError> {
                Self::from_value(value)
            }

            fn into_value(self) -> $crate::Value {
                $crate::Value::Map(self.into_map())
            }

            fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<Self>()
            }
        }

        impl TryFrom<$crate::Map> for $name {
            type Error = $crate::message::TypeError;

            fn try_from(map: $crate::Map) -> Result<Self, Self::Error> {
                Self::from_map(map)
            }
        }

        impl From<$name> for $crate::Map {
            fn from(message: $name) -> Self {
                message.into_map()
            }
        }

        impl From<$name> for $crate::Value {
            fn from(message: $name) -> Self {
                Self::Map(message.into_map())
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            #[allow(clippy::allow_attributes, unused_mut, unused_variables, reason = "a message may have no keys of its own")]
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut object = $crate::message::convert::ObjectSchema::new(concat!($($doc, "\n"),*));
                $(object.property(
                    message!(@key $field $($key)?),
                    <$type as $crate::message::Field>::key_schema(generator),
                    concat!($($field_doc, "\n"),*),
                    message!(@required $type $(, $mode)?),
                );)*
                object.finish()
            }
        }
    };

    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@keys $field:ident) => { &[stringify!($field)] };
    (@keys $field:ident $($key:literal)+) => { &[$($key),+] };

    (@read $map:ident, $keys:expr) => { $crate::message::convert::read(&mut $map, $keys)? };
    (@read $map:ident, $keys:expr, lenient) => { $crate::message::convert::read_lenient(&mut $map, $keys) };
    (@read $map:ident, $keys:expr, $mode:ident) => { $crate::message::convert::read_or_default(&mut $map, $keys)? };

    (@write $map:ident, $key:expr, $value:expr, default) => {
        $map.insert($key.to_owned(), $crate::message::Field::into_value($value))
    };
    (@write $map:ident, $key:expr, $value:expr) => {
        if !$crate::message::Field::is_absent(&$value) {
            message!(@write $map, $key, $value, default);
        }
    };
    (@write $map:ident, $key:expr, $value:expr, $mode:ident) => {
        if !$crate::message::convert::is_default(&$value) {
            message!(@write $map, $key, $value, default);
        }
    };

    (@required $type:ty) => { <$type as $crate::message::Field>::absent().is_none() };
    (@required $type:ty, $mode:ident) => { false };
}

/// Declares the words that may stand in one place; a word that this version does not know is kept.
macro_rules! text_enum {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident {
            $($(#[doc = $variant_doc:literal])* $variant:ident = $text:literal),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[doc = $variant_doc])* $variant,)*
            /// A word that this version does not know.
            Other(String),
        }

        impl $name {
            /// Every word that this version knows.
            pub const KNOWN: &'static [&'static str] = &[$($text),*];

            /// The word as it travels.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl From<$name> for $crate::Value {
            fn from(word: $name) -> Self {
                Self::from(word.as_str())
            }
        }

        impl $crate::message::Field for $name {
            const EXPECTED: &'static str = "str";

            fn from_value(value: $crate::Value) -> Result<Self, $crate::message::TypeError> {
                <String as $crate::message::Field>::from_value(value).map(|text| Self::from(text.as_str()))
            }

            fn into_value(self) -> $crate::Value {
                self.into()
            }

            fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<Self>()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let description = $crate::message::convert::unwrapped(concat!($($doc, "\n"),*));
                schemars::json_schema!({
                    "description": description,
                    "anyOf": [{ "enum": Self::KNOWN }, { "type": "string" }],
                })
            }
        }
    };
}

pub(crate) use {message, text_enum};
