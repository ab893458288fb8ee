//! A device: how it hears of the entries of its mailbox, goes away, comes back and begins anew.

use anyhow::{Context, bail, ensure};
use switchboard_client::{Client, Event};
use switchboard_protocol::{Incoming, UserId};
use tokio::sync::mpsc;

use super::state::State;
use crate::harness::http::{bearer, get};
use crate::harness::{Cluster, next_entry};

/// How a device hears of entries.
enum Link {
    Socket(Client, mpsc::Receiver<Event>),
    Poll,
}

pub(super) struct Device {
    pub(super) state: State,
    node: usize,
    link: Link,
}

impl Device {
    pub(super) fn socket(cluster: &Cluster, user: UserId, node: usize) -> Self {
        let (client, events) = cluster.client(user.0, &[node, 1 - node], Some(0));
        Self { state: State::new(user), node, link: Link::Socket(client, events) }
    }

    pub(super) fn poll(user: UserId, node: usize) -> Self {
        Self { state: State::new(user), node, link: Link::Poll }
    }

    /// Goes away, and comes back on the other node after the last entry that it applied.
    pub(super) fn reconnect(&mut self, cluster: &Cluster) {
        self.node = 1 - self.node;
        if let Link::Socket(client, events) = &mut self.link {
            let next = cluster.client(self.state.user.0, &[self.node, 1 - self.node], Some(self.state.seq));
            // The old one says goodbye by itself, which may take a second.
            drop(std::mem::replace(client, next.0));
            *events = next.1;
        }
    }

    /// Forgets all, and begins anew.
    pub(super) fn begin_anew(&mut self, cluster: &Cluster) {
        self.state = State::new(self.state.user);
        self.reconnect(cluster);
    }

    /// Applies what has come.
    pub(super) async fn drain(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        match &mut self.link {
            Link::Socket(_, events) => {
                while let Ok(event) = events.try_recv() {
                    match event {
                        Event::Entry { seq, frame } => self.state.apply(seq.0, &frame)?,
                        Event::Reset { .. } | Event::Refused { .. } => bail!("{event:?}"),
                        _ => {}
                    }
                }
                Ok(())
            }
            Link::Poll => self.ask(cluster, 0).await,
        }
    }

    /// Applies entries up to this one.
    pub(super) async fn catch_up(&mut self, cluster: &Cluster, until: i64) -> anyhow::Result<()> {
        while self.state.seq < until {
            match &mut self.link {
                Link::Socket(_, events) => {
                    let (seq, frame) = next_entry(events)
                        .await
                        .with_context(|| format!("{} has {} of {until}", self.state.user, self.state.seq))?;
                    self.state.apply(seq.0, &frame)?;
                }
                Link::Poll => self.ask(cluster, 10).await?,
            }
        }
        ensure!(self.state.seq == until, "{} of {until}", self.state.seq);
        Ok(())
    }

    async fn ask(&mut self, cluster: &Cluster, wait: u64) -> anyhow::Result<()> {
        let path = format!("/api/v1/events?cursor={}&wait={wait}", self.state.seq);
        let answer = get(cluster.address(self.node), &path, &[bearer(self.state.user.0)]).await?.json()?;
        for event in answer["events"].as_array().context("no events")? {
            let incoming = Incoming::parse(&event.to_string())?;
            self.state.apply(incoming.seq.context("no entry")?.0, &incoming.frame)?;
        }
        ensure!(answer["cursor"] == self.state.seq, "{answer}");
        Ok(())
    }
}
