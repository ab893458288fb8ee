//! Requests that change something, as the frames of the same name do: from the head of one to its answer.

use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::client_frame::parse_id;
use switchboard_protocol::{ClientFrame, ErrorCode};

use super::body;
use super::caller::{Caller, authenticate, while_let_in};
use crate::commands::{self, Done, act};
use crate::packet;
use crate::problem::ApiError;
use crate::state::Node;

/// A field of a frame that stands in the path, with what stands there.
pub(super) type InPath<'a> = (&'static str, &'a str);

/// Has the frame of this type carried out whose fields are in the body and the path.
pub(super) async fn change(
    node: &Node,
    request: &HttpRequest,
    payload: web::Payload,
    kind: &str,
    path: &[InPath<'_>],
) -> Result<Done, ApiError> {
    let (caller, frame) = asked(node, request, payload, kind, path).await?;
    act(node, caller.actor(), frame).await
}

/// Who asks, and for what.
pub(super) async fn asked(
    node: &Node,
    request: &HttpRequest,
    payload: web::Payload,
    kind: &str,
    path: &[InPath<'_>],
) -> Result<(Caller, ClientFrame), ApiError> {
    let caller = authenticate(node, request).await?;
    check_ids(path)?;
    let text = while_let_in(&caller.lease(node), body::text(request, payload)).await?;
    Ok((caller, ClientFrame::parse_body(kind, &text, path)?))
}

/// The same for a request without a body: `rest` has the fields that its method stands for, as JSON.
pub(super) async fn set(
    node: &Node,
    request: &HttpRequest,
    kind: &str,
    rest: &str,
    path: &[InPath<'_>],
) -> Result<Done, ApiError> {
    let caller = authenticate(node, request).await?;
    check_ids(path)?;
    act(node, caller.actor(), ClientFrame::parse_body(kind, rest, path)?).await
}

/// What is no id names nothing: it is not there, where in a body it would be a mistake.
fn check_ids(path: &[InPath<'_>]) -> Result<(), ApiError> {
    let wrong = path.iter().find(|(field, value)| field.ends_with("_id") && parse_id(value).is_none());
    match wrong {
        Some((field, _)) => {
            let thing = field.trim_end_matches("_id");
            Err(ApiError::new(ErrorCode::NotFound, format!("there is no such {thing}")))
        }
        None => Ok(()),
    }
}

/// The frame of the actor's entry; one that was there before says that it is a repeat.
pub(super) fn answer(done: &Done) -> Result<HttpResponse, ApiError> {
    let text = match done {
        Done::Now(entry) => packet::entry(entry),
        Done::Before(entry) => packet::repeat(entry, None),
    };
    let text = text.map_err(|_not_json| commands::broken())?;
    Ok(HttpResponse::Ok().content_type("application/json").body(text))
}
