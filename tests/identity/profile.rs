//! What users change of themselves: the name that people read, and their password.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use switchboard_store::Import;

use super::{check_problem, log_in, page_of};
use crate::harness::Cluster;
use crate::harness::http::{Answer, PASSWORD, bearer, get, send_json};

const PASSWORD_PATH: &str = "/api/v1/me/password";

async fn rename(cluster: &Cluster, headers: &[String], body: Value) -> anyhow::Result<Answer> {
    send_json(cluster.address(0), "PATCH", "/api/v1/me", headers, &body).await
}

pub(super) async fn a_full_name_is_changed(cluster: Cluster) -> anyhow::Result<()> {
    let page = page_of(cluster.address(1), 1).await?;
    for name in ["Ann Ünser", ""] {
        let answer = rename(&cluster, &page, json!({"full_name": name})).await?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        let me = get(cluster.address(1), "/api/v1/me", &page).await?.json()?;
        ensure!(me == answer.json()? && me["full_name"] == name && me["has_password"] == true, "{me}");
    }
    for body in [
        json!({}),
        json!({"full_name": 7}),
        json!({"full_name": "a\n"}),
        json!({"full_name": "x".repeat(151)}),
    ] {
        let answer = rename(&cluster, &page, body.clone()).await?;
        check_problem(&body.to_string(), &answer, 400, "invalid_field")?;
    }
    let answer = rename(&cluster, &page[..1], json!({"full_name": "Foreign"})).await?;
    check_problem("no page of ours", &answer, 403, "foreign_origin")?;
    cluster.finish().await
}

/// With [`FEW_GUESSES`](super::throttling::FEW_GUESSES).
pub(super) async fn a_password_is_changed_by_who_knows_it(cluster: Cluster) -> anyhow::Result<()> {
    let page = page_of(cluster.address(0), 1).await?;
    let change = async |headers: &[String], current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        send_json(cluster.address(0), "PUT", PASSWORD_PATH, headers, &body).await
    };
    // What cannot be one is no guess.
    for new in ["1234567", "User1", &"x".repeat(1025)] {
        check_problem(new, &change(&page, "wrong horse 8", new).await?, 400, "invalid_field")?;
    }
    // Who knows it may change it as often as they like.
    let mut current = PASSWORD.to_owned();
    for n in 0..5 {
        let new = format!("another horse {n}");
        ensure!(change(&page, &current, &new).await?.status == 204, "{n}");
        current = new;
    }
    for n in 1..=3 {
        let answer = change(&page, PASSWORD, "quite long enough").await?;
        check_problem(&format!("guess {n}"), &answer, 403, "wrong_password")?;
    }
    check_problem("too many", &change(&page, &current, "quite long enough").await?, 429, "rate_limited")?;
    let answer = log_in(cluster.address(0), "user1", &current, &[]).await?;
    check_problem("they count as log-ins", &answer, 429, "rate_limited")?;
    ensure!(get(cluster.address(0), "/api/v1/me", &page).await?.status == 200, "the session goes on");
    // Who has none has none to change.
    let import = Import { username: "outside".to_owned(), full_name: String::new(), password_hash: None };
    let outside = cluster.store.import_users(vec![import]).await?.pop().context("one")?;
    let answer = change(&[bearer(outside.0)], "", "quite long enough").await?;
    check_problem("no password", &answer, 404, "not_found")?;
    cluster.finish().await
}
