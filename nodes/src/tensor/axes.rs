//! Axes as a person names them: from 0, or from the end with -1.

use millwork_worker::convert::{FromWire, Reading};
use millwork_worker::prelude::*;
use millwork_worker::protocol::metadata::TypeMetadata;

/// The place of an axis of a tensor that has `rank` of them.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize> {
    let place = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    place.and_then(|place| usize::try_from(place).ok()).filter(|place| *place < rank).ok_or_else(|| {
        Error::invalid(match rank {
            0 => format!("axis {axis} does not exist: the tensor is a single number and has no axes"),
            _ => {
                format!("axis {axis} does not exist: the tensor has {rank}, from 0 to {}, or -1 for the last", rank - 1)
            }
        })
    })
}

/// Some axes: one, or a list.
#[derive(Debug, Clone)]
pub(super) struct Axes(pub(super) Vec<i64>);

impl FromWire for Axes {
    fn type_metadata() -> TypeMetadata {
        TypeMetadata::list_of(TypeMetadata::int())
    }

    fn from_wire(value: Value, reading: &Reading<'_>) -> Result<Self> {
        match value {
            Value::List(_) => Vec::from_wire(value, reading).map(Self),
            one => i64::from_wire(one, reading).map(|one| Self(vec![one])),
        }
    }

    fn to_default(&self) -> Value {
        Value::from(self.0.clone())
    }
}

impl Axes {
    /// Their places in ascending order; naming one twice is an error.
    pub(super) fn places(&self, rank: usize) -> Result<Vec<usize>> {
        let mut places = self.0.iter().map(|n| axis(*n, rank)).collect::<Result<Vec<_>>>()?;
        places.sort_unstable();
        if places.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(Error::invalid(format!("the axes {:?} name one axis twice", self.0)));
        }
        Ok(places)
    }
}
