//! A large file passes through a node, and the node stays small.

use std::io::Write;

use anyhow::{Context, ensure};
use nix::unistd::Pid;
use switchboard_protocol::api::Uploaded;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::kit::{bytes, upload_one, urls};
use crate::harness::http::{bearer, get};
use crate::harness::{Cluster, DEADLINE};

pub(super) const LARGE: &[(&str, &str)] = &[("SWITCHBOARD_ATTACHMENTS__MAX_BYTES", "300000000")];

/// What the file is made of, so many times.
const PIECE: usize = 1_000_000;
const PIECES: usize = 120;
/// By how much a node may have grown at its largest, in KiB.
const GROWTH: u64 = 32 * 1024;

/// The most memory that a process has ever had, in KiB.
fn peak(pid: Pid) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

pub(super) async fn a_large_file_takes_little_memory(cluster: Cluster) -> anyhow::Result<()> {
    let pid = cluster.pid(0);
    let small = upload_one(cluster.address(0), 1, "small").await?.id;
    get(cluster.address(0), &urls(small)[0], &[bearer(1)]).await?;
    let before = peak(pid)?;
    let piece = bytes(PIECE);
    let file = timeout(DEADLINE * 2, upload(&cluster, &piece)).await??;
    let after_upload = peak(pid)?;
    timeout(DEADLINE * 2, download(&cluster, &urls(file)[0], &piece)).await??;
    let after = peak(pid)?;
    let grown = [after_upload - before, after - after_upload];
    std::io::stdout().write_all(format!("grew from {before} KiB by {grown:?} KiB\n").as_bytes())?;
    ensure!(grown.iter().sum::<u64>() < GROWTH, "from {before} KiB by {grown:?} KiB");
    cluster.finish().await
}

async fn upload(cluster: &Cluster, piece: &[u8]) -> anyhow::Result<switchboard_protocol::AttachmentId> {
    let begin = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"large\"\r\n\r\n";
    let end = "\r\n--b--\r\n";
    let head = format!(
        "POST /api/v1/attachments HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n{begin}",
        bearer(1),
        begin.len() + PIECE * PIECES + end.len()
    );
    let mut stream = TcpStream::connect(cluster.address(0)).await?;
    stream.write_all(head.as_bytes()).await?;
    for _ in 0..PIECES {
        stream.write_all(piece).await?;
    }
    stream.write_all(end.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let body = answer.find('{').map_or("", |at| &answer[at..=answer.rfind('}').unwrap_or(at)]);
    let Uploaded { attachments } = serde_json::from_str(body)?;
    ensure!(attachments[0].file_size == (PIECE * PIECES) as i64);
    Ok(attachments[0].id)
}

async fn download(cluster: &Cluster, path: &str, piece: &[u8]) -> anyhow::Result<()> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n\r\n", bearer(1));
    let mut stream = TcpStream::connect(cluster.address(0)).await?;
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
        ensure!(stream.read_buf(&mut answer).await? > 0, "the head is cut off");
    }
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").context("no head")?;
    answer.drain(..head + 4);
    for nth in 0..PIECES {
        while answer.len() < PIECE {
            ensure!(stream.read_buf(&mut answer).await? > 0, "cut off in piece {nth}");
        }
        ensure!(answer[..PIECE] == *piece, "piece {nth} is another");
        answer.drain(..PIECE);
    }
    ensure!(answer.is_empty() && stream.read_buf(&mut answer).await? == 0, "more than the file");
    Ok(())
}
