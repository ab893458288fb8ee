//! A file on its way from the store to a reader.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt};
use object_store::GetResult;
use tokio::sync::mpsc;

use super::{FilesError, PIECE};

/// A client that takes no piece for this long is given up. A slow one empties the kernel's buffers first,
/// which may take a minute.
const STALL: Duration = Duration::from_secs(120);

/// A file on its way out: a stream of pieces of 64 KiB or a little more, read ahead by a few.
/// Dropping it ends the reading. A stream that fails or ends early is shorter than was asked for.
#[derive(Debug)]
pub struct Reading {
    size: u64,
    pieces: mpsc::Receiver<Result<Bytes, FilesError>>,
}

impl Reading {
    pub(super) fn new(size: u64, pieces: mpsc::Receiver<Result<Bytes, FilesError>>) -> Self {
        Self { size, pieces }
    }

    /// The size of the whole file, in bytes, whatever was asked for.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Stream for Reading {
    type Item = Result<Bytes, FilesError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.poll_recv(cx)
    }
}

/// Passes a file on until it ends, or its reader is gone or takes nothing any more.
pub(super) async fn forward(found: GetResult, pieces: mpsc::Sender<Result<Bytes, FilesError>>) {
    let passing = async {
        let mut chunks = found.into_stream();
        let mut piece = BytesMut::new();
        while let Some(chunk) = chunks.try_next().await? {
            // What was cut short after it was opened reads as nothing for ever.
            if chunk.is_empty() {
                return Err(FilesError::Unavailable("the file ends early".to_owned()));
            }
            piece.extend_from_slice(&chunk);
            if piece.len() >= PIECE && pieces.send_timeout(Ok(piece.split().freeze()), STALL).await.is_err() {
                return Ok(());
            }
        }
        if !piece.is_empty() {
            // The reader is gone, or stopped: there is nobody to tell.
            let _given_up = pieces.send_timeout(Ok(piece.freeze()), STALL).await;
        }
        Ok(())
    };
    let passed = tokio::select! {
        passed = passing => passed,
        () = pieces.closed() => Ok(()),
    };
    if let Err(error) = passed {
        tracing::warn!("a download was cut off: {error}");
        let _given_up = pieces.send_timeout(Err(error), STALL).await;
    }
}
