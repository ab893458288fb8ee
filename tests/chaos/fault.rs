//! Everything that is done to a stack: each fault begins, lasts and is undone.
//!
//! A fault is a value that can be written down and done again. What it needs while it lasts (connections of ours, tasks of
//! hostile peers) is held by the stack under its name, so that its end finds it. To add a fault: give it a variant in its
//! area below, and a line in `all` there and in `draw`.

mod balancer;
mod disk;
mod draw;
mod held;
mod hostile;
mod layer;
mod link;
mod node;
mod store;
mod trials;

use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use switchboard_checker::history::Scope;

pub(crate) use self::disk::{Disk, with_own_mounts};
pub(crate) use self::held::Held;
pub(crate) use self::hostile::{Ending, Hostile};
pub(crate) use self::trials::trials;
use crate::stack::{Link, Stack};

/// Something that goes wrong for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fault {
    kind: Kind,
    lasts_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// One node.
    Node { node: usize, trouble: node::Trouble },
    /// All nodes are killed at once.
    AllNodesKilled { n_nodes: usize },
    /// One node after the other is stopped and started, as operators do.
    RollingRestart { n_nodes: usize },
    /// Redis.
    Layer(layer::Trouble),
    /// Postgres, and the disks.
    Store(store::Trouble),
    /// The way from a node to Redis or Postgres, or from clients to the balancer.
    Link { link: Link, trouble: link::Trouble },
    /// The balancer.
    Balancer(balancer::Trouble),
    /// Peers that mean harm: so many of each.
    Peers { node: usize, kinds: Vec<Hostile>, of_each: usize },
}

/// What a fault takes hold of. Two that have a part in common are never on at once: one would undo the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// The process of a node.
    Node(usize),
    /// One of two permissions to have a node out of service, so that one in three always serves.
    Out(usize),
    /// The process of Redis and its settings.
    Redis,
    /// The processes of Postgres, its disk and its connections.
    Postgres,
    /// The disk of attachments.
    Attachments,
    /// HAProxy.
    Balancer,
    /// A proxied link.
    Link(Link),
}

/// One of each, as the short form tries them.
pub(crate) fn all() -> Vec<Fault> {
    let mut all = node::all();
    all.push(Fault { kind: Kind::AllNodesKilled { n_nodes: 3 }, lasts_ms: 1_000 });
    all.push(Fault { kind: Kind::RollingRestart { n_nodes: 3 }, lasts_ms: 6_000 });
    all.extend(layer::all());
    all.extend(store::all());
    all.extend(link::all());
    all.extend(balancer::all());
    all.push(Fault {
        kind: Kind::Peers { node: 0, kinds: Hostile::all().to_vec(), of_each: 1 },
        lasts_ms: 4_000,
    });
    all
}

/// Those that need nodes which are sabotaged: one dies at a point, of each that there is.
pub(crate) fn crashes() -> Vec<Fault> {
    node::crashes()
}

impl Fault {
    /// What it is called, the same whatever its parameters are: `redis_killed`.
    pub(crate) fn name(&self) -> String {
        match &self.kind {
            Kind::Node { trouble, .. } => trouble.name().to_owned(),
            Kind::AllNodesKilled { .. } => "all_nodes_killed".to_owned(),
            Kind::RollingRestart { .. } => "rolling_restart".to_owned(),
            Kind::Layer(trouble) => trouble.name().to_owned(),
            Kind::Store(trouble) => trouble.name().to_owned(),
            Kind::Link { link, trouble } => trouble.name(*link),
            Kind::Balancer(trouble) => trouble.name().to_owned(),
            Kind::Peers { .. } => "hostile_peers".to_owned(),
        }
    }

    /// What it concerns.
    pub(crate) fn scope(&self) -> Scope {
        match &self.kind {
            // Where its clock is off it is also started again.
            Kind::Node { .. } | Kind::AllNodesKilled { .. } | Kind::RollingRestart { .. } => Scope::Node,
            Kind::Layer(_) | Kind::Link { link: Link::Redis(_), .. } => Scope::Layer,
            Kind::Store(_) | Kind::Link { link: Link::Postgres(_), .. } => Scope::Store,
            Kind::Balancer(_) | Kind::Link { link: Link::Clients, .. } => Scope::Clients,
            Kind::Peers { .. } => Scope::Peers,
        }
    }

    /// Whether clocks are wrong meanwhile, besides all else.
    pub(crate) fn is_of_clocks(&self) -> bool {
        matches!(&self.kind, Kind::Node { trouble, .. } if trouble.is_of_clocks())
    }

    /// What it takes hold of.
    pub(crate) fn parts(&self) -> Vec<Part> {
        match &self.kind {
            Kind::Node { node, .. } => vec![Part::Node(*node), Part::Out(*node % 2)],
            Kind::AllNodesKilled { n_nodes } | Kind::RollingRestart { n_nodes } => {
                (0..*n_nodes).map(Part::Node).chain([Part::Out(0), Part::Out(1)]).collect()
            }
            Kind::Layer(_) => vec![Part::Redis],
            Kind::Store(trouble) => vec![trouble.part()],
            Kind::Link { link, .. } => vec![Part::Link(*link)],
            Kind::Balancer(_) => vec![Part::Balancer],
            Kind::Peers { node, .. } => vec![Part::Node(*node)],
        }
    }

    /// From the start of its beginning to its end. A beginning that takes longer is not cut short.
    pub(crate) fn lasts(&self) -> Duration {
        Duration::from_millis(self.lasts_ms)
    }

    /// Whether it can be done on this machine.
    pub(crate) fn is_possible(&self) -> bool {
        self.obstacle().is_none()
    }

    /// Why it cannot be done on this machine, if it cannot.
    pub(crate) fn obstacle(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::Node { trouble, .. } => trouble.obstacle(),
            Kind::Store(trouble) => trouble.obstacle(),
            _ => None,
        }
    }

    /// Begins it.
    ///
    /// # Errors
    /// If it cannot be done. [`Fault::end`] undoes what was done of it.
    pub(crate) async fn begin(&self, stack: &Stack) -> anyhow::Result<()> {
        let begun = match &self.kind {
            Kind::Node { node, trouble } => trouble.begin(stack, *node, &self.key()).await,
            Kind::AllNodesKilled { n_nodes } => node::kill_all(stack, *n_nodes).await,
            Kind::RollingRestart { n_nodes } => node::restart_one_by_one(stack, *n_nodes).await,
            Kind::Layer(trouble) => trouble.begin(stack, self.lasts(), &self.key()).await,
            Kind::Store(trouble) => trouble.begin(stack, &self.key()).await,
            Kind::Link { link, trouble } => trouble.begin(stack, *link).await,
            Kind::Balancer(trouble) => trouble.begin(stack).await,
            Kind::Peers { node, kinds, of_each } => {
                hostile::begin(stack, *node, kinds, *of_each, &self.key());
                Ok(())
            }
        };
        begun.with_context(|| format!("{} does not begin", self.name()))
    }

    /// Undoes it, however far it went, and waits until what was started again answers; not until all has recovered.
    /// Safe to call again.
    ///
    /// # Errors
    /// If something does not come back.
    pub(crate) async fn end(&self, stack: &Stack) -> anyhow::Result<()> {
        stack.held().release(&self.key());
        let ended = match &self.kind {
            Kind::Node { node, trouble } => trouble.end(stack, *node).await,
            Kind::AllNodesKilled { n_nodes } | Kind::RollingRestart { n_nodes } => {
                node::start_all(stack, *n_nodes).await
            }
            Kind::Layer(trouble) => trouble.end(stack).await,
            Kind::Store(trouble) => trouble.end(stack).await,
            Kind::Link { link, .. } => stack.clear(*link).await,
            Kind::Balancer(trouble) => trouble.end(stack).await,
            Kind::Peers { node, .. } => hostile::end(stack, *node).await,
        };
        ended.with_context(|| format!("{} does not end", self.name()))
    }

    /// Under which the stack holds what belongs to it.
    fn key(&self) -> String {
        format!("{:?}", self.kind)
    }
}
