//! Many requests at once.

use crate::check::Check;

pub(super) const CHECKS: &[Check] = &[];
