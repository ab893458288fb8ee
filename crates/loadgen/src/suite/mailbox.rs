//! What reading and writing cost in short and in long mailboxes: filled as nodes fill them, by the store's own commits.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use switchboard_protocol::{ConversationId, Seq, Target, UserId};
use switchboard_store::{Account, Command, Committer, Event, Outcome, SendCommand, Store};
use tokio::time::{Duration, Instant};

use super::measures::Cost;
use super::results::Results;
use super::stage::{Ground, Site, Stage, sql};

/// Messages committed at a time while mailboxes are filled.
const FILL: u64 = 512;
/// How long one commit may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Each reading is done so often; the middle one counts.
const READINGS: usize = 300;
/// What a client missed that resumes, and what a page of a conversation has.
const PAGE: i64 = 50;
/// Two pairs of them write at a time.
const USERS: u64 = 4;
/// Mailboxes of this length and more are used by all runs: by what a run adds they are hardly longer.
const LONG: u64 = 100_000;

/// A length with the ids of its rows.
struct Length {
    entries: u64,
    /// Page of a conversation, unread count, resume.
    rows: Option<[&'static str; 3]>,
}

const LENGTHS: [Length; 5] = [
    Length { entries: 100, rows: Some(["page_1e2", "unread_1e2", "resume_1e2"]) },
    Length { entries: 1_000, rows: None },
    Length { entries: 10_000, rows: None },
    Length { entries: 100_000, rows: None },
    Length { entries: 1_000_000, rows: Some(["page_1e6", "unread_1e6", "resume_1e6"]) },
];

/// Two users, what they wrote each other, and the store.
struct Talk<'a> {
    store: &'a Store,
    reader: Account,
    conversation: ConversationId,
}

/// Readings at the two lengths of the rows; with plots at more, and what a message costs at each.
pub(crate) async fn run(
    site: &Site,
    results: &mut Results,
    n_runs: usize,
    with_plots: bool,
) -> anyhow::Result<()> {
    let n_sets = (LENGTHS.len() * n_runs) as u64;
    site.with(Ground::Shared, 2, n_sets * USERS, async |stage| {
        let store = Store::open(&stage.store_url, 2).await?;
        let mut sets = (0..n_sets).map(|set| set * USERS + 1);
        for length in LENGTHS.iter().filter(|length| with_plots || length.rows.is_some()) {
            let mut filled = None;
            for _ in 0..n_runs {
                // The users of this run; a long mailbox is filled once.
                let (first, talk) = match filled.take().filter(|_| length.entries >= LONG) {
                    Some(filled) => filled,
                    None => {
                        let first = sets.next().context("there are too few users")?;
                        (first, fill_set(stage, &store, first, length.entries).await?)
                    }
                };
                readings(&talk, results, length).await?;
                if with_plots {
                    let tokens = stage.tokens_of(first..=first + USERS - 1).await?;
                    let arguments = ["run", "--rate", "200", "--seconds", "4", "--warmup", "0.5"];
                    let cost = Cost::of(&stage.measure_as(&tokens, &arguments).await?)?;
                    cost.plot(results, "mailbox", length.entries as f64);
                }
                filled = Some((first, talk));
            }
        }
        Ok(())
    })
    .await?;
    compare(results);
    Ok(())
}

/// The longest mailbox against the shortest.
fn compare(results: &mut Results) {
    for [ratio, long, short] in [
        ["page_ratio", "page_1e6", "page_1e2"],
        ["unread_ratio", "unread_1e6", "unread_1e2"],
        ["resume_ratio", "resume_1e6", "resume_1e2"],
    ] {
        if let (Some(long), Some(short)) = (results.median(long), results.median(short)) {
            results.record(ratio, long / short);
        }
    }
}

/// Has two pairs write each other.
async fn fill_set<'a>(
    stage: &Stage<'_>,
    store: &'a Store,
    first: u64,
    entries: u64,
) -> anyhow::Result<Talk<'a>> {
    let id = |nth: u64| UserId((stage.first_user + first + nth - 1).cast_signed());
    let talk = fill(store, [id(0), id(1)], entries).await?;
    fill(store, [id(2), id(3)], entries).await?;
    // What autovacuum does to mailboxes that have grown for long.
    sql(&stage.store_url, "VACUUM (ANALYZE)").await?;
    Ok(talk)
}

async fn fill(store: &Store, pair: [UserId; 2], entries: u64) -> anyhow::Result<Talk<'_>> {
    let mut committer = store.committer();
    let mut conversation = None;
    let mut next = 0;
    while next < entries {
        let end = entries.min(next + FILL);
        let turn = |number: u64| if number.is_multiple_of(2) { pair } else { [pair[1], pair[0]] };
        let batch = (next..end).map(|number| send(turn(number), &format!("fill-{number}"))).collect();
        conversation = Some(commit(&mut committer, batch).await?);
        next = end;
    }
    let reader = store.find_account(pair[0]).await?.context("a user is gone")?;
    Ok(Talk { store, reader, conversation: conversation.context("nothing was filled in")? })
}

/// A message of 200 bytes.
pub(crate) fn send([sender, recipient]: [UserId; 2], client_message_id: &str) -> Command {
    Command::Send(SendCommand {
        sender,
        to: Target::User(recipient),
        subject: String::new(),
        content: "x".repeat(200),
        client_message_id: client_message_id.to_owned(),
        attachments: Vec::new(),
        reply_to: None,
        mentions: Vec::new(),
        only_in_groups: false,
    })
}

/// Commits messages, and returns the conversation of the last of them.
pub(crate) async fn commit(
    committer: &mut Committer,
    batch: Arc<[Command]>,
) -> anyhow::Result<ConversationId> {
    let outcomes = committer.commit(batch, Instant::now() + PATIENCE).await?;
    let mut conversation = None;
    for outcome in &outcomes {
        let Outcome::Committed(entries) = outcome else {
            bail!("the store does not take a message: {outcome:?}");
        };
        let Some(Event::Sent(message)) = entries.first().map(|entry| &entry.event) else {
            bail!("the first entry of a message is not its sender's");
        };
        conversation = Some(message.conversation);
    }
    conversation.context("there was nothing to commit")
}

async fn readings(talk: &Talk<'_>, results: &mut Results, length: &Length) -> anyhow::Result<()> {
    let Talk { store, reader, conversation } = talk;
    let mailbox = reader.mailbox;
    let head = store.heads(&[mailbox]).await?.pop().context("the mailbox is gone")?;
    let behind = Seq(head.last_seq.0 - PAGE);
    let page =
        async || Ok(store.history(reader, *conversation, None, PAGE).await?.map_or(0, |page| page.len()));
    let unread = async || Ok(store.heads(&[mailbox]).await?.len());
    let resume = async || Ok(store.page(mailbox, behind, 2 * PAGE).await?.len());
    let n_page = PAGE.unsigned_abs() as usize;
    let medians = [p50(n_page, page).await?, p50(1, unread).await?, p50(n_page, resume).await?];
    let names = ["last page of a conversation", "unread count", "resume by cursor"];
    for (nth, (name, milliseconds)) in names.into_iter().zip(medians).enumerate() {
        results.plot("reading", name, length.entries as f64, milliseconds);
        if let Some(rows) = length.rows {
            results.record(rows[nth], milliseconds);
        }
    }
    Ok(())
}

/// The middle duration of a reading that finds so much, in milliseconds.
async fn p50(wanted: usize, reading: impl AsyncFn() -> anyhow::Result<usize>) -> anyhow::Result<f64> {
    let mut durations = Vec::with_capacity(READINGS);
    for _ in 0..READINGS {
        let start = Instant::now();
        let n_found = reading().await?;
        durations.push(start.elapsed());
        ensure!(n_found == wanted, "a reading found {n_found} of {wanted}");
    }
    durations.sort_unstable();
    Ok(durations[READINGS / 2].as_secs_f64() * 1000.0)
}
