//! `healthcheck`: asks a node whether it is ready. For containers, which may have no other client at hand.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::print;
use crate::cli::HealthcheckOptions;
use crate::config::Config;

const DEADLINE: Duration = Duration::from_secs(5);
/// The answer is a line of JSON; whatever is longer is none of ours.
const ANSWER_BYTES: u64 = 16 * 1024;

/// Prints the body of `/ready`; an error unless the status is 200.
pub(super) async fn ask(config: &Config, options: &HealthcheckOptions) -> anyhow::Result<()> {
    let mut listen = config.server.listen;
    if listen.ip().is_unspecified() {
        listen.set_ip(if listen.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    let url = options.url.clone().unwrap_or_else(|| format!("http://{listen}"));
    let host = url.strip_prefix("http://").with_context(|| format!("`{url}` does not begin with http://"))?;
    let host = host.split('/').next().unwrap_or(host);
    let (status, body) = timeout(DEADLINE, get(host))
        .await
        .with_context(|| format!("no answer from {host} within {DEADLINE:?}"))?
        .with_context(|| format!("no answer from {host}"))?;
    print(body.trim())?;
    ensure!(status == 200, "{host} is not ready: status {status}");
    Ok(())
}

async fn get(host: &str) -> anyhow::Result<(u16, String)> {
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /ready HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES).read_to_string(&mut answer).await?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        bail!("it does not speak HTTP");
    };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.context("it does not speak HTTP")?, body.to_owned()))
}
