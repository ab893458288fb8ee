//! How often it is told that somebody writes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchboard_protocol::{Target, UserId};
use tokio::time::Instant;

/// Between two notices that somebody writes. Half of what a session remembers one for, so that one may be lost.
const PACE: Duration = Duration::from_secs(3);
/// How long a session takes somebody to be writing who says nothing more of it.
pub(crate) const TERM: Duration = Duration::from_secs(6);

/// Who was said to write, and where. A session on another node is told of by that one: twice as often at most.
#[derive(Default)]
pub(crate) struct Throttle {
    /// Held to look up and to note. [`Throttle::prune`] forgets what is past.
    told: Mutex<HashMap<(UserId, Target), Told>>,
}

struct Told {
    /// When it was told that they write.
    at: Instant,
    /// Whether nothing else was told since.
    is_typing: bool,
}

impl Throttle {
    /// Whether this is to be told; if so, it counts as told.
    pub(super) fn admit(&self, user: UserId, to: Target, is_typing: bool) -> bool {
        let now = Instant::now();
        let mut told = self.lock();
        match told.get_mut(&(user, to)) {
            Some(told) if is_typing && now < told.at + PACE => false,
            Some(told) if !is_typing && told.is_typing && now < told.at + TERM => {
                told.is_typing = false;
                true
            }
            _ if is_typing => {
                told.insert((user, to), Told { at: now, is_typing });
                true
            }
            _ => false,
        }
    }

    /// It was not told after all.
    pub(super) fn take_back(&self, user: UserId, to: Target) {
        self.lock().remove(&(user, to));
    }

    /// Forgets what changes nothing any more.
    pub(crate) fn prune(&self) {
        let now = Instant::now();
        let mut told = self.lock();
        told.retain(|_, told| now < told.at + TERM);
        told.shrink_to_fit();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(UserId, Target), Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_told_once_in_three_seconds_and_stops_where_it_began() {
        let throttle = Throttle::default();
        let admit = |to: i64, is_typing| throttle.admit(UserId(1), UserId(to).into(), is_typing);
        assert!(!admit(2, false), "nothing began");
        assert!(admit(2, true) && admit(3, true) && !admit(2, true));
        sleep(PACE - Duration::from_millis(1)).await;
        assert!(!admit(2, true) && admit(2, false) && !admit(2, false) && !admit(2, true));
        sleep(Duration::from_millis(1)).await;
        assert!(admit(2, true));
        sleep(TERM).await;
        assert!(!admit(2, false), "it has ended by itself");
        throttle.prune();
        assert!(throttle.lock().is_empty());
        assert!(admit(2, true));
        throttle.take_back(UserId(1), UserId(2).into());
        assert!(admit(2, true));
    }
}
