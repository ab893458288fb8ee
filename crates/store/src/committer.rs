//! The way to write: a batch of commands becomes one transaction.
//!
//! What is here holds for both back ends: no transaction has a command twice, one bad command spoils no other,
//! and a batch has its outcome by its deadline.

use std::collections::HashSet;
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
    /// alone; what has not had its turn by the deadline is [`Refusal::Busy`].
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
        for turn in [first_times, repeats] {
            match self.attempt(&batch, &turn, deadline).await {
                Ok(committed) => {
                    for (index, outcome) in turn.into_iter().zip(committed) {
                        outcomes[index] = outcome;
                    }
                }
                Err(StoreError::Rejected(_) | StoreError::Interrupted(_)) => {
                    for index in turn {
                        if Instant::now() < deadline {
                            outcomes[index] = self.commit_one(&batch, index, deadline).await?;
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outcomes)
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
        if turn.is_empty() {
            return Ok(Vec::new());
        }
        match &*self.store.backend {
            Backend::Postgres(postgres) => {
                let commands: Vec<_> = turn.iter().map(|index| &batch[*index]).collect();
                self.postgres.commit(postgres, &commands, deadline).await
            }
            Backend::Sqlite(sqlite) => sqlite.commit(Arc::clone(batch), turn.to_vec()).await,
        }
    }
}

/// Parts a batch into the first of each command and the repeats of those, which must see what the first did and
/// make no entries: so that they come later changes no order.
fn part(batch: &[Command]) -> (Vec<usize>, Vec<usize>) {
    #[derive(PartialEq, Eq, Hash)]
    enum Key<'a> {
        Send(i64, &'a str),
        Read(i64, i64),
    }
    let mut seen = HashSet::with_capacity(batch.len());
    (0..batch.len()).partition(|index| {
        seen.insert(match &batch[*index] {
            Command::Send(send) => Key::Send(send.sender.0, &send.client_message_id),
            Command::MarkRead { reader, message } => Key::Read(reader.0, message.0),
        })
    })
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
        assert_eq!(part(&batch), (vec![0, 1, 3], vec![2, 4, 5]));
    }
}
