//! The nodes, and the users with their tokens.

use std::net::IpAddr;

use anyhow::{Context, bail, ensure};
use futures_util::{StreamExt, stream};
use switchboard_client::{Client, Config, Event};
use switchboard_protocol::UserId;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Duration, timeout};

use crate::crew::Share;

/// Handshakes under way at a time: enough to fill the nodes, few enough not to overflow their listen queues.
const CONNECTING: usize = 64;
/// How long a connection may take to stand, with all its attempts.
const PATIENCE: Duration = Duration::from_secs(60);

/// A session that stands, and what it hears.
pub(crate) type Connection = (Client, Receiver<Event>);

/// Where the load goes, and where it comes from.
#[derive(Debug)]
pub(crate) struct Fleet {
    urls: Vec<String>,
    nodes: Vec<Node>,
    pub(crate) accounts: Vec<Account>,
    /// The address to connect from, if it is not for the kernel to choose.
    pub(crate) source: Option<IpAddr>,
    /// Handshakes under way at a time.
    pub(crate) connecting: usize,
}

/// A node, as a lean connection reaches it.
#[derive(Debug)]
pub(crate) struct Node {
    /// Host and port.
    pub(crate) authority: String,
    /// What its paths begin with.
    pub(crate) prefix: String,
}

/// A user, as `switchboard token` prints one.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    pub(crate) token: String,
}

impl Fleet {
    /// Nodes by their URLs, and the lines of a token file.
    pub(crate) fn new(urls: Vec<String>, tokens: &str, share: Share) -> anyhow::Result<Self> {
        let nodes = urls.iter().map(|url| node(url)).collect::<anyhow::Result<Vec<_>>>()?;
        let lines = tokens.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let accounts = lines
            .map(|(index, line)| {
                let what = "is not `id<TAB>Authorization: Bearer …`";
                account(line).with_context(|| format!("line {} of the tokens {what}", index + 1))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(!accounts.is_empty(), "the tokens name no user");
        let connecting = (CONNECTING / share.of).max(1);
        Ok(Self { urls, nodes, accounts, source: share.source(), connecting })
    }

    /// So many users from the head of the file, or all, if they are there.
    pub(crate) fn n_users(&self, wanted: Option<usize>) -> anyhow::Result<usize> {
        let n_accounts = self.accounts.len();
        let n_users = wanted.unwrap_or(n_accounts);
        ensure!(n_users <= n_accounts, "there are tokens for {n_accounts} users only");
        Ok(n_users)
    }

    /// The nodes in turn: neighbours are on different ones.
    pub(crate) fn node(&self, index: usize) -> &Node {
        &self.nodes[index % self.nodes.len()]
    }

    /// The users in turn.
    pub(crate) fn account(&self, index: usize) -> &Account {
        &self.accounts[index % self.accounts.len()]
    }

    /// A session of [`switchboard_client`] of the user with this index, at first on the node of the same index.
    pub(crate) fn config(&self, index: usize) -> Config {
        let mut urls = self.urls.clone();
        urls.rotate_left(index % self.urls.len());
        Config::new(urls, self.account(index).token.clone())
    }

    /// Such a session of each of these users, with their configurations changed like this.
    pub(crate) async fn connect_all(
        &self,
        indices: impl Iterator<Item = usize>,
        change: impl Fn(&mut Config),
    ) -> anyhow::Result<Vec<Connection>> {
        let configs = indices.map(|index| {
            let mut config = self.config(index);
            change(&mut config);
            config
        });
        let opened: Vec<_> =
            stream::iter(configs.map(connect).collect::<Vec<_>>()).buffered(self.connecting).collect().await;
        opened.into_iter().collect()
    }
}

fn node(url: &str) -> anyhow::Result<Node> {
    let rest = url.strip_prefix("http://").with_context(|| format!("`{url}` is not http://HOST:PORT"))?;
    let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    let prefix = prefix.trim_end_matches('/');
    let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
    Ok(Node { authority, prefix })
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
    fn urls_of_nodes() {
        let of = |url| node(url).map(|node| (node.authority, node.prefix)).ok();
        assert_eq!(of("http://a:8000/"), Some(("a:8000".to_owned(), String::new())));
        assert_eq!(of("http://a/chat/"), Some(("a:80".to_owned(), "/chat".to_owned())));
        assert_eq!(of("a:8000"), None);
    }

    #[test]
    fn lines_of_tokens() {
        let account = account("17\tAuthorization: Bearer a.b.c").unwrap();
        assert_eq!((account.id, account.token.as_str()), (UserId(17), "a.b.c"));
        for line in ["17 Authorization: Bearer a", "x\tAuthorization: Bearer a", "17\ta.b.c"] {
            assert!(super::account(line).is_none(), "{line}");
        }
    }
}
