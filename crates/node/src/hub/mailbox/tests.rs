//! The ways of the layer and of the store, one by one.

use bytes::Bytes;
use switchboard_protocol::MailboxId;

use super::*;
use crate::hub::outlet::Taken;
use crate::packet::Origin;

pub(super) fn packet(seq: i64) -> Packet {
    let (frame, payload, origin) = (seq.to_string().into(), Bytes::new(), Origin::here(None));
    Packet { mailbox: MailboxId(1), seq: Seq(seq), unread: 0, frame, payload, origin }
}

pub(super) fn head(last_seq: i64) -> Head {
    Head { mailbox: MailboxId(1), floor: Seq(0), last_seq: Seq(last_seq), unread: 0 }
}

fn outlet() -> Arc<Outlet> {
    Arc::new(Outlet::new(1 << 20, Arc::default()))
}

fn attached(at: i64) -> (Mailbox, Arc<Outlet>) {
    let (mut mailbox, outlet) = (Mailbox::default(), outlet());
    mailbox.observe(&head(at), None);
    assert_eq!(mailbox.join(Arc::clone(&outlet), &head(at)), Seq(at));
    (mailbox, outlet)
}

/// Takes a packet as a shard does that has one.
fn accept(mailbox: &mut Mailbox, packet: Packet) -> Accepted {
    let accepted = mailbox.accept(packet);
    mailbox.hand_over();
    accepted
}

async fn taken(outlet: &Outlet) -> Vec<i64> {
    match outlet.take().await.unwrap() {
        Taken::Items(items) => items.iter().map(|item| item.seq.0).collect(),
        Taken::Notices(notices) => panic!("{notices:?}"),
    }
}

#[tokio::test]
async fn loss_repetition_and_reordering_are_put_right() {
    let (mut mailbox, outlet) = attached(3);
    let arrivals = [5, 4, 4, 7, 5, 8, 3];
    use Accepted::{Duplicate, Early, Forwarded};
    let expected = [Early, Forwarded, Duplicate, Early, Duplicate, Early, Duplicate];
    assert_eq!(arrivals.map(|seq| accept(&mut mailbox, packet(seq))), expected);
    assert_eq!(mailbox.gap(), Some((Seq(5), Seq(8))));
    accept(&mut mailbox, packet(6));
    assert_eq!(mailbox.gap(), None);
    assert_eq!(taken(&outlet).await, [4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn what_arrives_during_attach_is_not_lost() {
    let (mut mailbox, outlet) = (Mailbox::default(), outlet());
    for seq in [6, 4, 5] {
        assert_eq!(accept(&mut mailbox, packet(seq)), Accepted::Early);
    }
    mailbox.observe(&head(4), None);
    // 5 and 6 were forwarded before the session was in: it pages up to 6.
    assert_eq!(mailbox.join(Arc::clone(&outlet), &head(4)), Seq(6));
    accept(&mut mailbox, packet(7));
    assert_eq!(taken(&outlet).await, [7]);
}

#[tokio::test]
async fn a_head_shows_a_gap_or_a_loss() {
    let (mut mailbox, outlet) = attached(3);
    mailbox.observe(&head(5), Some(Seq(3)));
    assert_eq!(mailbox.gap(), Some((Seq(3), Seq(5))));
    // An old answer says nothing; one below what was known when it was asked for does.
    accept(&mut mailbox, packet(4));
    mailbox.observe(&head(3), Some(Seq(3)));
    assert_eq!(taken(&outlet).await, [4]);
    mailbox.observe(&head(3), Some(Seq(4)));
    assert!(outlet.take().await.is_err());
    assert_eq!(mailbox.gap(), None);
}

/// The store came back with less, and a session attaches: it gets what is written from there on.
#[tokio::test]
async fn a_session_that_finds_the_store_set_back_is_served() {
    for left in [false, true] {
        let (mut mailbox, first) = attached(100);
        if left {
            first.close();
            mailbox.forward(packet(101));
        }
        let (before, outlet) = (mailbox.last(), outlet());
        mailbox.observe(&head(90), before);
        assert_eq!(mailbox.join(Arc::clone(&outlet), &head(90)), Seq(90));
        for seq in 91..=110 {
            assert_eq!(accept(&mut mailbox, packet(seq)), Accepted::Forwarded);
        }
        assert_eq!(taken(&outlet).await, (91..=110).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_the_store_does_not_have_is_not_waited_for() {
    let (mut mailbox, outlet) = attached(3);
    accept(&mut mailbox, packet(9));
    mailbox.disbelieve(Seq(9));
    assert_eq!(mailbox.gap(), None);
    accept(&mut mailbox, packet(4));
    assert_eq!(taken(&outlet).await, [4]);
}
