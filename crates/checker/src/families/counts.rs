//! U1, and D5 of counts: the unread count.

use std::collections::HashMap;

use super::Family;
use crate::history::{Event, Line};
use crate::ledger::{Fate, Ledger};
use crate::property::Property::{D5, U1};
use crate::verdict::Judge;

/// U1 and D5.
#[derive(Default)]
pub(super) struct Counts {
    counts: Vec<Count>,
    /// When devices of a user last applied an entry.
    last_applied: HashMap<i64, u64>,
}

/// A count as it was read.
struct Count {
    user: i64,
    count: i64,
    via: String,
    asked: u64,
    answered: u64,
}

impl Family for Counts {
    fn see(&mut self, line: &Line, ledger: &Ledger, judge: &mut Judge) {
        match &line.event {
            Event::Unread { user, count, via, asked } => {
                judge.hold(U1, *count >= 0, line.t, || {
                    format!("user {user} was told by {via} that {count} are unread")
                });
                let (via, answered) = (via.clone(), line.t);
                self.counts.push(Count { user: *user, count: *count, via, asked: *asked, answered });
            }
            Event::Entry(entry) => {
                if let Some(device) = ledger.devices.find(&entry.device) {
                    self.last_applied.insert(device.user, line.t);
                }
            }
            _ => {}
        }
    }

    fn conclude(&mut self, ledger: &Ledger, judge: &mut Judge) {
        self.judge_rest(ledger, judge);
        let known = known(ledger);
        for count in self.counts.iter().filter(|count| count.via == "http") {
            let (low, high) =
                known.get(&count.user).map_or((0, 0), |known| known.bounds(count.asked, count.answered));
            judge.hold(D5, (low..=high).contains(&count.count), count.answered, || {
                let Count { user, count, asked, .. } = count;
                format!("user {user} asked at {asked} µs how many are unread and was told {count}; it is {low} to {high}")
            });
        }
    }
}

impl Counts {
    fn judge_rest(&self, ledger: &Ledger, judge: &mut Judge) {
        for (user, mailbox) in &ledger.store.mailboxes {
            let Some(head) = mailbox.head else { continue };
            let recount = ledger.store.recount(mailbox);
            judge.hold(U1, head.unread == recount && recount >= 0, ledger.end(), || {
                format!(
                    "the store counts {} unread messages of user {user}, and there are {recount}",
                    head.unread
                )
            });
            let at_rest = self.at_rest(*user, ledger);
            for count in self.counts.iter().filter(|count| count.user == *user && count.asked > at_rest) {
                judge.hold(U1, count.count == recount, count.answered, || {
                    format!(
                        "user {user} was told by {} that {} are unread, and there are {recount}",
                        count.via, count.count
                    )
                });
            }
        }
    }

    /// From when on nothing comes to the user any more: an operation of which nobody knows may end after the healing,
    /// but not after its entries have been applied.
    fn at_rest(&self, user: i64, ledger: &Ledger) -> u64 {
        let quiet = self.last_applied.get(&user).copied();
        let quiet = quiet.unwrap_or_else(|| ledger.healed().saturating_add(ledger.bounds()[0]));
        quiet.max(ledger.healed()).max(ledger.last_outcome)
    }
}

/// Moments in the life of the messages that a user received from others, each in order.
#[derive(Default)]
struct Known {
    /// Asked to be sent, and not refused.
    begun: Vec<u64>,
    /// Acknowledged.
    there: Vec<u64>,
    /// Acknowledged, and asked to be read or deleted.
    touched: Vec<u64>,
    /// Read or deleted, as somebody was told.
    gone: Vec<u64>,
}

impl Known {
    /// The least and the most that may be unread at some moment between the two.
    fn bounds(&self, asked: u64, answered: u64) -> (i64, i64) {
        let until =
            |times: &[u64], t| i64::try_from(times.partition_point(|time| *time <= t)).unwrap_or(i64::MAX);
        let before =
            |times: &[u64], t| i64::try_from(times.partition_point(|time| *time < t)).unwrap_or(i64::MAX);
        let low = before(&self.there, asked) - until(&self.touched, answered);
        let high = until(&self.begun, answered) - before(&self.gone, asked);
        (low.max(0), high)
    }
}

fn known(ledger: &Ledger) -> HashMap<i64, Known> {
    let mut known: HashMap<i64, Known> = HashMap::new();
    for key in 0..ledger.sends.keys().len() {
        let mut recipients = Vec::new();
        for sending in ledger.sends.of_key(key).filter(|sending| sending.fate != Fate::Refused) {
            if sending.recipient != sending.user && !recipients.contains(&sending.recipient) {
                recipients.push(sending.recipient);
                known.entry(sending.recipient).or_default().begun.push(sending.t);
            }
        }
    }
    for stored in ledger.store.messages.iter().filter(|stored| !stored.is_to_oneself()) {
        let (sender, recipient, message) = (stored.sender, stored.recipient, stored.message);
        let known = known.entry(recipient).or_default();
        let marks = [
            ledger.reads.find(recipient, message),
            ledger.deletes.find(recipient, message),
            ledger.deletes.find(sender, message),
        ];
        let marks = || marks.into_iter().flatten();
        if let Some(there) = ledger.sends.acknowledged(message) {
            known.there.push(there);
            known.touched.extend(marks().map(|mark| mark.begun.max(there)).min());
        }
        known.gone.extend(marks().filter_map(|mark| mark.done).min());
    }
    for known in known.values_mut() {
        for times in [&mut known.begun, &mut known.there, &mut known.touched, &mut known.gone] {
            times.sort_unstable();
        }
    }
    known
}
