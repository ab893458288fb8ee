//! What users do, each in several ways.

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use serde_json::json;
use switchboard_client::{Client, RequestError};
use switchboard_protocol::former::{Lists, Sent as FormerSent};
use switchboard_protocol::{ErrorCode, MessageId, UserId};

use super::Dice;
use super::device::canary;
use super::world::{Effect, Sent, USERS, World};
use crate::attachments::kit::upload;
use crate::harness::http::multipart;

#[derive(Clone, Debug)]
pub(super) enum Way {
    Socket(Client),
    Api(usize),
    Former(usize),
}

#[derive(Debug)]
pub(super) enum Deed {
    Send { way: Way, sender: i64, recipients: Vec<i64>, n: usize, with_file: bool },
    Repeat { way: Way, sent: Sent },
    Read { way: Way, sent: Sent },
    ReadAll { user: i64, node: usize },
    Delete { way: Way, user: i64, sent: Sent },
    Trespass { way: Way, user: i64, sent: Sent },
    Count { user: i64, node: usize },
}

impl Deed {
    pub(super) fn choose(dice: &mut Dice, world: &mut World) -> Self {
        let node = dice.roll(2) as usize;
        let user = *dice.pick(&USERS).expect("there are users");
        let sent: Vec<&Sent> = world.sent.values().collect();
        // Mostly the latest, so that much is done to the same.
        let recent = &sent[sent.len().saturating_sub(12)..];
        let among = if dice.roll(3) == 0 { &sent[..] } else { recent };
        let one = dice.pick(among).map(|sent| (*sent).clone());
        let (kind, Some(sent)) = (dice.roll(100), one) else { return Self::send(dice, world, user, node) };
        let mut way = |user| way(dice, world, user, node);
        match kind {
            0..50 => Self::send(dice, world, user, node),
            50..58 if sent.client_message_id.is_some() && sent.n_files == 0 => {
                Self::Repeat { way: way(sent.sender), sent }
            }
            50..72 => Self::Read { way: way(sent.recipient), sent },
            72..75 => Self::ReadAll { user, node },
            75..83 => Self::Delete { way: way(sent.sender), user: sent.sender, sent },
            83..90 => Self::Delete { way: way(sent.recipient), user: sent.recipient, sent },
            90..95 if ![sent.sender, sent.recipient].contains(&user) => {
                Self::Trespass { way: way(user), user, sent }
            }
            _ => Self::Count { user, node },
        }
    }

    fn send(dice: &mut Dice, world: &mut World, sender: i64, node: usize) -> Self {
        let way = way(dice, world, sender, node);
        let mut recipients = vec![*dice.pick(&USERS).expect("there are users")];
        if matches!(way, Way::Former(_)) {
            let first = recipients[0];
            recipients.extend(USERS.into_iter().filter(|user| *user != first && dice.roll(3) == 0));
        }
        world.n_named += 1;
        Self::Send { way, sender, recipients, n: world.n_named, with_file: dice.roll(5) == 0 }
    }

    pub(super) async fn carry_out(&self, world: &World) -> anyhow::Result<Effect> {
        match self {
            Self::Send { way, sender, recipients, n, with_file } => {
                send(world, way, *sender, recipients, (*n, *with_file)).await.map(Effect::Sent)
            }
            Self::Repeat { way, sent } => repeat(world, way, sent).await,
            Self::Read { way, sent } => {
                let found = read(world, way, sent.recipient, sent.id).await?;
                // What one wrote to oneself was read from the start.
                Ok(if found { Effect::Read(sent.id) } else { Effect::Missing(sent.recipient, sent.id) })
            }
            Self::ReadAll { user, node } => {
                let answer = world.ask(*user, *node, "GET", "/messages/get/?limit=1000").await?;
                let lists: Lists = serde_json::from_str(&answer.body)?;
                ensure!(lists.unread_count >= 0, "{}", lists.unread_count);
                Ok(Effect::Listed(lists.received.iter().map(|message| message.id).collect()))
            }
            Self::Delete { way, user, sent } => delete(world, way, *user, sent.id).await,
            Self::Trespass { way, user, sent } => trespass(world, way, *user, sent.id).await,
            Self::Count { user, node } => {
                let answer = world.ask(*user, *node, "GET", "/messages/unread/").await?;
                ensure!(answer.json()?["unread_count"].as_i64().is_some_and(|n| n >= 0), "{}", answer.body);
                Ok(Effect::Nothing)
            }
        }
    }
}

fn way(dice: &mut Dice, world: &World, user: i64, node: usize) -> Way {
    let of_user: Vec<_> = world.devices.iter().filter(|device| device.state.user == user).collect();
    match (dice.roll(3), dice.pick(&of_user).and_then(|device| device.client())) {
        (0, Some(client)) => Way::Socket(client),
        (1, _) => Way::Former(node),
        _ => Way::Api(node),
    }
}

/// One message a recipient.
async fn send(
    world: &World,
    way: &Way,
    sender: i64,
    recipients: &[i64],
    (n, with_file): (usize, bool),
) -> anyhow::Result<Vec<Sent>> {
    let content = match recipients {
        [recipient] => canary(sender, *recipient, n),
        // All of them may see it.
        _ => format!("to several, number {n}"),
    };
    let name = format!("{content}.txt");
    let files: &[(&str, &[u8])] = if with_file { &[(&name, b"a file")] } else { &[] };
    let client_message_id = format!("mix-{n}");
    let (ids, client_message_id) = match way {
        Way::Former(node) => {
            let mut texts: Vec<_> =
                recipients.iter().map(|recipient| ("recipients", recipient.to_string())).collect();
            texts.push(("content", content.clone()));
            let texts: Vec<_> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
            let files: Vec<_> = files.iter().map(|(name, bytes)| ("attachments", *name, *bytes)).collect();
            let answer = world.form(sender, *node, "/messages/send/", multipart(&texts, &files)).await?;
            ensure!(answer.status == 200, "{}", answer.body);
            (serde_json::from_str::<FormerSent>(&answer.body)?.message_ids, None)
        }
        Way::Api(_) | Way::Socket(_) => {
            let node = if let Way::Api(node) = way { *node } else { 0 };
            let mut attachment_ids = Vec::new();
            if with_file {
                let uploaded = upload(world.cluster.address(1 - node), sender, files).await?;
                attachment_ids.extend(uploaded.iter().map(|file| file.id));
            }
            let to = recipients[0];
            let id = if let Way::Socket(client) = way {
                let mut draft = switchboard_client::Draft::new(UserId(to), content.clone());
                (draft.client_message_id, draft.attachment_ids) =
                    (Some(client_message_id.clone()), attachment_ids);
                client.send_draft(draft).await?.message_id
            } else {
                let body = json!({"recipient_id": to, "content": content, "client_message_id": client_message_id,
                    "attachment_ids": attachment_ids});
                let answer = world.post(sender, node, "/api/v1/messages", &body).await?;
                ensure!(answer.status == 201, "{}", answer.body);
                serde_json::from_value(answer.json()?["message_id"].clone())?
            };
            (vec![id], Some(client_message_id))
        }
    };
    ensure!(ids.len() == recipients.len(), "{ids:?} for {recipients:?}");
    let sent = ids.into_iter().zip(recipients).map(|(id, recipient)| Sent {
        id,
        sender,
        recipient: *recipient,
        content: content.clone(),
        n_files: files.len(),
        client_message_id: client_message_id.clone(),
        read: Some(sender == *recipient),
        gone_for_sender: false,
        gone_for_recipient: false,
    });
    Ok(sent.collect())
}

/// The same request again is the same message, also if that is gone; twice at once.
async fn repeat(world: &World, way: &Way, sent: &Sent) -> anyhow::Result<Effect> {
    let name = sent.client_message_id.clone();
    let body = json!({"recipient_id": sent.recipient, "content": sent.content, "client_message_id": name});
    let requests = [0, 1].map(|node| world.post(sent.sender, node, "/api/v1/messages", &body));
    for answer in join_all(requests).await {
        let answer = answer?;
        ensure!(answer.status == 200 && answer.json()?["message_id"] == sent.id.0, "{}", answer.body);
    }
    if let Way::Socket(client) = way {
        let again = client.send(UserId(sent.recipient), "", &sent.content, name).await?;
        // A client that the entry of then has not reached yet takes that for the answer.
        ensure!(again.message_id == sent.id, "{again:?}");
    }
    Ok(Effect::Nothing)
}

/// Whether it was there.
async fn read(world: &World, way: &Way, user: i64, id: MessageId) -> anyhow::Result<bool> {
    match way {
        Way::Socket(client) => match client.mark_read(id).await {
            Ok(()) => Ok(true),
            Err(RequestError::Refused(error)) if error.code == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        },
        Way::Api(node) | Way::Former(node) => {
            let answer = world.ask(user, *node, "POST", &format!("/api/v1/messages/{id}/read")).await?;
            ensure!([200, 404].contains(&answer.status), "{}", answer.body);
            Ok(answer.status == 200)
        }
    }
}

async fn delete(world: &World, way: &Way, user: i64, id: MessageId) -> anyhow::Result<Effect> {
    if let Way::Former(node) = way {
        let answer = world.ask(user, *node, "POST", &format!("/messages/delete/{id}/")).await?;
        return match answer.status {
            200 => Ok(Effect::Deleted(user, id)),
            404 => Ok(Effect::Missing(user, id)),
            _ => anyhow::bail!("{}", answer.body),
        };
    }
    let node = if let Way::Api(node) = way { *node } else { 0 };
    let answer = world.ask(user, node, "DELETE", &format!("/api/v1/messages/{id}")).await?;
    ensure!(answer.status == 204, "{}", answer.body);
    Ok(Effect::Deleted(user, id))
}

/// For a stranger nothing is there.
async fn trespass(world: &World, way: &Way, user: i64, id: MessageId) -> anyhow::Result<Effect> {
    ensure!(!read(world, way, user, id).await?, "{user} read {id}");
    for (method, path) in [
        ("DELETE", format!("/api/v1/messages/{id}")),
        ("POST", format!("/messages/delete/{id}/")),
        ("GET", format!("/api/v1/attachments/{id}")),
    ] {
        let answer = world.ask(user, 1, method, &path).await?;
        let own_file = method == "GET" && answer.status == 200;
        ensure!(answer.status == 404 || own_file, "{path}: {} {}", answer.status, answer.body);
    }
    let conversations = world.ask(user, 0, "GET", "/api/v1/conversations/1/messages").await?;
    conversations.json().context("an answer").map(|_| Effect::Nothing)
}
