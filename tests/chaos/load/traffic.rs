//! Who writes to whom, and when.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, sleep_until};

use super::ask::post;
use super::deeds::{follow_up, send_later, upload};
use super::sender::Job;
use super::words::{canary, content};
use super::world::{Known, Letter, World};
use crate::Dice;

/// What was late by more is left out, so that no burst makes up for it.
const LATE: Duration = Duration::from_secs(1);

/// Letters at random times, at the rate of the shape, until the load is being stopped.
pub(super) async fn write(world: Arc<World>, senders: Vec<mpsc::Sender<Job>>, mut dice: Dice) {
    let mut at = Instant::now();
    for n in 0_u64.. {
        at = (at + interval(&mut dice, world.shape.rate)).max(Instant::now() - LATE);
        if world.closing.run_until_cancelled(sleep_until(at)).await.is_none() {
            return;
        }
        let letter = letter(&world, &mut dice, n);
        let Some(sender) = senders.get(letter.sender as usize - 1) else { continue };
        let way = if world.shape.lively { dice.roll(100) } else { 99 };
        let mut own = Dice(dice.roll(u64::MAX));
        let here = Arc::clone(&world);
        match way {
            0..8 => world.later(Duration::ZERO, async move { by_http(&here, &mut own, letter).await }),
            8..10 => {
                let sender = sender.clone();
                let address = world.any_address(&mut own);
                world.later(Duration::ZERO, with_file(here, address, sender, (letter, own)));
            }
            _ => {
                if let Err(TrySendError::Full(_)) = sender.try_send(Job::Send(letter)) {
                    world.notes.count(|counts| counts.skipped += 1);
                }
            }
        }
    }
}

/// Until the next letter: as long as if each moment were as good as any other.
fn interval(dice: &mut Dice, rate: f64) -> Duration {
    const PARTS: u64 = 1 << 32;
    let chance = (dice.roll(PARTS) + 1) as f64 / PARTS as f64;
    Duration::from_secs_f64(-chance.ln() / rate)
}

/// From anybody to anybody, under a name with this number.
pub(super) fn letter(world: &World, dice: &mut Dice, n: u64) -> Letter {
    let users = world.shape.users.unsigned_abs();
    let sender = 1 + dice.roll(users) as i64;
    // Now and then to oneself.
    let recipient = if dice.roll(50) == 0 { sender } else { 1 + dice.roll(users) as i64 };
    let canary = canary(dice, sender, recipient);
    let content = content(dice, &canary).into();
    Letter { sender, recipient, client_message_id: format!("{n}-{canary}"), content, attachments: Vec::new() }
}

/// Without a socket.
async fn by_http(world: &Arc<World>, dice: &mut Dice, letter: Letter) {
    let address = world.any_address(dice);
    match post(world, address, &letter).await {
        Ok(data) => {
            world.learn_conversation(letter.sender, letter.recipient, data.conversation_id.0);
            follow_up(world, dice, Known { message: data.message_id.0, letter });
        }
        Err(switchboard_checker::history::Outcome::Info { .. }) => send_later(world, dice, letter),
        Err(_) => {}
    }
}

/// A file first, then the letter that it goes with, by socket or not.
async fn with_file(
    world: Arc<World>,
    address: std::net::SocketAddr,
    sender: mpsc::Sender<Job>,
    (mut letter, mut dice): (Letter, Dice),
) {
    let Some(canary) = letter.content.split(' ').next().map(str::to_owned) else { return };
    let Some(file) = upload(&world, address, letter.sender, &canary).await else { return };
    letter.attachments.push(file);
    if dice.roll(2) == 0 {
        // A full queue is a turn that is skipped.
        let _ = sender.try_send(Job::Send(letter));
    } else {
        by_http(&world, &mut dice, letter).await;
    }
}
