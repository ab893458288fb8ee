//! A message reaches its recipient on the other node, once and in order, and its sender knows.

use std::collections::HashMap;

use anyhow::ensure;
use switchboard_protocol::{ServerFrame, UserId};

use crate::harness::http::{bearer, get};
use crate::harness::{Cluster, DEADLINE, USERS, connected, eventually, next_entry, next_message};
use crate::{BOTH, Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(a_message_crosses_and_survives, BOTH),
    test!(every_device_hears_of_it, BOTH),
    test!(fifty_users_write_at_once, BOTH),
    test!(own_writes_are_seen_on_the_other_node, BOTH),
];

async fn a_message_crosses_and_survives(mut cluster: Cluster) -> anyhow::Result<()> {
    let (ann, _) = cluster.client(1, &[0], None);
    let (bob, mut bobs) = cluster.client(2, &[1], None);
    connected(&mut bobs).await?;
    let sent = ann.send(UserId(2), "", "over the \u{1F30D}", Some("c1".to_owned())).await?;
    let (seq, frame) = next_entry(&mut bobs).await?;
    let ServerFrame::NewMessage { data, .. } = frame else { panic!("{frame:?}") };
    ensure!((seq.0, data.content.as_str(), data.sender_id) == (1, "over the \u{1F30D}", UserId(1)));
    ensure!((data.message_id, sent.seq.0, sent.repeat) == (sent.message_id, 1, false));
    ann.close().await;
    bob.close().await;
    for node in 0..2 {
        cluster.restart_node(node).await?;
    }
    for (user, kind) in [(1, "message_sent"), (2, "new_message")] {
        let answer = get(cluster.address(0), "/api/v1/events?cursor=0", &[bearer(user)]).await?;
        let events = answer.json()?;
        ensure!(events["cursor"] == 1 && events["events"][0]["type"] == kind, "{events}");
        ensure!(events["events"][0]["data"]["content"] == "over the \u{1F30D}", "{events}");
    }
    // The same request on the other node, after all that, is the same message.
    let (ann, _) = cluster.client(1, &[1], None);
    let again = ann.send(UserId(2), "", "over the \u{1F30D}", Some("c1".to_owned())).await?;
    ensure!((again.message_id, again.seq, again.repeat) == (sent.message_id, sent.seq, true));
    cluster.finish().await
}

async fn every_device_hears_of_it(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut phone) = cluster.client(1, &[0], None);
    let (_laptop, mut laptop) = cluster.client(1, &[1], None);
    let (bob, mut bobs) = cluster.client(2, &[0], None);
    let (_bobs_phone, mut bobs_phone) = cluster.client(2, &[1], None);
    for events in [&mut phone, &mut laptop, &mut bobs, &mut bobs_phone] {
        connected(events).await?;
    }
    let sent = ann.send(UserId(2), "s", "x", None).await?.message_id;
    for events in [&mut phone, &mut laptop] {
        let (seq, frame) = next_entry(events).await?;
        ensure!(
            matches!(&frame, ServerFrame::MessageSent { message_id, .. } if *message_id == sent),
            "{frame:?}"
        );
        ensure!(seq.0 == 1);
    }
    next_message(&mut bobs).await?;
    next_message(&mut bobs_phone).await?;
    bob.mark_read(sent).await?;
    for events in [&mut bobs, &mut bobs_phone] {
        let (seq, frame) = next_entry(events).await?;
        ensure!(matches!(frame, ServerFrame::MessageRead { unread_count: 0, .. }), "{frame:?}");
        ensure!(seq.0 == 2);
    }
    for events in [&mut phone, &mut laptop] {
        let (_, frame) = next_entry(events).await?;
        ensure!(matches!(&frame, ServerFrame::ReadReceipt { reader_id: UserId(2), .. }), "{frame:?}");
    }
    // To oneself: sent, then received, and read from the start.
    ann.send(UserId(1), "", "note", None).await?;
    for events in [&mut phone, &mut laptop] {
        ensure!(matches!(next_entry(events).await?.1, ServerFrame::MessageSent { .. }));
        ensure!(next_message(events).await?.is_read);
    }
    ensure!(ann.unread_count().await? == 0);
    cluster.finish().await
}

/// 2,000 messages, each user to the next and the one before, half of the users on either node.
async fn fifty_users_write_at_once(cluster: Cluster) -> anyhow::Result<()> {
    const EACH: usize = 40;
    let mut clients = Vec::new();
    for user in 1..=USERS {
        let (client, mut events) = cluster.client(user, &[usize::from(user % 2 == 0)], None);
        connected(&mut events).await?;
        clients.push((user, client, events));
    }
    let mut users = tokio::task::JoinSet::new();
    for (user, client, mut events) in clients {
        users.spawn(async move {
            let neighbours = [user % USERS + 1, (user + USERS - 2) % USERS + 1];
            let mut answers = Vec::new();
            for n in 0..EACH {
                let text = format!("{n}");
                answers.push(client.post(UserId(neighbours[n % 2]), "", &text, None).await?);
            }
            let mut acknowledged = Vec::new();
            for answer in answers {
                acknowledged.push(answer.await?.message_id);
            }
            let (mut own, mut others) = (Vec::new(), HashMap::<UserId, Vec<i64>>::new());
            let mut last = 0;
            while last < 2 * EACH as i64 {
                let (seq, frame) = next_entry(&mut events).await?;
                ensure!(seq.0 == last + 1, "gapless and once");
                last = seq.0;
                match frame {
                    ServerFrame::MessageSent { message_id, .. } => own.push(message_id),
                    ServerFrame::NewMessage { data, .. } => {
                        others.entry(data.sender_id).or_default().push(data.content.parse()?);
                    }
                    other => panic!("{other:?}"),
                }
            }
            ensure!(own == acknowledged, "each acknowledged message is an entry, in the order of sending");
            ensure!(others.len() == 2);
            for (sender, numbers) in others {
                ensure!(numbers.len() == EACH / 2 && numbers.is_sorted(), "from {sender}: {numbers:?}");
            }
            ensure!(client.duplicates() == 0 && client.gaps() == 0);
            anyhow::Ok(())
        });
    }
    while let Some(result) = users.join_next().await {
        result??;
    }
    ensure!(cluster.store.count_messages().await? == 2_000);
    cluster.finish().await
}

async fn own_writes_are_seen_on_the_other_node(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    let (bob, mut bobs) = cluster.client(2, &[1], None);
    connected(&mut anns).await?;
    connected(&mut bobs).await?;
    for n in 1..=20 {
        let sent = ann.send(UserId(2), "", "x", None).await?;
        ensure!(bob.unread_count().await? == n, "as soon as it is acknowledged");
        let answer =
            get(cluster.address(1), "/api/v1/conversations/1/messages?limit=1", &[bearer(2)]).await?;
        ensure!(answer.json()?["messages"][0]["message_id"] == sent.message_id.0, "{}", answer.body);
    }
    // A stranger sees no more of it than of what does not exist.
    let foreign = get(cluster.address(0), "/api/v1/conversations/1/messages", &[bearer(3)]).await?;
    let missing = get(cluster.address(0), "/api/v1/conversations/99/messages", &[bearer(3)]).await?;
    ensure!((foreign.status, &foreign.body) == (404, &missing.body));
    ann.close().await;
    bob.close().await;
    let gone = async || {
        let sessions = crate::harness::http::metric(cluster.address(0), "switchboard_sessions").await?;
        Ok((sessions == 0.0).then_some(()))
    };
    eventually("sessions are gone", DEADLINE, gone).await?;
    cluster.finish().await
}
