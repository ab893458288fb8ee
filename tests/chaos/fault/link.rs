//! What happens on the ways between the parts.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{Fault, Kind};
use crate::proxy::{Direction, Toxic};
use crate::stack::{Link, Stack};

/// What happens on one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Trouble {
    /// This happens to the bytes.
    Toxic { direction: Direction, toxic: Toxic },
    /// All connections are reset, again and again.
    Reset { times: u64, every_ms: u64 },
    /// All connections are reset, and new ones refused until the end.
    Refused,
}

/// One of each, where it makes a difference.
pub(super) fn all() -> Vec<Fault> {
    use Direction::{Both, Down, Up};
    let cut = |most| Toxic::CutAfter { least: 1, most, seed: 1 };
    let toxics = [
        (Link::Redis(0), Both, Toxic::Delay { ms: 300 }),
        (Link::Redis(0), Down, Toxic::Throttle { bytes_per_second: 2_000 }),
        (Link::Redis(0), Both, Toxic::Stall),
        (Link::Redis(0), Both, Toxic::BlackHole),
        (Link::Redis(0), Up, Toxic::BlackHole),
        (Link::Redis(0), Down, Toxic::BlackHole),
        (Link::Redis(0), Both, Toxic::Slice),
        (Link::Redis(0), Down, cut(20_000)),
        (Link::Postgres(0), Both, Toxic::Delay { ms: 100 }),
        (Link::Postgres(0), Down, Toxic::Throttle { bytes_per_second: 20_000 }),
        (Link::Postgres(0), Both, Toxic::Stall),
        (Link::Postgres(0), Both, Toxic::BlackHole),
        (Link::Postgres(0), Up, Toxic::BlackHole),
        (Link::Postgres(0), Down, Toxic::BlackHole),
        (Link::Postgres(0), Both, Toxic::Slice),
        // Inside COMMIT: the statement may be there or not, its answer does not come.
        (Link::Postgres(0), Up, cut(20_000)),
        (Link::Postgres(0), Down, cut(20_000)),
        (Link::Clients, Both, Toxic::Delay { ms: 300 }),
        (Link::Clients, Down, Toxic::Throttle { bytes_per_second: 1_024 }),
        (Link::Clients, Both, Toxic::Stall),
        (Link::Clients, Both, Toxic::BlackHole),
    ];
    let fault = |link, trouble, lasts_ms| Fault { kind: Kind::Link { link, trouble }, lasts_ms };
    let toxic = |(link, direction, toxic)| fault(link, Trouble::Toxic { direction, toxic }, 4_000);
    let mut all: Vec<_> = toxics.into_iter().map(toxic).collect();
    for link in [Link::Redis(0), Link::Postgres(0), Link::Clients] {
        all.push(fault(link, Trouble::Reset { times: 4, every_ms: 400 }, 2_000));
        all.push(fault(link, Trouble::Refused, 3_000));
    }
    all
}

impl Trouble {
    pub(super) fn name(&self, link: Link) -> String {
        let link = match link {
            Link::Redis(_) => "redis",
            Link::Postgres(_) => "postgres",
            Link::Clients => "clients",
        };
        match self {
            Self::Toxic { direction, toxic } => format!("{link}_link_{}{}", what(*toxic), way(*direction)),
            // Each of them comes back at once.
            Self::Reset { .. } if link == "clients" => "reconnect_storm".to_owned(),
            Self::Reset { .. } => format!("{link}_link_reset"),
            Self::Refused => format!("{link}_link_refused"),
        }
    }

    pub(super) async fn begin(&self, stack: &Stack, link: Link) -> anyhow::Result<()> {
        match self {
            Self::Toxic { direction, toxic } => stack.link(link, *direction, *toxic).await,
            Self::Reset { times, every_ms } => {
                for _ in 0..*times {
                    stack.reset(link).await?;
                    sleep(Duration::from_millis(*every_ms)).await;
                }
                Ok(())
            }
            Self::Refused => {
                stack.refuse(link).await?;
                stack.reset(link).await
            }
        }
    }
}

fn what(toxic: Toxic) -> &'static str {
    match toxic {
        Toxic::Pass => "passes",
        Toxic::Delay { .. } => "delayed",
        Toxic::Throttle { .. } => "slow",
        Toxic::Stall => "stalled",
        Toxic::BlackHole => "black",
        Toxic::Slice => "sliced",
        Toxic::CutAfter { .. } => "cut",
    }
}

/// Nothing where both ways are meant: `redis_link_black`, `redis_link_black_down`.
fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "_up",
        Direction::Down => "_down",
        Direction::Both => "",
    }
}
