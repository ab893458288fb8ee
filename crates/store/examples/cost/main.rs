//! What the store costs: `cost commit URL [USERS] [SECONDS]` and `cost read URL`, on an empty database of its own.
//!
//! The address is one that `switchboard serve` takes. Both commands migrate it and fill it, and leave it as it then is.

mod commit;
mod meter;
mod read;

use anyhow::bail;
use switchboard_protocol::UserId;
use switchboard_store::{Import, Store};

const USAGE: &str = "cost commit URL [USERS] [SECONDS] | cost read URL";

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    runtime.block_on(async {
        match arguments[..] {
            ["commit", url] => commit::measure(url, 200, 5).await,
            ["commit", url, users] => commit::measure(url, users.parse()?, 5).await,
            ["commit", url, users, seconds] => commit::measure(url, users.parse()?, seconds.parse()?).await,
            ["read", url] => read::measure(url).await,
            _ => bail!("{USAGE}"),
        }
    })
}

/// A store with users 1 to `n_users`.
async fn open(url: &str, n_users: i64) -> anyhow::Result<Store> {
    let store = Store::open(url, 4).await?;
    store.migrate().await?;
    let user = |n| Import { username: format!("user{n}"), full_name: String::new(), password_hash: None };
    let made = store.import_users((1..=n_users).map(user).collect()).await?;
    if made.first() != Some(&UserId(1)) {
        bail!("the database is not empty");
    }
    Ok(store)
}
