//! What the doctor finds, and what it says to do.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::resource::{Resource, getrlimit};
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
            "ok       files will be kept in `",
        ],
    )?;
    ensure!(complaints(&output).is_empty() && !output.contains(SECRET), "{output}");
    let attachments = folder.path().join("data/attachments");
    ensure!(!attachments.exists(), "it makes the folder of files");
    std::fs::create_dir(&attachments)?;
    check_lines(&folder.succeed(&["doctor"])?, &["ok       a file was written to `"])?;
    ensure!(std::fs::read_dir(attachments)?.next().is_none(), "it leaves something behind");
    let left = std::fs::read_dir(folder.path().join("data"))?.filter(|entry| {
        entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().contains("doctor"))
    });
    ensure!(left.count() == 0, "it leaves something behind");
    Ok(())
}

pub(super) fn nothing_is_made_to_look_at_it(folder: Folder) -> anyhow::Result<()> {
    let output = folder.succeed(&["doctor"])?;
    check_lines(
        &output,
        &[
            "warning  there is no database yet at `",
            "ok       the data folder `",
            "ok       files will be kept in `",
        ],
    )?;
    ensure!(complaints(&output).len() == 1, "{output}");
    ensure!(folder.fail(&["doctor", "--audit"])? == "there is no database to audit");
    ensure!(!folder.path().join("data").exists(), "it makes the data folder");
    // A file that is there, and empty.
    std::fs::create_dir(folder.path().join("data"))?;
    folder.write("data/switchboard.db", "")?;
    check_lines(&folder.succeed(&["doctor"])?, &["warning  the schema lacks `"])?;
    ensure!(folder.fail(&["doctor", "--audit"])? == "there is a problem");
    let folder = folder.with("SWITCHBOARD_STORE__MIGRATE", "false");
    let Ended { code, output, .. } = folder.run(&["doctor"])?;
    ensure!(code == Some(1), "{code:?}: {output}");
    check_lines(&output, &["problem  the schema lacks `"])
}

pub(super) fn keys_that_cannot_be_read_are_a_problem(folder: Folder) -> anyhow::Result<()> {
    let file = folder.path().join("keys.json").display().to_string();
    let folder = folder
        .with("SWITCHBOARD_AUTH__JWKS_FILE", &file)
        .with("SWITCHBOARD_AUTH__JWT_ISSUER", "https://login.example")
        .with("SWITCHBOARD_AUTH__JWT_AUDIENCE", "chat");
    folder.import_users()?;
    for (text, code, line) in [
        (None, 1, "problem  the keys of tokens cannot be read (the file "),
        (Some("no keys"), 1, "problem  the keys of tokens cannot be read (the file "),
        (Some("{\"keys\":[]}"), 0, "ok       the keys of tokens in `"),
    ] {
        if let Some(text) = text {
            folder.write("keys.json", text)?;
        }
        let Ended { code: ended, output, errors } = folder.run(&["doctor"])?;
        ensure!(ended == Some(code), "{text:?}: {ended:?}: {output}{errors}");
        check_lines(&output, &[line])?;
    }
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
    let output = folder.command_after("ulimit -n 256", &["doctor"]).output()?;
    let output = String::from_utf8(output.stdout)?;
    check_lines(&output, &["warning  the hard limit on open files is 256, which `serve` makes its own, "])?;
    ensure!(
        output.contains("for about 148 clients: set `LimitNOFILE=") && output.contains("ulimits:"),
        "{output}"
    );
    // That of the shell does not count.
    let hard = getrlimit(Resource::RLIMIT_NOFILE)?.1;
    let output = folder.command_after("ulimit -S -n 256", &["doctor"]).output()?;
    ensure!(String::from_utf8(output.stdout)?.contains(&format!("the hard limit on open files is {hard}, ")));
    Ok(())
}

pub(super) fn a_newer_schema_is_served() -> anyhow::Result<()> {
    let Fleet { folder, url, postgres, redis } = Fleet::new()?;
    let mut fleet = Fleet { folder, url, postgres, redis };
    fleet.sql(&[
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000001')",
        "ALTER TABLE messages ADD COLUMN pinned_at BIGINT",
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
    let folder =
        fleet.folder.with("SWITCHBOARD_STORE__POOL_SIZE", "60").with("SWITCHBOARD_STORE__MIGRATE", "false");
    let fleet = Fleet { folder, ..fleet };
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
    fleet.redis.command(&["ACL", "SETUSER", "default", "resetchannels", "-time"])?;
    fleet.examine(
        0,
        &[
            "warning  what is published does not come back to a subscriber, ",
            "ok       nothing is known of the clock of Redis, ",
        ],
    )?;
    fleet.postgres.freeze()?;
    fleet.redis.freeze()?;
    fleet.examine(1, &["problem  the store is out of reach: ", "warning  cannot use Redis: "])?;
    fleet.postgres.thaw()?;
    fleet.redis.kill()?;
    fleet.examine(0, &["ok       the store answers: ", "warning  cannot use Redis: "])?;
    Ok(())
}
