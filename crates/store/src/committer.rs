//! The way to write: a batch of commands becomes one transaction.
//!
//! What is here holds for both back ends: a batch has no command twice, and one bad command spoils no other.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use crate::error::StoreError;
use crate::model::{Command, Outcome, Refusal};
use crate::postgres::PostgresCommitter;
use crate::store::{Backend, Store};

/// Commits batches, one at a time, on a connection of its own that it makes again when it breaks.
pub struct Committer {
    store: Store,
    postgres: PostgresCommitter,
}

impl Committer {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, postgres: PostgresCommitter::default() }
    }

    /// Commits the commands in their order and gives an outcome for each, in the same order.
    ///
    /// A batch that the store refuses is tried again one by one, so that a bad command is refused alone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: what became of the batch is unknown. Committing the same batch again is safe;
    /// what was done already is then [`Outcome::Repeated`].
    pub async fn commit(&mut self, batch: Arc<[Command]>) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for run in runs_without_repeats(&batch) {
            match self.attempt(&batch, run.clone()).await {
                Ok(committed) => outcomes.extend(committed),
                Err(StoreError::Rejected(_) | StoreError::Interrupted(_)) => {
                    for index in run {
                        outcomes.push(self.commit_one(&batch, index).await?);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outcomes)
    }

    async fn commit_one(&mut self, batch: &Arc<[Command]>, index: usize) -> Result<Outcome, StoreError> {
        let refusal = match self.attempt(batch, index..index + 1).await {
            Ok(mut outcomes) => return Ok(outcomes.pop().unwrap_or(Outcome::Refused(Refusal::Failed))),
            Err(StoreError::Rejected(error)) => {
                tracing::error!("the store refused a command: {error}");
                Refusal::Failed
            }
            Err(StoreError::Interrupted(error)) => {
                tracing::warn!("the store interrupted a command: {error}");
                Refusal::Busy
            }
            Err(error) => return Err(error),
        };
        Ok(Outcome::Refused(refusal))
    }

    async fn attempt(
        &mut self,
        batch: &Arc<[Command]>,
        run: Range<usize>,
    ) -> Result<Vec<Outcome>, StoreError> {
        match &*self.store.backend {
            Backend::Postgres(postgres) => self.postgres.commit(postgres, &batch[run]).await,
            Backend::Sqlite(sqlite) => sqlite.commit(Arc::clone(batch), run).await,
        }
    }
}

/// Cuts a batch before each command that repeats an earlier one: the second must see what the first did.
fn runs_without_repeats(batch: &[Command]) -> Vec<Range<usize>> {
    #[derive(PartialEq, Eq, Hash)]
    enum Key<'a> {
        Send(i64, &'a str),
        Read(i64, i64),
    }
    let mut seen = HashSet::with_capacity(batch.len());
    let mut runs = Vec::with_capacity(1);
    let mut start = 0;
    for (index, command) in batch.iter().enumerate() {
        let key = match command {
            Command::Send(send) => Key::Send(send.sender.0, &send.client_message_id),
            Command::MarkRead { reader, message } => Key::Read(reader.0, message.0),
        };
        if seen.contains(&key) {
            runs.push(start..index);
            start = index;
            seen.clear();
        }
        seen.insert(key);
    }
    if start < batch.len() {
        runs.push(start..batch.len());
    }
    runs
}

#[cfg(test)]
mod tests {
    use switchboard_protocol::{MessageId, UserId};

    use super::*;

    #[test]
    fn a_repeat_begins_a_new_run() {
        let read =
            |reader, message| Command::MarkRead { reader: UserId(reader), message: MessageId(message) };
        let batch = [read(1, 1), read(1, 2), read(1, 1), read(2, 1), read(2, 1)];
        assert_eq!(runs_without_repeats(&batch), [0..2, 2..4, 4..5]);
        assert!(runs_without_repeats(&[]).is_empty());
    }
}
