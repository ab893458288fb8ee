//! The store's promises, one suite on both back ends. What needs Postgres is ignored where there is none.

#[path = "../../../../tests/harness/servers.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod servers;

mod accounts;
mod attachments;
mod commands;
mod conversations;
mod groups;
mod kit;
mod lists;
mod many_entries;
mod model;
mod of_message;
mod plans;
mod properties;
mod upgrades;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use switchboard_protocol::UserId;
use switchboard_store::{Import, Store};

/// A test on a fresh store with users 1 to 5.
type Test = fn(Store) -> BoxFuture<'static, anyhow::Result<()>>;

fn main() {
    let arguments = Arguments::from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let runtime = Arc::new(runtime);
    let mut trials = Vec::new();
    let without_postgres = servers::missing().contains(&"postgres") && !servers::required();
    let postgres = Arc::new(std::sync::OnceLock::new());
    let suites = [
        commands::TESTS,
        accounts::TESTS,
        attachments::TESTS,
        conversations::TESTS,
        groups::TESTS,
        lists::TESTS,
        of_message::TESTS,
        upgrades::TESTS,
        properties::TESTS,
    ];
    for (name, test) in suites.into_iter().flatten() {
        let on_sqlite = Arc::clone(&runtime);
        let test = *test;
        trials.push(Trial::test(format!("sqlite::{name}"), move || {
            on_sqlite.block_on(async {
                let folder = tempfile::tempdir()?;
                let store = Store::open(&format!("sqlite://{}/test.db", folder.path().display()), 4).await?;
                run(store, test).await
            })
        }));
        let (on_postgres, server) = (Arc::clone(&runtime), Arc::clone(&postgres));
        let trial = Trial::test(format!("postgres::{name}"), move || {
            let server = server.get_or_init(|| servers::Postgres::start().expect("Postgres starts"));
            let url = server.create_database(&name.replace(|c: char| !c.is_alphanumeric(), "_"))?;
            on_postgres.block_on(async { run(Store::open(&url, 4).await?, test).await })
        });
        trials.push(trial.with_ignored_flag(without_postgres));
    }
    let (on_sqlite, on_postgres, server) = (Arc::clone(&runtime), runtime, Arc::clone(&postgres));
    let (pages, lists) = ("a_page_costs_the_same_at_a_million", "lists_go_by_their_indexes");
    type OnUrl = for<'a> fn(Store, &'a str) -> BoxFuture<'a, anyhow::Result<()>>;
    let (expanded, later_kind) =
        ("an_expanded_schema_serves_this_version", "an_entry_of_a_later_kind_is_not_skipped");
    let no_walk = "a_deletion_walks_no_reactions";
    let with_path: [(&str, OnUrl); 5] = [
        (no_walk, |store, path| later(store, path, many_entries::a_deletion_walks_no_reactions).boxed()),
        (expanded, |store, path| {
            later(store, path, upgrades::an_expanded_schema_serves_this_version).boxed()
        }),
        (later_kind, |store, path| {
            later(store, path, upgrades::an_entry_of_a_later_kind_is_not_skipped).boxed()
        }),
        (pages, |store, path| plans::on_sqlite(store, path).boxed()),
        (lists, |store, path| lists::cost_on_sqlite(store, path).boxed()),
    ];
    for (name, test) in with_path {
        let runtime = Arc::clone(&on_sqlite);
        trials.push(Trial::test(format!("sqlite::{name}"), move || {
            runtime.block_on(async {
                let folder = tempfile::tempdir()?;
                let path = folder.path().join("test.db").display().to_string();
                let store = prepared(Store::open(&format!("sqlite://{path}"), 4).await?).await?;
                Ok(test(store, &path).await?)
            })
        }));
    }
    let with_url: [(&str, OnUrl); 8] = [
        (no_walk, |store, url| later(store, url, many_entries::a_deletion_walks_no_reactions).boxed()),
        (expanded, |store, url| later(store, url, upgrades::an_expanded_schema_serves_this_version).boxed()),
        (later_kind, |store, url| {
            later(store, url, upgrades::an_entry_of_a_later_kind_is_not_skipped).boxed()
        }),
        (pages, |store, url| plans::on_postgres(store, url).boxed()),
        (lists, |store, url| lists::cost_on_postgres(store, url).boxed()),
        ("a_search_of_long_texts_looks_at_fewer", |store, url| {
            conversations::search::a_search_of_long_texts_looks_at_fewer(store, url).boxed()
        }),
        ("one_locked_mailbox_spoils_no_other", |store, url| {
            commands::one_locked_mailbox_spoils_no_other(store, url).boxed()
        }),
        ("one_held_up_is_not_overtaken", |store, url| {
            commands::one_held_up_is_not_overtaken(store, url).boxed()
        }),
    ];
    for (name, test) in with_url {
        let (runtime, server) = (Arc::clone(&on_postgres), Arc::clone(&server));
        let trial = Trial::test(format!("postgres::{name}"), move || {
            let server = server.get_or_init(|| servers::Postgres::start().expect("Postgres starts"));
            let url = server.create_database(name)?;
            runtime.block_on(async {
                let store = prepared(Store::open(&url, 4).await?).await?;
                Ok(test(store, &url).await?)
            })
        });
        trials.push(trial.with_ignored_flag(without_postgres));
    }
    drop((on_sqlite, on_postgres, server));
    let conclusion = libtest_mimic::run(&arguments, trials);
    // `exit` runs no destructors, and the server must not outlive the tests.
    drop(Arc::into_inner(postgres));
    conclusion.exit();
}

/// Runs a test with a second way into its store.
async fn later<F: Future<Output = anyhow::Result<()>>>(
    store: Store,
    place: &str,
    test: impl Fn(Store, upgrades::Later) -> F,
) -> anyhow::Result<()> {
    test(store, upgrades::Later::open(place).await?).await
}

/// The password of users 1 to 5, as the store has it.
pub(crate) const PASSWORD_HASH: &str = "phc";

/// With the schema and users 1 to 5.
async fn prepared(store: Store) -> anyhow::Result<Store> {
    store.migrate().await?;
    let user = |n| Import {
        username: format!("user{n}"),
        full_name: String::new(),
        password_hash: Some(PASSWORD_HASH.to_owned()),
    };
    let users = (1..=5).map(user).collect();
    assert_eq!(store.import_users(users).await?, (1..=5).map(UserId).collect::<Vec<_>>());
    Ok(store)
}

async fn run(store: Store, test: Test) -> Result<(), Failed> {
    let store = prepared(store).await?;
    test(store.clone()).await?;
    for finding in store.audit().await? {
        assert_eq!(finding.violations, 0, "{}", finding.rule);
    }
    Ok(())
}
