//! Requests, each counted until its answer is sent, so that a node that goes away can wait for them.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::middleware::Next;
use bytes::Bytes;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::NodeData;
use super::access::ROUTINE;
use crate::commands::draining;

/// Serves a request, and keeps count of it. A node that goes away keeps no connection for another one.
pub(crate) async fn track(
    node: NodeData,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Tracked>, actix_web::Error> {
    let token = node.requests.token();
    if !request.method().is_safe() {
        node.drain.asked();
    } else if node.drain.refuses() && !ROUTINE.contains(&request.path()) {
        return Err(draining().into());
    }
    let mut response = next.call(request).await?;
    if node.drain.has_begun() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response.map_body(|_, body| Tracked { body: body.boxed(), _token: token }))
}

/// The body of an answer, or all that is said on a socket.
pub(crate) struct Tracked {
    body: BoxBody,
    _token: TaskTrackerToken,
}

impl MessageBody for Tracked {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
