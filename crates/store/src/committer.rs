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
        let outcomes = vec![Outcome::Refused(Refusal::Busy); batch.len()];
        let mut work = Work { batch, deadline, outcomes, held_up: HashSet::new() };
        let mut left: Vec<usize> = (0..work.batch.len()).collect();
        let mut is_first = true;
        while !left.is_empty() {
            let (turn, behind) = part(&work.batch, &left);
            let mut result = self.take_turn(&mut work, &turn).await;
            if is_first {
                result?;
                (is_first, result) = (false, Ok(()));
            }
            let (repeats, others) = sort(&work.batch, behind, &mut work.outcomes);
            if result.is_ok() {
                result = self.take_turn(&mut work, &repeats).await;
            }
            if let Err(error) = result {
                // What the others came to is known, and must be told.
                tracing::warn!("a part of a batch found no answer: {error}");
                break;
            }
            left = others;
        }
        Ok(work.outcomes)
    }

    /// Commits some of the batch and fills in their outcomes. What has had none is left as it was.
    ///
    /// Each class of commands has statements of its own, and so its own transactions: see [`stretches`].
    async fn take_turn(&mut self, work: &mut Work, turn: &[usize]) -> Result<(), StoreError> {
        for (nth, mut stretch) in stretches(&work.batch, turn).into_iter().enumerate() {
            stretch.retain(|index| !work.is_held_up(*index));
            let result = self.take_stretch(work, &stretch).await;
            work.hold_up(&stretch);
            match result {
                Err(error) if nth == 0 => return Err(error),
                // The rest stays without an outcome.
                Err(_) => break,
                Ok(()) => {}
            }
        }
        work.hold_up(turn);
        Ok(())
    }

    async fn take_stretch(&mut self, work: &mut Work, turn: &[usize]) -> Result<(), StoreError> {
        if turn.is_empty() || work.is_late() {
            return Ok(());
        }
        match self.attempt(work, turn).await {
            Ok(committed) => {
                for (index, outcome) in turn.iter().zip(committed) {
                    work.outcomes[*index] = outcome;
                }
            }
            Err(StoreError::Rejected(_) | StoreError::Interrupted(_)) => {
                self.take_one_by_one(work, turn).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Commits each alone, in their order.
    async fn take_one_by_one(&mut self, work: &mut Work, turn: &[usize]) -> Result<(), StoreError> {
        for (nth, index) in turn.iter().enumerate() {
            if work.is_late() {
                break;
            }
            if work.is_held_up(*index) {
                continue;
            }
            match self.commit_one(work, *index).await {
                Ok(outcome) => work.outcomes[*index] = outcome,
                Err(error) if nth == 0 => return Err(error),
                // What those before it came to is known, and must be told.
                Err(_) => break,
            }
            work.hold_up(&[*index]);
        }
        Ok(())
    }

    async fn commit_one(&mut self, work: &Work, index: usize) -> Result<Outcome, StoreError> {
        let refusal = match self.attempt(work, &[index]).await {
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

    async fn attempt(&mut self, work: &Work, turn: &[usize]) -> Result<Vec<Outcome>, StoreError> {
        match &*self.store.backend {
            Backend::Postgres(postgres) => {
                let commands: Vec<_> = turn.iter().map(|index| &work.batch[*index]).collect();
                self.postgres.commit(postgres, &commands, work.deadline).await
            }
            Backend::Sqlite(sqlite) => sqlite.commit(Arc::clone(&work.batch), turn.to_vec()).await,
        }
    }
}

/// A batch, and how far it is.
struct Work {
    batch: Arc<[Command]>,
    /// Nothing is begun after it.
    deadline: Instant,
    outcomes: Vec<Outcome>,
    /// Whose command stays without an outcome. What they asked for after it would overtake it.
    held_up: HashSet<UserId>,
}

impl Work {
    fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn is_held_up(&self, index: usize) -> bool {
        self.held_up.contains(&self.batch[index].actor())
    }

    /// Notes whose of these commands, which had their turn, is held up.
    fn hold_up(&mut self, turn: &[usize]) {
        let busy = |index: &&usize| self.outcomes[**index] == Outcome::Refused(Refusal::Busy);
        self.held_up.extend(turn.iter().filter(busy).map(|index| self.batch[*index].actor()));
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
/// must see what those did. Behind them is also what the actor of one of these asked for later.
fn part(batch: &[Command], left: &[usize]) -> (Vec<usize>, Vec<Behind>) {
    let mut firsts = HashMap::with_capacity(left.len());
    let mut waiting: HashMap<UserId, usize> = HashMap::new();
    let (mut turn, mut behind) = (Vec::with_capacity(left.len()), Vec::<Behind>::new());
    for &index in left {
        let command = &batch[index];
        let first = keys(command).find_map(|key| Some((*firsts.get(&key)?, matches!(key, Key::Send(..)))));
        let (first, is_repeat) = match (first, waiting.get(&command.actor())) {
            (Some((first, same_id)), _) => {
                // What is set, taken back and set again is no repeat: the last says how it ends.
                let is_between = |other: &Behind| other.first == first && !other.is_repeat;
                let is_undone = class(command) == Class::OfMessage && behind.iter().any(is_between);
                (Some(first), same_id || batch[first] == *command && !is_undone)
            }
            (None, own) => (own.copied(), false),
        };
        match first {
            Some(first) => behind.push(Behind { index, first, is_repeat }),
            None => turn.push(index),
        }
        if first.is_some() && !is_repeat {
            waiting.entry(command.actor()).or_insert(index);
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
        // What the actor of one that waits asked for after it waits too, but for what changes nothing.
        let batch = [
            delete(1, 7),
            read(2, &[1]),
            delete(2, 7),
            delete(2, 8),
            read(2, &[1]),
            delete(1, 9),
            delete(2, 8),
        ];
        let (turn, behind) = part(&batch, &[0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(turn, [0, 1, 5]);
        let behind: Vec<_> = behind.iter().map(|it| (it.index, it.first, it.is_repeat)).collect();
        assert_eq!(behind, [(2, 0, false), (3, 2, false), (4, 1, true), (6, 3, true)]);
    }
}
