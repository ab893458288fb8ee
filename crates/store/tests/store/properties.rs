//! Arbitrary batches of commands by a few users, alone against a model, and by two writers at once against what must hold
//! whatever comes first. `SWITCHBOARD_TEST_SEED` chooses others; a failure names its seed and the smallest batches that fail.

use std::collections::HashMap;
use std::env;
use std::fmt::Debug;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use futures_util::{FutureExt, join};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use switchboard_protocol::{MessageId, Seq, Target, UserId};
use switchboard_store::{Account, Command, Entry, Event, Head, Import, Outcome, SendCommand, Store};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::Test;
use crate::commands::deadline;
use crate::kit::account;
use crate::model::Model;

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("batches_do_as_the_model_says", |store| batches_do_as_the_model_says(store).boxed()),
    ("a_race_leaves_no_trace", |store| a_race_leaves_no_trace(store).boxed()),
];

/// Runs of batches in a test.
const CASES: u32 = 48;
/// Users of a run, made for it.
const USERS: usize = 4;
/// A user whom nobody made.
const NOBODY: UserId = UserId(i64::MAX);

/// What somebody wants. Users and messages are chosen among those that there are.
#[derive(Clone, Debug)]
enum Wish {
    Send {
        from: usize,
        to: usize,
        client: u8,
        content: u8,
    },
    /// To somebody who is not there.
    SendToNobody {
        from: usize,
        client: u8,
    },
    Read {
        reader: usize,
        which: Vec<Index>,
    },
    Delete {
        actor: usize,
        which: Index,
    },
}

fn batch() -> impl Strategy<Value = Vec<Wish>> {
    let user = || 0..USERS;
    let send = (user(), user(), 0..40_u8, 0..10_u8).prop_map(|(from, to, client, content)| Wish::Send {
        from,
        to,
        client,
        // Mostly what it was the first time.
        content: content / 9,
    });
    let wish = prop_oneof![
        6 => send,
        1 => (user(), 0..40_u8).prop_map(|(from, client)| Wish::SendToNobody { from, client }),
        4 => (user(), vec(any::<Index>(), 1..6)).prop_map(|(reader, which)| Wish::Read { reader, which }),
        3 => (user(), any::<Index>()).prop_map(|(actor, which)| Wish::Delete { actor, which }),
    ];
    vec(wish, 1..16)
}

/// Users with the messages that they may name.
struct World {
    store: Store,
    users: Vec<Account>,
    known: Vec<MessageId>,
}

impl World {
    async fn new(store: &Store) -> anyhow::Result<Self> {
        let import = |_| Import {
            username: format!("{:032x}", rand::random::<u128>()),
            full_name: String::new(),
            password_hash: None,
        };
        let ids = store.import_users((0..USERS).map(import).collect()).await?;
        let mut users = Vec::with_capacity(USERS);
        for id in ids {
            users.push(account(store, id.0).await?);
        }
        Ok(Self { store: store.clone(), users, known: Vec::new() })
    }

    fn command(&self, wish: &Wish) -> Command {
        let send = |from: usize, recipient, client: u8, content: u8| {
            Command::Send(SendCommand {
                sender: self.users[from].id,
                to: Target::User(recipient),
                subject: String::new(),
                content: format!("{client}, {content}"),
                client_message_id: client.to_string(),
                attachments: Vec::new(),
                reply_to: None,
                mentions: Vec::new(),
                only_in_groups: false,
            })
        };
        // One that nobody sent among them.
        let message = |which: &Index| {
            self.known.get(which.index(self.known.len() + 1)).copied().unwrap_or(MessageId(i64::MAX))
        };
        match wish {
            Wish::Send { from, to, client, content } => send(*from, self.users[*to].id, *client, *content),
            Wish::SendToNobody { from, client } => send(*from, NOBODY, *client, 0),
            Wish::Read { reader, which } => {
                let mut messages: Vec<_> = which.iter().map(message).collect();
                messages.sort();
                messages.dedup();
                Command::MarkRead { reader: self.users[*reader].id, messages }
            }
            Wish::Delete { actor, which } => {
                Command::Delete { actor: self.users[*actor].id, message: message(which) }
            }
        }
    }

    fn commands(&self, wishes: &[Wish]) -> Vec<Command> {
        wishes.iter().map(|wish| self.command(wish)).collect()
    }

    /// Takes note of the messages that were sent.
    fn learn(&mut self, outcomes: &[Outcome]) {
        let sent = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Committed(entries) => match &entries.first()?.event {
                Event::Sent(message) => Some(message.id),
                _ => None,
            },
            _ => None,
        });
        self.known.extend(sent);
        self.known.sort();
    }

    async fn log(&self, user: &Account) -> anyhow::Result<(Head, Vec<Entry>)> {
        let head = self.store.heads(&[user.mailbox]).await?.pop().context("no such mailbox")?;
        Ok((head, self.store.page(user.mailbox, Seq(0), i64::MAX).await?))
    }
}

/// Every outcome, every entry and every count is what it should be.
async fn batches_do_as_the_model_says(store: Store) -> anyhow::Result<()> {
    check(vec(batch(), 1..12), async |batches| {
        let mut world = World::new(&store).await?;
        let mut model = Model::new(&world.users);
        let mut committer = store.committer();
        for wishes in &batches {
            let commands = world.commands(wishes);
            let outcomes = committer.commit(Arc::from(commands.clone()), deadline()).await?;
            model.take(&commands, &outcomes)?;
            world.learn(&outcomes);
            for user in &world.users {
                let (head, entries) = world.log(user).await?;
                model.check_log(user.id, &head, &entries)?;
            }
        }
        Ok(())
    })
}

/// Whoever comes first: each client id names one message, each entry that was told of is in its place, mailboxes are gapless
/// and unread is exact.
async fn a_race_leaves_no_trace(store: Store) -> anyhow::Result<()> {
    check(vec((batch(), batch()), 1..12), async |rounds| {
        let mut world = World::new(&store).await?;
        let (mut first, mut second) = (store.committer(), store.committer());
        let mut told = Vec::new();
        for (one, other) in &rounds {
            let (one, other) = (world.commands(one), world.commands(other));
            let (ones, others) = join!(
                first.commit(Arc::from(one.clone()), deadline()),
                second.commit(Arc::from(other.clone()), deadline()),
            );
            for (commands, outcomes) in [(one, ones?), (other, others?)] {
                world.learn(&outcomes);
                told.extend(commands.into_iter().zip(outcomes));
            }
        }
        for user in &world.users {
            let (head, entries) = world.log(user).await?;
            check_told(user, &head, &entries, &told)?;
        }
        Ok(())
    })
}

/// What was asked for, with what was told of it.
type Told = (Command, Outcome);

fn check_told(user: &Account, head: &Head, entries: &[Entry], told: &[Told]) -> anyhow::Result<()> {
    ensure!((1..).map(Seq).zip(entries).all(|(seq, entry)| entry.seq == seq), "a hole in {entries:?}");
    let is_unread = |entry: &&Entry| matches!(&entry.event, Event::Received(message) if !message.is_read);
    let unread = entries.iter().filter(is_unread).count() as i64;
    ensure!((head.last_seq, head.unread) == (Seq(entries.len() as i64), unread), "{head:?} of {entries:?}");
    // Each entry was told of once, as what it is.
    let committed = told.iter().filter_map(|(_, outcome)| match outcome {
        Outcome::Committed(entries) => Some(entries),
        _ => None,
    });
    let own: HashMap<_, _> = committed
        .clone()
        .flatten()
        .filter(|entry| entry.mailbox == user.mailbox)
        .map(|entry| (entry.seq, &entry.event))
        .collect();
    ensure!(
        committed.flatten().filter(|entry| entry.mailbox == user.mailbox).count() == own.len(),
        "told twice"
    );
    ensure!(own.len() == entries.len(), "{} were told of {}", own.len(), entries.len());
    for entry in entries {
        let event = own[&entry.seq];
        ensure!(*event == entry.event || is_later(event, &entry.event), "{event:?} became {:?}", entry.event);
    }
    // Each client id has one message with one text, which was made once.
    let mut messages = HashMap::new();
    for (command, outcome) in told {
        let (Command::Send(send), Some((id, is_new))) = (command, message_of(outcome)) else { continue };
        if send.sender == user.id {
            let (first, n_new) = messages.entry(&send.client_message_id).or_insert(((id, send), 0));
            *n_new += usize::from(is_new);
            ensure!(*first == (id, send), "{first:?} became {:?}", (id, send));
        }
    }
    ensure!(messages.values().all(|(_, n_new)| *n_new == 1), "made not once: {messages:?}");
    Ok(())
}

/// The message that was sent, and whether it was new.
fn message_of(outcome: &Outcome) -> Option<(MessageId, bool)> {
    let (entry, is_new) = match outcome {
        Outcome::Committed(entries) => (entries.first()?, true),
        Outcome::Repeated(entry) => (entry, false),
        Outcome::Refused(_) => return None,
    };
    match &entry.event {
        Event::Sent(message) => Some((message.id, is_new)),
        _ => None,
    }
}

/// Whether an entry may become this: what was received is read, and what is deleted says nothing.
fn is_later(event: &Event, later: &Event) -> bool {
    match (event, later) {
        (Event::Received(message), Event::Received(later)) => later.is_read && message.id == later.id,
        (Event::Deleted { .. }, Event::Void) => false,
        (_, Event::Void) => true,
        _ => false,
    }
}

/// Runs a test on arbitrary input, and on less and less if it fails.
fn check<T: Debug>(
    strategy: impl Strategy<Value = T>,
    test: impl AsyncFn(T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let seed = match env::var("SWITCHBOARD_TEST_SEED") {
        Ok(seed) => seed.parse().context("SWITCHBOARD_TEST_SEED is no number")?,
        Err(_) => rand::random(),
    };
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: 500,
        ..Config::default()
    };
    let run = TestRunner::new(config).run(&strategy, |input| {
        let result = block_in_place(|| Handle::current().block_on(test(input)));
        result.map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    run.map_err(|error| anyhow!("SWITCHBOARD_TEST_SEED={seed}: {error}"))
}
