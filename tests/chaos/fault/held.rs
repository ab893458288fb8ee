//! What faults hold while they last.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Connections, tasks and the like, each of which ends when it is dropped. A stack has one of this.
#[derive(Default)]
pub(crate) struct Held {
    /// By the fault. Held for a look.
    by: Mutex<HashMap<String, Vec<Box<dyn Any + Send>>>>,
}

impl Held {
    /// Keeps something for a fault until it is released.
    pub(crate) fn hold(&self, by: &str, what: impl Any + Send) {
        let mut held = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        held.entry(by.to_owned()).or_default().push(Box::new(what));
    }

    /// Ends what is held for a fault, if anything is.
    pub(crate) fn release(&self, by: &str) {
        let released = self.by.lock().unwrap_or_else(PoisonError::into_inner).remove(by);
        drop(released);
    }

    /// Ends everything.
    pub(crate) fn release_all(&self) {
        let released = std::mem::take(&mut *self.by.lock().unwrap_or_else(PoisonError::into_inner));
        drop(released);
    }
}
