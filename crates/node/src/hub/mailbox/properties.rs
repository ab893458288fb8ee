//! A mailbox under arbitrary arrivals, answers of the store and sessions that come and go.
//!
//! Its store only grows. Whatever the layer loses, repeats or reorders and however old an answer is, each session gets
//! every entry after its place once, in order; and all of them once the gaps are closed. `SWITCHBOARD_TEST_SEED` chooses
//! other scripts; a failure names its seed and the shortest script that fails.

use futures_util::FutureExt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};

use super::tests::{head, packet};
use super::*;
use crate::hub::outlet::{Lagged, Taken};
use crate::metrics::Metrics;

/// Scripts in a run.
const CASES: u32 = 1_000;
/// Entries that a shard reads at a time to close a gap.
const PAGE: i64 = 100;
/// What an outlet that is soon full holds, in bytes: some ten items.
const TIGHT: usize = 1_000;

/// What happens.
#[derive(Clone, Debug)]
enum Deed {
    /// The store has so many entries more.
    Commit(u16),
    /// The packet of an entry arrives.
    Arrive(Place),
    /// So many packets arrive, in or against their order.
    Run { from: Place, n: u16, backwards: bool },
    /// A packet arrives whose entry the store does not have, and never will.
    Phantom(u8),
    /// The store is asked where the mailbox stands: by the sweep, or for a session with room for much or little.
    Ask { attaches: bool, tight: bool },
    /// One of the answers comes. It is as old as the question, as new as the store is now, or between.
    Answer { which: Index, age: Index },
    /// The gap is read for, unless that is under way.
    Read,
    /// What was read for it comes.
    Page,
    /// A session takes what has come for it.
    Take(Index),
    /// A session leaves.
    Leave(Index),
    /// Those that have left are let go of.
    Prune,
    /// All are sent back to paging.
    SendBack,
}

/// Which entry of the store.
#[derive(Clone, Debug)]
enum Place {
    Anywhere(Index),
    /// So far from the last that was forwarded.
    Near(i8),
}

/// Where the store begins, where it ends at the latest, and what happens between.
type Script = (i64, i64, Vec<Deed>);

fn script() -> impl Strategy<Value = Script> {
    let limit = prop_oneof![6 => 10..80_i64, 1 => 600..1_200_i64];
    limit.prop_flat_map(|limit| (0..=limit, Just(limit), vec(deed(), 1..80)))
}

fn deed() -> impl Strategy<Value = Deed> {
    let place = || {
        prop_oneof![
            1 => any::<Index>().prop_map(Place::Anywhere),
            4 => (-3..6_i8).prop_map(Place::Near),
        ]
    };
    prop_oneof![
        5 => (1..6_u16).prop_map(Deed::Commit),
        1 => (100..700_u16).prop_map(Deed::Commit),
        8 => place().prop_map(Deed::Arrive),
        2 => (place(), 1..12_u16, any::<bool>())
            .prop_map(|(from, n, backwards)| Deed::Run { from, n, backwards }),
        1 => (place(), 400..700_u16, any::<bool>())
            .prop_map(|(from, n, backwards)| Deed::Run { from, n, backwards }),
        1 => any::<u8>().prop_map(Deed::Phantom),
        4 => (any::<bool>(), any::<bool>()).prop_map(|(attaches, tight)| Deed::Ask { attaches, tight }),
        4 => any::<(Index, Index)>().prop_map(|(which, age)| Deed::Answer { which, age }),
        2 => Just(Deed::Read),
        2 => Just(Deed::Page),
        2 => any::<Index>().prop_map(Deed::Take),
        1 => any::<Index>().prop_map(Deed::Leave),
        1 => Just(Deed::Prune),
        1 => Just(Deed::SendBack),
    ]
}

/// A question to the store that has no answer yet.
struct Question {
    /// The store's last position and the mailbox's, when it was asked.
    last_seq: i64,
    before: Option<Seq>,
    /// For whom: whether they are tight.
    attaches: Option<bool>,
}

/// Somebody who reads.
struct Session {
    outlet: Arc<Outlet>,
    /// It may overflow.
    tight: bool,
    /// The position after which everything was to come.
    at: Seq,
    /// The last that came.
    last: Option<Seq>,
}

impl Session {
    /// Takes what there is. Whether the session goes on.
    fn take(&mut self) -> Result<bool, TestCaseError> {
        match self.outlet.take().now_or_never() {
            None => Ok(true),
            Some(Err(Lagged)) => Ok(false),
            Some(Ok(Taken::Notices(notices))) => Err(TestCaseError::fail(format!("{notices:?}"))),
            Some(Ok(Taken::Items(items))) => {
                for item in items {
                    match self.last {
                        // What the store had before the session was in may come as well: a feed passes over it.
                        None => prop_assert!(item.seq <= self.at.next(), "{} after {}", item.seq, self.at),
                        Some(last) => prop_assert_eq!(item.seq, last.next()),
                    }
                    prop_assert_eq!(&item.frame, &item.seq.to_string());
                    self.last = Some(item.seq);
                }
                Ok(true)
            }
        }
    }

    /// The last position that it has, by a page of the store or by its outlet.
    fn reached(&self) -> Seq {
        self.at.max(self.last.unwrap_or_default())
    }
}

struct World {
    mailbox: Mailbox,
    /// The last position of the store.
    last_seq: i64,
    /// Beyond which it never gets.
    limit: i64,
    questions: Vec<Question>,
    /// What a reading for the gap under way will give: after which position, up to which was asked.
    reading: Option<(Seq, Seq)>,
    sessions: Vec<Session>,
    metrics: Arc<Metrics>,
}

impl World {
    fn position(&self, place: &Place) -> Option<i64> {
        let near = self.mailbox.last.map_or(self.last_seq, |last| last.0);
        let last_seq = usize::try_from(self.last_seq).ok().filter(|last_seq| *last_seq > 0)?;
        Some(match place {
            Place::Anywhere(index) => 1 + index.index(last_seq) as i64,
            Place::Near(distance) => (near + i64::from(*distance)).clamp(1, self.last_seq),
        })
    }

    fn act(&mut self, deed: Deed) -> TestCaseResult {
        match deed {
            Deed::Commit(n) => self.last_seq = (self.last_seq + i64::from(n)).min(self.limit),
            Deed::Arrive(place) => self.position(&place).into_iter().for_each(|seq| self.arrive(seq)),
            Deed::Run { from, n, backwards } => {
                let from = self.position(&from).unwrap_or(1);
                let run = from..(from + i64::from(n)).min(self.last_seq + 1);
                if backwards {
                    run.rev().for_each(|seq| self.arrive(seq));
                } else {
                    run.for_each(|seq| self.arrive(seq));
                }
            }
            // One after the limit is missing for ever, so that it is never forwarded.
            Deed::Phantom(further) => self.arrive(self.limit + 2 + i64::from(further)),
            Deed::Ask { attaches, tight } => {
                let (last_seq, before) = (self.last_seq, self.mailbox.last());
                // The sweep asks where somebody could be served.
                if attaches || before.is_some() {
                    self.questions.push(Question { last_seq, before, attaches: attaches.then_some(tight) });
                }
            }
            Deed::Answer { which, age } if !self.questions.is_empty() => {
                let question = self.questions.swap_remove(which.index(self.questions.len()));
                let newer = age.index((self.last_seq - question.last_seq) as usize + 1);
                self.answer(&question, question.last_seq + newer as i64)?;
            }
            Deed::Read if self.reading.is_none() => self.read()?,
            Deed::Page => self.page(),
            Deed::Take(which) if !self.sessions.is_empty() => {
                let which = which.index(self.sessions.len());
                if !self.sessions[which].take()? {
                    let gone = self.sessions.swap_remove(which);
                    prop_assert!(gone.tight, "sent back for nothing");
                }
            }
            Deed::Leave(which) if !self.sessions.is_empty() => {
                self.sessions.swap_remove(which.index(self.sessions.len())).outlet.close();
            }
            Deed::Prune => {
                let is_served = self.mailbox.prune();
                prop_assert!(is_served || self.mailbox.held.is_empty(), "held for nobody");
            }
            Deed::SendBack => self.send_back()?,
            Deed::Answer { .. } | Deed::Read | Deed::Take(_) | Deed::Leave(_) => {}
        }
        let Mailbox { last, held, sessions, .. } = &self.mailbox;
        prop_assert!(held.len() <= HELD, "{} are held", held.len());
        prop_assert!(last.is_some() || sessions.is_empty(), "nobody asks for those who are in");
        prop_assert!(last.is_none_or(|last| last.0 <= self.last_seq), "more was forwarded than there is");
        let first = held.keys().next();
        prop_assert!(last.is_none() || first.is_none_or(|first| *first > last.unwrap_or_default().next()));
        Ok(())
    }

    fn arrive(&mut self, seq: i64) {
        self.mailbox.accept(packet(seq));
        self.mailbox.hand_over();
    }

    /// As a shard does with a head.
    fn answer(&mut self, question: &Question, last_seq: i64) -> TestCaseResult {
        let head = head(last_seq);
        self.mailbox.observe(&head, question.before);
        if let Some(tight) = question.attaches {
            let limit = if tight { TIGHT } else { usize::MAX };
            let outlet = Arc::new(Outlet::new(limit, Arc::clone(&self.metrics)));
            let at = self.mailbox.join(Arc::clone(&outlet), &head);
            prop_assert!(head.last_seq <= at && at.0 <= self.last_seq, "at {at}");
            self.sessions.push(Session { outlet, tight, at, last: None });
        }
        Ok(())
    }

    /// As a shard does when the wait of a gap is over.
    fn read(&mut self) -> TestCaseResult {
        match self.mailbox.gap() {
            Some((last, known)) if known.0 - last.0 > WIDE_GAP => self.send_back()?,
            Some((last, known)) => self.reading = Some((last, Seq(known.0.min(last.0 + PAGE)))),
            None => {}
        }
        Ok(())
    }

    /// As a shard does with the entries that close a gap.
    fn page(&mut self) {
        if let Some((last, asked)) = self.reading.take() {
            (last.0 + 1..=asked.0.min(self.last_seq)).for_each(|seq| self.arrive(seq));
            self.mailbox.disbelieve(asked);
        }
    }

    fn send_back(&mut self) -> TestCaseResult {
        self.mailbox.send_back();
        for session in &mut self.sessions {
            prop_assert!(!session.take()?, "a session was forgotten");
        }
        self.sessions.clear();
        prop_assert!(self.mailbox.held.is_empty() && self.mailbox.gap().is_none(), "held for nobody");
        Ok(())
    }

    /// Every question is answered, the store is swept, and gaps are closed until there are none.
    fn settle(&mut self) -> TestCaseResult {
        for question in std::mem::take(&mut self.questions) {
            self.answer(&question, question.last_seq)?;
        }
        self.page();
        if let before @ Some(_) = self.mailbox.last() {
            let question = Question { last_seq: self.last_seq, before, attaches: None };
            self.answer(&question, self.last_seq)?;
        }
        while let gap @ Some(_) = self.mailbox.gap() {
            self.read()?;
            self.page();
            prop_assert_ne!(self.mailbox.gap(), gap, "it is asked for again and again");
        }
        Ok(())
    }

    fn finish(&mut self) -> TestCaseResult {
        self.settle()?;
        self.check_all()?;
        // What comes late comes to nobody; what comes next comes to all.
        if !self.mailbox.sessions.is_empty() {
            let late = (1..=self.last_seq).map(|seq| self.mailbox.accept(packet(seq)));
            prop_assert!(late.into_iter().all(|outcome| outcome == Accepted::Duplicate));
        }
        self.last_seq += 1;
        self.arrive(self.last_seq);
        self.check_all()
    }

    /// All who are in have everything.
    fn check_all(&mut self) -> TestCaseResult {
        let mut left = Vec::new();
        for mut session in self.sessions.drain(..) {
            if session.take()? {
                prop_assert_eq!(session.reached(), Seq(self.last_seq));
                left.push(session);
            } else {
                prop_assert!(session.tight, "sent back for nothing");
            }
        }
        self.sessions = left;
        Ok(())
    }
}

#[test]
fn each_session_gets_each_entry_once_in_order() {
    let seed = std::env::var("SWITCHBOARD_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    };
    let metrics: Arc<Metrics> = Arc::default();
    let run = TestRunner::new(config).run(&script(), |(last_seq, limit, deeds)| {
        let (mailbox, metrics) = (Mailbox::default(), Arc::clone(&metrics));
        let (questions, sessions) = (Vec::new(), Vec::new());
        let mut world = World { mailbox, last_seq, limit, questions, reading: None, sessions, metrics };
        deeds.into_iter().try_for_each(|deed| world.act(deed))?;
        world.finish()
    });
    if let Err(error) = run {
        panic!("SWITCHBOARD_TEST_SEED={seed}: {error}");
    }
}
