//! Decides from the recorded history of a run whether a promise was broken: whether anything was lost, came twice or out of
//! order, or was told to the wrong people.
//!
//! - [`history`]: what is recorded, line by line, and by whom.
//! - [`Property`]: what is decided. [`check`] reads a history once and gives a [`Verdict`], a [`Finding`] a property.
//! - `ledger`: what all properties look things up in: sends, devices, faults, the store.
//! - `families`: the properties, those together that look at the same lines.
//!
//! A verdict is never red for a service that is right, whatever faults there were: where a history leaves open what
//! happened, it counts for the service. Of a request without an outcome anything may have come; what was on its way
//! when it was asked for may be told or not. And a verdict says on how much it stands: a property of which a history
//! shows nothing is `not judged`, not kept.
//!
//! To add a property: name it in `property.rs`, and judge it in the family whose lines it needs.

pub mod history;

mod error;
mod families;
mod ledger;
mod property;
mod verdict;

use std::io;

pub use error::CheckError;
pub use property::Property;
pub use verdict::{Finding, Outcomes, Summary, Verdict, Violation};

use crate::history::{Line, Scope};
use crate::ledger::Ledger;
use crate::verdict::Judge;

/// Judges a history, such as [`history::read`] gives it. It holds some hundred bytes a message and some dozens an entry.
///
/// # Errors
/// [`CheckError`], if nothing can be said of the history.
pub fn check(history: impl IntoIterator<Item = io::Result<Line>>) -> Result<Verdict, CheckError> {
    let mut judge = Judge::new();
    let mut ledger = Ledger::default();
    let mut families = families::all();
    for line in history {
        let line = line?;
        for family in &mut families {
            family.see(&line, &ledger, &mut judge);
        }
        ledger.take(line)?;
    }
    ledger.close()?;
    for family in &mut families {
        family.conclude(&ledger, &mut judge);
    }
    let has_wrong_clocks = ledger.faults.any(Scope::Clock);
    let summary = ledger.summary();
    if has_wrong_clocks {
        judge.blame_clocks(summary.applied);
    }
    Ok(judge.verdict(summary))
}
