//! What users do over HTTP, beside sending: each deed a request or two at any node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use switchboard_checker::history::{Event, Outcome, Page};
use switchboard_protocol::api::{Me, Uploaded};
use switchboard_protocol::history::HistoryPage;

use super::Ways;
use super::ask::{Ask, post};
use super::entries::page_message;
use super::words::{canary, content};
use super::world::{Known, Letter, World};
use crate::Dice;
use crate::harness::http::multipart;

/// Messages in a page that is read in passing.
const FEW: i64 = 20;

impl World {
    /// One of the nodes, or the balancer, by either way.
    pub(super) fn any_address(&self, dice: &mut Dice) -> SocketAddr {
        let Ways { balancer, through_proxy, nodes } = &self.ways;
        match dice.roll(nodes.len() as u64 + 2) as usize {
            0 => *balancer,
            1 => *through_proxy,
            node => nodes[node - 2],
        }
    }
}

/// Chance decides what follows once a message is stored.
pub(super) fn follow_up(world: &Arc<World>, dice: &mut Dice, known: Known) {
    let mut own = Dice(dice.roll(u64::MAX));
    let wait = Duration::from_millis(own.roll(4_000));
    let sender = known.letter.sender;
    let here = Arc::clone(world);
    world.remember(known.clone());
    match dice.roll(1_000) {
        0..20 => world.later(wait, async move { delete(&here, &mut own, sender, known.message).await }),
        20..35 => world.later(wait, async move { send_again(&here, &mut own, &known.letter).await }),
        35..40 => world.later(wait, async move { send_another(&here, &mut own, known.letter).await }),
        40..60 => world.later(Duration::ZERO, async move {
            if let Some(id) = here.conversation(sender, known.letter.recipient) {
                let address = here.any_address(&mut own);
                // In passing: who cannot be asked now is not asked.
                let _ = page(&here, address, sender, (id, None, FEW)).await;
            }
        }),
        60..65 => world.later(Duration::ZERO, async move {
            let address = here.any_address(&mut own);
            // As above.
            let _ = unread(&here, address, sender).await;
        }),
        65..115 => world.later(Duration::ZERO, async move { snoop(&here, &mut own).await }),
        _ => {}
    }
}

/// Marks a message as read.
pub(super) async fn read(world: &World, dice: &mut Dice, user: i64, message: i64) {
    let op = world.notes.op();
    let path = format!("/api/v1/messages/{message}/read");
    world.notes.note(Event::Read { op, user, message });
    let ask = Ask { user, address: world.any_address(dice), method: "POST", path: &path };
    world.notes.outcome(op, ask.done(world).await.map_or_else(|it| it, |_| Outcome::Done));
}

/// Deletes a message, for both or for the user.
pub(super) async fn delete(world: &World, dice: &mut Dice, user: i64, message: i64) {
    let op = world.notes.op();
    let path = format!("/api/v1/messages/{message}");
    world.notes.note(Event::Delete { op, user, message });
    let ask = Ask { user, address: world.any_address(dice), method: "DELETE", path: &path };
    world.notes.outcome(op, ask.done(world).await.map_or_else(|it| it, |_| Outcome::Done));
}

/// Sends the same message once more, as somebody does who does not know whether it went.
pub(super) async fn send_again(world: &Arc<World>, dice: &mut Dice, letter: &Letter) {
    let address = world.any_address(dice);
    let posted = post(world, address, letter).await;
    if let Err(Outcome::Info { .. }) = posted
        && dice.roll(2) == 0
    {
        send_later(world, dice, letter.clone());
    }
}

/// Has the same message sent once more in some seconds, of which nobody knows whether it went.
pub(super) fn send_later(world: &Arc<World>, dice: &mut Dice, letter: Letter) {
    let mut own = Dice(dice.roll(u64::MAX));
    let here = Arc::clone(world);
    let again: futures_util::future::BoxFuture<'static, ()> =
        Box::pin(async move { send_again(&here, &mut own, &letter).await });
    world.later(Duration::from_millis(500 + dice.roll(8_000)), again);
}

/// Another message under the same name, which must be refused.
async fn send_another(world: &World, dice: &mut Dice, letter: Letter) {
    let canary = canary(dice, letter.sender, letter.recipient);
    let letter = Letter { content: content(dice, &canary).into(), ..letter };
    // It is noted what came of it.
    let _ = post(world, world.any_address(dice), &letter).await;
}

/// Reads a page of a conversation: from the newest on, or before a message. Gives it.
pub(super) async fn page(
    world: &World,
    address: SocketAddr,
    user: i64,
    (conversation, before, limit): (i64, Option<i64>, i64),
) -> Result<HistoryPage, Outcome> {
    let from = before.map_or_else(String::new, |before| format!("&before={before}"));
    let path = format!("/api/v1/conversations/{conversation}/messages?limit={limit}{from}");
    let asked = world.notes.now();
    let page: HistoryPage = Ask { user, address, method: "GET", path: &path }.read(world).await?;
    world.notes.note(Event::Page(Page {
        user,
        asked,
        conversation,
        newest: before.is_none(),
        oldest: page.before.is_none(),
        messages: page.messages.iter().map(page_message).collect(),
    }));
    Ok(page)
}

/// Asks how many messages are not read. Gives it with the rest that is told.
pub(super) async fn unread(world: &World, address: SocketAddr, user: i64) -> Result<Me, Outcome> {
    let asked = world.notes.now();
    let me: Me = Ask { user, address, method: "GET", path: "/api/v1/me" }.read(world).await?;
    let (count, via) = (me.unread_count, "http".to_owned());
    world.notes.note(Event::Unread { user, count, via, asked });
    Ok(me)
}

/// Uploads a file that says whose message it is for. Gives its id.
pub(super) async fn upload(world: &World, address: SocketAddr, user: i64, canary: &str) -> Option<i64> {
    let file = format!("what goes with {canary}\n").repeat(20);
    let (media_type, body) = multipart(&[], &[("file", &format!("{canary}.txt"), file.as_bytes())]);
    let ask = Ask { user, address, method: "POST", path: "/api/v1/attachments" };
    let answer = ask.with(world, &[media_type], &body).await.ok()?;
    let uploaded: Uploaded = serde_json::from_str(&answer.body).ok()?;
    uploaded.attachments.first().map(|file| file.id.0)
}

/// A user asks for what is not theirs. What they are told is looked through like everything.
async fn snoop(world: &World, dice: &mut Dice) {
    let user = 1 + dice.roll(world.shape.users.unsigned_abs()) as i64;
    let is_foreign = |letter: &Letter| ![letter.sender, letter.recipient].contains(&user);
    let Some(Known { message, letter }) = world.recall(dice, is_foreign) else { return };
    let address = world.any_address(dice);
    let conversation = world.conversation(letter.sender, letter.recipient);
    let path = match (dice.roll(4), letter.attachments.first(), conversation) {
        (0, ..) => return read(world, dice, user, message).await,
        (1, ..) => return delete(world, dice, user, message).await,
        (2, Some(file), _) => format!("/api/v1/attachments/{file}"),
        (_, _, Some(id)) => format!("/api/v1/conversations/{id}/messages"),
        _ => return,
    };
    // A refusal is what is expected.
    let _ = Ask { user, address, method: "GET", path: &path }.done(world).await;
}
