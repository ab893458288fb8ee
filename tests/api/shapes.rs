//! Each answer has exactly the fields that it must have, and says what was asked.

use anyhow::{Context, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use switchboard_protocol::events::Events;
use switchboard_protocol::history::HistoryPage;
use switchboard_protocol::{api, problem};

use crate::attachments::kit::{upload_one, urls};
use crate::harness::Cluster;
use crate::harness::http::{Answer, EventStream, bearer, get, origin, send, send_json};

/// Reads an answer as its type. Writing it again gives the same, so it has no field that the type does not know.
#[track_caller]
pub(super) fn read<T: DeserializeOwned + Serialize>(answer: &Answer, status: u16) -> anyhow::Result<T> {
    let place = std::panic::Location::caller();
    ensure!(answer.status == status, "{place}: {} {}", answer.status, answer.body);
    let expected = if status < 400 { "application/json" } else { "application/problem+json" };
    let media_type = answer.header("content-type").unwrap_or_default();
    ensure!(media_type.starts_with(expected), "{place}: {media_type}");
    let body: T = serde_json::from_str(&answer.body).with_context(|| format!("{place}: {}", answer.body))?;
    let again = serde_json::to_value(&body)?;
    ensure!(again == answer.json()?, "{place}: {} is not {again}", answer.body);
    Ok(body)
}

/// The keys of an object, in order.
#[track_caller]
pub(super) fn check_keys(value: &Value, expect: &str) -> anyhow::Result<()> {
    let place = std::panic::Location::caller();
    let mut keys: Vec<_> = value.as_object().context("no object")?.keys().map(String::as_str).collect();
    keys.sort_unstable();
    ensure!(keys.join(" ") == expect, "{place}: {}", keys.join(" "));
    Ok(())
}

const ME: &str = "cursor epoch full_name has_password id role unread_count username";
const MESSAGE: &str = "attachments content conversation_id created_at is_read message_id recipient_id sender \
                       sender_id subject type";

pub(super) async fn accounts_have_their_shape(cluster: Cluster) -> anyhow::Result<()> {
    let (one, two) = (cluster.address(0), cluster.address(1));
    let body =
        json!({"username": "new.user@example", "password": "correct horse 8", "full_name": "New Ünser"});
    let answer = send_json(one, "POST", "/api/v1/auth/register", &[], &body).await?;
    let new: api::Me = read(&answer, 201)?;
    check_keys(&answer.json()?, ME)?;
    ensure!(answer.header("set-cookie").is_none(), "registering does not log in");
    ensure!((new.user.full_name.as_str(), new.role.as_str(), new.cursor.0) == ("New Ünser", "user", 0));
    let taken = send_json(two, "POST", "/api/v1/auth/register", &[], &body).await?;
    ensure!(read::<problem::Problem>(&taken, 409)?.code.as_str() == "username_taken");
    let log_in = json!({"username": "new.user@example", "password": "correct horse 8"});
    let answer = send_json(two, "POST", "/api/v1/auth/login", &[], &log_in).await?;
    ensure!(read::<api::Me>(&answer, 200)? == new);
    let cookie = answer.header("set-cookie").context("no cookie")?;
    ensure!(
        cookie.starts_with("switchboard=") && cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax")
    );
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap_or_default());
    let answer = get(one, "/api/v1/me", std::slice::from_ref(&cookie)).await?;
    ensure!(read::<api::Me>(&answer, 200)? == new, "{}", answer.body);
    let answer = send(one, "POST", "/api/v1/auth/ticket", &[cookie.clone(), origin(one)], &[]).await?;
    read::<api::Ticket>(&answer, 200)?;
    check_keys(&answer.json()?, "expires_at ticket")?;
    ensure!(answer.header("cache-control") == Some("no-store"));
    let answer = send(two, "POST", "/api/v1/auth/logout", &[cookie.clone(), origin(two)], &[]).await?;
    ensure!(answer.status == 204 && answer.bytes.is_empty());
    let answer = get(one, "/api/v1/me", &[cookie]).await?;
    ensure!(read::<problem::Problem>(&answer, 401)?.code.as_str() == "unauthorized");
    check_keys(&answer.json()?, "code status title")?;
    let answer = get(two, "/api/v1/users?limit=2", &[bearer(1)]).await?;
    let page: api::UsersPage = read(&answer, 200)?;
    ensure!(page.after == Some(page.users[1].id));
    check_keys(&answer.json()?, "after users")?;
    check_keys(&answer.json()?["users"][0], "full_name id username")?;
    cluster.finish().await
}

pub(super) async fn messages_have_their_shape(cluster: Cluster) -> anyhow::Result<()> {
    let (one, two) = (cluster.address(0), cluster.address(1));
    let file = upload_one(one, 1, "a.txt").await?;
    check_keys(&serde_json::to_value(&file)?, "download_url file_size filename id media_type url")?;
    let body = json!({"recipient_id": "2", "content": "x", "subject": "s", "client_message_id": "c1",
        "attachment_ids": [file.id.to_string()]});
    let answer = send_json(one, "POST", "/api/v1/messages", &[bearer(1)], &body).await?;
    let sent: api::Sent = read(&answer, 201)?;
    check_keys(&answer.json()?, "client_message_id data message_id seq status")?;
    check_keys(&answer.json()?["data"], MESSAGE)?;
    ensure!(
        sent.seq.0 == 1 && sent.data.message_id == sent.message_id && sent.data.attachments == [file.clone()]
    );
    ensure!(
        (sent.data.sender.as_str(), sent.data.subject.as_str(), sent.data.is_read) == ("User 1", "s", false)
    );
    let plain = json!({"recipient_id": 2, "content": "y"});
    let answer = send_json(two, "POST", "/api/v1/messages", &[bearer(1)], &plain).await?;
    let second: api::Sent = read(&answer, 201)?;
    check_keys(&answer.json()?, "data message_id seq status")?;
    ensure!(second.data.subject == "No Subject" && second.seq.0 == 2);
    let answer = get(two, "/api/v1/conversations", &[bearer(2)]).await?;
    let talks: api::ConversationsPage = read(&answer, 200)?;
    check_keys(&answer.json()?, "conversations")?;
    check_keys(
        &answer.json()?["conversations"][0],
        "draft id is_archived is_muted kind last_message unread_count user",
    )?;
    let talk = &talks.conversations[0];
    let user = talk.user.as_ref().context("it is of two")?;
    ensure!(talk.unread_count == 2 && user.id.0 == 1, "{talk:?}");
    ensure!(talk.last_message.as_ref() == Some(&second.data), "{talk:?}");
    let path = format!("/api/v1/conversations/{}/messages", talk.id);
    let answer = get(one, &path, &[bearer(2)]).await?;
    let page: HistoryPage = read(&answer, 200)?;
    check_keys(&answer.json()?, "messages")?;
    check_keys(&answer.json()?["messages"][0], MESSAGE)?;
    ensure!(page.messages == [second.data, sent.data], "{page:?}");
    let path = format!("/api/v1/messages/{}/read", sent.message_id);
    let answer = send(two, "POST", &path, &[bearer(2)], &[]).await?;
    let read_it: api::Read = read(&answer, 200)?;
    check_keys(&answer.json()?, "message_id seq status unread_count")?;
    ensure!((read_it.seq.0, read_it.message_id, read_it.unread_count) == (3, sent.message_id, 1));
    let path = format!("/api/v1/messages/{}", sent.message_id);
    let answer = send(one, "DELETE", &path, &[bearer(2)], &[]).await?;
    ensure!(answer.status == 204 && answer.bytes.is_empty(), "{}", answer.body);
    let answer = get(two, &urls(file.id)[0], &[bearer(1)]).await?;
    ensure!(answer.status == 200 && answer.body == "this is a.txt");
    cluster.finish().await
}

pub(super) async fn events_have_their_shape(cluster: Cluster) -> anyhow::Result<()> {
    let (one, two) = (cluster.address(0), cluster.address(1));
    let me: api::Me = read(&get(two, "/api/v1/me", &[bearer(2)]).await?, 200)?;
    let body = json!({"recipient_id": 2, "content": "x"});
    let sent: api::Sent = read(&send_json(one, "POST", "/api/v1/messages", &[bearer(1)], &body).await?, 201)?;
    let answer = get(two, "/api/v1/events?cursor=0", &[bearer(2)]).await?;
    let events: Events<Value> = read(&answer, 200)?;
    check_keys(&answer.json()?, "cursor epoch events")?;
    ensure!(events.cursor.0 == 1 && events.epoch == me.epoch && events.events.len() == 1, "{}", answer.body);
    check_keys(&events.events[0], "data seq type")?;
    ensure!(events.events[0]["data"] == serde_json::to_value(&sent.data)?, "{}", answer.body);
    let mut stream = EventStream::open(two, "/api/v1/events/stream?cursor=0", &[bearer(2)]).await?;
    let (_, welcome) = stream.next().await?;
    check_keys(
        &welcome,
        "connection_id cursor epoch heartbeat_interval_ms limits server_time type unread_count user",
    )?;
    ensure!(stream.next().await? == (1, events.events[0].clone()));
    drop(stream);
    let answer = get(one, "/api/v1/openapi.json", &[]).await?;
    ensure!(
        answer.status == 200 && answer.json()?["openapi"].as_str().is_some_and(|text| text.starts_with("3."))
    );
    cluster.finish().await
}

pub(super) async fn repeats_change_nothing(cluster: Cluster) -> anyhow::Result<()> {
    let (one, two) = (cluster.address(0), cluster.address(1));
    let body = json!({"recipient_id": 2, "content": "x", "client_message_id": "c1"});
    let first: api::Sent =
        read(&send_json(one, "POST", "/api/v1/messages", &[bearer(1)], &body).await?, 201)?;
    for address in [one, two] {
        let again = send_json(address, "POST", "/api/v1/messages", &[bearer(1)], &body).await?;
        ensure!(read::<api::Sent>(&again, 200)? == first, "{}", again.body);
    }
    let other = json!({"recipient_id": 2, "content": "y", "client_message_id": "c1"});
    let answer = send_json(two, "POST", "/api/v1/messages", &[bearer(1)], &other).await?;
    ensure!(read::<problem::Problem>(&answer, 409)?.code.as_str() == "client_message_id_reused");
    // Another sender's id is another id.
    let answer = send_json(two, "POST", "/api/v1/messages", &[bearer(2)], &body).await?;
    ensure!(read::<api::Sent>(&answer, 201)?.message_id != first.message_id);
    let path = format!("/api/v1/messages/{}/read", first.message_id);
    let read_first: api::Read = read(&send(one, "POST", &path, &[bearer(2)], &[]).await?, 200)?;
    let again: api::Read = read(&send(two, "POST", &path, &[bearer(2)], &[]).await?, 200)?;
    ensure!(read_first == again && again.unread_count == 0, "{again:?}");
    let path = format!("/api/v1/messages/{}", first.message_id);
    for user in [2, 1] {
        for address in [one, two] {
            let answer = send(address, "DELETE", &path, &[bearer(user)], &[]).await?;
            ensure!(answer.status == 204 && answer.bytes.is_empty(), "{user}: {}", answer.body);
        }
    }
    // Gone is gone: a resend says that it was sent, and brings nothing back.
    let again = send_json(two, "POST", "/api/v1/messages", &[bearer(1)], &body).await?;
    ensure!(read::<api::Sent>(&again, 200)?.message_id == first.message_id);
    for user in [1, 2] {
        let events = get(one, "/api/v1/events?cursor=0", &[bearer(user)]).await?;
        ensure!(events.json()?["events"][0]["type"] == "void", "{}", events.body);
        let path = format!("/api/v1/messages/{}/read", first.message_id);
        let answer = send(two, "POST", &path, &[bearer(user)], &[]).await?;
        ensure!(read::<problem::Problem>(&answer, 404)?.code.as_str() == "not_found");
    }
    cluster.finish().await
}
