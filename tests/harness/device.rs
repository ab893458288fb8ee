//! A device: how it hears of the entries of its mailbox, goes away, comes back and begins anew. What it makes of them is its
//! state's affair.

use anyhow::{Context, bail, ensure};
use switchboard_client::{Client, Event};
use switchboard_protocol::{Incoming, ServerFrame};
use tokio::sync::mpsc;

use super::http::{bearer, get};
use super::{Cluster, next_entry};

/// What a device knows.
pub(crate) trait State {
    /// Of this user, who knows nothing yet.
    fn new(user: i64) -> Self;

    /// Whose.
    fn user(&self) -> i64;

    /// The last entry that was applied.
    fn seq(&self) -> i64;

    /// Takes the next entry, or says what is wrong with it.
    fn apply(&mut self, seq: i64, frame: &ServerFrame) -> anyhow::Result<()>;
}

/// How a device hears of entries.
enum Link {
    Socket(Client, mpsc::Receiver<Event>),
    Poll,
}

pub(crate) struct Device<S> {
    pub(crate) state: S,
    node: usize,
    link: Link,
}

impl<S: State> Device<S> {
    pub(crate) fn socket(cluster: &Cluster, user: i64, node: usize) -> Self {
        let (client, events) = cluster.client(user, &[node, 1 - node], Some(0));
        Self { state: S::new(user), node, link: Link::Socket(client, events) }
    }

    pub(crate) fn poll(user: i64, node: usize) -> Self {
        Self { state: S::new(user), node, link: Link::Poll }
    }

    pub(crate) fn client(&self) -> Option<Client> {
        match &self.link {
            Link::Socket(client, _) => Some(client.clone()),
            Link::Poll => None,
        }
    }

    /// Goes away, and comes back on the other node after the last entry that it applied.
    pub(crate) fn reconnect(&mut self, cluster: &Cluster) {
        self.node = 1 - self.node;
        if let Link::Socket(client, events) = &mut self.link {
            let nodes = [self.node, 1 - self.node];
            let next = cluster.client(self.state.user(), &nodes, Some(self.state.seq()));
            // The old one says goodbye by itself, which may take a second.
            drop(std::mem::replace(client, next.0));
            *events = next.1;
        }
    }

    /// Forgets all, and begins anew.
    pub(crate) fn begin_anew(&mut self, cluster: &Cluster) {
        self.state = S::new(self.state.user());
        self.reconnect(cluster);
    }

    /// Applies what has come.
    pub(crate) async fn drain(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
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
    pub(crate) async fn catch_up(&mut self, cluster: &Cluster, until: i64) -> anyhow::Result<()> {
        while self.state.seq() < until {
            match &mut self.link {
                Link::Socket(_, events) => {
                    let (seq, frame) = next_entry(events).await.with_context(|| {
                        format!("{} has {} of {until}", self.state.user(), self.state.seq())
                    })?;
                    self.state.apply(seq.0, &frame)?;
                }
                Link::Poll => self.ask(cluster, 10).await?,
            }
        }
        ensure!(self.state.seq() == until, "{} of {until}", self.state.seq());
        Ok(())
    }

    async fn ask(&mut self, cluster: &Cluster, wait: u64) -> anyhow::Result<()> {
        let path = format!("/api/v1/events?cursor={}&wait={wait}", self.state.seq());
        let answer = get(cluster.address(self.node), &path, &[bearer(self.state.user())]).await?.json()?;
        for event in answer["events"].as_array().context("no events")? {
            let incoming = Incoming::parse(&event.to_string())?;
            self.state.apply(incoming.seq.context("no entry")?.0, &incoming.frame)?;
        }
        ensure!(answer["cursor"] == self.state.seq(), "{answer}");
        Ok(())
    }
}
