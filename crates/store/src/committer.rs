//! The way to write: a batch of commands becomes one transaction.
//!
//! What is here holds for both back ends: no transaction has a command that is not done yet twice, one bad command
//! spoils no other, and nothing is begun after the deadline.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use switchboard_protocol::UserId;
use tokio::time::Instant;

use crate::error::StoreError;
use crate::model::{Command, Edit, Outcome, Refusal};
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
        let mut left: Vec<usize> = (0..batch.len()).collect();
        let mut is_first = true;
        while !left.is_empty() {
            let (turn, behind) = part(&batch, &left);
            let mut result = self.take_turn(&batch, &turn, deadline, &mut outcomes).await;
            if is_first {
                result?;
                (is_first, result) = (false, Ok(()));
            }
            let (repeats, others) = sort(&batch, behind, &mut outcomes);
            if result.is_ok() {
                result = self.take_turn(&batch, &repeats, deadline, &mut outcomes).await;
            }
            if let Err(error) = result {
                // What the others came to is known, and must be told.
                tracing::warn!("a part of a batch found no answer: {error}");
                break;
            }
            left = others;
        }
        Ok(outcomes)
    }

    /// Commits some of the batch and fills in their outcomes. What has had none is left as it was.
    ///
    /// Each class of commands has statements of its own, and so its own transactions: see [`stretches`].
    async fn take_turn(
        &mut self,
        batch: &Arc<[Command]>,
        turn: &[usize],
        deadline: Instant,
        outcomes: &mut [Outcome],
    ) -> Result<(), StoreError> {
        let mut is_first = true;
        for stretch in stretches(batch, turn) {
            match self.take_stretch(batch, &stretch, deadline, outcomes).await {
                Err(error) if is_first => return Err(error),
                // The rest stays without an outcome.
                Err(_) => break,
                Ok(()) => is_first = false,
            }
        }
        Ok(())
    }

    async fn take_stretch(
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
                self.take_one_by_one(batch, turn, deadline, outcomes).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Commits each alone, in their order. One behind another of the same actor that is held up is left as it was: it would
    /// overtake that.
    async fn take_one_by_one(
        &mut self,
        batch: &Arc<[Command]>,
        turn: &[usize],
        deadline: Instant,
        outcomes: &mut [Outcome],
    ) -> Result<(), StoreError> {
        let mut held_up = HashSet::new();
        for (nth, index) in turn.iter().enumerate() {
            if Instant::now() >= deadline {
                break;
            }
            let actor = batch[*index].actor();
            if held_up.contains(&actor) {
                continue;
            }
            match self.commit_one(batch, *index, deadline).await {
                Ok(outcome) => {
                    if outcome == Outcome::Refused(Refusal::Busy) {
                        held_up.insert(actor);
                    }
                    outcomes[*index] = outcome;
                }
                Err(error) if nth == 0 => return Err(error),
                // What those before it came to is known, and must be told.
                Err(_) => break,
            }
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

/// Commands that one transaction may have together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Sends and read marks: most of what there is.
    Hot,
    /// What is done to a message.
    OfMessage,
    /// What is rare: each has a transaction of its own.
    Alone,
}

/// Which one it is of.
pub(crate) fn class(command: &Command) -> Class {
    match command {
        Command::Send(_) | Command::MarkRead { .. } => Class::Hot,
        Command::Delete { .. } | Command::Edit(_) | Command::React { .. } => Class::OfMessage,
        Command::Group { .. } | Command::Own { .. } => Class::Alone,
    }
}

/// Parts a turn into transactions, as few as the order of each actor's commands allows: what another asked for at the same
/// time may be done before or after.
fn stretches(batch: &[Command], turn: &[usize]) -> Vec<Vec<usize>> {
    let mut stretches: Vec<(Class, Vec<usize>)> = Vec::new();
    let mut latest: HashMap<UserId, usize> = HashMap::new();
    for &index in turn {
        let (class, actor) = (class(&batch[index]), batch[index].actor());
        let from = latest.get(&actor).copied().unwrap_or(0);
        let fits = |(of, _): &(Class, Vec<usize>)| *of == class && class != Class::Alone;
        let at = stretches[from..].iter().position(fits).map_or(stretches.len(), |at| from + at);
        if at == stretches.len() {
            stretches.push((class, Vec::new()));
        }
        stretches[at].1.push(index);
        latest.insert(actor, at);
    }
    stretches.into_iter().map(|(_, stretch)| stretch).collect()
}

/// A command that stands behind another of the same batch.
struct Behind {
    index: usize,
    /// What it stands behind.
    first: usize,
    /// Whether it changes nothing once that is done.
    is_repeat: bool,
}

/// Parts what is left of a batch into commands of which none touches what another does, and those behind them, which
/// must see what those did.
fn part(batch: &[Command], left: &[usize]) -> (Vec<usize>, Vec<Behind>) {
    let mut firsts = HashMap::with_capacity(left.len());
    let (mut turn, mut behind) = (Vec::with_capacity(left.len()), Vec::<Behind>::new());
    for &index in left {
        let command = &batch[index];
        let first = keys(command).find_map(|key| Some((*firsts.get(&key)?, matches!(key, Key::Send(..)))));
        match first {
            Some((first, same_id)) => {
                // What is set, taken back and set again is no repeat: the last says how it ends.
                let is_between = |other: &Behind| other.first == first && !other.is_repeat;
                let is_undone = class(command) == Class::OfMessage && behind.iter().any(is_between);
                let is_repeat = same_id || batch[first] == *command && !is_undone;
                behind.push(Behind { index, first, is_repeat });
            }
            None => turn.push(index),
        }
        for key in keys(command) {
            firsts.entry(key).or_insert(index);
        }
    }
    (turn, behind)
}

/// Settles those behind what was refused. Gives those that repeat what is done, which may go together, and the others.
fn sort(batch: &[Command], behind: Vec<Behind>, outcomes: &mut [Outcome]) -> (Vec<usize>, Vec<usize>) {
    let (mut repeats, mut others) = (Vec::new(), Vec::new());
    for Behind { index, first, is_repeat } in behind {
        match outcomes[first] {
            // Behind one that is not done yet, it waits with it.
            _ if !is_repeat || others.contains(&first) => others.push(index),
            // It makes no entry, so that it comes later changes no order.
            Outcome::Committed(_)
            | Outcome::Repeated(_)
            | Outcome::Refused(Refusal::ClientMessageIdReused) => repeats.push(index),
            Outcome::Refused(refusal) if batch[index] == batch[first] => {
                outcomes[index] = Outcome::Refused(refusal);
            }
            // It would overtake what stands between.
            Outcome::Refused(_) => {}
        }
    }
    (repeats, others)
}

/// What no transaction may change twice.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Send(i64, &'a str),
    File(i64),
    Read(i64, i64),
    OfMessage(i64),
}

fn keys(command: &Command) -> Box<dyn Iterator<Item = Key<'_>> + '_> {
    match command {
        Command::Send(send) => {
            let files = send.attachments.iter().map(|file| Key::File(file.id.0));
            Box::new(std::iter::once(Key::Send(send.sender.0, &send.client_message_id)).chain(files))
        }
        Command::MarkRead { reader, messages } => {
            Box::new(messages.iter().map(|message| Key::Read(reader.0, message.0)))
        }
        // By whomever.
        Command::Delete { message, .. }
        | Command::Edit(Edit { message, .. })
        | Command::React { message, .. } => Box::new(std::iter::once(Key::OfMessage(message.0))),
        // Each is alone in its transaction.
        Command::Group { .. } | Command::Own { .. } => Box::new(std::iter::empty()),
    }
}

#[cfg(test)]
mod tests {
    use switchboard_protocol::{MessageId, UserId};

    use super::*;

    #[test]
    fn repeats_come_after_the_first_of_each() {
        let read = |reader, ids: &[i64]| Command::MarkRead {
            reader: UserId(reader),
            messages: ids.iter().copied().map(MessageId).collect(),
        };
        let delete = |actor, id| Command::Delete { actor: UserId(actor), message: MessageId(id) };
        let batch = [
            read(1, &[1]),
            read(1, &[1]),
            read(2, &[3, 4]),
            read(1, &[4]),
            delete(1, 4),
            read(2, &[5, 4]),
            delete(2, 4),
        ];
        let (turn, behind) = part(&batch, &[0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(turn, [0, 2, 3, 4]);
        let behind: Vec<_> = behind.iter().map(|it| (it.index, it.first, it.is_repeat)).collect();
        assert_eq!(behind, [(1, 0, true), (5, 2, false), (6, 4, false)]);
    }
}
