//! A node that is told to stop: it takes nobody new, lets its clients go one after the other, loses nothing, and ends in time.

mod leaving;
mod places;

use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use switchboard_protocol::UserId;
use tokio::time::{Instant, timeout};

use crate::harness::http::{EventStream, bearer};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, connected, next_message, send_numbers};
use crate::{BOTH, PROCESSES, Test, test};

use leaving::{a_stop_answers_requests_and_lets_nobody_in, each_session_leaves_at_its_own_time};
use places::who_finds_no_place_waits_or_is_refused;

pub(crate) const TESTS: &[Test] = &[
    test!(each_session_leaves_at_its_own_time, BOTH),
    test!(a_stop_answers_requests_and_lets_nobody_in, BOTH),
    test!(a_stop_under_load_loses_nothing, BOTH),
    test!(who_reads_nothing_does_not_hold_up_a_stop, BOTH, SHORT),
    test!(who_finds_no_place_waits_or_is_refused, PROCESSES, places::ONE),
];

/// A drain that leaves nobody much time.
const SHORT: &[(&str, &str)] = &[("SWITCHBOARD_SERVER__DRAIN_SECONDS", "6")];

/// Sessions on the first node, some a user, past their welcome. What they hear later is theirs to read.
async fn crowd(cluster: &Cluster, n_sessions: usize) -> anyhow::Result<Vec<Socket>> {
    let open = |n: usize| async move {
        // User 1 is not among them.
        let mut socket = Socket::open(cluster, 0, 2 + i64::try_from(n % 40)?, "").await?;
        let welcome = socket.next().await?;
        ensure!(welcome["type"] == "welcome", "{welcome}");
        anyhow::Ok(socket)
    };
    stream::iter((0..n_sessions).map(open)).buffer_unordered(16).try_collect().await
}

/// Two clients that are moved from one node to the other while they talk, among many that are moved as well.
async fn a_stop_under_load_loses_nothing(mut cluster: Cluster) -> anyhow::Result<()> {
    const MESSAGES: usize = 2_000;
    // They make a stop take its time.
    let crowd = crowd(&cluster, 300).await?;
    let (ann, mut anns) = cluster.client(1, &[0, 1], None);
    let (bob, mut bobs) = cluster.client(50, &[0, 1], None);
    connected(&mut anns).await?;
    connected(&mut bobs).await?;
    tokio::spawn(async move { while anns.recv().await.is_some() {} });
    let sending = tokio::spawn(send_numbers(ann, UserId(50), MESSAGES));
    let mut stopping = None;
    for n in 0..MESSAGES {
        if n == MESSAGES / 4 {
            stopping = cluster.begin_stop(0)?;
        }
        let content = next_message(&mut bobs).await?.content;
        ensure!(content == n.to_string(), "in order, nothing lost, nothing twice: {content} instead of {n}");
    }
    let ann = sending.await??;
    ensure!(ann.duplicates() + bob.duplicates() + ann.gaps() + bob.gaps() == 0);
    stopping.context("it was stopped")?.await??;
    drop(crowd);
    ensure!(cluster.store.count_messages().await? == i64::try_from(MESSAGES)?);
    cluster.finish().await
}

async fn who_reads_nothing_does_not_hold_up_a_stop(mut cluster: Cluster) -> anyhow::Result<()> {
    let silent = Socket::open(&cluster, 0, 2, "").await?;
    let stream = EventStream::open(cluster.address(0), "/api/v1/events/stream", &[bearer(2)]).await?;
    let (ann, mut anns) = cluster.client(1, &[1], None);
    connected(&mut anns).await?;
    tokio::spawn(async move { while anns.recv().await.is_some() {} });
    // More than kernels hold for a connection.
    let content = "x".repeat(32 * 1024);
    let mut answers = Vec::new();
    for _ in 0..600 {
        answers.push(ann.post(UserId(2), "", &content, None).await?);
    }
    for answer in answers {
        answer.await?;
    }
    let begun = Instant::now();
    let stopping = cluster.begin_stop(0)?.context("it runs")?;
    timeout(Duration::from_secs(7), stopping).await.context("within its drain time")???;
    crate::tell(format_args!("a stop past clients that read nothing took {:?}", begun.elapsed()));
    drop((silent, stream));
    // What they did not read is there when they come back.
    let mut back = Socket::open(&cluster, 1, 2, "cursor=599").await?;
    ensure!(back.next().await?["type"] == "welcome");
    ensure!(back.next().await?["seq"] == 600);
    cluster.finish().await
}
