//! In which order the commands of a batch are done.

use std::collections::HashMap;

use switchboard_protocol::MessageId;
use switchboard_store::{Command, Edit};

/// What a transaction may have together.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Talk,
    OfMessage,
    /// Only itself.
    Other,
}

fn kind(command: &Command) -> Kind {
    match command {
        Command::Send(_) | Command::MarkRead { .. } => Kind::Talk,
        Command::Group { .. } | Command::Own { .. } => Kind::Other,
        _ => Kind::OfMessage,
    }
}

/// The commands of a turn as they are done: those of one user in their order, and in as few transactions as that allows.
pub(super) fn in_order(batch: &[Command], mut turn: Vec<usize>) -> Vec<usize> {
    let (mut transactions, mut place, mut of_user) = (Vec::new(), HashMap::new(), HashMap::new());
    for &index in &turn {
        let kind = kind(&batch[index]);
        let mut at: usize = of_user.get(&batch[index].actor()).copied().unwrap_or(0);
        while transactions.get(at).is_some_and(|of| *of != kind || kind == Kind::Other) {
            at += 1;
        }
        if at == transactions.len() {
            transactions.push(kind);
        }
        of_user.insert(batch[index].actor(), at);
        place.insert(index, at);
    }
    turn.sort_by_key(|index| place[index]);
    turn
}

/// Commands of a batch.
pub(super) struct Parted {
    /// Of which none waits.
    pub(super) turn: Vec<usize>,
    pub(super) behind: Vec<Behind>,
}

/// One that waits for another.
pub(super) struct Behind {
    pub(super) index: usize,
    pub(super) first: usize,
    /// Whether it asks for what that did, with nothing between them that undoes it.
    pub(super) is_repeat: bool,
}

pub(super) fn part(batch: &[Command], left: &[usize]) -> Parted {
    let (mut turn, mut behind) = (Vec::new(), Vec::<Behind>::new());
    for &index in left {
        let command = &batch[index];
        let waiting = |it: &&Behind| !it.is_repeat && batch[it.index].actor() == command.actor();
        let first =
            left.iter().copied().find(|first| touch(&batch[*first], command)).filter(|it| *it < index);
        let is_undone = |first| behind.iter().any(|it| !it.is_repeat && it.first == first);
        match (first, behind.iter().find(waiting)) {
            (Some(first), _) => {
                let is_same =
                    batch[first] == *command && !(kind(command) == Kind::OfMessage && is_undone(first));
                let is_repeat = is_same || matches!(command, Command::Send(_));
                behind.push(Behind { index, first, is_repeat });
            }
            (None, Some(own)) => behind.push(Behind { index, first: own.index, is_repeat: false }),
            (None, None) => turn.push(index),
        }
    }
    Parted { turn, behind }
}

/// Whether no transaction does both.
fn touch(one: &Command, other: &Command) -> bool {
    match (one, other) {
        (Command::Send(one), Command::Send(other)) => {
            (one.sender, &one.client_message_id) == (other.sender, &other.client_message_id)
        }
        (Command::MarkRead { reader, messages }, Command::MarkRead { reader: other, messages: others }) => {
            reader == other && messages.iter().any(|message| others.contains(message))
        }
        (one, other) => changed(one).is_some_and(|message| changed(other) == Some(message)),
    }
}

/// The message that something is done to.
fn changed(command: &Command) -> Option<MessageId> {
    match command {
        Command::Delete { message, .. }
        | Command::Edit(Edit { message, .. })
        | Command::React { message, .. } => Some(*message),
        _ => None,
    }
}
