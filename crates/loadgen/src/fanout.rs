//! `fanout`: one user with many sessions, and what a delivery to each costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::courier::{Courier, Errand};
use crate::device::Device;
use crate::fleet::Fleet;
use crate::inbox::{Inbox, Received};
use crate::json::Json;
use crate::letter::Letter;
use crate::process::{Meter, Spent};
use crate::report;
use crate::tally::Latency;
use crate::wire::{Frame, Loss};

/// Before the first message, and after the last for one that comes twice.
const BREATH: Duration = Duration::from_millis(500);
/// Rounds that are not measured.
const WARMUP: usize = 3;

/// How many sessions, and what they hear.
#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// Sessions of the first user of the token file, spread over the nodes; the second user sends.
    #[arg(long, default_value_t = 1000)]
    sessions: usize,
    /// Messages that are measured.
    #[arg(long, default_value_t = 200)]
    messages: usize,
    /// Messages that are sent in one go. The next go is when every session has them.
    #[arg(long, default_value_t = 1)]
    queued: usize,
    /// Bytes of content.
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// How long to wait for what has not arrived.
    #[arg(long, default_value_t = 30.0)]
    settle: f64,
}

/// What all sessions have heard.
#[derive(Debug)]
struct Crowd {
    letter: Letter,
    /// Deliveries so far, and how many are waited for.
    delivered: AtomicU64,
    expected: AtomicU64,
    all_have_it: Notify,
    delivery: Latency,
}

/// What was measured.
struct Measured {
    spent: Spent,
    delivered: u64,
    received: Received,
}

/// Measures, prints the report, and says whether every session got everything once and in order.
pub(crate) async fn run(
    fleet: &Arc<Fleet>,
    shape: &Shape,
    pids: &[u32],
    json: &Json,
) -> anyhow::Result<bool> {
    ensure!(fleet.accounts.len() > 1, "one user hears, and another one sends: there is one");
    ensure!(shape.sessions > 0 && shape.queued > 0 && shape.messages > 0, "there is nothing to send");
    let crowd = Arc::new(Crowd {
        letter: Letter::new(Instant::now(), shape.size),
        delivered: AtomicU64::new(0),
        expected: AtomicU64::new(0),
        all_have_it: Notify::new(),
        delivery: Latency::new()?,
    });
    let measured = measure(fleet, shape, &crowd, pids).await?;
    let Measured { spent, delivered, received } = &measured;
    let is_good = received.is_good();
    let each = spent.cpu().as_secs_f64() * 1e6 / (*delivered).max(1) as f64;
    let a_delivery = (!pids.is_empty()).then_some(each);
    let Received { lost, duplicates, out_of_order, gaps } = received;
    let counted = json!({
        "sessions": shape.sessions, "messages": shape.messages, "queued": shape.queued, "delivered": delivered,
        "cpu_us_per_delivery": a_delivery, "delivery_ms": crowd.delivery.json(), "lost": lost,
        "duplicates": duplicates, "out_of_order": out_of_order, "gaps": gaps,
    });
    json.write("fanout", is_good, spent, counted)?;
    report::print(&table(shape, &measured, &crowd.delivery, a_delivery))?;
    Ok(is_good)
}

fn table(shape: &Shape, measured: &Measured, delivery: &Latency, a_delivery: Option<f64>) -> String {
    let Measured { spent, delivered, received } = measured;
    let [p50, p90, p99, max] = delivery.summary();
    let mut text = format!(
        "{} messages to {} sessions, {} at a time: {delivered} deliveries in {:.2} s\n{received}  \
         delivery, ms     p50 {p50:.2}, p90 {p90:.2}, p99 {p99:.2}, max {max:.2}\n",
        shape.messages,
        shape.sessions,
        shape.queued,
        spent.elapsed.as_secs_f64(),
    );
    if let Some(each) = a_delivery {
        text += &format!("  processes        {each:.2} µs CPU a delivery\n");
    }
    text + &report::cores(spent)
}

async fn measure(
    fleet: &Arc<Fleet>,
    shape: &Shape,
    crowd: &Arc<Crowd>,
    pids: &[u32],
) -> anyhow::Result<Measured> {
    let broken = |loss: Loss| anyhow!("a connection does not stand: {}", loss.reason);
    let opening = (0..shape.sessions).map(|turn| Device::stand(fleet, 0, turn, None));
    let opened: Vec<_> = stream::iter(opening).buffered(fleet.connecting).collect().await;
    let devices = opened.into_iter().collect::<Result<Vec<_>, _>>().map_err(broken)?;
    let mut sender = Courier::new(Device::stand(fleet, 1, 1, None).await.map_err(broken)?);
    report::progress(&format!("{} sessions are open", shape.sessions));
    sleep(BREATH).await;

    let stop = CancellationToken::new();
    let listen = |device| tokio::spawn(Arc::clone(crowd).listen(device, stop.clone()));
    let sessions: Vec<_> = devices.into_iter().map(listen).collect();
    let (letter, to) = (crowd.letter, fleet.account(0).id.into());
    let n_warmup = WARMUP * shape.queued;
    let errands: Vec<_> =
        (0..n_warmup + shape.messages).map(|number| Errand { letter, to, number }).collect();
    crowd.hand_out(&mut sender, &errands[..n_warmup], shape).await?;
    crowd.delivery.clear();
    let before = crowd.delivered.load(Ordering::Relaxed);
    let meter = Meter::start(pids, &[]);
    crowd.hand_out(&mut sender, &errands[n_warmup..], shape).await?;
    let spent = meter.end();
    let delivered = crowd.delivered.load(Ordering::Relaxed) - before;

    sleep(BREATH).await;
    stop.cancel();
    let n_sent = crowd.expected.load(Ordering::Relaxed) as usize / shape.sessions;
    let mut received = Received::default();
    for session in sessions {
        let (inbox, device) = session.await.context("a session's task panicked")?;
        received.add(&inbox, n_sent, |number| sender.late.contains(&(letter.run, number)));
        received.duplicates += device.duplicates;
        received.gaps += device.gaps;
    }
    Ok(Measured { spent, delivered, received })
}

impl Crowd {
    /// Lets the sender send them in turns, each when all sessions have the last, or there is no hope of that.
    async fn hand_out(&self, sender: &mut Courier, errands: &[Errand], shape: &Shape) -> anyhow::Result<()> {
        for turn in errands.chunks(shape.queued) {
            let n_deliveries = (turn.len() * shape.sessions) as u64;
            let expected = self.expected.fetch_add(n_deliveries, Ordering::Relaxed) + n_deliveries;
            sender.send(turn.iter().copied(), shape.queued).await?;
            let all = async {
                while self.delivered.load(Ordering::Relaxed) < expected {
                    self.all_have_it.notified().await;
                }
            };
            // The counts tell of what did not arrive; without it there is nothing more to measure.
            if timeout(Duration::from_secs_f64(shape.settle), all).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn listen(self: Arc<Self>, mut device: Device, stop: CancellationToken) -> (Inbox, Device) {
        let mut inbox = Inbox::default();
        while let Some(heard) = stop.run_until_cancelled(device.next()).await {
            let heard = heard.and_then(|text| self.hear(&mut device, &mut inbox, &text));
            if let Err(loss) = heard
                && !matches!(stop.run_until_cancelled(device.resume(loss)).await, Some(Ok(())))
            {
                break;
            }
        }
        (inbox, device)
    }

    fn hear(&self, device: &mut Device, inbox: &mut Inbox, text: &[u8]) -> Result<(), Loss> {
        let frame = Frame::parse(text)?;
        if device.is_new(&frame)?
            && frame.kind == "new_message"
            && let Some((number, due)) = frame.content().and_then(|content| self.letter.read(content))
        {
            inbox.receive(number);
            self.delivery.record(Some(due.elapsed()));
            let delivered = self.delivered.fetch_add(1, Ordering::Relaxed) + 1;
            if delivered >= self.expected.load(Ordering::Relaxed) {
                self.all_have_it.notify_one();
            }
        }
        Ok(())
    }
}
