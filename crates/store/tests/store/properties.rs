//! Arbitrary batches of commands by a few users, alone against a model, and by two writers at once against what must hold
//! whatever comes first. `SWITCHBOARD_TEST_SEED` chooses others; a failure names its seed and the smallest batches that fail.

use std::collections::HashMap;
use std::env;
use std::fmt::Debug;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail, ensure};
use futures_util::{FutureExt, join};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use switchboard_protocol::{ConversationId, MessageId, Role, Seq, UserId};
use switchboard_store::{
    Account, Command, Edit, Entry, Event, GroupAct, Head, Import, Outcome, SendCommand, Store,
};
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
    Send { from: usize, to: Aim, client: u8, content: u8, reply_to: Option<Index>, mention: Option<usize> },
    Read { reader: usize, which: Vec<Index> },
    Delete { actor: usize, which: Index },
    Edit { actor: usize, which: Index, content: u8, in_time: bool },
    React { actor: usize, which: Index, reaction: u8, is_set: bool },
    Add { actor: usize, user: usize },
    Remove { actor: usize, user: usize },
    SetRole { actor: usize, user: usize, is_owner: bool },
    SetTitle { actor: usize, title: u8 },
}

/// Whom a message goes to.
#[derive(Clone, Copy, Debug)]
enum Aim {
    User(usize),
    Group,
    /// Somebody who is not there.
    Nobody,
}

fn batch() -> impl Strategy<Value = Vec<Wish>> {
    vec(prop_oneof![8 => send(), 10 => of_messages(), 3 => of_group()], 1..16)
}

fn user() -> impl Strategy<Value = usize> {
    0..USERS
}

fn send() -> impl Strategy<Value = Wish> {
    let aim = prop_oneof![5 => user().prop_map(Aim::User), 4 => Just(Aim::Group), 1 => Just(Aim::Nobody)];
    let rarely = |index| proptest::option::weighted(0.2, index);
    let mention = proptest::option::weighted(0.1, user());
    (user(), aim, 0..40_u8, 0..10_u8, rarely(any::<Index>()), mention).prop_map(
        |(from, to, client, content, reply_to, mention)| Wish::Send {
            from,
            to,
            client,
            // Mostly what it was the first time.
            content: content / 9,
            reply_to,
            mention,
        },
    )
}

fn of_messages() -> impl Strategy<Value = Wish> {
    let which = any::<Index>;
    prop_oneof![
        4 => (user(), vec(which(), 1..6)).prop_map(|(reader, which)| Wish::Read { reader, which }),
        3 => (user(), which()).prop_map(|(actor, which)| Wish::Delete { actor, which }),
        3 => (user(), which(), 0..3_u8, proptest::bool::weighted(0.9))
            .prop_map(|(actor, which, content, in_time)| Wish::Edit { actor, which, content, in_time }),
        4 => (user(), which(), 0..2_u8, any::<bool>())
            .prop_map(|(actor, which, reaction, is_set)| Wish::React { actor, which, reaction, is_set }),
    ]
}

fn of_group() -> impl Strategy<Value = Wish> {
    let whom = || (user(), user());
    prop_oneof![
        3 => whom().prop_map(|(actor, user)| Wish::Add { actor, user }),
        3 => whom().prop_map(|(actor, user)| Wish::Remove { actor, user }),
        2 => (whom(), any::<bool>())
            .prop_map(|((actor, user), is_owner)| Wish::SetRole { actor, user, is_owner }),
        1 => (user(), 0..2_u8).prop_map(|(actor, title)| Wish::SetTitle { actor, title }),
    ]
}

/// Users with the messages that they may name.
struct World {
    store: Store,
    users: Vec<Account>,
    /// Made for all users but the last.
    group: ConversationId,
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
        Ok(Self { store: store.clone(), users, group: ConversationId(0), known: Vec::new() })
    }

    /// Has the group made.
    async fn gather(&mut self) -> anyhow::Result<(Vec<Command>, Vec<Outcome>)> {
        let members = self.users[1..USERS - 1].iter().map(|user| user.id).collect();
        let name = "group".to_owned();
        let act = GroupAct::Create { title: "0".to_owned(), members, client_conversation_id: name };
        let commands = vec![Command::Group { actor: self.users[0].id, act, only_in_groups: false }];
        let outcomes = self.store.committer().commit(Arc::from(commands.clone()), deadline()).await?;
        let Outcome::Committed(entries) = &outcomes[0] else { bail!("no group: {outcomes:?}") };
        let Event::Group { group, .. } = entries[0].event else { bail!("no group: {entries:?}") };
        self.group = group;
        Ok((commands, outcomes))
    }

    fn command(&self, wish: &Wish) -> Command {
        let user = |nth: &usize| self.users[*nth].id;
        // One that nobody sent among them.
        let message = |which: &Index| {
            self.known.get(which.index(self.known.len() + 1)).copied().unwrap_or(MessageId(i64::MAX))
        };
        match wish {
            Wish::Send { from, to, client, content, reply_to, mention } => Command::Send(SendCommand {
                sender: user(from),
                to: match to {
                    Aim::User(to) => user(to).into(),
                    Aim::Group => self.group.into(),
                    Aim::Nobody => NOBODY.into(),
                },
                subject: String::new(),
                content: format!("{client}, {content}"),
                client_message_id: client.to_string(),
                attachments: Vec::new(),
                reply_to: reply_to.as_ref().map(message),
                mentions: mention.iter().map(user).collect(),
                only_in_groups: false,
            }),
            Wish::Read { reader, which } => {
                let mut messages: Vec<_> = which.iter().map(message).collect();
                messages.sort();
                messages.dedup();
                Command::MarkRead { reader: user(reader), messages }
            }
            Wish::Delete { actor, which } => Command::Delete { actor: user(actor), message: message(which) },
            Wish::Edit { actor, which, content, in_time } => Command::Edit(Edit {
                actor: user(actor),
                message: message(which),
                subject: None,
                content: format!("edited to {content}"),
                within: if *in_time { i64::MAX } else { -1 },
                keep: true,
                only_in_groups: false,
            }),
            Wish::React { actor, which, reaction, is_set } => Command::React {
                actor: user(actor),
                message: message(which),
                reaction: reaction.to_string(),
                is_set: *is_set,
                only_in_groups: false,
            },
            of_group => self.of_group(of_group),
        }
    }

    fn of_group(&self, wish: &Wish) -> Command {
        let (group, id) = (self.group, |nth: &usize| self.users[*nth].id);
        let (actor, act) = match wish {
            Wish::Add { actor, user } => (actor, GroupAct::Add { group, users: vec![id(user)] }),
            Wish::Remove { actor, user } => (actor, GroupAct::Remove { group, user: id(user) }),
            Wish::SetRole { actor, user, is_owner } => {
                let role = if *is_owner { Role::Owner } else { Role::Member };
                (actor, GroupAct::Role { group, user: id(user), role })
            }
            Wish::SetTitle { actor, title } => (actor, GroupAct::Title { group, title: title.to_string() }),
            other => unreachable!("not of a group: {other:?}"),
        };
        Command::Group { actor: id(actor), act, only_in_groups: false }
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
        let (commands, outcomes) = world.gather().await?;
        model.take(&commands, &outcomes)?;
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
        for user in &world.users {
            for (message, expected) in model.versions(user.id) {
                let versions = store.versions(user, message).await?.context("the user has it")?;
                let said: Vec<&str> = versions.iter().map(|version| version.content.as_str()).collect();
                ensure!(said == expected, "{message} said {said:?}, not {expected:?}");
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
        let (commands, outcomes) = world.gather().await?;
        let mut told: Vec<Told> = commands.into_iter().zip(outcomes).collect();
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

/// Whether an entry may become this: what was received is read, what is changed says so, and what is deleted, or of a group
/// that its owner left, says nothing.
fn is_later(event: &Event, later: &Event) -> bool {
    match (event, later) {
        (Event::Received(message), Event::Received(later)) => {
            later.is_read >= message.is_read && message.id == later.id
        }
        (Event::Sent(message), Event::Sent(later)) => message.id == later.id,
        (Event::Edited { message, edited_at, .. }, Event::Edited { message: later, edited_at: at, .. }) => {
            (message, edited_at) == (later, at)
        }
        (Event::Deleted { .. } | Event::Group { .. }, Event::Void) => false,
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
