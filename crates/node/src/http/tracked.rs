//! Requests, each counted until its answer is sent, so that a node that goes away can wait for them.

use actix_web::ResponseError;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, StatusCode, header};
use actix_web::middleware::Next;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::NodeData;
use super::access::ROUTINE;
use super::caller::elsewhere;
use super::held::Held;

/// Serves a request, and keeps count of it. A node that goes away keeps no connection for another one, and in the end
/// refuses what a balancer may send elsewhere.
pub(crate) async fn track(
    node: NodeData,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Held<Option<TaskTrackerToken>>>, actix_web::Error> {
    let token = node.requests.token();
    let changes = !request.method().is_safe();
    let mut response = if !changes && node.drain.refuses() && !ROUTINE.contains(&request.path()) {
        request.into_response(elsewhere().error_response()).map_into_boxed_body()
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    // What is not even let in holds up no stop.
    if changes && !response.status().is_client_error() {
        node.drain.asked();
    }
    if node.drain.has_begun() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    // Sessions are waited for by themselves, each until it has left.
    let token = (!is_session(&response)).then_some(token);
    Ok(response.map_body(|_, body| Held::new(body, token)))
}

fn is_session(response: &ServiceResponse) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    response.status() == StatusCode::SWITCHING_PROTOCOLS
        || kind.is_some_and(|kind| kind == actix_web::mime::TEXT_EVENT_STREAM.as_ref())
}
