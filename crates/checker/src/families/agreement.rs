//! D4: all that was told of a message is the same, and what is stored.

use std::collections::HashMap;

use super::Family;
use crate::history::{Event, Kind, Line};
use crate::ledger::{Ledger, Sending, Stored, Text};
use crate::property::Property::D4;
use crate::verdict::Judge;

/// D4.
#[derive(Default)]
pub(super) struct Agreement {
    told: HashMap<i64, Told>,
}

/// What was told of a message. What is none was not told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Told {
    t: u64,
    conversation: Option<i64>,
    sender: Option<i64>,
    recipient: Option<i64>,
    text: Option<Text>,
    /// When it was first told without its text.
    empty: Option<u64>,
}

impl Told {
    /// Takes over what the other knows. Gives whether they agree.
    fn merge(&mut self, other: &Self) -> bool {
        fn both<T: Copy + PartialEq>(mine: &mut Option<T>, other: Option<T>) -> bool {
            let agrees = mine.is_none() || other.is_none() || *mine == other;
            *mine = mine.or(other);
            agrees
        }
        self.empty = self.empty.or(other.empty);
        both(&mut self.conversation, other.conversation)
            & both(&mut self.sender, other.sender)
            & both(&mut self.recipient, other.recipient)
            & both(&mut self.text, other.text)
    }

    fn of(stored: &Stored) -> Self {
        Self {
            t: 0,
            conversation: Some(stored.conversation),
            sender: Some(stored.sender),
            recipient: Some(stored.recipient),
            text: Some(stored.text).filter(|text| !text.is_empty()),
            empty: None,
        }
    }
}

impl Family for Agreement {
    fn see(&mut self, line: &Line, ledger: &Ledger, judge: &mut Judge) {
        let t = line.t;
        let filled = |text: Text| Some(text).filter(|text| !text.is_empty());
        match &line.event {
            Event::Entry(entry) if matches!(entry.kind, Kind::Sent | Kind::Received) => {
                let text = entry.body.as_ref().map(|body| ledger.sends.text(body));
                let told = Told {
                    t,
                    conversation: entry.conversation,
                    sender: entry.actor,
                    recipient: entry.recipient,
                    text: text.and_then(filled),
                    empty: text.filter(|text| text.is_empty()).map(|_| t),
                };
                let place = || format!("entry {} of device `{}`", entry.seq, entry.device);
                for message in &entry.messages {
                    self.hear(*message, told, place, judge);
                }
                let sending = told.text.and_then(|text| ledger.sends.owner(text));
                if let (Some(sending), Some(name)) = (sending, &entry.client_message_id) {
                    let key = &ledger.sends.keys()[sending.key];
                    judge.hold(D4, *key.name == **name, t, || {
                        format!("{} has the client id `{name}`, and was sent as `{}`", place(), key.name)
                    });
                }
            }
            Event::Page(page) => {
                for shown in &page.messages {
                    let text = ledger.sends.text(&shown.body);
                    let told = Told {
                        t,
                        conversation: Some(page.conversation),
                        sender: Some(shown.sender),
                        recipient: None,
                        text: filled(text),
                        empty: text.is_empty().then_some(t),
                    };
                    let place = || format!("a page of user {}", page.user);
                    self.hear(shown.message, told, place, judge);
                }
            }
            _ => {}
        }
    }

    fn conclude(&mut self, ledger: &Ledger, judge: &mut Judge) {
        for (message, told) in &mut self.told {
            let Some(stored) = ledger.store.find(*message) else {
                judge.broken(D4, told.t, || {
                    format!("message {message} was shown, and the store does not have it")
                });
                continue;
            };
            let agrees = told.merge(&Told::of(stored));
            judge.hold(D4, agrees, told.t, || {
                format!("message {message} was shown otherwise than it is stored")
            });
            let erased = told.empty.filter(|t| !ledger.deletes.may_be_done_at(stored.sender, *message, *t));
            if let Some(t) = erased {
                judge.broken(D4, t, || {
                    format!("message {message} was shown without its text, and its sender had not deleted it")
                });
            }
            // The store no longer knows what a deleted message said, but who sent it does.
            let was_sent = |sending: &Sending| told.text.is_none_or(|text| sending.text == text);
            if stored.is_deleted
                && !stored.key.into_iter().flat_map(|key| ledger.sends.of_key(key)).any(was_sent)
            {
                judge.broken(D4, told.t, || {
                    format!("message {message} was shown with a text that was not sent")
                });
            }
        }
    }
}

impl Agreement {
    fn hear(&mut self, message: i64, told: Told, place: impl Fn() -> String, judge: &mut Judge) {
        if told.text.is_some_and(Text::is_foreign) {
            judge.broken(D4, told.t, || {
                format!("message {message} has a text that nobody sent, in {}", place())
            });
        }
        let known = self.told.entry(message).or_insert(told);
        let agrees = known.merge(&told);
        let first = known.t;
        judge.hold(D4, agrees, told.t, || {
            format!(
                "message {message} is another one in {} than where it was first shown, at {first} µs",
                place()
            )
        });
    }
}
