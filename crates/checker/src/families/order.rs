//! S5: messages stand in the order in which they were sent.

use std::collections::HashMap;

use super::Family;
use crate::history::Kind;
use crate::ledger::{Fate, Ledger, Stored};
use crate::property::Property::S5;
use crate::verdict::Judge;

/// S5.
pub(super) struct Order;

/// A message at its place in a mailbox.
#[derive(Clone, Copy)]
struct Placed {
    seq: i64,
    message: i64,
    /// Not later than it was first asked for.
    begun: u64,
    /// When it was known to be stored.
    known: u64,
}

impl Family for Order {
    fn conclude(&mut self, ledger: &Ledger, judge: &mut Judge) {
        conversations_are_in_order(ledger, judge);
        devices_are_in_order(ledger, judge);
        ids_ascend(ledger, judge);
    }
}

/// What was acknowledged before another was begun, in the same conversation, stands before it in both mailboxes.
fn conversations_are_in_order(ledger: &Ledger, judge: &mut Judge) {
    let mut in_mailboxes: HashMap<(i64, i64), Vec<Placed>> = HashMap::new();
    for stored in &ledger.store.messages {
        let Some(placed) = placed(stored, ledger) else { continue };
        let Stored { sender, recipient, copies, .. } = stored;
        if copies.n_sent == 1 {
            let sent = Placed { seq: copies.sent_seq, ..placed };
            in_mailboxes.entry((*sender, *recipient)).or_default().push(sent);
        }
        if copies.n_received == 1 && !stored.is_to_oneself() {
            let received = Placed { seq: copies.received_seq, ..placed };
            in_mailboxes.entry((*recipient, *sender)).or_default().push(received);
        }
    }
    for ((user, with), messages) in in_mailboxes {
        judge.judged(S5, messages.len() as u64);
        for (late, early) in overtaken(messages) {
            judge.broken(S5, late.known, || {
                let ([a, b], [x, y]) = ([late.message, early.message], [late.seq, early.seq]);
                format!("message {b} to or from user {with} was begun when {a} was acknowledged, and user {user} has it before: {a} at {x}, {b} at {y}")
            });
        }
    }
}

fn placed(stored: &Stored, ledger: &Ledger) -> Option<Placed> {
    let begun = ledger.sends.of_key(stored.key?).next()?.t;
    let known = ledger.sends.acknowledged(stored.message).unwrap_or(u64::MAX);
    Some(Placed { seq: 0, message: stored.message, begun, known })
}

/// Each message that stands after another one although it was known before that was begun, with that other one.
fn overtaken(mut messages: Vec<Placed>) -> Vec<(Placed, Placed)> {
    messages.sort_unstable_by_key(|placed| placed.seq);
    let mut latest: Option<Placed> = None;
    let mut pairs = Vec::new();
    for placed in messages {
        pairs.extend(latest.filter(|latest| placed.known < latest.begun).map(|latest| (placed, latest)));
        latest = latest.filter(|latest| latest.begun >= placed.begun).or(Some(placed));
    }
    pairs
}

/// What a device sent on one connection stands in the order in which it was sent.
fn devices_are_in_order(ledger: &Ledger, judge: &mut Judge) {
    let mut by_connection: HashMap<(usize, u32), Vec<Placed>> = HashMap::new();
    for (turn, sending) in (0..).zip(ledger.sends.iter()) {
        let (Fate::Sent { message, seq, at_once: true }, Some((device, connection))) =
            (sending.fate, sending.device)
        else {
            continue;
        };
        // The same message by another way may have been first, and this is then its place.
        let mut others = ledger.sends.of_key(sending.key).filter(|other| other.op != sending.op);
        if others.any(|other| other.t <= sending.fate_t) {
            continue;
        }
        // Requests by HTTP may overtake one another unless each waits for the answer to the one before.
        let is_socket = ledger.devices.get(device).is_socket;
        let (begun, known) = if is_socket { (turn, turn) } else { (sending.t, sending.fate_t) };
        by_connection.entry((device, connection)).or_default().push(Placed { seq, message, begun, known });
    }
    for ((device, _), messages) in by_connection {
        judge.judged(S5, messages.len() as u64);
        for (late, early) in overtaken(messages) {
            let device = ledger.devices.get(device);
            judge.broken(S5, ledger.sends.acknowledged(late.message).unwrap_or_default(), || {
                let ([a, b], [x, y]) = ([late.message, early.message], [late.seq, early.seq]);
                format!(
                    "device `{}` of user {} sent {a} before {b}, and they stand at {x} and {y}",
                    device.name, device.user
                )
            });
        }
    }
}

/// Since they ascend with the position in both mailboxes, both have the same order.
fn ids_ascend(ledger: &Ledger, judge: &mut Judge) {
    for (user, mailbox) in &ledger.store.mailboxes {
        let mut last: HashMap<i64, i64> = HashMap::new();
        for row in mailbox.rows.iter().filter(|row| matches!(row.kind, Kind::Sent | Kind::Received)) {
            for stored in row.messages.iter().filter_map(|message| ledger.store.find(message)) {
                let before = last.insert(stored.conversation, stored.message).unwrap_or(i64::MIN);
                judge.hold(S5, before <= stored.message, ledger.end(), || {
                    let (message, seq) = (stored.message, row.seq);
                    format!(
                        "user {user} has message {message} at {seq}, after {before} of the same conversation"
                    )
                });
            }
        }
    }
}
