//! The way to write: a batch of commands becomes one transaction.
//!
//! What is here holds for both back ends: no transaction has a command that is not done yet twice, one bad command
//! spoils no other, and nothing is begun after the deadline.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tokio::time::Instant;

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
    /// A batch that the store refuses or interrupts is tried again one by one, so that a bad command is refused
    /// alone; what has no outcome by the deadline is [`Refusal::Busy`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: what became of the batch is unknown. Committing the same batch again is safe;
    /// what was done already is then [`Outcome::Repeated`].
    pub async fn commit(
        &mut self,
        batch: Arc<[Command]>,
        deadline: Instant,
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = vec![Outcome::Refused(Refusal::Busy); batch.len()];
        let (first_times, repeats) = part(&batch);
        self.take_turn(&batch, &first_times, deadline, &mut outcomes).await?;
        let mut turn = Vec::with_capacity(repeats.len());
        for (index, first) in repeats {
            match outcomes[first] {
                // It makes no entry, so that it comes later changes no order.
                Outcome::Committed(_)
                | Outcome::Repeated(_)
                | Outcome::Refused(Refusal::ClientMessageIdReused) => turn.push(index),
                Outcome::Refused(refusal) if batch[index] == batch[first] => {
                    outcomes[index] = Outcome::Refused(refusal);
                }
                // It would overtake what stands between.
                Outcome::Refused(_) => {}
            }
        }
        if let Err(error) = self.take_turn(&batch, &turn, deadline, &mut outcomes).await {
            // What the others came to is known.
            tracing::warn!("repeated commands found no answer: {error}");
        }
        Ok(outcomes)
    }

    /// Commits some of the batch and fills in their outcomes. What has had none is left as it was.
    async fn take_turn(
        &mut self,
        batch: &Arc<[Command]>,
        turn: &[usize],
        deadline: Instant,
        outcomes: &mut [Outcome],
    ) -> Result<(), StoreError> {
        if turn.is_empty() || Instant::now() >= deadline {
            return Ok(());
        }
        match self.attempt(batch, turn, deadline).await {
            Ok(committed) => {
                for (index, outcome) in turn.iter().zip(committed) {
                    outcomes[*index] = outcome;
                }
            }
            Err(StoreError::Rejected(_) | StoreError::Interrupted(_)) => {
                for (nth, index) in turn.iter().enumerate() {
                    if Instant::now() >= deadline {
                        break;
                    }
                    match self.commit_one(batch, *index, deadline).await {
                        Ok(outcome) => outcomes[*index] = outcome,
                        Err(error) if nth == 0 => return Err(error),
                        // What those before it came to is known, and must be told.
                        Err(_) => break,
                    }
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn commit_one(
        &mut self,
        batch: &Arc<[Command]>,
        index: usize,
        deadline: Instant,
    ) -> Result<Outcome, StoreError> {
        let refusal = match self.attempt(batch, &[index], deadline).await {
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
        turn: &[usize],
        deadline: Instant,
    ) -> Result<Vec<Outcome>, StoreError> {
        match &*self.store.backend {
            Backend::Postgres(postgres) => {
                let commands: Vec<_> = turn.iter().map(|index| &batch[*index]).collect();
                self.postgres.commit(postgres, &commands, deadline).await
            }
            Backend::Sqlite(sqlite) => sqlite.commit(Arc::clone(batch), turn.to_vec()).await,
        }
    }
}

/// Parts a batch into the first of each command, and the repeats, each with its first: it must see what that did.
fn part(batch: &[Command]) -> (Vec<usize>, Vec<(usize, usize)>) {
    #[derive(PartialEq, Eq, Hash)]
    enum Key<'a> {
        Send(i64, &'a str),
        Read(i64, i64),
    }
    let mut firsts = HashMap::with_capacity(batch.len());
    let (mut first_times, mut repeats) = (Vec::with_capacity(batch.len()), Vec::new());
    for (index, command) in batch.iter().enumerate() {
        let key = match command {
            Command::Send(send) => Key::Send(send.sender.0, &send.client_message_id),
            Command::MarkRead { reader, message } => Key::Read(reader.0, message.0),
        };
        match firsts.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(index);
                first_times.push(index);
            }
            Entry::Occupied(entry) => repeats.push((index, *entry.get())),
        }
    }
    (first_times, repeats)
}

#[cfg(test)]
mod tests {
    use switchboard_protocol::{MessageId, UserId};

    use super::*;

    #[test]
    fn repeats_come_after_the_first_of_each() {
        let read =
            |reader, message| Command::MarkRead { reader: UserId(reader), message: MessageId(message) };
        let batch = [read(1, 1), read(1, 2), read(1, 1), read(2, 1), read(2, 1), read(1, 1)];
        assert_eq!(part(&batch), (vec![0, 1, 3], vec![(2, 0), (4, 3), (5, 0)]));
    }
}
