//! What holds on both back ends.

use std::collections::HashSet;

use anyhow::ensure;
use futures_util::future;
use libtest_mimic::Trial;
use switchboard_channel_layer::{Channel, Event};

use crate::kit::{Fleet, SOON, publication, trial, until};

type Make = fn() -> anyhow::Result<Fleet>;

pub(crate) fn trials(backend: &str, make: Make) -> Vec<Trial> {
    let name = |case: &str| format!("{backend}::{case}");
    vec![
        trial(name("a_publish_reaches_all_that_subscribed"), move || reaches_all(make)),
        trial(name("order_of_one_publisher_is_kept"), move || keeps_order(make)),
        trial(name("unsubscribed_hears_nothing"), move || unsubscribed(make)),
        trial(name("five_thousand_channels_at_once"), move || five_thousand(make)),
        trial(name("many_callers_subscribe_one_channel"), move || many_callers(make)),
        trial(name("a_node_that_does_not_listen_is_told"), move || overflow(make)),
    ]
}

async fn reaches_all(make: Make) -> anyhow::Result<()> {
    let fleet = make()?;
    let (mut a, mut b, mut c) = (fleet.node().await?, fleet.node().await?, fleet.node().await?);
    a.subscribe("room").await?;
    b.subscribe("room").await?;
    c.subscribe("another").await?;
    a.publish("room", "to a and b");
    a.publish("another", "to c");
    ensure!(a.messages(1).await? == ["to a and b"]);
    ensure!(b.messages(1).await? == ["to a and b"]);
    ensure!(c.messages(1).await? == ["to c"]);

    let counters = b.layer.counters();
    ensure!((counters.received, counters.subscriptions) == (1, 1), "{counters:?}");
    until(SOON, || a.layer.counters().published == 2).await?;
    for node in [a, b, c] {
        node.end().await?;
    }
    Ok(())
}

async fn keeps_order(make: Make) -> anyhow::Result<()> {
    let fleet = make()?;
    let (a, mut b) = (fleet.node().await?, fleet.node().await?);
    b.subscribe("room").await?;
    let numbers: Vec<_> = (0..20_000).map(|number| number.to_string()).collect();
    // Batches below and above what fits one pipeline.
    let batches = numbers.chunks(500).flat_map(|numbers| <[_; 2]>::from(numbers.split_at(7)));
    for batch in batches {
        let batch = batch.iter().map(|number| publication("room", number));
        a.layer.publish(batch.collect());
    }
    ensure!(b.messages(numbers.len()).await? == numbers);
    Ok(())
}

async fn unsubscribed(make: Make) -> anyhow::Result<()> {
    let fleet = make()?;
    let (a, mut b) = (fleet.node().await?, fleet.node().await?);
    b.subscribe("left").await?;
    b.subscribe("kept").await?;
    b.layer.unsubscribe(&Channel::new("left"));
    // What is asked for later is not confirmed before it.
    b.subscribe("later").await?;
    a.publish("left", "not for b");
    a.publish("kept", "for b");
    ensure!(b.messages(1).await? == ["for b"]);

    b.subscribe("left").await?;
    a.publish("left", "for b again");
    ensure!(b.messages(1).await? == ["for b again"]);
    ensure!(b.layer.counters().subscriptions == 3);
    Ok(())
}

async fn five_thousand(make: Make) -> anyhow::Result<()> {
    let fleet = make()?;
    let (a, mut b) = (fleet.node().await?, fleet.node().await?);
    let names: Vec<_> = (0..5_000).map(|i| format!("mailbox-{i}")).collect();
    future::try_join_all(names.iter().map(|name| b.subscribe(name))).await?;
    a.layer.publish(names.iter().map(|name| publication(name, name)).collect());
    let heard: HashSet<_> = b.messages(names.len()).await?.into_iter().collect();
    ensure!(heard.len() == names.len());
    Ok(())
}

async fn many_callers(make: Make) -> anyhow::Result<()> {
    let fleet = make()?;
    let mut node = fleet.node().await?;
    future::try_join_all((0..100).map(|_| node.subscribe("room"))).await?;
    ensure!(node.layer.counters().subscriptions == 1);
    node.publish("room", "once");
    node.publish("room", "last");
    ensure!(node.messages(2).await? == ["once", "last"]);
    Ok(())
}

/// A node that takes no events loses messages, is told so behind what was kept, and hears the next ones.
async fn overflow(make: Make) -> anyhow::Result<()> {
    let fleet = make()?;
    let (a, mut b) = (fleet.node().await?, fleet.node().await?);
    b.subscribe("room").await?;
    // An event holds one message of this size, so that the queue is full before the messages are many.
    let large = "x".repeat(60_000);
    let n_messages = 1_100;
    for n_published in 1..=n_messages {
        a.publish("room", &large);
        until(SOON, || a.layer.counters().published == n_published).await?;
    }
    let heard = || {
        let counters = b.layer.counters();
        (counters.received, counters.received_dropped)
    };
    until(SOON, || heard().0 + heard().1 == n_messages).await?;
    let (n_received, n_dropped) = heard();
    ensure!(n_dropped > 0, "received {n_received}, dropped {n_dropped}");
    b.expect(Event::Restored, SOON).await?;
    a.publish("room", "after");
    ensure!(b.messages(1).await? == ["after"]);
    Ok(())
}
