//! Bodies that keep something of their request until they are sent, and that end with its credentials.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::limits::ConnectionPermit;
use crate::revocations::Lease;

/// A body with what is kept as long as it is there.
pub(crate) struct Held<K> {
    body: BoxBody,
    _kept: K,
    /// Ready when the credentials have ended; none for a body that is all there already.
    ended: Option<LocalBoxFuture<'static, ()>>,
}

impl<K> Held<K> {
    /// A body that nothing ends before its time.
    pub(super) fn new(body: BoxBody, kept: K) -> Self {
        Self { body, _kept: kept, ended: None }
    }
}

/// Keeps a caller's place among their connections until the answer is sent: a client that does not read holds it.
pub(super) fn hold(response: HttpResponse, permit: ConnectionPermit) -> HttpResponse {
    response.map_body(|_, body| Held::new(body, permit).boxed())
}

/// The same for an answer that is read as it is sent: it is cut when the credentials end.
pub(super) fn hold_while(response: HttpResponse, permit: ConnectionPermit, lease: Lease) -> HttpResponse {
    let ended = async move { lease.ended().await }.boxed_local();
    response.map_body(|_, body| Held { ended: Some(ended), ..Held::new(body, permit) }.boxed())
}

impl<K: Unpin> MessageBody for Held<K> {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let has_ended = self.ended.as_mut().is_some_and(|ended| ended.poll_unpin(context).is_ready());
        if has_ended {
            return Poll::Ready(Some(Err("the credentials of the request have ended".into())));
        }
        Pin::new(&mut self.body).poll_next(context)
    }
}
