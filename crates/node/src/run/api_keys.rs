//! `api-key`.

use anyhow::bail;

use super::{migrated_store, print};
use crate::auth::{new_api_key, secret_hash};
use crate::cli::ApiKeyCommand;
use crate::config::Config;

/// Makes, lists or ends keys.
pub(super) async fn manage(config: &Config, command: ApiKeyCommand) -> anyhow::Result<()> {
    let store = migrated_store(config).await?;
    match command {
        ApiKeyCommand::Create { name } => {
            let fits = (1..=150).contains(&name.chars().count()) && !name.chars().any(char::is_control);
            if !fits {
                bail!("a name has 1 to 150 characters, none of them a control character");
            }
            let key = new_api_key();
            if store.create_api_key(&name, &secret_hash(&key)).await?.is_none() {
                bail!("there is or was a key of the name `{name}`");
            }
            print(key)
        }
        ApiKeyCommand::List => {
            for key in store.list_api_keys().await? {
                let state = if key.revoked_at.is_some() { "revoked" } else { "valid" };
                print(format_args!("{}\t{}\t{state}", key.name, key.created_at))?;
            }
            Ok(())
        }
        ApiKeyCommand::Revoke { name } => {
            if !store.revoke_api_key(&name).await? {
                bail!("there is no valid key of the name `{name}`");
            }
            Ok(())
        }
    }
}
