//! What a request costs the store: a handful of statements, and no more of them however full the mailbox is.
//!
//! Postgres itself says what it was asked: its log has a line a statement.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use switchboard_protocol::former::Lists;
use switchboard_protocol::{AttachmentId, MessageId, UserId};
use switchboard_store::{Command, Outcome, SendCommand};
use tokio::time::Instant;

use crate::attachments::kit::{send_files, sql, upload_one};
use crate::harness::http::{Answer, bearer, get, multipart, send};
use crate::harness::{Cluster, DEADLINE, eventually};
use crate::{PROCESSES, Test, test};

pub(crate) const TESTS: &[Test] = &[test!(a_full_mailbox_costs_no_more_queries, PROCESSES)];

/// What one request may cost, in turns to the store.
const MOST: usize = 3;
const SEND_TO_THREE: &str = "send to three";
const SEND_FILE: &str = "send a file";

/// What a node asks by itself, by how the statements begin or what they hold.
const OWN_BUSINESS: &[&str] = &[
    "SELECT $1",
    "\"mailboxes\".\"owner_id\" IS NULL",
    "UPDATE \"attachments\" SET \"removed_at\"",
    "SELECT \"attachments\".\"storage_key\"",
    "DELETE FROM \"sessions\"",
    "DELETE FROM \"tickets\"",
    "SET ",
    "BEGIN",
    "COMMIT",
];

/// The statements that Postgres has logged, from some moment on.
struct Log(PathBuf, u64);

impl Log {
    /// Has all statements logged from now on.
    async fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        let path = cluster.postgres.as_ref().context("no Postgres")?.log();
        let mut log = Self(path, 0);
        let client = sql(cluster).await?.context("no Postgres")?;
        client.batch_execute("ALTER SYSTEM SET log_statement = 'all'").await?;
        client.batch_execute("SELECT pg_reload_conf()").await?;
        // Each process of the server learns of it by itself: those of the node by its checks each second.
        let seen = async || {
            client.batch_execute("SELECT 'is it on?'").await?;
            let text = log.read()?;
            Ok((text.contains("is it on?") && text.contains("\"owner_id\" IS NULL")).then_some(()))
        };
        eventually("statements are logged", Duration::from_secs(20), seen).await?;
        Ok(log)
    }

    fn read(&mut self) -> anyhow::Result<String> {
        let mut file = File::open(&self.0)?;
        self.1 = file.seek(SeekFrom::Start(self.1))?;
        let mut bytes = Vec::new();
        self.1 += file.read_to_end(&mut bytes)? as u64;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The statements since the last look that a request caused.
    fn statements(&mut self) -> anyhow::Result<Vec<String>> {
        let text = self.read()?;
        let mut statements: Vec<String> = Vec::new();
        let mut is_statement = false;
        for line in text.lines() {
            if let Some(more) = line.strip_prefix('\t') {
                if let Some(last) = statements.last_mut().filter(|_| is_statement) {
                    last.push('\n');
                    last.push_str(more);
                }
                continue;
            }
            let logged = line.split_once(" LOG:  ").map_or("", |(_, logged)| logged);
            is_statement = logged.starts_with("execute ") || logged.starts_with("statement: ");
            if is_statement {
                statements.push(logged.split_once(": ").map_or("", |(_, sql)| sql).to_owned());
            }
        }
        statements.retain(|sql| !OWN_BUSINESS.iter().any(|own| is_own(sql, own)));
        Ok(statements)
    }
}

fn is_own(sql: &str, own: &str) -> bool {
    if own.starts_with('"') { sql.contains(own) } else { sql.starts_with(own) }
}

/// Statements, and turns: the locks of a commit go with its write.
fn count(statements: &[String]) -> (usize, usize) {
    let locks = statements.iter().filter(|sql| sql.contains("FOR NO KEY UPDATE")).count();
    (statements.len(), statements.len() - locks)
}

pub(crate) async fn a_full_mailbox_costs_no_more_queries(mut cluster: Cluster) -> anyhow::Result<()> {
    cluster.stop_node(1).await?;
    let mut costs = Vec::new();
    let mut n_before = 0;
    let mut log = None;
    for n in [100, 10_000] {
        fill(&cluster, n - n_before).await?;
        n_before = n;
        if log.is_none() {
            // Every connection of the node has made its statements by then.
            measure(&cluster, &mut Log(PathBuf::from("/dev/null"), 0)).await?;
            fill(&cluster, 100).await?;
            log = Some(Log::start(&cluster).await?);
        }
        costs.push(measure(&cluster, log.as_mut().context("it was started")?).await?);
    }
    let (full, few) = (costs.pop().context("two")?, costs.pop().context("two")?);
    let shown: Vec<_> = few.iter().zip(&full).map(|(a, b)| (a.0, (a.1, a.2), (b.1, b.2))).collect();
    let mut report = String::from("(statements, turns) of few, of many\n");
    for (name, few, full) in &shown {
        report.push_str(&format!("{name}: {few:?} {full:?}\n"));
    }
    std::io::stdout().write_all(report.as_bytes())?;
    for (name, few, full) in &shown {
        let most = match *name {
            // A file has a row before its first byte is stored, and another turn says that it is whole.
            SEND_FILE => MOST + 1,
            // The first may be committed while the others are on their way to the writer.
            SEND_TO_THREE => MOST + 1,
            _ => MOST,
        };
        ensure!((1..=most).contains(&full.1), "{name}: {report}");
        ensure!(few == full || *name == SEND_TO_THREE, "{name}: {report}");
    }
    cluster.finish().await
}

/// Messages from three senders to user 2, unread, as fast as the store takes them.
async fn fill(cluster: &Cluster, n: usize) -> anyhow::Result<()> {
    let mut committer = cluster.store.committer();
    let commands: Vec<_> = (0..n)
        .map(|nth| {
            Command::Send(SendCommand {
                sender: UserId([1, 3, 4][nth % 3]),
                to: UserId(2).into(),
                subject: String::new(),
                content: format!("number {nth}"),
                client_message_id: format!("{:032x}", rand::random::<u128>()),
                attachments: Vec::new(),
                reply_to: None,
                mentions: Vec::new(),
                only_in_groups: false,
            })
        })
        .collect();
    for batch in commands.chunks(256) {
        let deadline = Instant::now() + DEADLINE;
        let outcomes = committer.commit(Arc::from(batch), deadline).await?;
        ensure!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Committed(_))));
    }
    Ok(())
}

/// What each endpoint costs: its name, statements, turns.
async fn measure(cluster: &Cluster, log: &mut Log) -> anyhow::Result<Vec<(&'static str, usize, usize)>> {
    let address = cluster.address(0);
    let file = upload_one(address, 1, "file").await?.id;
    let message = send_files(address, (1, 2), &[file]).await?;
    let mut costs = Vec::new();
    // The lists come late, since they mark: the bell has something to show before.
    let names = [
        "users",
        "bell",
        "unread",
        "download",
        "send",
        SEND_TO_THREE,
        SEND_FILE,
        "delete",
        "lists",
        "lists again",
    ];
    for name in names {
        log.statements()?;
        let answer = ask(cluster, name, file, message).await?;
        ensure!(answer.status < 300, "{name}: {} {}", answer.status, answer.body);
        let statements = log.statements()?;
        let (n_statements, n_turns) = count(&statements);
        if name == "lists" {
            let lists: Lists = serde_json::from_str(&answer.body)?;
            let n_unread = lists.received.iter().filter(|message| !message.is_read).count();
            ensure!(n_unread >= 100, "{n_unread} to be marked");
        }
        costs.push((name, n_statements, n_turns));
    }
    Ok(costs)
}

async fn ask(
    cluster: &Cluster,
    name: &str,
    file: AttachmentId,
    message: MessageId,
) -> anyhow::Result<Answer> {
    let address = cluster.address(0);
    let form = async |recipients: &[&str], files: &[(&str, &str, &[u8])]| {
        let mut texts: Vec<_> = recipients.iter().map(|recipient| ("recipients", *recipient)).collect();
        texts.push(("content", "x"));
        let (media_type, body) = multipart(&texts, files);
        let headers = [bearer(1), media_type, "X-Requested-With: XMLHttpRequest".to_owned()];
        send(address, "POST", "/messages/send/", &headers, &body).await
    };
    match name {
        "users" => get(address, "/api/users/", &[bearer(2)]).await,
        "bell" => get(address, "/dashboard/notifications/", &[bearer(2)]).await,
        "unread" => get(address, "/messages/unread/", &[bearer(2)]).await,
        "download" => get(address, &format!("/messages/download/{file}/"), &[bearer(2)]).await,
        "send" => form(&["2"], &[]).await,
        SEND_TO_THREE => form(&["3", "4", "5"], &[]).await,
        SEND_FILE => form(&["2"], &[("attachments", "a", b"a")]).await,
        "delete" => send(address, "POST", &format!("/messages/delete/{message}/"), &[bearer(1)], &[]).await,
        _ => get(address, "/messages/get/", &[bearer(2)]).await,
    }
}
