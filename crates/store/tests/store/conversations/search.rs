//! What a search finds, and how far it looks.

use switchboard_protocol::UserId;
use switchboard_store::{Command, SendCommand, Store};

use super::contents;
use crate::kit::{account, commit, delete, message, send, sent};

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
        let found = store.search(&reader, words, None, 10).await?;
        let contents: Vec<_> = found.messages.iter().map(|message| message.content.as_str()).collect();
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
    let page = store.search(&reader, "annex", None, 2).await?;
    assert_eq!(contents(page.messages), [second, note]);
    let page = store.search(&reader, "annex", page.before, 2).await?;
    assert_eq!((contents(page.messages), page.before), (vec![first.to_owned()], None));
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
        let found = store.search(&reader, "needle", before, 10).await?;
        pages += 1;
        before = found.before;
        if before.is_none() || !found.messages.is_empty() {
            break found.messages;
        }
    };
    assert_eq!((pages, contents(found)), (2, vec!["the needle".to_owned()]));
    Ok(())
}
