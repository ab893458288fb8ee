//! What the sweep costs Postgres, with Redis and without it, when nobody writes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::unistd::Pid;
use switchboard_store::Import;
use tokio::time::{Instant, sleep};

use super::idle::Idle;
use super::machine::{cpu, cpu_of_family, descriptors, postmaster};
use super::spread::text;
use crate::harness::http::metric;
use crate::harness::{Cluster, Pair, USERS};
use crate::tell;

/// For what follows a handshake, or the loss of Redis, to be over.
const SETTLED: Duration = Duration::from_secs(10);
/// Descriptors that are not sessions: those of the runtime, and of what the nodes stand on.
const SPARE: usize = 500;

/// Opens a session for each of so many mailboxes, and prints what sweeping them takes.
pub(crate) async fn sweep(mailboxes: usize, lasts: Duration) -> anyhow::Result<()> {
    let descriptors = descriptors()?;
    ensure!(
        mailboxes + SPARE <= descriptors,
        "{descriptors} descriptors are too few for {mailboxes} sessions"
    );
    let mut cluster = Box::pin(Cluster::start(Pair::PostgresRedis, &[])).await?;
    let users = import(&cluster, mailboxes).await?;
    tidy_up(&cluster).await?;
    let nodes = [cluster.address(0), cluster.address(1)];
    let pids = [cluster.pid(0), cluster.pid(1)];
    let measured = Measured { postmaster: postmaster(&cluster).await?, nodes: pids, addresses: nodes };
    tell(format_args!(
        "| {mailboxes} mailboxes | Postgres, of a core | each node, of a core | mailboxes swept a second | a statement | \
         statements a second |"
    ));
    tell(format_args!("| --- | --- | --- | --- | --- | --- |"));
    sleep(SETTLED).await;
    measured.row("nobody there", lasts).await?;
    let sessions = Idle::open(users, &nodes).await?;
    sleep(SETTLED).await;
    measured.row("Redis up", lasts).await?;
    let redis = cluster.redis.as_mut().context("there is one")?;
    tokio::task::block_in_place(|| redis.kill())?;
    sleep(SETTLED).await;
    measured.row("Redis down", lasts).await?;
    let n_standing = sessions.close().await?;
    tell(format_args!("{n_standing} of {mailboxes} sessions stood to the end"));
    Box::pin(cluster.finish()).await
}

/// Users that log in by token only; gives their ids.
pub(super) async fn import(
    cluster: &Cluster,
    n_users: usize,
) -> anyhow::Result<impl Iterator<Item = i64> + use<>> {
    let first = USERS + 1;
    let all: Vec<i64> = (first..).take(n_users).collect();
    for some in all.chunks(1_000) {
        let user = |n: &i64| Import {
            username: format!("user{n}"),
            full_name: format!("User {n}"),
            password_hash: None,
        };
        let ids = cluster.store.import_users(some.iter().map(user).collect()).await?;
        ensure!(ids.iter().map(|id| id.0).eq(some.iter().copied()), "ids follow one another");
    }
    Ok(all.into_iter())
}

/// So that what Postgres does some time after an import is not taken for the sweep.
async fn tidy_up(cluster: &Cluster) -> anyhow::Result<()> {
    let url = cluster.postgres.as_ref().context("there is one")?.url();
    let server = url.strip_suffix("postgres").context("the maintenance database")?;
    let url = format!("{server}switchboard");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    client.batch_execute("VACUUM (ANALYZE)").await?;
    client.batch_execute("CHECKPOINT").await?;
    drop(client);
    Ok(connection.await??)
}

/// Whose CPU time counts.
struct Measured {
    postmaster: Pid,
    nodes: [Pid; 2],
    addresses: [SocketAddr; 2],
}

/// At one moment, since the beginning.
struct Reading {
    at: Instant,
    postgres: Duration,
    nodes: Duration,
    /// Mailboxes, statements, and the seconds of those.
    swept: [f64; 3],
}

impl Measured {
    async fn read(&self) -> anyhow::Result<Reading> {
        let mut swept = [0.0; 3];
        for address in self.addresses {
            for (sum, name) in
                swept.iter_mut().zip(["swept_total", "sweep_seconds_count", "sweep_seconds_sum"])
            {
                *sum += metric(address, &format!("switchboard_hub_{name}")).await?;
            }
        }
        Ok(Reading {
            at: Instant::now(),
            postgres: cpu_of_family(self.postmaster)?,
            nodes: cpu(self.nodes[0])? + cpu(self.nodes[1])?,
            swept,
        })
    }

    /// What is used from now on for so long.
    async fn row(&self, what: &str, lasts: Duration) -> anyhow::Result<()> {
        let before = self.read().await?;
        sleep(lasts).await;
        let after = self.read().await?;
        let seconds = (after.at - before.at).as_secs_f64();
        let of_a_core = |time: Duration| 100.0 * time.as_secs_f64() / seconds;
        let [mailboxes, statements, took] = std::array::from_fn(|i| after.swept[i] - before.swept[i]);
        let statement = Duration::from_secs_f64(if statements > 0.0 { took / statements } else { 0.0 });
        tell(format_args!(
            "| {what}, {seconds:.0} s | {:.2} % | {:.2} % | {:.0} | {} | {:.1} |",
            of_a_core(after.postgres.saturating_sub(before.postgres)),
            of_a_core(after.nodes - before.nodes) / 2.0,
            mailboxes / seconds,
            text(statement),
            statements / seconds,
        ));
        Ok(())
    }
}
