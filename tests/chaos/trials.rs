//! The short form: each fault once, each sabotage once, as trials of a test runner.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use libtest_mimic::{Failed, Trial};
use switchboard_checker::history::Begin;
use switchboard_checker::{Property, Verdict};

use crate::fault::{self, Fault};
use crate::harness::servers;
use crate::load::Shape;
use crate::run::{Run, SETTLE};
use crate::sabotages::{self, Look, Sabotage};
use crate::schedule::Act;
use crate::stack::Plan;
use crate::{load, proxy, stack};

/// Before the fault and after it.
const AROUND: Duration = Duration::from_millis(1_500);

/// Everything that is tried.
pub(crate) fn all(runtime: &Arc<tokio::runtime::Runtime>) -> Vec<Trial> {
    let is_missing = !servers::missing().is_empty() || servers::on_path("haproxy").is_none();
    let ignored = is_missing && !servers::required();
    let trial = |name: String, run: Box<dyn Fn() -> anyhow::Result<()> + std::marker::Send>| {
        let outcome = move || run().map_err(|error| Failed::from(format!("{error:#}")));
        Trial::test(name, outcome).with_ignored_flag(ignored)
    };
    let mut trials: Vec<_> =
        stack::trials(runtime).into_iter().map(|it| it.with_ignored_flag(ignored)).collect();
    trials.extend(proxy::trials(runtime));
    trials.extend(load::trials(runtime).into_iter().map(|it| it.with_ignored_flag(ignored)));
    trials.extend(fault::trials());
    // Built with a feature that nothing else has: `tests/run` does it.
    let unbuilt = !servers::required() && !sabotaged().exists();
    let crashes = fault::crashes();
    for fault in fault::all().into_iter().chain(crashes.clone()) {
        // What the machine itself does not allow, such as mounts in some containers, no set-up can mend.
        let is_left_out = ignored || fault.obstacle().is_some() || unbuilt && crashes.contains(&fault);
        let runtime = Arc::clone(runtime);
        let name = format!("fault::{}", fault.name());
        let trial = trial(name, Box::new(move || runtime.block_on(survives(fault.clone()))));
        trials.push(trial.with_ignored_flag(is_left_out));
    }
    let calm = Arc::clone(runtime);
    trials.push(trial("fault::none".to_owned(), Box::new(move || calm.block_on(leaves_nothing()))));
    for sabotage in sabotages::ALL {
        let runtime = Arc::clone(runtime);
        let caught = move || runtime.block_on(async { is_caught(sabotage).await.map(|_| ()) });
        let trial = trial(format!("sabotage::{}", sabotage.name), Box::new(caught));
        trials.push(trial.with_ignored_flag(ignored || unbuilt));
    }
    trials
}

/// Nothing is broken by the fault.
async fn survives(fault: Fault) -> anyhow::Result<()> {
    // Those that die at a point of their own code can only be nodes that have such points.
    let binary = if fault::crashes().contains(&fault) { sabotaged() } else { shipped() };
    let plan = Plan { binary, small_disks: true, ..Plan::default() };
    let verdict = short(plan, vec![fault], Look::Nowhere).await?;
    ensure!(verdict.is_clean(), "{verdict}");
    Ok(())
}

/// Without any fault nothing is left of those who were there.
async fn leaves_nothing() -> anyhow::Result<()> {
    let verdict = short(Plan::default(), Vec::new(), Look::AtWhatIsLeft).await?;
    ensure!(verdict.is_clean() && !verdict.not_judged().any(|it| it == Property::R5), "{verdict}");
    Ok(())
}

/// How often a sabotage is tried until it is caught. Some need luck to do harm: a kill in the right tenth of a second. A kill
/// just beside it may do other harm alone: what was published and not committed was seen, but not acknowledged.
const TRIES: usize = 3;

/// The checker says what is broken, and nothing where nothing is. Gives what it said.
pub(crate) async fn is_caught(sabotage: &Sabotage) -> anyhow::Result<Verdict> {
    let Sabotage { name, points, faults, breaks, environment, look } = sabotage;
    let named = |name: &&str| {
        let fault = fault::all().into_iter().find(|fault| fault.name() == *name);
        fault.with_context(|| format!("there is no fault `{name}`"))
    };
    let faults: Vec<_> = faults.iter().map(named).collect::<anyhow::Result<_>>()?;
    let settings = environment.iter().copied().chain([("FAILPOINTS", *points)]);
    let environment: Vec<_> = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut tries = 0;
    loop {
        tries += 1;
        let plan = Plan { binary: sabotaged(), environment: environment.clone(), ..Plan::default() };
        let verdict = short(plan, faults.clone(), *look).await?;
        let broken: Vec<_> = verdict.broken().map(|property| property.name()).collect();
        let is_named = broken.iter().any(|name| breaks.contains(name));
        if is_named || broken.is_empty() && breaks.is_empty() {
            return Ok(verdict);
        }
        let may_need_luck = !breaks.is_empty() && tries < TRIES;
        ensure!(may_need_luck, "one of {breaks:?} should be broken by `{name}`:\n{verdict}");
    }
}

/// A run of some seconds.
async fn short(plan: Plan, faults: Vec<Fault>, look: Look) -> anyhow::Result<Verdict> {
    let folder = tempfile::tempdir()?;
    // What a sabotage holds back never comes.
    let is_sabotaged = plan.environment.iter().any(|(key, _)| key == "FAILPOINTS");
    let (patience, settle) = if is_sabotaged {
        (Duration::from_secs(5), Duration::from_secs(8))
    } else {
        (Shape::PATIENT, SETTLE)
    };
    let mut at = AROUND;
    let mut acts = Vec::new();
    for fault in faults {
        let lasts = fault.lasts();
        acts.push(Act { at_ms: at.as_millis() as u64, fault });
        at += lasts + AROUND;
    }
    let run = Run {
        plan,
        shape: Shape { users: 12, rate: 100.0, seed: 20_261_123, lively: true, patience },
        settle,
        acts,
        lasts: at.max(AROUND * 3),
        // What is promised, tripled: the machine is busy with other trials.
        begin: Begin { seed: None, heal_within_ms: 30_000, sweep_within_ms: 6_000, cut_within_ms: 6_000 },
        look,
        history: folder.path().join("history.jsonl"),
    };
    run.judge().await
}

/// The binary that is shipped.
pub(crate) fn shipped() -> PathBuf {
    env!("CARGO_BIN_EXE_switchboard").into()
}

/// The one that goes wrong on purpose, beside it.
pub(crate) fn sabotaged() -> PathBuf {
    shipped().with_file_name("switchboard-sabotaged")
}
