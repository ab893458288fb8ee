//! What a request says of where it came from is believed of a trusted proxy, and of nobody else.

use anyhow::ensure;

use super::{check_problem, cookie, log_in};
use crate::harness::Cluster;
use crate::harness::http::{PASSWORD, get, send};

pub(super) const FEW_FAILURES: &[(&str, &str)] = &[("SWITCHBOARD_LIMITS__FAILED_HANDSHAKES_PER_MINUTE", "5")];

pub(super) const TRUSTED: &[(&str, &str)] = &[
    ("SWITCHBOARD_SERVER__TRUSTED_PROXIES", "127.0.0.0/8"),
    ("SWITCHBOARD_LIMITS__FAILED_HANDSHAKES_PER_MINUTE", "5"),
];

const HTTPS: &str = "X-Forwarded-Proto: https";

/// Fails to authenticate, from where `forwarded` says.
async fn fail(cluster: &Cluster, forwarded: &str, status: u16) -> anyhow::Result<()> {
    let headers = ["Authorization: Bearer garbage".to_owned(), format!("X-Forwarded-For: {forwarded}")];
    let answer = get(cluster.address(0), "/api/v1/me", &headers).await?;
    let code = if status == 429 { "rate_limited" } else { "unauthorized" };
    check_problem(forwarded, &answer, status, code)
}

pub(super) async fn a_strangers_headers_are_not_believed(cluster: Cluster) -> anyhow::Result<()> {
    let answer = log_in(cluster.address(1), "user1", PASSWORD, &[HTTPS.to_owned()]).await?;
    let set = answer.header("set-cookie").unwrap_or_default();
    ensure!(set.starts_with("switchboard=") && !set.contains("Secure"), "{set}");
    for n in 1..=5 {
        fail(&cluster, &format!("198.51.100.{n}"), 401).await?;
    }
    fail(&cluster, "198.51.100.6", 429).await?;
    fail(&cluster, "127.0.0.1, 198.51.100.7", 429).await?;
    cluster.finish().await
}

pub(super) async fn a_trusted_proxy_is_believed(cluster: Cluster) -> anyhow::Result<()> {
    let tls = HTTPS.to_owned();
    let answer = log_in(cluster.address(0), "user1", PASSWORD, std::slice::from_ref(&tls)).await?;
    let set = answer.header("set-cookie").unwrap_or_default();
    let parts: Vec<_> = set.split("; ").collect();
    ensure!(set.starts_with("__Host-switchboard=") && parts.contains(&"Secure"), "{set}");
    ensure!(parts.contains(&"Path=/") && !set.to_ascii_lowercase().contains("domain"), "{set}");
    // What TLS carried counts over TLS, on any node, and nowhere else.
    let session = cookie(&answer)?;
    let ask = async |headers: &[&str]| {
        let headers: Vec<_> = headers.iter().map(|line| (*line).to_owned()).collect();
        anyhow::Ok(get(cluster.address(1), "/api/v1/me", &headers).await?.status)
    };
    ensure!(ask(&[&session, &tls]).await? == 200);
    ensure!(ask(&[&session]).await? == 401);
    ensure!(ask(&[&session, "X-Forwarded-Proto: https, http"]).await? == 401);
    ensure!(ask(&[&session.replace("__Host-", ""), &tls]).await? == 401);
    // And with it a plain page is a foreign one.
    let address = cluster.address(1);
    for (origin, status) in [(format!("https://{address}"), 200), (format!("http://{address}"), 403)] {
        let headers = [session.clone(), tls.clone(), format!("Origin: {origin}")];
        let answer = send(address, "POST", "/api/v1/auth/ticket", &headers, &[]).await?;
        ensure!(answer.status == status, "{origin}: {} {}", answer.status, answer.body);
    }
    // Each client behind it has failures of their own, and cannot pass them on to others.
    for n in 1..=5 {
        fail(&cluster, &format!("203.0.113.{n}, 198.51.100.1"), 401).await?;
    }
    fail(&cluster, "198.51.100.1", 429).await?;
    fail(&cluster, "198.51.100.2, 198.51.100.1", 429).await?;
    fail(&cluster, "198.51.100.1, 127.0.0.9", 429).await?;
    fail(&cluster, "198.51.100.2", 401).await?;
    fail(&cluster, "198.51.100.1, 198.51.100.3", 401).await?;
    // And so with log-ins.
    let from = async |address: &str, user: i64, password: &str| {
        let headers = [format!("X-Forwarded-For: {address}")];
        log_in(cluster.address(0), &format!("user{user}"), password, &headers).await
    };
    for user in 1..=5 {
        let wrong = from("198.51.100.1", user, "wrong horse 8").await?;
        check_problem("a wrong password", &wrong, 401, "unauthorized")?;
    }
    check_problem("the right one", &from("198.51.100.1", 9, PASSWORD).await?, 429, "rate_limited")?;
    ensure!(from("198.51.100.2", 9, PASSWORD).await?.status == 200);
    cluster.finish().await
}
