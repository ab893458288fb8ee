//! What the load writes down, and counts as it does.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use switchboard_checker::history::{Event, Outcome, Recorder};

use super::words::{canaries, is_of};

/// Of the canaries that a user may see, one of so many is written down, to show that they were looked for.
const OWN_SHOWN: u64 = 500;

/// How much was done and seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Sends, repeats among them.
    pub(crate) sends: u64,
    /// Read marks and deletions.
    pub(crate) others: u64,
    /// Operations that were done.
    pub(crate) done: u64,
    /// Those that were refused for good.
    pub(crate) refused: u64,
    /// Those of which nobody knows.
    pub(crate) unknown: u64,
    /// Turns that a user skipped, having enough under way.
    pub(crate) skipped: u64,
    /// Entries that devices applied.
    pub(crate) entries: u64,
    /// Connections of devices.
    pub(crate) connections: u64,
    /// Devices that a node did not want back: in order only for credentials that have ended.
    pub(crate) turned_away: u64,
    /// What the last of them was told.
    pub(crate) turned_away_by: String,
    /// Pages of history, and counts of unread messages.
    pub(crate) looks: u64,
    /// Log-outs that were answered.
    pub(crate) cut_off: u64,
    /// Entries that came twice, or too early, and were not applied.
    pub(crate) out_of_turn: u64,
    /// Canaries found in raw answers and frames.
    pub(crate) scanned: u64,
    /// Those among them that were not for the user.
    pub(crate) leaked: u64,
}

/// The recorder, with numbers for operations and what it needs to be told once at the end.
pub(super) struct Notes {
    recorder: Recorder,
    last_op: AtomicU64,
    /// Held for a moment.
    counts: Mutex<Counts>,
    /// Why the history is not whole, if it is not. Held for a moment.
    broken: Mutex<Option<io::Error>>,
}

impl Notes {
    pub(super) fn new(recorder: Recorder) -> Self {
        Self { recorder, last_op: AtomicU64::new(0), counts: Mutex::default(), broken: Mutex::default() }
    }

    /// The number of a new operation.
    pub(super) fn op(&self) -> u64 {
        self.last_op.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The present moment of the history.
    pub(super) fn now(&self) -> u64 {
        self.recorder.now()
    }

    /// Writes a line; whether that went well is asked later.
    pub(super) fn note(&self, event: Event) {
        self.count(|counts| counts.add(&event));
        if let Err(error) = self.recorder.note(event) {
            self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }

    /// What became of an operation.
    pub(super) fn outcome(&self, op: u64, outcome: Outcome) {
        self.note(Event::Outcome { op, outcome });
    }

    /// Looks through whatever a user was told for canaries that are not theirs.
    pub(super) fn told(&self, user: i64, place: &str, raw: &str) {
        let (own, foreign): (Vec<_>, Vec<_>) = canaries(raw).partition(|canary| is_of(canary, user));
        let mut shown: Vec<String> = foreign.iter().map(|canary| (*canary).to_owned()).collect();
        self.count(|counts| {
            let before = counts.scanned / OWN_SHOWN;
            counts.scanned += (own.len() + foreign.len()) as u64;
            counts.leaked += foreign.len() as u64;
            if counts.scanned / OWN_SHOWN > before {
                shown.extend(own.first().map(|canary| (*canary).to_owned()));
            }
        });
        if !shown.is_empty() {
            self.note(Event::Told { user, place: place.to_owned(), canaries: shown });
        }
    }

    /// Counts something that has no line of its own.
    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether everything is in the history.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        broken.map_or(Ok(()), |error| Err(error).context("the history cannot be written"))
    }
}

impl Counts {
    fn add(&mut self, event: &Event) {
        match event {
            Event::Send(_) => self.sends += 1,
            Event::Read { .. } | Event::Delete { .. } => self.others += 1,
            Event::Outcome { outcome: Outcome::Sent { .. } | Outcome::Done, .. } => self.done += 1,
            Event::Outcome { outcome: Outcome::Fail { .. }, .. } => self.refused += 1,
            Event::Outcome { outcome: Outcome::Info { .. }, .. } => self.unknown += 1,
            Event::Entry(_) => self.entries += 1,
            Event::Connected { .. } => self.connections += 1,
            Event::Page(_) | Event::Unread { .. } => self.looks += 1,
            Event::CutOff { .. } => self.cut_off += 1,
            Event::Wire { duplicates, gaps, .. } => self.out_of_turn += duplicates + gaps,
            _ => {}
        }
    }
}
