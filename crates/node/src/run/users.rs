//! `user` and `token`.

use std::num::NonZero;
use std::path::Path;

use anyhow::{Context, bail};
use secrecy::SecretString;
use serde::Deserialize;
use switchboard_protocol::limits::{NAME_CHARS, PASSWORD_BYTES};
use switchboard_store::Import;

use super::{migrated_store, print};
use crate::auth::{Tokens, hash_now};
use crate::cli::TokenOptions;
use crate::config::Config;

/// Users in one transaction: while it lasts, a log-out waits.
const CHUNK: usize = 200;

#[derive(Clone, Deserialize)]
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
    let store = migrated_store(config).await?;
    for chunk in users.chunks(CHUNK) {
        let ids = store.import_users(hashed(chunk).await?).await?;
        for (id, user) in ids.iter().zip(chunk) {
            print(format_args!("{id}\t{}", user.username))?;
        }
    }
    Ok(())
}

/// As the store takes them. Hashing is slow by design: each core does a part.
async fn hashed(rows: &[Row]) -> anyhow::Result<Vec<Import>> {
    let n_cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let parts = rows.chunks(rows.len().div_ceil(n_cores).max(1)).map(|part| {
        let part = part.to_vec();
        tokio::task::spawn_blocking(move || part.into_iter().map(import_of).collect::<Vec<_>>())
    });
    let mut users = Vec::with_capacity(rows.len());
    for part in parts.collect::<Vec<_>>() {
        users.extend(part.await?);
    }
    Ok(users)
}

fn import_of(Row { username, full_name, password }: Row) -> Import {
    let password_hash = (!password.is_empty()).then(|| hash_now(&SecretString::from(password)));
    Import { username, full_name, password_hash }
}

/// Ends a user's sessions and tokens.
pub(super) async fn disable(config: &Config, username: &str) -> anyhow::Result<()> {
    match migrated_store(config).await?.disable_user(username).await? {
        Some(id) => print(format_args!("{id}\t{username}")),
        None => bail!("there is no user `{username}`"),
    }
}

/// Lets a user in again.
pub(super) async fn enable(config: &Config, username: &str) -> anyhow::Result<()> {
    match migrated_store(config).await?.enable_user(username).await? {
        Some(id) => print(format_args!("{id}\t{username}")),
        None => bail!("there is no user `{username}`"),
    }
}

/// Checks every line before the first is imported.
fn read(file: &Path) -> anyhow::Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_path(file)?;
    let headers = reader.headers()?;
    if !headers.iter().any(|column| column == "username") {
        bail!("its first line must name the columns: username,full_name,password");
    }
    let mut users = Vec::new();
    for (index, row) in reader.deserialize().enumerate() {
        let Row { username, full_name, password } = row?;
        // A password may begin or end with a space.
        let (username, full_name) = (username.trim().to_owned(), full_name.trim().to_owned());
        let line = index + 2;
        let fits = |text: &str| text.chars().count() <= NAME_CHARS && !text.chars().any(char::is_control);
        if username.is_empty() || !fits(&username) || !fits(&full_name) {
            bail!("line {line}: a name has 1 to {NAME_CHARS} characters, none of them a control character");
        }
        if password.len() > PASSWORD_BYTES {
            bail!("line {line}: a password has at most {PASSWORD_BYTES} bytes");
        }
        users.push(Row { username, full_name, password });
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
