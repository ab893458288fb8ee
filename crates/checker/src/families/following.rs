//! D2 and D3: what a device applies is the next entry, once.

use super::Family;
use crate::history::{Event, Line};
use crate::ledger::Ledger;
use crate::property::Property::{D2, D3};
use crate::verdict::Judge;

/// D2 and D3.
pub(super) struct Following;

impl Family for Following {
    fn see(&mut self, Line { t, event }: &Line, ledger: &Ledger, judge: &mut Judge) {
        match event {
            Event::Entry(entry) => {
                let (seq, Some(device)) = (entry.seq, ledger.devices.find(&entry.device)) else { return };
                judge.judged(D2, 1);
                judge.judged(D3, 1);
                let (name, user, last) = (&device.name, device.user, device.last);
                if seq == last + 1 {
                    return;
                }
                if seq <= last
                    && let Some(before) = device.find(seq)
                {
                    judge.broken(D2, *t, || {
                        format!("device `{name}` of user {user} applied entry {seq} again, {} µs after the first time", t - before.t)
                    });
                } else {
                    judge.broken(D3, *t, || {
                        format!("device `{name}` of user {user} applied entry {seq} after {last}")
                    });
                }
            }
            Event::Connected { device, cursor, epoch, .. } => {
                let Some(device) = ledger.devices.find(device) else { return };
                let is_same = epoch.is_empty() || device.epoch.is_empty() || *epoch == device.epoch;
                judge.hold(D3, is_same && *cursor == device.last, *t, || {
                    let (name, user, last) = (&device.name, device.user, device.last);
                    format!("device `{name}` of user {user} had applied {last} of epoch {}, and goes on after {cursor} of {epoch}", device.epoch)
                });
            }
            Event::Reset { device, cursor, .. } => {
                judge.broken(D3, *t, || {
                    format!("device `{device}` was reset to {cursor}, and nothing was lost")
                });
            }
            Event::Wire { device, duplicates, gaps } => {
                judge.hold(D2, *duplicates == 0, *t, || {
                    format!("{duplicates} entries came to device `{device}` that it had applied")
                });
                judge.hold(D3, *gaps == 0, *t, || {
                    format!("{gaps} entries came to device `{device}` too early")
                });
            }
            _ => {}
        }
    }

    fn conclude(&mut self, ledger: &Ledger, judge: &mut Judge) {
        for device in ledger.devices.iter() {
            let Some(mailbox) = ledger.store.mailboxes.get(&device.user) else { continue };
            let is_same =
                device.epoch.is_empty() || mailbox.epoch.is_empty() || device.epoch == mailbox.epoch;
            if !is_same {
                judge.broken(D3, ledger.end(), || {
                    let (name, user) = (&device.name, device.user);
                    format!(
                        "device `{name}` of user {user} has epoch {}, and the mailbox {}",
                        device.epoch, mailbox.epoch
                    )
                });
            }
        }
    }
}
