//! A ticket is used once, by one, on any node, for as long as what it was made with counts.

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use switchboard_node::auth::{new_secret, secret_hash};
use switchboard_protocol::{Timestamp, UserId};
use switchboard_store::NewTicket;

use super::{api_key, check_problem, check_refused, on_behalf, page_of, post, ticket};
use crate::harness::Cluster;
use crate::harness::http::{EventStream, bearer, get};
use crate::harness::socket::Socket;

async fn use_it(
    cluster: &Cluster,
    node: usize,
    ticket: &str,
) -> anyhow::Result<Result<Socket, (u16, serde_json::Value)>> {
    Socket::handshake_with(cluster, node, &[], &format!("ticket={ticket}")).await
}

/// It opens neither a socket nor a stream, on neither node.
async fn check_useless(cluster: &Cluster, what: &str, ticket: &str) -> anyhow::Result<()> {
    for node in [0, 1] {
        check_refused(what, use_it(cluster, node, ticket).await?, 401, "unauthorized")?;
        let path = format!("/api/v1/events/stream?ticket={ticket}");
        check_problem(what, &get(cluster.address(node), &path, &[]).await?, 401, "unauthorized")?;
    }
    Ok(())
}

pub(super) async fn a_ticket_counts_once(cluster: Cluster) -> anyhow::Result<()> {
    for node in [0, 1] {
        let made = post(cluster.address(node), "/api/v1/auth/ticket", &[bearer(1)]).await?;
        ensure!(made.status == 200 && made.header("cache-control") == Some("no-store"), "{}", made.head);
        let body = made.json()?;
        let until: Timestamp = serde_json::from_value(body["expires_at"].clone())?;
        let seconds = (until.0 - Timestamp::now().0) / 1_000_000;
        ensure!((20..=30).contains(&seconds), "{seconds} s");
        let once = body["ticket"].as_str().context("no ticket")?;
        ensure!(once.len() >= 32, "{} characters can be guessed", once.len());
        // Other paths neither take it nor use it up.
        for path in ["/api/v1/me", "/api/v1/events", "/messages/unread/"] {
            let answer = get(cluster.address(node), &format!("{path}?ticket={once}"), &[]).await?;
            ensure!(answer.status == 401, "{path}: {}", answer.status);
        }
        let as_token = [format!("Authorization: Bearer {once}")];
        ensure!(get(cluster.address(node), "/api/v1/me", &as_token).await?.status == 401);
        let socket = use_it(&cluster, 1 - node, once).await?;
        ensure!(socket.ok().context("it is good")?.next().await?["user"]["id"] == 1);
        check_useless(&cluster, "a used ticket", once).await?;
        let once = ticket(cluster.address(node), &[bearer(2)]).await?;
        let path = format!("/api/v1/events/stream?ticket={once}");
        let mut stream = EventStream::open(cluster.address(1 - node), &path, &[]).await?;
        ensure!(stream.next().await?.1["user"]["id"] == 2);
        check_useless(&cluster, "a used ticket", &once).await?;
    }
    check_problem(
        "for nobody",
        &post(cluster.address(0), "/api/v1/auth/ticket", &[]).await?,
        401,
        "unauthorized",
    )?;
    cluster.finish().await
}

pub(super) async fn two_nodes_race_one_ticket(cluster: Cluster) -> anyhow::Result<()> {
    for round in 0..20 {
        let once = ticket(cluster.address(round % 2), &[bearer(1)]).await?;
        let attempts = join_all((0..6).map(|n| use_it(&cluster, n % 2, &once))).await;
        let mut n_open = 0;
        for attempt in attempts {
            match attempt? {
                Ok(_socket) => n_open += 1,
                refused => check_refused("another has it", refused, 401, "unauthorized")?,
            }
        }
        ensure!(n_open == 1, "round {round}: {n_open} sockets by one ticket");
    }
    cluster.finish().await
}

pub(super) async fn tickets_that_do_not_count(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    for (what, ticket) in [
        ("nothing", String::new()),
        ("garbage", "garbage".to_owned()),
        ("what was never made", new_secret()),
        ("a hash", secret_hash("garbage")),
    ] {
        check_useless(&cluster, what, &ticket).await?;
    }
    let (now, hour) = (Timestamp::now().0, 3_600_000_000);
    for (what, credentials_end, end, is_good) in [
        ("it ended", now + hour, now - 1, false),
        ("what it was made with ended", now - 1, now + hour, false),
        ("nothing ended", now + hour, now + hour, true),
    ] {
        let ticket = new_secret();
        let new = NewTicket {
            token_hash: secret_hash(&ticket),
            user: UserId(1),
            session: None,
            api_key: None,
            issued_at: Timestamp(now),
            credentials_expire_at: Timestamp(credentials_end),
            expires_at: Timestamp(end),
        };
        cluster.store.create_ticket(&new).await?;
        if is_good {
            ensure!(use_it(&cluster, 1, &ticket).await?.is_ok(), "{what}");
        }
        check_useless(&cluster, what, &ticket).await?;
    }
    // It goes with what it was made with.
    let page = page_of(address, 1).await?;
    let key = api_key(&cluster, "orders").await?;
    let of_page = ticket(address, &page).await?;
    let of_other_page = ticket(address, &page_of(address, 1).await?).await?;
    let of_key = ticket(address, &on_behalf(&key, 1)).await?;
    ensure!(post(cluster.address(1), "/api/v1/auth/logout", &page).await?.status == 204);
    check_useless(&cluster, "its session was logged out", &of_page).await?;
    ensure!(use_it(&cluster, 1, &of_other_page).await?.is_ok(), "another session goes on");
    ensure!(cluster.store.revoke_api_key("orders").await?);
    check_useless(&cluster, "its key was revoked", &of_key).await?;
    let (page, token) = (page_of(address, 4).await?, bearer(4));
    let tickets = [
        ticket(address, &page).await?,
        ticket(address, &[token]).await?,
        ticket(address, &[bearer(4)]).await?,
    ];
    ensure!(cluster.store.disable_user("user4").await?.is_some());
    check_useless(&cluster, "its user is disabled", &tickets[0]).await?;
    check_useless(&cluster, "its user is disabled", &tickets[1]).await?;
    ensure!(cluster.store.enable_user("user4").await?.is_some());
    check_useless(&cluster, "its user was disabled", &tickets[2]).await?;
    cluster.finish().await
}
