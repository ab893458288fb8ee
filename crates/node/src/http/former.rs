//! The endpoints that clients of the former system know, over the functions that `/api/v1` uses.
//!
//! Paths, fields and statuses are theirs; a refusal is JSON with `error` and `code`.

mod lists;
mod refusal;
mod send;

use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::former::{Deleted, ListedUser, Notification, Notifications, UnreadCount, Users};
use switchboard_protocol::{ClientFrame, ErrorCode, Status};
use switchboard_store::{Message, Refusal};

use self::refusal::FormerError;
use super::caller::{admit, authenticate, check_origin_of_login};
use super::held::hold;
use super::{NodeData, accounts, attachments, messages};
use crate::attachments::{FormLimits, form};
use crate::commands::{self, Done, act};
use crate::packet::shown_subject;

/// The routes.
pub(super) fn routes(service: &mut web::ServiceConfig) {
    let at = |path, allowed| web::resource(path).default_service(refusal::wrong_method(allowed));
    service
        .service(at("/api/users/", "GET").route(web::get().to(users)))
        .service(at("/messages/get/", "GET").route(web::get().to(lists::get)))
        .service(at("/messages/unread/", "GET").route(web::get().to(unread)))
        .service(at("/messages/send/", "POST").route(web::post().to(send::send)))
        .service(at("/messages/delete/{id}/", "POST").route(web::post().to(delete)))
        .service(
            at("/messages/download/{id}/", "GET, HEAD")
                .route(web::get().to(download))
                .route(web::head().to(download)),
        )
        .service(at("/dashboard/notifications/", "GET").route(web::get().to(notifications)))
        .service(
            at("/login/", "GET, POST")
                .route(web::get().to(async || redirect("/")))
                .route(web::post().to(log_in)),
        );
}

fn redirect(path: &'static str) -> HttpResponse {
    HttpResponse::Found().insert_header((LOCATION, path)).finish()
}

async fn users(node: NodeData, request: HttpRequest) -> Result<HttpResponse, FormerError> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let (reader, only_in_groups) = (caller.account.id, node.settings.only_in_groups);
    let people =
        node.with_store(|store| async move { store.all_users(reader, only_in_groups).await }).await?;
    let users = people.into_iter().map(|(person, sections)| ListedUser {
        id: person.id,
        username: person.username,
        full_name: person.full_name,
        role: person.role,
        sections,
    });
    Ok(hold(HttpResponse::Ok().json(Users { users: users.collect() }), permit))
}

async fn unread(node: NodeData, request: HttpRequest) -> Result<HttpResponse, FormerError> {
    let caller = authenticate(&node, &request).await?;
    let _permit = admit(&node, &caller)?;
    Ok(HttpResponse::Ok().json(UnreadCount { unread_count: caller.account.unread }))
}

/// A message that is gone already is not there: unlike `/api/v1`, this never took a repeat for a success.
async fn delete(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, FormerError> {
    let caller = authenticate(&node, &request).await?;
    let frame = ClientFrame::DeleteMessage { message_id: messages::message_of(&path)? };
    match act(&node, caller.actor(), frame).await? {
        Done::Now(_) => Ok(HttpResponse::Ok()
            .json(Deleted { status: Status::Success, message: "Message deleted".to_owned() })),
        Done::Before(_) => Err(commands::explain(Refusal::NotFound).into()),
    }
}

async fn download(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, FormerError> {
    attachments::download(node, request, path)
        .await
        .map_err(|error| FormerError::from(error).not_logged_in("Unauthorized"))
}

async fn notifications(node: NodeData, request: HttpRequest) -> Result<HttpResponse, FormerError> {
    const LATEST: i64 = 5;
    let caller = authenticate(&node, &request).await?;
    let _permit = admit(&node, &caller)?;
    let account = caller.account;
    let unread = account.unread;
    let latest = if unread > 0 {
        node.with_store(|store| async move { store.latest_unread(&account, LATEST).await }).await?
    } else {
        Vec::new()
    };
    Ok(HttpResponse::Ok().json(Notifications {
        unread_messages: unread,
        pending_tasks: 0,
        total_unread: unread,
        has_notifications: unread > 0,
        latest_notifications: latest.iter().map(notification).collect(),
    }))
}

fn notification(message: &Message) -> Notification {
    Notification {
        kind: "message".to_owned(),
        label: "New message".to_owned(),
        title: message.sender_name.clone(),
        subtitle: shown_subject(&message.subject).to_owned(),
        created_at: message.created_at,
        created_at_epoch: message.created_at.0.div_euclid(1_000_000),
        target: "/".to_owned(),
    }
}

/// A form with two words has all come by then.
const LOG_IN_DEADLINE: Duration = Duration::from_secs(30);

/// A form with `usn` or `username`, and `password`.
async fn log_in(
    node: NodeData,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, FormerError> {
    check_origin_of_login(&node, &request)?;
    let limits = FormLimits { files: 0, file_bytes: 0, deadline: LOG_IN_DEADLINE };
    let no_files = async |_: &str, _: &str| Ok(());
    let form = form::read(payload, request.headers(), limits, &node.files, no_files).await?;
    let (name, password) = (form.field("usn").or(form.field("username")), form.field("password"));
    let (Some(name), Some(password)) = (name, password) else {
        return Err(FormerError::new(ErrorCode::Unauthorized, "a user name and a password are needed"));
    };
    let mut response = HttpResponse::Found();
    accounts::begin_session(&node, &request, name.to_owned(), password.into(), &mut response)
        .await
        .map_err(|error| FormerError::from(error).not_logged_in("unknown user name or wrong password"))?;
    Ok(response.insert_header((LOCATION, "/")).finish())
}
