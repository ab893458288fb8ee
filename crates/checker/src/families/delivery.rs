//! D1 and D7: each device that stayed has applied everything, as it is stored, soon after the last fault.

use super::Family;
use crate::history::Kind;
use crate::ledger::{Applied, Device, Ledger, Row, digest};
use crate::property::Property::{D1, D4, D7};
use crate::verdict::Judge;

/// D1 and D7.
pub(super) struct Delivery;

impl Family for Delivery {
    fn conclude(&mut self, ledger: &Ledger, judge: &mut Judge) {
        for device in ledger.devices.iter() {
            let mailbox = ledger.store.mailboxes.get(&device.user);
            let rows = mailbox.map(|mailbox| mailbox.rows.as_slice()).unwrap_or_default();
            compare(device, rows, ledger, judge);
        }
    }
}

/// Both are in the order of positions.
fn compare(device: &Device, rows: &[Row], ledger: &Ledger, judge: &mut Judge) {
    let is_owed = !device.is_gone_before(ledger.healed());
    let mut applied = device.applied.iter().peekable();
    for row in rows {
        while let Some(unknown) = applied.next_if(|applied| applied.seq < row.seq) {
            not_stored(device, unknown, judge);
        }
        match applied.next_if(|applied| applied.seq == row.seq) {
            Some(applied) => same(device, applied, row, is_owed, ledger, judge),
            None if is_owed && row.seq > device.start => missing(device, row, ledger, judge),
            None => {}
        }
    }
    applied.for_each(|unknown| not_stored(device, unknown, judge));
}

fn same(device: &Device, applied: &Applied, row: &Row, is_owed: bool, ledger: &Ledger, judge: &mut Judge) {
    let is_gone =
        || row.hidden || row.messages.iter().filter_map(|it| ledger.store.find(it)).any(|it| it.is_deleted);
    let is_same = match applied.kind {
        Kind::Void => is_gone(),
        kind => kind == row.kind && applied.messages == digest(row.messages.iter()),
    };
    judge.hold(D1, is_same, applied.t, || {
        let (name, user, seq) = (&device.name, device.user, row.seq);
        let messages: Vec<_> = row.messages.iter().collect();
        let (kind, stored) = (applied.kind, row.kind);
        format!("device `{name}` of user {user} applied entry {seq} as {kind:?}, and stored is {stored:?} of {messages:?}")
    });
    if is_owed {
        // Who came only afterwards has as long.
        let since = device.links.first().map_or(0, |link| link.from).max(ledger.healed());
        let late = applied.t.checked_sub(since.saturating_add(ledger.bounds()[0])).filter(|late| *late > 0);
        judge.hold(D7, late.is_none(), applied.t, || {
            let (name, user, late) = (&device.name, device.user, late.unwrap_or_default());
            format!("device `{name}` of user {user} applied entry {} {late} µs too late", row.seq)
        });
    }
}

fn missing(device: &Device, row: &Row, ledger: &Ledger, judge: &mut Judge) {
    for property in [D1, D7] {
        judge.hold(property, false, ledger.end(), || {
            let (name, user, last) = (&device.name, device.user, device.last);
            format!("device `{name}` of user {user} never applied entry {}; its last is {last}", row.seq)
        });
    }
}

fn not_stored(device: &Device, unknown: &Applied, judge: &mut Judge) {
    judge.broken(D4, unknown.t, || {
        let (name, user) = (&device.name, device.user);
        format!("device `{name}` of user {user} applied entry {}, and the store has none there", unknown.seq)
    });
}
