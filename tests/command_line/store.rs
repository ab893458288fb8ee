//! What a command does to the store, or says of it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::ensure;
use switchboard_protocol::UserId;
use switchboard_store::Store;

use super::{Ended, Folder, block_on};
use crate::harness::servers;

pub(super) fn migrating_twice_is_migrating_once(folder: Folder) -> anyhow::Result<()> {
    let folder = folder.with("SWITCHBOARD_STORE__MIGRATE", "false");
    let sentence = folder.fail(&["doctor"])?;
    ensure!(sentence == "there is a problem", "{sentence}");
    let sentence = folder.fail(&["serve"])?;
    ensure!(sentence.contains("`switchboard migrate`"), "{sentence}");
    ensure!(folder.succeed(&["migrate"])?.lines().count() >= 1, "it says what it ran");
    ensure!(folder.succeed(&["migrate"])?.is_empty());
    folder.succeed(&["doctor"])?;
    folder.import_users()
}

pub(super) fn what_is_stored_is_for_its_owner_alone(folder: Folder) -> anyhow::Result<()> {
    let mode = |path: &Path| Ok::<_, std::io::Error>(path.metadata()?.permissions().mode() & 0o777);
    // One that is there already is somebody else's business.
    let shared = folder.path().join("shared");
    std::fs::create_dir(&shared)?;
    std::fs::set_permissions(&shared, Permissions::from_mode(0o755))?;
    let folder = folder.with("SWITCHBOARD_DATA_DIR", &shared.join("data").display().to_string());
    let node = folder.serve(&["serve"])?;
    ensure!(mode(&shared)? == 0o755 && mode(&shared.join("data"))? == 0o700);
    for name in ["switchboard.db", "switchboard.db-wal", "switchboard.db-shm", "switchboard.lock"] {
        let mode = mode(&shared.join("data").join(name))?;
        ensure!(mode == 0o600, "{name}: {mode:o}");
    }
    drop(node);
    let folder = folder.with("SWITCHBOARD_DATA_DIR", &shared.display().to_string());
    folder.succeed(&["migrate"])?;
    ensure!(mode(&shared)? == 0o755 && mode(&shared.join("switchboard.db"))? == 0o600);
    Ok(())
}

pub(super) fn a_doctor_examines_the_store(folder: Folder) -> anyhow::Result<()> {
    folder.import_users()?;
    let report = folder.succeed(&["doctor"])?;
    for line in [
        "ok       the configuration can be read",
        "ok       the store answers: SQLite",
        "ok       the schema",
    ] {
        ensure!(report.contains(line), "{line}: {report}");
    }
    let audit = folder.succeed(&["doctor", "--audit"])?;
    ensure!(
        audit.contains("ok       a mailbox is gapless") && audit.contains("ok       0 messages"),
        "{audit}"
    );
    ensure!(!audit.contains("problem  "), "{audit}");
    Ok(())
}

pub(super) fn a_doctor_tells_no_secret(folder: Folder) -> anyhow::Result<()> {
    let database = format!("postgres://sam:hush-hush@127.0.0.1:{}/switchboard", servers::free_port()?);
    let folder = folder.with("DATABASE_URL", &database).with("SWITCHBOARD_LOG__LEVEL", "trace");
    let Ended { code, output, errors } = folder.run(&["doctor"])?;
    ensure!(code == Some(1) && output.contains("problem  the store"), "{code:?} {output}{errors}");
    ensure!(errors.lines().last() == Some("switchboard: there is a problem"), "{errors}");
    ensure!(!output.contains("hush-hush") && !errors.contains("hush-hush"), "{output}{errors}");
    for command in ["serve", "migrate"] {
        let Ended { code, output, errors } = folder.run(&[command])?;
        let sentence = errors.lines().last().unwrap_or_default();
        ensure!(
            code == Some(1) && sentence.starts_with("switchboard: the store is out of reach"),
            "{errors}"
        );
        ensure!(
            !output.contains("hush-hush") && !errors.contains("hush-hush"),
            "{command}: {output}{errors}"
        );
    }
    // A URL that cannot be read is not repeated either.
    let folder = folder.with("DATABASE_URL", "postgres://sam:hush-hush@127.0.0.1:port/x");
    let Ended { code, output, errors } = folder.run(&["doctor"])?;
    ensure!(
        code == Some(1) && !output.contains("hush-hush") && !errors.contains("hush-hush"),
        "{output}{errors}"
    );
    // Sends go on without the channel layer, so that it is away is no more than a warning.
    let folder =
        Folder::new()?.with("REDIS_URL", &format!("redis://:hush-hush@127.0.0.1:{}", servers::free_port()?));
    folder.import_users()?;
    let Ended { code, output, errors } = folder.run(&["doctor"])?;
    ensure!(code == Some(0) && output.contains("warning  "), "{code:?} {output}{errors}");
    ensure!(!output.contains("hush-hush") && !errors.contains("hush-hush"), "{output}{errors}");
    Ok(())
}

pub(super) fn users_are_imported_and_renamed(folder: Folder) -> anyhow::Result<()> {
    folder.import_users()?;
    folder.import_users()?;
    let text = "full_name,username,password\n\"Bob, the builder\",bob,\n Dora Ä ,  dora  ,\n,eve,\n";
    let file = folder.write("more.csv", text)?.display().to_string();
    let printed = folder.succeed(&["user", "import", &file])?;
    let ids: Vec<_> = printed.lines().filter_map(|line| line.split_once('\t')).collect();
    ensure!(ids.iter().map(|(_, name)| *name).eq(["bob", "dora", "eve"]) && ids[0].0 == "2", "{printed}");
    block_on(async {
        let store = Store::open(&folder.store_url(), 1).await?;
        for ((id, username), full_name) in ids.into_iter().zip(["Bob, the builder", "Dora Ä", ""]) {
            let account = store.find_account(UserId(id.parse()?)).await?.expect("it was imported");
            ensure!((account.username.as_str(), account.full_name.as_str()) == (username, full_name));
        }
        Ok(())
    })
}

pub(super) fn a_bad_file_is_imported_not_at_all(folder: Folder) -> anyhow::Result<()> {
    folder.succeed(&["migrate"])?;
    // More than one transaction has room for.
    let good: String = (0..2_500).map(|n| format!("user{n},User {n},\n")).collect();
    let long = "x".repeat(151);
    let bad = [
        ("a control character", "eve\u{7},Eve,\n".to_owned(), "line 2502"),
        ("a control character in the full name", "eve,E\u{1b}[31mve,\n".to_owned(), "line 2502"),
        ("a long password", format!("eve,Eve,hush{}\n", "x".repeat(1021)), "line 2502"),
        ("no name", ",Eve,\n".to_owned(), "line 2502"),
        ("a long name", format!("{long},Eve,\n"), "line 2502"),
        ("too few columns", "eve\n".to_owned(), "2502"),
    ];
    for (what, line, expect) in bad {
        let file = folder.write("bad.csv", format!("username,full_name,password\n{good}{line}"))?;
        let sentence = folder.fail(&["user", "import", &file.display().to_string()])?;
        ensure!(sentence.contains("bad.csv") && sentence.contains(expect), "{what}: {sentence}");
        ensure!(!sentence.contains("hush") && !sentence.contains('\u{1b}'), "{what}: {sentence}");
    }
    let headers =
        [("name,full_name\nann,Ann\n", "username"), ("", "username"), ("ann,Ann\nbob,Bob\n", "username")];
    for (text, expect) in headers {
        let file = folder.write("bad.csv", text)?.display().to_string();
        let sentence = folder.fail(&["user", "import", &file])?;
        ensure!(sentence.contains(expect), "`{text}`: {sentence}");
    }
    let file = folder.write("bad.csv", b"username\nann\nb\xffb\n")?.display().to_string();
    ensure!(folder.fail(&["user", "import", &file])?.contains("bad.csv"));
    ensure!(folder.fail(&["user", "import", "missing.csv"])?.contains("missing.csv"));
    block_on(async {
        let store = Store::open(&folder.store_url(), 1).await?;
        ensure!(store.find_account(UserId(1)).await?.is_none(), "somebody was imported");
        Ok(())
    })
}
