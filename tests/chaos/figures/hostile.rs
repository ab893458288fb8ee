//! What hostile peers take of a node's memory and of the others' time, each kind on a fresh node with the limits that it
//! has by default.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use switchboard_protocol::UserId;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::machine::Watch;
use super::spread::{Spread, mebibytes, text};
use super::talk::{self, Talk};
use crate::fault::{Ending, Hostile};
use crate::harness::{Cluster, Pair, resident};
use crate::tell;

/// How long each attacks.
const LASTS: Duration = Duration::from_secs(10);
/// Peers at a time, each a user of their own, from the first on.
const PEERS: usize = 8;
const FIRST_PEER: i64 = 20;
/// Before one that the node ended comes back.
const AGAIN: Duration = Duration::from_millis(50);
/// After the last of them has gone, until the memory is looked at.
const BREATH: Duration = Duration::from_secs(2);
/// Pairs that write and read meanwhile, each slower than a user may be.
const PAIRS: i64 = 4;
const PAUSE: Duration = Duration::from_millis(60);

/// One row for nobody, and one for each kind of peer.
pub(crate) async fn hostile() -> anyhow::Result<()> {
    let limits =
        [("SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND", "20"), ("SWITCHBOARD_LIMITS__MESSAGES_BURST", "100")];
    let mut cluster = Box::pin(Cluster::start(Pair::PostgresRedis, &limits)).await?;
    tell(format_args!(
        "| {PEERS} peers for {} s | memory before | highest | after | others' p50 | p99 | max | how it ended |",
        LASTS.as_secs()
    ));
    tell(format_args!("| --- | --- | --- | --- | --- | --- | --- | --- |"));
    let mut n_written = row(&cluster, None).await?;
    for hostile in Hostile::all() {
        Box::pin(cluster.restart_node(0)).await?;
        n_written += row(&cluster, Some(hostile)).await?;
    }
    let n_stored = usize::try_from(cluster.store.count_messages().await?)?;
    anyhow::ensure!(n_stored == n_written, "{n_written} were written and {n_stored} stored");
    Box::pin(cluster.finish()).await
}

/// Gives how many messages the others wrote.
async fn row(cluster: &Cluster, hostile: Option<Hostile>) -> anyhow::Result<usize> {
    let (node, pid) = (cluster.address(0), cluster.pid(0));
    let talks = others(node).await?;
    sleep(BREATH).await;
    let before = resident(pid)?;
    let watch = Watch::start(pid);
    let begun = Instant::now();
    let endings = attack(node, hostile, begun + LASTS).await?;
    let ended = Instant::now();
    sleep(BREATH).await;
    let (highest, after) = (watch.finish().await?, resident(pid)?);
    let mut delays = Spread::default();
    let mut n_written = 0;
    for talk in talks {
        let messages = talk.finish().await?;
        n_written += messages.len();
        let meanwhile = messages.into_iter().filter(|(at, _)| (begun..ended).contains(at));
        delays.extend(meanwhile.map(|(_, took)| took));
    }
    let endings: Vec<_> = endings.iter().map(|(ending, n)| format!("{n} × {ending}")).collect();
    let of = [0.5, 0.99, 1.0].map(|share| text(delays.quantile(share)));
    tell(format_args!(
        "| {} | {} | {} | {} | {} | {} | {} | {} |",
        hostile.map_or("nobody", Hostile::name),
        mebibytes(before),
        mebibytes(highest),
        mebibytes(after),
        of[0],
        of[1],
        of[2],
        endings.join(", ")
    ));
    Ok(n_written)
}

/// Those who mean no harm.
async fn others(node: SocketAddr) -> anyhow::Result<Vec<Talk>> {
    let mut talks = Vec::new();
    for pair in 0..PAIRS {
        let (writer, reader) = (1 + 2 * pair, 2 + 2 * pair);
        let ends = (talk::client(writer, &[node]), talk::client(reader, &[node]));
        talks.push(Talk::start_at(PAUSE, ends.0, ends.1, UserId(reader)).await?);
    }
    Ok(talks)
}

/// Each peer comes back as often as the node ends it. Says how often each ending was.
async fn attack(
    node: SocketAddr,
    hostile: Option<Hostile>,
    until: Instant,
) -> anyhow::Result<BTreeMap<String, usize>> {
    let Some(hostile) = hostile else {
        tokio::time::sleep_until(until).await;
        return Ok(BTreeMap::new());
    };
    let mut peers = JoinSet::new();
    for user in (FIRST_PEER..).take(PEERS) {
        peers.spawn(async move {
            let mut endings = Vec::new();
            while Instant::now() < until {
                endings.push(match hostile.attack(node, user, until).await {
                    Ok(Ending::Closed(code)) => format!("closed with {code}"),
                    Ok(Ending::Answered(status)) => format!("answered {status}"),
                    Ok(Ending::Cut) => "cut".to_owned(),
                    Ok(Ending::Open) => "open to the end".to_owned(),
                    Err(_) => "not let in".to_owned(),
                });
                sleep(AGAIN).await;
            }
            endings
        });
    }
    let mut all = BTreeMap::new();
    while let Some(endings) = peers.join_next().await {
        for ending in endings? {
            *all.entry(ending).or_default() += 1;
        }
    }
    Ok(all)
}
