//! The nodes, and the users with their tokens.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use futures_util::{StreamExt, stream};
use switchboard_client::{Client, Config, Event};
use switchboard_protocol::UserId;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Duration, timeout};

/// Handshakes under way at a time: enough to fill the nodes, few enough not to overflow their listen queues.
const CONNECTING: usize = 64;
/// How long a connection may take to stand, with all its attempts.
const PATIENCE: Duration = Duration::from_secs(60);

/// A session that stands, and what it hears.
pub(crate) type Connection = (Client, Receiver<Event>);

/// Where the load goes.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) urls: Vec<String>,
    pub(crate) accounts: Vec<Account>,
}

/// A user, as `switchboard token` prints one.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    token: String,
}

impl Fleet {
    pub(crate) fn read(urls: Vec<String>, tokens: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(tokens).with_context(|| format!("cannot read {}", tokens.display()))?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let accounts = lines
            .map(|(index, line)| {
                account(line).with_context(|| {
                    format!("{}:{}: not `id<TAB>Authorization: Bearer …`", tokens.display(), index + 1)
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(!accounts.is_empty(), "{} names no user", tokens.display());
        Ok(Self { urls, accounts })
    }

    /// So many users from the head of the file, or all, if they are there.
    pub(crate) fn n_users(&self, wanted: Option<usize>) -> anyhow::Result<usize> {
        let n_accounts = self.accounts.len();
        let n_users = wanted.unwrap_or(n_accounts);
        ensure!(n_users <= n_accounts, "there are tokens for {n_accounts} users only");
        Ok(n_users)
    }

    /// A session of the user with this index, at first on the node of the same index: neighbours are on
    /// different nodes.
    pub(crate) fn config(&self, index: usize) -> Config {
        let mut urls = self.urls.clone();
        urls.rotate_left(index % self.urls.len());
        let account = &self.accounts[index % self.accounts.len()];
        Config::new(urls, account.token.clone())
    }

    /// A session of each of so many users, with their configurations changed like this.
    pub(crate) async fn connect_all(
        &self,
        n_users: usize,
        change: impl Fn(&mut Config),
    ) -> anyhow::Result<Vec<Connection>> {
        let configs = (0..n_users).map(|index| {
            let mut config = self.config(index);
            change(&mut config);
            config
        });
        Self::connect(configs.collect()).await.into_iter().collect()
    }

    /// Opens sessions, in the order of the configurations. One that does not come to stand is an error.
    pub(crate) async fn connect(configs: Vec<Config>) -> Vec<anyhow::Result<Connection>> {
        stream::iter(configs).map(connect).buffered(CONNECTING).collect().await
    }
}

fn account(line: &str) -> Option<Account> {
    let (id, header) = line.split_once('\t')?;
    let token = header.trim().strip_prefix("Authorization: Bearer ")?.to_owned();
    Some(Account { id: id.parse().ok()?, token })
}

async fn connect(config: Config) -> anyhow::Result<Connection> {
    let (client, mut events) = Client::start(config);
    let mut last = "no attempt ended".to_owned();
    let stands = timeout(PATIENCE, async {
        while let Some(event) = events.recv().await {
            match event {
                Event::Connected(_) => return true,
                Event::Disconnected { reason, .. } => last = reason,
                _ => {}
            }
        }
        false
    });
    if !stands.await.unwrap_or(false) {
        bail!("a connection does not stand: {last}");
    }
    Ok((client, events))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tokens() {
        let account = account("17\tAuthorization: Bearer a.b.c").unwrap();
        assert_eq!((account.id, account.token.as_str()), (UserId(17), "a.b.c"));
        for line in ["17 Authorization: Bearer a", "x\tAuthorization: Bearer a", "17\ta.b.c"] {
            assert!(super::account(line).is_none(), "{line}");
        }
    }
}
