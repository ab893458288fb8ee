//! The families of properties. Each sees every line once, with what stood before it, and concludes when it knows all.

mod agreement;
mod atomic;
mod counts;
mod deletion;
mod delivery;
mod following;
mod order;
mod pages;
mod reading;
mod resources;
mod secrecy;
mod store;
mod sweep;

use crate::history::Line;
use crate::ledger::Ledger;
use crate::verdict::Judge;

/// Some properties that are judged together.
pub(crate) trait Family {
    /// A line. The ledger knows those before it.
    fn see(&mut self, _line: &Line, _ledger: &Ledger, _judge: &mut Judge) {}

    /// The ledger knows all lines.
    fn conclude(&mut self, _ledger: &Ledger, _judge: &mut Judge) {}
}

/// All of them.
pub(crate) fn all() -> Vec<Box<dyn Family>> {
    vec![
        Box::new(store::Durability),
        Box::new(store::Gaplessness),
        Box::new(order::Order),
        Box::new(atomic::Atomicity),
        Box::new(delivery::Delivery),
        Box::new(following::Following),
        Box::new(agreement::Agreement::default()),
        Box::new(pages::Pages::default()),
        Box::new(sweep::Sweep),
        Box::new(deletion::Deletion),
        Box::new(counts::Counts::default()),
        Box::new(reading::Reading::default()),
        Box::new(secrecy::Secrecy),
        Box::new(resources::Resources),
    ]
}
