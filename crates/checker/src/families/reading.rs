//! U2 and U3: what was read stays read, and only that is said to be read.

use std::collections::HashMap;

use super::Family;
use crate::history::{Entry, Event, Kind, Line, Page};
use crate::ledger::{Ledger, Mailbox, Stored};
use crate::property::Property::{U2, U3};
use crate::verdict::Judge;

/// U2 and U3.
#[derive(Default)]
pub(super) struct Reading {
    /// When a message was first shown as read, to anybody.
    shown_read: HashMap<i64, u64>,
}

impl Family for Reading {
    fn see(&mut self, Line { t, event }: &Line, ledger: &Ledger, judge: &mut Judge) {
        match event {
            Event::Page(page) => self.see_page(*t, page, ledger, judge),
            Event::Entry(entry) => self.see_entry(*t, entry, ledger, judge),
            _ => {}
        }
    }

    fn conclude(&mut self, ledger: &Ledger, judge: &mut Judge) {
        for (message, t) in &self.shown_read {
            let stays = ledger.store.find(*message).is_none_or(|stored| stored.copies.is_read);
            judge.hold(U2, stays, *t, || {
                format!("message {message} was shown read, and is unread in the store")
            });
        }
        for (user, message, mark) in ledger.reads.iter() {
            let Some(done) = mark.done else { continue };
            let stored = ledger.store.find(message).filter(|stored| stored.recipient == user);
            judge.hold(U3, stored.is_some(), done, || {
                format!("user {user} was told that message {message} is read, and did not receive it")
            });
            judge.hold(U2, stored.is_none_or(|stored| stored.copies.is_read), done, || {
                format!("user {user} was told that message {message} is read, and it is unread in the store")
            });
        }
        for stored in &ledger.store.messages {
            has_receipt(stored, ledger, judge);
        }
        for (user, seq, kind, message) in &ledger.store.strays {
            if *kind == Kind::Receipt {
                judge.broken(U3, ledger.end(), || {
                    format!(
                        "user {user} has a receipt at {seq} of message {message}, which they did not send"
                    )
                });
            }
        }
    }
}

fn has_receipt(stored: &Stored, ledger: &Ledger, judge: &mut Judge) {
    let Stored { message, sender, recipient, copies, .. } = stored;
    // A message to oneself is read from its first moment, and no entry tells of that.
    let must_be = copies.is_read && !stored.is_to_oneself();
    let is_trimmed = ledger.store.mailboxes.get(sender).is_some_and(Mailbox::is_trimmed);
    let n = copies.n_receipts;
    if must_be || n > 0 {
        judge.hold(U3, n == u32::from(must_be) || n == 0 && is_trimmed, ledger.end(), || {
            let state = if must_be { "read" } else { "not read" };
            format!("message {message} of user {sender} is {state} by user {recipient}, and has {n} receipts")
        });
    }
    if must_be && ledger.reads.find(*recipient, *message).is_none() {
        judge.broken(U3, ledger.end(), || {
            format!("message {message} is read in the store, and user {recipient} never asked for that")
        });
    }
}

impl Reading {
    fn see_page(&mut self, t: u64, page: &Page, ledger: &Ledger, judge: &mut Judge) {
        for shown in &page.messages {
            let sent = || ledger.sends.ack(shown.message).map(|sending| sending.recipient);
            let recipient = if shown.sender == page.user { sent() } else { Some(page.user) };
            let Some(recipient) = recipient else { continue };
            let place = || format!("a page of user {} asked for at {} µs", page.user, page.asked);
            if shown.is_read {
                let is_to_oneself = recipient == shown.sender;
                let was_asked = is_to_oneself || ledger.reads.find(recipient, shown.message).is_some();
                self.see_read(t, shown.message, was_asked, place, judge);
            } else {
                self.see_unread((t, page.asked), (recipient, shown.message), place, ledger, judge);
            }
        }
    }

    fn see_entry(&mut self, t: u64, entry: &Entry, ledger: &Ledger, judge: &mut Judge) {
        let Some(device) = ledger.devices.find(&entry.device) else { return };
        let place = || format!("entry {} of device `{}`", entry.seq, entry.device);
        match (entry.kind, entry.is_read, entry.actor) {
            (Kind::Receipt, _, Some(reader)) => {
                for message in &entry.messages {
                    judge.hold(U3, ledger.reads.find(reader, *message).is_some(), t, || {
                        format!(
                            "{} says that user {reader} read message {message}, who never asked for that",
                            place()
                        )
                    });
                }
            }
            (Kind::Received, Some(true), sender) => {
                for message in &entry.messages {
                    let is_to_oneself = sender == Some(device.user);
                    let was_asked = is_to_oneself || ledger.reads.find(device.user, *message).is_some();
                    self.see_read(t, *message, was_asked, place, judge);
                }
            }
            (Kind::Received, Some(false), _) => {
                // What was on its way when the connection was asked for may still say that it is unread.
                let asked = device.links.last().map_or(0, |link| link.asked);
                for message in &entry.messages {
                    self.see_unread((t, asked), (device.user, *message), place, ledger, judge);
                }
            }
            _ => {}
        }
    }

    fn see_read(
        &mut self,
        t: u64,
        message: i64,
        was_asked: bool,
        place: impl Fn() -> String,
        judge: &mut Judge,
    ) {
        self.shown_read.entry(message).or_insert(t);
        judge.hold(U3, was_asked, t, || {
            format!("{} shows message {message} as read, and its recipient never asked for that", place())
        });
    }

    fn see_unread(
        &self,
        (t, asked): (u64, u64),
        (recipient, message): (i64, i64),
        place: impl Fn() -> String,
        ledger: &Ledger,
        judge: &mut Judge,
    ) {
        let was_shown = self.shown_read.get(&message).is_some_and(|shown| *shown < asked);
        let was_read = was_shown || ledger.reads.is_done_before(recipient, message, asked);
        judge.hold(U2, !was_read, t, || {
            format!("{} shows message {message} as unread, and it was read", place())
        });
    }
}
