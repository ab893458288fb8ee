//! Long poll and server-sent events: the same cursor, the same frames.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use switchboard_protocol::UserId;
use tokio::time::{Instant, timeout};

use crate::harness::http::{EventStream, bearer, get};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, connected};
use crate::{BOTH, Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(polling_gives_what_a_socket_gives, BOTH),
    test!(a_long_poll_is_woken, BOTH),
    test!(an_event_stream_resumes, BOTH),
];

async fn polling_gives_what_a_socket_gives(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    connected(&mut anns).await?;
    for n in 0..250 {
        drop(ann.post(UserId(2), "", &n.to_string(), None).await?);
    }
    ann.send(UserId(2), "", "last", None).await?;
    let mut socket = Socket::open(&cluster, 0, 2, "cursor=0").await?;
    let epoch = socket.next().await?["epoch"].clone();
    let mut cursor = 0;
    loop {
        let path = format!("/api/v1/events?cursor={cursor}&epoch={}", epoch.as_str().unwrap_or_default());
        let answer = get(cluster.address(1), &path, &[bearer(2)]).await?.json()?;
        ensure!(answer["epoch"] == epoch);
        let events = answer["events"].as_array().expect("a list");
        for event in events {
            ensure!(*event == socket.next().await?);
        }
        if events.is_empty() {
            break;
        }
        cursor = answer["cursor"].as_i64().expect("a number");
    }
    ensure!(cursor == 251);
    // Without a cursor: the present end, and nothing else.
    let end = get(cluster.address(0), "/api/v1/events", &[bearer(2)]).await?.json()?;
    ensure!(end["cursor"] == 251 && end["events"] == json!([]));
    let reset = get(cluster.address(0), "/api/v1/events?cursor=252&wait=30", &[bearer(2)]).await?.json()?;
    ensure!(reset["events"] == json!([{"type": "reset", "cursor": 251, "epoch": epoch}]), "{reset}");
    let bad = get(cluster.address(0), "/api/v1/events?cursor=x", &[bearer(2)]).await?;
    ensure!(bad.status == 400 && bad.json()?["code"] == "invalid_field", "{}", bad.body);
    cluster.finish().await
}

async fn a_long_poll_is_woken(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    connected(&mut anns).await?;
    let address = cluster.address(1);
    // An empty wait takes its time, and no longer.
    let begun = Instant::now();
    let answer = get(address, "/api/v1/events?cursor=0&wait=1", &[bearer(2)]).await?.json()?;
    ensure!(answer["events"] == json!([]) && begun.elapsed() >= Duration::from_millis(900));
    let poll =
        tokio::spawn(async move { get(address, "/api/v1/events?cursor=0&wait=30", &[bearer(2)]).await });
    // Until it waits, the node knows nothing of the mailbox.
    let waits = async || {
        let wanted = crate::harness::http::metric(address, "switchboard_layer_subscriptions").await?;
        Ok((wanted > 0.0 || cluster.pair == crate::harness::Pair::SqliteMemory).then_some(()))
    };
    crate::harness::eventually("the poll waits", Duration::from_secs(10), waits).await?;
    ann.send(UserId(2), "", "wake up", None).await?;
    let answer = timeout(Duration::from_secs(10), poll).await???.json()?;
    ensure!(answer["cursor"] == 1 && answer["events"][0]["data"]["content"] == "wake up", "{answer}");
    cluster.finish().await
}

async fn an_event_stream_resumes(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    connected(&mut anns).await?;
    let path = "/api/v1/events/stream";
    let mut stream = EventStream::open(cluster.address(1), path, &[bearer(2)]).await?;
    let (id, welcome) = stream.next().await?;
    ensure!((id, &welcome["type"]) == (0, &Value::from("welcome")));
    for n in 1..=150 {
        ann.send(UserId(2), "", &n.to_string(), None).await?;
        if n <= 3 {
            let (id, frame) = stream.next().await?;
            ensure!(id == n && frame["data"]["content"].as_str() == Some(&n.to_string()));
        }
    }
    drop(stream);
    // The header wins over the query.
    let epoch = welcome["epoch"].as_str().unwrap_or_default();
    let headers = [bearer(2), format!("Last-Event-ID: 3-{epoch}")];
    let mut stream =
        EventStream::open(cluster.address(0), "/api/v1/events/stream?cursor=99", &headers).await?;
    ensure!(stream.next().await?.1["cursor"] == 3);
    for n in 4..=150 {
        let (id, frame) = stream.next().await?;
        ensure!(id == n && frame["seq"] == n && frame["data"]["content"].as_str() == Some(&n.to_string()));
    }
    drop(stream);
    // Of another life of the store: of no use, whatever the query says.
    let headers = [bearer(2), "Last-Event-ID: 3-another".to_owned()];
    let mut stream = EventStream::open(cluster.address(0), "/api/v1/events/stream", &headers).await?;
    ensure!(stream.next().await?.1["type"] == "welcome" && stream.next().await?.1["type"] == "reset");
    drop(stream);
    cluster.finish().await
}
