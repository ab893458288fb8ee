//! Old and new nodes together: what a node does with what only a later version knows.

use anyhow::{Context, ensure};

use crate::attachments::kit::sql;
use crate::harness::http::{EventStream, bearer, get};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, connected, next_entry, next_message};
use crate::{PROCESSES, Test, test};
use switchboard_protocol::{Seq, UserId};

pub(crate) const TESTS: &[Test] = &[
    test!(an_entry_of_a_later_kind_waits_for_its_reader, PROCESSES),
    test!(a_restored_store_has_every_client_load_anew, PROCESSES),
];

/// Also one whose cursor the mailbox has grown past since.
async fn a_restored_store_has_every_client_load_anew(mut cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    let epoch = connected(&mut anns).await?.epoch;
    for content in ["1", "2", "3"] {
        ann.send(UserId(2), "", content, None).await?;
    }
    drop((ann, anns));
    for node in [0, 1] {
        cluster.stop_node(node).await?;
    }
    let restored = cluster.command(&["restored"]).output()?;
    ensure!(restored.status.success(), "{restored:?}");
    cluster.restart_node(0).await?;
    let path = format!("/api/v1/events?cursor=2&epoch={epoch}");
    let polled = get(cluster.address(0), &path, &[bearer(1)]).await?.json()?;
    ensure!(polled["events"][0]["type"] == "reset" && polled["epoch"] != epoch.as_str(), "{polled}");
    cluster.finish().await
}

/// A session that comes to such an entry is sent away with its cursor before it, and gets it, once and in order, as soon
/// as the node that it comes to can read it. Nobody else notices.
async fn an_entry_of_a_later_kind_waits_for_its_reader(cluster: Cluster) -> anyhow::Result<()> {
    let client = sql(&cluster).await?.context("no Postgres")?;
    let become_kind = async |kind: i16| {
        let text = "UPDATE mailbox_entries SET kind = $1 WHERE seq = 2 \
                    AND mailbox_id = (SELECT id FROM mailboxes WHERE owner_id = 2)";
        client.execute(text, &[&kind]).await
    };
    let (ann, mut anns) = cluster.client(1, &[0], None);
    connected(&mut anns).await?;
    for content in ["1", "2", "3"] {
        ann.send(UserId(2), "", content, None).await?;
    }
    become_kind(77).await?;

    let mut socket = Socket::open(&cluster, 1, 2, "cursor=0").await?;
    ensure!(socket.next().await?["cursor"] == 0);
    ensure!(socket.next().await?["seq"] == 1, "what is before it comes");
    ensure!(socket.close_code().await? == 1013);
    let mut stream =
        EventStream::open(cluster.address(1), "/api/v1/events/stream?cursor=1", &[bearer(2)]).await?;
    stream.next().await?;
    ensure!(stream.next().await.is_err(), "it ends without an event");
    let poll = async |cursor| {
        get(cluster.address(1), &format!("/api/v1/events?cursor={cursor}"), &[bearer(2)]).await
    };
    ensure!(poll(0).await?.json()?["cursor"] == 1 && poll(1).await?.status == 503);

    // One that is live, and one that comes back again and again.
    let (_bob, mut bobs) = cluster.client(2, &[1], Some(0));
    ensure!(next_entry(&mut bobs).await?.0 == Seq(1));
    let (_live, mut lives) = cluster.client(2, &[1], None);
    connected(&mut lives).await?;
    ann.send(UserId(2), "", "4", None).await?;
    ensure!(next_message(&mut lives).await?.content == "4", "after it, all is as ever");
    ann.send(UserId(3), "", "x", None).await?;

    become_kind(1).await?;
    for seq in 2..=4 {
        ensure!(next_entry(&mut bobs).await?.0 == Seq(seq));
    }
    cluster.finish().await
}
