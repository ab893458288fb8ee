//! What an operator does about who may come in: beside a node that runs, which hears of it.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use serde_json::json;

use super::{Folder, block_on};
use crate::harness::http::{Answer, EventStream, get, send_json};

async fn log_in(address: SocketAddr, username: &str, password: &str) -> anyhow::Result<Answer> {
    let body = json!({"username": username, "password": password});
    send_json(address, "POST", "/api/v1/auth/login", &[], &body).await
}

/// The header line that brings back the cookie of a log in, which must succeed.
async fn session(address: SocketAddr, username: &str, password: &str) -> anyhow::Result<[String; 1]> {
    let answer = log_in(address, username, password).await?;
    ensure!(answer.status == 200, "{username}: {} {}", answer.status, answer.body);
    let cookie = answer.header("set-cookie").context("no cookie")?;
    Ok([format!("Cookie: {}", cookie.split(';').next().context("no value")?)])
}

async fn status(address: SocketAddr, headers: &[String]) -> anyhow::Result<u16> {
    Ok(get(address, "/api/v1/me", headers).await?.status)
}

impl Folder {
    fn import(&self, rows: &str) -> anyhow::Result<String> {
        let file = self.write("people.csv", format!("username,full_name,password\n{rows}"))?;
        self.succeed(&["user", "import", &file.display().to_string()])
    }

    /// No file of the node has this text in it.
    fn check_not_kept(&self, secret: &str) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(self.path().join("data"))? {
            let path = entry?.path();
            if path.is_file() {
                let bytes = std::fs::read(&path)?;
                let is_kept = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                ensure!(!is_kept, "{} has `{secret}`", path.display());
            }
        }
        Ok(())
    }
}

pub(super) fn keys_are_made_listed_and_revoked(folder: Folder) -> anyhow::Result<()> {
    folder.import_users()?;
    ensure!(folder.succeed(&["api-key", "list"])?.is_empty());
    let printed = folder.succeed(&["api-key", "create", "orders"])?;
    let key = printed.strip_suffix('\n').context("a line")?;
    ensure!(key.starts_with("sbk_") && key.len() >= 40 && !key.contains(char::is_whitespace), "{key}");
    let other = folder.succeed(&["api-key", "create", "billing"])?;
    ensure!(other.trim() != key);
    let list = folder.succeed(&["api-key", "list"])?;
    let rows: Vec<Vec<_>> = list.lines().map(|line| line.split('\t').collect()).collect();
    let shown: Vec<_> = rows.iter().map(|row| (row[0], row[2])).collect();
    ensure!(shown == [("orders", "valid"), ("billing", "valid")] && !list.contains("sbk_"), "{list}");
    ensure!(rows.iter().all(|row| row.len() == 3 && row[1].ends_with('Z')), "{list}");
    let node = folder.serve(&["serve"])?;
    let with =
        |key: &str| [format!("Authorization: Bearer {}", key.trim()), "Switchboard-User: 2".to_owned()];
    block_on(async {
        ensure!(
            status(node.address, &with(key)).await? == 200
                && status(node.address, &with(&other)).await? == 200
        );
        let mut stream = EventStream::open(node.address, "/api/v1/events/stream", &with(key)).await?;
        stream.next().await?;
        tokio::task::block_in_place(|| folder.succeed(&["api-key", "revoke", "orders"]))?;
        ensure!(
            status(node.address, &with(key)).await? == 401
                && status(node.address, &with(&other)).await? == 200
        );
        let error = stream.next().await.err().context("an event came")?.to_string();
        ensure!(error == "the stream ended", "{error}");
        Ok(())
    })?;
    let list = folder.succeed(&["api-key", "list"])?;
    ensure!(list.lines().next().is_some_and(|line| line.ends_with("\trevoked")), "{list}");
    for (arguments, expect) in [
        (["revoke", "orders"], "no valid key of the name `orders`"),
        (["revoke", "nothing"], "no valid key of the name `nothing`"),
        // Else what a log says of it could be of either.
        (["create", "orders"], "a key of the name `orders`"),
        (["create", "billing"], "a key of the name `billing`"),
        (["create", ""], "1 to 150"),
        (["create", "a\tb"], "1 to 150"),
        (["create", &"x".repeat(151)], "1 to 150"),
    ] {
        let sentence = folder.fail(&["api-key", arguments[0], arguments[1]])?;
        ensure!(sentence.contains(expect) && !sentence.contains('\t'), "{arguments:?}: {sentence}");
    }
    ensure!(node.end(Signal::SIGTERM)?.0.success());
    folder.check_not_kept(key)
}

pub(super) fn users_are_disabled_and_enabled(folder: Folder) -> anyhow::Result<()> {
    folder.import("ann,Ann,password of ann\nbob,Bob,password of bob\n")?;
    let node = folder.serve(&["serve"])?;
    let address = node.address;
    block_on(async {
        let (ann, bob) = (
            session(address, "ann", "password of ann").await?,
            session(address, "bob", "password of bob").await?,
        );
        let command = |arguments: &[&str]| tokio::task::block_in_place(|| folder.succeed(arguments));
        // Twice is once.
        for _ in 0..2 {
            ensure!(command(&["user", "disable", "ann"])? == "1\tann\n");
        }
        ensure!(status(address, &ann).await? == 401 && status(address, &bob).await? == 200);
        ensure!(log_in(address, "ann", "password of ann").await?.status == 401);
        // An import names people anew, and lets nobody in.
        tokio::task::block_in_place(|| folder.import("ann,Ann A.,another password\n"))?;
        ensure!(log_in(address, "ann", "another password").await?.status == 401);
        for _ in 0..2 {
            ensure!(command(&["user", "enable", "ann"])? == "1\tann\n");
        }
        ensure!(status(address, &ann).await? == 401, "what ended has ended");
        ensure!(status(address, &session(address, "ann", "another password").await?).await? == 200);
        Ok(())
    })?;
    for command in ["disable", "enable"] {
        for name in ["nobody", "Ann", ""] {
            let sentence = folder.fail(&["user", command, name])?;
            ensure!(sentence == format!("there is no user `{name}`"), "{sentence}");
        }
    }
    ensure!(node.end(Signal::SIGTERM)?.0.success());
    Ok(())
}

pub(super) fn imported_passwords_are_those_to_log_in_by(folder: Folder) -> anyhow::Result<()> {
    let printed = folder.import("ann,Ann,the first password\nbob,Bob,\n")?;
    ensure!(printed == "1\tann\n2\tbob\n", "{printed}");
    let node = folder.serve(&["serve"])?;
    let address = node.address;
    block_on(async {
        let import = |rows: &str| tokio::task::block_in_place(|| folder.import(rows));
        let ann = session(address, "ann", "the first password").await?;
        let mut stream = EventStream::open(address, "/api/v1/events/stream", &ann).await?;
        stream.next().await?;
        for password in ["", " ", "anything at all"] {
            ensure!(log_in(address, "bob", password).await?.status == 401, "nobody has no password");
        }
        // Another name alone ends nothing.
        import("ann,Ann A.,\n")?;
        ensure!(status(address, &ann).await? == 200);
        import("ann,Ann A.,\"a second, longer password\"\n")?;
        ensure!(status(address, &ann).await? == 401);
        let error = stream.next().await.err().context("an event came")?.to_string();
        ensure!(error == "the stream ended", "{error}");
        ensure!(log_in(address, "ann", "the first password").await?.status == 401);
        let ann = session(address, "ann", "a second, longer password").await?;
        ensure!(get(address, "/api/v1/me", &ann).await?.json()?["full_name"] == "Ann A.");
        Ok(())
    })?;
    ensure!(node.end(Signal::SIGTERM)?.0.success());
    folder.check_not_kept("the first password")?;
    folder.check_not_kept("a second, longer password")
}
