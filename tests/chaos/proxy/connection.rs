//! One connection through the proxy: two directions, each a reader, a queue and a writer that does what the toxic says.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::orders::Toxic;
use super::queue::{Content, Intake, Outlet, Piece, queue};
use crate::Dice;

/// Bytes are read by at most so many.
const READ: usize = 16 * 1024;
/// A throttled direction writes this often while it has something.
const THROTTLED_WRITES_PER_SECOND: u64 = 50;

/// The connection is to be reset both ways.
struct Cut;

/// What the two directions of a link suffer at present.
#[derive(Clone)]
pub(super) struct Ways {
    pub(super) up: watch::Receiver<Toxic>,
    pub(super) down: watch::Receiver<Toxic>,
}

/// Carries bytes both ways until both sides have ended, or the connection is reset, for whatever reason.
pub(super) async fn join(
    mut client: TcpStream,
    mut server: TcpStream,
    ways: Ways,
    number: u64,
    reset: CancellationToken,
) {
    let (client_reads, client_writes) = client.split();
    let (server_reads, server_writes) = server.split();
    let both = async {
        tokio::try_join!(
            carry(client_reads, Writer::new(server_writes, ways.up, number)),
            carry(server_reads, Writer::new(client_writes, ways.down, number)),
        )
    };
    let is_over = tokio::select! {
        () = reset.cancelled() => false,
        over = both => over.is_ok(),
    };
    if !is_over {
        reset_when_dropped(&client);
        reset_when_dropped(&server);
    }
}

/// Has the kernel send a reset, and forget what it has not delivered, when the connection is dropped.
pub(super) fn reset_when_dropped(stream: &TcpStream) {
    // It fails only on one that is gone already.
    let _ = stream.set_zero_linger();
}

/// One direction, until its end was passed on.
async fn carry(reads: ReadHalf<'_>, writer: Writer<'_>) -> Result<(), Cut> {
    let (intake, outlet) = queue();
    let reading = async {
        read(reads, intake).await;
        // The writer decides when it is over: it may have to hold the end back.
        std::future::pending().await
    };
    tokio::select! {
        result = writer.run(outlet) => result,
        () = reading => Ok(()),
    }
}

async fn read(mut reads: ReadHalf<'_>, intake: Intake) {
    let mut buffer = vec![0; READ];
    loop {
        match reads.read(&mut buffer).await {
            Ok(0) => return intake.put(Content::End).await,
            Ok(n) => intake.put(Content::Bytes(buffer[..n].to_vec())).await,
            Err(_) => return intake.put(Content::Broken).await,
        }
    }
}

/// What may happen to a piece now.
enum Turn {
    /// At most so many of its bytes go.
    Go(usize),
    /// It disappears.
    Vanish,
}

/// The end of a direction.
struct Writer<'a> {
    writes: WriteHalf<'a>,
    orders: watch::Receiver<Toxic>,
    /// Of the connection on its link; seeds what is drawn.
    number: u64,
    /// In force: the last that was taken from the orders.
    toxic: Toxic,
    /// How many bytes more before the connection is cut, under [`Toxic::CutAfter`].
    left: u64,
    /// When the next bytes may go, under [`Toxic::Throttle`].
    next_at: Instant,
    /// Whether something has vanished from the stream.
    has_hole: bool,
}

impl<'a> Writer<'a> {
    fn new(writes: WriteHalf<'a>, orders: watch::Receiver<Toxic>, number: u64) -> Self {
        let (toxic, next_at) = (Toxic::Pass, Instant::now());
        Self { writes, orders, number, toxic, left: 0, next_at, has_hole: false }
    }

    async fn run(mut self, mut pieces: Outlet) -> Result<(), Cut> {
        self.adopt()?;
        loop {
            // Changes first, so that what arrived after an order was carried out is never let past it.
            let piece = tokio::select! {
                biased;
                changed = self.orders.changed() => {
                    changed.or(Err(Cut))?;
                    self.adopt()?;
                    continue;
                }
                piece = pieces.next() => piece,
            };
            if self.pass(piece).await? {
                return Ok(());
            }
        }
    }

    /// Takes up what was ordered last.
    fn adopt(&mut self) -> Result<(), Cut> {
        self.toxic = *self.orders.borrow_and_update();
        if self.has_hole && self.toxic != Toxic::BlackHole {
            return Err(Cut);
        }
        if let Toxic::CutAfter { least, most, seed } = self.toxic {
            let mut dice = Dice(seed ^ self.number.wrapping_mul(0xA24B_AED4_963E_E407));
            self.left = least + dice.roll(most.saturating_sub(least) + 1);
        }
        self.next_at = Instant::now();
        Ok(())
    }

    /// Passes a piece on. Whether it was the last, or the receiver is gone.
    async fn pass(&mut self, piece: Piece) -> Result<bool, Cut> {
        let bytes = match piece.content {
            Content::Bytes(bytes) => bytes,
            end => {
                if let Turn::Vanish = self.turn(piece.arrived).await? {
                    self.has_hole = true;
                    return Ok(false);
                }
                if let Content::Broken = end {
                    return Err(Cut);
                }
                // A receiver that is gone needs no end.
                let _ = self.writes.shutdown().await;
                return Ok(true);
            }
        };
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let n = match self.turn(piece.arrived).await? {
                Turn::Go(n) => n.min(rest.len()),
                Turn::Vanish => {
                    self.has_hole = true;
                    return Ok(false);
                }
            };
            let written = tokio::select! {
                biased;
                written = self.writes.write(&rest[..n]) => written,
                // Back to `turn`, which sees it.
                _ = wait_for_change(&self.orders) => continue,
            };
            // The other direction sees the end of the connection too, and tells the sender in its turn.
            let Ok(n) = written else {
                return Ok(true);
            };
            rest = &rest[n..];
            self.count(n).await?;
        }
        Ok(false)
    }

    /// Waits until something may happen to a piece.
    async fn turn(&mut self, arrived: Instant) -> Result<Turn, Cut> {
        loop {
            if self.orders.has_changed().or(Err(Cut))? {
                self.adopt()?;
            }
            let (at, n) = match self.toxic {
                Toxic::Pass => return Ok(Turn::Go(usize::MAX)),
                Toxic::BlackHole => return Ok(Turn::Vanish),
                Toxic::Slice => return Ok(Turn::Go(1)),
                Toxic::CutAfter { .. } if self.left == 0 => return Err(Cut),
                Toxic::CutAfter { .. } => {
                    return Ok(Turn::Go(usize::try_from(self.left).unwrap_or(usize::MAX)));
                }
                Toxic::Delay { ms } => (Some(arrived + Duration::from_millis(ms)), usize::MAX),
                Toxic::Throttle { bytes_per_second } => {
                    let n = (bytes_per_second / THROTTLED_WRITES_PER_SECOND).max(1);
                    (Some(self.next_at), usize::try_from(n).unwrap_or(usize::MAX))
                }
                Toxic::Stall => (None, 0),
            };
            if at.is_some_and(|at| Instant::now() >= at) {
                return Ok(Turn::Go(n));
            }
            tokio::select! {
                _ = wait_for_change(&self.orders) => {}
                () = sleep_until(at.unwrap_or_else(Instant::now)), if at.is_some() => {}
            }
        }
    }

    /// Takes account of bytes that went.
    async fn count(&mut self, n: usize) -> Result<(), Cut> {
        let n = n as u64;
        match self.toxic {
            Toxic::CutAfter { .. } => {
                self.left = self.left.saturating_sub(n);
                if self.left == 0 {
                    return Err(Cut);
                }
            }
            Toxic::Throttle { bytes_per_second } => {
                let pause = Duration::from_secs(n).div_f64(bytes_per_second.max(1) as f64);
                self.next_at = self.next_at.max(Instant::now()) + pause;
            }
            // The receiver may read before the next byte goes.
            Toxic::Slice => tokio::task::yield_now().await,
            _ => {}
        }
        Ok(())
    }
}

/// Waits until there is another order, and leaves it there to be seen.
async fn wait_for_change(orders: &watch::Receiver<Toxic>) {
    // An error means that the proxy ends; whoever looks next sees that.
    let _ = orders.clone().changed().await;
}
