//! The users with their devices, and what the answers to their deeds have said.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde_json::Value;
use switchboard_protocol::MessageId;

use super::Dice;
use super::device::{Device, Shown, check_canaries};
use crate::harness::Cluster;
use crate::harness::http::{Answer, bearer, send, send_json};

pub(super) const USERS: [i64; 4] = [1, 2, 3, 4];

/// A message that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) id: MessageId,
    pub(super) sender: i64,
    pub(super) recipient: i64,
    pub(super) content: String,
    pub(super) n_files: usize,
    /// Absent where it has no name to be repeated by.
    pub(super) client_message_id: Option<String>,
    /// None where it was read and deleted at once, and nobody can tell which came first.
    pub(super) read: Option<bool>,
    pub(super) gone_for_sender: bool,
    pub(super) gone_for_recipient: bool,
}

impl Sent {
    pub(super) fn is_gone_for(&self, user: i64) -> bool {
        match (self.sender == user, self.recipient == user) {
            (true, _) => self.gone_for_sender,
            (false, true) => self.gone_for_recipient,
            _ => true,
        }
    }

    fn delete(&mut self, actor: i64) {
        self.gone_for_recipient = true;
        self.gone_for_sender |= self.sender == actor;
    }
}

/// What an answer said.
pub(super) enum Effect {
    Nothing,
    Sent(Vec<Sent>),
    /// Marked for certain.
    Read(MessageId),
    /// Marked unless it was deleted before.
    Listed(Vec<MessageId>),
    Deleted(i64, MessageId),
    /// It must be gone for this user.
    Missing(i64, MessageId),
}

pub(super) struct World {
    pub(super) cluster: Cluster,
    pub(super) devices: Vec<Device>,
    pub(super) sent: BTreeMap<MessageId, Sent>,
    pub(super) n_named: usize,
}

impl World {
    pub(super) async fn new(cluster: Cluster) -> anyhow::Result<Self> {
        let mut devices = Vec::new();
        for user in USERS {
            let node = usize::from(user % 2 == 0);
            devices.push(Device::socket(&cluster, user, node));
            devices.push(match user {
                1 | 2 => Device::poll(user, 1 - node),
                _ => Device::socket(&cluster, user, 1 - node),
            });
        }
        Ok(Self { cluster, devices, sent: BTreeMap::new(), n_named: 0 })
    }

    /// A request of a user, on a node, whose answer shows nothing of others.
    pub(super) async fn ask(
        &self,
        user: i64,
        node: usize,
        method: &str,
        path: &str,
    ) -> anyhow::Result<Answer> {
        let answer = send(self.cluster.address(node), method, path, &[bearer(user)], &[]).await?;
        self.check(user, answer)
    }

    pub(super) async fn post(
        &self,
        user: i64,
        node: usize,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let answer = send_json(self.cluster.address(node), "POST", path, &[bearer(user)], body).await?;
        self.check(user, answer)
    }

    pub(super) async fn form(
        &self,
        user: i64,
        node: usize,
        path: &str,
        (media_type, body): (String, Vec<u8>),
    ) -> anyhow::Result<Answer> {
        let headers = [bearer(user), media_type, "X-Requested-With: XMLHttpRequest".to_owned()];
        let answer = send(self.cluster.address(node), "POST", path, &headers, &body).await?;
        self.check(user, answer)
    }

    fn check(&self, user: i64, answer: Answer) -> anyhow::Result<Answer> {
        check_canaries(user, &answer.head)?;
        check_canaries(user, &answer.body)?;
        ensure!(answer.status < 500, "{} {}", answer.status, answer.body);
        Ok(answer)
    }

    /// Takes what the answers to deeds that were done at once said: deletions first, since others may have met them.
    pub(super) fn note(&mut self, mut effects: Vec<Effect>) -> anyhow::Result<()> {
        effects.sort_by_key(|effect| match effect {
            Effect::Sent(_) => 0,
            Effect::Deleted(..) => 1,
            _ => 2,
        });
        for effect in effects {
            match effect {
                Effect::Nothing => {}
                Effect::Sent(messages) => {
                    for message in messages {
                        let id = message.id;
                        ensure!(self.sent.insert(id, message).is_none(), "{id} was given twice");
                    }
                }
                Effect::Deleted(actor, id) => self.sent.get_mut(&id).context("unknown")?.delete(actor),
                Effect::Read(id) => self.sent.get_mut(&id).context("unknown")?.read = Some(true),
                Effect::Listed(ids) => {
                    for id in ids {
                        self.note_listed(id);
                    }
                }
                Effect::Missing(user, id) => {
                    ensure!(self.sent[&id].is_gone_for(user), "{id} is not gone for {user}")
                }
            }
        }
        Ok(())
    }

    /// One that is unknown was sent in the same breath, by somebody who noted it before.
    fn note_listed(&mut self, id: MessageId) {
        if let Some(sent) = self.sent.get_mut(&id) {
            let read = if sent.gone_for_recipient { None } else { Some(true) };
            if sent.read != Some(true) {
                sent.read = read;
            }
        }
    }

    /// Some devices apply what has come, some go away and come back.
    pub(super) async fn drain(&mut self, dice: &mut Dice) -> anyhow::Result<()> {
        for device in &mut self.devices {
            match dice.roll(12) {
                0 => device.reconnect(&self.cluster),
                1..=6 => device.drain(&self.cluster).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What a user must see, with whether it is read where that is known.
    pub(super) fn expected(&self, user: i64) -> BTreeMap<MessageId, (Shown, bool)> {
        let visible = self.sent.values().filter(|sent| !sent.is_gone_for(user));
        let shown = visible.map(|sent| {
            let shown = Shown {
                sender: sent.sender,
                recipient: sent.recipient,
                content: sent.content.clone(),
                is_read: sent.read.unwrap_or_default(),
                n_files: sent.n_files,
            };
            (sent.id, (shown, sent.read.is_some()))
        });
        shown.collect()
    }

    /// Ends all devices, then the nodes.
    pub(super) async fn finish(self) -> anyhow::Result<()> {
        drop(self.devices);
        self.cluster.finish().await
    }
}
