//! At the end, when all is quiet: whoever is asked, in whichever way, says the same.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use switchboard_protocol::MessageId;
use switchboard_protocol::api::{ConversationsPage, Me};
use switchboard_protocol::former::Lists;
use switchboard_protocol::history::HistoryPage;

use super::device::{Device, Shown};
use super::world::{Effect, USERS, World};
use crate::attachments::kit::sql;

pub(super) async fn all_agree(world: &mut World) -> anyhow::Result<()> {
    for user in USERS {
        let me = me(world, user).await?;
        let shown = devices_agree(world, user, me.cursor.0).await?;
        let unread = shown.values().filter(|it| it.recipient == user && !it.is_read).count() as i64;
        counts_agree(world, user, unread).await.with_context(|| format!("unread of {user}: {unread}"))?;
        pages_agree(world, user, &shown).await.with_context(|| format!("pages of {user}"))?;
    }
    // Last, since it marks what it shows.
    for user in USERS {
        lists_agree(world, user).await.with_context(|| format!("lists of {user}"))?;
    }
    for user in USERS {
        let me = me(world, user).await?;
        ensure!(me.unread_count == 0, "{me:?}");
        let shown = devices_agree(world, user, me.cursor.0).await?;
        ensure!(shown.values().all(|it| it.is_read || it.recipient != user), "{user} has read all");
    }
    Ok(())
}

async fn me(world: &World, user: i64) -> anyhow::Result<Me> {
    Ok(serde_json::from_str(&world.ask(user, 0, "GET", "/api/v1/me").await?.body)?)
}

/// What all devices of a user show, and a new one, and what the answers said.
async fn devices_agree(
    world: &mut World,
    user: i64,
    until: i64,
) -> anyhow::Result<BTreeMap<MessageId, Shown>> {
    let mut fresh = Device::socket(&world.cluster, user, 1);
    fresh.catch_up(&world.cluster, until).await?;
    for device in world.devices.iter_mut().filter(|device| device.state.user == user) {
        device.catch_up(&world.cluster, until).await?;
        check_same(&device.state.shown, &fresh.state.shown).with_context(|| format!("a device of {user}"))?;
        ensure!(device.state.unread() == fresh.state.unread());
    }
    let mut shown = fresh.state.shown.clone();
    for (id, (expected, is_known)) in world.expected(user) {
        let found = shown.remove(&id).with_context(|| format!("{user} misses {expected:?}"))?;
        ensure!(found.is_read == expected.is_read || !is_known, "{user}: {id} {found:?}");
        ensure!(
            Shown { is_read: expected.is_read, ..found.clone() } == expected,
            "{found:?} is not {expected:?}"
        );
    }
    ensure!(shown.is_empty(), "{user} should not see {shown:?}");
    Ok(fresh.state.shown)
}

fn check_same(
    found: &BTreeMap<MessageId, Shown>,
    expected: &BTreeMap<MessageId, Shown>,
) -> anyhow::Result<()> {
    for id in found.keys().chain(expected.keys()) {
        ensure!(found.get(id) == expected.get(id), "{id}: {:?} is not {:?}", found.get(id), expected.get(id));
    }
    Ok(())
}

async fn counts_agree(world: &World, user: i64, unread: i64) -> anyhow::Result<()> {
    for device in world.devices.iter().filter(|device| device.state.user == user) {
        if let Some(client) = device.client() {
            let count = client.unread_count().await?;
            ensure!(count == unread, "{count} by socket");
        }
    }
    for (path, field) in [
        ("/messages/unread/", "unread_count"),
        ("/api/v1/me", "unread_count"),
        ("/dashboard/notifications/", "total_unread"),
        ("/dashboard/notifications/", "unread_messages"),
    ] {
        for node in 0..2 {
            let answer = world.ask(user, node, "GET", path).await?;
            ensure!(answer.json()?[field] == unread, "{path}: {}", answer.body);
        }
    }
    let bell = world.ask(user, 0, "GET", "/dashboard/notifications/").await?.json()?;
    let n_latest = bell["latest_notifications"].as_array().context("a list")?.len() as i64;
    ensure!(n_latest == unread.min(5), "{bell}");
    // By what stands in the log, not by the marks that the counter goes by.
    let query = "SELECT count(*) FROM messages m JOIN conversations c ON c.id = m.conversation_id
        JOIN mailboxes b ON b.owner_id = $1
        WHERE c.user_low + c.user_high - m.sender_id = $1 AND m.sender_id <> $1 AND m.deleted_at IS NULL
        AND NOT EXISTS (SELECT FROM mailbox_entries e WHERE e.mailbox_id = b.id AND e.message_id = m.id AND e.kind = 5)
        AND NOT EXISTS (SELECT FROM mailbox_entries e WHERE e.mailbox_id = b.id AND e.kind = 3 AND (
            (e.message_ids IS NULL AND e.message_id = m.id) OR e.message_ids::jsonb @> to_jsonb(m.id)))";
    if let Some(client) = sql(&world.cluster).await? {
        let count: i64 = client.query_one(query, &[&user]).await?.get(0);
        ensure!(count == unread, "{count} by SQL");
    }
    Ok(())
}

/// Every conversation, page by page.
async fn pages_agree(world: &World, user: i64, shown: &BTreeMap<MessageId, Shown>) -> anyhow::Result<()> {
    let path = "/api/v1/conversations?limit=200";
    let talks: ConversationsPage = serde_json::from_str(&world.ask(user, 1, "GET", path).await?.body)?;
    let mut found = BTreeMap::new();
    for talk in &talks.conversations {
        let (mut before, mut first) = (String::new(), None);
        loop {
            let path = format!("/api/v1/conversations/{}/messages?limit=7{before}", talk.id);
            let page: HistoryPage = serde_json::from_str(&world.ask(user, 0, "GET", &path).await?.body)?;
            ensure!(page.messages.is_sorted_by(|a, b| a.message_id > b.message_id));
            first = first.or(page.messages.first().cloned());
            for message in &page.messages {
                let twice = found.insert(message.message_id, Shown::from(message));
                ensure!(twice.is_none(), "{message:?} is in two pages");
            }
            let Some(next) = page.before else { break };
            before = format!("&before={next}");
        }
        ensure!(first == talk.last_message, "{talk:?} and {first:?}");
        let other = talk.user.as_ref().context("a conversation of two")?.id.0;
        let unread = shown.values().filter(|it| is_unread_from(it, user, other)).count() as i64;
        ensure!(talk.unread_count == unread.min(100), "{talk:?}");
    }
    check_same(&found, shown)
}

fn is_unread_from(shown: &Shown, user: i64, other: i64) -> bool {
    shown.recipient == user && shown.sender == other && !shown.is_read
}

async fn lists_agree(world: &mut World, user: i64) -> anyhow::Result<()> {
    let mut expected =
        world.devices.iter().find(|it| it.state.user == user).context("a device")?.state.shown.clone();
    let answer = world.ask(user, 1, "GET", "/messages/get/?limit=1000").await?;
    let lists: Lists = serde_json::from_str(&answer.body)?;
    ensure!(lists.unread_count == 0, "{}", lists.unread_count);
    let mut found = BTreeMap::new();
    for message in lists.received.iter().chain(&lists.sent) {
        let shown = Shown {
            sender: message.sender_id.0,
            recipient: message.recipient_id.unwrap_or_default().0,
            content: message.content.clone(),
            is_read: message.is_read,
            n_files: message.attachments.len(),
        };
        found.insert(message.id, shown);
    }
    ensure!(lists.archive.len() == found.len(), "{} in the archive", lists.archive.len());
    // Those who asked before have read what this user sent.
    for (id, shown) in &found {
        if let Some(expected) = expected.get_mut(id).filter(|it| it.recipient != user && it.recipient < user)
        {
            expected.is_read |= shown.is_read;
        }
    }
    check_same(&found, &expected)?;
    world.note(vec![Effect::Listed(lists.received.iter().map(|message| message.id).collect())])
}
