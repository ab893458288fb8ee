//! Accounts with a password: how they are made, and the cookie of a session.

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{FROM_OUR_PAGE, check_problem, cookie, log_in, post};
use crate::harness::Cluster;
use crate::harness::http::{Answer, PASSWORD, bearer, get, send, send_json};

pub(super) const MANY_ACCOUNTS: &[(&str, &str)] = &[("SWITCHBOARD_LIMITS__REGISTRATIONS_PER_MINUTE", "1000")];

pub(super) const CLOSED: &[(&str, &str)] = &[("SWITCHBOARD_AUTH__REGISTRATION", "false")];

pub(super) const OFF: &[(&str, &str)] = &[("SWITCHBOARD_AUTH__ACCOUNTS", "false")];

const REGISTER: &str = "/api/v1/auth/register";

async fn register(cluster: &Cluster, node: usize, body: &Value) -> anyhow::Result<Answer> {
    send_json(cluster.address(node), "POST", REGISTER, &[], body).await
}

fn attributes(answer: &Answer) -> anyhow::Result<Vec<&str>> {
    Ok(answer.header("set-cookie").context("no cookie")?.split("; ").skip(1).collect())
}

pub(super) async fn a_session_is_a_cookie(cluster: Cluster) -> anyhow::Result<()> {
    let new = json!({"username": "zoë", "password": "quite long enough", "full_name": "Zoë Z."});
    let made = register(&cluster, 0, &new).await?;
    ensure!(made.status == 201 && made.header("set-cookie").is_none(), "{} {}", made.status, made.head);
    let user = made.json()?;
    ensure!((&user["username"], &user["full_name"]) == (&json!("zoë"), &json!("Zoë Z.")), "{user}");
    ensure!(user["unread_count"] == 0 && user["cursor"] == 0 && !made.body.contains("quite long"), "{user}");
    let mut sessions = Vec::new();
    for node in [1, 0] {
        // Neither is a session taken over that somebody else may have put there.
        let before: Vec<_> = sessions.first().cloned().into_iter().collect();
        let answer = log_in(cluster.address(node), "zoë", "quite long enough", &before).await?;
        ensure!(answer.status == 200 && answer.json()? == user, "{} {}", answer.status, answer.body);
        ensure!(answer.header("cache-control") == Some("no-store"), "{}", answer.head);
        let attributes = attributes(&answer)?;
        ensure!(attributes == ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=1209600"], "{attributes:?}");
        let session = cookie(&answer)?;
        let value = session.strip_prefix("Cookie: switchboard=").context("another name")?;
        ensure!(value.len() >= 32 && value.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{value}");
        ensure!(!sessions.contains(&session), "each log in begins a session of its own");
        sessions.push(session);
    }
    let me = async |node, headers: &[String]| get(cluster.address(node), "/api/v1/me", headers).await;
    for (session, node) in sessions.iter().flat_map(|session| [(session, 0), (session, 1)]) {
        let answer = me(node, std::slice::from_ref(session)).await?;
        ensure!(answer.status == 200 && answer.json()? == user, "{}", answer.body);
    }
    // Whose would it be?
    let value = sessions[1].trim_start_matches("Cookie: ");
    check_problem("two headers", &me(0, &sessions).await?, 401, "unauthorized")?;
    let twice = [format!("{}; {value}", sessions[0])];
    check_problem("one header", &me(0, &twice).await?, 401, "unauthorized")?;
    for bad in ["Cookie: switchboard=", "Cookie: switchboard=garbage", "Cookie: Switchboard=x", "Cookie: ;;="]
    {
        check_problem(bad, &me(1, &[bad.to_owned()]).await?, 401, "unauthorized")?;
    }
    let page = [sessions[0].clone(), FROM_OUR_PAGE.to_owned()];
    let answer = post(cluster.address(0), "/api/v1/auth/logout", &page).await?;
    ensure!(answer.status == 204 && answer.body.is_empty(), "{} {}", answer.status, answer.body);
    ensure!(attributes(&answer)?.contains(&"Max-Age=0") && cookie(&answer)? == "Cookie: switchboard=");
    for node in [0, 1] {
        check_problem("logged out", &me(node, &page).await?, 401, "unauthorized")?;
        ensure!(me(node, &sessions[1..]).await?.status == 200, "the other session goes on");
        let again = post(cluster.address(node), "/api/v1/auth/logout", &page).await?;
        check_problem("logged out before", &again, 401, "unauthorized")?;
    }
    cluster.finish().await
}

pub(super) async fn names_and_passwords_are_checked(cluster: Cluster) -> anyhow::Result<()> {
    let good = "quite long enough";
    let (longest, longer) = ("ü".repeat(150), "ü".repeat(151));
    let (most, more) = ("x".repeat(1024), "x".repeat(1025));
    for (username, password, full_name, is_good) in [
        ("", good, "", false),
        (" ", good, "", false),
        ("a b", good, "", false),
        ("a\n", good, "", false),
        ("a\0", good, "", false),
        ("<b>", good, "", false),
        ("a/../b", good, "", false),
        ("a\u{202e}b", good, "", false),
        ("a\u{200b}", good, "", false),
        (&longer, good, "", false),
        (&longest, good, "", true),
        ("a.b+c-d_e@f.example", good, "", true),
        ("ann1", "1234567", "", false),
        ("ann1", "üüüüüüü", "", false),
        ("ann-the-first", "Ann-The-First", "", false),
        ("ann1", &more, "", false),
        ("ann1", &most, "", true),
        ("ann2", "        ", "", true),
        ("ann3", good, "a\n", false),
        ("ann3", good, "\u{202e}nna", false),
        ("ann3", good, &longer, false),
        ("ann3", good, &longest, true),
        ("ann4", good, "Ann O'Neill 😀 ليلى", true),
    ] {
        let body = json!({"username": username, "password": password, "full_name": full_name});
        let answer = register(&cluster, 0, &body).await?;
        let what = format!("{username:.20?} {password:.20?} {full_name:.20?}");
        if is_good {
            ensure!(
                answer.status == 201 && answer.json()?["full_name"] == full_name,
                "{what}: {}",
                answer.body
            );
            ensure!(log_in(cluster.address(1), username, password, &[]).await?.status == 200, "{what}");
        } else {
            check_problem(&what, &answer, 400, "invalid_field")?;
            let status = log_in(cluster.address(1), username, password, &[]).await?.status;
            ensure!(status == 401, "{what}: it was made: {status}");
        }
    }
    cluster.finish().await
}

pub(super) async fn one_name_is_taken_once(cluster: Cluster) -> anyhow::Result<()> {
    let body = json!({"username": "user1", "password": "quite long enough", "full_name": "Mallory"});
    check_problem("taken", &register(&cluster, 0, &body).await?, 409, "username_taken")?;
    ensure!(log_in(cluster.address(0), "user1", PASSWORD, &[]).await?.status == 200, "it was changed");
    ensure!(log_in(cluster.address(0), "user1", "quite long enough", &[]).await?.status == 401);
    let passwords: Vec<_> = (0..8).map(|n| format!("quite long enough {n}")).collect();
    let tries = passwords.iter().enumerate().map(async |(n, password)| {
        let body = json!({"username": "ann", "password": password});
        register(&cluster, n % 2, &body).await
    });
    let mut winner = None;
    for (answer, password) in join_all(tries).await.into_iter().zip(&passwords) {
        match answer? {
            answer if answer.status == 201 => ensure!(winner.replace(password).is_none(), "two have it"),
            answer => check_problem(password, &answer, 409, "username_taken")?,
        }
    }
    for password in &passwords {
        let status = log_in(cluster.address(1), "ann", password, &[]).await?.status;
        ensure!((status == 200) == (winner == Some(password)), "{password}: {status}");
    }
    cluster.finish().await
}

pub(super) async fn a_body_is_checked_before_it_counts(cluster: Cluster) -> anyhow::Result<()> {
    let good = json!({"username": "user1", "password": PASSWORD}).to_string();
    let large = json!({"username": "user1", "password": "x".repeat(256 * 1024)}).to_string();
    let deep = "[".repeat(100_000);
    let json = "application/json";
    for (kind, body, status, code) in [
        // A form of another site can send these without asking.
        ("text/plain", &*good, 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", &good, 415, "unsupported_media_type"),
        ("multipart/form-data", &good, 415, "unsupported_media_type"),
        ("", &good, 415, "unsupported_media_type"),
        ("text/plain; application/json", &good, 415, "unsupported_media_type"),
        ("application/jsonp", &good, 415, "unsupported_media_type"),
        (json, &large, 413, "frame_too_large"),
        (json, "", 400, "invalid_json"),
        (json, "{", 400, "invalid_json"),
        (json, &good[..good.len() - 1], 400, "invalid_json"),
        (json, &deep, 400, "invalid_field"),
        (json, "{}", 400, "invalid_field"),
        (json, "[]", 400, "invalid_field"),
        (json, "null", 400, "invalid_field"),
        (json, r#"{"username":"user1"}"#, 400, "invalid_field"),
        (json, r#"{"username":1,"password":"12345678"}"#, 400, "invalid_field"),
        (json, r#"{"username":"user1","password":["12345678"]}"#, 400, "invalid_field"),
        (json, r#"{"username":"user1","username":"user2","password":"12345678"}"#, 400, "invalid_field"),
    ] {
        for path in ["/api/v1/auth/login", REGISTER] {
            let headers: Vec<_> =
                (!kind.is_empty()).then(|| format!("Content-Type: {kind}")).into_iter().collect();
            let answer = send(cluster.address(0), "POST", path, &headers, body.as_bytes()).await?;
            check_problem(&format!("{path} {kind} {body:.50}"), &answer, status, code)?;
            ensure!(
                answer.header("set-cookie").is_none() && !answer.body.contains("12345678"),
                "{}",
                answer.body
            );
        }
    }
    let binary = ["Content-Type: application/json".to_owned()];
    let answer = send(cluster.address(0), "POST", REGISTER, &binary, b"{\"username\":\"\xff\"}").await?;
    check_problem("binary", &answer, 400, "invalid_json")?;
    let charset = ["Content-Type: application/json; charset=utf-8".to_owned()];
    let answer = send(cluster.address(0), "POST", "/api/v1/auth/login", &charset, good.as_bytes()).await?;
    ensure!(answer.status == 200, "none of those counted against the address: {}", answer.body);
    cluster.finish().await
}

pub(super) async fn registration_can_be_closed(cluster: Cluster) -> anyhow::Result<()> {
    for name in ["ann", "user1", ""] {
        let body = json!({"username": name, "password": "quite long enough"});
        check_problem(name, &register(&cluster, 0, &body).await?, 403, "registration_closed")?;
    }
    ensure!(log_in(cluster.address(0), "user1", PASSWORD, &[]).await?.status == 200);
    cluster.finish().await
}

pub(super) async fn accounts_can_be_switched_off(cluster: Cluster) -> anyhow::Result<()> {
    let body = json!({"username": "ann", "password": "quite long enough"});
    check_problem("registering", &register(&cluster, 0, &body).await?, 403, "registration_closed")?;
    for name in ["user1", "nobody"] {
        let answer = log_in(cluster.address(0), name, PASSWORD, &[]).await?;
        check_problem(name, &answer, 401, "unauthorized")?;
        ensure!(answer.header("set-cookie").is_none());
    }
    let me = get(cluster.address(0), "/api/v1/me", &[bearer(1)]).await?;
    ensure!(me.status == 200 && me.json()?["has_password"] == false, "{}", me.body);
    let body = json!({"current_password": PASSWORD, "new_password": "quite long enough"});
    let answer = send_json(cluster.address(0), "PUT", "/api/v1/me/password", &[bearer(1)], &body).await?;
    check_problem("a new password", &answer, 404, "not_found")?;
    cluster.finish().await
}
