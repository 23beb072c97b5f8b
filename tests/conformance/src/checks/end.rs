//! EOF, signals and what is left after them.

use crate::check::Check;

pub(super) const CHECKS: &[Check] = &[];
