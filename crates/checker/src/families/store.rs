//! S1 to S4: what was acknowledged, refused or unknown, against what the store holds.

use std::collections::HashMap;

use super::Family;
use crate::history::Kind;
use crate::ledger::{Fate, Ledger, Mailbox, Sending, Stored};
use crate::property::Property::{S1, S2, S3, S4};
use crate::verdict::Judge;

/// S1, S2, S3.
pub(super) struct Durability;

impl Family for Durability {
    fn conclude(&mut self, ledger: &Ledger, judge: &mut Judge) {
        let mut by_key: HashMap<usize, Vec<&Stored>> = HashMap::with_capacity(ledger.store.messages.len());
        for stored in &ledger.store.messages {
            stored_was_sent(stored, ledger, judge);
            if let Some(key) = stored.key {
                by_key.entry(key).or_default().push(stored);
            }
        }
        for key in 0..ledger.sends.keys().len() {
            let stored = by_key.get(&key).map(Vec::as_slice).unwrap_or_default();
            for sending in ledger.sends.of_key(key) {
                sent_is_stored(sending, stored, ledger, judge);
            }
            refused_is_not_stored(key, stored, ledger, judge);
            one_key_is_one_message(key, stored, ledger, judge);
        }
    }
}

/// The send as a person finds it.
fn name(sending: &Sending, ledger: &Ledger) -> String {
    let key = &ledger.sends.keys()[sending.key];
    format!("`{}` of user {} (operation {})", key.name, key.user, sending.op)
}

fn is_deletable(stored: &Stored, ledger: &Ledger) -> bool {
    ledger.deletes.may_be_done_at(stored.sender, stored.message, u64::MAX)
}

fn sent_is_stored(sending: &Sending, stored: &[&Stored], ledger: &Ledger, judge: &mut Judge) {
    let Fate::Sent { message, seq, .. } = sending.fate else { return };
    judge.judged(S1, 1);
    let mut broken = |what: String| {
        judge.broken(S1, sending.fate_t, || {
            format!("{} was acknowledged as message {message}: {what}", name(sending, ledger))
        });
    };
    let [stored] = stored else {
        return broken(format!("the store has {} messages of that client id", stored.len()));
    };
    if stored.message != message {
        return broken(format!("the store has message {} under that client id", stored.message));
    }
    let is_erased = stored.is_deleted && stored.text.is_empty();
    if is_erased && !is_deletable(stored, ledger) {
        return broken("it is deleted in the store, and its sender did not delete it".to_owned());
    }
    let is_same = stored.recipient == sending.recipient
        && (is_erased || (stored.text, &stored.files) == (sending.text, &sending.files));
    if !is_same {
        return broken("the store has another text, other files or another recipient".to_owned());
    }
    let mailbox = ledger.store.mailboxes.get(&sending.user);
    let rows = mailbox.map(|mailbox| mailbox.rows.as_slice()).unwrap_or_default();
    let mut rows = rows[rows.partition_point(|row| row.seq < seq)..].iter().take_while(|row| row.seq == seq);
    if !rows.any(|row| row.kind == Kind::Sent && row.messages.iter().eq([message])) {
        broken(format!("the sender's mailbox has no such entry at {seq}"));
    }
}

fn stored_was_sent(stored: &Stored, ledger: &Ledger, judge: &mut Judge) {
    judge.judged(S2, 1);
    let mut sends = stored.key.into_iter().flat_map(|key| ledger.sends.of_key(key)).filter(|sending| {
        let is_erased = stored.is_deleted && stored.text.is_empty() && is_deletable(stored, ledger);
        sending.fate != Fate::Refused
            && sending.recipient == stored.recipient
            && (is_erased || sending.text == stored.text)
    });
    if sends.next().is_none() {
        judge.broken(S2, ledger.end(), || {
            let Stored { message, sender, recipient, .. } = stored;
            format!("message {message} of user {sender} to user {recipient} is stored, and no send of it was accepted")
        });
    }
}

/// A send with a text that was always refused. That of the same key with another text may be stored.
fn refused_is_not_stored(key: usize, stored: &[&Stored], ledger: &Ledger, judge: &mut Judge) {
    for sending in ledger.sends.of_key(key).filter(|sending| sending.fate == Fate::Refused) {
        let is_same = |other: &&Sending| other.says_the_same(sending);
        let is_first = ledger.sends.of_key(key).find(is_same).is_some_and(|first| first.op == sending.op);
        if !is_first || ledger.sends.of_key(key).filter(is_same).any(|other| other.fate != Fate::Refused) {
            continue;
        }
        let is_it = |stored: &&Stored| stored.text == sending.text && stored.recipient == sending.recipient;
        judge.hold(S2, !stored.iter().any(is_it), sending.fate_t, || {
            format!("{} was refused, and the store has it", name(sending, ledger))
        });
    }
}

fn one_key_is_one_message(key: usize, stored: &[&Stored], ledger: &Ledger, judge: &mut Judge) {
    let sends = || ledger.sends.of_key(key);
    let is_asked_again = sends().nth(1).is_some();
    if !is_asked_again && stored.len() <= 1 {
        return;
    }
    judge.judged(S3, 1);
    if let [_, second, ..] = stored {
        judge.broken(S3, ledger.end(), || {
            let key = &ledger.sends.keys()[key];
            let (n, user, second) = (stored.len(), key.user, second.message);
            format!("the store has {n} messages under `{}` of user {user}, such as {second}", key.name)
        });
    }
    let mut acknowledged = sends().filter_map(|sending| match sending.fate {
        Fate::Sent { message, seq, .. } => Some((sending, message, seq)),
        Fate::Unknown | Fate::Refused => None,
    });
    let Some((first, message, seq)) = acknowledged.next() else { return };
    for (other, other_message, other_seq) in acknowledged {
        if (message, seq) != (other_message, other_seq) {
            judge.broken(S3, other.fate_t, || {
                let other = name(other, ledger);
                format!("{other} is message {other_message} at {other_seq}, and {message} at {seq} before")
            });
        } else if !other.says_the_same(first) {
            judge.broken(S3, other.fate_t, || {
                format!(
                    "{} was acknowledged, though it is not what was sent under that id before",
                    name(other, ledger)
                )
            });
        }
    }
}

/// S4.
pub(super) struct Gaplessness;

impl Family for Gaplessness {
    fn conclude(&mut self, ledger: &Ledger, judge: &mut Judge) {
        for (user, mailbox) in &ledger.store.mailboxes {
            judge.judged(S4, mailbox.rows.len() as u64);
            if let Err(what) = is_gapless(mailbox) {
                judge.broken(S4, ledger.end(), || format!("the mailbox of user {user} {what}"));
            }
        }
        for device in ledger.devices.iter() {
            if !ledger.store.mailboxes.contains_key(&device.user) {
                judge
                    .broken(S4, ledger.end(), || format!("user {} has no mailbox in the store", device.user));
            }
        }
    }
}

fn is_gapless(mailbox: &Mailbox) -> Result<(), String> {
    let Some(head) = mailbox.head else {
        return Err("has entries, but is not in the store itself".to_owned());
    };
    let mut due = 1;
    for row in &mailbox.rows {
        // Below the floor, entries may be gone.
        due = if row.seq <= head.floor { due.max(row.seq) } else { due.max(head.floor + 1) };
        if row.seq < due {
            return Err(format!("has {} twice", row.seq));
        }
        if row.seq > due {
            return Err(format!("has a hole at {due}: {} follows", row.seq));
        }
        due += 1;
    }
    match due.max(head.floor + 1) - 1 {
        last if last == head.last_seq => Ok(()),
        last => Err(format!("ends at {last}, and its last position is said to be {}", head.last_seq)),
    }
}
