//! One and the same request, by frame and by HTTP, and what is answered.

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use switchboard_protocol::client_frame::{ReadMark, SetReaction};
use switchboard_protocol::{
    ClientFrame, ConversationId, Envelope, ErrorCode, GroupChange, MessageId, RequestId, ServerFrame, UserId,
};

use crate::harness::Cluster;
use crate::harness::http::{bearer, send, send_json};
use crate::harness::socket::Socket;

/// How a request goes, and to which node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Frame(usize),
    Http(usize),
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Done(Done),
    Refused(ErrorCode),
}

/// What the answer says of what was done, as far as it does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Done {
    /// Whether nothing was to be changed.
    pub(super) is_repeat: Option<bool>,
    /// That was sent.
    pub(super) message: Option<MessageId>,
    /// Where it was sent, or that was made.
    pub(super) conversation: Option<ConversationId>,
}

impl Done {
    fn of(frame: &ServerFrame, is_repeat: bool) -> Self {
        let mut done = Self { is_repeat: Some(is_repeat), ..Self::default() };
        match frame {
            ServerFrame::MessageSent { message_id, data, .. } => {
                (done.message, done.conversation) = (Some(*message_id), Some(data.conversation_id));
            }
            ServerFrame::GroupChanged { conversation_id, .. } => done.conversation = Some(*conversation_id),
            _ => {}
        }
        done
    }
}

/// Asks, and waits for the answer.
pub(super) async fn ask(
    cluster: &Cluster,
    user: UserId,
    way: Way,
    frame: &ClientFrame,
) -> anyhow::Result<Answer> {
    match way {
        Way::Frame(node) => by_frame(cluster, user, node, frame).await,
        Way::Http(node) => by_http(cluster, user, node, frame).await,
    }
}

/// A count is answered after what stands before it. What made an entry is answered by that alone.
async fn by_frame(
    cluster: &Cluster,
    user: UserId,
    node: usize,
    frame: &ClientFrame,
) -> anyhow::Result<Answer> {
    let mut socket = Socket::open(cluster, node, user.0, "").await?;
    let request = Envelope { request_id: Some(RequestId::Text("it".to_owned())), frame: frame.clone() };
    socket.send(serde_json::to_string(&request)?).await?;
    socket.send(r#"{"type":"get_unread_count","request_id":"after"}"#).await?;
    let mut done = None;
    let mut is_settled = false;
    loop {
        let json = socket.next().await?;
        let answer: ServerFrame =
            serde_json::from_value(json.clone()).with_context(|| format!("unreadable: {json}"))?;
        ensure!(!matches!(answer, ServerFrame::Unknown), "unreadable: {json}");
        let is_answer = json["request_id"] == "it";
        match answer {
            ServerFrame::Error(error) if is_answer => return Ok(Answer::Refused(error.code)),
            ServerFrame::UnreadCount { request_id: Some(_), .. } => is_settled = true,
            answer if is_answer => {
                ensure!(json["repeat"] == true, "an answer that is no entry: {json}");
                done = Some(Done::of(&answer, true));
            }
            answer if is_own_entry(frame, &answer) => done = done.or(Some(Done::of(&answer, false))),
            _ => {}
        }
        match (&done, names_itself(frame)) {
            (Some(done), _) if is_settled => return Ok(Answer::Done(done.clone())),
            (None, false) if is_settled => {
                return Ok(Answer::Done(Done { is_repeat: Some(false), ..Done::default() }));
            }
            _ => {}
        }
    }
}

/// Whether the entry that a request makes can be told from others.
fn names_itself(frame: &ClientFrame) -> bool {
    matches!(frame, ClientFrame::SendMessage(_) | ClientFrame::CreateGroup(_))
}

fn is_own_entry(asked: &ClientFrame, entry: &ServerFrame) -> bool {
    match (asked, entry) {
        (ClientFrame::SendMessage(asked), ServerFrame::MessageSent { client_message_id, .. }) => {
            asked.client_message_id == *client_message_id
        }
        (
            ClientFrame::CreateGroup(asked),
            ServerFrame::GroupChanged { change: GroupChange::Joined { client_conversation_id, .. }, .. },
        ) => asked.client_conversation_id == *client_conversation_id,
        _ => false,
    }
}

async fn by_http(
    cluster: &Cluster,
    user: UserId,
    node: usize,
    frame: &ClientFrame,
) -> anyhow::Result<Answer> {
    let (method, path) = endpoint(frame)?;
    let path = format!("/api/v1/{path}");
    let (address, headers) = (cluster.address(node), [bearer(user.0)]);
    let answer = if method == "DELETE" {
        send(address, method, &path, &headers, &[]).await?
    } else {
        send_json(address, method, &path, &headers, &body(frame)?).await?
    };
    let context = || format!("{method} {path}: {} {}", answer.status, answer.body);
    if answer.status == 204 {
        ensure!(matches!(frame, ClientFrame::DeleteMessage { .. }), "{}", context());
        return Ok(Answer::Done(Done::default()));
    }
    let json = answer.json().with_context(context)?;
    if answer.status >= 400 {
        let code: ErrorCode = serde_json::from_value(json["code"].clone()).with_context(context)?;
        ensure!(code.http_status() == answer.status, "{}", context());
        return Ok(Answer::Refused(code));
    }
    let is_new = answer.status == 201;
    let read = |field: &str| json[field].as_i64();
    Ok(Answer::Done(match frame {
        ClientFrame::SendMessage(_) => Done {
            is_repeat: Some(!is_new),
            message: read("message_id").map(MessageId),
            conversation: json["data"]["conversation_id"].as_i64().map(ConversationId),
        },
        ClientFrame::MarkAsRead(ReadMark::Message { .. }) => Done::default(),
        _ => {
            let entry: ServerFrame = serde_json::from_value(json.clone()).with_context(context)?;
            ensure!(!matches!(entry, ServerFrame::Unknown), "{}", context());
            let is_repeat = json["repeat"] == true;
            let is_made = matches!(frame, ClientFrame::CreateGroup(_)) && !is_repeat;
            ensure!(is_new == is_made, "{}", context());
            Done::of(&entry, is_repeat)
        }
    }))
}

/// Method, and path under `/api/v1`.
fn endpoint(frame: &ClientFrame) -> anyhow::Result<(&'static str, String)> {
    Ok(match frame {
        ClientFrame::SendMessage(_) => ("POST", "messages".to_owned()),
        ClientFrame::MarkAsRead(ReadMark::Message { message_id }) => {
            ("POST", format!("messages/{message_id}/read"))
        }
        ClientFrame::MarkAsRead(ReadMark::UpTo { conversation_id, .. }) => {
            ("POST", format!("conversations/{conversation_id}/read"))
        }
        ClientFrame::EditMessage(edit) => ("PATCH", format!("messages/{}", edit.message_id)),
        ClientFrame::DeleteMessage { message_id } => ("DELETE", format!("messages/{message_id}")),
        ClientFrame::SetReaction(SetReaction { message_id, reaction, is_set }) => {
            let escaped: String = reaction.bytes().map(|byte| format!("%{byte:02X}")).collect();
            (put_or_delete(*is_set), format!("messages/{message_id}/reactions/{escaped}"))
        }
        ClientFrame::CreateGroup(_) => ("POST", "conversations".to_owned()),
        ClientFrame::SetTitle { conversation_id, .. } => {
            ("PATCH", format!("conversations/{conversation_id}"))
        }
        ClientFrame::AddMembers { conversation_id, .. } => {
            ("POST", format!("conversations/{conversation_id}/members"))
        }
        ClientFrame::RemoveMember { conversation_id, user_id } => {
            ("DELETE", format!("conversations/{conversation_id}/members/{user_id}"))
        }
        ClientFrame::SetRole { conversation_id, user_id, .. } => {
            ("PUT", format!("conversations/{conversation_id}/members/{user_id}"))
        }
        ClientFrame::SetConversation(change) => {
            ("PUT", format!("conversations/{}/settings", change.conversation_id))
        }
        ClientFrame::SetBlock { user_id, is_blocked } => {
            (put_or_delete(*is_blocked), format!("blocks/{user_id}"))
        }
        ClientFrame::SetReceipts { .. } => ("PUT", "settings".to_owned()),
        _ => bail!("{frame:?} changes nothing"),
    })
}

fn put_or_delete(is_set: bool) -> &'static str {
    if is_set { "PUT" } else { "DELETE" }
}

/// The fields of the frame without those of the path.
fn body(frame: &ClientFrame) -> anyhow::Result<Value> {
    let mut body = serde_json::to_value(frame)?;
    let fields = body.as_object_mut().context("an object")?;
    fields.remove("type");
    let of_path: &[&str] = match frame {
        ClientFrame::SendMessage(_) | ClientFrame::CreateGroup(_) => &[],
        ClientFrame::SetReaction(_) => &["message_id", "reaction", "is_set"],
        ClientFrame::SetBlock { .. } => &["user_id", "is_blocked"],
        ClientFrame::AddMembers { .. } => &["conversation_id"],
        _ => &["message_id", "conversation_id", "user_id"],
    };
    fields.retain(|field, _| !of_path.contains(&field.as_str()));
    Ok(if fields.is_empty() { json!({}) } else { body })
}
