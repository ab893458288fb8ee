//! What opens a door is written down nowhere.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use serde_json::json;

use super::{FROM_OUR_PAGE, api_key, cookie, log_in, on_behalf, post, ticket};
use crate::harness::http::{EventStream, bearer, get, send, send_json};
use crate::harness::talker::Talker;
use crate::harness::{Cluster, SECRET, token};

const PASSWORDS: [&str; 3] = ["a-password-of-ann", "a-wrong-password", "a-password-that-is-too-much"];

/// Comes in by every way, well and badly, and gives what must not be told.
async fn come_in(address: SocketAddr, key: &str) -> anyhow::Result<Vec<String>> {
    let mut secrets: Vec<_> = PASSWORDS.map(str::to_owned).into();
    let [password, wrong, much] = PASSWORDS;
    let new = json!({"username": format!("ann{}", address.port()), "password": password});
    let name = new["username"].as_str().context("a name")?;
    ensure!(send_json(address, "POST", "/api/v1/auth/register", &[], &new).await?.status == 201);
    ensure!(log_in(address, name, wrong, &[]).await?.status == 401);
    // Neither a body that cannot be read nor a form is quoted.
    let body = json!({"username": 1, "password": much});
    ensure!(send_json(address, "POST", "/api/v1/auth/login", &[], &body).await?.status == 400);
    let form = ["Content-Type: application/x-www-form-urlencoded".to_owned()];
    let text = format!("usn={name}&password={wrong}");
    ensure!(send(address, "POST", "/login/", &form, text.as_bytes()).await?.status == 401);
    let session = cookie(&log_in(address, name, password, &[]).await?)?;
    secrets.push(session.split_once('=').context("a value")?.1.to_owned());
    let page = [session, FROM_OUR_PAGE.to_owned()];
    for (what, headers) in
        [("a cookie", page.to_vec()), ("a token", vec![bearer(1)]), ("a key", on_behalf(key, 2))]
    {
        ensure!(get(address, "/api/v1/me", &headers).await?.status == 200, "{what}");
        EventStream::open(address, "/api/v1/events/stream", &headers).await?.next().await?;
        let once = ticket(address, &headers).await?;
        let path = format!("/api/v1/events/stream?ticket={once}");
        EventStream::open(address, &path, &[]).await?.next().await?;
        ensure!(get(address, &path, &[]).await?.status == 401, "it was used");
        let socket = format!("ws://{address}/ws/messages/?ticket={}", ticket(address, &headers).await?);
        let (opened, _) = tokio_tungstenite::connect_async(&socket).await?;
        drop(opened);
        ensure!(tokio_tungstenite::connect_async(&socket).await.is_err(), "it was used");
        secrets.extend([once, socket.rsplit('=').next().unwrap_or_default().to_owned()]);
    }
    ensure!(post(address, "/api/v1/auth/logout", &page).await?.status == 204);
    ensure!(get(address, "/api/v1/me", &page).await?.status == 401);
    let bad = format!("{}x", token(3));
    ensure!(get(address, "/api/v1/me", &[format!("Authorization: Bearer {bad}")]).await?.status == 401);
    ensure!(get(address, &format!("/api/v1/me?ticket={bad}&cursor=x"), &[]).await?.status == 401);
    let signature = |token: &str| token.rsplit('.').next().unwrap_or_default().to_owned();
    secrets.extend([signature(&token(1)), signature(&bad), key.to_owned(), SECRET.to_owned()]);
    Ok(secrets)
}

pub(super) async fn no_secret_is_told(cluster: Cluster) -> anyhow::Result<()> {
    let key = api_key(&cluster, "orders").await?;
    for format in ["pretty", "json"] {
        // What says everything, to a collector that is not there too.
        let settings = [
            ("SWITCHBOARD_LOG__LEVEL", "trace"),
            ("SWITCHBOARD_LOG__FORMAT", format),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ];
        let talker = tokio::task::block_in_place(|| Talker::start(&cluster, &settings))?;
        let secrets = come_in(talker.address, &key).await?;
        let metrics = get(talker.address, "/metrics", &[]).await?.body;
        ensure!(metrics.contains("switchboard_requests_refused_total"), "{metrics}");
        let log = tokio::task::block_in_place(|| talker.end())?;
        ensure!(log.contains("TRACE") || log.contains("DEBUG"), "it says little: {log}");
        for secret in &secrets {
            ensure!(secret.len() >= 16, "`{secret}` would be found anywhere");
            for (where_, text) in [("log", &log), ("metrics", &metrics)] {
                let line = text.lines().find(|line| line.contains(secret.as_str()));
                ensure!(line.is_none(), "the {where_} tells `{secret}`: {}", line.unwrap_or_default());
            }
        }
    }
    cluster.finish().await
}
