//! What is published, and where to.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// The name of a channel. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel(Arc<str>);

impl Channel {
    /// The channel of this name. Redis shares names between its database numbers, so names should begin with something
    /// that is this installation's own.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing to publish.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Where to.
    pub channel: Channel,
    /// What; the layer does not look inside.
    pub payload: Bytes,
}
