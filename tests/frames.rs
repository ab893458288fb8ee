//! What a client may send that is wrong.
use crate::Test;
pub(crate) const TESTS: &[Test] = &[];
