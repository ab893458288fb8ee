//! What is done to a message: edits, reactions, deletions, in conversations of two and in groups.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use switchboard_protocol::limits::{REACTIONS, VERSIONS};
use switchboard_protocol::{ConversationId, MailboxId, MessageId, Seq, Target, UserId};
use switchboard_store::{
    Command, Committer, Edit, Entry, Event, FileLabel, GroupAct, Outcome, OwnAct, Refusal, SendCommand, Store,
};
use tokio::time::Instant;

use crate::Test;
use crate::kit::{account, edit, editing, reacting, upload};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("an_edit_is_told_to_both", |store| an_edit_is_told_to_both(store).boxed()),
    ("what_a_message_said_is_kept", |store| what_a_message_said_is_kept(store).boxed()),
    ("the_oldest_versions_are_dropped", |store| the_oldest_versions_are_dropped(store).boxed()),
    ("edits_are_refused", |store| edits_are_refused(store).boxed()),
    ("reactions_are_counted", |store| reactions_are_counted(store).boxed()),
    ("reactions_are_refused", |store| reactions_are_refused(store).boxed()),
    ("of_a_group_those_hear_who_have_it", |store| of_a_group_those_hear_who_have_it(store).boxed()),
    ("a_deletion_leaves_nothing_behind", |store| a_deletion_leaves_nothing_behind(store).boxed()),
    ("who_left_does_nothing_to_messages", |store| who_left_does_nothing_to_messages(store).boxed()),
    ("a_batch_of_all_that_is_done_to_messages", |store| a_batch_of_all(store).boxed()),
    ("reactions_race", |store| reactions_race(store).boxed()),
];

async fn commit(store: &Store, commands: Vec<Command>) -> anyhow::Result<Vec<Outcome>> {
    let deadline = Instant::now() + Duration::from_secs(30);
    Ok(store.committer().commit(Arc::from(commands), deadline).await?)
}

async fn commit_one(store: &Store, command: Command) -> anyhow::Result<Outcome> {
    Ok(commit(store, vec![command]).await?.remove(0))
}

/// The entries that a command made.
async fn done(store: &Store, command: Command) -> anyhow::Result<Vec<Entry>> {
    match commit_one(store, command).await? {
        Outcome::Committed(entries) => Ok(entries),
        other => anyhow::bail!("not committed: {other:?}"),
    }
}

fn sending(sender: i64, to: impl Into<Target>, content: &str, attachments: Vec<FileLabel>) -> Command {
    Command::Send(SendCommand {
        sender: UserId(sender),
        to: to.into(),
        subject: "about".to_owned(),
        content: content.to_owned(),
        client_message_id: content.to_owned(),
        attachments,
        reply_to: None,
        mentions: Vec::new(),
        only_in_groups: false,
    })
}

async fn send(store: &Store, sender: i64, to: impl Into<Target>, content: &str) -> anyhow::Result<MessageId> {
    match &done(store, sending(sender, to, content, Vec::new())).await?[0].event {
        Event::Sent(message) => Ok(message.id),
        other => anyhow::bail!("not sent: {other:?}"),
    }
}

fn deleting(actor: i64, message: MessageId) -> Command {
    Command::Delete { actor: UserId(actor), message }
}

fn reading(reader: i64, message: MessageId) -> Command {
    Command::MarkRead { reader: UserId(reader), messages: vec![message] }
}

fn blocking(user: i64, other: i64) -> Command {
    Command::Own {
        user: UserId(user),
        act: OwnAct::Block { user: UserId(other), is_blocked: true, only_in_groups: false },
    }
}

async fn act(store: &Store, actor: i64, act: GroupAct) -> anyhow::Result<Vec<Entry>> {
    done(store, Command::Group { actor: UserId(actor), act, only_in_groups: false }).await
}

/// A group of user 1, who owns it, and some more.
async fn group(store: &Store, others: &[i64]) -> anyhow::Result<ConversationId> {
    let members = others.iter().copied().map(UserId).collect();
    let client_conversation_id = "group".to_owned();
    let create = GroupAct::Create { title: "Us".to_owned(), members, client_conversation_id };
    match act(store, 1, create).await?[0].event {
        Event::Group { group, .. } => Ok(group),
        ref other => anyhow::bail!("no group: {other:?}"),
    }
}

async fn leave(store: &Store, group: ConversationId, user: i64) -> anyhow::Result<()> {
    act(store, user, GroupAct::Remove { group, user: UserId(user) }).await.map(drop)
}

async fn join(store: &Store, group: ConversationId, user: i64) -> anyhow::Result<()> {
    act(store, 1, GroupAct::Add { group, users: vec![UserId(user)] }).await.map(drop)
}

async fn mailbox(store: &Store, user: i64) -> anyhow::Result<MailboxId> {
    Ok(account(store, user).await?.mailbox)
}

async fn log(store: &Store, user: i64) -> anyhow::Result<Vec<Entry>> {
    Ok(store.page(mailbox(store, user).await?, Seq(0), 1000).await?)
}

/// The last position and the unread of a user.
async fn head(store: &Store, user: i64) -> anyhow::Result<(i64, i64)> {
    let head = store.heads(&[mailbox(store, user).await?]).await?.remove(0);
    Ok((head.last_seq.0, head.unread))
}

/// That these users were told, the first one first, each at the end of their log and in these words.
async fn check_told(store: &Store, entries: &[Entry], users: &[i64]) -> anyhow::Result<()> {
    let mut told: Vec<_> = entries.iter().map(|entry| entry.mailbox).collect();
    let mut expect = Vec::new();
    for user in users {
        expect.push(mailbox(store, *user).await?);
        let entry = entries.iter().find(|entry| Some(&entry.mailbox) == expect.last()).context("is told")?;
        assert_eq!((entry.seq.0, entry.unread), head(store, *user).await?, "of user {user}");
        assert_eq!(log(store, *user).await?.last(), Some(entry), "as user {user} reads it back");
    }
    assert_eq!(told.first(), expect.first(), "the actor is the first");
    told.sort();
    expect.sort();
    assert_eq!(told, expect);
    Ok(())
}

/// How many have the reaction, as each entry says.
#[track_caller]
fn counts(entries: &[Entry]) -> Vec<i64> {
    let count = |entry: &Entry| match &entry.event {
        Event::Reacted { reaction, .. } => reaction.count,
        other => panic!("no reaction: {other:?}"),
    };
    entries.iter().map(count).collect()
}

async fn an_edit_is_told_to_both(store: Store) -> anyhow::Result<()> {
    let message = send(&store, 1, UserId(2), "before").await?;
    let entries = done(&store, editing(1, message, "after \"<\n🙂")).await?;
    check_told(&store, &entries, &[1, 2]).await?;
    let Event::Edited { subject, content, edited_at, .. } = &entries[0].event else { panic!("{entries:?}") };
    assert_eq!((&**subject, &**content, entries[1].unread), ("about", "after \"<\n🙂", 1));
    for user in [1, 2] {
        let log = log(&store, user).await?;
        let (Event::Sent(message) | Event::Received(message)) = &log[0].event else { panic!("{log:?}") };
        assert_eq!(
            (message.content.as_str(), message.edited_at),
            (&**content, Some(*edited_at)),
            "a replay has it"
        );
    }
    // The same again, when it is too late for another.
    send(&store, 2, UserId(1), "meanwhile").await?;
    let again = Command::Edit(Edit { within: -1, ..edit(1, message, content) });
    let Outcome::Repeated(again) = commit_one(&store, again).await? else { panic!("changed") };
    assert_eq!((again.seq.0, again.unread), head(&store, 1).await?);
    assert_eq!(again.event, entries[0].event);
    // The subject alone is a change as well.
    let titled = Edit { subject: Some(String::new()), ..edit(1, message, content) };
    let entries = done(&store, Command::Edit(titled)).await?;
    assert!(matches!(&entries[1].event, Event::Edited { subject, .. } if subject.is_empty()), "{entries:?}");
    // To oneself.
    let note = send(&store, 3, UserId(3), "note").await?;
    check_told(&store, &done(&store, editing(3, note, "better")).await?, &[3]).await
}

async fn what_a_message_said_is_kept(store: Store) -> anyhow::Result<()> {
    let message = send(&store, 1, UserId(2), "1").await?;
    for content in ["2", "3"] {
        done(&store, editing(1, message, content)).await?;
    }
    done(&store, Command::Edit(Edit { keep: false, ..edit(1, message, "4") })).await?;
    done(&store, editing(1, message, "5")).await?;
    let versions = store.versions(&account(&store, 2).await?, message).await?.context("is there")?;
    let texts: Vec<_> = versions.iter().map(|version| version.content.as_str()).collect();
    assert_eq!(texts, ["4", "2", "1"]);
    assert!(versions.is_sorted_by(|newer, older| newer.until > older.until));
    Ok(())
}

async fn the_oldest_versions_are_dropped(store: Store) -> anyhow::Result<()> {
    let message = send(&store, 1, UserId(2), "0").await?;
    let last = VERSIONS + 3;
    for n in 1..=last {
        done(&store, editing(1, message, &n.to_string())).await?;
    }
    let versions = store.versions(&account(&store, 2).await?, message).await?.context("is there")?;
    let texts: Vec<i64> = versions.iter().map(|version| version.content.parse()).collect::<Result<_, _>>()?;
    assert_eq!(texts, (last - VERSIONS..last).rev().collect::<Vec<_>>());
    Ok(())
}

async fn edits_are_refused(store: Store) -> anyhow::Result<()> {
    let message = send(&store, 1, UserId(2), "x").await?;
    let file = upload(&store, 1, "file").await?;
    let with_file = done(&store, sending(1, UserId(2), "y", vec![file])).await?;
    let Event::Sent(with_file) = &with_file[0].event else { panic!("{with_file:?}") };
    let before = (head(&store, 1).await?, head(&store, 2).await?);
    for (edit, expect) in [
        (edit(2, message, "mine"), Refusal::NotFound),
        (edit(3, message, "x"), Refusal::NotFound),
        (edit(1, MessageId(4711), "x"), Refusal::NotFound),
        (edit(1, message, ""), Refusal::Empty),
        (Edit { within: -1, ..edit(1, message, "late") }, Refusal::TooLate),
        (Edit { only_in_groups: true, ..edit(1, message, "strange") }, Refusal::UnknownRecipient),
    ] {
        let refused = commit_one(&store, Command::Edit(edit.clone())).await?;
        assert_eq!(refused, Outcome::Refused(expect), "{edit:?}");
    }
    assert_eq!((head(&store, 1).await?, head(&store, 2).await?), before);
    done(&store, editing(1, with_file.id, "")).await?;
    done(&store, blocking(2, 1)).await?;
    let refused = commit_one(&store, editing(1, message, "blocked")).await?;
    assert_eq!(refused, Outcome::Refused(Refusal::UnknownRecipient));
    // What was said may be taken back from anybody.
    assert_eq!(done(&store, deleting(1, message)).await?.len(), 2);
    let refused = commit_one(&store, editing(1, message, "x")).await?;
    assert_eq!(refused, Outcome::Refused(Refusal::NotFound));
    Ok(())
}

async fn reactions_are_counted(store: Store) -> anyhow::Result<()> {
    let message = send(&store, 1, UserId(2), "x").await?;
    let first = done(&store, reacting(2, message, "👍", true)).await?;
    check_told(&store, &first, &[2, 1]).await?;
    assert_eq!((counts(&first), first[0].unread), (vec![1, 1], 1));
    let second = done(&store, reacting(1, message, "👍", true)).await?;
    let other = done(&store, reacting(1, message, "🙂", true)).await?;
    assert_eq!((counts(&second), counts(&other)), (vec![2, 2], vec![1, 1]));
    let Outcome::Repeated(again) = commit_one(&store, reacting(2, message, "👍", true)).await? else {
        panic!("set twice")
    };
    assert_eq!(((again.seq.0, again.unread), counts(&[again])), (head(&store, 2).await?, vec![2]));
    let back = done(&store, reacting(2, message, "👍", false)).await?;
    check_told(&store, &back, &[2, 1]).await?;
    assert_eq!(counts(&back), [1, 1]);
    let Outcome::Repeated(again) = commit_one(&store, reacting(2, message, "👍", false)).await? else {
        panic!("taken back twice")
    };
    assert_eq!((counts(&[again]), head(&store, 2).await?.0), (vec![1], 5));
    Ok(())
}

async fn reactions_are_refused(store: Store) -> anyhow::Result<()> {
    let message = send(&store, 1, UserId(2), "x").await?;
    for n in 0..REACTIONS {
        done(&store, reacting(2, message, &n.to_string(), true)).await?;
    }
    let refused = commit_one(&store, reacting(2, message, "more", true)).await?;
    assert_eq!(refused, Outcome::Refused(Refusal::TooManyReactions));
    let again = commit_one(&store, reacting(2, message, "0", true)).await?;
    assert!(matches!(again, Outcome::Repeated(_)), "{again:?}");
    done(&store, reacting(1, message, "more", true)).await?;
    done(&store, reacting(2, message, "0", false)).await?;
    assert_eq!(counts(&done(&store, reacting(2, message, "more", true)).await?), [2, 2]);
    let refused = commit_one(&store, reacting(3, message, "0", true)).await?;
    assert_eq!(refused, Outcome::Refused(Refusal::NotFound));
    done(&store, blocking(1, 2)).await?;
    for is_set in [true, false] {
        let reaction = if is_set { "0" } else { "1" };
        let refused = commit_one(&store, reacting(2, message, reaction, is_set)).await?;
        assert_eq!(refused, Outcome::Refused(Refusal::UnknownRecipient), "{is_set}");
    }
    Ok(())
}

async fn of_a_group_those_hear_who_have_it(store: Store) -> anyhow::Result<()> {
    let group = group(&store, &[2, 3, 4]).await?;
    let message = send(&store, 2, group, "x").await?;
    // So that an entry of theirs stays that is not hidden.
    done(&store, reading(4, message)).await?;
    leave(&store, group, 4).await?;
    join(&store, group, 5).await?;
    join(&store, group, 4).await?;
    // Between members a block does not matter.
    done(&store, blocking(3, 2)).await?;
    let others = (head(&store, 4).await?, head(&store, 5).await?);
    check_told(&store, &done(&store, editing(2, message, "y")).await?, &[2, 1, 3]).await?;
    check_told(&store, &done(&store, reacting(3, message, "👍", true)).await?, &[3, 1, 2]).await?;
    for user in [4, 5] {
        let refused = commit_one(&store, reacting(user, message, "👍", true)).await?;
        assert_eq!(refused, Outcome::Refused(Refusal::NotFound), "user {user}");
        let refused = commit_one(&store, deleting(user, message)).await?;
        assert_eq!(refused, Outcome::Refused(Refusal::NotFound), "user {user}");
    }
    let refused = commit_one(&store, editing(1, message, "the owner's")).await?;
    assert_eq!(refused, Outcome::Refused(Refusal::NotFound));
    // The owner, too, deletes another's for themselves.
    check_told(&store, &done(&store, deleting(1, message)).await?, &[1]).await?;
    assert_eq!(head(&store, 1).await?.1, 0);
    let back = done(&store, reacting(3, message, "👍", false)).await?;
    check_told(&store, &back, &[3, 2]).await?;
    check_told(&store, &done(&store, deleting(2, message)).await?, &[2, 3]).await?;
    assert_eq!(head(&store, 3).await?.1, 0);
    assert_eq!((head(&store, 4).await?, head(&store, 5).await?), others);
    let again = commit_one(&store, deleting(2, message)).await?;
    assert!(matches!(again, Outcome::Repeated(_)), "{again:?}");
    Ok(())
}

async fn a_deletion_leaves_nothing_behind(store: Store) -> anyhow::Result<()> {
    let message = send(&store, 1, UserId(2), "secret").await?;
    done(&store, reacting(2, message, "👍", true)).await?;
    done(&store, editing(1, message, "secret, too")).await?;
    assert_eq!(head(&store, 2).await?.1, 1);
    done(&store, deleting(1, message)).await?;
    for user in [1, 2] {
        let events: Vec<_> = log(&store, user).await?.into_iter().map(|entry| entry.event).collect();
        let expect = [Event::Void, Event::Void, Event::Void, Event::Deleted { message }];
        assert_eq!(events, expect, "of user {user}");
        assert_eq!(head(&store, user).await?.1, 0);
        let reader = account(&store, user).await?;
        assert_eq!(store.versions(&reader, message).await?.unwrap_or_default(), []);
    }
    for command in [editing(1, message, "x"), reacting(1, message, "👍", true)] {
        assert_eq!(commit_one(&store, command).await?, Outcome::Refused(Refusal::NotFound));
    }
    Ok(())
}

/// What they read and did is behind them, and what they did not read never counts again.
async fn who_left_does_nothing_to_messages(store: Store) -> anyhow::Result<()> {
    let group = group(&store, &[2, 3]).await?;
    let read = send(&store, 1, group, "read").await?;
    let unread = send(&store, 1, group, "unread").await?;
    let own = send(&store, 2, group, "own").await?;
    done(&store, reading(2, read)).await?;
    done(&store, reacting(2, read, "👍", true)).await?;
    leave(&store, group, 2).await?;
    let before = head(&store, 2).await?;
    assert_eq!(before.1, 0);
    for command in [deleting(2, own), editing(2, own, "x"), reacting(2, read, "👍", false)] {
        let refused = commit_one(&store, command).await?;
        assert_eq!(refused, Outcome::Refused(Refusal::NotFound));
    }
    let again = done(&store, reacting(3, read, "👍", true)).await?;
    assert_eq!(counts(&again), [2, 2], "what was set stays set");
    for message in [read, unread] {
        let entries = done(&store, deleting(1, message)).await?;
        assert_eq!(entries.len(), 2, "{entries:?}");
    }
    assert_eq!(head(&store, 2).await?, before);
    Ok(())
}

/// Order in the batch is order in the mailbox, as far as one actor is concerned.
async fn a_batch_of_all(store: Store) -> anyhow::Result<()> {
    let group = group(&store, &[2, 3]).await?;
    let first = send(&store, 1, group, "first").await?;
    let second = send(&store, 1, UserId(2), "second").await?;
    let third = send(&store, 2, UserId(1), "third").await?;
    let before = head(&store, 1).await?.0;
    let batch = vec![
        reacting(2, first, "👍", true),
        editing(1, first, "better"),
        reacting(3, first, "👍", true),
        reacting(3, first, "👍", true),
        editing(1, second, ""),
        editing(1, second, "shorter"),
        reacting(1, third, "👍", true),
        deleting(2, third),
        deleting(1, first),
        editing(1, first, "late"),
    ];
    let outcomes = commit(&store, batch).await?;
    let n_entries: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Committed(entries) => entries.len(),
            Outcome::Repeated(_) | Outcome::Refused(_) => 0,
        })
        .collect();
    assert_eq!(n_entries, [3, 3, 3, 0, 0, 2, 2, 2, 3, 0], "{outcomes:?}");
    assert!(matches!(&outcomes[3], Outcome::Repeated(entry) if counts(std::slice::from_ref(entry)) == [2]));
    assert_eq!(outcomes[4], Outcome::Refused(Refusal::Empty));
    assert_eq!(outcomes[9], Outcome::Refused(Refusal::NotFound));
    // Of what was handed out for a mailbox each position is there once.
    let mailbox = mailbox(&store, 1).await?;
    let entries = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Committed(entries) => Some(entries),
        _ => None,
    });
    let mut seqs: Vec<_> =
        entries.flatten().filter(|entry| entry.mailbox == mailbox).map(|entry| entry.seq.0).collect();
    seqs.sort_unstable();
    assert!(seqs.iter().copied().eq(before + 1..=head(&store, 1).await?.0), "{seqs:?}");
    assert_eq!((head(&store, 2).await?.1, head(&store, 3).await?.1), (1, 0));
    Ok(())
}

/// Four committers, each with all users, on a message of a group and one of two. User 5 leaves the group meanwhile.
async fn reactions_race(store: Store) -> anyhow::Result<()> {
    let group = group(&store, &[2, 3, 4, 5]).await?;
    let messages = [send(&store, 1, group, "x").await?, send(&store, 1, UserId(2), "y").await?];
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..4 {
        racers.spawn(react_often(store.committer(), racer, messages));
    }
    leave(&store, group, 5).await?;
    let mut entries = Vec::new();
    while let Some(made) = racers.join_next().await {
        entries.extend(made??);
    }
    entries.sort_by_key(|entry| entry.seq);
    let own = mailbox(&store, 1).await?;
    entries.retain(|entry| entry.mailbox == own);
    assert!(entries.len() > 20, "they did race");
    for message in messages {
        let mut count = 0;
        for entry in &entries {
            let Event::Reacted { message: of, reaction, .. } = &entry.event else { panic!("{entry:?}") };
            if *of == message {
                count += if reaction.is_set { 1 } else { -1 };
                assert_eq!(reaction.count, count, "{entry:?}");
            }
        }
    }
    let last = log(&store, 5).await?.pop().context("an entry")?;
    assert!(matches!(last.event, Event::Group { .. }), "after user 5 left: {last:?}");
    Ok(())
}

/// Sets reactions and takes them back, and gives the entries of that.
async fn react_often(
    mut committer: Committer,
    racer: i64,
    messages: [MessageId; 2],
) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for round in 0..10 {
        let of_all = (1..=5).map(|user| reacting(user, messages[0], "👍", (round + racer + user) % 3 != 0));
        let of_two = (1..=2).map(|user| reacting(user, messages[1], "👍", (round + racer) % 2 == 0));
        let commands: Arc<[Command]> = of_all.chain(of_two).collect();
        let deadline = Instant::now() + Duration::from_secs(30);
        let outcomes = committer.commit(Arc::clone(&commands), deadline).await?;
        for (command, outcome) in commands.iter().zip(outcomes) {
            match outcome {
                Outcome::Committed(made) => entries.extend(made),
                Outcome::Repeated(_) => {}
                // They left.
                Outcome::Refused(Refusal::NotFound) if command.actor() == UserId(5) => {}
                Outcome::Refused(refusal) => anyhow::bail!("refused: {refusal:?}"),
            }
        }
    }
    Ok(entries)
}
