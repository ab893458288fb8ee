//! Delivery from the store to feeds, under arbitrary scripts: what the channel layer loses, repeats and reorders, cursors of
//! all kinds, feeds that come and go, two nodes on one store.
//!
//! Whatever happens, each feed gives what its mailbox holds after its cursor, once, in order, and within the sweep's bound
//! after the last commit. As the sweep takes its time, hundreds of scripts are played at once, each by users of its own; one
//! that fails is played again alone, shorter and shorter. `SWITCHBOARD_TEST_SEED` chooses other scripts; a failure names its
//! seed. What needs Postgres is ignored where there is none; with `SWITCHBOARD_TEST=all` it fails instead.

mod case;
mod reader;
mod script;
#[path = "../../../../tests/harness/servers.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod servers;
mod world;

use std::collections::HashSet;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{env, io, thread};

use anyhow::{Context, anyhow, bail, ensure};
use futures_util::stream::{self, StreamExt};
use libtest_mimic::{Arguments, Failed, Trial};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use switchboard_store::Store;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tracing::Level;

use script::Deed;
use servers::Postgres;
use world::World;

/// Scripts in a run, and how many of them at once.
const CASES: usize = 320;
const AT_ONCE: usize = 80;
/// Connections of the store for reading.
const POOL: usize = 4;
/// What the return of the store takes on top, so that all is well ten seconds after.
const RETURN: Duration = Duration::from_secs(4);
/// How long a script that fails is made shorter.
const SHRINK: Duration = Duration::from_secs(60);

/// What the nodes log as an error. Held for a line.
static ERRORS: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Takes what is logged.
struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        ERRORS.lock().unwrap_or_else(PoisonError::into_inner).write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn main() {
    tracing_subscriber::fmt().with_max_level(Level::ERROR).with_ansi(false).with_writer(|| Log).init();
    let arguments = Arguments::from_args();
    let without_postgres = servers::missing().contains(&"postgres") && !servers::required();
    let on_postgres = |name: &str, test: fn(Postgres) -> anyhow::Result<()>| {
        let test = move || told(Postgres::start().and_then(test));
        Trial::test(format!("postgres::{name}"), test).with_ignored_flag(without_postgres)
    };
    let name = "each_feed_gives_each_entry_once_in_order";
    let trials = vec![
        Trial::test(format!("sqlite::{name}"), || told(on_sqlite())),
        on_postgres(name, |server| play(&server.create_database("delivery")?, |_world| Ok(()))),
        on_postgres("feeds_outlive_a_store_that_goes_and_comes", |mut server| {
            play(&server.create_database("delivery")?, |world| come_and_go(&mut server, world))
        }),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// With what caused it.
fn told(result: anyhow::Result<()>) -> Result<(), Failed> {
    result.map_err(|error| format!("{error:#}").into())
}

fn on_sqlite() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    play(&format!("sqlite://{}/test.db", folder.path().display()), |_world| Ok(()))
}

/// Takes the store away in two ways.
fn come_and_go(server: &mut Postgres, world: &World) -> anyhow::Result<()> {
    world.set_back(Instant::now() + Duration::from_secs(60));
    thread::sleep(Duration::from_millis(300));
    server.freeze()?;
    thread::sleep(Duration::from_millis(1_200));
    server.thaw()?;
    thread::sleep(Duration::from_millis(800));
    server.kill()?;
    thread::sleep(Duration::from_millis(300));
    server.restart()?;
    world.set_back(Instant::now() + RETURN);
    Ok(())
}

/// Plays scripts on the store at `url`, while something is done to it.
fn play(url: &str, disturb: impl FnOnce(&World) -> anyhow::Result<()> + Send) -> anyhow::Result<()> {
    let seed = match env::var("SWITCHBOARD_TEST_SEED") {
        Ok(seed) => seed.parse().context("SWITCHBOARD_TEST_SEED is no number")?,
        Err(_) => rand::random(),
    };
    let runtime = Runtime::new()?;
    let world = runtime.block_on(async { World::start(Store::open(url, POOL).await?).await })?;
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() });
    let strategy = script::script();
    let trees = std::iter::repeat_with(|| strategy.new_tree(&mut runner)).take(CASES);
    let mut trees = trees.collect::<Result<Vec<_>, _>>().map_err(|reason| anyhow!("no scripts: {reason}"))?;
    let scripts: Vec<_> = trees.iter().map(ValueTree::current).collect();
    let played = thread::scope(|scope| {
        let disturbance = scope.spawn(|| disturb(&world));
        let played = runtime.block_on(play_all(&world, &scripts));
        disturbance.join().map_err(|_panic| anyhow!("the disturbance panicked"))??;
        anyhow::Ok(played)
    })?;
    if let Err((which, error)) = played {
        let shorter = runtime.block_on(shrink(&world, &mut trees[which]));
        let (script, error) = shorter.unwrap_or_else(|| (scripts[which].clone(), error));
        bail!("SWITCHBOARD_TEST_SEED={seed}: {error:#}\n{script:?}");
    }
    // A feed that finds a hole in what its hub brings says so, and mends it.
    let errors = std::mem::take(&mut *ERRORS.lock().unwrap_or_else(PoisonError::into_inner));
    ensure!(errors.is_empty(), "SWITCHBOARD_TEST_SEED={seed}: {}", String::from_utf8_lossy(&errors));
    runtime.block_on(async {
        for finding in world.store.audit().await? {
            ensure!(finding.violations == 0, "{}: {}", finding.rule, finding.violations);
        }
        world.stop().await
    })
}

/// Plays all scripts. Gives the first that failed.
async fn play_all(world: &World, scripts: &[Vec<Deed>]) -> Result<(), (usize, anyhow::Error)> {
    let playing = scripts
        .iter()
        .enumerate()
        .map(async |(which, script)| case::play(world, script).await.map_err(|error| (which, error)));
    let mut playing = stream::iter(playing).buffer_unordered(AT_ONCE);
    let mut ways = HashSet::new();
    while let Some(played) = playing.next().await {
        ways.extend(played?.into_iter().map(|way| format!("{way:?}")));
    }
    // Otherwise the scripts are none that try anything.
    assert_eq!(ways.len(), 4, "entries came by no other way than {ways:?}");
    Ok(())
}

/// Plays a script that failed among others alone, and shorter and shorter. None if alone it does not fail.
async fn shrink(
    world: &World,
    tree: &mut impl ValueTree<Value = Vec<Deed>>,
) -> Option<(Vec<Deed>, anyhow::Error)> {
    let until = Instant::now() + SHRINK;
    let mut shortest = None;
    loop {
        let script = tree.current();
        let goes_on = match case::play(world, &script).await {
            Err(error) => {
                shortest = Some((script, error));
                tree.simplify()
            }
            Ok(_) if shortest.is_none() => false,
            Ok(_) => tree.complicate(),
        };
        if !goes_on || Instant::now() > until {
            return shortest;
        }
    }
}
