//! The second device of each user: it only reads, and changes its transport every few seconds.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::follower::Follower;
use super::transport::{Link, Transport};
use super::world::{Progress, World};
use crate::Dice;

/// Follows the mailbox of a user until devices leave.
pub(super) async fn roam(world: Arc<World>, progress: Arc<Progress>, mut dice: Dice) {
    let user = progress.user;
    let mut follower = Follower::new(format!("{user}.b"), Some((0, String::new())), progress);
    let leaving = world.leaving.clone();
    let _left = leaving.run_until_cancelled(Box::pin(go_on(&world, &mut follower, &mut dice))).await;
    follower.leave(&world.notes);
}

async fn go_on(world: &World, follower: &mut Follower, dice: &mut Dice) {
    let bearer = world.bearer(follower.user);
    loop {
        let transport = Transport::ALL[dice.roll(3) as usize];
        // Some stay long enough to see what a sweep brings.
        let stays = if dice.roll(4) == 0 { 15_000 } else { 1_000 + dice.roll(4_000) };
        let until = Instant::now() + Duration::from_millis(stays);
        let ways = [world.ways.balancer, world.ways.through_proxy];
        let place = (ways[dice.roll(2) as usize], bearer.as_str());
        match follower.connect(&world.notes, transport, place).await {
            Ok(link) => {
                let ended = follow(world, follower, dice, link, until).await;
                let is_broken = ended.is_err();
                let reason =
                    ended.map_or_else(|error| format!("{error:#}"), |()| "goes elsewhere".to_owned());
                follower.disconnected(&world.notes, reason);
                if is_broken {
                    pause(dice).await;
                }
            }
            Err(_) => pause(dice).await,
        }
        // Now and then somebody closes the laptop.
        let is_at_rest = world.closing.is_cancelled();
        if world.shape.lively && !is_at_rest && dice.roll(12) == 0 {
            let away = sleep(Duration::from_millis(1_000 + dice.roll(9_000)));
            let _until_rest = world.closing.run_until_cancelled(away).await;
        }
    }
}

async fn pause(dice: &mut Dice) {
    sleep(Duration::from_millis(50 + dice.roll(950))).await;
}

/// Takes what comes until it is time to go.
///
/// # Errors
/// If the link ends before.
async fn follow(
    world: &World,
    follower: &mut Follower,
    dice: &mut Dice,
    mut link: Link,
    mut until: Instant,
) -> anyhow::Result<()> {
    while let Ok(next) = timeout_at(until, link.next(dice)).await {
        if let Some(rest) = follower.take(&world.notes, &next?)? {
            until = until.min(Instant::now() + rest);
        }
    }
    if dice.roll(2) == 0 {
        link.close().await;
    }
    Ok(())
}
