//! `user import` and `token`.

use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;
use switchboard_store::Import;

use super::{open_store, print};
use crate::auth::Tokens;
use crate::cli::TokenOptions;
use crate::config::Config;

/// Users in one transaction.
const CHUNK: usize = 1_000;
/// The longest user name, in characters.
const NAME_CHARS: usize = 150;

#[derive(Deserialize)]
struct Row {
    username: String,
    #[serde(default)]
    full_name: String,
    #[serde(default)]
    password: String,
}

/// Creates the users of a file, or renames those that exist, and prints `id<TAB>username` for each.
pub(super) async fn import(config: &Config, file: &Path) -> anyhow::Result<()> {
    let users = read(file).with_context(|| format!("`{}` cannot be imported", file.display()))?;
    let store = open_store(config).await?;
    if config.store.migrate {
        store.migrate().await?;
    }
    for chunk in users.chunks(CHUNK) {
        let ids = store.import_users(chunk.to_vec()).await?;
        for (id, user) in ids.iter().zip(chunk) {
            print(format_args!("{id}\t{}", user.username))?;
        }
    }
    Ok(())
}

/// Checks every line before the first is imported.
fn read(file: &Path) -> anyhow::Result<Vec<Import>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(file)?;
    let headers = reader.headers()?;
    if !headers.iter().any(|column| column == "username") {
        bail!("its first line must name the columns: username,full_name");
    }
    let mut users = Vec::new();
    for (index, row) in reader.deserialize().enumerate() {
        let Row { username, full_name, password } = row?;
        let line = index + 2;
        let fits = |text: &str| text.chars().count() <= NAME_CHARS && !text.chars().any(char::is_control);
        if username.is_empty() || !fits(&username) || !fits(&full_name) {
            bail!("line {line}: a name has 1 to {NAME_CHARS} characters, none of them a control character");
        }
        if !password.is_empty() {
            bail!("line {line}: this version knows no passwords; leave the column empty");
        }
        users.push(Import { username, full_name });
    }
    Ok(users)
}

/// Prints `id<TAB>Authorization: Bearer …` for each user of a range.
pub(super) fn tokens(config: &Config, options: &TokenOptions) -> anyhow::Result<()> {
    let tokens = Tokens::new(&config.auth.jwt_secret, config.auth.token_leeway());
    for user in options.users.iter() {
        let Some(token) = tokens.issue(user, options.ttl) else {
            bail!("`auth.jwt_secret` is empty: set SWITCHBOARD_JWT_SECRET to the secret of the nodes");
        };
        print(format_args!("{user}\tAuthorization: Bearer {token}"))?;
    }
    Ok(())
}
