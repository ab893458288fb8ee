//! What follows from a batch and holds up no other: somebody is concerned whose mailbox no outcome names.

use std::time::Duration;

use switchboard_protocol::UserId;
use switchboard_store::{Store, StoreError};
use tokio::time::timeout;

use crate::ephemeral::{Notice, Word};
use crate::hub::HubHandle;

/// What there is for all of one batch. The sweep does without it, and so does who watches others: only later.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something to be done once the mailbox of a user is found.
pub(super) enum Aside {
    /// To compare it with the store: something may be in it that was announced to nobody.
    Check(UserId),
    /// To tell its sessions that it may have changed whom they may watch.
    Rights(UserId),
}

/// Does these, as far as the store answers.
pub(super) async fn tend(store: Store, hub: HubHandle, asides: Vec<Aside>) {
    let all = async {
        for aside in asides {
            tend_to(&store, &hub, aside).await?;
        }
        Ok::<_, StoreError>(())
    };
    if let Ok(Err(error)) = timeout(PATIENCE, all).await {
        tracing::debug!("who is concerned by a batch is found later: {error}");
    }
}

async fn tend_to(store: &Store, hub: &HubHandle, aside: Aside) -> Result<(), StoreError> {
    let (Aside::Check(user) | Aside::Rights(user)) = aside;
    let Some(account) = store.find_account(user).await? else {
        return Ok(());
    };
    match aside {
        Aside::Check(_) => hub.check(account.mailbox).await,
        Aside::Rights(_) => hub.tell(vec![Notice { mailbox: account.mailbox, word: Word::Rights }]),
    }
    Ok(())
}
