//! What is told and kept nowhere: that somebody writes, and to sessions alone that whom they may watch has changed. It has no
//! place in a mailbox, goes over the channel layer alone, and may be lost.
//!
//! A [`Notice`] goes to the sessions of each other member, here through the hub and elsewhere on the channel of their
//! mailbox. It holds nobody up and waits for nothing: where a session is slow, it is the first to be dropped.

mod notice;
mod throttle;

use switchboard_protocol::{ErrorCode, ServerFrame, Target};

#[cfg(test)]
pub(crate) use self::notice::tests::notice;
pub use self::notice::{Notice, Word, Writing};
pub(crate) use self::notice::{author, encode};
pub(crate) use self::throttle::{TERM, Throttle};
use crate::commands::{Actor, broken, too_fast};
use crate::packet::text;
use crate::problem::ApiError;
use crate::state::Node;

/// Tells the others in a conversation that somebody writes there, or stopped. Told too often it is passed over, and a stop
/// where nothing began.
///
/// # Errors
/// `rate_limited`, `store_unavailable`; `unknown_recipient` or `not_found` if there is nobody whom they may write to.
pub(crate) async fn typing(node: &Node, who: Actor, to: Target, is_typing: bool) -> Result<(), ApiError> {
    let user = who.user;
    node.limits.check_request(user).map_err(|wait| too_fast("too many requests", wait))?;
    if !node.typing.admit(user, to, is_typing) {
        return Ok(());
    }
    let only_in_groups = node.settings.only_in_groups;
    let found = node.with_store(|store| async move { store.audience(user, to, only_in_groups).await }).await;
    let audience = match found {
        Ok(Some(audience)) => audience,
        // Nobody was told: the next is no repetition.
        Ok(None) => {
            node.typing.take_back(user, to);
            return Err(nobody(to));
        }
        Err(error) => {
            node.typing.take_back(user, to);
            return Err(error);
        }
    };
    let writing = Writing { conversation: audience.conversation, user, is_typing };
    let frame =
        ServerFrame::<()>::Typing { conversation_id: audience.conversation, user_id: user, is_typing };
    let frame = text(&frame).map_err(|_not_json| broken())?;
    let notice = |mailbox| Notice { mailbox, word: Word::Writing(writing, frame.clone()) };
    node.source.hub.tell(audience.mailboxes.into_iter().map(notice).collect());
    Ok(())
}

fn nobody(to: Target) -> ApiError {
    match to {
        Target::User(_) => ApiError::new(ErrorCode::UnknownRecipient, "there is no such recipient"),
        Target::Conversation(_) => ApiError::new(ErrorCode::NotFound, "there is no such conversation"),
    }
}
