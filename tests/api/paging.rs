//! Every page leads to the next, to the end, without a gap or a repeat; and names are found as people write them.

use anyhow::{Context, ensure};
use serde::de::DeserializeOwned;
use switchboard_protocol::history::HistoryPage;
use switchboard_protocol::{MessageId, UserId, api};
use switchboard_store::Import;

use crate::attachments::kit::delete;
use crate::harness::http::{bearer, get};
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
            found.extend(
                talks.conversations.iter().map(|talk| (talk.user.id.0, talk.last_message.message_id)),
            );
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
    let found: Vec<_> =
        talks.conversations.iter().map(|talk| (talk.user.id.0, talk.last_message.message_id)).collect();
    ensure!(found.len() == 19 && found[0] == last[28] && found.contains(&(user, last[0].1)), "{found:?}");
    ensure!(found.iter().all(|(user, _)| *user != last[10].0), "{found:?}");
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
        }
    }
    cluster.finish().await
}
