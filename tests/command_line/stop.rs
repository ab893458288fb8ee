//! How a node ends, and what an operator sees of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use switchboard_client::{Client, Config};

use super::{Folder, Node, block_on};
use crate::harness::http::{Answer, bearer, get};
use crate::harness::{DEADLINE, connected, eventually, token};

/// A connection on which the node has answered, and which stays for the next request.
fn kept_alive(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET /live HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
    expect(&mut stream, "HTTP/1.1 200 OK")?;
    Ok(stream)
}

/// A request that the node waits for, since its body is still to come.
fn unfinished(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(
        stream,
        "POST /api/v1/messages HTTP/1.1\r\nHost: {address}\r\n{}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
        bearer(1)
    )?;
    expect(&mut stream, "HTTP/1.1 100 Continue")?;
    Ok(stream)
}

fn expect(stream: &mut TcpStream, line: &str) -> anyhow::Result<()> {
    let mut bytes = vec![0; line.len()];
    stream.read_exact(&mut bytes)?;
    ensure!(bytes == line.as_bytes(), "{}", String::from_utf8_lossy(&bytes));
    Ok(())
}

async fn until_it_drains(address: SocketAddr) -> anyhow::Result<()> {
    let drains = async || Ok((get(address, "/ready", &[]).await?.status == 503).then_some(()));
    eventually("the node is not ready", DEADLINE, drains).await
}

/// Ctrl-C in a terminal, with a page open that keeps its connections.
pub(super) fn an_idle_node_ends_quickly(folder: Folder) -> anyhow::Result<()> {
    folder.import_users()?;
    let node = folder.serve(&["serve"])?;
    let stream = kept_alive(node.address)?;
    let (begun, status, log) = block_on(async {
        let (_ann, mut anns) = Client::start(Config::new([format!("http://{}", node.address)], token(1)));
        connected(&mut anns).await?;
        let begun = Instant::now();
        let (status, _, log) = tokio::task::block_in_place(|| node.end(Signal::SIGINT))?;
        Ok((begun, status, log))
    })?;
    let took = begun.elapsed();
    crate::tell(format_args!("a stop with one session took {took:?}"));
    ensure!(status.success(), "it ended with {status}: {log}");
    ensure!(took < Duration::from_millis(1_500), "it took {took:?}: {log}");
    drop(stream);
    Ok(())
}

pub(super) fn a_second_signal_ends_at_once(folder: Folder) -> anyhow::Result<()> {
    folder.import_users()?;
    for (first, second) in [(Signal::SIGTERM, Signal::SIGTERM), (Signal::SIGINT, Signal::SIGTERM)] {
        let node = folder.serve(&["serve"])?;
        let stream = unfinished(node.address)?;
        node.signal(first)?;
        block_on(until_it_drains(node.address))?;
        let begun = Instant::now();
        let (status, _, log) = node.end(second)?;
        let took = begun.elapsed();
        crate::tell(format_args!("a second signal took {took:?}"));
        ensure!(took < Duration::from_secs(1), "it took {took:?}: {log}");
        ensure!(status.code() == Some(1) && log.contains("a second signal"), "{status}: {log}");
        drop(stream);
    }
    Ok(())
}

/// Longer than sessions are waited for that cannot be told.
pub(super) fn a_slow_upload_is_finished(folder: Folder) -> anyhow::Result<()> {
    folder.import_users()?;
    let node = folder.serve(&["serve"])?;
    let mut stream = unfinished(node.address)?;
    node.signal(Signal::SIGTERM)?;
    block_on(until_it_drains(node.address))?;
    let body = format!("{:100}", r#"{"recipient_id": 2, "content": "slowly"}"#);
    for part in body.as_bytes().chunks(10) {
        std::thread::sleep(Duration::from_millis(500));
        stream.write_all(part)?;
    }
    // What is left of the answer before this one.
    expect(&mut stream, "\r\n\r\nHTTP/1.1 201 Created")?;
    end(node)
}

/// More lines than a pipe holds.
pub(super) fn a_log_that_nobody_reads_holds_up_nothing(folder: Folder) -> anyhow::Result<()> {
    let mut child = folder.command(&["serve"]).spawn()?;
    let mut output = BufReader::new(child.stdout.take().context("it was asked for")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    let address = line.trim().rsplit("http://").next().context("no address")?.parse()?;
    let node = Node { child: Some(child), address, output: None, errors: None };
    block_on(async {
        for _ in 0..1_500 {
            ensure!(get(address, "/nowhere", &[]).await?.status == 404);
        }
        Ok(())
    })?;
    node.signal(Signal::SIGTERM)?;
    end(node)
}

pub(super) fn operators_have_an_address_of_their_own(folder: Folder) -> anyhow::Result<()> {
    folder.import_users()?;
    let operators = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let node = folder.serve(&["serve", "--admin-listen", &operators.to_string()])?;
    let public = node.address;
    let ask = |address, path: &'static str| block_on(async move { get(address, path, &[]).await });
    for (address, path, status) in [
        (public, "/metrics", 404),
        (public, "/ready", 200),
        (operators, "/metrics", 200),
        (operators, "/ready", 200),
        (operators, "/live", 200),
        (operators, "/api/v1/me", 404),
        (operators, "/", 404),
    ] {
        let answer = ask(address, path)?;
        ensure!(answer.status == status, "{path}: {} {}", answer.status, answer.body);
    }
    // As long as it goes on, so does what tells of it.
    let stream = unfinished(public)?;
    node.signal(Signal::SIGTERM)?;
    block_on(until_it_drains(operators))?;
    let Answer { status, body, .. } = ask(operators, "/metrics")?;
    ensure!(status == 200 && body.contains("switchboard_readiness{state=\"draining\"} 1"), "{status} {body}");
    ensure!(ask(operators, "/live")?.status == 200);
    drop(stream);
    end(node)?;

    let taken = operators.to_string();
    let sentence = folder.fail(&["serve", "--listen", &taken, "--admin-listen", &taken])?;
    let expect = format!("`server.listen` is `{taken}` and `server.admin_listen` is `{taken}`");
    ensure!(sentence.starts_with(&expect), "{sentence}");
    let other = TcpListener::bind("127.0.0.1:0")?;
    let taken = other.local_addr()?.to_string();
    let sentence = folder.fail(&["serve", "--admin-listen", &taken])?;
    ensure!(sentence.contains(&format!("`server.admin_listen` is `{taken}`")), "{sentence}");
    Ok(())
}

/// It was told to stop already.
fn end(mut node: Node) -> anyhow::Result<()> {
    let child = node.child.take().context("it runs")?;
    let status = super::in_time(child, |mut child| child.wait()).context("the node does not end")??;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}
