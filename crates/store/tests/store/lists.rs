//! What lists show, in which order, and what they leave out.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use futures_util::FutureExt;
use switchboard_protocol::{AttachmentId, MessageId, Role, UserId};
use switchboard_store::{Import, Listed, Party, Person, Store, Talk};

use crate::Test;
use crate::kit::{account, commit, delete, leave, make_group, read, send, send_files, sending, upload};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("lists_show_what_was_received_and_sent", |store| lists_show_what_was_received_and_sent(store).boxed()),
    ("lists_are_paged", |store| lists_are_paged(store).boxed()),
    ("the_latest_unread_come_first", |store| the_latest_unread_come_first(store).boxed()),
    ("conversations_have_their_latest_message", |store| conversations_have_their_latest(store).boxed()),
    ("conversations_are_paged", |store| conversations_are_paged(store).boxed()),
    ("users_share_groups", |store| users_share_groups(store).boxed()),
    ("users_are_found_by_part_of_a_name", |store| users_are_found_by_part_of_a_name(store).boxed()),
];

fn contents(list: &[Listed]) -> Vec<&str> {
    list.iter().map(|listed| listed.message.content.as_str()).collect()
}

async fn lists_show_what_was_received_and_sent(store: Store) -> anyhow::Result<()> {
    let file = upload(&store, 1, "picture").await?;
    let sent = send_files(&store, 1, 2, "sent", vec![file.clone()]).await?;
    send(&store, 1, 3, "sent and not read").await?;
    let got = send(&store, 2, 1, "received").await?;
    send(&store, 3, 1, "received and not read").await?;
    send(&store, 1, 1, "note").await?;
    let for_all = send(&store, 1, 2, "deleted for all").await?;
    let for_one = send(&store, 2, 1, "deleted for the recipient").await?;
    send(&store, 2, 3, "of others").await?;
    read(&store, 2, &[sent]).await?;
    read(&store, 1, &[got]).await?;
    delete(&store, 1, for_all).await?;
    delete(&store, 1, for_one).await?;

    store.import_users(vec![import("user1", "The Reader")]).await?;
    let reader = account(&store, 1).await?;
    let lists = store.lists(&reader, None, 10).await?;
    assert_eq!(contents(&lists.received), ["note", "received and not read", "received"]);
    assert_eq!(contents(&lists.sent), ["note", "sent and not read", "sent"]);
    let is_read = |list: &[Listed]| list.iter().map(|listed| listed.message.is_read).collect::<Vec<_>>();
    assert_eq!(is_read(&lists.received), [true, false, true]);
    assert_eq!(is_read(&lists.sent), [true, false, true]);
    let (received, sent) = (&lists.received[2], &lists.sent[2]);
    assert_eq!(
        (received.message.sender_name.as_str(), received.recipient_name.as_str()),
        ("user2", "The Reader")
    );
    assert_eq!((sent.message.sender_name.as_str(), sent.recipient_name.as_str()), ("The Reader", "user2"));
    assert_eq!((received.message.sender, received.message.recipient), (UserId(2), Some(UserId(1))));
    assert_eq!((sent.message.sender, sent.message.recipient), (UserId(1), Some(UserId(2))));
    assert_eq!(sent.message.attachments, [file]);
    // A client message id is its sender's alone.
    assert_eq!(sent.message.client_message_id.as_deref(), Some("sent-2"));
    assert_eq!(received.message.client_message_id, None);
    let others = store.lists(&account(&store, 2).await?, None, 10).await?;
    assert_eq!(contents(&others.sent), ["of others", "deleted for the recipient", "received"]);
    Ok(())
}

async fn lists_are_paged(store: Store) -> anyhow::Result<()> {
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(send(&store, 2, 1, &format!("in{n}")).await?);
        ids.push(send(&store, 1, 2, &format!("out{n}")).await?);
    }
    let note = send(&store, 1, 1, "note").await?;
    let elsewhere = send(&store, 2, 3, "elsewhere").await?;
    delete(&store, 1, ids[8]).await?;
    let reader = account(&store, 1).await?;
    let check = async |before: Option<MessageId>, received: &[&str], sent: &[&str]| {
        let lists = store.lists(&reader, before, 2).await?;
        assert_eq!((contents(&lists.received), contents(&lists.sent)), (received.to_vec(), sent.to_vec()));
        anyhow::Ok(())
    };
    check(None, &["note", "in5"], &["note", "out5"]).await?;
    check(Some(note), &["in5", "in3"], &["out5", "out4"]).await?;
    // One that is deleted keeps its place.
    check(Some(ids[8]), &["in3", "in2"], &["out3", "out2"]).await?;
    check(Some(ids[1]), &["in0"], &[]).await?;
    check(Some(ids[0]), &[], &[]).await?;
    check(Some(elsewhere), &[], &[]).await
}

async fn the_latest_unread_come_first(store: Store) -> anyhow::Result<()> {
    let mut commands = Vec::new();
    for n in 0..300 {
        commands.push(sending(2 + n % 3, 1, &format!("{n}"), Vec::new()));
    }
    commit(&store, commands).await?;
    let reader = account(&store, 1).await?;
    let unread = async |limit| {
        let messages = store.latest_unread(&reader, limit).await?;
        assert!(messages.iter().all(|message| !message.is_read && message.recipient == Some(UserId(1))));
        let contents = messages.into_iter().map(|message| (message.content, message.id)).unzip();
        anyhow::Ok::<(Vec<String>, Vec<MessageId>)>(contents)
    };
    let (contents, ids) = unread(300).await?;
    assert_eq!(contents, (0..300).rev().map(|n| n.to_string()).collect::<Vec<_>>());
    read(&store, 1, &ids[1..201]).await?;
    delete(&store, 1, ids[201]).await?;
    // What is behind many that were read is found as well.
    assert_eq!(unread(3).await?.0, ["299", "97", "96"]);
    read(&store, 1, &ids[202..]).await?;
    assert_eq!(unread(3).await?.0, ["299"]);
    assert_eq!(store.latest_unread(&account(&store, 2).await?, 3).await?, []);
    Ok(())
}

fn shown(talks: &[Talk]) -> Vec<(i64, &str, i64)> {
    fn shown(talk: &Talk) -> (i64, &str, i64) {
        let Talk { party: Party::User(other), last: Some(last), unread, .. } = talk else {
            panic!("no conversation of two with a message: {talk:?}");
        };
        (other.id.0, last.content.as_str(), *unread)
    }
    talks.iter().map(shown).collect()
}

async fn conversations_have_their_latest(store: Store) -> anyhow::Result<()> {
    let many = (0..130).map(|n| sending(2, 1, &format!("{n}"), Vec::new())).collect();
    commit(&store, many).await?;
    let first = send(&store, 3, 1, "first of three").await?;
    let last = send(&store, 1, 3, "last of three").await?;
    let only = send(&store, 4, 1, "only one").await?;
    send(&store, 1, 1, "note").await?;
    send(&store, 2, 3, "of others").await?;
    let reader = account(&store, 1).await?;
    let talks = store.conversations(&reader, None, None, 10).await?;
    let expected = [(1, "note", 0), (4, "only one", 1), (3, "last of three", 1), (2, "129", 100)];
    assert_eq!(shown(&talks), expected);
    let lasts: Vec<_> = talks.iter().flat_map(|talk| &talk.last).collect();
    assert_eq!((&talks[2].party, lasts[2].sender_name.as_str()), (&Party::User(person(3)), "user1"));
    assert_eq!((talks[2].conversation, talks[2].position), (lasts[2].conversation, lasts[2].id));
    assert!(lasts[0].is_read && !lasts[1].is_read && !lasts[2].is_read);
    // For all, and for oneself. A conversation without a message for the reader is not shown, but the other has it.
    delete(&store, 1, last).await?;
    delete(&store, 1, only).await?;
    read(&store, 1, &[first]).await?;
    let talks = store.conversations(&reader, None, None, 10).await?;
    assert_eq!(shown(&talks), [(1, "note", 0), (3, "first of three", 0), (2, "129", 100)]);
    assert!(talks[1].last.as_ref().is_some_and(|last| last.is_read));
    let theirs = store.conversations(&account(&store, 4).await?, None, None, 10).await?;
    assert_eq!(shown(&theirs), [(1, "only one", 0)]);
    Ok(())
}

/// One of the users that are there from the beginning.
fn person(id: i64) -> Person {
    let (username, role) = (format!("user{id}"), "user".to_owned());
    Person { id: UserId(id), username, full_name: String::new(), role }
}

async fn conversations_are_paged(store: Store) -> anyhow::Result<()> {
    for other in [2, 3, 4, 5] {
        send(&store, other, 1, "hello").await?;
    }
    send(&store, 1, 2, "again").await?;
    let reader = account(&store, 1).await?;
    let first = store.conversations(&reader, None, None, 3).await?;
    assert_eq!(shown(&first), [(2, "again", 1), (5, "hello", 1), (4, "hello", 1)]);
    let second = store.conversations(&reader, Some(first[2].position), None, 3).await?;
    assert_eq!(shown(&second), [(3, "hello", 1)]);
    assert_eq!(store.conversations(&reader, Some(second[0].position), None, 3).await?, []);
    Ok(())
}

fn import(username: &str, full_name: &str) -> Import {
    Import { username: username.into(), full_name: full_name.into(), password_hash: None }
}

async fn users_are_found_by_part_of_a_name(store: Store) -> anyhow::Result<()> {
    store.import_users(vec![import("a_b", "Percy 100% \\o/"), import("axb", "Zoë")]).await?;
    store.disable_user("user4").await?;
    let check = async |query: Option<&str>, after: i64, limit: i64, expected: &[i64]| {
        let found: Vec<Person> = store.list_users(query, UserId(after), limit, UserId(1), false).await?;
        assert_eq!(found.iter().map(|person| person.id.0).collect::<Vec<_>>(), expected, "{query:?}");
        anyhow::Ok(())
    };
    check(None, 0, 3, &[1, 2, 3]).await?;
    check(None, 3, 10, &[5, 6, 7]).await?;
    check(Some("USER"), 1, 2, &[2, 3]).await?;
    check(Some("percy 1"), 0, 10, &[6]).await?;
    check(Some("_"), 0, 10, &[6]).await?;
    check(Some("0%"), 0, 10, &[6]).await?;
    check(Some("%"), 0, 10, &[6]).await?;
    check(Some("\\O/"), 0, 10, &[6]).await?;
    check(Some("zoë"), 0, 10, &[7]).await?;
    check(Some("nobody"), 0, 10, &[]).await?;
    let all = store.all_users(UserId(1), false).await?;
    assert_eq!(ids(&all), [1, 2, 3, 5, 6, 7]);
    assert_eq!((all[4].0.name(), all[0].0.name()), ("Percy 100% \\o/".to_owned(), "user1".to_owned()));
    Ok(())
}

fn ids(people: &[(Person, Vec<String>)]) -> Vec<i64> {
    people.iter().map(|(person, _)| person.id.0).collect()
}

async fn users_share_groups(store: Store) -> anyhow::Result<()> {
    let first = make_group(&store, 1, "second by name", &[2, 3]).await?;
    make_group(&store, 2, "first by name", &[1]).await?;
    make_group(&store, 4, "of others", &[2, 5]).await?;
    send(&store, 1, 5, "a conversation of two is no group").await?;
    let all = store.all_users(UserId(1), false).await?;
    let titles: Vec<_> = all.iter().map(|(_, titles)| titles.join(", ")).collect();
    let both = "first by name, second by name";
    assert_eq!(titles, [both, both, "second by name", "", ""]);
    leave(&store, 3, first).await?;
    // Under the policy those of the operator's groups.
    for (title, members) in [("imported", [1, 2]), ("elsewhere", [4, 5])] {
        let members = members.map(|user| (UserId(user), Role::Member));
        assert!(store.import_group(title, &members).await?.is_ok());
    }
    assert_eq!(ids(&store.all_users(UserId(1), true).await?), [1, 2]);
    assert_eq!(ids(&store.all_users(UserId(3), true).await?), [3]);
    let listed = store.list_users(Some("user"), UserId(1), 10, UserId(4), true).await?;
    assert_eq!(listed, [person(4), person(5)]);
    Ok(())
}

/// Messages of user 1 in the test of what lists cost.
const MESSAGES: i64 = 10_000;

/// No list takes nearly as long; one that reads a mailbox once for each of its rows takes longer. The best of some
/// rounds counts: the machine may be busy.
const LIST_TIME: Duration = Duration::from_millis(100);

/// Fills the mailbox of user 1: a long conversation with user 2, every other message sent by each, all read but
/// the first ten received; and short ones with a hundred others.
fn fill() -> String {
    format!(
        "INSERT INTO users (id, username, created_at)
             WITH RECURSIVE n (i) AS (SELECT 101 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
             SELECT i, 'other' || i, 0 FROM n;
         INSERT INTO conversations (id, kind, user_low, user_high, created_at)
             SELECT id, 1, 1, id, 0 FROM users WHERE id > 1;
         INSERT INTO members (conversation_id, user_id) SELECT id, 1 FROM conversations;
         INSERT INTO members (conversation_id, user_id) SELECT id, user_high FROM conversations;
         INSERT INTO messages
                 (id, conversation_id, sender_id, subject, content, client_message_id, request_hash, created_at)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MESSAGES})
             SELECT i, CASE WHEN i > 9900 THEN i - 9800 ELSE 2 END,
                    CASE WHEN i % 2 = 0 THEN 1 WHEN i > 9900 THEN i - 9800 ELSE 2 END, '', 'x', 'm' || i, 0, 0 FROM n;
         INSERT INTO mailbox_entries
                 (mailbox_id, seq, kind, conversation_id, message_id, actor_id, created_at, read_at)
             SELECT 2, id, 2 - id % 2, conversation_id, id, sender_id, 0, CASE WHEN id > 20 THEN 1 END FROM messages;
         INSERT INTO mailbox_entries
                 (mailbox_id, seq, kind, conversation_id, message_id, actor_id, created_at, read_at)
             SELECT 3, id, 1 + id % 2, conversation_id, id, sender_id, 0, 1 FROM messages;
         INSERT INTO attachments
                 (message_id, uploader_id, filename, size, media_type, sha256, storage_key, created_at, stored_at)
             SELECT id, sender_id, 'x', 1, 'x', 'x', 'k' || id, 0, 1 FROM messages;"
    )
}

pub(crate) async fn cost_on_sqlite(store: Store, path: &str) -> anyhow::Result<()> {
    let mut connection = SqliteConnection::establish(path)?;
    connection.batch_execute(&fill())?;
    check_costs(&store).await?;
    connection.batch_execute("ANALYZE")?;
    check_costs(&store).await
}

pub(crate) async fn cost_on_postgres(store: Store, url: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(&fill()).await?;
    check_costs(&store).await?;
    client.batch_execute("ANALYZE").await?;
    check_costs(&store).await
}

/// Each list is answered by the indexes that are made for it, with statistics and without, also when its plan is
/// kept; none by the key of a mailbox, which would be a walk through it.
async fn check_costs(store: &Store) -> anyhow::Result<()> {
    let plans = store.explain().await?;
    let check = |reading: &str, indexes: &[&str]| {
        let plan = plans.iter().find(|plan| plan.reading == reading).expect("is explained");
        let by_key = ["mailbox_entries_pkey", "autoindex_mailbox_entries"];
        let walks = plan.scans || by_key.iter().any(|key| plan.text.contains(key));
        let uses = indexes.iter().all(|index| plan.text.contains(index));
        assert!(uses && !walks, "{reading}:\n{}", plan.text);
    };
    check("what was received and sent", &["mailbox_entries_list", "mailbox_entries_message"]);
    check("the latest unread messages", &["mailbox_entries_list", "mailbox_entries_unread"]);
    let of_talks = ["messages_conversation", "mailbox_entries_message", "mailbox_entries_unread"];
    check("conversations", &of_talks);
    check("a conversation", &of_talks);
    check("a page of a conversation", &["messages_conversation", "mailbox_entries_message"]);
    check("what is unread of a conversation", &["mailbox_entries_unread"]);
    check("a search", &["mailbox_entries_list"]);
    check("whether a message is there", &["mailbox_entries_message"]);
    check("a file", &["mailbox_entries_message"]);
    let reader = account(store, 1).await?;
    let mut best = Duration::MAX;
    for _ in 0..8 {
        assert!(store.find_attachment(AttachmentId(5000), UserId(1)).await?.is_some());
        let begun = Instant::now();
        let lists = store.lists(&reader, Some(MessageId(MESSAGES / 2)), 50).await?;
        assert_eq!((lists.received.len(), lists.sent.len()), (50, 50));
        assert_eq!(lists.received[0].message.id, MessageId(MESSAGES / 2 - 1));
        let unread = store.latest_unread(&reader, 5).await?;
        assert_eq!(unread.iter().map(|message| message.id.0).collect::<Vec<_>>(), [19, 17, 15, 13, 11]);
        let talks = store.conversations(&reader, None, None, 200).await?;
        assert_eq!((talks.len(), talks[100].position, talks[100].unread), (101, MessageId(9900), 10));
        best = best.min(begun.elapsed());
    }
    assert!(best < LIST_TIME, "it took {best:?}");
    Ok(())
}
