//! Two nodes to test against, in either of two pairs, and the ways in.
//!
//! - [`Pair::PostgresRedis`]: each node is a process of the built binary; Postgres and Redis are this test's own.
//! - [`Pair::SqliteMemory`]: two nodes in this process, sharing a SQLite file and an in-process layer.

pub(crate) mod device;
pub(crate) mod dice;
pub(crate) mod http;
pub(crate) mod servers;
pub(crate) mod socket;
pub(crate) mod talker;
pub(crate) mod tools;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use secrecy::SecretString;
use switchboard_channel_layer::MemoryBus;
use switchboard_client::{Backoff, Client, Config as ClientConfig, Event};
use switchboard_node::auth::{Tokens, hash_now};
use switchboard_node::config::{Config, Overrides};
use switchboard_node::node::{Listeners, Parts, RunningNode};
use switchboard_protocol::{MessageData, Seq, ServerFrame, UserId};
use switchboard_store::{Import, Store};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// For whatever has no bound of its own: generous, since a busy machine is slow and nobody waits in vain.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// What signs the tokens.
pub(crate) const SECRET: &str = "a secret for tests, which is long enough";
/// Users 1 to this exist.
pub(crate) const USERS: i64 = 50;

/// Store and channel layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    PostgresRedis,
    SqliteMemory,
}

/// Two nodes, with what they stand on.
pub(crate) struct Cluster {
    pub(crate) pair: Pair,
    nodes: Vec<Option<TestNode>>,
    pub(crate) store: Store,
    /// The environment of each node.
    settings: Vec<(String, String)>,
    bus: MemoryBus,
    pub(crate) redis: Option<servers::Redis>,
    pub(crate) postgres: Option<servers::Postgres>,
    folder: TempDir,
}

enum TestNode {
    Process(Child, SocketAddr),
    Here(Box<RunningNode>),
}

impl Cluster {
    /// Starts two nodes with `settings` on top of the defaults, the limits on users out of the way.
    pub(crate) async fn start(pair: Pair, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (mut redis, mut postgres) = (None, None);
        let mut environment = vec![
            ("SWITCHBOARD_JWT_SECRET", SECRET.to_owned()),
            ("SWITCHBOARD_LISTEN", "127.0.0.1:0".to_owned()),
            ("SWITCHBOARD_DATA_DIR", folder.path().display().to_string()),
            ("SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND", "1000000".to_owned()),
            ("SWITCHBOARD_LIMITS__MESSAGES_BURST", "1000000".to_owned()),
            ("SWITCHBOARD_SERVER__DRAIN_QUIET_SECONDS", "0".to_owned()),
        ];
        // `SWITCHBOARD_TEST_TRANSPORT=actix-ws` runs everything on the other one.
        if let Ok(transport) = std::env::var("SWITCHBOARD_TEST_TRANSPORT") {
            environment.push(("SWITCHBOARD_SERVER__TRANSPORT", transport));
        }
        if pair == Pair::PostgresRedis {
            let server = tokio::task::block_in_place(servers::Postgres::start)?;
            environment.push(("DATABASE_URL", server.create_database("switchboard")?));
            postgres = Some(server);
            let server = tokio::task::block_in_place(servers::Redis::start)?;
            environment.push(("REDIS_URL", server.url()));
            redis = Some(server);
        }
        environment.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let settings: Vec<_> = environment.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let config = config(&settings)?;
        let store = Store::open(secrecy::ExposeSecret::expose_secret(&config.store_url()), 4).await?;
        store.migrate().await?;
        import_users(&store).await?;
        let bus = MemoryBus::default();
        let nodes = Vec::new();
        let mut cluster = Self { pair, nodes, store, settings, bus, redis, postgres, folder };
        for _ in 0..2 {
            cluster.add_node().await?;
        }
        Ok(cluster)
    }

    /// Starts one node more.
    pub(crate) async fn add_node(&mut self) -> anyhow::Result<()> {
        let node = self.start_node("127.0.0.1:0").await?;
        self.nodes.push(Some(node));
        Ok(())
    }

    async fn start_node(&self, listen: &str) -> anyhow::Result<TestNode> {
        match self.pair {
            Pair::PostgresRedis => {
                let mut child =
                    self.command(&["serve", "--listen", listen]).stdout(Stdio::piped()).spawn()?;
                let output = child.stdout.take().context("it was asked for")?;
                let mut line = String::new();
                tokio::task::block_in_place(|| BufReader::new(output).read_line(&mut line))?;
                let address = line.trim().rsplit("http://").next().and_then(|address| address.parse().ok());
                Ok(TestNode::Process(child, address.with_context(|| format!("first line: `{line}`"))?))
            }
            Pair::SqliteMemory => {
                let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
                let (layer, events) = self.bus.connect();
                let deployment = self.store.deployment().await?;
                let parts = Parts { store: self.store.clone(), layer, events, deployment };
                let listeners = Listeners { clients: TcpListener::bind(listen)?, operators: None };
                let config = config(&self.settings)?;
                Ok(TestNode::Here(Box::new(
                    RunningNode::start(&config, listeners, parts, tracker, stop).await?,
                )))
            }
        }
    }

    /// A command of the built binary, in the environment of the nodes.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = switchboard(&self.settings);
        command.args(arguments);
        command
    }

    /// Where a node listens.
    pub(crate) fn address(&self, node: usize) -> SocketAddr {
        match &self.nodes[node] {
            Some(TestNode::Process(_, address)) => *address,
            Some(TestNode::Here(node)) => node.address(),
            None => panic!("node {node} does not run"),
        }
    }

    /// The folder of attachments, which the nodes share.
    pub(crate) fn attachments(&self) -> std::path::PathBuf {
        self.folder.path().join("attachments")
    }

    /// The process of a node.
    pub(crate) fn pid(&self, node: usize) -> Pid {
        match &self.nodes[node] {
            Some(TestNode::Process(child, _)) => Pid::from_raw(child.id().try_into().expect("a process id")),
            _ => panic!("node {node} is no process"),
        }
    }

    /// Stops a node as an operator would, and checks that it ends well.
    pub(crate) async fn stop_node(&mut self, node: usize) -> anyhow::Result<()> {
        match self.begin_stop(node)? {
            Some(stopping) => stopping.await?,
            None => Ok(()),
        }
    }

    /// The same without waiting for the end. Nothing for a node that does not run.
    pub(crate) fn begin_stop(
        &mut self,
        node: usize,
    ) -> anyhow::Result<Option<JoinHandle<anyhow::Result<()>>>> {
        Ok(match self.nodes[node].take() {
            Some(TestNode::Process(child, _)) => {
                signal::kill(Pid::from_raw(child.id().try_into()?), Signal::SIGTERM)?;
                Some(tokio::spawn(async move {
                    let status = wait_for_exit(child).await?;
                    ensure!(status.success(), "node {node} ended with {status}");
                    Ok(())
                }))
            }
            Some(TestNode::Here(node)) => {
                Some(tokio::spawn(async move { Ok(timeout(DEADLINE, node.stop()).await?) }))
            }
            None => None,
        })
    }

    /// Kills a node where it stands.
    pub(crate) async fn kill_node(&mut self, node: usize) -> anyhow::Result<()> {
        let Some(TestNode::Process(mut child, _)) = self.nodes[node].take() else {
            panic!("node {node} is no process");
        };
        child.kill()?;
        wait_for_exit(child).await?;
        Ok(())
    }

    /// Starts a node again, at another address.
    pub(crate) async fn restart_node(&mut self, node: usize) -> anyhow::Result<()> {
        self.stop_node(node).await?;
        self.nodes[node] = Some(self.start_node("127.0.0.1:0").await?);
        Ok(())
    }

    /// Stops a node and starts it again at the same address.
    pub(crate) async fn restart_node_in_place(&mut self, node: usize) -> anyhow::Result<()> {
        let listen = self.address(node).to_string();
        self.stop_node(node).await?;
        self.nodes[node] = Some(self.start_node(&listen).await?);
        Ok(())
    }

    /// A client of `user`, at the present end of the mailbox or after `cursor`, on the given nodes in turn.
    pub(crate) fn client(
        &self,
        user: i64,
        nodes: &[usize],
        cursor: Option<i64>,
    ) -> (Client, mpsc::Receiver<Event>) {
        let urls = nodes.iter().map(|node| format!("http://{}", self.address(*node)));
        let mut config = ClientConfig::new(urls, token(user));
        config.cursor = cursor.map(Seq);
        config.backoff = Backoff { min: Duration::from_millis(20), max: Duration::from_millis(500) };
        Client::start(config)
    }

    /// Ends the nodes and counts what must never be found in the store.
    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        for node in 0..self.nodes.len() {
            self.stop_node(node).await?;
        }
        for finding in self.store.audit().await? {
            ensure!(
                finding.violations == 0,
                "the audit found {} violations: {}",
                finding.violations,
                finding.rule
            );
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(TestNode::Process(child, _)) = node {
                // It may have ended.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// The built binary, with an environment of its own.
pub(crate) fn switchboard(settings: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.env_clear().envs(settings.iter().cloned()).stdin(Stdio::null());
    // `SWITCHBOARD_TEST_LOG=debug` shows what the nodes say.
    match std::env::var("SWITCHBOARD_TEST_LOG") {
        Ok(level) => command.env("SWITCHBOARD_LOG__LEVEL", level),
        Err(_) => command.stderr(Stdio::null()),
    };
    command
}

fn config(settings: &[(String, String)]) -> anyhow::Result<Config> {
    let environment = settings.iter().map(|(key, value)| (key.into(), value.into()));
    Ok(Config::load(&Overrides::default(), environment)?)
}

/// Makes the users 1 to [`USERS`] in an empty store, `user1` and so on, with the password [`http::PASSWORD`].
pub(crate) async fn import_users(store: &Store) -> anyhow::Result<()> {
    let password_hash = Some(password_hash());
    let user = |n| Import {
        username: format!("user{n}"),
        full_name: format!("User {n}"),
        password_hash: password_hash.clone(),
    };
    let ids = store.import_users((1..=USERS).map(user).collect()).await?;
    ensure!(ids == (1..=USERS).map(UserId).collect::<Vec<_>>(), "ids begin at 1");
    Ok(())
}

/// Of [`http::PASSWORD`], once for all tests: it is slow by design.
fn password_hash() -> String {
    static HASH: LazyLock<String> = LazyLock::new(|| hash_now(&SecretString::from(http::PASSWORD)));
    HASH.clone()
}

/// A token that counts for an hour.
pub(crate) fn token(user: i64) -> String {
    let tokens = Tokens::new(&SecretString::from(SECRET), Duration::ZERO);
    tokens.issue(UserId(user), Duration::from_secs(3600)).expect("there is a secret")
}

/// Bytes of memory that a process holds now.
pub(crate) fn resident(pid: Pid) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: u64 = line.split_whitespace().next().context("no number")?.parse()?;
    Ok(kibibytes * 1024)
}

async fn wait_for_exit(mut child: Child) -> anyhow::Result<std::process::ExitStatus> {
    let ended = tokio::task::spawn_blocking(move || child.wait());
    Ok(timeout(DEADLINE, ended).await.context("a node did not end")???)
}

/// The next entry that a client applied.
pub(crate) async fn next_entry(events: &mut mpsc::Receiver<Event>) -> anyhow::Result<(Seq, ServerFrame)> {
    next_entry_within(events, DEADLINE).await
}

/// The same, with a deadline of its own.
pub(crate) async fn next_entry_within(
    events: &mut mpsc::Receiver<Event>,
    wait: Duration,
) -> anyhow::Result<(Seq, ServerFrame)> {
    let next = async {
        loop {
            match events.recv().await.context("the client ended")? {
                Event::Entry { seq, frame } => return Ok((seq, frame)),
                Event::Refused { reason, .. } => anyhow::bail!("refused: {reason}"),
                _ => {}
            }
        }
    };
    timeout(wait, next).await.with_context(|| format!("no entry within {wait:?}"))?
}

/// The next message that a client received, past entries of other kinds.
pub(crate) async fn next_message(events: &mut mpsc::Receiver<Event>) -> anyhow::Result<MessageData> {
    loop {
        if let (_, ServerFrame::NewMessage { data, .. }) = next_entry(events).await? {
            return Ok(data);
        }
    }
}

/// Sends 0, 1, 2, … as fast as they are taken, and waits until each is acknowledged. Gives the client back.
pub(crate) async fn send_numbers(client: Client, to: UserId, n_messages: usize) -> anyhow::Result<Client> {
    let mut answers = Vec::new();
    for n in 0..n_messages {
        answers.push(client.post(to, "", &n.to_string(), None).await?);
    }
    for answer in answers {
        answer.await?;
    }
    Ok(client)
}

/// Waits until the client is connected, so that what happens next comes to it live.
pub(crate) async fn connected(
    events: &mut mpsc::Receiver<Event>,
) -> anyhow::Result<switchboard_protocol::Welcome> {
    let connected = async {
        loop {
            match events.recv().await.context("the client ended")? {
                Event::Connected(welcome) => return Ok(welcome),
                Event::Refused { reason, .. } => anyhow::bail!("refused: {reason}"),
                _ => {}
            }
        }
    };
    timeout(DEADLINE, connected).await.context("no connection")?
}

/// Looks again and again until `look` finds what it looks for.
pub(crate) async fn eventually<T>(
    what: &str,
    wait: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + wait;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "{what}: not within {wait:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
