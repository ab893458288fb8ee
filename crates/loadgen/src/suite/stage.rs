//! Where a measurement takes place: a database of its own, fresh nodes on it, users with their tokens; and our own
//! modes as the load.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

use super::processes::{Process, free_port, new_file, output};
use super::reading::Reading;
use crate::report;

/// What stands for the whole suite.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) node: PathBuf,
    pub(crate) postgres_url: String,
    pub(crate) redis_url: String,
    pub(crate) folder: TempDir,
    /// Of each measured window.
    pub(crate) seconds: f64,
    /// Cancelled to end the suite early, with everything that it started.
    pub(crate) stop: CancellationToken,
}

/// What nodes stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// Postgres and Redis.
    Shared,
    /// Nothing: SQLite inside, for one node.
    Embedded,
}

/// Nodes that are ready, and users that they know.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    site: &'a Site,
    /// Where messages live.
    pub(crate) store_url: String,
    environment: Vec<(&'static str, String)>,
    nodes: Vec<Process>,
    urls: Vec<String>,
    /// The id of the first user; the others follow.
    pub(crate) first_user: u64,
    /// Of all users.
    pub(crate) tokens: PathBuf,
}

impl Site {
    /// Does some work on a new stage, and takes it down again, whatever became of the work.
    pub(crate) async fn with<T>(
        &self,
        ground: Ground,
        n_nodes: usize,
        n_users: u64,
        work: impl AsyncFnOnce(&Stage<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let database = format!("switchboard_suite_{:016x}", rand::random::<u64>());
        let store_url = match ground {
            Ground::Shared => {
                self.sql(&format!("CREATE DATABASE {database}")).await?;
                with_database(&self.postgres_url, &database)
            }
            Ground::Embedded => format!("sqlite://{}", self.folder.path().join(&database).display()),
        };
        let result = tokio::select! {
            result = Box::pin(async {
                let stage = Stage::open(self, store_url, ground, n_nodes, n_users).await?;
                work(&stage).await
            }) => result,
            () = self.stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
        };
        if ground == Ground::Shared {
            self.sql(&format!("DROP DATABASE {database} WITH (FORCE)")).await?;
        }
        result
    }

    /// One statement in the database that we were given.
    pub(crate) async fn sql(&self, statement: &str) -> anyhow::Result<()> {
        sql(&self.postgres_url, statement).await
    }
}

/// One statement, on a connection of its own.
pub(crate) async fn sql(url: &str, statement: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("cannot reach postgres")?;
    let connection = tokio::spawn(connection);
    let result = client.batch_execute(statement).await.with_context(|| format!("postgres: {statement}"));
    drop(client);
    // It ends when the client is gone.
    let _ = connection.await;
    result
}

/// The URL with another database in the place of its own.
fn with_database(url: &str, database: &str) -> String {
    let (url, query) = url.split_once('?').map_or((url, None), |(url, query)| (url, Some(query)));
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    format!("{}/{database}{query}", &url[..end])
}

impl<'a> Stage<'a> {
    async fn open(
        site: &'a Site,
        store_url: String,
        ground: Ground,
        n_nodes: usize,
        n_users: u64,
    ) -> anyhow::Result<Self> {
        let data = new_file(site.folder.path(), "data");
        let redis_url = if ground == Ground::Shared { site.redis_url.clone() } else { String::new() };
        let no_bound = || "1000000".to_owned();
        let environment = vec![
            ("DATABASE_URL", store_url.clone()),
            ("REDIS_URL", redis_url),
            ("SWITCHBOARD_DATA_DIR", data.display().to_string()),
            ("SWITCHBOARD_JWT_SECRET", format!("{:032x}", rand::random::<u128>())),
            ("SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND", no_bound()),
            ("SWITCHBOARD_LIMITS__MESSAGES_BURST", no_bound()),
            ("SWITCHBOARD_LIMITS__CONNECTIONS_PER_USER", no_bound()),
            ("SWITCHBOARD_SERVER__DRAIN_QUIET_SECONDS", "0".to_owned()),
        ];
        let (nodes, urls) = (Vec::new(), Vec::new());
        let tokens = PathBuf::new();
        let mut stage = Self { site, store_url, environment, nodes, urls, first_user: 1, tokens };
        for _ in 0..n_nodes {
            stage.start_node().await?;
        }
        stage.make_users(n_users).await?;
        Ok(stage)
    }

    async fn start_node(&mut self) -> anyhow::Result<()> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let url = format!("http://{address}");
        let log = new_file(self.site.folder.path(), "log");
        let node = self.command(&["serve", "--listen", &address]);
        let mut process = Process::spawn(node, log, Signal::SIGTERM)?;
        let ready = format!("{url}/ready");
        let is_ready = async || output(self.command(&["healthcheck", "--url", &ready])).await.is_ok();
        process.wait_until(is_ready).await.context("a node")?;
        self.nodes.push(process);
        self.urls.push(url);
        Ok(())
    }

    async fn make_users(&mut self, n_users: u64) -> anyhow::Result<()> {
        let mut users = String::from("username,full_name\n");
        for user in 1..=n_users {
            // Writing to a text cannot fail.
            let _ = writeln!(users, "user{user},User {user}");
        }
        let file = new_file(self.site.folder.path(), "csv");
        fs::write(&file, users)?;
        let mut import = self.command(&["user", "import"]);
        import.arg(file);
        let ids = output(import).await?;
        let mut ids = ids.lines().filter_map(|line| line.split_once('\t')?.0.parse::<u64>().ok());
        self.first_user = ids.next().context("the import printed no users")?;
        ensure!(
            ids.next_back().unwrap_or(self.first_user) == self.first_user + n_users - 1,
            "ids are not in a row"
        );
        self.tokens = self.tokens_of(1..=n_users).await?;
        Ok(())
    }

    /// A file of tokens of some of the users, from 1.
    pub(crate) async fn tokens_of(&self, users: RangeInclusive<u64>) -> anyhow::Result<PathBuf> {
        let id = |user: &u64| self.first_user + user - 1;
        let range = format!("{}..{}", id(users.start()), id(users.end()));
        let tokens = output(self.command(&["token", "--ttl", "24h", "--users", &range])).await?;
        let file = new_file(self.site.folder.path(), "tokens");
        fs::write(&file, tokens)?;
        Ok(file)
    }

    /// Our own binary in one of its modes, against these nodes. It prints to nobody.
    pub(crate) fn load(&self, tokens: &Path, arguments: &[&str]) -> anyhow::Result<tokio::process::Command> {
        let mut command = tokio::process::Command::new(env::current_exe()?);
        command.arg("--tokens").arg(tokens);
        for (node, url) in self.nodes.iter().zip(&self.urls) {
            command.args(["--pid", &node.pid().to_string(), "--url", url]);
        }
        command.args(arguments).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Ok(command)
    }

    /// The highest rate in a closed loop: 200 clients, as in the target.
    pub(crate) async fn flood(&self) -> anyhow::Result<Reading> {
        let seconds = self.site.seconds.to_string();
        self.measure(&["flood", "--users", "200", "--inflight", "8", "--seconds", &seconds]).await
    }

    /// As many clients, at a fixed rate.
    pub(crate) async fn run(&self, rate: f64) -> anyhow::Result<Reading> {
        let (rate, seconds) = (format!("{rate:.0}"), self.site.seconds.to_string());
        self.measure(&["run", "--users", "200", "--rate", &rate, "--seconds", &seconds]).await
    }

    /// Runs one of our modes as all users, and returns what it measured.
    pub(crate) async fn measure(&self, arguments: &[&str]) -> anyhow::Result<Reading> {
        self.measure_as(&self.tokens, arguments).await
    }

    /// The same as the users of a file of tokens.
    ///
    /// # Errors
    /// If there was nothing to judge. What went wrong with messages is in the reading.
    pub(crate) async fn measure_as(&self, tokens: &Path, arguments: &[&str]) -> anyhow::Result<Reading> {
        let json = new_file(self.site.folder.path(), "json");
        let mode = arguments.first().copied().unwrap_or_default();
        report::progress(&format!("  {}", arguments.join(" ")));
        let output = self.load(tokens, arguments)?.arg("--json").arg(&json).output().await?;
        if !matches!(output.status.code(), Some(0 | 1)) {
            let errors = String::from_utf8_lossy(&output.stderr);
            let is_why = |line: &&str| line.starts_with("error:") || line.starts_with("switchboard-load:");
            bail!("`{mode}`: {}", errors.lines().find(is_why).unwrap_or("it failed and does not say why"));
        }
        let reading = Reading::from_file(&json).with_context(|| format!("`{mode}`"))?;
        if let Some(oddities) = reading.oddities() {
            report::progress(&format!("    {oddities}"));
        }
        Ok(reading)
    }

    /// The processes of the nodes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.nodes.iter().map(Process::pid).collect()
    }

    /// The server's binary, configured for this stage. What else the environment sets counts too.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.site.node);
        for name in ["DATABASE_URL_FILE", "REDIS_URL_FILE", "SWITCHBOARD_JWT_SECRET_FILE"] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().cloned()).args(arguments);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn databases_in_urls() {
        for (url, with) in [
            ("postgres://a:b@h:5/c", "postgres://a:b@h:5/x"),
            ("postgres://h", "postgres://h/x"),
            ("postgres://h/c?sslmode=disable", "postgres://h/x?sslmode=disable"),
        ] {
            assert_eq!(with_database(url, "x"), with);
        }
    }
}
