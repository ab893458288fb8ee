//! Every page leads to the next, to the end, without a gap or a repeat; and names are found as people write them.

use anyhow::{Context, ensure};
use serde::de::DeserializeOwned;
use serde_json::json;
use switchboard_protocol::history::HistoryPage;
use switchboard_protocol::{MessageId, UserId, api};
use switchboard_store::Import;

use super::talks::{make_group, say};
use crate::attachments::kit::delete;
use crate::harness::http::{bearer, get, send_json};
use crate::harness::{Cluster, USERS, connected};

async fn page<T: DeserializeOwned>(
    cluster: &Cluster,
    user: i64,
    path: &str,
    nth: usize,
) -> anyhow::Result<T> {
    let answer = get(cluster.address(nth % 2), path, &[bearer(user)]).await?;
    ensure!(answer.status == 200, "{path}: {}", answer.body);
    Ok(serde_json::from_str(&answer.body)?)
}

pub(super) async fn users_page_to_their_end(cluster: Cluster) -> anyhow::Result<()> {
    for limit in [1, 7, 10, 49, 50, 51, 200] {
        let (mut found, mut after, mut nth) = (Vec::new(), String::new(), 0);
        loop {
            let path = format!("/api/v1/users?limit={limit}{after}");
            let users: api::UsersPage = page(&cluster, 1, &path, nth).await?;
            ensure!(!users.users.is_empty() && users.users.len() <= limit, "{path}");
            found.extend(users.users.iter().map(|user| user.id.0));
            let Some(next) = users.after else { break };
            after = format!("&after={next}");
            nth += 1;
        }
        ensure!(found == (1..=USERS).collect::<Vec<_>>(), "{limit}: {found:?}");
        ensure!(nth == (USERS as usize - 1) / limit, "{limit}: {nth} further pages");
    }
    cluster.finish().await
}

pub(super) async fn users_are_searched(cluster: Cluster) -> anyhow::Result<()> {
    let names = [
        ("hundred%sure", ""),
        ("hundred-sure", ""),
        ("snake_case", ""),
        ("snakeXcase", ""),
        ("back\\slash", ""),
        ("backslash", ""),
        ("quiet", "LOUD Name"),
        ("o'hara", "\"quoted\""),
        ("gone", "LOUD too"),
    ];
    let import = |(username, full_name): (&str, &str)| Import {
        username: username.to_owned(),
        full_name: full_name.to_owned(),
        password_hash: None,
    };
    let ids = cluster.store.import_users(names.map(import).to_vec()).await?;
    cluster.store.disable_user("gone").await?;
    for (query, expect) in [
        ("d%25s", &ids[0..1]),
        ("e_c", &ids[2..3]),
        ("k%5Cs", &ids[4..5]),
        ("%25", &ids[0..1]),
        ("_", &ids[2..3]),
        ("%5C", &ids[4..5]),
        ("%5C%25", &[]),
        ("loud%20name", &ids[6..7]),
        ("LoUd", &ids[6..7]),
        ("QUIET", &ids[6..7]),
        ("o'h", &ids[7..8]),
        ("%22QUOTED%22", &ids[7..8]),
        ("%20%20loud%20", &ids[6..7]),
        ("hundred", &ids[0..2]),
        ("nobody%20has%20this", &[]),
        ("';DROP%20TABLE%20users;--", &[]),
    ] {
        let found: api::UsersPage = page(&cluster, 1, &format!("/api/v1/users?query={query}"), 0).await?;
        let found: Vec<UserId> = found.users.iter().map(|user| user.id).collect();
        ensure!(found == expect, "`{query}`: {found:?}");
    }
    // Of those named alike, in pages.
    let first: api::UsersPage = page(&cluster, 1, "/api/v1/users?query=USER%204&limit=6", 1).await?;
    let after = first.after.context("there is more")?;
    let path = format!("/api/v1/users?query=USER%204&limit=6&after={after}");
    let rest: api::UsersPage = page(&cluster, 1, &path, 0).await?;
    let found: Vec<_> = first.users.iter().chain(&rest.users).map(|user| user.id.0).collect();
    ensure!(found == [4, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49] && rest.after.is_none(), "{found:?}");
    let all: api::UsersPage = page(&cluster, 1, "/api/v1/users?query=%20&limit=200", 0).await?;
    ensure!(all.users.len() as i64 == USERS + 8, "{}", all.users.len());
    cluster.finish().await
}

pub(super) async fn conversations_page_to_their_end(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    connected(&mut anns).await?;
    // The first half is written to again, which puts it before the other; 1 is oneself.
    let order: Vec<i64> = (1..=20).chain((1..=10).rev()).collect();
    let mut last = Vec::new();
    for user in &order {
        last.push((*user, ann.send(UserId(*user), "", &format!("to {user}"), None).await?.message_id));
    }
    let mut expect: Vec<_> = last[20..].to_vec();
    expect.reverse();
    expect.extend(last[10..20].iter().rev());
    for limit in [1, 3, 4, 20, 50] {
        let (mut found, mut before, mut nth) = (Vec::new(), String::new(), 0);
        loop {
            let path = format!("/api/v1/conversations?limit={limit}{before}");
            let talks: api::ConversationsPage = page(&cluster, 1, &path, nth).await?;
            ensure!(!talks.conversations.is_empty() && talks.conversations.len() <= limit);
            found.extend(talks.conversations.iter().filter_map(with_whom));
            let Some(next) = talks.before else { break };
            before = format!("&before={next}");
            nth += 1;
        }
        ensure!(found == expect, "{limit}: {found:?}");
    }
    // Without its last message, a conversation has the one before it; without any, it is not there.
    let (user, newest) = *last.last().context("there is one")?;
    delete(cluster.address(1), 1, newest).await?;
    delete(cluster.address(1), 1, last[10].1).await?;
    let talks: api::ConversationsPage = page(&cluster, 1, "/api/v1/conversations", 1).await?;
    let found: Vec<_> = talks.conversations.iter().filter_map(with_whom).collect();
    ensure!(found.len() == 19 && found[0] == last[28] && found.contains(&(user, last[0].1)), "{found:?}");
    ensure!(found.iter().all(|(user, _)| *user != last[10].0), "{found:?}");
    cluster.finish().await
}

/// With whom a conversation of two is, and its last message.
fn with_whom(talk: &api::Conversation) -> Option<(i64, MessageId)> {
    Some((talk.user.as_ref()?.id.0, talk.last_message.as_ref()?.message_id))
}

pub(super) async fn groups_page_among_the_others(cluster: Cluster) -> anyhow::Result<()> {
    // By what comes last in each: a message, or that it was made.
    let mut expect = Vec::new();
    for nth in 0..12 {
        let id = match nth % 3 {
            0 => make_group(&cluster, &format!("group {nth}"), &[2]).await?,
            1 => {
                let group = make_group(&cluster, &format!("group {nth}"), &[2, 3]).await?;
                say(&cluster, 1, json!({"conversation_id": group}), "x").await?;
                group
            }
            _ => {
                let message = json!({"recipient_id": 10 + nth, "content": "x"});
                let answer =
                    send_json(cluster.address(0), "POST", "/api/v1/messages", &[bearer(1)], &message).await?;
                answer.json()?["data"]["conversation_id"].as_i64().context("an id")?
            }
        };
        expect.insert(0, id);
    }
    let archived = [expect[1], expect[4], expect[6], expect[11]];
    for group in archived {
        let path = format!("/api/v1/conversations/{group}/settings");
        let body = json!({"is_archived": true});
        let answer = send_json(cluster.address(1), "PUT", &path, &[bearer(1)], &body).await?;
        ensure!(answer.status == 200, "{}", answer.body);
    }
    let (away, here): (Vec<_>, Vec<_>) = expect.iter().partition(|id| archived.contains(id));
    for (filter, expect) in [("", expect), ("&archived=true", away), ("&archived=false", here)] {
        for limit in [1, 3, expect.len(), 50] {
            let (mut found, mut before, mut nth) = (Vec::new(), String::new(), 0);
            loop {
                let path = format!("/api/v1/conversations?limit={limit}{filter}{before}");
                let talks: api::ConversationsPage = page(&cluster, 1, &path, nth).await?;
                ensure!(!talks.conversations.is_empty() && talks.conversations.len() <= limit);
                found.extend(talks.conversations.iter().map(|talk| talk.id.0));
                let Some(next) = talks.before else { break };
                before = format!("&before={next}");
                nth += 1;
            }
            ensure!(found == expect, "{limit}{filter}: {found:?} is not {expect:?}");
        }
    }
    cluster.finish().await
}

/// All that a search finds, page by page.
async fn search(cluster: &Cluster, user: i64, query: &str, limit: usize) -> anyhow::Result<Vec<i64>> {
    listed(cluster, user, &format!("search?query={query}"), limit).await
}

/// All of a list of messages, page by page.
async fn listed(cluster: &Cluster, user: i64, list: &str, limit: usize) -> anyhow::Result<Vec<i64>> {
    let (mut found, mut before, mut nth) = (Vec::new(), String::new(), 0);
    loop {
        let path = format!("/api/v1/{list}&limit={limit}{before}");
        let findings: api::SearchPage = page(cluster, user, &path, nth).await?;
        ensure!(findings.messages.len() <= limit, "{path}");
        found.extend(findings.messages.iter().map(|message| message.message_id.0));
        let Some(next) = findings.before else { return Ok(found) };
        before = format!("&before={next}");
        nth += 1;
        ensure!(nth < 100, "{path} has no end");
    }
}

pub(super) async fn search_pages_to_its_end(cluster: Cluster) -> anyhow::Result<()> {
    let group = make_group(&cluster, "Team", &[2, 3]).await?;
    let mut sent = Vec::new();
    for nth in 0..20 {
        let to = match nth % 4 {
            0 => json!({"conversation_id": group}),
            1 => json!({"recipient_id": 1}),
            _ => json!({"recipient_id": 2, "subject": "100% Sure"}),
        };
        sent.push(say(&cluster, 1, to, &format!("needle and_thread {nth}")).await?);
    }
    delete(cluster.address(0), 1, MessageId(sent[2])).await?;
    delete(cluster.address(0), 2, MessageId(sent[3])).await?;
    let of = |wanted: &dyn Fn(usize) -> bool| -> Vec<i64> {
        (0..20).rev().filter(|nth| wanted(*nth)).map(|nth| sent[nth]).collect()
    };
    for (user, query, expect) in [
        (1, "needle", of(&|nth| nth != 2)),
        (1, "NEEDLE%20thread", of(&|nth| nth != 2)),
        (2, "needle", of(&|nth| nth != 2 && nth != 3 && nth % 4 != 1)),
        (3, "needle", of(&|nth| nth % 4 == 0)),
        (4, "needle", Vec::new()),
        (1, "sure%20needle", of(&|nth| nth != 2 && nth % 4 > 1)),
        (1, "100%25", of(&|nth| nth != 2 && nth % 4 > 1)),
        (1, "and_thread%2019", of(&|nth| nth == 19)),
        (1, "andXthread", Vec::new()),
        (1, "needle%20hay", Vec::new()),
    ] {
        for limit in [1, 7, 50] {
            let found = search(&cluster, user, query, limit).await?;
            ensure!(found == expect, "{user}, {query}, {limit}: {found:?} is not {expect:?}");
        }
    }
    for query in ["", "?query=", "?query=%20", "?query=a%00b", "?query=a+b+c+d+e+f+g+h+i"] {
        let answer = get(cluster.address(0), &format!("/api/v1/search{query}"), &[bearer(1)]).await?;
        ensure!(answer.status == 400, "`{query}`: {}", answer.body);
    }
    cluster.finish().await
}

pub(super) async fn own_messages_page_to_their_end(cluster: Cluster) -> anyhow::Result<()> {
    let group = make_group(&cluster, "Team", &[2, 3]).await?;
    let mut sent = Vec::new();
    for nth in 0..20 {
        let (user, to) = match nth % 4 {
            0 => (1, json!({"conversation_id": group})),
            1 => (1, json!({"recipient_id": 1})),
            2 => (2, json!({"recipient_id": 1})),
            _ => (1, json!({"recipient_id": 2})),
        };
        sent.push(say(&cluster, user, to, &format!("number {nth}")).await?);
    }
    delete(cluster.address(0), 1, MessageId(sent[2])).await?;
    let of = |wanted: &dyn Fn(usize) -> bool| -> Vec<i64> {
        (0..20).rev().filter(|nth| *nth != 2 && wanted(*nth)).map(|nth| sent[nth]).collect()
    };
    for (list, expect) in [
        ("?", of(&|_| true)),
        ("?box=received", of(&|nth| [1, 2].contains(&(nth % 4)))),
        ("?box=sent", of(&|nth| nth % 4 != 2)),
        ("?box=sent&query=", of(&|nth| nth % 4 != 2)),
        ("?query=NUMBER%201", of(&|nth| nth == 1 || nth >= 10)),
        ("?box=received&query=number%201", of(&|nth| [1, 10, 13, 14, 17, 18].contains(&nth))),
        ("?box=sent&query=number%2019", of(&|nth| nth == 19)),
    ] {
        for limit in [1, 7, 50] {
            let found = listed(&cluster, 1, &format!("messages{list}"), limit).await?;
            ensure!(found == expect, "{list}, {limit}: {found:?} is not {expect:?}");
        }
    }
    let page: api::SearchPage = page(&cluster, 1, "/api/v1/messages?limit=4", 1).await?;
    let recipients: Vec<_> = page.messages.iter().map(|message| message.recipient.as_deref()).collect();
    ensure!(recipients == ["User 2", "User 1", "User 1", "Team"].map(Some), "{recipients:?}");
    for query in ["box=drafts", "box=", "query=a%00b", "query=a+b+c+d+e+f+g+h+i", "before=x"] {
        let answer = get(cluster.address(0), &format!("/api/v1/messages?{query}"), &[bearer(1)]).await?;
        ensure!(
            answer.status == 400 && answer.json()?["code"] == "invalid_field",
            "`{query}`: {}",
            answer.body
        );
    }
    // Looking marks nothing.
    let answer = get(cluster.address(1), "/messages/unread/", &[bearer(1)]).await?;
    ensure!(answer.json()? == json!({"unread_count": 4}), "{}", answer.body);
    cluster.finish().await
}

/// A page is cut where it has too many bytes, and the next one goes on right there.
pub(super) async fn wide_findings_page_too(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    connected(&mut anns).await?;
    let mut expect = Vec::new();
    for nth in 0..45 {
        let content = format!("{nth} needle {}", "x".repeat(31 * 1024));
        expect.insert(0, ann.send(UserId(2), "", &content, None).await?.message_id.0);
    }
    let first: api::SearchPage = page(&cluster, 2, "/api/v1/search?query=needle&limit=200", 0).await?;
    ensure!(first.messages.len() < 40, "{} messages are a megabyte", first.messages.len());
    // A page of a conversation ends early at the end that it leads on from.
    let path = "/api/v1/conversations/1/messages?limit=200&after=0";
    let oldest: HistoryPage = page(&cluster, 2, path, 0).await?;
    ensure!(oldest.messages.len() < 40 && oldest.messages.last().map(|it| &it.message_id.0) == expect.last());
    let found = onwards(&cluster, 2, 1, 200).await?;
    ensure!(found.iter().rev().map(|id| id.0).eq(expect.iter().copied()), "{found:?} is not {expect:?}");
    for list in ["search?query=needle", "messages?box=received"] {
        let found = listed(&cluster, 2, list, 200).await?;
        ensure!(found == expect, "{list}: {found:?} is not {expect:?}");
    }
    cluster.finish().await
}

pub(super) async fn history_pages_to_its_end(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    let (bob, mut bobs) = cluster.client(2, &[1], None);
    connected(&mut anns).await?;
    connected(&mut bobs).await?;
    let mut ids: Vec<MessageId> = Vec::new();
    for n in 0..24 {
        let (client, to) = if n % 3 == 0 { (&bob, 1) } else { (&ann, 2) };
        ids.push(client.send(UserId(to), "", &n.to_string(), None).await?.message_id);
        // Of another conversation, in between.
        ann.send(UserId(3), "", "other", None).await?;
    }
    // The sender's goes for both, the recipient's for themselves.
    delete(cluster.address(0), 1, ids[4]).await?;
    delete(cluster.address(0), 2, ids[5]).await?;
    for (user, gone) in [(1, vec![4]), (2, vec![4, 5])] {
        let expect: Vec<_> =
            (0..24).rev().filter(|nth| !gone.contains(nth)).map(|nth| (ids[nth], nth.to_string())).collect();
        for limit in [1, 5, 7, expect.len(), 50] {
            let (mut found, mut before, mut nth) = (Vec::new(), String::new(), 0);
            loop {
                let path = format!("/api/v1/conversations/1/messages?limit={limit}{before}");
                let history: HistoryPage = page(&cluster, user, &path, nth).await?;
                ensure!(history.messages.len() <= limit);
                ensure!(!history.messages.is_empty(), "the page before {before:?} said that there is more");
                found.extend(
                    history.messages.into_iter().map(|message| (message.message_id, message.content)),
                );
                let Some(next) = history.before else { break };
                before = format!("&before={next}");
                nth += 1;
            }
            ensure!(found == expect, "{user}, {limit}: {found:?}");
            let found = onwards(&cluster, user, 1, limit).await?;
            ensure!(
                found.iter().rev().eq(expect.iter().map(|(id, _)| id)),
                "{user}, {limit}, onwards: {found:?}"
            );
        }
    }
    for (query, status) in [("before=9&after=1", 400), ("after=x", 400), ("after=9223372036854775807", 200)] {
        let path = format!("/api/v1/conversations/1/messages?{query}");
        let answer = get(cluster.address(0), &path, &[bearer(1)]).await?;
        ensure!(answer.status == status, "{query}: {}", answer.body);
        ensure!(status == 200 || answer.json()?["code"] == "invalid_field", "{query}: {}", answer.body);
    }
    cluster.finish().await
}

/// All of a conversation from its beginning on, page by page, the oldest first.
async fn onwards(cluster: &Cluster, user: i64, id: i64, limit: usize) -> anyhow::Result<Vec<MessageId>> {
    let (mut found, mut after, mut nth) = (Vec::new(), MessageId(0), 0);
    loop {
        let path = format!("/api/v1/conversations/{id}/messages?limit={limit}&after={after}");
        let history: HistoryPage = page(cluster, user, &path, nth).await?;
        ensure!(history.messages.len() <= limit && history.before.is_none(), "{path}: {history:?}");
        ensure!(!history.messages.is_empty(), "the page before {after} said that there is more");
        found.extend(history.messages.iter().rev().map(|message| message.message_id));
        let Some(next) = history.after else { return Ok(found) };
        ensure!(history.messages[0].message_id == next, "{path}: {next}");
        (after, nth) = (next, nth + 1);
    }
}
