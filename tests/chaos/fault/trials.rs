//! What must be true of the catalogue before anything is broken.

use std::collections::{BTreeSet, HashSet};

use anyhow::ensure;
use libtest_mimic::{Failed, Trial};

use super::{Fault, Part, all, crashes};
use crate::Dice;

/// Needs no servers.
pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, check: fn() -> anyhow::Result<()>| {
        Trial::test(format!("faults::{name}"), move || {
            check().map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    vec![
        trial("names_are_unique", names_are_unique),
        trial("the_same_seed_draws_the_same", the_same_seed_draws_the_same),
        trial("what_is_written_down_can_be_done_again", what_is_written_down_can_be_done_again),
        trial("every_kind_is_drawn", every_kind_is_drawn),
        trial("one_node_of_three_is_spared", one_node_of_three_is_spared),
    ]
}

fn draw(seed: u64, n_faults: usize) -> Vec<Fault> {
    let mut dice = Dice(seed);
    (0..n_faults).map(|_| Fault::draw(&mut dice, 3)).collect()
}

fn names_are_unique() -> anyhow::Result<()> {
    let mut names = HashSet::new();
    for fault in all().into_iter().chain(crashes()) {
        ensure!(names.insert(fault.name()), "two faults are called {}", fault.name());
        ensure!(fault.lasts().as_secs() <= 6, "{} is too long for the short form", fault.name());
    }
    Ok(())
}

fn the_same_seed_draws_the_same() -> anyhow::Result<()> {
    ensure!(draw(7, 1_000) == draw(7, 1_000));
    ensure!(draw(7, 100) != draw(8, 100));
    Ok(())
}

fn what_is_written_down_can_be_done_again() -> anyhow::Result<()> {
    for fault in draw(7, 2_000).into_iter().chain(all()).chain(crashes()) {
        let text = serde_json::to_string(&fault)?;
        let read: Fault = serde_json::from_str(&text)?;
        ensure!(read == fault, "{text}");
    }
    Ok(())
}

fn every_kind_is_drawn() -> anyhow::Result<()> {
    let drawn: BTreeSet<_> = draw(7, 5_000).iter().map(Fault::name).collect();
    let missing: Vec<_> = all().iter().map(Fault::name).filter(|name| !drawn.contains(name)).collect();
    ensure!(missing.is_empty(), "never drawn: {missing:?}");
    Ok(())
}

/// Of faults that may be on at once, only the one that says so takes every node away.
fn one_node_of_three_is_spared() -> anyhow::Result<()> {
    for seed in 0..500 {
        let mut taken = HashSet::<Part>::new();
        let mut out = HashSet::new();
        for fault in draw(seed, 50).iter().filter(|fault| fault.parts().len() < 5) {
            if fault.parts().iter().any(|part| taken.contains(part)) {
                continue;
            }
            taken.extend(fault.parts());
            if fault.parts().iter().any(|part| matches!(part, Part::Out(_))) {
                out.extend(fault.parts().into_iter().filter(|part| matches!(part, Part::Node(_))));
            }
        }
        ensure!(out.len() <= 2, "all nodes are away at once, seed {seed}");
    }
    Ok(())
}
