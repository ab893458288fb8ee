//! What the doctor finds, and what it says to do.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;

use super::{Ended, Folder, block_on};
use crate::harness::servers::{Postgres, Redis};
use crate::harness::{SECRET, http};

/// However much of what it asks does not answer.
const MOST: Duration = Duration::from_secs(15);

/// A folder with a migrated database and a Redis of its own.
struct Fleet {
    folder: Folder,
    postgres: Postgres,
    redis: Redis,
    url: String,
}

impl Fleet {
    fn new() -> anyhow::Result<Self> {
        let (postgres, redis) = (Postgres::start()?, Redis::start()?);
        let url = postgres.create_database("switchboard")?;
        let folder = Folder::new()?.with("DATABASE_URL", &url).with("REDIS_URL", &redis.url());
        folder.succeed(&["migrate"])?;
        redis.command(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 268435456 134217728 60"])?;
        Ok(Self { folder, postgres, redis, url })
    }

    fn sql(&self, statements: &[&str]) -> anyhow::Result<()> {
        block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await?;
            tokio::spawn(connection);
            for statement in statements {
                client.batch_execute(statement).await.with_context(|| (*statement).to_owned())?;
            }
            Ok(())
        })
    }

    /// Runs the doctor, who ends in time with this status, tells no secret, and has a line of each beginning.
    #[track_caller]
    fn examine(&self, code: i32, lines: &[&str]) -> anyhow::Result<String> {
        let begun = Instant::now();
        let Ended { code: ended, output, errors } = self.folder.run(&["doctor"])?;
        ensure!(begun.elapsed() < MOST, "it took {:?}", begun.elapsed());
        ensure!(ended == Some(code), "{ended:?}: {output}{errors}");
        ensure!(!output.contains(SECRET) && !errors.contains(SECRET));
        check_lines(&output, lines)?;
        Ok(output)
    }
}

/// Every line has a grade, and one of them begins like each of these.
fn check_lines(output: &str, begins: &[&str]) -> anyhow::Result<()> {
    for line in output.lines() {
        let grade = line.get(..9).map(str::trim);
        ensure!(matches!(grade, Some("ok" | "warning" | "problem")), "{line}");
        ensure!(line.starts_with("ok ") || line.contains(": "), "nothing to do: {line}");
    }
    for begin in begins {
        ensure!(output.lines().any(|line| line.starts_with(begin)), "no line `{begin}`: {output}");
    }
    Ok(())
}

/// The lines that are not `ok`, without the one of what this machine grants.
fn complaints(output: &str) -> Vec<&str> {
    let is_complaint = |line: &&str| !line.starts_with("ok ") && !line.contains("limit on open files");
    output.lines().filter(is_complaint).collect()
}

pub(super) fn all_is_well_on_sqlite(folder: Folder) -> anyhow::Result<()> {
    folder.import_users()?;
    let output = folder.succeed(&["doctor"])?;
    check_lines(
        &output,
        &[
            "ok       the configuration can be read",
            "ok       there is a secret for tokens: ",
            "ok       the store answers: SQLite 3",
            "ok       `journal_mode` is `wal`",
            "ok       `synchronous` is `full`",
            "ok       the schema is up to date",
            "ok       the channel layer is within the process",
            "ok       the data folder `",
            "ok       a file was written to `",
        ],
    )?;
    ensure!(complaints(&output).is_empty() && !output.contains(SECRET), "{output}");
    let left = std::fs::read_dir(folder.path().join("data"))?.filter(|entry| {
        entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().contains("doctor"))
    });
    ensure!(left.count() == 0, "the doctor leaves something behind");
    Ok(())
}

pub(super) fn files_that_cannot_be_kept_are_a_problem(folder: Folder) -> anyhow::Result<()> {
    let file = folder.write("no folder", "")?;
    let folder = folder.with("SWITCHBOARD_ATTACHMENTS__URL", &format!("file://{}/below", file.display()));
    folder.import_users()?;
    let Ended { code, output, errors } = folder.run(&["doctor"])?;
    ensure!(code == Some(1), "{code:?}: {output}{errors}");
    check_lines(&output, &["problem  files cannot be kept in `file://"])
}

pub(super) fn a_low_limit_on_files_is_named(folder: Folder) -> anyhow::Result<()> {
    folder.import_users()?;
    let doctor = folder.command(&["doctor"]);
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 256 && exec \"$0\" doctor"])
        .arg(doctor.get_program())
        .env_clear()
        .envs(doctor.get_envs().filter_map(|(key, value)| Some((key, value?))))
        .current_dir(folder.path())
        .output()?;
    let output = String::from_utf8(output.stdout)?;
    check_lines(
        &output,
        &["warning  the limit on open files is 256, which is room for about 148 clients: "],
    )?;
    ensure!(output.contains("LimitNOFILE=") && output.contains("ulimits:"), "{output}");
    Ok(())
}

pub(super) fn a_newer_schema_is_served() -> anyhow::Result<()> {
    let Fleet { folder, url, postgres, redis } = Fleet::new()?;
    let mut fleet = Fleet { folder, url, postgres, redis };
    fleet.sql(&[
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000001')",
        "ALTER TABLE messages ADD COLUMN edited_at BIGINT",
    ])?;
    fleet.examine(0, &["ok       the schema is ahead of this binary (last of 1: 29990101000001)"])?;
    for migrate in ["true", "false"] {
        fleet.folder = fleet.folder.with("SWITCHBOARD_STORE__MIGRATE", migrate);
        let node = fleet.folder.serve(&["serve"])?;
        block_on(async {
            ensure!(http::get(node.address, "/ready", &[]).await?.status == 200, "migrate = {migrate}");
            Ok(())
        })?;
        ensure!(node.end(Signal::SIGTERM)?.0.success());
    }
    ensure!(fleet.folder.succeed(&["migrate"])?.is_empty());
    Ok(())
}

pub(super) fn all_is_well_on_postgres_and_redis() -> anyhow::Result<()> {
    let fleet = Fleet::new()?;
    let output = fleet.examine(
        0,
        &[
            "ok       the store answers: Postgres ",
            "ok       `fsync` is `on`",
            "ok       `full_page_writes` is `on`",
            "ok       `synchronous_commit` is `on`",
            "ok       Postgres takes 100 connections, 3 of them reserved, and ",
            "ok       the schema is up to date",
            "ok       the store's clock agrees with this machine's clock within ",
            "ok       the channel layer answers: Redis ",
            "ok       what is published comes back to a subscriber in ",
            "ok       Redis cuts a subscriber that lags at 268435456 bytes",
            "ok       `maxmemory` is no limit and `maxmemory-policy` is `noeviction`",
            "ok       the clock of Redis agrees with this machine's clock within ",
        ],
    )?;
    ensure!(complaints(&output).is_empty(), "{output}");
    Ok(())
}

pub(super) fn what_loses_messages_is_named() -> anyhow::Result<()> {
    let fleet = Fleet::new()?;
    fleet.sql(&[
        "ALTER DATABASE switchboard SET synchronous_commit = off",
        "ALTER SYSTEM SET full_page_writes = off",
        "SELECT pg_reload_conf()",
        "DELETE FROM __diesel_schema_migrations WHERE version LIKE '%2'",
    ])?;
    fleet.redis.command(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 33554432 8388608 60"])?;
    let fleet = Fleet { folder: fleet.folder.with("SWITCHBOARD_STORE__POOL_SIZE", "60"), ..fleet };
    let output = fleet.examine(
        1,
        &[
            "warning  `full_page_writes` is `off`, so ",
            "warning  `synchronous_commit` is `off`, so acknowledged messages are lost when the server crashes: set it to `on`",
            "warning  Postgres takes 100 connections",
            "problem  the schema lacks `2026-11-22-000002_accounts`: run `switchboard migrate`",
            "warning  Redis cuts a subscriber that lags by 33554432 bytes, ",
        ],
    )?;
    ensure!(complaints(&output).len() == 5, "{output}");
    Ok(())
}

pub(super) fn what_does_not_answer_takes_seconds() -> anyhow::Result<()> {
    let mut fleet = Fleet::new()?;
    fleet.redis.command(&["ACL", "SETUSER", "default", "resetchannels"])?;
    fleet.examine(0, &["warning  what is published does not come back to a subscriber, "])?;
    fleet.postgres.freeze()?;
    fleet.redis.freeze()?;
    fleet.examine(1, &["problem  the store is out of reach: ", "warning  cannot use Redis: "])?;
    fleet.postgres.thaw()?;
    fleet.redis.kill()?;
    fleet.examine(0, &["ok       the store answers: ", "warning  cannot use Redis: "])?;
    Ok(())
}
