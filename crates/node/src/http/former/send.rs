//! `POST /messages/send/`: a form with recipients, texts and files. One message a recipient, one stored file for all.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::join_all;
use switchboard_protocol::client_frame::{SendMessage, check_message, parse_id};
use switchboard_protocol::former::Sent;
use switchboard_protocol::{AttachmentId, ErrorCode, MessageId, Status, Target, UserId};
use switchboard_store::{Command, Event, FileLabel, Outcome, Refusal};

use super::{FormerError, redirect};
use crate::attachments::Form;
use crate::commands::{explain, of_parts, too_fast, unknown_outcome};
use crate::http::NodeData;
use crate::http::attachments::{keep, read_form};
use crate::http::caller::{admit, authenticate};
use crate::problem::ApiError;
use crate::state::Node;

pub(super) async fn send(
    node: NodeData,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, FormerError> {
    let caller = authenticate(&node, &request).await?;
    let _permit = admit(&node, &caller)?;
    let sender = caller.account.id;
    let form = read_form(&node, &request, payload, &caller).await?;
    let result = send_form(&node, sender, &form).await;
    // What no message took goes now; what is missed here goes with what was abandoned.
    let leftover: Vec<_> = match &result {
        Ok(sent) => sent.leftover.clone(),
        Err(_) => form.files.iter().map(|file| file.registered).collect(),
    };
    if !leftover.is_empty() {
        let giving_up = node.with_store(|store| async move { store.give_up_uploads(&leftover).await });
        let _left_to_the_collector = giving_up.await;
    }
    let sent = result?;
    Ok(if is_script(&request) { HttpResponse::Ok().json(sent.body) } else { redirect("/") })
}

/// Whether a script waits for the answer, not a person for a page.
fn is_script(request: &HttpRequest) -> bool {
    let value = request.headers().get("X-Requested-With");
    value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"XMLHttpRequest"))
}

/// A message of a form is tried so often before the form fails.
const TRIES: usize = 3;

struct SentForm {
    body: Sent,
    /// Files of recipients that are not there.
    leftover: Vec<AttachmentId>,
}

async fn send_form(node: &Node, sender: UserId, form: &Form<AttachmentId>) -> Result<SentForm, FormerError> {
    let (recipients, n_invalid) = recipients(form)?;
    let (subject, content) =
        (form.field("subject").unwrap_or_default(), form.field("content").unwrap_or_default());
    check_message(subject, content, form.files.len()).map_err(|(code, sentence)| match code {
        ErrorCode::EmptyMessage => {
            FormerError::new(code, "Message text or at least one attachment is required.")
        }
        code => ApiError::new(code, sentence).into(),
    })?;
    check_pace(node, sender, recipients.len())?;
    let files = share(node, sender, form, recipients.len()).await?;
    let command = |(recipient, files): (&UserId, &Vec<FileLabel>)| {
        let message = SendMessage {
            to: Target::User(*recipient),
            subject: subject.to_owned(),
            content: content.to_owned(),
            client_message_id: None,
            attachment_ids: Vec::new(),
            reply_to_id: None,
            mention_ids: Vec::new(),
        };
        of_parts(node, sender, message, files.clone())
    };
    let outcomes = carry_out_all(node, recipients.iter().zip(&files).map(command).collect()).await;
    let (mut message_ids, mut leftover, mut failure) = (Vec::new(), Vec::new(), None);
    for (outcome, files) in outcomes.into_iter().zip(files) {
        match outcome {
            Some(Outcome::Committed(entries)) => message_ids.extend(entries.first().and_then(message_of)),
            Some(Outcome::Repeated(entry)) => message_ids.extend(message_of(&entry)),
            Some(Outcome::Refused(Refusal::UnknownRecipient)) => {
                leftover.extend(files.into_iter().map(|file| file.id));
            }
            Some(Outcome::Refused(refusal)) => failure = Some(explain(refusal)),
            None => failure = Some(unknown_outcome()),
        }
    }
    // Once somebody has it, to send it all again would be worse than to say that some were left out.
    if let Some(failure) = failure.filter(|_| message_ids.is_empty()) {
        return Err(failure.into());
    }
    let n_skipped = n_invalid + recipients.len() - message_ids.len();
    let Some(first) = message_ids.first().copied() else {
        return Err(nobody(node.settings.only_in_groups));
    };
    Ok(SentForm { body: answer(first, message_ids, n_skipped), leftover })
}

/// What is said if no recipient may be written to. Where groups decide that, it is not told who is there.
fn nobody(only_in_groups: bool) -> FormerError {
    let (sentence, status) = match only_in_groups {
        true => ("Selected recipients are not connected to your sections.", StatusCode::FORBIDDEN),
        false => ("Invalid recipient selection.", StatusCode::BAD_REQUEST),
    };
    FormerError::new(ErrorCode::UnknownRecipient, sentence).with_status(status)
}

fn answer(message_id: MessageId, message_ids: Vec<MessageId>, n_skipped: usize) -> Sent {
    let mut message = format!("Message sent to {} recipient(s).", message_ids.len());
    if n_skipped > 0 {
        message.push_str(&format!(" Skipped {n_skipped} invalid recipient(s)."));
    }
    Sent { status: Status::Success, message_id, message_ids, message }
}

/// Has commands carried out, in their order, and tries those again of which the outcome is not known: they are under ids
/// of their own, so that none is done twice.
async fn carry_out_all(node: &Node, commands: Vec<Command>) -> Vec<Option<Outcome>> {
    let mut outcomes = vec![None; commands.len()];
    for _ in 0..TRIES {
        let mut answers = Vec::new();
        for (index, command) in commands.iter().enumerate() {
            if matches!(outcomes[index], None | Some(Outcome::Refused(Refusal::Busy)))
                && let Ok(answer) = node.writer.submit(command.clone()).await
            {
                answers.push(async move { (index, answer.await) });
            }
        }
        if answers.is_empty() {
            break;
        }
        for (index, answer) in join_all(answers).await {
            outcomes[index] = answer.ok().and_then(Result::ok);
        }
    }
    outcomes
}

fn message_of(entry: &switchboard_store::Entry) -> Option<MessageId> {
    match &entry.event {
        Event::Sent(message) => Some(message.id),
        _ => None,
    }
}

/// Those of `recipients` and of `recipient`, each once, and how many are no ids.
fn recipients(form: &Form<AttachmentId>) -> Result<(Vec<UserId>, usize), FormerError> {
    let named: Vec<_> = ["recipients", "recipient"]
        .iter()
        .flat_map(|name| form.all(name))
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .collect();
    if named.is_empty() {
        return Err(FormerError::new(ErrorCode::MissingField, "Please select at least one recipient."));
    }
    let (mut ids, mut n_invalid) = (Vec::new(), 0);
    for value in named {
        match parse_id(value).map(UserId) {
            Some(id) if ids.contains(&id) => {}
            Some(id) => ids.push(id),
            None => n_invalid += 1,
        }
    }
    if ids.is_empty() {
        return Err(FormerError::new(ErrorCode::InvalidField, "Invalid recipient selection."));
    }
    Ok((ids, n_invalid))
}

/// A form counts as one message, and as a request for each further recipient.
fn check_pace(node: &Node, sender: UserId, n_recipients: usize) -> Result<(), ApiError> {
    let wait = |wait| too_fast("too many messages", wait);
    node.limits.check_message(sender).map_err(wait)?;
    (1..n_recipients).try_for_each(|_| node.limits.check_request(sender)).map_err(wait)
}

/// The form's files for each recipient: rows of their own, which share what is stored.
async fn share(
    node: &Node,
    sender: UserId,
    form: &Form<AttachmentId>,
    n_recipients: usize,
) -> Result<Vec<Vec<FileLabel>>, ApiError> {
    let mut files = vec![keep(node, form).await?];
    if !form.files.is_empty() && n_recipients > 1 {
        let ids: Vec<_> = form.files.iter().map(|file| file.registered).collect();
        files.extend(
            node.with_store(|store| async move { store.share_uploads(sender, &ids, n_recipients - 1).await })
                .await?,
        );
    }
    files.resize(n_recipients, Vec::new());
    Ok(files)
}
