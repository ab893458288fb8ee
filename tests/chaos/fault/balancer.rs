//! What happens to HAProxy.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{Fault, Kind};
use crate::stack::Stack;

/// What happens to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Trouble {
    /// It is killed, and started again at the end: all clients come back at once.
    Killed,
    /// It reads its configuration again, several times.
    Reloaded { times: u64 },
}

/// One of each.
pub(super) fn all() -> Vec<Fault> {
    let fault = |trouble, lasts_ms| Fault { kind: Kind::Balancer(trouble), lasts_ms };
    vec![fault(Trouble::Killed, 1_000), fault(Trouble::Reloaded { times: 3 }, 2_000)]
}

/// Between two reloads.
const PAUSE: Duration = Duration::from_millis(400);

impl Trouble {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Killed => "balancer_killed",
            Self::Reloaded { .. } => "balancer_reloaded",
        }
    }

    pub(super) async fn begin(&self, stack: &Stack) -> anyhow::Result<()> {
        match self {
            Self::Killed => stack.kill_balancer().await,
            Self::Reloaded { times } => {
                for _ in 0..*times {
                    stack.reload_balancer().await?;
                    sleep(PAUSE).await;
                }
                Ok(())
            }
        }
    }

    pub(super) async fn end(&self, stack: &Stack) -> anyhow::Result<()> {
        match self {
            Self::Killed => stack.start_balancer().await,
            Self::Reloaded { .. } => Ok(()),
        }
    }
}
