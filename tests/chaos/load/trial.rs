//! Whether the load does what it says, with nothing in its way.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use switchboard_checker::check;
use switchboard_checker::history::{Begin, Event, Outcome, Recorder, read};

use super::words::{body, canaries, canary, content, is_of};
use super::{Load, Shape, Ways, dump_store, scan_for_canaries};
use crate::Dice;
use crate::harness::{Cluster, Pair};

/// Trials of the load itself.
pub(crate) fn trials(runtime: &Arc<tokio::runtime::Runtime>) -> Vec<Trial> {
    let runtime = Arc::clone(runtime);
    let run = move || runtime.block_on(a_quiet_time()).map_err(|error| format!("{error:#}").into());
    let words = || a_canary_is_found().map_err(|error| format!("{error:#}").into());
    vec![Trial::test("load::a_canary_is_found", words), Trial::test("load::what_was_sent_arrived", run)]
}

fn a_canary_is_found() -> anyhow::Result<()> {
    let mut dice = Dice(7);
    let one = canary(&mut dice, 3, 48);
    let said = content(&mut dice, &one);
    let text = format!("{{\"content\":\"{said}\",\"hash\":\"{one}{one}\",\"name\":\"{one}.txt\"}}");
    ensure!(canaries(&text).eq([one.as_str(), one.as_str()]), "{text}");
    ensure!(is_of(&one, 3) && is_of(&one, 48) && !is_of(&one, 4), "{one}");
    ensure!(body(&said).canary == one && body(&said).bytes == said.len() as u64, "{said}");
    Ok(())
}

async fn a_quiet_time() -> anyhow::Result<()> {
    let many = [("SWITCHBOARD_LIMITS__CONNECTIONS_PER_USER", "1000")];
    let cluster = Cluster::start(Pair::PostgresRedis, &many).await?;
    let postgres = cluster.postgres.as_ref().context("it is one of the pair")?;
    let url = postgres.url();
    let (server, _maintenance) = url.rsplit_once('/').context("a database")?;
    let database_url = format!("{server}/switchboard");
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("history.jsonl");
    // What is promised, tripled: the machine is busy.
    let begin = Begin { seed: Some(7), heal_within_ms: 30_000, sweep_within_ms: 6_000, cut_within_ms: 6_000 };
    let recorder = Recorder::create(&path, begin)?;
    let nodes = vec![cluster.address(0), cluster.address(1)];
    let ways = Ways { balancer: nodes[0], through_proxy: nodes[1], nodes };
    let shape = Shape { users: 10, rate: 100.0, seed: 7, lively: true, patience: Shape::PATIENT };
    let mut load = Load::start(ways, shape, recorder.clone()).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    load.stop().await?;
    recorder.note(Event::Healed)?;
    load.settle(&database_url, Duration::from_secs(10)).await?;
    let counts = load.finish().await?;
    dump_store(&database_url, &recorder).await?;
    scan_for_canaries(&[("a log".to_owned(), "nothing".to_owned())], &recorder)?;
    recorder.flush()?;
    was_given(&path).with_context(|| format!("{counts:?}"))?;
    ensure!(counts.unknown == 0 && counts.leaked == 0 && counts.scanned > 0, "{counts:?}");
    let verdict = check(read(BufReader::new(File::open(&path)?)))?;
    ensure!(verdict.is_clean(), "{counts:?}\n{verdict}");
    cluster.finish().await
}

/// By the plainest of means: each message was given to both users by both devices.
fn was_given(history: &std::path::Path) -> anyhow::Result<()> {
    let (mut sent, mut given, mut n_stored) = (HashSet::new(), HashSet::new(), 0);
    for line in read(BufReader::new(File::open(history)?)) {
        match line?.event {
            Event::Outcome { outcome: Outcome::Sent { message, .. }, .. } => {
                sent.insert(message);
            }
            Event::Entry(entry) => {
                given.extend(entry.messages.iter().map(|message| (entry.device.clone(), *message)));
            }
            Event::StoredMessage(message) => {
                n_stored += 1;
                let parties = [message.sender, message.recipient];
                for device in parties.iter().flat_map(|user| [format!("{user}.a"), format!("{user}.b")]) {
                    let is_given = given.contains(&(device.clone(), message.message));
                    ensure!(is_given, "{device} was not given {message:?}");
                }
            }
            _ => {}
        }
    }
    ensure!(n_stored > 100 && sent.len() == n_stored, "{} sent, {n_stored} stored", sent.len());
    Ok(())
}
