//! What the layer is asked next: a round of all who are watched every two seconds, and those who are watched anew between.
//!
//! A question is for so many names that its answer is certain to come in time. Those of a round are spread over its period;
//! a round that takes longer makes presence late, and nothing else.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::Presence;

/// How often all are asked for.
const PERIOD: Duration = Duration::from_secs(2);
/// At least this long lies between two looks for those who are watched anew: many ask together.
const PACE: Duration = Duration::from_millis(100);
/// Names in one question. With those of four other nodes 20 ms were measured, at a Redis that had half a core; the layer waits
/// for a second.
pub(super) const MOST_NAMES: usize = 2_000;

/// The questions that are left.
pub(super) struct Questions {
    rounds: Interval,
    /// Names that the round has not come to.
    round: Vec<i64>,
    /// When its next question is due, and the one after that.
    due: Instant,
    pace: Duration,
    /// Names that are asked for before those of the round.
    anew: Vec<i64>,
    /// When it is looked who they are, if somebody is watched anew.
    anew_due: Option<Instant>,
}

impl Questions {
    pub(super) fn new() -> Self {
        let mut rounds = interval(PERIOD);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            rounds,
            round: Vec::new(),
            due: Instant::now(),
            pace: PERIOD,
            anew: Vec::new(),
            anew_due: None,
        }
    }

    /// Waits until a question is due. Gives its names.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn next(&mut self, presence: &Presence) -> Vec<i64> {
        loop {
            if !self.anew.is_empty() {
                return take(&mut self.anew);
            }
            tokio::select! {
                _ = self.rounds.tick(), if self.round.is_empty() => {
                    self.round = presence.board().all();
                    self.due = Instant::now();
                    let n_questions = self.round.len().div_ceil(MOST_NAMES).max(1);
                    self.pace = PERIOD / u32::try_from(n_questions).unwrap_or(u32::MAX);
                }
                () = sleep_until(self.due), if !self.round.is_empty() => {
                    self.due += self.pace;
                    return take(&mut self.round);
                }
                () = presence.asked.notified(), if self.anew_due.is_none() => {
                    self.anew_due = Some(Instant::now() + PACE);
                }
                () = sleep_until(self.anew_due.unwrap_or(self.due)), if self.anew_due.is_some() => {
                    self.anew_due = None;
                    self.anew = presence.board().unknown();
                }
            }
        }
    }

    /// One was not answered: the others wait for the next round.
    pub(super) fn give_up(&mut self) {
        self.round.clear();
        self.anew.clear();
    }
}

fn take(names: &mut Vec<i64>) -> Vec<i64> {
    names.split_off(names.len().saturating_sub(MOST_NAMES))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use switchboard_protocol::UserId;
    use tokio::time::timeout;

    use super::*;

    fn users(range: std::ops::Range<i64>) -> Vec<UserId> {
        range.map(UserId).collect()
    }

    /// A round of 10,000 that has begun.
    async fn begun() -> (Arc<Presence>, super::super::Watch, Questions) {
        let presence = Arc::new(Presence::default());
        let mut watch = presence.join();
        assert!(watch.begin(users(0..10_000), &[]));
        // Nobody is watched anew.
        presence.asked.notified().await;
        (presence, watch, Questions::new())
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_is_many_questions_spread_over_its_period() {
        let (presence, _watch, mut questions) = begun().await;
        for round in 0..3 {
            let (start, mut names) = (Instant::now(), Vec::new());
            for _ in 0..5 {
                let more = questions.next(&presence).await;
                assert!(more.len() <= MOST_NAMES);
                names.extend(more);
            }
            names.sort_unstable();
            assert_eq!(names, (0..10_000).collect::<Vec<_>>(), "in round {round}");
            let took = start.elapsed();
            assert!(took > PERIOD / 2 && took <= PERIOD + PERIOD / 2, "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_watched_anew_waits_for_no_round() {
        let (presence, _watch, mut questions) = begun().await;
        let known = questions.next(&presence).await;
        {
            let mut board = presence.board();
            let all = board.all();
            let changes = board.learn(&all, &HashMap::new(), Instant::now());
            board.tell(&changes, &HashMap::new());
        }
        assert_eq!(known.len(), MOST_NAMES);
        let mut other = presence.join();
        assert!(other.begin(users(20_000..20_003), &[]));
        let anew = timeout(2 * PACE, questions.next(&presence)).await.unwrap();
        assert_eq!(anew, [20_000, 20_001, 20_002]);
        questions.give_up();
        assert!(timeout(PERIOD / 2, questions.next(&presence)).await.is_err(), "until the next round");
        assert_eq!(questions.next(&presence).await.len(), MOST_NAMES);
    }
}
