//! Two nodes race over the same mailboxes: the same sends, the same read marks, other sends in between.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::ensure;
use switchboard_client::{Client, RequestError};
use switchboard_protocol::{ErrorCode, MessageId, UserId};
use tokio::time::Instant;

use crate::harness::{Cluster, Pair, connected};
use crate::{BOTH, Test, test};

pub(crate) const TESTS: &[Test] = &[test!(two_nodes_race, BOTH)];

/// Few, so that every batch of either node wants the mailboxes of the other's.
const RACERS: i64 = 6;

async fn two_nodes_race(cluster: Cluster) -> anyhow::Result<()> {
    let lasts = Duration::from_secs(if cluster.pair == Pair::PostgresRedis { 30 } else { 5 });
    let end = Instant::now() + lasts;
    let mut racers = tokio::task::JoinSet::new();
    for user in 1..=RACERS {
        for node in 0..2 {
            let (client, mut events) = cluster.client(user, &[node], None);
            connected(&mut events).await?;
            tokio::spawn(async move { while events.recv().await.is_some() {} });
            racers.spawn(race(client, user, node, end));
        }
    }
    let mut ids = HashMap::new();
    let mut sends = 0;
    while let Some(result) = racers.join_next().await {
        for (client_message_id, message_id) in result?? {
            sends += 1;
            let first = *ids.entry(client_message_id.clone()).or_insert(message_id);
            ensure!(first == message_id, "{client_message_id} is {first} and {message_id}");
        }
    }
    ensure!(sends > 1_000, "{sends} sends are no race");
    let n_messages = cluster.store.count_messages().await?;
    ensure!(n_messages == ids.len() as i64, "{n_messages} messages for {} client ids", ids.len());
    if let Some(postgres) = &cluster.postgres {
        let (client, connection) = tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        let query = "SELECT coalesce(sum(deadlocks), 0)::int8 FROM pg_stat_database";
        let deadlocks: i64 = client.query_one(query, &[]).await?.get(0);
        ensure!(deadlocks == 0, "{deadlocks} deadlocks");
    }
    cluster.finish().await
}

/// Sends the same messages as this user's other half on the other node, and marks the same ones read; every
/// third message is this half's own.
async fn race(
    client: Client,
    user: i64,
    node: usize,
    end: Instant,
) -> anyhow::Result<Vec<(String, MessageId)>> {
    let mut sent = Vec::new();
    for round in 0.. {
        if Instant::now() > end {
            break;
        }
        let mut answers = Vec::new();
        for n in 0..6 {
            let recipient = UserId((user + round + n) % RACERS + 1);
            let half = if n % 3 == 0 { node } else { 2 };
            let client_message_id = format!("{user}-{round}-{n}-{half}");
            let answer = client.post(recipient, "", "x", Some(client_message_id.clone())).await?;
            answers.push((client_message_id, answer));
        }
        for (client_message_id, answer) in answers {
            let message_id = answer.await?.message_id;
            sent.push((format!("{user}/{client_message_id}"), message_id));
            // Most of these belong to others, or come from this user: refused, and harmless.
            for guess in [message_id.0, message_id.0 - 3] {
                match client.mark_read(MessageId(guess.max(1))).await {
                    Ok(()) => {}
                    Err(RequestError::Refused(error)) if error.code == ErrorCode::NotFound => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    client.close().await;
    Ok(sent)
}
