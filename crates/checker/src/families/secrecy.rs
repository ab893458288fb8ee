//! C1 and C2: who is told what.

use super::Family;
use crate::history::{Event, Line, Scope};
use crate::ledger::{Ledger, Text};
use crate::property::Property::{C1, C2};
use crate::verdict::Judge;

/// C1 and C2.
pub(super) struct Secrecy;

impl Family for Secrecy {
    fn see(&mut self, Line { t, event }: &Line, ledger: &Ledger, judge: &mut Judge) {
        let tell = |user: i64, text: Text, place: &dyn Fn() -> String, judge: &mut Judge| {
            judge.hold(C1, ledger.sends.may_know(user, text), *t, || {
                let owner = ledger.sends.owner(text).map(|sending| (sending.user, sending.recipient));
                let (from, to) = owner.unwrap_or_default();
                format!("user {user} was told in {} what user {from} wrote to user {to}", place())
            });
        };
        match event {
            Event::Entry(entry) => {
                nothing_new(*t, &entry.device, ledger, judge);
                if let (Some(device), Some(body)) = (ledger.devices.find(&entry.device), &entry.body) {
                    let place = || format!("entry {} of device `{}`", entry.seq, entry.device);
                    tell(device.user, ledger.sends.text(body), &place, judge);
                }
            }
            Event::Connected { device, .. } => nothing_new(*t, device, ledger, judge),
            Event::Page(page) => {
                for shown in &page.messages {
                    let place = || format!("a page, as message {}", shown.message);
                    tell(page.user, ledger.sends.text(&shown.body), &place, judge);
                }
            }
            Event::Told { user, place, canaries } => {
                for canary in canaries {
                    tell(*user, ledger.sends.word(canary), &|| place.clone(), judge);
                }
            }
            Event::Exposed { place, canary } => {
                judge.hold(C1, false, *t, || format!("the text with `{canary}` stands in {place}"));
            }
            Event::CutOff { .. } => judge.judged(C2, 1),
            _ => {}
        }
    }
}

/// What left the service in time may be held up on the way to the client.
fn nothing_new(t: u64, device: &str, ledger: &Ledger, judge: &mut Judge) {
    let Some(cut_off) = ledger.devices.find(device).and_then(|device| device.cut_off) else { return };
    let late = t.saturating_sub(cut_off);
    if late > ledger.bounds()[2] && !ledger.faults.disturbs(Scope::Clients, cut_off, t) {
        judge.broken(C2, t, || {
            format!("something came to device `{device}` {} ms after its credentials had ended", late / 1_000)
        });
    }
}
