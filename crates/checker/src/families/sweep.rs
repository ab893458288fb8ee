//! D8: while all is calm, what is committed is applied within the bound of the sweep, whatever became of its publish.

use super::Family;
use crate::history::Kind;
use crate::ledger::{Device, Ledger, Row};
use crate::property::Property::D8;
use crate::verdict::Judge;

/// A device counts as connected if it has been for so long, in microseconds: by then its cursor stands in the hub.
const SETTLED: u64 = 1_000_000;

/// D8.
pub(super) struct Sweep;

impl Family for Sweep {
    fn conclude(&mut self, ledger: &Ledger, judge: &mut Judge) {
        let unrest = ledger.faults.unrest();
        for (user, mailbox) in &ledger.store.mailboxes {
            let devices: Vec<_> = ledger.devices.iter().filter(|device| device.user == *user).collect();
            if devices.is_empty() {
                continue;
            }
            let committed = committed(*user, &mailbox.rows, &devices, ledger);
            for (row, committed) in mailbox.rows.iter().zip(committed) {
                let deadline = committed.saturating_add(ledger.bounds()[1]);
                let from = committed.saturating_sub(SETTLED);
                if deadline < ledger.healed() && is_calm(&unrest, from, deadline) {
                    for device in &devices {
                        in_time(device, row, committed, deadline, judge);
                    }
                }
            }
        }
    }
}

/// When each entry was committed at the latest. As positions are given under a lock, an entry is not later than the
/// one after it.
fn committed(user: i64, rows: &[Row], devices: &[&Device], ledger: &Ledger) -> Vec<u64> {
    let mut latest = u64::MAX;
    let mut committed: Vec<u64> = rows
        .iter()
        .rev()
        .map(|row| {
            let told = row.messages.iter().filter_map(|message| told(user, row.kind, message, ledger));
            let applied = devices.iter().filter_map(|device| device.find(row.seq)).map(|applied| applied.t);
            latest = told.chain(applied).fold(latest, u64::min);
            latest
        })
        .collect();
    committed.reverse();
    committed
}

/// When somebody was told that what the entry is about is done.
fn told(user: i64, kind: Kind, message: i64, ledger: &Ledger) -> Option<u64> {
    match kind {
        Kind::Sent | Kind::Received => ledger.sends.acknowledged(message),
        Kind::Read => ledger.reads.done(user, message),
        Kind::Receipt => ledger.reads.done(ledger.store.find(message)?.recipient, message),
        Kind::Deleted => {
            let by_sender = ledger.deletes.done(ledger.store.find(message)?.sender, message);
            by_sender.into_iter().chain(ledger.deletes.done(user, message)).min()
        }
        Kind::Void | Kind::Other => None,
    }
}

/// Spans of unrest are apart from one another and in order.
fn is_calm(unrest: &[(u64, u64)], from: u64, until: u64) -> bool {
    let next = unrest.partition_point(|(_, ended)| *ended < from);
    unrest.get(next).is_none_or(|(begun, _)| *begun > until)
}

fn in_time(device: &Device, row: &Row, committed: u64, deadline: u64, judge: &mut Judge) {
    let from = committed.saturating_sub(SETTLED);
    if row.seq <= device.start || !device.is_connected(from, deadline) || device.is_gone_before(deadline) {
        return;
    }
    let applied = device.find(row.seq).map(|applied| applied.t);
    judge.hold(D8, applied.is_some_and(|t| t <= deadline), deadline, || {
        let (name, user, seq) = (&device.name, device.user, row.seq);
        let when = applied.map_or("never".to_owned(), |t| format!("{} ms later", (t - committed) / 1_000));
        format!("entry {seq} of user {user} was there at {committed} µs, and device `{name}`, connected all the while, applied it {when}")
    });
}
