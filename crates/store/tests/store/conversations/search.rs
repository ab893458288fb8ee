//! What a search finds, and how far it looks.

use switchboard_protocol::UserId;
use switchboard_protocol::former::Direction;
use switchboard_store::{Command, Import, Listed, SendCommand, Store};
use tokio_postgres::NoTls;

use crate::kit::{account, commit, delete, leave, make_group, message, send, send_to_group, sent};

fn contents(messages: Vec<Listed>) -> Vec<String> {
    messages.into_iter().map(|listed| listed.message.content).collect()
}

pub(super) async fn words_are_found(store: Store) -> anyhow::Result<()> {
    let subject = SendCommand {
        subject: "Minutes of May".to_owned(),
        ..message(1, UserId(2).into(), "see the Annex, 100% done", Vec::new())
    };
    sent(&store, subject).await?;
    send(&store, 2, 1, "ANNEX a_b").await?;
    send(&store, 1, 1, "note on the annex").await?;
    send(&store, 2, 3, "annex of others").await?;
    let deleted = send(&store, 2, 1, "annex deleted").await?;
    delete(&store, 1, deleted).await?;
    let reader = account(&store, 1).await?;
    let check = async |words: &str, expected: &[&str]| {
        let found = store.search(&reader, None, words, None, 10).await?;
        let contents: Vec<_> = found.messages.iter().map(|listed| listed.message.content.as_str()).collect();
        assert_eq!((contents, found.before), (expected.to_vec(), None), "{words}");
        anyhow::Ok(())
    };
    let (first, second, note) = ("see the Annex, 100% done", "ANNEX a_b", "note on the annex");
    check("annex", &[note, second, first]).await?;
    check("  nneX\tMAY ", &[first]).await?;
    check("may annex minutes 100% of see the done nowhere", &[first]).await?;
    check("annex nowhere", &[]).await?;
    check("0%", &[first]).await?;
    check("x_b", &[]).await?;
    check("a_b", &[second]).await?;
    check("%", &[first]).await?;
    check("\\", &[]).await?;
    // Nothing stands in everything, and this in nothing.
    check(" \n", &[]).await?;
    check("annex\0", &[]).await?;
    let page = store.search(&reader, None, "annex", None, 2).await?;
    assert_eq!(contents(page.messages), [note, second]);
    let page = store.search(&reader, None, "annex", page.before, 2).await?;
    assert_eq!((contents(page.messages), page.before), (vec![first.to_owned()], None));
    Ok(())
}

/// What stands in a list: what it says, and whom it is to.
type Row = (&'static str, &'static str);

pub(super) async fn own_messages_are_a_list(store: Store) -> anyhow::Result<()> {
    let bob = Import { username: "user2".to_owned(), full_name: "Bob".to_owned(), password_hash: None };
    store.import_users(vec![bob]).await?;
    let group = make_group(&store, 1, "Lunch", &[2]).await?;
    let left = make_group(&store, 2, "Left", &[1]).await?;
    send(&store, 1, 2, "one").await?;
    send(&store, 2, 1, "two").await?;
    send(&store, 1, 1, "three").await?;
    send_to_group(&store, 1, group, "four").await?;
    send_to_group(&store, 2, group, "five").await?;
    for n in 0..9 {
        send_to_group(&store, 1 + n % 2, left, &format!("unseen {n}")).await?;
    }
    let gone = send(&store, 1, 2, "unseen").await?;
    delete(&store, 1, gone).await?;
    leave(&store, 1, left).await?;
    let (one, two, three) = (("one", "Bob"), ("two", "user1"), ("three", "user1"));
    let (four, five) = (("four", "Lunch"), ("five", "Lunch"));
    let reader = account(&store, 1).await?;
    let check = async |of: Option<Direction>, words: Option<&str>, expected: &[Row]| {
        let all = match words {
            Some(words) => store.search(&reader, of, words, None, expected.len() as i64).await?,
            None => store.mail(&reader, of, None, expected.len() as i64).await?,
        };
        let row = |listed: &Listed| (listed.message.content.clone(), listed.recipient_name.clone());
        let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let rows: Vec<_> = all.messages.iter().map(row).collect();
        assert_eq!(
            (rows, words.is_none().then_some(all.before)),
            (expected, words.is_none().then_some(None))
        );
        anyhow::Ok(())
    };
    check(None, None, &[five, four, three, two, one]).await?;
    check(Some(Direction::Received), None, &[five, three, two]).await?;
    check(Some(Direction::Sent), None, &[four, three, one]).await?;
    check(None, Some("e"), &[five, three, one]).await?;
    check(Some(Direction::Received), Some("e"), &[five, three]).await?;
    check(Some(Direction::Sent), Some("e"), &[three, one]).await?;
    // A page leads to the next by where it ends.
    let page = store.mail(&reader, Some(Direction::Sent), None, 2).await?;
    assert_eq!(contents(page.messages), ["four", "three"]);
    let page = store.mail(&reader, Some(Direction::Sent), page.before, 2).await?;
    assert_eq!((contents(page.messages), page.before), (vec!["one".to_owned()], None));
    Ok(())
}

pub(super) async fn a_search_looks_at_so_many(store: Store) -> anyhow::Result<()> {
    send(&store, 2, 1, "the needle").await?;
    // A note makes two entries.
    let hay =
        (0..1_100).map(|n| Command::Send(message(1, UserId(1).into(), &format!("hay {n}"), Vec::new())));
    commit(&store, hay.collect()).await?;
    let reader = account(&store, 1).await?;
    let mut pages = 0;
    let mut before = None;
    let found = loop {
        let found = store.search(&reader, None, "needle", before, 10).await?;
        pages += 1;
        before = found.before;
        if before.is_none() || !found.messages.is_empty() {
            break found.messages;
        }
    };
    assert_eq!((pages, contents(found)), (2, vec!["the needle".to_owned()]));
    Ok(())
}

/// So long does each text take that all of them are more than the store gives a statement.
const SLOW: &str = "
    ALTER TABLE messages RENAME TO texts;
    CREATE VIEW messages AS SELECT
        id, conversation_id, sender_id, subject, (SELECT t.content FROM pg_sleep(0.016 + 0 * t.id)) AS content, client_message_id,
        created_at, attachments, reply_to_id, mention_ids, edited_at, read_count FROM texts t";

pub(crate) async fn a_search_of_long_texts_looks_at_fewer(store: Store, url: &str) -> anyhow::Result<()> {
    send(&store, 2, 1, "the needle").await?;
    let hay = (0..200).map(|n| Command::Send(message(1, UserId(1).into(), &format!("hay {n}"), Vec::new())));
    commit(&store, hay.collect()).await?;
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(SLOW).await?;
    let store = Store::open(url, 1).await?;
    let reader = account(&store, 1).await?;
    let found = store.search(&reader, None, "needle", None, 10).await?;
    assert_eq!((contents(found.messages), found.before.map(|seq| seq.0)), (Vec::new(), Some(202)));
    let found = store.search(&reader, None, "needle", found.before, 10).await?;
    assert_eq!((contents(found.messages), found.before), (vec!["the needle".to_owned()], None));
    Ok(())
}
