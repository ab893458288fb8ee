//! What a device shows of the entries that it applies.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use switchboard_protocol::{MessageData, MessageId, ServerFrame, UserId};

use crate::harness::device;

/// A message as a device shows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) sender: i64,
    pub(super) recipient: i64,
    pub(super) content: String,
    pub(super) is_read: bool,
    pub(super) n_files: usize,
}

impl From<&MessageData> for Shown {
    fn from(data: &MessageData) -> Self {
        Self {
            sender: data.sender_id.0,
            // There are no groups here.
            recipient: data.recipient_id.unwrap_or_default().0,
            content: data.content.clone(),
            is_read: data.is_read,
            n_files: data.attachments.len(),
        }
    }
}

/// What a device knows.
pub(super) struct State {
    pub(super) user: i64,
    pub(super) seq: i64,
    pub(super) shown: BTreeMap<MessageId, Shown>,
    deleted: BTreeSet<MessageId>,
}

pub(super) type Device = device::Device<State>;

impl State {
    /// Received and not read.
    pub(super) fn unread(&self) -> i64 {
        self.shown.values().filter(|it| it.recipient == self.user && !it.is_read).count() as i64
    }

    /// Those that were deleted meanwhile are not there.
    fn mark(
        &mut self,
        one: MessageId,
        several: &[MessageId],
        is_right: impl Fn(&Shown, i64) -> bool,
    ) -> anyhow::Result<()> {
        let ids = if several.is_empty() { vec![one] } else { several.to_vec() };
        for id in ids {
            if let Some(shown) = self.shown.get_mut(&id) {
                ensure!(is_right(shown, self.user), "{shown:?} was marked for {}", self.user);
                shown.is_read = true;
            }
        }
        Ok(())
    }
}

impl device::State for State {
    fn new(user: i64) -> Self {
        Self { user, seq: 0, shown: BTreeMap::new(), deleted: BTreeSet::new() }
    }

    fn user(&self) -> i64 {
        self.user
    }

    fn seq(&self) -> i64 {
        self.seq
    }

    fn apply(&mut self, seq: i64, frame: &ServerFrame) -> anyhow::Result<()> {
        ensure!(seq == self.seq + 1, "{} after {}", seq, self.seq);
        self.seq = seq;
        check_canaries(self.user, &format!("{frame:?}"))?;
        match frame {
            ServerFrame::NewMessage { data, .. } | ServerFrame::MessageSent { data, .. } => {
                let is_own = matches!(frame, ServerFrame::MessageSent { .. });
                let owner = if is_own { Some(data.sender_id) } else { data.recipient_id };
                ensure!(owner == Some(UserId(self.user)), "{data:?}");
                ensure!(!self.deleted.contains(&data.message_id), "{data:?} came back");
                let before = self.shown.insert(data.message_id, Shown::from(data));
                let to_oneself = data.recipient_id == Some(data.sender_id) && !is_own;
                ensure!(before.is_some() == to_oneself, "{data:?} came twice, or not first as sent");
            }
            ServerFrame::MessageRead { message_id, message_ids, unread_count, .. } => {
                ensure!(*unread_count >= 0, "{frame:?}");
                self.mark(*message_id, message_ids, |shown, user| shown.recipient == user)?;
            }
            ServerFrame::ReadReceipt { message_id, message_ids, .. } => {
                self.mark(*message_id, message_ids, |shown, user| shown.sender == user)?;
            }
            ServerFrame::MessageDeleted { message_id, unread_count, .. } => {
                ensure!(*unread_count >= 0, "{frame:?}");
                ensure!(self.deleted.insert(*message_id), "{message_id} was deleted twice");
                self.shown.remove(message_id);
            }
            ServerFrame::Void { .. } => {}
            other => anyhow::bail!("no entry: {other:?}"),
        }
        Ok(())
    }
}

/// Each content and file name says whose it is.
pub(super) fn canary(sender: i64, recipient: i64, n: usize) -> String {
    format!("canary-{sender}-{recipient}-{n}")
}

/// Nothing that a user is given has a canary of others.
pub(super) fn check_canaries(user: i64, text: &str) -> anyhow::Result<()> {
    for (at, _) in text.match_indices("canary-") {
        let mut parties = text[at + 7..].split('-').map(str::parse);
        let parties = [parties.next().context("no sender")??, parties.next().context("no recipient")??];
        ensure!(parties.contains(&user), "{user} sees {}", &text[at..text.len().min(at + 40)]);
    }
    Ok(())
}
