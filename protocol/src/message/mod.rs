//! What stands in `data`: every message of the protocol as a type, read from a [`Map`](crate::Map) and written to one.
//!
//! Who handles a message, and how, is not known here. Unknown keys are kept, keys without a value are left out, and
//! nil means "not given".

pub mod convert;
pub mod error;
pub(crate) mod macros;

pub use convert::{Field, OneOrMany, TypeError};
pub use error::{ErrorData, ErrorKind, LoadError};
