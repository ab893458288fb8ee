//! What the users of this node are, by their sessions here. No I/O, and no time of its own.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use switchboard_protocol::{Presence as Status, UserId};
use tokio::time::Instant;

use super::value;

/// How long a new session has to say that nobody is at it, before it counts.
const SETTLE: Duration = Duration::from_secs(1);
/// How long somebody still counts as online who is away.
const TURN_AWAY: Duration = Duration::from_secs(2);
/// How long the last session of a user counts after its end: most who leave come back at once.
const GRACE: Duration = Duration::from_secs(8);
/// How long it is held that somebody is offline: until every node has asked, also one whose link was just lost.
const FAREWELL: Duration = Duration::from_secs(12);
/// Users who are still to be noted as seen. More are forgotten: the store has been away for long.
const MOST_SEEN: usize = 100_000;

/// A change of leases, as the channel layer takes it.
pub(super) type Change = (i64, Option<u8>);

/// Those with a session on this node, or who had one some seconds ago.
#[derive(Default)]
pub(super) struct Attendance {
    users: HashMap<UserId, Attendee>,
    /// Whose change is due when.
    due: BTreeSet<(Instant, UserId)>,
    /// Who has left or turned away since it was last noted.
    seen: HashSet<UserId>,
}

#[derive(Default)]
struct Attendee {
    n_online: u32,
    n_away: u32,
    /// What is held of them.
    told: Option<Status>,
    due: Option<Instant>,
}

impl Attendee {
    fn status(&self) -> Status {
        match (self.n_online, self.n_away) {
            (0, 0) => Status::Offline,
            (0, _) => Status::Away,
            _ => Status::Online,
        }
    }

    fn sessions(&mut self, status: Status) -> &mut u32 {
        if status == Status::Online { &mut self.n_online } else { &mut self.n_away }
    }
}

impl Attendance {
    /// A session begins.
    pub(super) fn enter(&mut self, user: UserId, now: Instant) {
        *self.users.entry(user).or_default().sessions(Status::Online) += 1;
        self.look(user, SETTLE, now);
    }

    /// A session goes from one status to another.
    pub(super) fn change(&mut self, user: UserId, from: Status, to: Status, now: Instant) {
        let Some(attendee) = self.users.get_mut(&user).filter(|_| from != to) else {
            return;
        };
        *attendee.sessions(from) -= 1;
        *attendee.sessions(to) += 1;
        self.look(user, Duration::ZERO, now);
    }

    /// A session ends that had this status.
    pub(super) fn leave(&mut self, user: UserId, status: Status, now: Instant) {
        let Some(attendee) = self.users.get_mut(&user) else {
            return;
        };
        *attendee.sessions(status) -= 1;
        if attendee.status() == Status::Offline {
            self.note_seen([user]);
        }
        self.look(user, Duration::ZERO, now);
    }

    /// Sets when the change of a user is due, if there is one; it is after `rise` if they are more there than is held.
    fn look(&mut self, user: UserId, rise: Duration, now: Instant) {
        let Some(attendee) = self.users.get_mut(&user) else {
            return;
        };
        let (status, told) = (attendee.status(), attendee.told.unwrap_or(Status::Offline));
        let wait = match status {
            _ if status > told => Some(rise),
            // Nothing was ever held of them, or they are held as offline and stay so until then.
            Status::Offline if told == Status::Offline => Some(FAREWELL),
            _ if status == told => None,
            Status::Away => Some(TURN_AWAY),
            Status::Offline | Status::Online => Some(GRACE),
        };
        let before = attendee.due;
        let due = wait.map(|wait| now + wait);
        // Who comes again and again is told of all the same.
        let due = due.map(|due| before.filter(|before| status > told && *before < due).unwrap_or(due));
        attendee.due = due;
        if let Some(before) = before {
            self.due.remove(&(before, user));
        }
        if let Some(due) = due {
            self.due.insert((due, user));
        }
    }

    /// What is due now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some((due, user)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, user));
            let Some(attendee) = self.users.get_mut(&user) else {
                continue;
            };
            attendee.due = None;
            let (status, told) = (attendee.status(), attendee.told);
            if status == Status::Offline && told.is_none_or(|told| told == Status::Offline) {
                self.users.remove(&user);
                if told.is_some() {
                    changes.push((user.0, None));
                }
                continue;
            }
            attendee.told = Some(status);
            changes.push((user.0, Some(value(status))));
            if status == Status::Away {
                self.note_seen([user]);
            }
            self.look(user, Duration::ZERO, now);
        }
        changes
    }

    /// Who is to be noted as seen.
    pub(super) fn take_seen(&mut self) -> Vec<UserId> {
        std::mem::take(&mut self.seen).into_iter().collect()
    }

    /// They are to be noted as seen, as far as there is room.
    pub(super) fn note_seen(&mut self, users: impl IntoIterator<Item = UserId>) {
        let room = MOST_SEEN.saturating_sub(self.seen.len());
        self.seen.extend(users.into_iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserId = UserId(1);

    /// An attendance with a clock that begins at zero.
    struct World(Attendance, Instant);

    impl World {
        fn at(&mut self, seconds: f64) -> Instant {
            self.1 + Duration::from_secs_f64(seconds)
        }

        /// What is due at this time: of Ann alone.
        #[track_caller]
        fn check(&mut self, seconds: f64, expect: &[Option<u8>]) {
            let now = self.at(seconds);
            let changes = self.0.take_due(now);
            assert_eq!(changes, expect.iter().map(|value| (1, *value)).collect::<Vec<_>>(), "at {seconds}");
        }
    }

    fn world() -> World {
        World(Attendance::default(), Instant::now())
    }

    #[test]
    fn who_leaves_and_comes_back_in_time_was_never_gone() {
        let mut world = world();
        world.0.enter(ANN, world.1);
        world.check(0.9, &[]);
        world.check(1.0, &[Some(2)]);
        let (left, back) = (world.at(10.0), world.at(17.0));
        world.0.leave(ANN, Status::Online, left);
        world.0.enter(ANN, back);
        world.check(100.0, &[]);
        assert_eq!(world.0.take_seen(), [ANN]);
    }

    #[test]
    fn who_leaves_is_offline_after_the_grace_and_forgotten_after_that() {
        let mut world = world();
        world.0.enter(ANN, world.1);
        world.check(1.0, &[Some(2)]);
        let left = world.at(10.0);
        world.0.leave(ANN, Status::Online, left);
        world.check(17.9, &[]);
        world.check(18.0, &[Some(0)]);
        world.check(29.9, &[]);
        world.check(30.0, &[None]);
        assert!(world.0.users.is_empty() && world.0.due.is_empty());
    }

    #[test]
    fn who_is_gone_before_they_counted_leaves_nothing() {
        let mut world = world();
        world.0.enter(ANN, world.1);
        let left = world.at(0.5);
        world.0.leave(ANN, Status::Online, left);
        world.check(100.0, &[]);
        assert!(world.0.users.is_empty() && world.0.due.is_empty());
    }

    #[test]
    fn the_best_session_counts_and_away_comes_late() {
        let mut world = world();
        world.0.enter(ANN, world.1);
        world.0.enter(ANN, world.1);
        world.check(1.0, &[Some(2)]);
        let (first, second, back) = (world.at(10.0), world.at(20.0), world.at(30.0));
        world.0.change(ANN, Status::Online, Status::Away, first);
        world.check(19.0, &[]);
        world.0.change(ANN, Status::Online, Status::Away, second);
        world.check(21.9, &[]);
        world.check(22.0, &[Some(1)]);
        assert_eq!(world.0.take_seen(), [ANN]);
        world.0.change(ANN, Status::Away, Status::Online, back);
        world.check(30.0, &[Some(2)]);
        let (gone, last) = (world.at(40.0), world.at(50.0));
        world.0.leave(ANN, Status::Online, gone);
        world.check(42.0, &[Some(1)]);
        world.0.leave(ANN, Status::Away, last);
        world.check(58.0, &[Some(0)]);
    }

    #[test]
    fn another_device_that_is_away_at_once_shows_nothing() {
        let mut world = world();
        world.0.enter(ANN, world.1);
        world.0.change(ANN, Status::Online, Status::Away, world.1);
        world.check(0.0, &[Some(1)]);
        let (second, away) = (world.at(10.0), world.at(10.5));
        world.0.enter(ANN, second);
        world.0.change(ANN, Status::Online, Status::Away, away);
        world.check(100.0, &[]);
    }
}
