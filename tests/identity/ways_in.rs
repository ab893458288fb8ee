//! Cookie, ticket, token, API key: each leads in on both nodes, through every transport.

use anyhow::{Context, ensure};
use serde_json::json;

use super::live::{Live, Way, send_to};
use super::{api_key, check_problem, check_refused, on_behalf, page_of, post, ticket};
use crate::harness::Cluster;
use crate::harness::http::{bearer, get, log_in, send_json};
use crate::harness::socket::Socket;

const LOG_OUT: &str = "/api/v1/auth/logout";

pub(super) async fn each_way_in_leads_everywhere(cluster: Cluster) -> anyhow::Result<()> {
    let key = api_key(&cluster, "orders").await?;
    let former = Way {
        what: "a cookie of a form",
        headers: vec![log_in(cluster.address(1), 1).await?],
        by_ticket: false,
    };
    let cookie = Way::by_cookie(&cluster, 1).await?;
    let ways: Vec<_> =
        cookie.into_iter().chain(Way::by_token(1)).chain(Way::by_key(&key, 1)).chain([former]).collect();
    let mut open = Live::open_all(&cluster, &ways, 1).await?;
    ensure!(open.len() == 2 * (4 * 3 + 3 * 2), "each transport, on each node");
    send_to(&cluster, 0, 1, "hello").await?;
    for live in &mut open {
        live.check_shows("hello").await?;
    }
    drop(open);
    for (way, node) in ways.iter().filter(|way| !way.by_ticket).flat_map(|way| [(way, 0), (way, 1)]) {
        let address = cluster.address(node);
        for path in ["/api/v1/me", "/messages/unread/", "/api/v1/conversations"] {
            let answer = get(address, path, &way.headers).await?;
            ensure!(answer.status == 200, "{path} by {}: {} {}", way.what, answer.status, answer.body);
        }
        let me = get(address, "/api/v1/me", &way.headers).await?.json()?;
        ensure!(me["id"] == 1 && me["username"] == "user1", "{}: {me}", way.what);
        let body = json!({"recipient_id": 2, "content": way.what});
        let headers = [&way.headers[..], &[super::FROM_OUR_PAGE.to_owned()]].concat();
        let sent = send_json(address, "POST", "/api/v1/messages", &headers, &body).await?;
        ensure!(sent.status == 201 && sent.json()?["data"]["sender_id"] == 1, "{}: {}", way.what, sent.body);
    }
    cluster.finish().await
}

pub(super) async fn a_back_end_names_its_user(cluster: Cluster) -> anyhow::Result<()> {
    let key = api_key(&cluster, "orders").await?;
    let address = cluster.address(0);
    for user in [1, 2] {
        let me = get(address, "/api/v1/me", &on_behalf(&key, user)).await?.json()?;
        ensure!(me["id"] == user, "{me}");
    }
    let authorization = || format!("Authorization: Bearer {key}");
    let nobody = vec![authorization()];
    let two = vec![authorization(), "Switchboard-User: 1".to_owned(), "Switchboard-User: 2".to_owned()];
    let mut refused =
        vec![("no user", nobody, 400, "invalid_field"), ("two users", two, 400, "invalid_field")];
    for user in ["", "-1", "user1", "1, 2", "1.0", "99999999999999999999"] {
        refused.push((user, on_behalf(&key, user), 400, "invalid_field"));
    }
    ensure!(cluster.store.disable_user("user3").await?.is_some());
    refused.push(("a user who is not there", on_behalf(&key, 9_999), 401, "unauthorized"));
    refused.push(("nobody", on_behalf(&key, 0), 401, "unauthorized"));
    refused.push(("a user who is disabled", on_behalf(&key, 3), 401, "unauthorized"));
    let other = format!("{}0", &key[..key.len() - 1]);
    let other = if other == key { format!("{}1", &key[..key.len() - 1]) } else { other };
    for (what, key) in [
        ("another key", other.as_str()),
        ("half a key", &key[..20]),
        ("the prefix", "sbk_"),
        ("its hash", &switchboard_node::auth::secret_hash(&key)),
        ("its hash, as a key", &format!("sbk_{}", switchboard_node::auth::secret_hash(&key))),
    ] {
        refused.push((what, on_behalf(key, 1), 401, "unauthorized"));
    }
    for (what, headers, status, code) in refused {
        let me = get(address, "/api/v1/me", &headers).await?;
        check_problem(what, &me, status, code)?;
        check_refused(what, Socket::handshake_with(&cluster, 0, &headers, "").await?, status, code)?;
    }
    // Only a key speaks for others.
    let headers = [bearer(1), "Switchboard-User: 2".to_owned()];
    let me = get(address, "/api/v1/me", &headers).await?.json()?;
    ensure!(me["id"] == 1, "{me}");
    cluster.finish().await
}

/// Another user may have logged in on another page of the same browser. That is no failure to log in, which would be
/// counted against the address.
pub(super) async fn a_page_says_whose_it_is(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    let page = page_of(address, 1).await?;
    let of = |users: &[&str]| {
        let named = users.iter().map(|user| format!("Switchboard-User: {user}"));
        page.iter().cloned().chain(named).collect::<Vec<_>>()
    };
    for _ in 0..10 {
        let me = get(address, "/api/v1/me", &of(&["2"])).await?;
        check_problem("another user", &me, 401, "unauthorized")?;
    }
    let unread = get(address, "/messages/unread/", &of(&["2"])).await?;
    ensure!(unread.status == 401, "{} {}", unread.status, unread.body);
    let stream = get(address, "/api/v1/events/stream?cursor=0", &of(&["2"])).await?;
    check_problem("a stream", &stream, 403, "unauthorized")?;
    let handshake = Socket::handshake_with(&cluster, 0, &of(&["2"]), "").await?;
    check_refused("a handshake", handshake, 403, "unauthorized")?;
    for users in [&[""][..], &["user1"], &["1", "1"]] {
        let answer = get(address, "/api/v1/me", &of(users)).await?;
        check_problem(&format!("{users:?}"), &answer, 400, "invalid_field")?;
    }
    // It logs out nobody but whom it means.
    check_problem("a log-out", &post(address, LOG_OUT, &of(&["2"])).await?, 401, "unauthorized")?;
    let me = get(address, "/api/v1/me", &of(&["1"])).await?.json()?;
    ensure!(me["id"] == 1, "{me}");
    let answer = post(address, LOG_OUT, &of(&["1"])).await?;
    ensure!(answer.status == 204, "{} {}", answer.status, answer.body);
    cluster.finish().await
}

/// A token, then a ticket, then a cookie: a later one does not stand in for one that does not count.
pub(super) async fn the_first_way_decides(cluster: Cluster) -> anyhow::Result<()> {
    let page = page_of(cluster.address(0), 1).await?;
    let with = |line: String| [&[line][..], &page].concat();
    let me = get(cluster.address(1), "/api/v1/me", &with(bearer(2))).await?.json()?;
    ensure!(me["id"] == 2, "{me}");
    let bad = with("Authorization: Bearer garbage".to_owned());
    check_problem("a bad token", &get(cluster.address(1), "/api/v1/me", &bad).await?, 401, "unauthorized")?;
    let of_three = ticket(cluster.address(0), &[bearer(3)]).await?;
    let query = format!("ticket={of_three}");
    let refused = Socket::handshake_with(&cluster, 1, &bad, &query).await?;
    check_refused("a bad token", refused, 401, "unauthorized")?;
    let bad = Socket::handshake_with(&cluster, 1, &page, "ticket=garbage").await?;
    check_refused("a bad ticket", bad, 401, "unauthorized")?;
    // The ticket was not used up by the refusal, and goes before the cookie.
    let socket = Socket::handshake_with(&cluster, 1, &page, &query).await?;
    let welcome = socket.ok().context("the ticket is good")?.next().await?;
    ensure!(welcome["user"]["id"] == 3, "{welcome}");
    cluster.finish().await
}
