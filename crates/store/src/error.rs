//! Why the store could not do what was asked.

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::PoolError;
use diesel_async::pooled_connection::deadpool::PoolError as CheckoutError;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It did not answer, or not in time. After a write the outcome is unknown; the same write may be tried again.
    #[error("the store is out of reach: {0}")]
    Unavailable(String),
    /// It ended the statement: a lock not had in time, a deadlock, a full disk. Nothing was changed.
    #[error("the store interrupted the work: {0}")]
    Interrupted(String),
    /// It answered that the data cannot be. Nothing was changed.
    #[error("the store refused the data: {0}")]
    Rejected(String),
    /// An entry is of a kind that this version does not know, or lacks what its kind must have. A later version, on
    /// another node, may read it.
    #[error("this version cannot read {0}")]
    Unreadable(String),
    /// The address of the store cannot be used, or its file not be opened.
    #[error("{0}")]
    Config(String),
    /// A migration failed, or the schema is not the one of this binary.
    #[error("{0}")]
    Migration(String),
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        use DatabaseErrorKind::{
            CheckViolation, ForeignKeyViolation, NotNullViolation, SerializationFailure, UniqueViolation,
            Unknown,
        };
        match error {
            DieselError::DatabaseError(
                UniqueViolation | NotNullViolation | CheckViolation | ForeignKeyViolation,
                information,
            ) => Self::Rejected(information.message().to_owned()),
            DieselError::DatabaseError(Unknown | SerializationFailure, information) => {
                Self::Interrupted(information.message().to_owned())
            }
            // One that concerns what was read says nothing of what was written.
            DieselError::SerializationError(error) => Self::Rejected(error.to_string()),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<CheckoutError> for StoreError {
    fn from(error: CheckoutError) -> Self {
        match error {
            CheckoutError::Backend(PoolError::ConnectionError(error)) => error.into(),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<ConnectionError> for StoreError {
    fn from(error: ConnectionError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
