//! READY and the start.

use crate::check::Check;

pub(super) const CHECKS: &[Check] = &[];
