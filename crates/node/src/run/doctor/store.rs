//! The store: whether it answers, keeps what it acknowledged, has the schema, and has room for this node.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;
use switchboard_store::health::Server;
use switchboard_store::{Health, Schema, Store, StoreError};
use tokio::time::timeout;

use super::clock;
use super::report::Report;
use crate::config::Config;

/// For all questions together; each has a shorter one of its own.
const DEADLINE: Duration = Duration::from_secs(10);
/// With fewer messages, reading a whole table may be the quickest way.
const LARGE: i64 = 100_000;

/// Whether there is a store to look at. A SQLite file that is not there would be made by opening it, and belong to
/// whoever asked.
pub(super) fn is_there(report: &mut Report, config: &Config) -> bool {
    let url = config.store_url();
    let Some(path) = url.expose_secret().strip_prefix("sqlite://") else { return true };
    if Path::new(path).exists() {
        return true;
    }
    if config.store.migrate {
        report.warning(format_args!("there is no database yet at `{path}`: `serve` will make it"));
    } else {
        report.problem(format_args!("there is no database yet at `{path}`: run `switchboard migrate`"));
    }
    false
}

pub(super) async fn examine(store: &Store, config: &Config) -> Report {
    let mut report = Report::default();
    match timeout(DEADLINE, ask(store, config, &mut report)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => report.problem(format_args!("{error}: check `store.database_url`")),
        Err(_elapsed) => report.problem("the store does not answer in time: look at its server and its disk"),
    }
    report
}

async fn ask(store: &Store, config: &Config, report: &mut Report) -> Result<(), StoreError> {
    let health = store.health().await?;
    report.ok(format_args!("the store answers: {}", health.version));
    judge_durability(report, &health);
    if let Some(server) = &health.server {
        judge_server(report, server, config.store.pool_size);
    }
    judge_schema(report, &store.schema().await?, config.store.migrate);
    if let Some(offset) = clock::of_store(store).await? {
        clock::judge(report, "the store's clock", offset, config.auth.token_leeway());
    }
    Ok(())
}

fn judge_durability(report: &mut Report, health: &Health) {
    for setting in &health.durability {
        match setting.warning() {
            Some(warning) => report.warning(warning),
            None => report.ok(format_args!("`{}` is `{}`", setting.name, setting.value)),
        }
    }
}

fn judge_server(report: &mut Report, server: &Server, pool_size: u32) {
    if server.version_number < Health::LEAST_POSTGRES {
        let least = Health::LEAST_POSTGRES / 10_000;
        report.problem(format_args!("this Postgres lacks what the schema needs: use {least} or later"));
    }
    if server.is_standby {
        report.problem("the store is a standby, which only reads: name the primary in `store.database_url`");
    }
    let of_a_node = Store::connections_of_a_node(pool_size);
    let fit = server.usable_connections() / of_a_node;
    let found = format!(
        "Postgres takes {} connections, {} of them reserved, and {} are open; a node with `store.pool_size` {pool_size} \
         holds up to {of_a_node}",
        server.max_connections, server.reserved_connections, server.open_connections
    );
    let advice = "lower `store.pool_size`, or raise `max_connections`";
    match fit {
        0 => report.problem(format_args!("{found}, which do not fit: {advice}")),
        1 => report.warning(format_args!("{found}, so only one fits: {advice}")),
        fit => report.ok(format_args!("{found}, so {fit} nodes fit: before there are more, {advice}")),
    }
}

fn judge_schema(report: &mut Report, schema: &Schema, migrates: bool) {
    match schema.pending.first() {
        None => report.ok("the schema is up to date"),
        Some(first) if migrates => {
            report.warning(format_args!("the schema lacks `{first}`: `serve` will bring it up to date"));
        }
        Some(first) => report.problem(format_args!("the schema lacks `{first}`: run `switchboard migrate`")),
    }
    if let Some(last) = schema.ahead.last() {
        report.ok(format_args!(
            "the schema is ahead of this binary (last of {}: {last}), as beside nodes of a later version: bring this node \
             up to that version before a migration takes something away",
            schema.ahead.len()
        ));
    }
}

/// Prints what must never be found, and how often it was. Gives how many of these are problems. It reads everything,
/// and so has no deadline.
pub(super) async fn audit(store: &Store) -> anyhow::Result<usize> {
    let mut report = Report::default();
    if let Some(first) = store.pending_migrations().await?.first() {
        report
            .problem(format_args!("a schema without `{first}` cannot be audited: run `switchboard migrate`"));
        return report.print();
    }
    for finding in store.audit().await? {
        match finding.violations {
            0 => report.ok(finding.rule),
            n => report.problem(format_args!("{}: not so {n} times", finding.rule)),
        }
    }
    let messages = store.count_messages().await?;
    report.ok(format_args!("{messages} messages"));
    for plan in store.explain().await? {
        if plan.scans && messages > LARGE {
            report.problem(format_args!(
                "{} reads a whole table: an index is missing, or run ANALYZE",
                plan.reading
            ));
        }
    }
    report.print()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server {
            version_number: 150_004,
            is_standby: false,
            max_connections: 100,
            reserved_connections: 3,
            open_connections: 5,
        }
    }

    #[track_caller]
    fn check(change: impl Fn(&mut Server), expected: &[&str]) {
        let (mut report, mut server) = (Report::default(), server());
        change(&mut server);
        judge_server(&mut report, &server, 8);
        let lines = report.lines();
        let found = lines.iter().zip(expected).filter(|(line, expected)| line.contains(*expected)).count();
        assert!(lines.len() == expected.len() && found == lines.len(), "{lines:#?}");
    }

    #[test]
    fn a_server_is_new_enough_writes_and_has_room() {
        check(
            |_| {},
            &["ok       Postgres takes 100 connections, 3 of them reserved, and 5 are open; a node with"],
        );
        check(|server| server.max_connections = 22, &["so only one fits: "]);
        check(|server| server.max_connections = 12, &["problem  Postgres takes 12 connections"]);
        check(
            |server| server.version_number = 120_017,
            &["problem  this Postgres lacks", "so 9 nodes fit: "],
        );
        check(|server| server.is_standby = true, &["problem  the store is a standby", "so 9 nodes fit: "]);
    }

    #[test]
    fn a_schema_is_behind_or_ahead() {
        let mut report = Report::default();
        let schema = Schema { pending: vec!["2_b".to_owned()], ahead: vec!["3".to_owned(), "4".to_owned()] };
        judge_schema(&mut report, &schema, false);
        judge_schema(&mut report, &schema, true);
        let lines = report.lines();
        assert_eq!(lines[0], "problem  the schema lacks `2_b`: run `switchboard migrate`");
        assert!(
            lines[1].starts_with("ok       the schema is ahead of this binary (last of 2: 4)"),
            "{lines:?}"
        );
        assert_eq!(lines[2], "warning  the schema lacks `2_b`: `serve` will bring it up to date");
    }
}
