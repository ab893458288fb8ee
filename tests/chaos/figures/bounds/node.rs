//! A node is killed under clients that may connect to either.

use std::time::Duration;

use switchboard_protocol::UserId;
use tokio::time::{Instant, sleep};

use super::{between, cluster, finish};
use crate::Dice;
use crate::figures::spread::Spread;
use crate::figures::talk::{self, BACKOFF, Talk};

/// One reads on the node that dies, another writes there.
pub(super) async fn killed(tries: usize) -> anyhow::Result<()> {
    let mut cluster = cluster().await?;
    let (mut read, mut written) = (Spread::default(), Spread::default());
    let mut dice = Dice(3);
    let mut n_written = 0;
    for _ in 0..tries {
        let (stays, dies) = (cluster.address(0), cluster.address(1));
        let ends = (talk::client(1, &[stays]), talk::client(2, &[dies, stays]));
        let mut reader_moves = Talk::start(ends.0, ends.1, UserId(2)).await?;
        let ends = (talk::client(3, &[dies, stays]), talk::client(4, &[stays]));
        let mut writer_moves = Talk::start(ends.0, ends.1, UserId(4)).await?;
        sleep(between(&mut dice, 100, 1_000)).await;
        let killed = Instant::now();
        Box::pin(cluster.kill_node(1)).await?;
        let back = |log: &talk::Log| log.back_after(killed);
        read.add(reader_moves.until_heard("the next message is applied", back).await? - killed);
        written.add(writer_moves.until_acknowledged("the next message is stored", back).await? - killed);
        sleep(Duration::from_millis(200)).await;
        n_written += reader_moves.finish().await?.len() + writer_moves.finish().await?.len();
        Box::pin(cluster.restart_node(1)).await?;
    }
    let waits = format!("clients wait up to {} ms, doubling", BACKOFF.min.as_millis());
    read.row(&format!("Node killed: until its client applied its next message ({waits})"), "nothing lost");
    written.row(
        &format!("Node killed: until its client's next message is acknowledged ({waits})"),
        "nothing lost",
    );
    finish(cluster, n_written).await
}
