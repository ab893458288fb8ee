//! S7: a message, its entries, its files and its deletion are all there or none.

use super::Family;
use crate::history::Kind;
use crate::ledger::{Fate, Ledger, Mailbox, Stored};
use crate::property::Property::S7;
use crate::verdict::Judge;

/// S7.
pub(super) struct Atomicity;

impl Family for Atomicity {
    fn conclude(&mut self, ledger: &Ledger, judge: &mut Judge) {
        judge.judged(S7, ledger.store.messages.len() as u64);
        for stored in &ledger.store.messages {
            let rules =
                [entries(stored), reading(stored, ledger), deletion(stored, ledger), files(stored, ledger)];
            for what in rules.into_iter().flatten() {
                judge.broken(S7, ledger.end(), || {
                    let Stored { message, sender, recipient, .. } = stored;
                    format!("message {message} of user {sender} to user {recipient} {what}")
                });
            }
        }
        for (user, seq, kind, message) in &ledger.store.strays {
            // Receipts are U3's.
            if *kind != Kind::Receipt {
                judge.broken(S7, ledger.end(), || {
                    format!("user {user} has an entry at {seq} of message {message}, which is not there or not theirs")
                });
            }
        }
    }
}

fn entries(stored: &Stored) -> Option<String> {
    let (n_sent, n_received) = (stored.copies.n_sent, stored.copies.n_received);
    let is_whole = (n_sent, n_received) == (1, 1);
    (!is_whole).then(|| format!("has {n_sent} entries with its sender and {n_received} with its recipient"))
}

fn is_trimmed(user: i64, ledger: &Ledger) -> bool {
    ledger.store.mailboxes.get(&user).is_some_and(Mailbox::is_trimmed)
}

/// Whether there are as many derived entries as there must be; with a floor they may be gone.
fn is_right(n: u32, must_be: bool, user: i64, ledger: &Ledger) -> bool {
    n == u32::from(must_be) || n == 0 && is_trimmed(user, ledger)
}

fn reading(stored: &Stored, ledger: &Ledger) -> Option<String> {
    // A message to oneself is read from its first moment, and no entry tells of that.
    let must_be = stored.copies.is_read && !stored.is_to_oneself();
    let n = stored.copies.n_read;
    (!is_right(n, must_be, stored.recipient, ledger)).then(|| {
        format!("is {} and {n} entries say that it was read", if must_be { "read" } else { "unread" })
    })
}

fn deletion(stored: &Stored, ledger: &Ledger) -> Option<String> {
    let Stored { message, sender, recipient, is_deleted, copies, .. } = stored;
    if *is_deleted && !(stored.text.is_empty() && stored.files.is_empty()) {
        return Some("is deleted and has a text or files".to_owned());
    }
    if *is_deleted && !(copies.sent_is_hidden && copies.received_is_hidden) {
        return Some("is deleted and an entry shows it".to_owned());
    }
    if copies.sent_is_hidden && !is_deleted {
        return Some("is hidden from its sender and not deleted".to_owned());
    }
    let may_hide = |user: &i64| ledger.deletes.may_be_done_at(*user, *message, u64::MAX);
    if copies.received_is_hidden && !may_hide(recipient) && !may_hide(sender) {
        return Some("is hidden from its recipient, and nobody deleted it".to_owned());
    }
    let hidden_from_recipient = copies.received_is_hidden && !stored.is_to_oneself();
    let is_told = is_right(copies.n_deleted_of_sender, copies.sent_is_hidden, *sender, ledger)
        && is_right(copies.n_deleted_of_recipient, hidden_from_recipient, *recipient, ledger);
    (!is_told).then(|| {
        let (of_sender, of_recipient) = (copies.n_deleted_of_sender, copies.n_deleted_of_recipient);
        format!(
            "has {of_sender} entries of its deletion with its sender and {of_recipient} with its recipient"
        )
    })
}

fn files(stored: &Stored, ledger: &Ledger) -> Option<String> {
    let sends = || stored.key.into_iter().flat_map(|key| ledger.sends.of_key(key));
    let mut texts =
        sends().filter(|sending| sending.text == stored.text && sending.fate != Fate::Refused).peekable();
    // What was not sent like that is S1's and S2's.
    texts.peek()?;
    let is_linked = stored.is_deleted || texts.any(|sending| sending.files == stored.files);
    (!is_linked).then(|| format!("has the files {:?}, and was sent with others", stored.files))
}
