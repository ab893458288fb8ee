//! When there were faults, and when all was calm.

use crate::history::{Phase, Scope};

/// So long after a fault has ended, the system may still be recovering: microseconds. As long as D7 allows.
const RECOVERY: u64 = 10_000_000;

#[derive(Debug)]
struct Window {
    name: String,
    detail: String,
    scope: Scope,
    from: u64,
    /// None while it lasts.
    until: Option<u64>,
}

/// The faults so far.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    windows: Vec<Window>,
}

impl Faults {
    pub(super) fn take(&mut self, t: u64, name: String, scope: Scope, phase: Phase, detail: String) {
        match phase {
            Phase::Begin => self.windows.push(Window { name, detail, scope, from: t, until: None }),
            Phase::End => {
                let is_open = |window: &Window| window.until.is_none() && window.name == name;
                let is_same = |window: &Window| is_open(window) && window.detail == detail;
                let at = self.windows.iter().position(is_same);
                let at = at.or_else(|| self.windows.iter().position(is_open));
                if let Some(at) = at {
                    self.windows[at].until = Some(t);
                }
            }
        }
    }

    /// Whether there was one of this scope.
    pub(crate) fn any(&self, scope: Scope) -> bool {
        self.windows.iter().any(|window| window.scope == scope)
    }

    /// Whether a fault of the scope held anything up between the two moments.
    pub(crate) fn disturbs(&self, scope: Scope, from: u64, until: u64) -> bool {
        let is_near = |window: &Window| window.from <= until && window.end() >= from;
        self.windows.iter().any(|window| window.scope == scope && is_near(window))
    }

    /// When anything but delivery through the channel layer may have been held up: apart from one another, in order.
    pub(crate) fn unrest(&self) -> Vec<(u64, u64)> {
        let harmless = [Scope::Layer, Scope::Clock, Scope::Peers];
        let mut spans: Vec<_> =
            self.windows.iter().filter(|window| !harmless.contains(&window.scope)).collect();
        spans.sort_by_key(|window| window.from);
        let mut unrest: Vec<(u64, u64)> = Vec::new();
        for window in spans {
            match unrest.last_mut() {
                Some((_, until)) if window.from <= *until => *until = window.end().max(*until),
                _ => unrest.push((window.from, window.end())),
            }
        }
        unrest
    }
}

impl Window {
    /// When the system has recovered from it.
    fn end(&self) -> u64 {
        self.until.map_or(u64::MAX, |until| until.saturating_add(RECOVERY))
    }
}
