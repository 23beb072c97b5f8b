//! stdout purity and floods of stderr.

use crate::check::Check;

pub(super) const CHECKS: &[Check] = &[];
