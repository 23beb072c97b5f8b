//! Every encoding that a host may use.

use crate::check::Check;

pub(super) const CHECKS: &[Check] = &[];
