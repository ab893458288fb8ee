//! Why nothing can be said of a history.

use std::io;

/// Nothing can be said of the history.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A line cannot be read.
    #[error("the history cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Something is missing, or contradicts what stands before it: the recorder is at fault, not the service.
    #[error("the history is not complete: {0}")]
    Incomplete(String),
}
