//! When which fault is done: drawn from a seed, written down, done again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchboard_checker::history::Scope;

use crate::Dice;
use crate::fault::{Fault, Part};

/// One fault and its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Act {
    /// When it begins, in milliseconds since the first message.
    pub(crate) at_ms: u64,
    /// What is done. It says itself how long it lasts.
    pub(crate) fault: Fault,
}

/// A stretch of any faults, and a stretch in which only the channel layer suffers: there the sweep's bound is judged, once
/// the others have had time to be forgotten.
const ANY: u64 = 40_000;
const LAYER_ONLY: u64 = 25_000;
/// Between two beginnings, at most.
const GAP: u64 = 6_000;
/// After a fault, until its part of the stack may be struck again: long enough for it to have come back.
const RECOVERY: u64 = 3_000;
/// Draws for one place in the schedule. What is drawn may not be possible there.
const TRIES: usize = 40;

/// Draws the faults of a run: the same for the same seed, however the run goes. Several may be on at once, if they take hold
/// of different parts.
pub(crate) fn draw(seed: u64, lasts: Duration, n_nodes: usize) -> Vec<Act> {
    let mut dice = Dice(seed);
    let end = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
    let mut acts = Vec::new();
    let mut busy: Vec<(Part, u64)> = Vec::new();
    let mut at_ms = 1_000;
    while at_ms < end {
        busy.retain(|(_, until)| *until > at_ms);
        let drawn = (0..TRIES).map(|_| Fault::draw(&mut dice, n_nodes)).find(|fault| {
            let parts = fault.parts();
            let over = at_ms + millis(fault.lasts());
            fault.is_possible()
                && over < end
                && fits(fault.scope(), at_ms, over)
                && !busy.iter().any(|(part, _)| parts.contains(part))
        });
        if let Some(fault) = drawn {
            let until = at_ms + millis(fault.lasts()) + RECOVERY;
            busy.extend(fault.parts().into_iter().map(|part| (part, until)));
            acts.push(Act { at_ms, fault });
        }
        at_ms += 500 + dice.roll(GAP - 500);
    }
    acts
}

/// Whether a fault may be on from one time to another.
fn fits(scope: Scope, from: u64, to: u64) -> bool {
    let within = |at: u64| at % (ANY + LAYER_ONLY) < ANY;
    let is_layer = matches!(scope, Scope::Layer | Scope::Peers);
    is_layer || within(from) && within(to) && from / (ANY + LAYER_ONLY) == to / (ANY + LAYER_ONLY)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
