//! R1 and R5: what processes hold.

use super::Family;
use crate::history::{Event, Line};
use crate::ledger::Ledger;
use crate::property::Property::{R1, R5};
use crate::verdict::Judge;

/// R1 and R5.
pub(super) struct Resources;

impl Family for Resources {
    fn see(&mut self, Line { t, event }: &Line, _ledger: &Ledger, judge: &mut Judge) {
        match event {
            Event::Memory { process, bytes, limit: Some(limit) } => {
                judge.hold(R1, bytes <= limit, *t, || {
                    format!("{process} has {bytes} bytes, more than {limit}")
                });
            }
            Event::Rest { what, begun, ended } => {
                judge.hold(R5, ended <= begun, *t, || {
                    format!("{what}: {ended} are left, {begun} were there before")
                });
            }
            _ => {}
        }
    }
}
