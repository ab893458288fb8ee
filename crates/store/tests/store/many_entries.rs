//! What a message with very many entries costs: no more than one with few.

use switchboard_protocol::{MessageId, Seq, UserId};
use switchboard_store::{Command, Entry, Event, Store};

use crate::kit::{account, commit, committed, delete, make_group, message, read, sent};
use crate::upgrades::Later;

/// Entries of reactions and edits that each member has of the message.
const ENTRIES: i64 = 2_000;

/// Gives users 1 to 3 entries of the message that the commands of an hour would have made.
fn told_of(message: MessageId) -> String {
    format!(
        "INSERT INTO mailbox_entries
                 (mailbox_id, seq, kind, conversation_id, message_id, actor_id, created_at, detail)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ENTRIES})
             SELECT b.id, b.last_seq + n.i, CASE WHEN n.i % 10 = 0 THEN 6 ELSE 7 END, m.conversation_id, m.id, m.sender_id, 1,
                    CASE WHEN n.i % 10 > 0 THEN '{{\"reaction\":\"x\",\"is_set\":true,\"count\":1}}' END
             FROM n CROSS JOIN mailboxes b JOIN messages m ON m.id = {message} WHERE b.owner_id BETWEEN 1 AND 3;
         UPDATE mailboxes SET last_seq = last_seq + {ENTRIES} WHERE owner_id BETWEEN 1 AND 3;"
    )
}

/// All that a user has, and how much of it says something of the message.
async fn log(store: &Store, user: i64, message: MessageId) -> anyhow::Result<(Vec<Entry>, usize)> {
    let mailbox = account(store, user).await?.mailbox;
    let entries = store.page(mailbox, Seq(0), 10 * ENTRIES).await?;
    let tells = |entry: &&Entry| match &entry.event {
        Event::Reacted { message: of, .. } | Event::Edited { message: of, .. } => *of == message,
        Event::Sent(of) | Event::Received(of) => of.id == message,
        Event::Read { messages } | Event::Receipt { messages, .. } => messages.contains(&message),
        _ => false,
    };
    let n_telling = entries.iter().filter(tells).count();
    Ok((entries, n_telling))
}

pub(crate) async fn a_deletion_walks_no_reactions(store: Store, mut later: Later) -> anyhow::Result<()> {
    let group = make_group(&store, 1, "Us", &[2, 3]).await?;
    let message = sent(&store, message(1, group.into(), "x", Vec::new())).await?;
    read(&store, 2, &[message]).await?;
    later.run(&told_of(message)).await?;
    let all = usize::try_from(ENTRIES)?;
    assert_eq!(log(&store, 3, message).await?.1, all + 1);
    // Of the reader for themselves: their entry, and that they read it.
    delete(&store, 2, message).await?;
    assert_eq!((log(&store, 2, message).await?.1, log(&store, 3, message).await?.1), (0, all + 1));
    assert_eq!(later.count("SELECT count(*) FROM mailbox_entries WHERE hidden_at IS NOT NULL").await?, 2);
    // Whatever looks the message up passes by what was told of it.
    read(&store, 3, &[message]).await?;
    let (actor, reaction) = (UserId(3), "y".to_owned());
    let react = Command::React { actor, message, reaction, is_set: true, only_in_groups: false };
    committed(commit(&store, vec![react]).await?)?;
    delete(&store, 1, message).await?;
    for user in 1..=3 {
        let (entries, n_telling) = log(&store, user, message).await?;
        assert_eq!((n_telling, entries.len() > all), (0, true), "user {user}");
        assert_eq!(entries.last().map(|entry| &entry.event), Some(&Event::Deleted { message }));
    }
    let n_hidden = later.count("SELECT count(*) FROM mailbox_entries WHERE hidden_at IS NOT NULL").await?;
    assert!(n_hidden < 10, "{n_hidden} entries were changed");
    for finding in store.audit().await? {
        assert_eq!(finding.violations, 0, "{}", finding.rule);
    }
    Ok(())
}
