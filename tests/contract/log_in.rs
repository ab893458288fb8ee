//! Rows kept on logging in and on page tokens, and what ends with a session.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::finish_with;
use super::pattern::{Findings, refusal};
use super::script::{Script, check_quiet};
use crate::harness::Cluster;
use crate::harness::http::{self, Answer, PASSWORD, multipart, origin};
use crate::harness::socket::Socket;

const URLENCODED: &str = "Content-Type: application/x-www-form-urlencoded";

async fn log_in(cluster: &Cluster, headers: &[String], body: &[u8]) -> anyhow::Result<Answer> {
    http::send(cluster.address(0), "POST", "/login/", headers, body).await
}

pub(super) async fn contract_of_log_in(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let password = PASSWORD.replace(' ', "%20");
    let urlencoded = vec![URLENCODED.to_owned()];
    let from = |page: String| vec![URLENCODED.to_owned(), page];
    let right = format!("usn=user1&password={password}");
    let (multipart_type, form) =
        multipart(&[("csrfmiddlewaretoken", "abc"), ("usn", "user1"), ("password", PASSWORD)], &[]);
    let accepted = [
        ("usn", &urlencoded, right.clone().into_bytes()),
        ("username", &urlencoded, format!("username=user1&password={password}").into_bytes()),
        ("usn before username", &urlencoded, format!("username=x&{right}").into_bytes()),
        ("page token", &urlencoded, format!("csrfmiddlewaretoken=abc&{right}").into_bytes()),
        ("our page", &from(origin(cluster.address(0))), right.clone().into_bytes()),
        ("a form of the other kind", &vec![multipart_type], form),
    ];
    for (row, headers, body) in accepted {
        let row = format!("kept: log in, {row}");
        let answer = log_in(&cluster, headers, &body).await?;
        let cookie = answer.header("set-cookie").unwrap_or_default();
        findings.hold(&row, (answer.status, answer.header("location")) == (302, Some("/")), &answer.head);
        let is_safe = ["HttpOnly", "SameSite=Lax", "Path=/"].iter().all(|word| cookie.contains(word));
        findings.hold(&row, cookie.starts_with("switchboard=") && is_safe, cookie);
        let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap_or_default());
        let answer = http::get(cluster.address(1), "/messages/unread/", &[cookie]).await?;
        findings.hold(&format!("{row}: counts on both nodes"), answer.status == 200, answer.body);
    }
    let wrong = [
        ("wrong password", "usn=user1&password=wrong".to_owned()),
        ("unknown name", format!("usn=nobody&password={password}")),
        ("no password", "usn=user1".to_owned()),
        ("no name", format!("password={password}")),
        ("nothing", String::new()),
    ];
    let mut sentences = Vec::new();
    for (row, body) in wrong {
        let row = format!("kept: log in, {row}: 401 JSON");
        let answer = log_in(&cluster, &urlencoded, body.as_bytes()).await?;
        findings.hold(&row, answer.status == 401 && answer.header("set-cookie").is_none(), &answer.head);
        findings.compare(&row, &answer.json()?, &refusal("unauthorized"));
        // That would tell a page to log in, which is what it does.
        findings.hold(&row, !answer.body.contains("Not authenticated"), &answer.body);
        sentences.push(answer.body);
    }
    findings.hold("kept: log in, no name is told apart", sentences[0] == sentences[1], sentences.join(" "));
    let answer = log_in(&cluster, &from("Origin: https://evil.example".to_owned()), right.as_bytes()).await?;
    findings.hold("kept: log in, a foreign page", answer.status == 403, &answer.head);
    findings.compare("kept: log in, a foreign page", &answer.json()?, &refusal("foreign_origin"));
    findings.finish()?;
    finish_with(cluster, 0).await
}

/// Within what the nodes promise, tripled.
const REVOKED_WITHIN: Duration = Duration::from_secs(3 * 2);

pub(super) async fn contract_of_logout(cluster: Cluster) -> anyhow::Result<()> {
    let ann = Script::log_in(&cluster, 0, 1).await?;
    let (bob, other) = (Script::log_in(&cluster, 0, 2).await?, Script::log_in(&cluster, 1, 2).await?);
    let mut here = bob.socket(&cluster).await?;
    let mut there = bob.on_other_node(&cluster).socket(&cluster).await?;
    let mut others = other.socket(&cluster).await?;
    let answer = bob.on_other_node(&cluster).post("/api/v1/auth/logout", &[], &[]).await?;
    ensure!(answer.status == 204, "{} {}", answer.status, answer.body);
    for socket in [&mut here, &mut there] {
        check_revoked("suffered: 29, logged out", socket).await?;
    }
    for script in [&bob, &bob.on_other_node(&cluster)] {
        let answer = script.get("/messages/unread/").await?;
        ensure!(answer.status == 401, "suffered: 29, its cookie counts: {}", answer.body);
    }
    // Their other browser stays logged in.
    ann.send(2, "", "x").await?;
    ensure!(others.next().await?["type"] == "new_message");
    check_quiet("another session", &mut others).await?;

    ensure!(cluster.store.disable_user("user2").await?.is_some());
    check_revoked("suffered: 29, made inactive", &mut others).await?;
    ensure!(other.get("/messages/get/").await?.status == 401, "suffered: 29, inactive, the cookie counts");
    let form = format!("usn=user2&password={}", PASSWORD.replace(' ', "+"));
    let answer = log_in(&cluster, &[URLENCODED.to_owned()], form.as_bytes()).await?;
    ensure!(answer.status == 401, "suffered: 29, inactive, they may log in");
    let users = ann.json("/api/users/").await?;
    let users = users["users"].as_array().context("a list")?;
    ensure!(users.iter().all(|user| user["id"] != 2), "suffered: 29, inactive, they are listed");
    let answer = ann.post_form(&[("recipient", "2"), ("content", "x")], &[]).await?;
    ensure!(answer.status == 400, "suffered: 29, inactive, they are written to: {}", answer.body);
    finish_with(cluster, 1).await
}

async fn check_revoked(row: &str, socket: &mut Socket) -> anyhow::Result<()> {
    let code = timeout(REVOKED_WITHIN, socket.close_code()).await;
    let code = code.with_context(|| format!("{row}: it goes on"))??;
    ensure!(code == 4403, "{row}: closed with {code}");
    Ok(())
}

/// Which posts with a cookie are let in. Row, header lines, whether it is.
fn tokens(ours: String) -> Vec<(&'static str, Vec<String>, bool)> {
    let line = str::to_owned;
    let foreign = line("Origin: https://evil.example");
    let (script, token) = (line("X-Requested-With: XMLHttpRequest"), line("X-CSRFToken: abc"));
    vec![
        ("our page", vec![ours.clone()], true),
        ("our page, a token", vec![ours.clone(), token.clone()], true),
        ("our page, a script and an empty token", vec![ours, script.clone(), line("X-CSRFToken:")], true),
        // No foreign page can send these headers.
        ("no page, a script", vec![script.clone()], true),
        ("no page, a token", vec![token.clone()], true),
        ("no page", vec![], false),
        ("no page, a token of a cookie", vec![line("Cookie: csrftoken=abc")], false),
        ("a foreign page", vec![foreign.clone()], false),
        ("a foreign page, a token", vec![foreign, script, token], false),
        ("a page of nowhere", vec![line("Origin: null")], false),
    ]
}

pub(super) async fn contract_of_page_tokens(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let ann = Script::log_in(&cluster, 0, 1).await?;
    let mut n_sent = 0;
    for (row, headers, is_let_in) in tokens(origin(ann.address)) {
        for token in [None, Some("abc")] {
            let row = format!("kept: page tokens, {row}, csrfmiddlewaretoken {token:?}");
            let texts: Vec<_> = token.iter().map(|token| ("csrfmiddlewaretoken", *token)).collect();
            let (kind, body) =
                multipart(&[&texts[..], &[("recipient", "2"), ("content", "x")]].concat(), &[]);
            let headers = [&headers[..], &[ann.cookie.clone(), kind]].concat();
            let answer = http::send(ann.address, "POST", "/messages/send/", &headers, &body).await?;
            let is_script = headers.iter().any(|line| line.starts_with("X-Requested-With"));
            let expect = if !is_let_in {
                403
            } else if is_script {
                200
            } else {
                302
            };
            findings.hold(&row, answer.status == expect, &answer.head);
            if !is_let_in {
                // It was a page of HTML, which no script could read.
                findings.compare(&row, &answer.json().unwrap_or(Value::Null), &refusal("foreign_origin"));
            }
            n_sent += i64::from(is_let_in);
        }
    }
    for (row, headers, is_let_in) in tokens(origin(ann.address)) {
        let headers = [&headers[..], std::slice::from_ref(&ann.cookie)].concat();
        let answer = http::send(ann.address, "POST", "/messages/delete/9999/", &headers, &[]).await?;
        let (status, code) = if is_let_in { (404, "not_found") } else { (403, "foreign_origin") };
        findings.hold(&format!("kept: page tokens, delete, {row}"), answer.status == status, &answer.head);
        findings.compare(row, &answer.json().unwrap_or(json!(null)), &refusal(code));
    }
    findings.finish()?;
    finish_with(cluster, n_sent).await
}
