//! `/api/v1/attachments`: files up and down.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_protocol::api::Uploaded;
use switchboard_protocol::client_frame::parse_id;
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{AttachmentId, ErrorCode, limits};
use switchboard_store::{FileLabel, Store};

use super::NodeData;
use super::caller::{Caller, admit, authenticate, while_let_in};
use super::held::hold_while;
use crate::attachments::download::respond;
use crate::attachments::{FileInfo, Form, FormLimits, UploadedFile, form};
use crate::packet::attachment;
use crate::problem::ApiError;
use crate::state::Node;

/// Takes the files of a form. They wait for a message that names them.
#[utoipa::path(post, path = "/api/v1/attachments", operation_id = "upload_attachments", tag = "attachments",
    request_body(content = String, content_type = "multipart/form-data", description = "one or more files, each a part with a file name"),
    responses((status = 201, body = Uploaded), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn upload(
    node: NodeData,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let _permit = admit(&node, &caller)?;
    let form = read_form(&node, &request, payload, &caller).await?;
    let labels = keep(&node, &form).await?;
    if labels.is_empty() {
        return Err(ApiError::new(ErrorCode::MissingField, "the form has no file"));
    }
    let attachments = labels.iter().map(attachment).collect();
    Ok(HttpResponse::Created().json(Uploaded { attachments }))
}

/// The longest that a form may take, however large its files.
const FORM_DEADLINE: Duration = Duration::from_secs(3600);

/// Reads a form and stores its files. The row of each is there before its first byte is.
pub(super) async fn read_form(
    node: &Node,
    request: &HttpRequest,
    payload: web::Payload,
    caller: &Caller,
) -> Result<Form<AttachmentId>, ApiError> {
    let uploader = caller.account.id;
    let limits = FormLimits {
        files: limits::ATTACHMENTS,
        file_bytes: node.settings.attachment_bytes,
        deadline: FORM_DEADLINE,
    };
    let most = node.settings.waiting_per_user;
    let register = async |key: &str, filename: &str| {
        let (key, filename) = (key.to_owned(), filename.to_owned());
        let row = async move |store: Store| store.register_upload(uploader, &filename, &key, most).await;
        let sentence = "too many of your files wait for a message: send or wait";
        node.with_store(row).await?.ok_or_else(|| ApiError::new(ErrorCode::TooManyAttachments, sentence))
    };
    // Boxed, since it is large.
    let reading = Box::pin(form::read(payload, request.headers(), limits, &node.files, register));
    while_let_in(&caller.lease(node), reading).await
}

/// Notes that the files of a form are stored.
pub(super) async fn keep(node: &Node, form: &Form<AttachmentId>) -> Result<Vec<FileLabel>, ApiError> {
    let mut labels = Vec::with_capacity(form.files.len());
    for UploadedFile { stored, registered, .. } in &form.files {
        let (id, media_type, sha256) = (*registered, stored.media_type, stored.sha256_hex.clone());
        let size = i64::try_from(stored.size).unwrap_or(i64::MAX);
        let finishing = async move |store: Store| store.finish_upload(id, size, media_type, &sha256).await;
        let label = node.with_store(finishing).await?;
        // The collector takes the bytes too.
        labels.push(label.ok_or_else(|| {
            ApiError::new(ErrorCode::StoreUnavailable, "the upload took too long")
                .with_status(StatusCode::BAD_GATEWAY)
        })?);
    }
    Ok(labels)
}

/// A file, or a part of one, for the parties of its message.
#[utoipa::path(get, path = "/api/v1/attachments/{id}", operation_id = "download_attachment", tag = "attachments", params(("id" = AttachmentId, Path)),
    responses((status = 200, body = String, content_type = "application/octet-stream"),
        (status = 206, body = String, content_type = "application/octet-stream"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn download(
    node: NodeData,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let caller = authenticate(&node, &request).await?;
    let permit = admit(&node, &caller)?;
    let lease = caller.lease(&node);
    let missing = || ApiError::new(ErrorCode::NotFound, "there is no such file");
    let id = AttachmentId(parse_id(&path).ok_or_else(missing)?);
    let reader = caller.account.id;
    let found = node.with_store(|store| async move { store.find_attachment(id, reader).await }).await?;
    let file = found.ok_or_else(missing)?;
    let file = FileInfo {
        key: file.storage_key,
        filename: file.filename,
        size: u64::try_from(file.size).unwrap_or(0),
        media_type: file.media_type,
        sha256: file.sha256,
        created_at: file.created_at,
    };
    Ok(hold_while(respond(&request, &node.files, &file).await?, permit, lease))
}
