//! D9: what was deleted does not come back.

use super::Family;
use crate::history::{Body, Event, Line};
use crate::ledger::{Fate, Ledger};
use crate::property::Property::D9;
use crate::verdict::Judge;

/// D9.
pub(super) struct Deletion;

impl Family for Deletion {
    fn see(&mut self, Line { t, event }: &Line, ledger: &Ledger, judge: &mut Judge) {
        match event {
            Event::Page(page) => {
                for shown in &page.messages {
                    let asked = (page.user, page.asked);
                    if let Some(message) = deleted(&[shown.message], &shown.body, asked, ledger) {
                        judge.broken(D9, *t, || {
                            format!("user {} asked for a page at {} µs that shows message {message}, deleted before", page.user, page.asked)
                        });
                    }
                }
            }
            Event::Entry(entry) => {
                let (Some(device), Some(body)) = (ledger.devices.find(&entry.device), &entry.body) else {
                    return;
                };
                // What was on its way when the connection was asked for may still say it.
                let Some(link) = device.links.last() else { return };
                if let Some(message) = deleted(&entry.messages, body, (device.user, link.asked), ledger) {
                    judge.broken(D9, *t, || {
                        let (name, user, seq) = (&device.name, device.user, entry.seq);
                        format!("device `{name}` of user {user} asked for a connection at {} µs, and entry {seq} shows message {message}, deleted before", link.asked)
                    });
                }
            }
            _ => {}
        }
    }

    fn conclude(&mut self, ledger: &Ledger, judge: &mut Judge) {
        for (user, message, mark) in ledger.deletes.iter() {
            let Some(done) = mark.done else { continue };
            let is_gone = ledger.store.find(message).is_none_or(|stored| {
                let is_hidden = stored.recipient == user && stored.copies.received_is_hidden;
                if stored.sender == user { stored.is_deleted } else { is_hidden }
            });
            judge.hold(D9, is_gone, done, || {
                format!("user {user} was told that message {message} is deleted, and the store has it")
            });
        }
    }
}

/// Of what is shown there, a message that was deleted before, by its sender or by the user who is shown it.
fn deleted(messages: &[i64], body: &Body, (user, asked): (i64, u64), ledger: &Ledger) -> Option<i64> {
    let text = ledger.sends.text(body);
    if text.is_empty() {
        return None;
    }
    let by_text = ledger.sends.owner(text).and_then(|sending| match sending.fate {
        Fate::Sent { message, .. } => Some(message),
        Fate::Unknown | Fate::Refused => None,
    });
    messages.iter().copied().chain(by_text).find(|message| {
        let sender =
            ledger.sends.ack(*message).or_else(|| ledger.sends.owner(text)).map(|sending| sending.user);
        let is_deleted = |user| ledger.deletes.is_done_before(user, *message, asked);
        is_deleted(user) || sender.is_some_and(is_deleted)
    })
}
