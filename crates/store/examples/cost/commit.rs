//! The cost of direct messages by the size of the batch in which they are committed.

use std::io::{Write, stdout};
use std::sync::Arc;

use anyhow::ensure;
use switchboard_protocol::UserId;
use switchboard_store::{Command, Committer, Outcome, SendCommand};
use tokio::time::{Duration, Instant};

use crate::meter::{Server, own_cpu};
use crate::open;

/// Those that are measured. The writer of a node makes none that is larger than the last.
const BATCHES: [usize; 4] = [1, 16, 64, 256];

/// Longer than a batch may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Users write in pairs: each message from one who is drawn to the other.
pub(crate) async fn measure(url: &str, n_users: i64, seconds: u64) -> anyhow::Result<()> {
    let store = open(url, n_users).await?;
    let server = if url.starts_with("sqlite:") { None } else { Some(Server::find(url).await?) };
    let mut committer = store.committer();
    // Opens the conversations, and warms caches.
    for user in 1..=n_users {
        send(&mut committer, (0..8).map(|_| message(user, n_users)).collect()).await?;
    }
    writeln!(stdout(), "batch  messages/s  server µs  own µs   p50 ms   p99 ms")?;
    for size in BATCHES {
        let (own_before, server_before) = (own_cpu()?, server.as_ref().map(Server::cpu).transpose()?);
        let begun = Instant::now();
        let mut times = Vec::new();
        while begun.elapsed() < Duration::from_secs(seconds) {
            let batch = (0..size).map(|_| message(rand::random_range(1..=n_users), n_users)).collect();
            let sent = Instant::now();
            send(&mut committer, batch).await?;
            times.push(sent.elapsed());
        }
        let elapsed = begun.elapsed();
        let own = own_cpu()?.saturating_sub(own_before);
        let of_server = server.as_ref().map(Server::cpu).transpose()?;
        let of_server = of_server.zip(server_before).map_or(Duration::ZERO, |(now, then)| now - then);
        times.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "counts of some seconds")]
        let n = (size * times.len()) as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / n;
        let of = |hundredths: usize| times[times.len() * hundredths / 100].as_secs_f64() * 1e3;
        writeln!(
            stdout(),
            "{size:>5} {:>11.0} {:>10.1} {:>7.1} {:>8.2} {:>8.2}",
            n / elapsed.as_secs_f64(),
            each(of_server),
            each(own),
            of(50),
            of(99)
        )?;
    }
    Ok(())
}

fn message(sender: i64, n_users: i64) -> Command {
    let partner = if sender % 2 == 0 { sender - 1 } else { (sender + 1).min(n_users) };
    Command::Send(SendCommand {
        sender: UserId(sender),
        to: UserId(partner).into(),
        subject: String::new(),
        content: "x".repeat(100),
        client_message_id: format!("{:036x}", rand::random::<u128>()),
        attachments: Vec::new(),
        reply_to: None,
        mentions: Vec::new(),
        only_in_groups: false,
    })
}

async fn send(committer: &mut Committer, batch: Vec<Command>) -> anyhow::Result<()> {
    let outcomes = committer.commit(Arc::from(batch), Instant::now() + DEADLINE).await?;
    ensure!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Committed(_))), "{outcomes:?}");
    Ok(())
}
