//! What goes through the proxy.

use serde::{Deserialize, Serialize};

use super::Stack;
use crate::proxy::{Direction, Toxic};

/// A proxied link of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Link {
    /// From this node to Redis: publisher and subscriber.
    Redis(usize),
    /// From this node to Postgres: its whole pool.
    Postgres(usize),
    /// From clients to HAProxy, of those who come by [`Stack::through_proxy`].
    Clients,
}

impl Stack {
    /// From now on this happens to what goes in `direction` of the link, on connections that stand and on new ones, in
    /// place of what happened before. [`Direction::Up`] is from the node, or the client.
    pub(crate) async fn link(&self, link: Link, direction: Direction, toxic: Toxic) -> anyhow::Result<()> {
        self.proxy.set(self.number(link), direction, toxic).await
    }

    /// Resets all connections of the link, both ways (RST). They are gone when this returns; new ones are taken.
    pub(crate) async fn reset(&self, link: Link) -> anyhow::Result<()> {
        self.proxy.reset(self.number(link)).await
    }

    /// Takes no new connections: who tries is refused. Those that stand go on. Until [`Stack::clear`].
    pub(crate) async fn refuse(&self, link: Link) -> anyhow::Result<()> {
        self.proxy.refuse(self.number(link)).await
    }

    /// Passes everything again, both ways, and takes connections. Those that lost bytes in a black hole are reset.
    pub(crate) async fn clear(&self, link: Link) -> anyhow::Result<()> {
        self.proxy.clear(self.number(link)).await
    }

    /// How many connections the link has.
    pub(crate) async fn n_connections(&self, link: Link) -> anyhow::Result<usize> {
        self.proxy.count(self.number(link)).await
    }

    /// In the order in which [`links`] has them.
    fn number(&self, link: Link) -> usize {
        match link {
            Link::Clients => 0,
            Link::Redis(node) => 1 + 2 * node,
            Link::Postgres(node) => 2 + 2 * node,
        }
    }
}

/// All links of a stack.
pub(super) fn links(n_nodes: usize) -> impl Iterator<Item = Link> {
    let of_nodes = (0..n_nodes).flat_map(|node| [Link::Redis(node), Link::Postgres(node)]);
    std::iter::once(Link::Clients).chain(of_nodes)
}
