//! discover and its metadata.

use crate::check::Check;

pub(super) const CHECKS: &[Check] = &[];
