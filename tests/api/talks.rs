//! Groups and what is done in conversations: a change answers with the caller's own entry, and what is read says the same.

use std::sync::Arc;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use switchboard_protocol::{MessageId, UserId, api};
use switchboard_store::{Command, Edit};

use super::shapes::{check_keys, read};
use crate::harness::http::{Answer, bearer, get, origin, send, send_json};
use crate::harness::{Cluster, DEADLINE};

/// Asks a node for a change; without a body where there is none to be given.
async fn ask(
    cluster: &Cluster,
    node: usize,
    user: i64,
    (method, path): (&str, &str),
    body: &Value,
) -> anyhow::Result<Answer> {
    let (address, path) = (cluster.address(node), format!("/api/v1{path}"));
    match body {
        Value::Null => send(address, method, &path, &[bearer(user)], &[]).await,
        body => send_json(address, method, &path, &[bearer(user)], body).await,
    }
}

/// Makes a group of user 1 and others, and gives its id.
pub(super) async fn make_group(cluster: &Cluster, title: &str, members: &[i64]) -> anyhow::Result<i64> {
    let body = json!({"title": title, "member_ids": members});
    let answer = ask(cluster, 0, 1, ("POST", "/conversations"), &body).await?;
    ensure!(answer.status == 201, "{}", answer.body);
    answer.json()?["conversation_id"].as_i64().context("an id")
}

/// Sends a message, and gives its id.
pub(super) async fn say(cluster: &Cluster, user: i64, to: Value, content: &str) -> anyhow::Result<i64> {
    let mut body = to;
    body["content"] = json!(content);
    let answer = ask(cluster, 1, user, ("POST", "/messages"), &body).await?;
    ensure!(answer.status == 201, "{}", answer.body);
    answer.json()?["message_id"].as_i64().context("an id")
}

/// A change answers with the entry that the other node has of it, and again with that it was done before.
pub(super) async fn changes_answer_with_their_entry(cluster: Cluster) -> anyhow::Result<()> {
    let new = json!({"title": " Team ", "member_ids": [2, "3", 1], "client_conversation_id": "g1"});
    let made = check_change(&cluster, 1, ("POST", "/conversations"), &new, "group_changed", true).await?;
    check_keys(
        &made,
        "actor_id change client_conversation_id conversation_id members seq title type unread_count",
    )?;
    ensure!((&made["title"], &made["change"]) == (&json!("Team"), &json!("joined")), "{made}");
    let group = format!("/conversations/{}", made["conversation_id"]);
    let in_group = |path: &str| format!("{group}{path}");
    let first = say(&cluster, 1, json!({"conversation_id": made["conversation_id"]}), "one").await?;
    let message = |path: &str| format!("/messages/{first}{path}");
    let thumb = message("/reactions/%F0%9F%91%8D");
    let settings = json!({"is_muted": true, "draft": "to be s"});
    for (user, method, path, body, kind, can_repeat) in [
        (1, "PATCH", in_group(""), json!({"title": "Crew"}), "group_changed", true),
        (1, "POST", in_group("/members"), json!({"user_ids": ["4"]}), "group_changed", true),
        (1, "PUT", in_group("/members/2"), json!({"role": "owner"}), "group_changed", true),
        (2, "DELETE", in_group("/members/3"), Value::Null, "group_changed", false),
        (1, "PATCH", message(""), json!({"content": "better", "subject": "s"}), "message_edited", true),
        (2, "PUT", thumb.clone(), Value::Null, "message_reaction", true),
        (2, "DELETE", thumb, Value::Null, "message_reaction", true),
        (2, "POST", in_group("/read"), json!({"up_to": first}), "message_read", true),
        (2, "PUT", in_group("/settings"), settings, "conversation_changed", true),
        (2, "PUT", "/blocks/5".to_owned(), Value::Null, "block_changed", true),
        (2, "DELETE", "/blocks/5".to_owned(), Value::Null, "block_changed", true),
        (2, "PUT", "/settings".to_owned(), json!({"send_receipts": false}), "receipts_changed", true),
    ] {
        check_change(&cluster, user, (method, &path), &body, kind, can_repeat).await?;
    }
    cluster.finish().await
}

async fn check_change(
    cluster: &Cluster,
    user: i64,
    (method, path): (&str, &str),
    body: &Value,
    kind: &str,
    can_repeat: bool,
) -> anyhow::Result<Value> {
    let status = if path == "/conversations" { 201 } else { 200 };
    let answer = ask(cluster, 0, user, (method, path), body).await?;
    let change: api::Change = read(&answer, status).with_context(|| format!("{method} {path}"))?;
    ensure!(change.kind == kind && !change.repeat, "{method} {path}: {}", answer.body);
    let now = answer.json()?;
    let events = format!("/api/v1/events?cursor={}", change.seq.0 - 1);
    let entries = get(cluster.address(1), &events, &[bearer(user)]).await?.json()?;
    ensure!(entries["events"] == json!([now]), "{method} {path}: {now} is not {entries}");
    if can_repeat {
        let again = ask(cluster, 1, user, (method, path), body).await?;
        let repeat: api::Change = read(&again, 200).with_context(|| format!("{method} {path}, again"))?;
        ensure!(repeat.repeat, "{method} {path}, again: {}", again.body);
        let mut expect = now.clone();
        expect["repeat"] = json!(true);
        ensure!(again.json()? == expect, "{method} {path}, again: {} is not {expect}", again.body);
    }
    Ok(now)
}

const GROUP: &str = "draft id is_archived is_muted kind last_message member_count title unread_count";

pub(super) async fn conversations_have_their_shape(cluster: Cluster) -> anyhow::Result<()> {
    let group = make_group(&cluster, "Team", &[2, 3]).await?;
    let path = format!("/api/v1/conversations/{group}");
    let answer = get(cluster.address(1), &path, &[bearer(2)]).await?;
    check_keys(&answer.json()?, &GROUP.replace("last_message member_count", "member_count members"))?;
    let quiet: api::ConversationDetail = read(&answer, 200)?;
    let roles: Vec<_> = quiet.members.iter().map(|member| (member.user.id.0, member.role)).collect();
    let (owner, member) = (switchboard_protocol::Role::Owner, switchboard_protocol::Role::Member);
    ensure!(roles == [(1, owner), (2, member), (3, member)], "{roles:?}");
    check_keys(&answer.json()?["members"][0], "role user")?;
    // It stands among the others without any message.
    let page: api::ConversationsPage =
        read(&get(cluster.address(0), "/api/v1/conversations", &[bearer(2)]).await?, 200)?;
    ensure!(page.conversations == [quiet.conversation], "{page:?}");
    let message = say(&cluster, 1, json!({"conversation_id": group}), "one").await?;
    let settings = json!({"is_archived": true, "draft": "x"});
    ask(&cluster, 0, 2, ("PUT", &format!("/conversations/{group}/settings")), &settings).await?;
    let page = get(cluster.address(0), "/api/v1/conversations?archived=true", &[bearer(2)]).await?;
    check_keys(&page.json()?["conversations"][0], GROUP)?;
    let page: api::ConversationsPage = read(&page, 200)?;
    let talk = page.conversations.first().context("there is one")?;
    let last = talk.last_message.as_ref().context("it has a message")?;
    ensure!((last.message_id.0, last.recipient_id, last.is_read) == (message, None, false), "{last:?}");
    ensure!((talk.unread_count, talk.member_count, talk.title.as_deref()) == (1, Some(3), Some("Team")));
    ensure!(talk.settings.is_archived && talk.settings.draft == "x" && !talk.settings.is_muted, "{talk:?}");
    let none: api::ConversationsPage =
        read(&get(cluster.address(1), "/api/v1/conversations?archived=false", &[bearer(2)]).await?, 200)?;
    ensure!(none.conversations.is_empty(), "{none:?}");
    cluster.finish().await
}

pub(super) async fn own_things_have_their_shape(cluster: Cluster) -> anyhow::Result<()> {
    let message = say(&cluster, 1, json!({"recipient_id": 2, "subject": "s"}), "one").await?;
    for content in ["two", "three"] {
        let edit = json!({"content": content});
        ask(&cluster, 0, 1, ("PATCH", &format!("/messages/{message}")), &edit).await?;
    }
    let path = format!("/api/v1/messages/{message}/versions");
    let answer = get(cluster.address(1), &path, &[bearer(2)]).await?;
    let versions: api::Versions = read(&answer, 200)?;
    let said: Vec<_> =
        versions.versions.iter().map(|it| (it.subject.as_str(), it.content.as_str())).collect();
    ensure!(said == [("s", "two"), ("s", "one")], "{said:?}");
    for user in [9, 4] {
        ask(&cluster, 0, 1, ("PUT", &format!("/blocks/{user}")), &Value::Null).await?;
    }
    let blocks: api::Blocks = read(&get(cluster.address(1), "/api/v1/blocks", &[bearer(1)]).await?, 200)?;
    ensure!(blocks.users.iter().map(|user| user.id.0).collect::<Vec<_>>() == [4, 9], "{blocks:?}");
    let body = json!({"recipient_id": 1, "content": "x"});
    let refused = send_json(cluster.address(1), "POST", "/api/v1/messages", &[bearer(9)], &body).await?;
    ensure!(refused.json()?["code"] == "unknown_recipient", "{}", refused.body);
    for send_receipts in [true, false] {
        ask(&cluster, 0, 1, ("PUT", "/settings"), &json!({"send_receipts": send_receipts})).await?;
        let answer = get(cluster.address(1), "/api/v1/settings", &[bearer(1)]).await?;
        ensure!(read::<api::Settings>(&answer, 200)? == api::Settings { send_receipts });
    }
    cluster.finish().await
}

/// Of a deployment that kept versions once, and keeps none now.
pub(super) async fn what_was_kept_is_shown_no_more(cluster: Cluster) -> anyhow::Result<()> {
    let message = say(&cluster, 1, json!({"recipient_id": 2}), "one").await?;
    let edit = Command::Edit(Edit {
        actor: UserId(1),
        message: MessageId(message),
        subject: None,
        content: "two".to_owned(),
        within: 60_000_000,
        keep: true,
        only_in_groups: false,
    });
    let deadline = tokio::time::Instant::now() + DEADLINE;
    cluster.store.committer().commit(Arc::from([edit]), deadline).await?;
    let path = format!("/api/v1/messages/{message}/versions");
    let versions: api::Versions = read(&get(cluster.address(1), &path, &[bearer(2)]).await?, 200)?;
    ensure!(versions.versions.is_empty(), "{versions:?}");
    let refused = get(cluster.address(1), &path, &[bearer(3)]).await?;
    ensure!(refused.status == 404, "{}", refused.body);
    cluster.finish().await
}

/// What is asked with a cookie must come from a page of ours, whatever the method.
pub(super) async fn changes_by_cookie_need_their_origin(cluster: Cluster) -> anyhow::Result<()> {
    let message = say(&cluster, 1, json!({"recipient_id": 2}), "x").await?;
    let address = cluster.address(0);
    let cookie = crate::harness::http::log_in(address, 1).await?;
    let json = "Content-Type: application/json".to_owned();
    for (method, path, body) in [
        ("PATCH", format!("/messages/{message}"), "{\"content\": \"y\"}"),
        ("PUT", "/settings".to_owned(), "{\"send_receipts\": false}"),
        ("PUT", "/blocks/3".to_owned(), ""),
        ("DELETE", "/blocks/3".to_owned(), ""),
        ("POST", "/conversations".to_owned(), "{\"title\": \"t\"}"),
        ("POST", "/typing".to_owned(), "{\"recipient_id\": 2, \"is_typing\": true}"),
    ] {
        let path = format!("/api/v1{path}");
        for (from, is_let_in) in [
            (None, false),
            (Some("Origin: http://elsewhere.example".to_owned()), false),
            (Some(origin(address)), true),
        ] {
            let headers: Vec<_> = [cookie.clone(), json.clone()].into_iter().chain(from).collect();
            let answer = send(address, method, &path, &headers, body.as_bytes()).await?;
            let refused = answer.status == 403 && answer.json()?["code"] == "foreign_origin";
            ensure!(
                refused != is_let_in && (refused || answer.status < 300),
                "{method} {path}: {}",
                answer.body
            );
        }
    }
    cluster.finish().await
}

/// A conversation is read by `up_to` alone, so that a body cannot name a message of another one.
pub(super) async fn a_conversation_is_read_by_up_to(cluster: Cluster) -> anyhow::Result<()> {
    let group = make_group(&cluster, "Team", &[2]).await?;
    let elsewhere = say(&cluster, 1, json!({"recipient_id": 2}), "x").await?;
    let here = say(&cluster, 1, json!({"conversation_id": group}), "x").await?;
    let path = format!("/conversations/{group}/read");
    let answer = ask(&cluster, 0, 2, ("POST", &path), &json!({"message_id": elsewhere})).await?;
    ensure!(answer.status == 400 && answer.json()?["code"] == "invalid_field", "{}", answer.body);
    let answer = ask(&cluster, 1, 2, ("POST", &path), &json!({"up_to": here})).await?;
    let entry = answer.json()?;
    ensure!((&entry["message_id"], &entry["unread_count"]) == (&json!(here), &json!(1)), "{entry}");
    cluster.finish().await
}
