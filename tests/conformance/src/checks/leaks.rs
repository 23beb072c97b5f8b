//! What one request must not leave to the next.

use crate::check::Check;

pub(super) const CHECKS: &[Check] = &[];
