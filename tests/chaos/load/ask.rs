//! Requests over HTTP, and what their answers mean to whoever keeps the books.

use std::net::SocketAddr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use switchboard_checker::history::{Event, Outcome, Send};
use switchboard_protocol::api::Sent;
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{ErrorCode, MessageData};
use tokio::time::timeout;

use super::words::body;
use super::world::{Letter, World};
use crate::harness::http::{Answer, send};

/// No node takes longer to answer, or to say that it cannot.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request of a user.
pub(super) struct Ask<'a> {
    pub(super) user: i64,
    pub(super) address: SocketAddr,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
}

impl Ask<'_> {
    /// Sends it, and looks through the answer for what is not for this user.
    ///
    /// # Errors
    /// What became of it, if it is not done.
    pub(super) async fn done(&self, world: &World) -> Result<Answer, Outcome> {
        self.with(world, &[], &[]).await
    }

    /// The same with a body of JSON.
    pub(super) async fn with_json(&self, world: &World, body: &Value) -> Result<Answer, Outcome> {
        let header = "Content-Type: application/json".to_owned();
        self.with(world, &[header], body.to_string().as_bytes()).await
    }

    /// The same with any body.
    pub(super) async fn with(
        &self,
        world: &World,
        headers: &[String],
        body: &[u8],
    ) -> Result<Answer, Outcome> {
        let mut lines = vec![world.bearer(self.user)];
        lines.extend_from_slice(headers);
        let answer = timeout(PATIENCE, send(self.address, self.method, self.path, &lines, body)).await;
        let answer = answer.map_err(|_elapsed| unknown("nothing came in time"))?;
        let answer = answer.map_err(|error| unknown(format!("{error:#}")))?;
        let place = format!("{} {}", self.method, self.path);
        world.notes.told(self.user, &place, &answer.head);
        world.notes.told(self.user, &place, &answer.body);
        judge(answer)
    }

    /// Asks for something to read.
    pub(super) async fn read<T: DeserializeOwned>(&self, world: &World) -> Result<T, Outcome> {
        let answer = self.done(world).await?;
        serde_json::from_str(&answer.body).map_err(|error| unknown(format!("cut off: {error}")))
    }
}

/// What is done, or what it came to. Only a node says that something is refused for good; of what else is answered,
/// by whomever, nobody knows whether it was done before.
fn judge(answer: Answer) -> Result<Answer, Outcome> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let problem = serde_json::from_str::<Problem>(&answer.body);
    let code = problem.map_or(ErrorCode::Unknown, |problem| problem.code);
    Err(refused(code, || format!("answered with {}", answer.status)))
}

/// What a refusal by a code comes to.
pub(super) fn refused(code: ErrorCode, reason: impl FnOnce() -> String) -> Outcome {
    match code {
        // What a node that goes away says before it begins.
        ErrorCode::Draining => Outcome::Fail { code: code.to_string() },
        ErrorCode::Unknown => unknown(reason()),
        code if code.http_status() >= 500 => unknown(code.as_str()),
        code => Outcome::Fail { code: code.to_string() },
    }
}

/// Nobody knows.
pub(super) fn unknown(reason: impl Into<String>) -> Outcome {
    Outcome::Info { reason: reason.into() }
}

/// Notes that a message is about to be sent.
pub(super) fn note_send(world: &World, letter: &Letter, device: Option<String>) -> u64 {
    let op = world.notes.op();
    world.notes.note(Event::Send(Send {
        op,
        user: letter.sender,
        device,
        recipient: letter.recipient,
        client_message_id: letter.client_message_id.clone(),
        body: body(&letter.content),
        attachments: letter.attachments.clone(),
    }));
    op
}

/// Sends a message by HTTP, and notes it. Gives what was stored.
///
/// # Errors
/// What became of it, if it is not known to be stored.
pub(super) async fn post(
    world: &World,
    address: SocketAddr,
    letter: &Letter,
) -> Result<MessageData, Outcome> {
    let op = note_send(world, letter, None);
    let body = json!({
        "recipient_id": letter.recipient, "content": &*letter.content,
        "client_message_id": letter.client_message_id, "attachment_ids": letter.attachments,
    });
    let ask = Ask { user: letter.sender, address, method: "POST", path: "/api/v1/messages" };
    let posted = ask.with_json(world, &body).await.and_then(|answer| {
        let sent = serde_json::from_str::<Sent>(&answer.body);
        Ok((answer.status == 200, sent.map_err(|error| unknown(format!("cut off: {error}")))?))
    });
    let (outcome, posted) = match posted {
        Ok((repeat, Sent { seq, message_id, data, .. })) => {
            (Outcome::Sent { message: message_id.0, seq: seq.0, repeat, again: repeat }, Ok(data))
        }
        Err(outcome) => (outcome.clone(), Err(outcome)),
    };
    world.notes.outcome(op, outcome);
    posted
}
