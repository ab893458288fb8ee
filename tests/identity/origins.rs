//! A browser sends its cookie whoever's page asks: it counts for our pages only.

use anyhow::ensure;

use super::{FROM_OUR_PAGE, check_problem, cookie, log_in, ticket};
use crate::harness::Cluster;
use crate::harness::http::{PASSWORD, bearer, origin, send, send_json};
use crate::harness::socket::Socket;

pub(super) const ALLOWED: &[(&str, &str)] =
    &[("SWITCHBOARD_SERVER__ALLOWED_ORIGINS", "https://one.example, http://two.example:8080")];

/// Answers to a request that changes nothing, to two that do, and to a handshake.
const ASKED: [(&str, &str, u16); 4] = [
    ("GET", "/api/v1/me", 200),
    ("POST", "/api/v1/auth/ticket", 200),
    ("DELETE", "/api/v1/messages/4711", 404),
    ("upgrade", "", 101),
];

async fn ask(
    cluster: &Cluster,
    method: &str,
    path: &str,
    headers: &[String],
) -> anyhow::Result<(u16, String)> {
    if method == "upgrade" {
        return Ok(match Socket::handshake_with(cluster, 1, headers, "").await? {
            Ok(_socket) => (101, String::new()),
            Err((status, body)) => (status, body["code"].as_str().unwrap_or_default().to_owned()),
        });
    }
    let answer = send(cluster.address(1), method, path, headers, &[]).await?;
    // We answer to no page of another origin, not even to an allowed one's scripts.
    ensure!(!answer.head.to_ascii_lowercase().contains("access-control-"), "{}", answer.head);
    let code = answer.json().ok().and_then(|body| Some(body["code"].as_str()?.to_owned()));
    Ok((answer.status, code.unwrap_or_default()))
}

/// Asks all that can be asked, with these header lines beside the credentials.
async fn check(
    cluster: &Cluster,
    credentials: &str,
    more: &[String],
    is_ours: [bool; 2],
) -> anyhow::Result<()> {
    for (method, path, accepted) in ASKED {
        let headers = [&[credentials.to_owned()][..], more].concat();
        let (status, code) = ask(cluster, method, path, &headers).await?;
        let [is_ours_to_read, is_ours_to_change] = is_ours;
        let is_ours = if matches!(method, "GET" | "upgrade") { is_ours_to_read } else { is_ours_to_change };
        let is_right = if is_ours { status == accepted } else { (status, &*code) == (403, "foreign_origin") };
        ensure!(is_right, "{method} with {more:?}: {status} {code}");
    }
    Ok(())
}

/// Origins of a page at `address` that are not ours.
fn foreign(cluster: &Cluster) -> Vec<String> {
    let address = cluster.address(1);
    let (ip, port) = (address.ip(), address.port());
    let next = port ^ 1;
    ["https://evil.example", "null", "", "file://", "http://", "*"]
        .map(str::to_owned)
        .into_iter()
        .chain([
            format!("http://{address}.evil.example"),
            format!("http://evil{address}"),
            format!("http://evil.{address}"),
            format!("http://{ip}.evil.example:{port}"),
            format!("http://{address}@evil.example"),
            format!("http://evil.example@{address}"),
            format!("http://{ip}:{next}"),
            format!("http://{ip}:{port}1"),
            format!("http://{ip}"),
            format!("https://{ip}"),
            format!("http://localhost:{port}"),
            format!("ftp://{address}"),
            format!("ws://{address}"),
            format!("//{address}"),
            format!("{address}"),
            format!("http://{address}/"),
            format!("http://{address}, http://{address}"),
            format!("http://{address} http://evil.example"),
        ])
        .collect()
}

pub(super) async fn a_cookie_counts_for_our_pages_only(cluster: Cluster) -> anyhow::Result<()> {
    let logged_in = log_in(cluster.address(0), "user1", PASSWORD, &[]).await?;
    let session = cookie(&logged_in)?;
    let ours = origin(cluster.address(1));
    for origin in [ours.clone(), ours.replace("http", "HTTP"), ours.replace("http", "https")] {
        check(&cluster, &session, &[origin], [true, true]).await?;
    }
    check(&cluster, &session, &[], [true, false]).await?;
    for header in [FROM_OUR_PAGE, "X-CSRFToken: anything"] {
        check(&cluster, &session, &[header.to_owned()], [true, true]).await?;
    }
    // The page of the node where the log in was is another origin than this one.
    let other = origin(cluster.address(0));
    let two = [ours.clone(), ours.clone()];
    check(&cluster, &session, &two, [false, false]).await?;
    let all = foreign(&cluster).into_iter().map(|origin| format!("Origin: {origin}"));
    for origin in all.chain([other]) {
        check(&cluster, &session, std::slice::from_ref(&origin), [false, false]).await?;
        check(&cluster, &session, &[origin.clone(), FROM_OUR_PAGE.to_owned()], [false, false]).await?;
        // Credentials that no browser adds by itself count from everywhere.
        check(&cluster, &bearer(1), &[origin], [true, true]).await?;
    }
    let evil = ["Origin: https://evil.example".to_owned()];
    let query = format!("ticket={}", ticket(cluster.address(0), &[bearer(1)]).await?);
    ensure!(Socket::handshake_with(&cluster, 1, &evil, &query).await?.is_ok());
    cluster.finish().await
}

pub(super) async fn other_origins_can_be_allowed(cluster: Cluster) -> anyhow::Result<()> {
    let session = cookie(&log_in(cluster.address(0), "user1", PASSWORD, &[]).await?)?;
    for (origin, is_ours) in [
        ("https://one.example", true),
        ("https://ONE.example", true),
        ("https://one.example:443", true),
        ("http://one.example", false),
        ("https://one.example:8443", false),
        ("https://one.example.evil.example", false),
        ("https://evil.one.example", false),
        ("https://evilone.example", false),
        ("https://one.exampl", false),
        ("https://one.example.", false),
        ("http://two.example:8080", true),
        ("http://two.example", false),
        ("https://two.example:8080", false),
        ("http://two.example:80800", false),
        ("null", false),
    ] {
        let headers = [format!("Origin: {origin}")];
        check(&cluster, &session, &headers, [is_ours, is_ours]).await?;
        let answer = log_in(cluster.address(0), "user1", PASSWORD, &headers).await?;
        ensure!((answer.status == 200) == is_ours, "{origin}: {} {}", answer.status, answer.body);
    }
    check(&cluster, &session, &[origin(cluster.address(1))], [true, true]).await?;
    cluster.finish().await
}

/// Another site could otherwise log its visitors in as somebody who reads along.
pub(super) async fn nobody_is_logged_in_by_a_foreign_page(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(1);
    let form = ["Content-Type: application/x-www-form-urlencoded".to_owned()];
    let text = format!("usn=user1&password={}", PASSWORD.replace(' ', "+"));
    let new = serde_json::json!({"username": "mallory", "password": "quite long enough"});
    for origin in foreign(&cluster) {
        let headers = [format!("Origin: {origin}")];
        let answer = log_in(address, "user1", PASSWORD, &headers).await?;
        check_problem(&origin, &answer, 403, "foreign_origin")?;
        ensure!(answer.header("set-cookie").is_none(), "{origin}");
        let answer = send_json(address, "POST", "/api/v1/auth/register", &headers, &new).await?;
        check_problem(&origin, &answer, 403, "foreign_origin")?;
        let headers = [&headers[..], &form].concat();
        let answer = send(address, "POST", "/login/", &headers, text.as_bytes()).await?;
        ensure!(
            answer.status == 403 && answer.json()?["code"] == "foreign_origin",
            "{origin}: {}",
            answer.body
        );
        ensure!(answer.header("set-cookie").is_none(), "{origin}");
    }
    for headers in [vec![], vec![origin(address)]] {
        ensure!(log_in(address, "user1", PASSWORD, &headers).await?.status == 200, "{headers:?}");
    }
    cluster.finish().await
}
