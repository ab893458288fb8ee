//! Everything that is promised, through the real socket and HTTP, on two nodes.
//!
//! What needs servers that are not installed is listed as ignored; with `SWITCHBOARD_TEST=all` it fails instead.
//! To add a test: a function that takes a [`Cluster`], and its line in the `TESTS` of its module.

mod agree;
mod api;
mod attachments;
mod authority;
mod bounds;
mod browser;
mod command_line;
mod contract;
mod delivery;
mod drain;

mod frames;
mod harness;
mod identity;
mod live;
mod mix;
mod observe;
mod operations;
mod outages;
mod polling;
mod queries;
mod race;
mod resume;
mod upgrade;

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};

use harness::{Cluster, Pair, servers};

/// A test on two fresh nodes.
pub(crate) struct Test {
    name: &'static str,
    run: fn(Cluster) -> LocalBoxFuture<'static, anyhow::Result<()>>,
    pairs: &'static [Pair],
    /// On top of the defaults.
    settings: Settings,
}

/// Keys of the environment of the nodes, with what they are set to.
type Settings = &'static [(&'static str, &'static str)];

pub(crate) const BOTH: &[Pair] = &[Pair::SqliteMemory, Pair::PostgresRedis];
pub(crate) const PROCESSES: &[Pair] = &[Pair::PostgresRedis];

/// A [`Test`] that is named after its function.
macro_rules! test {
    ($function:ident, $pairs:expr) => {
        test!($function, $pairs, &[])
    };
    ($function:ident, $pairs:expr, $settings:expr) => {
        crate::Test {
            name: stringify!($function),
            run: |cluster| Box::pin($function(cluster)),
            pairs: $pairs,
            settings: $settings,
        }
    };
}
pub(crate) use test;

fn main() {
    let arguments = Arguments::from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let runtime = Arc::new(runtime);
    let without_servers = !servers::missing().is_empty() && !servers::required();
    let modules = [
        agree::TESTS,
        api::TESTS,
        attachments::TESTS,
        authority::TESTS,
        bounds::TESTS,
        contract::TESTS,
        delivery::TESTS,
        drain::TESTS,
        outages::TESTS,
        frames::TESTS,
        identity::TESTS,
        live::TESTS,
        mix::TESTS,
        observe::TESTS,
        operations::TESTS,
        polling::TESTS,
        queries::TESTS,
        race::TESTS,
        resume::TESTS,
        upgrade::TESTS,
    ];
    let mut trials = command_line::trials();
    trials.extend(browser::trials(&runtime));
    trials.extend(operations::trials(&runtime));
    let trial = |prefix: &str, test: &'static Test, pair: Pair, settings: Settings| {
        let runtime = Arc::clone(&runtime);
        let trial = Trial::test(format!("{pair:?}::{prefix}{}", test.name), move || {
            run(&runtime, test, pair, &[test.settings, settings].concat())
        });
        trial.with_ignored_flag(without_servers && pair == Pair::PostgresRedis)
    };
    for test in modules.into_iter().flatten() {
        trials.extend(test.pairs.iter().map(|pair| trial("", test, *pair, &[])));
    }
    // What is said of sessions holds on each transport.
    let of_sessions = [drain::TESTS, frames::TESTS, resume::TESTS].into_iter().flatten();
    let other: Settings = &[("SWITCHBOARD_SERVER__TRANSPORT", "actix-ws")];
    trials.extend(of_sessions.map(|test| trial("actix_ws::", test, test.pairs[0], other)));
    libtest_mimic::run(&arguments, trials).exit();
}

/// A figure that somebody may want to write down: on standard output, whatever becomes of the test.
pub(crate) fn tell(line: std::fmt::Arguments<'_>) {
    // Nobody listens if it is closed.
    let _ = std::io::Write::write_fmt(&mut std::io::stdout().lock(), format_args!("  {line}\n"));
}

fn run(
    runtime: &tokio::runtime::Runtime,
    test: &Test,
    pair: Pair,
    settings: &[(&str, &str)],
) -> Result<(), Failed> {
    let result = runtime.block_on(async {
        let cluster = Cluster::start(pair, settings).await?;
        (test.run)(cluster).await
    });
    // With what caused it.
    result.map_err(|error| format!("{error:#}").into())
}
