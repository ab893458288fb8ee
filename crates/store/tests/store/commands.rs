//! What commands do, and what they do when they are repeated, refused, or race.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use switchboard_protocol::{MailboxId, MessageId, Seq, UserId};
use switchboard_store::{Command, Entry, Event, Outcome, OwnAct, Refusal, SendCommand, Store};

use tokio::time::Instant;

use crate::Test;
use crate::kit::{editing, reacting};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("a_message_makes_two_entries", |store| a_message_makes_two_entries(store).boxed()),
    ("a_repeat_answers_with_the_first", |store| a_repeat_answers_with_the_first(store).boxed()),
    ("a_repeat_overtakes_nothing", |store| a_repeat_overtakes_nothing(store).boxed()),
    ("a_batch_keeps_its_order", |store| a_batch_keeps_its_order(store).boxed()),
    ("what_is_refused_changes_nothing", |store| what_is_refused_changes_nothing(store).boxed()),
    ("a_message_to_oneself_is_read", |store| a_message_to_oneself_is_read(store).boxed()),
    ("reading_is_counted_once", |store| reading_is_counted_once(store).boxed()),
    ("several_are_read_at_once", |store| several_are_read_at_once(store).boxed()),
    ("a_sender_deletes_for_both", |store| a_sender_deletes_for_both(store).boxed()),
    ("a_recipient_deletes_for_themselves", |store| a_recipient_deletes_for_themselves(store).boxed()),
    ("a_batch_of_everything", |store| a_batch_of_everything(store).boxed()),
    ("what_stands_behind_one_that_waits", |store| what_stands_behind_one_that_waits(store).boxed()),
    ("what_is_set_back_and_forth_ends_as_the_last_says", |store| {
        what_is_set_back_and_forth_ends_as_the_last_says(store).boxed()
    }),
    ("one_that_waits_is_not_overtaken_by_its_actor", |store| {
        one_that_waits_is_not_overtaken_by_its_actor(store).boxed()
    }),
    ("two_committers_race", |store| two_committers_race(store).boxed()),
    ("history_is_for_members", |store| history_is_for_members(store).boxed()),
    ("imports_are_repeatable", |store| imports_are_repeatable(store).boxed()),
];

pub(crate) fn send(sender: i64, recipient: i64, client_message_id: &str, content: &str) -> Command {
    Command::Send(SendCommand {
        sender: UserId(sender),
        to: UserId(recipient).into(),
        subject: String::new(),
        content: content.to_owned(),
        client_message_id: client_message_id.to_owned(),
        attachments: Vec::new(),
        reply_to: None,
        mentions: Vec::new(),
        only_in_groups: false,
    })
}

fn read(reader: i64, message: MessageId) -> Command {
    Command::MarkRead { reader: UserId(reader), messages: vec![message] }
}

fn read_all<'a>(reader: i64, messages: impl Iterator<Item = &'a MessageId>) -> Command {
    Command::MarkRead { reader: UserId(reader), messages: messages.copied().collect() }
}

fn delete(actor: i64, message: MessageId) -> Command {
    Command::Delete { actor: UserId(actor), message }
}

pub(crate) fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

async fn commit(store: &Store, commands: Vec<Command>) -> anyhow::Result<Vec<Outcome>> {
    Ok(store.committer().commit(Arc::from(commands), deadline()).await?)
}

#[track_caller]
fn committed(outcome: &Outcome) -> &[Entry] {
    match outcome {
        Outcome::Committed(entries) => entries,
        other => panic!("not committed: {other:?}"),
    }
}

#[track_caller]
fn message_id(outcome: &Outcome) -> MessageId {
    let entry = match outcome {
        Outcome::Committed(entries) => &entries[0],
        Outcome::Repeated(entry) => entry,
        Outcome::Refused(refusal) => panic!("refused: {refusal:?}"),
    };
    match &entry.event {
        Event::Sent(message) => message.id,
        other => panic!("not sent: {other:?}"),
    }
}

async fn mailbox(store: &Store, user: i64) -> anyhow::Result<MailboxId> {
    Ok(store.find_account(UserId(user)).await?.context("no such user")?.mailbox)
}

async fn page(store: &Store, user: i64) -> anyhow::Result<Vec<Entry>> {
    Ok(store.page(mailbox(store, user).await?, Seq(0), 1000).await?)
}

async fn unread(store: &Store, user: i64) -> anyhow::Result<i64> {
    Ok(store.heads(&[mailbox(store, user).await?]).await?[0].unread)
}

async fn a_message_makes_two_entries(store: Store) -> anyhow::Result<()> {
    let outcomes = commit(&store, vec![send(1, 2, "a", "hällo 🙂")]).await?;
    let entries = committed(&outcomes[0]);
    assert_eq!(
        entries.iter().map(|entry| (entry.seq, entry.unread)).collect::<Vec<_>>(),
        [(Seq(1), 0), (Seq(1), 1)]
    );
    // What is read back is what was handed out.
    assert_eq!(page(&store, 1).await?, [entries[0].clone()]);
    assert_eq!(page(&store, 2).await?, [entries[1].clone()]);
    let Event::Received(message) = &entries[1].event else { panic!("{entries:?}") };
    assert_eq!(
        (message.sender_name.as_str(), message.recipient, message.is_read),
        ("user1", Some(UserId(2)), false)
    );
    Ok(())
}

async fn a_repeat_answers_with_the_first(store: Store) -> anyhow::Result<()> {
    let first = commit(&store, vec![send(1, 2, "a", "x"), send(1, 2, "b", "y")]).await?;
    // In a batch of its own, twice in one batch, and beside something new.
    let again =
        commit(&store, vec![send(1, 2, "b", "y"), send(1, 2, "c", "z"), send(1, 2, "c", "z")]).await?;
    assert_eq!(again[0], Outcome::Repeated(committed(&first[1])[0].clone()));
    assert_eq!(again[2], Outcome::Repeated(committed(&again[1])[0].clone()));
    // Another sender may use the same id, the same sender not for something else.
    let other =
        commit(&store, vec![send(3, 2, "a", "x"), send(1, 2, "a", "other"), send(1, 3, "a", "x")]).await?;
    assert_eq!(committed(&other[0]).len(), 2);
    assert_eq!(other[1], Outcome::Refused(Refusal::ClientMessageIdReused));
    assert_eq!(other[2], Outcome::Refused(Refusal::ClientMessageIdReused));
    assert_eq!((unread(&store, 2).await?, store.count_messages().await?), (4, 4));
    Ok(())
}

/// The first was refused, so that the second would be new: behind what stands between, it has to be asked again.
async fn a_repeat_overtakes_nothing(store: Store) -> anyhow::Result<()> {
    let outcomes =
        commit(&store, vec![send(1, 99, "x", "a"), send(1, 2, "x", "a"), send(1, 2, "y", "b")]).await?;
    assert_eq!(outcomes[0], Outcome::Refused(Refusal::UnknownRecipient));
    assert_eq!(outcomes[1], Outcome::Refused(Refusal::Busy));
    assert!(matches!(outcomes[2], Outcome::Committed(_)));
    // The very same again has the very same answer.
    let outcomes =
        commit(&store, vec![send(1, 99, "z", "a"), send(1, 99, "z", "a"), send(1, 99, "z", "a")]).await?;
    assert_eq!(outcomes, vec![Outcome::Refused(Refusal::UnknownRecipient); 3]);
    Ok(())
}

/// Somebody sits on a mailbox for longer than a lock is waited for.
pub(crate) async fn one_locked_mailbox_spoils_no_other(store: Store, url: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("BEGIN; SELECT * FROM mailboxes WHERE owner_id = 5 FOR UPDATE").await?;
    let batch = vec![send(1, 2, "a", "x"), send(1, 5, "b", "x"), send(3, 2, "c", "x"), send(3, 5, "d", "x")];
    let deadline = Instant::now() + Duration::from_secs(5);
    let outcomes = store.committer().commit(Arc::from(batch.clone()), deadline).await?;
    assert!(Instant::now() < deadline + Duration::from_secs(2), "the deadline holds");
    assert!(matches!(outcomes[0], Outcome::Committed(_)));
    assert_eq!(
        (&outcomes[1], &outcomes[3]),
        (&Outcome::Refused(Refusal::Busy), &Outcome::Refused(Refusal::Busy))
    );
    client.batch_execute("ROLLBACK").await?;
    // What the store had no time for may have been done behind our back: once, either way.
    let outcomes = commit(&store, batch).await?;
    assert!(matches!(outcomes[0], Outcome::Repeated(_)));
    assert!(outcomes.iter().all(|outcome| !matches!(outcome, Outcome::Refused(_))), "{outcomes:?}");
    assert_eq!((unread(&store, 2).await?, unread(&store, 5).await?), (2, 2));
    Ok(())
}

/// Nothing that its sender asked for after a message overtakes it while a mailbox is locked, in whatever transaction.
pub(crate) async fn one_held_up_is_not_overtaken(store: Store, url: &str) -> anyhow::Result<()> {
    let message = message_id(&commit(&store, vec![send(1, 2, "a", "one")]).await?[0]);
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("BEGIN; SELECT * FROM mailboxes WHERE owner_id = 5 FOR UPDATE").await?;
    let batch = vec![
        send(1, 5, "b", "x"),
        editing(1, message, "two"),
        editing(2, message, "three"),
        send(1, 2, "c", "x"),
    ];
    let outcomes = commit(&store, batch.clone()).await?;
    let busy = Outcome::Refused(Refusal::Busy);
    let others = Outcome::Refused(Refusal::NotFound);
    assert_eq!(outcomes, [busy.clone(), busy.clone(), others, busy]);
    client.batch_execute("ROLLBACK").await?;
    let outcomes = commit(&store, batch).await?;
    assert!(matches!(outcomes[1], Outcome::Committed(_)), "{outcomes:?}");
    Ok(())
}

async fn a_batch_keeps_its_order(store: Store) -> anyhow::Result<()> {
    let mut batch = Vec::new();
    for n in 0..300 {
        batch.push(send(1 + n % 3, 1 + (n / 3) % 4, &format!("m{n}"), &format!("{n}")));
    }
    let outcomes = commit(&store, batch).await?;
    let ids: Vec<_> = outcomes.iter().map(message_id).collect();
    assert!(ids.is_sorted(), "ids ascend in the order of the batch");
    for user in 1..=4 {
        let entries = page(&store, user).await?;
        assert!(entries.iter().map(|entry| entry.seq.0).eq(1..=entries.len() as i64));
        let numbers = entries.iter().map(|entry| match &entry.event {
            Event::Sent(message) | Event::Received(message) => {
                message.content.parse::<i64>().expect("a number")
            }
            other => panic!("{other:?}"),
        });
        assert!(numbers.is_sorted(), "order in the mailbox of user {user}");
    }
    Ok(())
}

async fn what_is_refused_changes_nothing(store: Store) -> anyhow::Result<()> {
    let outcomes =
        commit(&store, vec![send(1, 99, "a", "x"), send(1, 2, "b", "y"), read(3, MessageId(12))]).await?;
    assert_eq!(outcomes[0], Outcome::Refused(Refusal::UnknownRecipient));
    assert_eq!(outcomes[2], Outcome::Refused(Refusal::NotFound));
    let message = message_id(&outcomes[1]);
    // A stranger's reading, and the sender's own, find nothing.
    let outcomes = commit(&store, vec![read(3, message), read(1, message)]).await?;
    assert_eq!(outcomes, [Outcome::Refused(Refusal::NotFound), Outcome::Refused(Refusal::NotFound)]);
    assert_eq!((unread(&store, 2).await?, page(&store, 1).await?.len()), (1, 1));
    // A command that the store itself refuses takes no others with it, but what the same user asked for after it waits.
    let batch =
        vec![send(1, 2, "c", "x"), send(1, 2, "d\0", "nul"), send(3, 2, "e", "y"), send(1, 2, "f", "z")];
    let outcomes = commit(&store, batch).await?;
    let is_done = outcomes.iter().map(|outcome| matches!(outcome, Outcome::Committed(_))).collect::<Vec<_>>();
    assert!(is_done[0] && is_done[2] && is_done[3] == is_done[1], "{outcomes:?}");
    Ok(())
}

async fn a_message_to_oneself_is_read(store: Store) -> anyhow::Result<()> {
    let outcomes = commit(&store, vec![send(1, 1, "a", "note")]).await?;
    let entries = committed(&outcomes[0]);
    assert!(
        matches!((&entries[0].event, &entries[1].event), (Event::Sent(_), Event::Received(message)) if message.is_read)
    );
    assert_eq!((entries[0].seq, entries[1].seq, unread(&store, 1).await?), (Seq(1), Seq(2), 0));
    assert_eq!(page(&store, 1).await?, entries);
    let again = commit(&store, vec![read(1, message_id(&outcomes[0]))]).await?;
    assert!(matches!(&again[0], Outcome::Repeated(entry) if entry.seq == Seq(2)));
    Ok(())
}

async fn reading_is_counted_once(store: Store) -> anyhow::Result<()> {
    let sent = commit(&store, vec![send(1, 2, "a", "x"), send(3, 2, "b", "y")]).await?;
    let first = message_id(&sent[0]);
    let outcomes =
        commit(&store, vec![read(2, first), read(2, message_id(&sent[1])), read(2, first)]).await?;
    let entries = committed(&outcomes[0]);
    assert_eq!((entries[0].unread, entries[1].unread), (1, 0), "of the reader, of the sender");
    assert!(
        matches!(&entries[1].event, Event::Receipt { messages, reader: UserId(2), .. } if messages == &[first])
    );
    assert!(
        matches!(&outcomes[2], Outcome::Repeated(entry) if entry.seq == entries[0].seq && entry.unread == 0)
    );
    assert_eq!(unread(&store, 2).await?, 0);
    let received = page(&store, 2).await?;
    assert!(matches!(&received[0].event, Event::Received(message) if message.is_read));
    Ok(())
}

/// Four committers, each with the same sends and readings, over mailboxes that they share.
/// Reader 1 has two of user 2 and one of user 3; another that is read; one of others.
async fn several_are_read_at_once(store: Store) -> anyhow::Result<()> {
    let sends = [(2, 1), (2, 1), (3, 1), (3, 1), (4, 5)];
    let sends = sends.iter().zip('a'..).map(|((from, to), id)| send(*from, *to, &id.to_string(), "x"));
    let ids: Vec<_> = commit(&store, sends.collect()).await?.iter().map(message_id).collect();
    commit(&store, vec![read(1, ids[3])]).await?;
    let outcomes = commit(&store, vec![read_all(1, ids.iter()), read_all(1, ids[..2].iter())]).await?;
    let entries = committed(&outcomes[0]);
    assert_eq!(entries.len(), 3, "{entries:?}");
    assert_eq!(entries[0].event, Event::Read { messages: ids[..3].to_vec() });
    assert_eq!((entries[0].unread, unread(&store, 1).await?), (0, 0));
    let receipts: Vec<_> = entries[1..].iter().map(|entry| (entry.mailbox, &entry.event)).collect();
    for (sender, expect) in [(2, &ids[..2]), (3, &ids[2..3])] {
        let mailbox = mailbox(&store, sender).await?;
        let found = receipts.iter().find(|(of, _)| *of == mailbox).context("a receipt")?;
        assert!(matches!(found.1, Event::Receipt { messages, reader: UserId(1), .. } if messages == expect));
        // As it is read back.
        let page = page(&store, sender).await?;
        let replayed = page.iter().filter(|entry| entry.event == *found.1).count();
        assert_eq!(replayed, 1, "{page:?}");
    }
    assert_eq!(
        page(&store, 1).await?.last().map(|entry| entry.event.clone()),
        Some(entries[0].event.clone())
    );
    let Outcome::Repeated(repeat) = &outcomes[1] else { panic!("{:?}", outcomes[1]) };
    assert_eq!(repeat.unread, 0);
    let nothing = commit(&store, vec![read_all(1, ids[4..].iter())]).await?;
    assert_eq!(nothing, [Outcome::Refused(Refusal::NotFound)]);
    assert_eq!(unread(&store, 5).await?, 1);
    Ok(())
}

async fn a_sender_deletes_for_both(store: Store) -> anyhow::Result<()> {
    let sent = commit(&store, vec![send(1, 2, "a", "gone"), send(1, 2, "b", "stays")]).await?;
    let ids: Vec<_> = sent.iter().map(message_id).collect();
    let stranger = commit(&store, vec![delete(3, ids[0]), delete(1, MessageId(4711))]).await?;
    assert_eq!(stranger, vec![Outcome::Refused(Refusal::NotFound); 2], "as one that does not exist");
    commit(&store, vec![read(2, ids[1])]).await?;
    assert_eq!(unread(&store, 2).await?, 1);
    let outcome = commit(&store, vec![delete(1, ids[0])]).await?;
    let entries = committed(&outcome[0]);
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry.event == Event::Deleted { message: ids[0] }));
    assert_eq!((entries[0].mailbox, entries[1].unread), (mailbox(&store, 1).await?, 0));
    assert_eq!(unread(&store, 2).await?, 0);
    for user in [1, 2] {
        let page = page(&store, user).await?;
        assert_eq!(page[0].event, Event::Void, "user {user}");
        assert_eq!(page.iter().filter(|entry| entry.event == entries[0].event).count(), 1);
        assert!(!format!("{page:?}").contains("gone"), "user {user}: {page:?}");
    }
    let again = commit(&store, vec![delete(1, ids[0]), delete(2, ids[0]), read(2, ids[0])]).await?;
    assert!(matches!(&again[0], Outcome::Repeated(entry) if entry.seq == entries[0].seq));
    assert!(matches!(&again[1], Outcome::Repeated(entry) if entry.seq == entries[1].seq));
    assert_eq!(again[2], Outcome::Refused(Refusal::NotFound));
    // A resend does not bring it back.
    let resent = commit(&store, vec![send(1, 2, "a", "gone")]).await?;
    assert!(matches!(&resent[0], Outcome::Repeated(_)));
    let reader = store.find_account(UserId(2)).await?.context("is there")?;
    let Event::Sent(message) = &committed(&sent[0])[0].event else { panic!() };
    let left = store.history(&reader, message.conversation, None, 9).await?.context("a member")?;
    assert_eq!(left.iter().map(|message| message.id).collect::<Vec<_>>(), ids[1..]);
    Ok(())
}

async fn a_recipient_deletes_for_themselves(store: Store) -> anyhow::Result<()> {
    let sent = commit(&store, vec![send(1, 2, "a", "x"), send(3, 3, "b", "note")]).await?;
    let ids: Vec<_> = sent.iter().map(message_id).collect();
    let outcome = commit(&store, vec![delete(2, ids[0])]).await?;
    assert_eq!(committed(&outcome[0]).len(), 1, "the sender is not told");
    assert_eq!(unread(&store, 2).await?, 0);
    assert!(matches!(page(&store, 1).await?[0].event, Event::Sent(_)));
    assert_eq!(page(&store, 2).await?[0].event, Event::Void);
    let Event::Sent(message) = &committed(&sent[0])[0].event else { panic!() };
    for (user, n_left) in [(1, 1), (2, 0)] {
        let reader = store.find_account(UserId(user)).await?.context("is there")?;
        let left = store.history(&reader, message.conversation, None, 9).await?.context("a member")?;
        assert_eq!(left.len(), n_left, "user {user}");
    }
    // What the sender deletes then is news to the sender alone.
    let outcome = commit(&store, vec![delete(1, ids[0])]).await?;
    assert_eq!(committed(&outcome[0]).len(), 1);
    let own = commit(&store, vec![delete(3, ids[1])]).await?;
    assert_eq!(committed(&own[0]).len(), 1);
    let kinds: Vec<_> = page(&store, 3).await?.into_iter().map(|entry| entry.event).collect();
    assert_eq!(kinds, [Event::Void, Event::Void, Event::Deleted { message: ids[1] }]);
    Ok(())
}

/// Order in the batch is order in the mailbox, whatever goes by which statement.
async fn a_batch_of_everything(store: Store) -> anyhow::Result<()> {
    let ids: Vec<_> = commit(&store, vec![send(1, 2, "a", "x"), send(1, 2, "b", "y")])
        .await?
        .iter()
        .map(message_id)
        .collect();
    let batch = vec![
        read(2, ids[0]),
        delete(1, ids[0]),
        send(2, 1, "c", "z"),
        delete(2, ids[0]),
        delete(2, ids[1]),
        read(2, ids[1]),
        delete(1, ids[1]),
        delete(1, ids[1]),
    ];
    let outcomes = commit(&store, batch).await?;
    let is_new = |n: usize| matches!(outcomes[n], Outcome::Committed(_));
    assert_eq!([0, 1, 2, 4, 6].map(is_new), [true; 5], "{outcomes:?}");
    assert!(matches!(outcomes[3], Outcome::Repeated(_)) && matches!(outcomes[7], Outcome::Repeated(_)));
    assert_eq!(outcomes[5], Outcome::Refused(Refusal::NotFound));
    let of_two: Vec<_> = page(&store, 2).await?.into_iter().map(|entry| entry.event).collect();
    assert!(
        matches!(of_two[..], [Event::Void, Event::Void, Event::Void, Event::Sent(_), Event::Deleted { message: first }, Event::Deleted { message: second }] if [first, second] == ids[..]),
        "{of_two:?}"
    );
    assert_eq!(unread(&store, 2).await?, 0);
    Ok(())
}

/// Three lists of one reader that overlap, the newest first, as polls make them.
async fn what_stands_behind_one_that_waits(store: Store) -> anyhow::Result<()> {
    let sends = (0..5).map(|n| send(1, 2, &n.to_string(), "x")).collect();
    let ids: Vec<_> = commit(&store, sends).await?.iter().map(message_id).rev().collect();
    let lists = [&ids[1..3], &ids[0..3], &ids[0..3]];
    let outcomes = commit(&store, lists.iter().map(|list| read_all(2, list.iter())).collect()).await?;
    assert!(
        matches!(outcomes[..], [Outcome::Committed(_), Outcome::Committed(_), Outcome::Repeated(_)]),
        "{outcomes:?}"
    );
    assert_eq!(unread(&store, 2).await?, 2);
    // What was read with others and deleted since cannot be read.
    commit(&store, vec![delete(1, ids[0])]).await?;
    assert_eq!(commit(&store, vec![read(2, ids[0])]).await?, [Outcome::Refused(Refusal::NotFound)]);
    Ok(())
}

/// An edit stands behind what another does to the message, and a mark behind one that overlaps.
async fn one_that_waits_is_not_overtaken_by_its_actor(store: Store) -> anyhow::Result<()> {
    let sends = vec![send(1, 2, "a", "one"), send(1, 2, "b", "two")];
    let ids: Vec<_> = commit(&store, sends).await?.iter().map(message_id).collect();
    let batch = vec![
        reacting(2, ids[0], "+", true),
        editing(1, ids[0], "three"),
        send(1, 2, "c", "four"),
        read(2, ids[0]),
        read_all(2, ids.iter()),
        Command::Own { user: UserId(2), act: OwnAct::Receipts { send: false } },
    ];
    let outcomes = commit(&store, batch).await?;
    let place = |nth: usize| committed(&outcomes[nth])[0].seq;
    assert!(place(1) < place(2), "{outcomes:?}");
    assert!(place(4) < place(5), "{outcomes:?}");
    // What was read before they were turned off is told.
    assert_eq!(committed(&outcomes[4]).len(), 2, "{outcomes:?}");
    Ok(())
}

/// The third is the same as the first, and yet no repeat of it.
async fn what_is_set_back_and_forth_ends_as_the_last_says(store: Store) -> anyhow::Result<()> {
    let message = message_id(&commit(&store, vec![send(1, 2, "a", "one")]).await?[0]);
    let (react, edit) = (|is_set| reacting(2, message, "+", is_set), |content| editing(1, message, content));
    let batch = vec![react(true), react(false), react(true), edit("two"), edit("one"), edit("two")];
    let outcomes = commit(&store, batch).await?;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Committed(_))), "{outcomes:?}");
    let Event::Reacted { reaction, .. } = &committed(&outcomes[2])[0].event else { panic!("{outcomes:?}") };
    assert_eq!((reaction.is_set, reaction.count), (true, 1));
    let again = commit(&store, vec![react(true), edit("two")]).await?;
    assert!(again.iter().all(|outcome| matches!(outcome, Outcome::Repeated(_))), "{again:?}");
    Ok(())
}

async fn two_committers_race(store: Store) -> anyhow::Result<()> {
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..4 {
        let mut committer = store.committer();
        racers.spawn(async move {
            let mut ids = Vec::new();
            for round in 0..20 {
                let sends = (0..10).map(|n| {
                    let (sender, recipient) = (1 + (n + round) % 5, 1 + (n * 3 + racer % 2) % 5);
                    send(sender, recipient, &format!("{round}-{n}-{}", racer % 2), "x")
                });
                let outcomes = committer.commit(sends.collect(), deadline()).await?;
                ids.extend(outcomes.iter().map(message_id));
                let reads = ids.iter().rev().take(15).flat_map(|id| (1..=5).map(|reader| read(reader, *id)));
                let mut changes: Vec<_> = reads.collect();
                // Both parties delete some, and somebody who has nothing to do with them tries to.
                let some = ids.iter().rev().take(4).enumerate();
                changes.extend(some.flat_map(|(n, id)| (1..=5).take(n + 2).map(|actor| delete(actor, *id))));
                changes.extend((1..=5).map(|reader| read_all(reader, ids.iter().rev().skip(10).take(20))));
                committer.commit(changes.into(), deadline()).await?;
            }
            anyhow::Ok((racer % 2, ids))
        });
    }
    let mut results = Vec::new();
    while let Some(result) = racers.join_next().await {
        results.push(result??);
    }
    results.sort();
    assert_eq!(results[0], results[1], "both got the same message for the same client id");
    assert_eq!(results[2], results[3]);
    assert_eq!(store.count_messages().await?, 400);
    Ok(())
}

async fn history_is_for_members(store: Store) -> anyhow::Result<()> {
    let sent =
        commit(&store, (0..5).map(|n| send(1 + n % 2, 2 - n % 2, &format!("{n}"), "x")).collect()).await?;
    let ids: Vec<_> = sent.iter().map(message_id).collect();
    let Event::Sent(message) = &committed(&sent[0])[0].event else { panic!() };
    let page = async |reader, before| -> anyhow::Result<_> {
        let reader = store.find_account(UserId(reader)).await?.context("is there")?;
        Ok(store.history(&reader, message.conversation, before, 3).await?)
    };
    let first = page(2, None).await?.context("a member")?;
    assert_eq!(first.iter().map(|message| message.id).collect::<Vec<_>>(), [ids[4], ids[3], ids[2]]);
    assert_eq!(first[0].client_message_id, None, "it is its sender's alone");
    assert_eq!(page(1, Some(ids[2])).await?.context("a member")?.len(), 2);
    assert_eq!(page(1, Some(ids[0])).await?, Some(Vec::new()));
    assert_eq!(page(3, None).await?, None);
    // Onwards come the next ones, and stand as ever.
    let onwards = async |reader, after| -> anyhow::Result<_> {
        let reader = store.find_account(UserId(reader)).await?.context("is there")?;
        let page = store.history_after(&reader, message.conversation, after, 3).await?;
        Ok(page.map(|page| page.iter().map(|message| message.id).collect::<Vec<_>>()))
    };
    assert_eq!(onwards(2, MessageId(0)).await?, Some(vec![ids[2], ids[1], ids[0]]));
    assert_eq!(onwards(1, ids[2]).await?, Some(vec![ids[4], ids[3]]));
    assert_eq!(onwards(1, ids[4]).await?, Some(Vec::new()));
    assert_eq!(onwards(3, MessageId(0)).await?, None);
    Ok(())
}

async fn imports_are_repeatable(store: Store) -> anyhow::Result<()> {
    let import = |name: &str, full_name: &str| switchboard_store::Import {
        username: name.to_owned(),
        full_name: full_name.to_owned(),
        password_hash: None,
    };
    let ids = store.import_users(vec![import("user2", "Zoë Two"), import("new", "")]).await?;
    assert_eq!(ids[0], UserId(2));
    let account = store.find_account(ids[0]).await?.context("is there")?;
    assert_eq!((account.full_name.as_str(), account.disabled), ("Zoë Two", false));
    assert_ne!(store.find_account(ids[1]).await?.context("is there")?.epoch, account.epoch);
    assert_eq!(store.find_account(UserId(4711)).await?, None);
    assert_eq!(store.deployment().await?.len(), 32);
    assert!(store.pending_migrations().await?.is_empty());
    Ok(())
}
