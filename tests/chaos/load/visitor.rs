//! A third device that is there for some seconds: it logs in by password, follows the mailbox, and logs out.

use std::sync::Arc;
use std::time::Duration;

use switchboard_checker::history::Event;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::ask::post;
use super::follower::Follower;
use super::transport::{Link, Transport};
use super::words::{canary, content};
use super::world::{Letter, Progress, World};
use crate::Dice;
use crate::harness::http::{get, log_in, origin, send};

/// For logging in and out; passwords are slow by design.
const PATIENCE: Duration = Duration::from_secs(20);
/// A link that is still open so long after the log-out is put to the test: longer than any bound of a history.
const LINGERS: Duration = Duration::from_millis(6_500);
/// For what comes of that.
const PROBE: Duration = Duration::from_secs(2);

/// Comes, stays a little, and goes. Whatever a fault keeps from going well is left at that.
pub(super) async fn visit(world: Arc<World>, user: i64, n: u64, mut dice: Dice) {
    let address = world.ways.balancer;
    let Ok(Ok(cookie)) = timeout(PATIENCE, log_in(address, user)).await else { return };
    let mut follower = Follower::new(format!("{user}.c{n}"), None, Progress::new(user));
    let Ok(link) = follower.connect(&world.notes, Transport::Stream, (address, &cookie)).await else {
        return;
    };
    stay(&world, &mut follower, link, (&cookie, &mut dice)).await;
    follower.leave(&world.notes);
}

async fn stay(world: &World, follower: &mut Follower, mut link: Link, (cookie, dice): (&str, &mut Dice)) {
    let goes_at = Instant::now() + Duration::from_millis(300 + dice.roll(2_500));
    if !follow(world, follower, &mut link, goes_at).await {
        return;
    }
    let address = world.ways.balancer;
    let headers = [cookie.to_owned(), origin(address)];
    let log_out = timeout(PATIENCE, send(address, "POST", "/api/v1/auth/logout", &headers, &[]));
    tokio::pin!(log_out);
    // What comes meanwhile waits in the kernel, and would be seen too late: it is taken as it comes.
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut log_out => break answer,
            is_open = follow(world, follower, &mut link, Instant::now() + PATIENCE) => if !is_open {
                break log_out.await;
            },
        }
    };
    // Without an answer nobody knows whether it is still good.
    let Ok(Ok(answer)) = answer else { return };
    if answer.status != 204 {
        return;
    }
    world.notes.note(Event::CutOff { device: follower.device.clone() });
    let is_open = follow(world, follower, &mut link, Instant::now() + LINGERS).await;
    come_again(world, follower, cookie).await;
    if is_open {
        let (user, client_message_id) = (follower.user, format!("probe-{:016x}", dice.roll(u64::MAX)));
        let canary = canary(dice, user, user);
        let content = content(dice, &canary).into();
        let attachments = Vec::new();
        let letter = Letter { sender: user, recipient: user, client_message_id, content, attachments };
        // It is noted what came of it.
        let _ = post(world, world.any_address(dice), &letter).await;
        follow(world, follower, &mut link, Instant::now() + PROBE).await;
    }
}

/// Shows each node credentials that have ended. Being let in is noted as a connection.
async fn come_again(world: &World, follower: &Follower, cookie: &str) {
    for node in &world.ways.nodes {
        let answer = timeout(PATIENCE, get(*node, "/api/v1/me", &[cookie.to_owned()])).await;
        if answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status == 200)) {
            let (device, user) = (follower.device.clone(), follower.user);
            let (transport, cursor, epoch) = ("http".to_owned(), 0, String::new());
            world.notes.note(Event::Connected { device, user, transport, cursor, epoch });
        }
    }
}

/// Takes what comes until then. Whether the link is still open.
async fn follow(world: &World, follower: &mut Follower, link: &mut Link, until: Instant) -> bool {
    while let Ok(next) = timeout_at(until, link.next(&mut Dice(0))).await {
        if let Err(error) = next.and_then(|text| follower.take(&world.notes, &text)) {
            follower.disconnected(&world.notes, format!("{error:#}"));
            return false;
        }
    }
    true
}

/// Visits all the time, a few seconds apart.
pub(super) async fn visits(world: Arc<World>, mut dice: Dice) {
    for n in 1.. {
        let wait = sleep(Duration::from_millis(200 + dice.roll(3_000)));
        if world.closing.run_until_cancelled(wait).await.is_none() {
            return;
        }
        let user = 1 + dice.roll(world.shape.users.unsigned_abs()) as i64;
        let visit = visit(Arc::clone(&world), user, n, Dice(dice.roll(u64::MAX)));
        world.tracker.spawn(visit);
    }
}
