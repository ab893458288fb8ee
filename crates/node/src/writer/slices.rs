//! What is announced of a batch, slice by slice: a message to a group is as many packets as it has members, each with the
//! whole text, and a batch has hundreds of them.

use std::iter;

use switchboard_store::Entry;

use crate::packet::{Origin, Packet};

/// Bytes of packets that are made before they are announced. With what the layer's queue and the sessions hold of the
/// packets before, it is all that a batch takes here. A batch of small messages is one slice.
const SLICE_BYTES: usize = 4 * 1024 * 1024;

/// The packets of these changes, in order. Each slice is made when it is asked for.
pub(super) fn slices<'a>(
    changes: impl Iterator<Item = (&'a [Entry], &'a Origin)>,
) -> impl Iterator<Item = Vec<Packet>> {
    let mut packets = changes.flat_map(|(entries, origin)| packets(entries, origin));
    iter::from_fn(move || {
        let (mut slice, mut n_bytes) = (Vec::new(), 0);
        while n_bytes < SLICE_BYTES
            && let Some(packet) = packets.next()
        {
            n_bytes += packet.payload.len();
            slice.push(packet);
        }
        (!slice.is_empty()).then_some(slice)
    })
}

/// The packets of one change, as far as they can be written.
fn packets(entries: &[Entry], origin: &Origin) -> impl Iterator<Item = Packet> {
    // The entries are durable, and the sweep delivers them.
    let report = |error: &_| tracing::error!("an entry cannot be written as JSON: {error}");
    let made = Packet::of_change(entries, origin).inspect_err(report);
    made.into_iter().flatten().filter_map(move |packet| packet.inspect_err(report).ok())
}

#[cfg(test)]
mod tests {
    use switchboard_protocol::{ConversationId, MailboxId, MessageId, Seq, Timestamp};
    use switchboard_store::Event;

    use super::*;

    /// A text of so many bytes for as many mailboxes.
    fn change(n_mailboxes: i64, seq: i64, n_bytes: usize) -> Vec<Entry> {
        let event = Event::Edited {
            message: MessageId(1),
            conversation: ConversationId(1),
            subject: "x".into(),
            content: "x".repeat(n_bytes).into(),
            edited_at: Timestamp(1),
        };
        let entry =
            |mailbox| Entry { mailbox: MailboxId(mailbox), seq: Seq(seq), unread: 0, event: event.clone() };
        (1..=n_mailboxes).map(entry).collect()
    }

    #[track_caller]
    fn check(changes: &[Vec<Entry>], n_slices: usize) {
        let origin = Origin::here(None);
        let slices: Vec<_> = slices(changes.iter().map(|entries| (entries.as_slice(), &origin))).collect();
        assert_eq!(slices.len(), n_slices);
        let all = slices.iter().flatten().map(|packet| (packet.mailbox, packet.seq));
        assert!(all.eq(changes.iter().flatten().map(|entry| (entry.mailbox, entry.seq))), "all, in order");
        for slice in &slices {
            let (last, others) = slice.split_last().unwrap();
            let n_bytes =
                |packets: &[Packet]| packets.iter().map(|packet| packet.payload.len()).sum::<usize>();
            assert!(n_bytes(others) < SLICE_BYTES, "{} and {}", n_bytes(others), last.payload.len());
        }
    }

    #[test]
    fn a_batch_of_small_messages_is_one_slice() {
        check(&vec![change(2, 1, 1_000); 256], 1);
        check(&[], 0);
        check(&[Vec::new()], 0);
    }

    #[test]
    fn a_batch_of_large_ones_is_never_made_as_a_whole() {
        let changes: Vec<_> = (1..=3).map(|seq| change(100, seq, 200_000)).collect();
        check(&changes, 15);
    }
}
