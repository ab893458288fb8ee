//! Who may do what: each request about a conversation, by frame and over HTTP, for each kind of person.

mod people;
mod requests;

use anyhow::{Context, ensure};
use serde_json::json;
use switchboard_protocol::{Role, UserId};

use crate::harness::http::{bearer, get, log_in, origin, send, send_json};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, Pair};
use crate::{BOTH, Test, test};

use people::{BLOCKED, FORMER, MEMBER, NEVER, OWNER, Scene, ask, asks};
use requests::{Request, lookups, of_blocked, of_group};

pub(crate) const TESTS: &[Test] = &[
    test!(a_group_is_for_its_members, BOTH),
    test!(what_is_read_is_for_members, BOTH),
    test!(who_is_blocked_learns_no_more_than_a_stranger, BOTH),
    test!(
        who_is_logged_out_may_nothing,
        BOTH,
        &[("SWITCHBOARD_LIMITS__FAILED_HANDSHAKES_PER_MINUTE", "1000000")]
    ),
    test!(only_who_shares_a_group_may_write, BOTH, &[("SWITCHBOARD_MESSAGES__ONLY_IN_GROUPS", "true")]),
];

async fn a_group_is_for_its_members(cluster: Cluster) -> anyhow::Result<()> {
    let scene = Scene::new(&cluster).await?;
    for request in of_group(&scene) {
        // Who may do least is first: nothing of theirs must change what comes after.
        for (role, user) in [(3, NEVER), (3, BLOCKED), (2, FORMER), (1, MEMBER), (0, OWNER)] {
            check(&cluster, &request, user, request.expected[role]).await?;
        }
    }
    cluster.finish().await
}

/// Asks in both ways, on both nodes.
async fn check(cluster: &Cluster, request: &Request, user: i64, expected: &str) -> anyhow::Result<()> {
    let by_http = asks(cluster, 0, user, request).await?;
    ensure!(by_http == expected, "HTTP {} by {user}: {by_http}, not {expected}", request.name);
    let by_frame = ask(cluster, 1, user, request).await?;
    ensure!(by_frame == expected, "frame {} by {user}: {by_frame}, not {expected}", request.name);
    Ok(())
}

async fn what_is_read_is_for_members(cluster: Cluster) -> anyhow::Result<()> {
    let scene = Scene::new(&cluster).await?;
    for path in lookups(&scene) {
        for (user, status) in [(OWNER, 200), (MEMBER, 200), (FORMER, 404), (NEVER, 404), (BLOCKED, 404)] {
            let answer = get(cluster.address(1), &path, &[bearer(user)]).await?;
            ensure!(answer.status == status, "{path} by {user}: {} {}", answer.status, answer.body);
            ensure!(status == 200 || !answer.body.contains("canary"), "{path} by {user}: {}", answer.body);
        }
    }
    // What is no one thing: it is there or it is not.
    for path in [
        "/api/v1/conversations",
        "/api/v1/messages",
        "/api/v1/search?query=canary",
        "/messages/get/?limit=1000",
    ] {
        for (user, is_there) in
            [(OWNER, true), (MEMBER, true), (FORMER, false), (NEVER, false), (BLOCKED, false)]
        {
            let answer = get(cluster.address(0), path, &[bearer(user)]).await?;
            ensure!(
                answer.status == 200 && answer.body.contains("canary") == is_there,
                "{path} by {user}: {}",
                answer.body
            );
        }
    }
    // Nor does a former member's own log tell it again.
    let path = "/api/v1/events?cursor=0";
    let answer = get(cluster.address(0), path, &[bearer(FORMER)]).await?;
    ensure!(answer.status == 200 && !answer.body.contains("canary"), "{}", answer.body);
    ensure!(answer.body.contains("void"), "{}", answer.body);
    cluster.finish().await
}

async fn who_is_blocked_learns_no_more_than_a_stranger(cluster: Cluster) -> anyhow::Result<()> {
    let scene = Scene::new(&cluster).await?;
    for request in of_blocked(&scene) {
        check(&cluster, &request, BLOCKED, request.expected[0]).await?;
    }
    // To the word what is said of somebody who is not there.
    let mut refusals = Vec::new();
    for recipient in [OWNER, 999_999] {
        let body = json!({"recipient_id": recipient, "content": "x"});
        let answer =
            send_json(cluster.address(0), "POST", "/api/v1/messages", &[bearer(BLOCKED)], &body).await?;
        refusals.push((answer.status, answer.body));
    }
    ensure!(refusals[0] == refusals[1], "{refusals:?}");
    // The other way is open, and so it is again when the block is gone.
    let body = json!({"recipient_id": BLOCKED, "content": "x"});
    let answer = send_json(cluster.address(0), "POST", "/api/v1/messages", &[bearer(OWNER)], &body).await?;
    ensure!(answer.status == 201, "{}", answer.body);
    let path = format!("/api/v1/blocks/{BLOCKED}");
    let answer = send(cluster.address(1), "DELETE", &path, &[bearer(OWNER)], &[]).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    let body = json!({"recipient_id": OWNER, "content": "x"});
    let answer = send_json(cluster.address(0), "POST", "/api/v1/messages", &[bearer(BLOCKED)], &body).await?;
    ensure!(answer.status == 201, "{}", answer.body);
    cluster.finish().await
}

async fn who_is_logged_out_may_nothing(cluster: Cluster) -> anyhow::Result<()> {
    let scene = Scene::new(&cluster).await?;
    let address = cluster.address(0);
    let cookie = log_in(address, MEMBER).await?;
    let headers = [cookie.clone(), origin(address)];
    let answer = send(address, "POST", "/api/v1/auth/logout", &headers, &[]).await?;
    ensure!(answer.status == 204, "{}", answer.body);
    for headers in [vec![], headers.to_vec(), vec!["Authorization: Bearer x".to_owned()]] {
        for request in of_group(&scene).into_iter().chain(of_blocked(&scene)) {
            let (method, path, body) = request.http.as_ref().context("every request has a way over HTTP")?;
            let answer = send_json(address, method, path, &headers, body).await?;
            let code = answer.json()?["code"].clone();
            ensure!(
                (answer.status, &code) == (401, &json!("unauthorized")),
                "{path}: {} {code}",
                answer.status
            );
        }
        let further =
            ["/api/v1/blocks", "/api/v1/settings", "/api/v1/search?query=x", "/api/v1/presence?user_ids=1"];
        for path in lookups(&scene).into_iter().chain(further.map(str::to_owned)) {
            let answer = get(address, &path, &headers).await?;
            ensure!(answer.status == 401, "{path}: {}", answer.status);
        }
    }
    // Of frames none is taken: there is no session to send them in.
    let refused = Socket::handshake_with(&cluster, 0, &[cookie], "").await?;
    ensure!(refused.is_err_and(|(status, _)| status == 403 || status == 401), "a session was opened");
    cluster.finish().await
}

/// Users 1 and 2 share a group with 3, who leaves; the rest share none.
async fn only_who_shares_a_group_may_write(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    let file = cluster.attachments().with_file_name("groups.csv");
    std::fs::write(&file, "title,username,role\nclass,user1,owner\nclass,user2,\nclass,user3,\n")?;
    let path = file.to_str().context("a path")?;
    if cluster.pair == Pair::PostgresRedis {
        let output = tokio::task::block_in_place(|| cluster.command(&["group", "import", path]).output())?;
        ensure!(output.status.success(), "{output:?}");
    } else {
        let members = [(UserId(1), Role::Owner), (UserId(2), Role::Member), (UserId(3), Role::Member)];
        let imported = cluster.store.import_group("class", &members).await?;
        ensure!(imported.is_ok(), "{imported:?}");
    }
    let group = people::group_of(&cluster, 1).await?;
    let leave = format!("/api/v1/conversations/{group}/members/3");
    let answer = send(address, "DELETE", &leave, &[bearer(3)], &[]).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    for (sender, recipient, may) in
        [(1, 2, true), (2, 1, true), (3, 1, false), (1, 3, false), (4, 1, false), (4, 4, true)]
    {
        let body = json!({"recipient_id": recipient, "content": "x"});
        let answer = send_json(address, "POST", "/api/v1/messages", &[bearer(sender)], &body).await?;
        ensure!((answer.status == 201) == may, "{sender} to {recipient}: {} {}", answer.status, answer.body);
        ensure!(may || answer.json()?["code"] == "unknown_recipient", "{}", answer.body);
        let request = Request::frame("send_message", "message_sent", body);
        let said = ask(&cluster, 1, sender, &request).await?;
        ensure!(
            said == if may { "ok" } else { "unknown_recipient" },
            "{sender} to {recipient} by frame: {said}"
        );
        let (kind, form) =
            crate::harness::http::multipart(&[("recipient", &recipient.to_string()), ("content", "x")], &[]);
        let headers = [kind, bearer(sender), "X-Requested-With: XMLHttpRequest".to_owned()];
        let answer = send(address, "POST", "/messages/send/", &headers, &form).await?;
        ensure!(
            answer.status == if may { 200 } else { 403 },
            "{sender} to {recipient}: {} {}",
            answer.status,
            answer.body
        );
    }
    // Nor can one make a group to get round that.
    let body = json!({"title": "mine", "member_ids": [1]});
    let answer = send_json(address, "POST", "/api/v1/conversations", &[bearer(4)], &body).await?;
    ensure!(answer.status == 404 && answer.json()?["code"] == "unknown_recipient", "{}", answer.body);
    // Nor block whoever has an id to learn their name.
    let answer = send(address, "PUT", "/api/v1/blocks/4", &[bearer(1)], &[]).await?;
    ensure!(answer.status == 404 && answer.json()?["code"] == "unknown_recipient", "{}", answer.body);
    let answer = send(address, "DELETE", "/api/v1/blocks/4", &[bearer(1)], &[]).await?;
    ensure!(answer.status == 200 && answer.json()?["repeat"] == true, "{}", answer.body);
    let users = get(address, "/api/users/", &[bearer(2)]).await?.json()?;
    let ids: Vec<_> =
        users["users"].as_array().context("users")?.iter().map(|user| user["id"].clone()).collect();
    ensure!(ids.contains(&json!(1)) && !ids.contains(&json!(3)) && !ids.contains(&json!(4)), "{ids:?}");
    cluster.finish().await
}
