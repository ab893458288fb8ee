//! The users with their devices, and what the answers to their deeds leave possible.

use switchboard_protocol::UserId;

use super::Dice;
use super::deeds::Deed;
use super::model::Model;
use super::orders::explain;
use super::state::Device;
use super::ways::Answer;
use crate::harness::Cluster;

pub(super) const USERS: [UserId; 6] = [UserId(1), UserId(2), UserId(3), UserId(4), UserId(5), UserId(6)];

/// States that the answers may leave possible before all is compared, which settles it.
const MOST_MODELS: usize = 12;

pub(super) struct World {
    pub(super) cluster: Cluster,
    pub(super) devices: Vec<Device>,
    /// One of them is right. There are several where answers do not tell what came first.
    pub(super) models: Vec<Model>,
    /// For names that no deed has had.
    pub(super) n_named: usize,
}

impl World {
    pub(super) fn new(cluster: Cluster) -> Self {
        let mut devices = Vec::new();
        for user in USERS {
            let node = usize::from(user.0 % 2 == 0);
            devices.push(Device::socket(&cluster, user.0, node));
            devices.push(match user.0 {
                1 | 2 => Device::poll(user.0, 1 - node),
                _ => Device::socket(&cluster, user.0, 1 - node),
            });
        }
        Self { cluster, devices, models: vec![Model::default()], n_named: 0 }
    }

    /// Takes the answers to deeds that were done at once.
    pub(super) fn note(&mut self, done: &[(Deed, Answer)]) -> anyhow::Result<()> {
        self.models = explain(&self.models, done)?;
        Ok(())
    }

    /// Whether a comparison would tell more than the answers did.
    pub(super) fn is_unsure(&self) -> bool {
        self.models.len() > MOST_MODELS
    }

    /// Some devices apply what has come, some go away and come back, few forget all.
    pub(super) async fn drain(&mut self, dice: &mut Dice) -> anyhow::Result<()> {
        for device in &mut self.devices {
            match dice.roll(60) {
                0..5 => device.reconnect(&self.cluster),
                5 => device.begin_anew(&self.cluster),
                6..35 => device.drain(&self.cluster).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends all devices, then the nodes.
    pub(super) async fn finish(self) -> anyhow::Result<()> {
        drop(self.devices);
        self.cluster.finish().await
    }
}
