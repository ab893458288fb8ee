//! Who guesses is slowed, and learns nothing by it.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use serde_json::json;

use super::{check_problem, log_in};
use crate::harness::Cluster;
use crate::harness::http::{Answer, PASSWORD, get, send, send_json};

pub(super) const FEW_GUESSES: &[(&str, &str)] = &[("SWITCHBOARD_LIMITS__FAILED_LOGINS_PER_MINUTE", "3")];

pub(super) const FEW_ACCOUNTS: &[(&str, &str)] = &[("SWITCHBOARD_LIMITS__REGISTRATIONS_PER_MINUTE", "3")];

/// What is told to one who must wait.
fn check_must_wait(what: &str, answer: &Answer) -> anyhow::Result<()> {
    check_problem(what, answer, 429, "rate_limited")?;
    let wait = answer.json()?["retry_after_ms"].as_u64().context("no retry_after_ms")?;
    ensure!((1..=60_000).contains(&wait), "{what}: {wait}");
    let seconds: u64 = answer.header("retry-after").context("no Retry-After")?.parse()?;
    ensure!(seconds == wait.div_ceil(1_000) && answer.header("set-cookie").is_none(), "{what}: {seconds}");
    Ok(())
}

/// All of an answer that a guess could learn from.
fn told(answer: &Answer) -> (u16, BTreeSet<String>, String) {
    let is_its_own = |line: &str| ["date:", "x-request-id:"].iter().any(|name| line.starts_with(name));
    let head = answer.head.lines().filter(|line| !is_its_own(&line.to_ascii_lowercase()));
    // Their order is as it comes.
    (answer.status, head.map(str::to_owned).collect(), answer.body.clone())
}

pub(super) async fn guesses_are_slowed_and_tell_nothing(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    ensure!(cluster.store.disable_user("user3").await?.is_some());
    // Who knows it may log in as often as they like.
    for _ in 0..5 {
        ensure!(log_in(address, "user2", PASSWORD, &[]).await?.status == 200);
    }
    // A wrong password, a name that nobody has, one that is disabled.
    let guesses = [("user1", "wrong horse 8"), ("nobody", PASSWORD), ("user3", PASSWORD)];
    for n in 1..=3 {
        let wrong = log_in(address, "user1", "wrong horse 8", &[]).await?;
        check_problem("a wrong password", &wrong, 401, "unauthorized")?;
        ensure!(wrong.header("set-cookie").is_none());
        for (name, password) in &guesses[1..] {
            let answer = log_in(address, name, password, &[]).await?;
            ensure!(
                told(&answer) == told(&wrong),
                "guess {n}, {name}: {:?} {:?}",
                told(&answer),
                told(&wrong)
            );
        }
    }
    for (name, _) in guesses {
        check_must_wait(name, &log_in(address, name, PASSWORD, &[]).await?)?;
        check_must_wait(name, &log_in(address, &name.to_uppercase(), PASSWORD, &[]).await?)?;
        let form = format!("usn={name}&password={}", PASSWORD.replace(' ', "+"));
        let headers = ["Content-Type: application/x-www-form-urlencoded".to_owned()];
        let answer = send(address, "POST", "/login/", &headers, form.as_bytes()).await?;
        ensure!(answer.status == 429 && answer.json()?["code"] == "rate_limited", "{name}: {}", answer.body);
    }
    // Nobody else waits, and who is in stays in.
    ensure!(log_in(address, "user2", PASSWORD, &[]).await?.status == 200);
    // Many at once are no way around it.
    let many = join_all((0..12).map(|_| log_in(cluster.address(1), "user4", "wrong horse 8", &[]))).await;
    let mut n_compared = 0;
    for answer in many {
        match answer? {
            answer if answer.status == 401 => n_compared += 1,
            answer => check_must_wait("many at once", &answer)?,
        }
    }
    ensure!(n_compared == 3, "{n_compared} guesses were compared");
    cluster.finish().await
}

pub(super) async fn an_address_is_slowed(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    // Each kind of failure is counted by itself: a page of another site could make those of a cookie.
    let bad = ["Authorization: Bearer garbage".to_owned()];
    for _ in 1..=5 {
        let answer = get(address, "/api/v1/me", &bad).await?;
        check_problem("a bad token", &answer, 401, "unauthorized")?;
    }
    check_must_wait("a bad token", &get(address, "/api/v1/me", &bad).await?)?;
    for n in 1..=5 {
        let right = log_in(address, "user9", PASSWORD, &[]).await?;
        ensure!(right.status == 200, "until the limit of the address: {}", right.body);
        let answer = log_in(address, &format!("user{n}"), "wrong horse 8", &[]).await?;
        check_problem("a wrong password", &answer, 401, "unauthorized")?;
    }
    check_must_wait("another user", &log_in(address, "user9", PASSWORD, &[]).await?)?;
    check_must_wait("nobody", &log_in(address, "nobody", PASSWORD, &[]).await?)?;
    cluster.finish().await
}

pub(super) async fn new_accounts_are_slowed(cluster: Cluster) -> anyhow::Result<()> {
    let register = async |name: &str, password: &str| {
        let body = json!({"username": name, "password": password});
        send_json(cluster.address(0), "POST", "/api/v1/auth/register", &[], &body).await
    };
    // What is refused counts too, so that nobody tries names without end.
    check_problem("too short", &register("ann", "short").await?, 400, "invalid_field")?;
    check_problem("taken", &register("user1", "quite long enough").await?, 409, "username_taken")?;
    ensure!(register("ann", "quite long enough").await?.status == 201);
    check_must_wait("a fourth", &register("bob", "quite long enough").await?)?;
    check_must_wait("a taken name", &register("user1", "quite long enough").await?)?;
    ensure!(log_in(cluster.address(0), "ann", "quite long enough", &[]).await?.status == 200);
    cluster.finish().await
}
