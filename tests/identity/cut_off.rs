//! Credentials that have ended: what was opened with them is closed on every node, Redis or not.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;

use super::live::{CUT_OFF, Live, Way, send_to};
use super::{api_key, check_problem, cookie, log_in, page_of, post};
use crate::harness::http::{PASSWORD, bearer, get, send_json};
use crate::harness::{Cluster, Pair, eventually};

async fn check_all_ended(all: Vec<Live>) -> anyhow::Result<()> {
    for live in all {
        live.check_ended().await?;
    }
    Ok(())
}

/// Those that go on get what comes.
async fn check_all_show(all: &mut [Live], content: &str) -> anyhow::Result<()> {
    for live in all {
        live.check_shows(content).await?;
    }
    Ok(())
}

pub(super) async fn a_log_out_ends_its_session(cluster: Cluster) -> anyhow::Result<()> {
    log_out(&cluster).await?;
    cluster.finish().await
}

async fn log_out(cluster: &Cluster) -> anyhow::Result<()> {
    let page = Way::by_cookie(cluster, 1).await?;
    let key = api_key(cluster, "log-out").await?;
    let others = Way::by_cookie(cluster, 1).await?;
    let ended = Live::open_all(cluster, &page, 1).await?;
    let other_ways: Vec<_> = others.into_iter().chain(Way::by_token(1)).collect();
    let mut going_on = Live::open_all(cluster, &other_ways, 1).await?;
    going_on.extend(Live::open_all(cluster, &Way::by_key(&key, 1), 1).await?);
    let answer = post(cluster.address(0), "/api/v1/auth/logout", &page[0].headers).await?;
    ensure!(answer.status == 204, "{} {}", answer.status, answer.body);
    for node in [0, 1] {
        let me = get(cluster.address(node), "/api/v1/me", &page[0].headers).await?;
        check_problem("at once", &me, 401, "unauthorized")?;
    }
    check_all_ended(ended).await?;
    send_to(cluster, 0, 1, "after the log out").await?;
    check_all_show(&mut going_on, "after the log out").await
}

/// By the command where nodes are processes, else as the command does it.
async fn disable(cluster: &Cluster, username: &str) -> anyhow::Result<()> {
    if cluster.pair == Pair::SqliteMemory {
        cluster.store.disable_user(username).await?.context("no such user")?;
    } else {
        let mut command = cluster.command(&["user", "disable", username]);
        let output = tokio::task::block_in_place(|| command.output())?;
        let printed = String::from_utf8(output.stdout)?;
        ensure!(output.status.success() && printed.ends_with(&format!("\t{username}\n")), "{printed}");
    }
    Ok(())
}

pub(super) async fn a_disabled_user_is_cut_off(cluster: Cluster) -> anyhow::Result<()> {
    be_disabled(&cluster).await?;
    cluster.finish().await
}

async fn be_disabled(cluster: &Cluster) -> anyhow::Result<()> {
    let key = api_key(cluster, "disable").await?;
    let ways: Vec<_> = Way::by_cookie(cluster, 3)
        .await?
        .into_iter()
        .chain(Way::by_token(3))
        .chain(Way::by_key(&key, 3))
        .collect();
    let ended = Live::open_all(cluster, &ways, 3).await?;
    let mut going_on = Live::open_all(cluster, &Way::by_key(&key, 4), 4).await?;
    disable(cluster, "user3").await?;
    let check_shut_out = async |what: &str, all: &[Way]| {
        for (way, node) in all.iter().filter(|way| !way.by_ticket).flat_map(|way| [(way, 0), (way, 1)]) {
            let me = get(cluster.address(node), "/api/v1/me", &way.headers).await?;
            check_problem(&format!("{what}, {}", way.what), &me, 401, "unauthorized")?;
        }
        anyhow::Ok(())
    };
    check_shut_out("at once", &ways).await?;
    check_all_ended(ended).await?;
    send_to(cluster, 1, 4, "to another").await?;
    check_all_show(&mut going_on, "to another").await?;
    let answer = log_in(cluster.address(1), "user3", PASSWORD, &[]).await?;
    check_problem("a log in", &answer, 401, "unauthorized")?;
    // Being let in again brings nothing back but the ways in.
    cluster.store.enable_user("user3").await?.context("no such user")?;
    check_shut_out("later", &ways[..4]).await?;
    ensure!(
        get(cluster.address(0), "/api/v1/me", &ways[4].headers).await?.status == 200,
        "the key is not theirs"
    );
    page_of(cluster.address(0), 3).await?;
    // A token says when it was issued to the second.
    let anew =
        async || Ok((get(cluster.address(0), "/api/v1/me", &[bearer(3)]).await?.status == 200).then_some(()));
    eventually("a new token counts", Duration::from_secs(3), anew).await
}

pub(super) async fn a_revoked_key_is_cut_off(cluster: Cluster) -> anyhow::Result<()> {
    be_revoked(&cluster).await?;
    cluster.finish().await
}

async fn be_revoked(cluster: &Cluster) -> anyhow::Result<()> {
    let (key, other) = (api_key(cluster, "one").await?, api_key(cluster, "another").await?);
    let mut ended = Live::open_all(cluster, &Way::by_key(&key, 5), 5).await?;
    ended.extend(Live::open_all(cluster, &Way::by_key(&key, 6), 6).await?);
    let ways: Vec<_> = Way::by_cookie(cluster, 5).await?.into_iter().chain(Way::by_key(&other, 5)).collect();
    let mut going_on = Live::open_all(cluster, &ways, 5).await?;
    ensure!(cluster.store.revoke_api_key("one").await?);
    for (way, node) in [5, 6]
        .iter()
        .flat_map(|user| Way::by_key(&key, *user))
        .flat_map(|way| [(way.headers.clone(), 0), (way.headers, 1)])
    {
        check_problem(
            "at once",
            &get(cluster.address(node), "/api/v1/me", &way).await?,
            401,
            "unauthorized",
        )?;
    }
    check_all_ended(ended).await?;
    send_to(cluster, 0, 5, "after the key").await?;
    check_all_show(&mut going_on, "after the key").await
}

pub(super) async fn a_new_password_spares_its_session(cluster: Cluster) -> anyhow::Result<()> {
    let page = Way::by_cookie(&cluster, 1).await?;
    let others: Vec<_> = Way::by_cookie(&cluster, 1).await?.into_iter().chain(Way::by_token(1)).collect();
    let ended = Live::open_all(&cluster, &others, 1).await?;
    let mut going_on = Live::open_all(&cluster, &page, 1).await?;
    let new = "another horse 9";
    let body = json!({"current_password": PASSWORD, "new_password": new});
    let path = "/api/v1/me/password";
    let answer = send_json(cluster.address(0), "PUT", path, &page[0].headers, &body).await?;
    ensure!(answer.status == 204 && answer.body.is_empty(), "{} {}", answer.status, answer.body);
    for (way, node) in others.iter().filter(|way| !way.by_ticket).flat_map(|way| [(way, 0), (way, 1)]) {
        let me = get(cluster.address(node), "/api/v1/me", &way.headers).await?;
        check_problem(way.what, &me, 401, "unauthorized")?;
    }
    check_all_ended(ended).await?;
    send_to(&cluster, 1, 1, "after the change").await?;
    check_all_show(&mut going_on, "after the change").await?;
    check_problem(
        "the old one",
        &log_in(cluster.address(1), "user1", PASSWORD, &[]).await?,
        401,
        "unauthorized",
    )?;
    let anew = cookie(&log_in(cluster.address(1), "user1", new, &[]).await?)?;
    for headers in [page[0].headers.clone(), vec![anew]] {
        ensure!(get(cluster.address(1), "/api/v1/me", &headers).await?.status == 200, "{headers:?}");
    }
    cluster.finish().await
}

pub(super) async fn without_redis_they_are_cut_off_too(mut cluster: Cluster) -> anyhow::Result<()> {
    cluster.redis.as_mut().context("there is one")?.kill()?;
    log_out(&cluster).await?;
    be_disabled(&cluster).await?;
    be_revoked(&cluster).await?;
    cluster.finish().await
}

/// What ended the old sessions of a user does not end one that began after it, however late a node learns of it.
pub(super) async fn who_comes_back_is_not_cut_off_again(cluster: Cluster) -> anyhow::Result<()> {
    for round in 0..3 {
        let old = Live::open_all(&cluster, &Way::by_cookie(&cluster, 7).await?, 7).await?;
        disable(&cluster, "user7").await?;
        cluster.store.enable_user("user7").await?.context("no such user")?;
        let mut new = Live::open_all(&cluster, &Way::by_cookie(&cluster, 7).await?, 7).await?;
        check_all_ended(old).await?;
        // By now both nodes have learned of it.
        tokio::time::sleep(CUT_OFF / 3).await;
        let content = format!("round {round}");
        send_to(&cluster, 0, 7, &content).await?;
        check_all_show(&mut new, &content).await?;
    }
    cluster.finish().await
}
