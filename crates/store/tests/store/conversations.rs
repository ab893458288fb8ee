//! What is visible to whom, wherever it is read, and what a conversation is to its members.

mod people;
pub(crate) mod search;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use futures_util::FutureExt;
use switchboard_protocol::server_frame::ReactionCount;
use switchboard_protocol::{
    AttachmentId, ConversationId, ConversationSettings, MessageId, Role, Seq, UserId,
};
use switchboard_store::{
    Account, Command, Event, GroupAct, Message, Outcome, OwnAct, Party, Person, SendCommand, Store, Talk,
    Version,
};

use crate::Test;
use crate::kit::{
    account, change_group, commit, committed, delete, editing, leave, make_group, message, reacting, read,
    send, send_to_group, sent, set_own, upload,
};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("what_is_visible_is_so_everywhere", |store| what_is_visible_is_so_everywhere(store).boxed()),
    ("a_log_replays_what_was_told", |store| a_log_replays_what_was_told(store).boxed()),
    ("a_log_says_what_holds_now", |store| a_log_says_what_holds_now(store).boxed()),
    ("who_keeps_reading_to_themselves", |store| who_keeps_reading_to_themselves(store).boxed()),
    ("history_shows_reactions", |store| history_shows_reactions(store).boxed()),
    ("groups_stand_among_conversations", |store| groups_stand_among_conversations(store).boxed()),
    ("words_are_found", |store| search::words_are_found(store).boxed()),
    ("own_messages_are_a_list", |store| search::own_messages_are_a_list(store).boxed()),
    ("a_search_looks_at_so_many", |store| search::a_search_looks_at_so_many(store).boxed()),
    ("who_hears_of_what_one_does", |store| people::who_hears_of_what_one_does(store).boxed()),
    ("who_knows_whom", |store| people::who_knows_whom(store).boxed()),
];

async fn edit(store: &Store, actor: i64, message: MessageId, content: &str) -> anyhow::Result<()> {
    committed(commit(store, vec![editing(actor, message, content)]).await?)
}

async fn react(store: &Store, actor: i64, message: MessageId, reaction: &str) -> anyhow::Result<()> {
    committed(commit(store, vec![reacting(actor, message, reaction, true)]).await?)
}

fn add(group: ConversationId, users: &[i64]) -> GroupAct {
    GroupAct::Add { group, users: users.iter().copied().map(UserId).collect() }
}

async fn send_receipts(store: &Store, user: i64, send: bool) -> anyhow::Result<()> {
    set_own(store, user, OwnAct::Receipts { send }).await
}

async fn events(store: &Store, reader: &Account) -> anyhow::Result<Vec<Event>> {
    let entries = store.page(reader.mailbox, Seq(0), 200).await?;
    Ok(entries.into_iter().map(|entry| entry.event).collect())
}

/// All messages of a user, or those that a search finds, by three, so that one page is not all.
async fn all_pages(store: &Store, reader: &Account, words: Option<&str>) -> anyhow::Result<Vec<Message>> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let found = match words {
            Some(words) => store.search(reader, None, words, before, 3).await?,
            None => store.mail(reader, None, before, 3).await?,
        };
        all.extend(found.messages.into_iter().map(|listed| listed.message));
        before = found.before;
        if before.is_none() {
            return Ok(all);
        }
    }
}

fn contents(messages: impl IntoIterator<Item = Message>) -> Vec<String> {
    let mut contents: Vec<_> = messages.into_iter().map(|message| message.content).collect();
    contents.sort();
    contents
}

/// Messages of a group by user 1, with a file and another text before each: two before users 3 and 4 leave, one while
/// user 4 is away, one after they came back. User 2 deletes the second for themselves. User 5 is no member.
struct Scene {
    group: ConversationId,
    messages: Vec<(MessageId, AttachmentId)>,
}

const TEXTS: [&str; 4] = ["1 before", "2 deleted", "3 between", "4 after"];

/// What each user can see.
const SEEN: [(i64, &[usize]); 5] = [(1, &[0, 1, 2, 3]), (2, &[0, 2, 3]), (3, &[]), (4, &[3]), (5, &[])];

impl Scene {
    async fn set(store: &Store) -> anyhow::Result<Self> {
        let group = make_group(store, 1, "Us", &[2, 3, 4]).await?;
        let mut scene = Self { group, messages: Vec::new() };
        scene.say(store, TEXTS[0]).await?;
        scene.say(store, TEXTS[1]).await?;
        delete(store, 2, scene.messages[1].0).await?;
        leave(store, 3, group).await?;
        leave(store, 4, group).await?;
        scene.say(store, TEXTS[2]).await?;
        change_group(store, 1, add(group, &[4])).await?;
        scene.say(store, TEXTS[3]).await?;
        Ok(scene)
    }

    async fn say(&mut self, store: &Store, text: &str) -> anyhow::Result<()> {
        let file = upload(store, 1, text).await?;
        let id = file.id;
        let send = message(1, self.group.into(), &format!("{text} at first"), vec![file]);
        let message = sent(store, send).await?;
        edit(store, 1, message, text).await?;
        self.messages.push((message, id));
        Ok(())
    }

    /// What a user finds, by where they look.
    async fn found(&self, store: &Store, user: i64) -> anyhow::Result<BTreeMap<&str, Vec<String>>> {
        let reader = account(store, user).await?;
        let mut found = BTreeMap::new();
        let in_log = events(store, &reader).await?.into_iter().filter_map(|event| match event {
            Event::Sent(message) | Event::Received(message) => Some(Message::clone(&message)),
            _ => None,
        });
        found.insert("log", contents(in_log));
        let history = store.history(&reader, self.group, None, 100).await?;
        found.insert("history", contents(history.into_iter().flatten()));
        let onwards = store.history_after(&reader, self.group, MessageId(0), 100).await?;
        found.insert("history onwards", contents(onwards.into_iter().flatten()));
        let lists = store.lists(&reader, None, 100).await?;
        let listed = lists.received.into_iter().chain(lists.sent).map(|listed| listed.message);
        found.insert("lists", contents(listed));
        found.insert("search", contents(all_pages(store, &reader, Some("E")).await?));
        found.insert("mail", contents(all_pages(store, &reader, None).await?));
        let (mut with_versions, mut with_files) = (Vec::new(), Vec::new());
        for (&(message, file), text) in self.messages.iter().zip(TEXTS) {
            if let Some(versions) = store.versions(&reader, message).await? {
                assert_eq!(versions[0].content, format!("{text} at first"));
                with_versions.push(text.to_owned());
            }
            if store.find_attachment(file, reader.id).await?.is_some() {
                with_files.push(text.to_owned());
            }
        }
        found.insert("versions", with_versions);
        found.insert("files", with_files);
        Ok(found)
    }

    /// What a user has received and not read, by where they look.
    async fn found_unread(&self, store: &Store, user: i64) -> anyhow::Result<Vec<Vec<String>>> {
        let reader = account(store, user).await?;
        let latest = store.latest_unread(&reader, 100).await?;
        let last = self.messages[3].0;
        let up_to = store.unread_up_to(reader.id, reader.mailbox, self.group, last, 100).await?;
        assert_eq!(up_to.is_some(), matches!(user, 1 | 2 | 4));
        let text_of = |id| self.messages.iter().position(|(message, _)| *message == id).map(|n| TEXTS[n]);
        let up_to = up_to.into_iter().flatten().filter_map(text_of).map(str::to_owned).collect();
        let latest = contents(latest);
        assert_eq!(reader.unread, i64::try_from(latest.len())?);
        Ok(vec![latest, up_to])
    }
}

async fn what_is_visible_is_so_everywhere(store: Store) -> anyhow::Result<()> {
    let scene = Scene::set(&store).await?;
    for (user, seen) in SEEN {
        let expected: Vec<String> = seen.iter().map(|n| TEXTS[*n].to_owned()).collect();
        for (place, found) in scene.found(&store, user).await? {
            assert_eq!(found, expected, "user {user}, {place}");
        }
        let unread = if user == 1 { Vec::new() } else { expected.clone() };
        for found in scene.found_unread(&store, user).await? {
            assert_eq!(found, unread, "user {user}");
        }
        let reader = account(&store, user).await?;
        let last = expected.last();
        let talks = store.conversations(&reader, None, None, 10).await?;
        let lasts: Vec<_> = talks.iter().flat_map(|talk| &talk.last).map(|last| &last.content).collect();
        assert_eq!(lasts, last.into_iter().collect::<Vec<_>>(), "user {user}");
        let talk = store.conversation(&reader, scene.group).await?;
        assert_eq!(talk.as_ref().map(|(talk, _)| talk), talks.first(), "user {user}");
        assert_eq!(talk.is_some(), last.is_some(), "user {user}");
    }
    Ok(())
}

/// What each command was answered with is what stands in the mailboxes afterwards.
async fn a_log_replays_what_was_told(store: Store) -> anyhow::Result<()> {
    let group = make_group(&store, 1, "Us", &[2, 3]).await?;
    let first = send_to_group(&store, 1, group, "first").await?;
    let direct = send(&store, 2, 1, "direct").await?;
    let naming = SendCommand {
        reply_to: Some(first),
        mentions: vec![UserId(1), UserId(3)],
        ..message(2, group.into(), "answer", Vec::new())
    };
    let settings = OwnAct::Conversation {
        conversation: group,
        is_muted: Some(true),
        is_archived: None,
        draft: Some("begun".to_owned()),
    };
    let by_owner = |act| Command::Group { actor: UserId(1), act, only_in_groups: false };
    let own = |act| Command::Own { user: UserId(1), act };
    let commands = vec![
        Command::Send(naming),
        Command::MarkRead { reader: UserId(2), messages: vec![first] },
        Command::MarkRead { reader: UserId(1), messages: vec![direct] },
        reacting(3, first, "👍", true),
        reacting(3, first, "👍", false),
        reacting(1, direct, "👍", true),
        editing(2, direct, "direct, changed"),
        by_owner(GroupAct::Title { group, title: "We".to_owned() }),
        by_owner(add(group, &[4])),
        by_owner(GroupAct::Role { group, user: UserId(2), role: Role::Owner }),
        by_owner(GroupAct::Remove { group, user: UserId(4) }),
        own(settings),
        own(OwnAct::Block { user: UserId(5), is_blocked: true, only_in_groups: false }),
        own(OwnAct::Receipts { send: false }),
    ];
    for command in commands {
        let told = match commit(&store, vec![command.clone()]).await?.remove(0) {
            Outcome::Committed(entries) => entries,
            other => anyhow::bail!("{command:?}: {other:?}"),
        };
        assert!(!told.is_empty());
        for entry in told {
            let page = store.page(entry.mailbox, Seq(entry.seq.0 - 1), 1).await?;
            let found = page.into_iter().next().map(|found| uncounted(found.event));
            assert_eq!(found, Some(entry.event), "{command:?}");
        }
    }
    Ok(())
}

/// What is just sent says nothing yet of how many have read it: all members get the same bytes.
fn uncounted(event: Event) -> Event {
    match event {
        Event::Sent(message) => {
            Event::Sent(Arc::new(Message { read_count: None, ..Message::clone(&message) }))
        }
        other => other,
    }
}

async fn a_log_says_what_holds_now(store: Store) -> anyhow::Result<()> {
    let group = make_group(&store, 1, "Us", &[2, 3]).await?;
    let message = send_to_group(&store, 1, group, "once").await?;
    read(&store, 2, &[message]).await?;
    react(&store, 2, message, "👍").await?;
    edit(&store, 1, message, "twice").await?;
    edit(&store, 1, message, "now").await?;
    let reader = account(&store, 1).await?;
    let log = events(&store, &reader).await?;
    let [Event::Group { .. }, Event::Sent(sent), Event::Receipt { counts, .. }, reaction, edits @ ..] =
        log.as_slice()
    else {
        panic!("{log:?}");
    };
    assert_eq!((sent.content.as_str(), sent.recipient, sent.read_count), ("now", None, Some(1)));
    assert_eq!(counts, &[1]);
    assert!(matches!(reaction, Event::Reacted { user: UserId(2), .. }));
    let texts = |event: &Event| match event {
        Event::Edited { content, edited_at, .. } => (content.clone(), *edited_at),
        other => panic!("{other:?}"),
    };
    let texts: Vec<_> = edits.iter().map(texts).collect();
    // Each says when, but all the present text.
    assert_eq!((&*texts[0].0, &*texts[1].0), ("now", "now"));
    assert!(texts[0].1 < texts[1].1 && sent.edited_at == Some(texts[1].1));
    let versions = store.versions(&reader, message).await?.context("is there")?;
    let said: Vec<_> = versions.iter().map(|Version { content, .. }| content.as_str()).collect();
    assert_eq!((said, versions[1].until), (vec!["twice", "once"], texts[0].1));
    // To its readers a message does not say how many read it.
    let other = account(&store, 2).await?;
    let received = events(&store, &other).await?.into_iter().find_map(|event| match event {
        Event::Received(message) => Some(message),
        _ => None,
    });
    let received = received.context("was received")?;
    assert_eq!((received.read_count, received.is_read), (None, true));
    // Who has left keeps the positions, and nothing in them but that they were there.
    let draft = Some("not sent".to_owned());
    let own = OwnAct::Conversation { conversation: group, is_muted: None, is_archived: None, draft };
    set_own(&store, 2, own).await?;
    leave(&store, 2, group).await?;
    let log = events(&store, &other).await?;
    let voids = log.iter().filter(|event| **event == Event::Void).count();
    assert_eq!((voids, log.len()), (6, 8), "{log:?}");
    Ok(())
}

/// Whether a message is read, and by how many, as the log's owner finds it in a conversation and in their lists.
async fn is_read(
    store: &Store,
    user: i64,
    conversation: ConversationId,
) -> anyhow::Result<(bool, Option<i64>)> {
    let reader = account(store, user).await?;
    let history = store.history(&reader, conversation, None, 1).await?.context("a member")?.remove(0);
    let lists = store.lists(&reader, None, 10).await?;
    let listed = lists.received.into_iter().chain(lists.sent).map(|listed| listed.message);
    let listed = listed.into_iter().find(|message| message.id == history.id).context("is listed")?;
    assert_eq!(listed, history);
    let talks = store.conversations(&reader, None, None, 10).await?;
    let last = talks.into_iter().find(|talk| talk.conversation == conversation).and_then(|talk| talk.last);
    assert_eq!(last.as_ref(), Some(&history));
    let found = store.search(&reader, None, &history.content, None, 10).await?.messages;
    let found: Vec<_> = found.into_iter().map(|listed| listed.message).collect();
    assert_eq!(found, std::slice::from_ref(&history));
    Ok((history.is_read, history.read_count))
}

async fn who_keeps_reading_to_themselves(store: Store) -> anyhow::Result<()> {
    send_receipts(&store, 2, false).await?;
    let direct = send(&store, 1, 2, "direct").await?;
    let reader = account(&store, 1).await?;
    let pair = store.conversations(&reader, None, None, 1).await?.remove(0).conversation;
    let group = make_group(&store, 1, "Us", &[2, 3, 4]).await?;
    let in_group = send_to_group(&store, 1, group, "group").await?;
    read(&store, 2, &[direct, in_group]).await?;
    assert!(!store.sends_receipts(UserId(2)).await? && store.sends_receipts(UserId(1)).await?);
    assert_eq!(is_read(&store, 1, pair).await?, (false, None));
    assert_eq!(is_read(&store, 1, group).await?, (false, Some(0)));
    assert_eq!(is_read(&store, 2, pair).await?, (true, None));
    assert_eq!(is_read(&store, 2, group).await?, (true, None));
    assert_eq!(is_read(&store, 3, group).await?, (false, None));
    read(&store, 3, &[in_group]).await?;
    read(&store, 4, &[in_group]).await?;
    assert_eq!(is_read(&store, 1, group).await?, (true, Some(2)));
    // What was read in silence stays so.
    send_receipts(&store, 2, true).await?;
    assert_eq!(is_read(&store, 1, pair).await?, (false, None));
    let again = send(&store, 1, 2, "again").await?;
    read(&store, 2, &[again]).await?;
    assert_eq!(is_read(&store, 1, pair).await?, (true, None));
    Ok(())
}

async fn history_shows_reactions(store: Store) -> anyhow::Result<()> {
    let group = make_group(&store, 1, "Us", &[2, 3]).await?;
    let message = send_to_group(&store, 1, group, "said").await?;
    send_to_group(&store, 2, group, "nobody minds").await?;
    for (user, reaction) in [(2, "z"), (1, "a"), (3, "a"), (3, "z"), (3, "m")] {
        react(&store, user, message, reaction).await?;
    }
    committed(commit(&store, vec![reacting(2, message, "z", false)]).await?)?;
    let reader = account(&store, 1).await?;
    let history = store.history(&reader, group, None, 10).await?.context("a member")?;
    let count =
        |reaction: &str, count, is_own| ReactionCount { reaction: reaction.to_owned(), count, is_own };
    assert_eq!(history[1].reactions, [count("a", 2, true), count("z", 1, false), count("m", 1, false)]);
    assert_eq!(history[0].reactions, []);
    let lists = store.lists(&reader, None, 10).await?;
    let without = Message { reactions: Vec::new(), ..history[1].clone() };
    assert_eq!(lists.sent[0].message, without);
    assert_eq!(
        (lists.sent[0].recipient_name.as_str(), lists.received[0].recipient_name.as_str()),
        ("Us", "Us")
    );
    assert_eq!(lists.received[0].message.sender_name, "user2");
    assert_eq!(store.search(&reader, None, "said", None, 10).await?.messages[0].message, history[1]);
    Ok(())
}

fn shown(talks: &[Talk]) -> Vec<(ConversationId, Option<&str>)> {
    talks.iter().map(|talk| (talk.conversation, talk.last.as_ref().map(|last| &*last.content))).collect()
}

async fn groups_stand_among_conversations(store: Store) -> anyhow::Result<()> {
    let spoken = make_group(&store, 1, "Spoken", &[2, 3]).await?;
    let silent = make_group(&store, 1, "Silent", &[2]).await?;
    let direct = send(&store, 1, 2, "direct").await?;
    send_to_group(&store, 1, spoken, "hello").await?;
    let reader = account(&store, 2).await?;
    let talks = store.conversations(&reader, None, None, 10).await?;
    let pair = talks[1].conversation;
    let all = [(spoken, Some("hello")), (pair, Some("direct")), (silent, None)];
    assert_eq!(shown(&talks), all);
    assert_eq!(talks[0].party, Party::Group { title: "Spoken".to_owned(), n_members: 3 });
    assert!(matches!(&talks[1].party, Party::User(Person { id: UserId(1), .. })));
    assert_eq!((talks[0].unread, talks[1].position, talks[2].unread), (1, direct, 0));
    for (n, talk) in talks.iter().enumerate() {
        let next = store.conversations(&reader, Some(talk.position), None, 1).await?;
        assert_eq!(next.first(), talks.get(n + 1));
    }
    // What is in no list has nothing to show but that it is there.
    let archive = OwnAct::Conversation {
        conversation: pair,
        is_muted: None,
        is_archived: Some(true),
        draft: Some("to be sent".to_owned()),
    };
    set_own(&store, 2, archive).await?;
    delete(&store, 1, direct).await?;
    let check = async |archived, expected: &[_]| {
        let talks = store.conversations(&reader, None, archived, 10).await?;
        assert_eq!(shown(&talks), expected, "{archived:?}");
        anyhow::Ok(())
    };
    check(None, &[all[0], all[2]]).await?;
    check(Some(true), &[]).await?;
    let (talk, members) = store.conversation(&reader, pair).await?.context("a member")?;
    let settings =
        ConversationSettings { is_muted: false, is_archived: true, draft: "to be sent".to_owned() };
    assert_eq!((talk.last, talk.position, talk.settings), (None, MessageId(0), settings));
    assert_eq!(members.iter().map(|member| member.person.id).collect::<Vec<_>>(), [UserId(1), UserId(2)]);
    send(&store, 1, 2, "once more").await?;
    check(Some(true), &[(pair, Some("once more"))]).await?;
    check(Some(false), &[all[0], all[2]]).await?;
    let (_, members) = store.conversation(&reader, spoken).await?.context("a member")?;
    let roles: Vec<_> = members.iter().map(|member| (member.person.id.0, member.role)).collect();
    assert_eq!(roles, [(1, Role::Owner), (2, Role::Member), (3, Role::Member)]);
    Ok(())
}
