//! When all is quiet: whether devices have what there is, and what each way of asking says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, anyhow};
use futures_util::stream::{StreamExt, iter};
use switchboard_checker::history::{Event, Outcome};
use switchboard_protocol::api::ConversationsPage;
use tokio::time::{Instant, sleep};

use super::ask::Ask;
use super::deeds::{page, unread};
use super::transport::{Link, Opened, Place, Transport};
use super::world::{Progress, World};

/// Between two looks at how far everybody is.
const LOOK: Duration = Duration::from_millis(50);
/// Everything is healed: who is asked answers, though perhaps not the first time.
const ATTEMPTS: u32 = 20;
/// Users who ask at a time.
const AT_ONCE: usize = 8;
/// Messages in a page; no node gives more.
const MANY: i64 = 200;
/// From how many messages on a conversation is read to its end by one of the two alone.
const LONG: usize = 2_000;

/// Waits until each device has the last entry of its mailbox, or the time is over.
pub(super) async fn settle(
    all: &[Arc<Progress>],
    database_url: &str,
    within: Duration,
) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(database_url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let until = Instant::now() + within;
    loop {
        let rows = client.query("SELECT owner_id, last_seq FROM mailboxes WHERE owner_id IS NOT NULL", &[]);
        let ends: std::collections::HashMap<i64, i64> =
            rows.await?.iter().map(|row| (row.get(0), row.get(1))).collect();
        let has_all = |it: &Arc<Progress>| Some(&it.cursor.load(Ordering::Relaxed)) >= ends.get(&it.user);
        if all.iter().all(has_all) || Instant::now() >= until {
            drop(client);
            return Ok(connection.await??);
        }
        sleep(LOOK).await;
    }
}

/// Asks everybody for everything.
pub(super) async fn look_around(world: &Arc<World>) -> anyhow::Result<()> {
    let users = iter(1..=world.shape.users).map(|user| {
        let world = Arc::clone(world);
        async move {
            counts(&world, user).await.with_context(|| format!("counts of {user}"))?;
            pages(&world, user).await.with_context(|| format!("pages of {user}"))
        }
    });
    let mut asked = users.buffer_unordered(AT_ONCE);
    while let Some(result) = asked.next().await {
        result?;
    }
    Ok(())
}

/// Tries nodes in turn until one answers.
async fn ask_around<T>(
    world: &World,
    first: usize,
    ask: impl AsyncFn(SocketAddr) -> Result<T, Outcome>,
) -> anyhow::Result<T> {
    let nodes = world.ways.nodes.iter().skip(first % world.ways.nodes.len().max(1));
    let mut addresses = nodes.chain(&world.ways.nodes).chain([&world.ways.balancer]).cycle();
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let address = addresses.next().context("the balancer is one")?;
        match ask(*address).await {
            Ok(answer) => return Ok(answer),
            Err(outcome) => last = Some(outcome),
        }
        sleep(LOOK * 5).await;
    }
    Err(anyhow!("nobody answers at rest: {last:?}"))
}

/// Of what is not read, by HTTP and by the welcome of a socket; the device asks by its own socket.
async fn counts(world: &World, user: i64) -> anyhow::Result<()> {
    let me = ask_around(world, user as usize, async |address| unread(world, address, user).await).await?;
    ask_around(world, user as usize + 1, async |address| {
        let after = Some((me.cursor.0, me.epoch.clone()));
        let place = Place { address, credentials: world.bearer(user), after };
        let asked = world.notes.now();
        let opened = Link::open(Transport::Socket, &place).await;
        let Opened { link, unread, .. } =
            opened.map_err(|error| Outcome::Info { reason: format!("{error:#}") })?;
        let count = unread.ok_or(Outcome::Info { reason: "no count".to_owned() })?;
        world.notes.note(Event::Unread { user, count, via: "welcome".to_owned(), asked });
        link.close().await;
        Ok(())
    })
    .await
}

/// Every conversation, each page from another node.
async fn pages(world: &World, user: i64) -> anyhow::Result<()> {
    let mut before = String::new();
    loop {
        let path = format!("/api/v1/conversations?limit={MANY}{before}");
        let talks: ConversationsPage = ask_around(world, user as usize, async |address| {
            Ask { user, address, method: "GET", path: &path }.read(world).await
        })
        .await?;
        for talk in &talks.conversations {
            let other = talk.user.as_ref().context("a conversation of two")?.id.0;
            read_through(world, user, other, talk.id.0).await?;
        }
        let Some(next) = talks.before else { return Ok(()) };
        before = format!("&before={next}");
    }
}

async fn read_through(world: &World, user: i64, other: i64, conversation: i64) -> anyhow::Result<()> {
    let (mut before, mut n_read) = (None, 0);
    for n in user as usize.. {
        let page = ask_around(world, n, async |address| {
            page(world, address, user, (conversation, before, MANY)).await
        });
        let page = page.await?;
        n_read += page.messages.len();
        before = page.before.map(|id| id.0);
        if before.is_none() || (n_read >= LONG && user > other) {
            break;
        }
    }
    Ok(())
}
