//! D5 and D6 of pages: what was acknowledged before a page was asked for is in it, and so is what an earlier one showed.

use std::collections::HashMap;

use super::Family;
use crate::history::{Event, Line, Page};
use crate::ledger::{Ledger, Stored};
use crate::property::Property::{D5, D6};
use crate::verdict::Judge;

/// D5 and D6.
#[derive(Default)]
pub(super) struct Pages {
    asked: Vec<Asked>,
    /// The messages of all pages, by number and ascending within a page.
    shown: Vec<i64>,
    /// By user and message.
    seen: HashMap<(i64, i64), Seen>,
}

/// A page, without its messages.
struct Asked {
    user: i64,
    conversation: i64,
    asked: u64,
    answered: u64,
    /// From the oldest to the newest message that it must have.
    range: (i64, i64),
    /// Where its messages are in [`Pages::shown`].
    shown: std::ops::Range<usize>,
}

/// Since when a user was shown a message.
struct Seen {
    first: u64,
    read: Option<u64>,
}

impl Family for Pages {
    fn see(&mut self, Line { t, event }: &Line, _ledger: &Ledger, judge: &mut Judge) {
        let Event::Page(page) = event else { return };
        let is_ordered = page.messages.is_sorted_by(|newer, older| newer.message > older.message);
        judge.hold(D6, is_ordered, *t, || {
            let Page { user, conversation, .. } = page;
            format!("a page of conversation {conversation} for user {user} is not in the order of messages")
        });
        for shown in &page.messages {
            let seen = self.seen.entry((page.user, shown.message));
            let seen = seen.or_insert(Seen { first: *t, read: None });
            if shown.is_read {
                seen.read.get_or_insert(*t);
            } else if seen.read.is_some_and(|read| read < page.asked) {
                judge.broken(D6, *t, || {
                    format!("user {} saw message {} read, and now sees it unread", page.user, shown.message)
                });
            }
        }
        let begins = self.shown.len();
        self.shown.extend(page.messages.iter().map(|shown| shown.message));
        let shown = &mut self.shown[begins..];
        shown.sort_unstable();
        let newest = if page.newest { Some(i64::MAX) } else { shown.last().copied() };
        let oldest = if page.oldest { Some(i64::MIN) } else { shown.first().copied() };
        if let (Some(newest), Some(oldest)) = (newest, oldest) {
            self.asked.push(Asked {
                user: page.user,
                conversation: page.conversation,
                asked: page.asked,
                answered: *t,
                range: (oldest, newest),
                shown: begins..self.shown.len(),
            });
        }
    }

    fn conclude(&mut self, ledger: &Ledger, judge: &mut Judge) {
        let mut conversations: HashMap<i64, Vec<&Stored>> = HashMap::new();
        for stored in &ledger.store.messages {
            conversations.entry(stored.conversation).or_default().push(stored);
        }
        for messages in conversations.values_mut() {
            messages.sort_unstable_by_key(|stored| stored.message);
        }
        for asked in &self.asked {
            let messages = conversations.get(&asked.conversation).map(Vec::as_slice).unwrap_or_default();
            let from = messages.partition_point(|stored| stored.message < asked.range.0);
            let due = messages[from..].iter().take_while(|stored| stored.message <= asked.range.1);
            for stored in due.filter(|stored| stored.is_of(asked.user)) {
                self.must_show(asked, stored, ledger, judge);
            }
        }
    }
}

impl Pages {
    fn must_show(&self, page: &Asked, stored: &Stored, ledger: &Ledger, judge: &mut Judge) {
        let Asked { user, asked, answered, shown, .. } = page;
        let message = stored.message;
        let is_shown = self.shown[shown.clone()].binary_search(&message).is_ok();
        let may_be_gone = |user| ledger.deletes.may_be_done_at(user, message, *answered);
        if !is_shown && (may_be_gone(stored.sender) || may_be_gone(*user)) {
            return;
        }
        if let Some(known) = ledger.sends.acknowledged(message).filter(|known| known < asked) {
            judge.hold(D5, is_shown, *answered, || {
                let since = asked - known;
                format!("user {user} asked for a page {since} µs after message {message} was acknowledged, and it is not there")
            });
        }
        if let Some(seen) = self.seen.get(&(*user, message)).filter(|seen| seen.first < *asked) {
            judge.hold(D6, is_shown, *answered, || {
                format!("user {user} saw message {message} at {} µs, and it has gone from a page asked for at {asked} µs", seen.first)
            });
        }
    }
}
