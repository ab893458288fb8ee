//! Six users, two devices each on two nodes, and whatever may be done to groups, messages and what is a user's own, at
//! random and at once. Each device applies the frames by the rules of the wire reference and nothing else: in the middle
//! and at the end what it has come to is what the other one has, what one that begins anew comes to, what is loaded over
//! HTTP, and what a model says that follows the answers.
//!
//! `SWITCHBOARD_TEST_SEED` chooses another run, `SWITCHBOARD_TEST_DEEDS` another length; a failure names its seed.

mod checks;
mod deeds;
mod fresh;
mod model;
mod orders;
mod state;
mod view;
mod ways;
mod world;

use anyhow::{Context, anyhow};
use futures_util::future::join_all;

use crate::harness::Cluster;
use crate::harness::dice::Dice;
use crate::{BOTH, Test, test};

use deeds::Deed;
use world::World;

pub(crate) const TESTS: &[Test] = &[test!(state_and_events_agree_with_fresh_state, BOTH)];

/// Deeds of a run.
const DEEDS: u64 = 600;
/// Deeds done at once, at most.
const AT_ONCE: u64 = 5;
/// How often all is compared, the end among them.
const CHECKS: u64 = 3;

async fn state_and_events_agree_with_fresh_state(cluster: Cluster) -> anyhow::Result<()> {
    let seed = number("SWITCHBOARD_TEST_SEED")?.unwrap_or(20_261_123);
    let mut world = World::new(cluster);
    let result = run(&mut world, seed).await;
    result.map_err(|error| anyhow!("SWITCHBOARD_TEST_SEED={seed}: {error:#}"))?;
    world.finish().await
}

fn number(name: &str) -> anyhow::Result<Option<u64>> {
    let text = std::env::var(name).ok();
    text.map(|text| text.parse().with_context(|| format!("{name} is no number"))).transpose()
}

async fn run(world: &mut World, seed: u64) -> anyhow::Result<()> {
    let n_deeds = number("SWITCHBOARD_TEST_DEEDS")?.unwrap_or(DEEDS);
    let mut dice = Dice(seed);
    let (mut n_done, mut n_checks) = (0, 0);
    while n_done < n_deeds {
        let focus = deeds::focus(&mut dice, world);
        let deeds: Vec<Deed> =
            (0..=dice.roll(AT_ONCE)).map(|_| Deed::choose(&mut dice, world, focus)).collect();
        n_done += deeds.len() as u64;
        let answers = join_all(deeds.iter().map(|deed| deed.carry_out(&world.cluster))).await;
        let mut done = Vec::new();
        for (deed, answer) in deeds.into_iter().zip(answers) {
            let answer = answer.with_context(|| format!("deed {n_done}: {deed:?}"))?;
            done.push((deed, answer));
        }
        world.note(&done).with_context(|| format!("deed {n_done}"))?;
        world.drain(&mut dice).await.with_context(|| format!("deed {n_done}"))?;
        if n_done * CHECKS / n_deeds > n_checks || world.is_unsure() {
            n_checks = n_done * CHECKS / n_deeds;
            checks::all_agree(world).await.with_context(|| format!("after {n_done} deeds"))?;
        }
    }
    Ok(())
}
