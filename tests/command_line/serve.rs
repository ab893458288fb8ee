//! A node on SQLite: what it says, what it keeps, how it ends.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use switchboard_client::{Client, Config, Event};
use switchboard_protocol::{Seq, UserId};
use tokio::sync::mpsc;

use super::{Folder, Node, block_on};
use crate::harness::http::{bearer, get};
use crate::harness::{SECRET, connected, next_message, token};

fn client(node: &Node, user: i64, cursor: Option<i64>) -> (Client, mpsc::Receiver<Event>) {
    let mut config = Config::new([format!("http://{}", node.address)], token(user));
    config.cursor = cursor.map(Seq);
    Client::start(config)
}

pub(super) fn a_node_says_where_it_is_and_nothing_secret(folder: Folder) -> anyhow::Result<()> {
    let folder = folder.with("SWITCHBOARD_LOG__LEVEL", "trace");
    folder.import_users()?;
    // Without a command, it serves.
    let node = folder.serve(&[])?;
    let foreign = format!("{}x", token(2));
    block_on(async {
        let (ann, mut anns) = client(&node, 1, None);
        connected(&mut anns).await?;
        ann.send(UserId(2), "a subject of ann", "the content of ann", None).await?;
        let query = format!("/api/v1/events?cursor=0&ticket={}", token(3));
        ensure!(get(node.address, &query, &[]).await?.status == 401);
        let wrong = format!("Authorization: Bearer {foreign}");
        ensure!(get(node.address, "/api/v1/events", &[wrong]).await?.status == 401);
        ensure!(get(node.address, "/api/v1/events?cursor=0", &[bearer(2)]).await?.status == 200);
        ann.close().await;
        Ok(())
    })?;
    let (status, output, log) = node.end(Signal::SIGTERM)?;
    ensure!(status.success(), "it ended with {status}");
    ensure!(output.is_empty(), "{output}");
    ensure!(log.contains("stopping"), "{log}");
    let signature = |token: &str| token.rsplit('.').next().unwrap_or_default().to_owned();
    let secrets = [SECRET.to_owned(), signature(&token(1)), signature(&token(3)), signature(&foreign)];
    for secret in secrets.into_iter().chain(["subject of ann", "content of ann"].map(str::to_owned)) {
        let line = log.lines().find(|line| line.contains(&secret));
        ensure!(line.is_none(), "the log tells `{secret}`: {}", line.unwrap_or_default());
    }
    Ok(())
}

/// What goes wrong on purpose in a build for tests is not in this binary: not even the names.
pub(super) fn nothing_goes_wrong_on_purpose(folder: Folder) -> anyhow::Result<()> {
    let serve = folder.command(&[]);
    let has = |word: &str| {
        let grep = Command::new("grep").args(["-aqF", word]).arg(serve.get_program()).status();
        Ok::<_, anyhow::Error>(grep?.code() == Some(0))
    };
    ensure!(has("Switchboard is at")?, "this test does not find what is there");
    for point in ["skip_sweep", "drop_publishes", "acknowledge_early", "crash_after_commit", "FAILPOINTS"] {
        // Cargo builds this binary with the features of its tests.
        ensure!(has(point)? == cfg!(feature = "sabotage"), "`{point}` is in the binary");
    }
    Ok(())
}

pub(super) fn a_low_soft_limit_on_files_is_raised(folder: Folder) -> anyhow::Result<()> {
    let node = Folder::start(folder.command_after("ulimit -S -n 256", &["serve"]))?;
    let pid = node.child.as_ref().context("it runs")?.id();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).context("it is there")?;
    let mut numbers = line.split_whitespace();
    ensure!(numbers.next() == numbers.next(), "{line}");
    Ok(())
}

pub(super) fn a_file_is_served_once(folder: Folder) -> anyhow::Result<()> {
    folder.import_users()?;
    let node = folder.serve(&["serve"])?;
    let sentence = folder.fail(&["serve"])?;
    ensure!(sentence.contains("another `switchboard serve` has the file"), "{sentence}");
    // The first does not notice, and other commands work beside it.
    folder.import_users()?;
    folder.succeed(&["doctor"])?;
    block_on(async {
        let (ann, mut anns) = client(&node, 1, None);
        connected(&mut anns).await?;
        ann.send(UserId(2), "", "x", None).await?;
        ann.close().await;
        Ok(())
    })?;
    ensure!(node.end(Signal::SIGTERM)?.0.success());
    // And then it is free.
    let node = folder.serve(&["serve"])?;
    folder.succeed(&["healthcheck", "--url", &format!("http://{}", node.address)])?;
    ensure!(node.end(Signal::SIGINT)?.0.success());
    Ok(())
}

/// Whoever has read the first line may stop the node: a supervisor that changes its mind.
pub(super) fn a_signal_right_after_the_first_line_is_heard(folder: Folder) -> anyhow::Result<()> {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (status, _, log) = folder.serve(&["serve"])?.end(signal)?;
        ensure!(status.success(), "{signal}: it ended with {status}: {log}");
    }
    Ok(())
}

pub(super) fn a_killed_node_has_lost_nothing(folder: Folder) -> anyhow::Result<()> {
    const MESSAGES: usize = 400;
    let limits = ["SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND", "SWITCHBOARD_LIMITS__MESSAGES_BURST"];
    let folder = limits.into_iter().fold(folder, |folder, limit| folder.with(limit, "1000000"));
    folder.import_users()?;
    let node = folder.serve(&["serve"])?;
    let address = node.address.to_string();
    block_on(async {
        let (ann, mut anns) = client(&node, 1, None);
        let (bob, mut bobs) = client(&node, 2, None);
        connected(&mut anns).await?;
        connected(&mut bobs).await?;
        tokio::spawn(async move { while anns.recv().await.is_some() {} });
        let sending = tokio::spawn(async move {
            let mut ids = BTreeSet::new();
            let mut answers = Vec::new();
            for n in 0..MESSAGES {
                answers.push(ann.post(UserId(2), "", &n.to_string(), None).await?);
            }
            for answer in answers {
                ids.insert(answer.await?.message_id);
            }
            anyhow::Ok(ids)
        });
        for n in 0..MESSAGES / 4 {
            ensure!(next_message(&mut bobs).await?.content == n.to_string());
        }
        tokio::task::block_in_place(|| node.end(Signal::SIGKILL))?;
        let node = tokio::task::block_in_place(|| folder.serve(&["serve", "--listen", &address]))?;
        for n in MESSAGES / 4..MESSAGES {
            ensure!(next_message(&mut bobs).await?.content == n.to_string(), "in order, each once");
        }
        ensure!(sending.await??.len() == MESSAGES && bob.gaps() == 0);
        let (_again, mut again) = client(&node, 2, Some(0));
        for n in 0..MESSAGES {
            ensure!(next_message(&mut again).await?.content == n.to_string(), "and from the beginning");
        }
        tokio::task::block_in_place(|| node.end(Signal::SIGTERM))?;
        Ok(())
    })?;
    let audit = folder.succeed(&["doctor", "--audit"])?;
    ensure!(audit.contains(&format!("ok       {MESSAGES} messages")), "{audit}");
    Ok(())
}

pub(super) fn a_health_check_tells_by_its_status(folder: Folder) -> anyhow::Result<()> {
    let node = folder.serve(&["serve"])?;
    let address = node.address.to_string();
    let url = format!("http://{address}");
    let body = folder.succeed(&["healthcheck", "--url", &url])?;
    ensure!(body.contains(r#""status":"ready""#), "{body}");
    // Without the option it asks where the configuration listens.
    let folder = folder.with("SWITCHBOARD_LISTEN", &address);
    folder.succeed(&["healthcheck"])?;
    ensure!(node.end(Signal::SIGTERM)?.0.success());
    for arguments in [&["healthcheck", "--url", &url][..], &["healthcheck"]] {
        let sentence = folder.fail(arguments)?;
        ensure!(sentence.contains(&format!("no answer from {address}")), "{sentence}");
    }
    ensure!(folder.fail(&["healthcheck", "--url", "ftp://x"])?.contains("`ftp://x`"));
    Ok(())
}

pub(super) fn printed_tokens_are_accepted(folder: Folder) -> anyhow::Result<()> {
    folder.import_users()?;
    let node = folder.serve(&["serve"])?;
    let printed = folder.succeed(&["token", "--users", "1..3", "--ttl", "5m"])?;
    block_on(async {
        for line in printed.lines() {
            let (id, header) = line.split_once('\t').context("no tab")?;
            let answer = get(node.address, "/api/v1/events", &[header.to_owned()]).await?;
            ensure!(answer.status == 200, "{id}: {}", answer.body);
        }
        Ok(())
    })?;
    ensure!(printed.lines().count() == 3);
    ensure!(node.end(Signal::SIGTERM)?.0.success());
    Ok(())
}
