//! One run: a stack, clients, faults at their times, rest, and the verdict on what was recorded.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use futures_util::future::try_join_all;
use switchboard_checker::history::{Begin, Event, Phase, Recorder, Scope, read};
use switchboard_checker::{Verdict, check};
use tokio::time::{Instant, sleep_until};

use crate::harness::http::get;
use crate::load::{self, Counts, Load, Shape, Ways};
use crate::look;
use crate::sabotages::Look;
use crate::schedule::Act;
use crate::stack::{Plan, Stack};

/// What a run is.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) shape: Shape,
    pub(crate) acts: Vec<Act>,
    /// How long clients write.
    pub(crate) lasts: Duration,
    /// How long what is missing then is waited for.
    pub(crate) settle: Duration,
    pub(crate) begin: Begin,
    /// What else is looked at.
    pub(crate) look: Look,
    /// Where the history goes.
    pub(crate) history: PathBuf,
}

/// After the last fault, until every device must have everything: the checker judges what is missing then.
pub(crate) const SETTLE: Duration = Duration::from_secs(30);

impl Run {
    /// Does it, and judges it.
    pub(crate) async fn judge(&self) -> anyhow::Result<Verdict> {
        let recorder = Recorder::create(&self.history, self.begin.clone())?;
        self.record(&recorder).await?;
        recorder.flush()?;
        let history = BufReader::new(File::open(&self.history)?);
        let verdict = tokio::task::spawn_blocking(move || check(read(history))).await??;
        Ok(verdict)
    }

    async fn record(&self, recorder: &Recorder) -> anyhow::Result<()> {
        let stack = Stack::start(self.plan.clone()).await.context("the stack does not start")?;
        tokio::select! {
            done = self.strike(&stack, recorder) => done?,
            failed = look::watch_memory(&stack, recorder) => failed?,
        }
        if self.look == Look::AtWhatIsLeft {
            look::wait_for_rest(&stack, recorder).await?;
        }
        load::dump_store(&stack.database_url(), recorder).await?;
        load::scan_for_canaries(&places(&stack).await?, recorder)?;
        stack.finish().await
    }

    /// From the first client's coming until the last one has left.
    async fn strike(&self, stack: &Stack, recorder: &Recorder) -> anyhow::Result<()> {
        let ways = Ways {
            balancer: stack.balancer(),
            through_proxy: stack.through_proxy(),
            nodes: (0..stack.n_nodes()).map(|node| stack.node(node)).collect(),
        };
        let mut load = Load::start(ways, self.shape.clone(), recorder.clone()).await?;
        let began = Instant::now();
        let acts = try_join_all(self.acts.iter().map(|act| perform(act, began, stack, recorder)));
        if self.look == Look::AtTheQueueOfAStalledPeer {
            look::stall_a_peer(stack, recorder).await?;
        }
        acts.await?;
        sleep_until(began + self.lasts).await;
        load.stop().await?;
        stack.heal().await.context("the stack does not heal")?;
        load.prove().await.context("a node takes no message, though all is healed")?;
        recorder.note(Event::Healed)?;
        load.settle(&stack.database_url(), self.settle).await?;
        let counts = load.finish().await?;
        let Counts { turned_away, turned_away_by, .. } = counts;
        ensure!(turned_away == 0, "{turned_away} times a node did not want a client back: {turned_away_by}");
        Ok(())
    }
}

/// Does one fault at its time, and undoes it.
async fn perform(
    Act { at_ms, fault }: &Act,
    began: Instant,
    stack: &Stack,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let note = |phase| {
        if fault.is_of_clocks() {
            let (name, detail) = ("clock_wrong".to_owned(), String::new());
            recorder.note(Event::Fault { name, scope: Scope::Clock, phase, detail })?;
        }
        let detail = format!("{fault:?}");
        recorder.note(Event::Fault { name: fault.name(), scope: fault.scope(), phase, detail })
    };
    let at = began + Duration::from_millis(*at_ms);
    sleep_until(at).await;
    note(Phase::Begin)?;
    let begun = fault.begin(stack).await;
    sleep_until(at + fault.lasts()).await;
    let ended = fault.end(stack).await;
    note(Phase::End)?;
    begun.and(ended).map_err(|error| anyhow!("{fault:?} at {at_ms} ms: {error:#}"))
}

/// What nodes wrote and tell operators: no word of a message may be in it.
async fn places(stack: &Stack) -> anyhow::Result<Vec<(String, String)>> {
    let mut places = Vec::new();
    for path in stack.node_logs() {
        let log = std::fs::read(&path)?;
        places.push((path.display().to_string(), String::from_utf8_lossy(&log).into_owned()));
    }
    for node in 0..stack.n_nodes() {
        let metrics = get(stack.admin(node), "/metrics", &[]).await?;
        places.push((format!("metrics of node {node}"), metrics.body));
    }
    Ok(places)
}
