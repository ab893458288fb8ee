//! What one direction of a connection has read and not yet written.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

/// At most this many bytes wait; then no more is read. A toxic that holds bytes back shows as back pressure after this
/// and the kernel's buffers.
const MAX_BYTES: usize = 256 * 1024;
/// At most this many reads wait, however small they were.
const MAX_PIECES: usize = 4096;

/// What was read at once.
pub(super) enum Content {
    /// Not empty.
    Bytes(Vec<u8>),
    /// The other side writes no more.
    End,
    /// The connection to the other side is reset.
    Broken,
}

/// Something read, and when.
pub(super) struct Piece {
    pub(super) arrived: Instant,
    pub(super) content: Content,
    /// Given back when the piece was written.
    _room: Option<OwnedSemaphorePermit>,
}

/// The reading end: waits while the queue is full.
pub(super) struct Intake {
    room: Arc<Semaphore>,
    sender: mpsc::Sender<Piece>,
}

/// The writing end.
pub(super) struct Outlet(mpsc::Receiver<Piece>);

/// An empty queue.
pub(super) fn queue() -> (Intake, Outlet) {
    let (sender, receiver) = mpsc::channel(MAX_PIECES);
    (Intake { room: Arc::new(Semaphore::new(MAX_BYTES)), sender }, Outlet(receiver))
}

impl Intake {
    /// Puts something in as soon as there is room. It counts as arrived before the wait.
    pub(super) async fn put(&self, content: Content) {
        let arrived = Instant::now();
        let n_bytes = if let Content::Bytes(bytes) = &content { bytes.len() } else { 0 };
        let n_bytes = u32::try_from(n_bytes.min(MAX_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(n_bytes).await.ok();
        // Nobody writes any more: then nobody needs it.
        let _ = self.sender.send(Piece { arrived, content, _room: room }).await;
    }
}

impl Outlet {
    /// The next piece. Never, once the end was taken.
    pub(super) async fn next(&mut self) -> Piece {
        match self.0.recv().await {
            Some(piece) => piece,
            None => std::future::pending().await,
        }
    }
}
