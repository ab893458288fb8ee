//! What is wrong with the configuration is said in a sentence that names it.

use std::net::TcpListener;

use anyhow::ensure;

use super::{Ended, Folder};
use crate::harness::SECRET;

/// A variable with a value that cannot be, and what the sentence must hold.
const BAD_VALUES: &[(&str, &str, &[&str])] = &[
    (
        "SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND",
        "abc",
        &["`limits.messages_per_second`", "`abc`", "an integer"],
    ),
    ("SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND", "0", &["`limits.messages_per_second`", "`0`", "from 1"]),
    ("SWITCHBOARD_LIMITS__CONNECTIONS_PER_USER", "-1", &["`limits.connections_per_user`", "`-1`"]),
    ("SWITCHBOARD_LIMITS__MESSAGES_PER_SECNOD", "5", &["`limits.messages_per_secnod`", "is no key"]),
    ("SWITCHBOARD_LIMTIS__MESSAGES_PER_SECOND", "5", &["`limtis`", "is no section"]),
    ("SWITCHBOARD_LISTEN", "nowhere", &["`server.listen`", "`nowhere`", "SWITCHBOARD_LISTEN"]),
    ("SWITCHBOARD_LISTEN", "127.0.0.1:70000", &["`server.listen`", "`127.0.0.1:70000`"]),
    ("SWITCHBOARD_LOG__LEVEL", "inof", &["`log.level`", "`inof`"]),
    ("SWITCHBOARD_LOG__FORMAT", "xml", &["`log.format`", "`xml`", "`json`"]),
    ("SWITCHBOARD_STORE__MIGRATE", "perhaps", &["`store.migrate`", "`perhaps`"]),
    // A URL may hold a password, so its value is not shown.
    (
        "REDIS_URL",
        "redis-sentinel://:hush@a:26379",
        &["`channel_layer.redis_url`", "REDIS_URL", "later version"],
    ),
    ("REDIS_URL", "redis-cluster://:hush@a:6379", &["`channel_layer.redis_url`", "later version"]),
    ("DATABASE_URL", "mysql://root:hush@a/b", &["`store.database_url`", "DATABASE_URL", "`sqlite://PATH`"]),
    (
        "SWITCHBOARD_JWT_SECRET",
        "hush, too short",
        &["`auth.jwt_secret`", "SWITCHBOARD_JWT_SECRET", "32 bytes"],
    ),
];

pub(super) fn a_bad_value_is_named_with_its_key(_: Folder) -> anyhow::Result<()> {
    for (variable, value, expect) in BAD_VALUES {
        let folder = Folder::new()?.with(variable, value);
        for command in [&["serve"][..], &["doctor"], &["migrate"], &["token", "--users", "1..1"], &[]] {
            let sentence = folder.fail(command)?;
            for part in *expect {
                ensure!(sentence.contains(part), "{variable}={value}, {command:?}: {sentence}");
            }
            ensure!(!sentence.contains("hush"), "{variable}, {command:?}: {sentence}");
        }
        ensure!(!folder.path().join("data").exists(), "{variable}={value}: nothing was begun");
    }
    let folder = Folder::new()?;
    let file = folder.write("a.toml", "[limits]\nmessages_per_second = \"many\"\n")?.display().to_string();
    let sentence = folder.fail(&["serve", "--config", &file])?;
    ensure!(
        sentence.contains("`limits.messages_per_second` is `many`") && sentence.contains("a.toml"),
        "{sentence}"
    );
    let file = folder.write("b.toml", "[auth]\njwt_secret = \"hush\n")?.display().to_string();
    let sentence = folder.fail(&["serve", "--config", &file])?;
    ensure!(sentence.contains("line 2") && !sentence.contains("hush"), "{sentence}");
    let sentence = folder.fail(&["serve", "--config", "missing.toml"])?;
    ensure!(sentence.contains("missing.toml"), "{sentence}");
    Ok(())
}

pub(super) fn a_taken_port_is_named(folder: Folder) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let sentence = folder.fail(&["serve", "--listen", &address])?;
    ensure!(sentence.contains("`server.listen`") && sentence.contains(&format!("`{address}`")), "{sentence}");
    Ok(())
}

pub(super) fn help_needs_nothing(folder: Folder) -> anyhow::Result<()> {
    // Not even a configuration that can be read.
    let folder = folder.with("SWITCHBOARD_LISTEN", "nowhere");
    let help = folder.succeed(&["--help"])?;
    for word in [
        "serve",
        "migrate",
        "user",
        "api-key",
        "token",
        "doctor",
        "healthcheck",
        "--database-url",
        "--listen",
    ] {
        ensure!(help.contains(word), "{word} is missing: {help}");
    }
    for command in ["serve", "migrate", "user", "api-key", "token", "doctor", "healthcheck"] {
        ensure!(folder.succeed(&[command, "--help"])?.contains("Usage: switchboard"), "{command}");
    }
    ensure!(folder.succeed(&["--version"])?.starts_with("switchboard "));
    for arguments in
        [&["dance"][..], &["migrate", "--listen", "127.0.0.1:0"], &["token"], &["token", "--users", "3..1"]]
    {
        let Ended { code, output, errors } = folder.run(arguments)?;
        ensure!(
            code == Some(2) && output.is_empty() && !errors.is_empty(),
            "{arguments:?}: {code:?} {errors}"
        );
    }
    Ok(())
}

pub(super) fn tokens_need_a_secret(folder: Folder) -> anyhow::Result<()> {
    let users = ["token", "--users", "1..3"];
    let sentence = Folder::new()?.with("SWITCHBOARD_JWT_SECRET", "").fail(&users)?;
    ensure!(sentence.contains("SWITCHBOARD_JWT_SECRET"), "{sentence}");
    let printed = folder.succeed(&users)?;
    ensure!(!printed.contains(SECRET));
    let ids: Vec<_> =
        printed.lines().filter_map(|line| line.split_once("\tAuthorization: Bearer ")).collect();
    ensure!(ids.iter().map(|(id, _)| *id).eq(["1", "2", "3"]) && printed.lines().count() == 3, "{printed}");
    Ok(())
}
