//! `storm`: many clients come back at once, each to what it missed, while others go on writing to each other.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::bystanders::Bystanders;
use crate::courier::{Courier, Errand};
use crate::device::{self, Device, Position};
use crate::fleet::Fleet;
use crate::inbox::{Inbox, Received};
use crate::json::Json;
use crate::letter::Letter;
use crate::process::{Meter, Spent};
use crate::report;
use crate::tally::Latency;
use crate::wire::{Frame, Loss};

/// After the bystanders began, until they are measured; and after the storm, for what comes twice.
const BREATH: Duration = Duration::from_secs(1);
/// Messages of each sender that wait for their acknowledgement, while the clients are away.
const INFLIGHT: usize = 16;

/// Who comes back, and who is there meanwhile.
#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// Users who come back, from the head of the token file.
    #[arg(long, default_value_t = 5000)]
    clients: usize,
    /// Messages that each of them missed.
    #[arg(long, default_value_t = 10)]
    behind: usize,
    /// Handshakes under way at a time.
    #[arg(long, default_value_t = 64)]
    connecting: usize,
    /// The users after those, in pairs who write to each other; before, they write what the others miss.
    #[arg(long, default_value_t = 100)]
    bystanders: usize,
    /// Messages a second, by all bystanders together.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// How long the bystanders are measured before the storm.
    #[arg(long, default_value_t = 10.0)]
    before: f64,
    /// Bytes of content.
    #[arg(long, default_value_t = 200)]
    size: usize,
    /// How long to wait for what has not arrived.
    #[arg(long, default_value_t = 60.0)]
    settle: f64,
}

/// What those who come back have come to.
#[derive(Debug)]
struct Storm {
    fleet: Arc<Fleet>,
    behind: usize,
    /// Places for handshakes.
    gate: Semaphore,
    /// Those who do not have all yet.
    n_waiting: AtomicUsize,
    all_have_it: Notify,
    /// From the first attempt until all that was missed had come.
    resume: Latency,
    stop: CancellationToken,
}

/// Measures, prints the report, and says whether everybody got everything once and in order.
pub(crate) async fn run(
    fleet: &Arc<Fleet>,
    shape: &Shape,
    pids: &[u32],
    json: &Json,
) -> anyhow::Result<bool> {
    let Shape { clients, behind, .. } = *shape;
    ensure!(clients > 0 && behind > 0, "there is nobody to come back, or nothing to come back to");
    ensure!(shape.bystanders > 1 && shape.bystanders.is_multiple_of(2), "bystanders come in pairs");
    fleet.n_users(Some(clients + shape.bystanders))?;

    let away = stream::iter(0..clients).map(|index| visit(fleet, index)).buffered(fleet.connecting);
    let positions: Vec<Position> = away.try_collect().await?;
    let senders = Device::stand_all(fleet, clients..clients + shape.bystanders).await?;
    report::progress(&format!(
        "{clients} clients were there, and are away; {behind} messages are sent to each"
    ));
    let letters: Vec<_> = (0..clients).map(|_| Letter::new(Instant::now(), shape.size)).collect();
    let (senders, late) = write(fleet, shape, &letters, senders).await?;

    report::progress(&format!("measuring the bystanders for {} s", shape.before));
    let bystanders = Bystanders::begin(fleet, clients, senders, shape.rate, shape.size)?;
    sleep(BREATH).await;
    bystanders.take_delivery();
    sleep(Duration::from_secs_f64(shape.before)).await;
    let before = bystanders.take_delivery();

    report::progress("the clients come back");
    let patience = Duration::from_secs_f64(shape.settle);
    let storm = Arc::new(Storm::new(fleet, shape)?);
    let meter = Meter::start(pids, &[]);
    let devices = storm.break_out(letters.iter().copied().zip(positions));
    storm.pass(patience).await;
    let spent = meter.end();
    let during = bystanders.take_delivery();
    sleep(BREATH).await;
    storm.stop.cancel();
    let mut received = Received::default();
    for (device, letter) in devices.into_iter().zip(&letters) {
        let (inbox, duplicates, gaps) = device.await.context("a client's task panicked")?;
        received.add(&inbox, behind, |number| late.contains(&(letter.run, number)));
        received.duplicates += duplicates;
        received.gaps += gaps;
    }
    let all_well = bystanders.end(patience).await?.is_good();

    let is_good = received.is_good() && all_well;
    let n_back = storm.resume.count();
    let counted = json!({
        "clients": clients, "behind": behind, "reconnects_per_second": n_back as f64 / spent.elapsed.as_secs_f64(),
        "missed": received.lost, "duplicates": received.duplicates, "out_of_order": received.out_of_order,
        "gaps": received.gaps, "resume_ms": storm.resume.json(), "bystanders_before_ms": before,
        "bystanders_during_ms": during, "bystanders_good": all_well,
    });
    report::print(&table(&counted, &received, &spent, n_back))?;
    json.write("storm", is_good, &spent, counted)?;
    Ok(is_good)
}

fn table(counted: &Value, received: &Received, spent: &Spent, n_back: u64) -> String {
    let quantiles = |key: &str| {
        let at = |quantile: &str| counted[key][quantile].as_f64().unwrap_or_default();
        format!("p50 {:.2}, p90 {:.2}, p99 {:.2}, max {:.2}", at("p50"), at("p90"), at("p99"), at("max"))
    };
    let seconds = spent.elapsed.as_secs_f64();
    format!(
        "{n_back} of {} clients back with {} messages each after {seconds:.2} s: {:.0} a second\n{received}  \
         resume, ms       {}\n  bystanders, ms   {}\n  in the storm     {}\n  all well there   {}\n{}",
        counted["clients"],
        counted["behind"],
        n_back as f64 / seconds,
        quantiles("resume_ms"),
        quantiles("bystanders_before_ms"),
        quantiles("bystanders_during_ms"),
        counted["bystanders_good"],
        report::cores(spent),
    )
}

/// Connects and goes away again. The result is the place in the mailbox.
async fn visit(fleet: &Arc<Fleet>, index: usize) -> anyhow::Result<Position> {
    let device = Device::stand(fleet, index, index, None).await;
    let device = device.map_err(|loss| anyhow!("a connection does not stand: {}", loss.reason))?;
    device.link.close().await;
    Ok(device.position)
}

/// Lets the senders write what the clients miss: all that one of them misses is from one sender. The result has what was
/// refused for the moment, by run and number.
async fn write(
    fleet: &Fleet,
    shape: &Shape,
    letters: &[Letter],
    senders: Vec<Device>,
) -> anyhow::Result<(Vec<Device>, HashSet<(u32, u64)>)> {
    let n_senders = senders.len();
    let writing = senders.into_iter().enumerate().map(|(sender, device)| async move {
        let clients = (sender..shape.clients).step_by(n_senders);
        let errands = clients.flat_map(|client| {
            let (letter, to) = (letters[client], fleet.account(client).id.into());
            (0..shape.behind).map(move |number| Errand { letter, to, number })
        });
        let mut courier = Courier::new(device);
        courier.send(errands, INFLIGHT).await?;
        anyhow::Ok((courier.device, courier.late))
    });
    let (devices, late): (Vec<_>, Vec<_>) = future::try_join_all(writing).await?.into_iter().unzip();
    Ok((devices, late.into_iter().flatten().collect()))
}

impl Storm {
    fn new(fleet: &Arc<Fleet>, shape: &Shape) -> anyhow::Result<Self> {
        Ok(Self {
            fleet: Arc::clone(fleet),
            behind: shape.behind,
            gate: Semaphore::new(shape.connecting.max(1)),
            n_waiting: AtomicUsize::new(shape.clients),
            all_have_it: Notify::new(),
            resume: Latency::new()?,
            stop: CancellationToken::new(),
        })
    }

    fn break_out(
        self: &Arc<Self>,
        clients: impl Iterator<Item = (Letter, Position)>,
    ) -> Vec<JoinHandle<(Inbox, u64, u64)>> {
        let clients = clients.enumerate();
        let back =
            |(index, (letter, position))| tokio::spawn(Arc::clone(self).client(index, letter, position));
        clients.map(back).collect()
    }

    /// Waits until all have all, or there is no hope of that.
    async fn pass(&self, patience: Duration) {
        let all = async {
            while self.n_waiting.load(Ordering::Relaxed) > 0 {
                self.all_have_it.notified().await;
            }
        };
        // Who has not all by then is counted.
        let _ = timeout(patience, all).await;
    }

    /// One client, from its first attempt to the end: what it got, entries that came twice, and gaps.
    async fn client(self: Arc<Self>, index: usize, letter: Letter, position: Position) -> (Inbox, u64, u64) {
        let mut inbox = Inbox::default();
        let Some(Ok((mut device, began))) =
            self.stop.run_until_cancelled(self.connect(index, position)).await
        else {
            return (inbox, 0, 0);
        };
        while let Some(heard) = self.stop.run_until_cancelled(device.next()).await {
            let n_before = inbox.len();
            let heard = heard.and_then(|text| hear(&mut device, letter, &mut inbox, &text));
            if n_before < self.behind && inbox.len() == self.behind {
                self.resume.record(Some(began.elapsed()));
                if self.n_waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
                    self.all_have_it.notify_one();
                }
            }
            if let Err(loss) = heard
                && !matches!(self.stop.run_until_cancelled(device.resume(loss)).await, Some(Ok(())))
            {
                break;
            }
        }
        (inbox, device.duplicates, device.gaps)
    }

    /// Connects, through the gate each time, to another node than before at first. Says when it began.
    async fn connect(&self, index: usize, position: Position) -> Result<(Device, Instant), Loss> {
        let mut began = None;
        for failures in 0.. {
            // Nobody closes it.
            let place = self.gate.acquire().await.map_err(|closed| Loss::new(closed.to_string()))?;
            let began = *began.get_or_insert_with(Instant::now);
            let turn = index + 1 + failures as usize;
            match Device::open(&self.fleet, index, turn, Some(position.clone())).await {
                Ok(device) => return Ok((device, began)),
                Err(loss) if loss.is_final => return Err(loss),
                Err(loss) => {
                    drop(place);
                    sleep(device::wait(&loss, failures)).await;
                }
            }
        }
        Err(Loss::new("no attempt is left"))
    }
}

fn hear(device: &mut Device, letter: Letter, inbox: &mut Inbox, text: &[u8]) -> Result<(), Loss> {
    let frame = Frame::parse(text)?;
    if device.is_new(&frame)?
        && frame.kind == "new_message"
        && let Some((number, _)) = frame.content().and_then(|content| letter.read(content))
    {
        inbox.receive(number);
    }
    Ok(())
}
