//! Four users, two devices each, and every way to send, read and delete, at random and at once. At the end all agree: the
//! devices, what a new one loads, the pages, the counts, the store, and what the answers said.
//!
//! `SWITCHBOARD_TEST_SEED` chooses another run; a failure names its seed.

mod checks;
mod deeds;
mod device;
mod world;

use anyhow::{Context, anyhow};
use futures_util::future::join_all;

use crate::harness::Cluster;
use crate::harness::dice::Dice;
use crate::{BOTH, Test, test};

use deeds::Deed;
use world::World;

pub(crate) const TESTS: &[Test] = &[test!(whatever_is_done_all_agree, BOTH)];

/// Deeds of a run.
const DEEDS: usize = 400;
/// Deeds done at once, at most.
const AT_ONCE: u64 = 5;

async fn whatever_is_done_all_agree(cluster: Cluster) -> anyhow::Result<()> {
    let seed = match std::env::var("SWITCHBOARD_TEST_SEED") {
        Ok(seed) => seed.parse().context("SWITCHBOARD_TEST_SEED is no number")?,
        Err(_) => 20_261_122,
    };
    let mut world = World::new(cluster).await?;
    run(&mut world, seed).await.map_err(|error| anyhow!("SWITCHBOARD_TEST_SEED={seed}: {error:#}"))?;
    world.finish().await
}

async fn run(world: &mut World, seed: u64) -> anyhow::Result<()> {
    let mut dice = Dice(seed);
    let mut n_done = 0;
    while n_done < DEEDS {
        let deeds: Vec<Deed> = (0..=dice.roll(AT_ONCE)).map(|_| Deed::choose(&mut dice, world)).collect();
        n_done += deeds.len();
        let effects = join_all(deeds.iter().map(|deed| deed.carry_out(world))).await;
        let mut done = Vec::new();
        for (deed, effect) in deeds.iter().zip(effects) {
            done.push(effect.with_context(|| format!("{deed:?}"))?);
        }
        world.note(done)?;
        world.drain(&mut dice).await?;
    }
    checks::all_agree(world).await
}
