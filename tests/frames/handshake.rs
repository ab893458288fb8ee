//! Who is let in, how many of them, and until when.

use std::time::Duration;

use anyhow::{Context, ensure};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::SecretString;
use serde_json::{Value, json};
use switchboard_node::auth::Tokens;
use switchboard_protocol::{Timestamp, UserId};
use tokio::time::timeout;

use super::{check_alive, finish_with, open};
use crate::harness::http::{EventStream, bearer, get};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, DEADLINE, SECRET, eventually, token};

pub(super) const FEW_FAILURES: &[(&str, &str)] = &[("SWITCHBOARD_LIMITS__FAILED_HANDSHAKES_PER_MINUTE", "5")];

/// For a test that fails more often than one address may.
pub(super) const MANY_FAILURES: &[(&str, &str)] =
    &[("SWITCHBOARD_LIMITS__FAILED_HANDSHAKES_PER_MINUTE", "1000000")];

/// A token with these claims, signed as ours are.
fn signed(algorithm: Algorithm, claims: &Value) -> anyhow::Result<String> {
    Ok(encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(SECRET.as_bytes()))?)
}

/// Values of `Authorization` that do not let user 1 in, each with its code.
fn bad_credentials() -> anyhow::Result<Vec<(&'static str, Option<String>, &'static str)>> {
    let good = token(1);
    let now = Timestamp::now().0 / 1_000_000;
    let claims = |iss: &str, exp: i64| json!({"iss": iss, "sub": "1", "iat": exp - 3600, "exp": exp});
    let another =
        Tokens::new(&SecretString::from("another secret, which is long enough too"), Duration::ZERO);
    let foreign = another.issue(UserId(1), Duration::from_secs(3600)).context("there is a secret")?;
    let (_, body) = good.split_once('.').context("a header")?;
    let (payload, signature) = body.split_once('.').context("a payload")?;
    // {"alg":"none","typ":"JWT"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let hs256 = |claims: &Value| signed(Algorithm::HS256, claims).map(|token| format!("Bearer {token}"));
    Ok(vec![
        ("nothing", None, "unauthorized"),
        ("no token", Some("Bearer".to_owned()), "unauthorized"),
        ("garbage", Some("Bearer garbage".to_owned()), "unauthorized"),
        ("garbage in three parts", Some("Bearer a.b.c".to_owned()), "unauthorized"),
        ("another scheme", Some(format!("Basic {good}")), "unauthorized"),
        ("no scheme", Some(good.clone()), "unauthorized"),
        ("two tokens", Some(format!("Bearer {good} {good}")), "unauthorized"),
        ("expired", Some(hs256(&claims("switchboard", now - 60))?), "token_expired"),
        ("another secret", Some(format!("Bearer {foreign}")), "unauthorized"),
        ("another secret, expired", Some(format!("Bearer {}", swapped(&foreign, now)?)), "unauthorized"),
        (
            "our issuer, and no id",
            Some(hs256(&json!({"iss": "switchboard", "sub": "user1", "exp": now + 3600}))?),
            "unauthorized",
        ),
        ("no end", Some(hs256(&json!({"iss": "switchboard", "sub": "1"}))?), "unauthorized"),
        (
            "another algorithm",
            Some(format!("Bearer {}", signed(Algorithm::HS512, &claims("switchboard", now + 60))?)),
            "unauthorized",
        ),
        ("no algorithm", Some(format!("Bearer {none}.{payload}.")), "unauthorized"),
        ("no algorithm, signed", Some(format!("Bearer {none}.{payload}.{signature}")), "unauthorized"),
        ("nobody", Some(format!("Bearer {}", token(9_999))), "unauthorized"),
    ])
}

/// The payload of an expired token under the signature of another: it must not be told that it has expired.
fn swapped(foreign: &str, now: i64) -> anyhow::Result<String> {
    let expired = json!({"iss": "switchboard", "sub": "1", "iat": now - 3600, "exp": now - 60});
    let expired = signed(Algorithm::HS256, &expired)?;
    let (head, _) = expired.rsplit_once('.').context("a signature")?;
    let (_, signature) = foreign.rsplit_once('.').context("a signature")?;
    Ok(format!("{head}.{signature}"))
}

async fn refusal(
    cluster: &Cluster,
    authorization: Option<&str>,
    query: &str,
) -> anyhow::Result<(u16, Value)> {
    let refused = Socket::handshake(cluster, 0, authorization, query).await?;
    refused.err().context("it was let in")
}

pub(super) async fn credentials_that_do_not_count(cluster: Cluster) -> anyhow::Result<()> {
    for (what, authorization, code) in bad_credentials()? {
        // Who shows nothing is forbidden to open what stays open, as in the former system.
        let opening = if authorization.is_some() { 401 } else { 403 };
        let (status, mut body) =
            refusal(&cluster, authorization.as_deref(), "").await.with_context(|| what.to_owned())?;
        ensure!((status, &body["code"]) == (opening, &json!(code)), "{what}: {status} {body}");
        let headers: Vec<_> = authorization.iter().map(|value| format!("Authorization: {value}")).collect();
        for (path, status) in [
            ("/api/v1/events", 401),
            ("/api/v1/events/stream", opening),
            ("/api/v1/conversations/1/messages", 401),
        ] {
            let answer = get(cluster.address(0), path, &headers).await?;
            body["status"] = json!(status);
            ensure!(answer.status == status && answer.json()? == body, "{what}, {path}: {}", answer.body);
            let wanted = answer.header("www-authenticate");
            ensure!(wanted == (status == 401).then_some("Bearer"), "{what}, {path}: {wanted:?}");
            let kind = answer.header("content-type");
            ensure!(kind == Some("application/problem+json"), "{what}, {path}: {kind:?}");
        }
    }
    // A long-lived token never travels in a URL, so none is looked for there.
    for (name, expect) in [("token", 403), ("access_token", 403), ("ticket", 401), ("authorization", 403)] {
        let query = format!("{name}={}", token(1));
        let (status, body) = refusal(&cluster, None, &query).await?;
        ensure!((status, &body["code"]) == (expect, &json!("unauthorized")), "{name}: {body}");
        ensure!(get(cluster.address(0), &format!("/api/v1/events?{query}"), &[]).await?.status == 401);
    }
    let two = [bearer(1), bearer(2)];
    ensure!(get(cluster.address(0), "/api/v1/events", &two).await?.status == 401, "whose would it be?");
    check_alive(&mut open(&cluster, 1).await?).await?;
    finish_with(cluster, 0).await
}

pub(super) async fn connections_of_a_user_are_counted(cluster: Cluster) -> anyhow::Result<()> {
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(open(&cluster, 1).await?);
    }
    let authorization = format!("Bearer {}", token(1));
    let (status, body) = refusal(&cluster, Some(&authorization), "").await?;
    ensure!((status, &body["code"]) == (429, &json!("too_many_connections")), "{status} {body}");
    for path in ["/api/v1/events", "/api/v1/events/stream"] {
        let answer = get(cluster.address(0), path, &[bearer(1)]).await?;
        ensure!(answer.status == 429 && answer.json()? == body, "{path}: {}", answer.body);
    }
    // Others have their own places, and those who are in keep theirs.
    check_alive(&mut open(&cluster, 2).await?).await?;
    for socket in &mut sockets {
        check_alive(socket).await?;
    }
    // One goes without a word, and its place is free.
    drop(sockets.pop());
    let again = async || Ok(Socket::handshake(&cluster, 0, Some(&authorization), "").await?.ok());
    let mut again = eventually("a place is free", DEADLINE, again).await?;
    ensure!(again.next().await?["type"] == "welcome");
    ensure!(refusal(&cluster, Some(&authorization), "").await?.0 == 429, "and only one");
    finish_with(cluster, 0).await
}

pub(super) async fn failures_of_an_address_are_counted(cluster: Cluster) -> anyhow::Result<()> {
    for _ in 0..10 {
        // As a page does before anybody has logged in.
        ensure!(get(cluster.address(0), "/api/v1/me", &[]).await?.status == 401);
    }
    for n in 1..=5 {
        let (status, body) = refusal(&cluster, Some("Bearer garbage"), "").await?;
        ensure!((status, &body["code"]) == (401, &json!("unauthorized")), "failure {n}: {status} {body}");
    }
    for path in ["/ws/messages/", "/api/v1/events"] {
        let answer = get(cluster.address(0), path, &["Authorization: Bearer garbage".to_owned()]).await?;
        let body = answer.json()?;
        ensure!((answer.status, &body["code"]) == (429, &json!("rate_limited")), "{path}: {body}");
        let wait = body["retry_after_ms"].as_u64().context("no retry_after_ms")?;
        ensure!((1..=60_000).contains(&wait), "{path}: {body}");
        let head = answer.head.to_ascii_lowercase();
        let header = head.lines().find_map(|line| line.strip_prefix("retry-after: "));
        let seconds = header.context("no Retry-After")?.trim().parse::<u64>()?;
        ensure!(seconds == wait.div_ceil(1000), "{seconds} s and {wait} ms");
    }
    // Who shows nothing has tried nothing.
    let (status, body) = refusal(&cluster, None, "").await?;
    ensure!((status, &body["code"]) == (403, &json!("unauthorized")), "{status} {body}");
    ensure!(get(cluster.address(0), "/api/v1/me", &[]).await?.status == 401);
    // Users behind one proxy share its address.
    check_alive(&mut open(&cluster, 1).await?).await?;
    ensure!(get(cluster.address(0), "/api/v1/events", &[bearer(1)]).await?.status == 200);
    finish_with(cluster, 0).await
}

/// A token ends when it says.
pub(super) const NO_LEEWAY: &[(&str, &str)] = &[("SWITCHBOARD_AUTH__TOKEN_LEEWAY_SECONDS", "0")];

/// Of a token for two seconds, tripled.
const EXPIRES_WITHIN: Duration = Duration::from_secs(3 * 2);

fn short_token(user: i64) -> anyhow::Result<String> {
    let tokens = Tokens::new(&SecretString::from(SECRET), Duration::ZERO);
    let token = tokens.issue(UserId(user), Duration::from_secs(2)).context("there is a secret")?;
    Ok(format!("Bearer {token}"))
}

pub(super) async fn a_session_ends_with_its_token(cluster: Cluster) -> anyhow::Result<()> {
    let mut other = open(&cluster, 1).await?;
    let session = Socket::handshake(&cluster, 0, Some(&short_token(1)?), "").await?;
    let mut session = session.map_err(|(status, body)| anyhow::anyhow!("{status} {body}"))?;
    ensure!(session.next().await?["type"] == "welcome");
    let code = timeout(EXPIRES_WITHIN, session.close_code()).await.context("it stays open")??;
    ensure!(code == 4401, "closed with {code}");
    check_alive(&mut other).await?;
    finish_with(cluster, 0).await
}

/// The same for those who cannot hold a WebSocket: nothing is told to a token whose time is over.
pub(super) async fn a_stream_ends_with_its_token(cluster: Cluster) -> anyhow::Result<()> {
    let headers = [format!("Authorization: {}", short_token(1)?)];
    let mut stream = EventStream::open(cluster.address(0), "/api/v1/events/stream", &headers).await?;
    ensure!(stream.next().await?.1["type"] == "welcome");
    let end = timeout(EXPIRES_WITHIN, stream.next()).await.context("it stays open")?;
    let error = end.err().context("there was an event")?;
    ensure!(error.to_string() == "the stream ended", "{error:#}");
    finish_with(cluster, 0).await
}
