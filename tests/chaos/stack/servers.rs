//! Redis and Postgres of a stack.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::Stack;
use crate::harness::servers::command;

/// For an answer of Redis. One that is frozen gives none.
const ANSWER: Duration = Duration::from_secs(5);

/// Something whose methods block, used from tasks, one at a time.
#[derive(Clone)]
pub(super) struct Blocking<T>(Arc<Mutex<T>>);

impl<T: Send + 'static> Blocking<T> {
    pub(super) fn new(it: T) -> Self {
        Self(Arc::new(Mutex::new(it)))
    }

    /// Does something with it where it holds nobody up.
    pub(super) async fn with<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut T) -> anyhow::Result<R> + Send + 'static,
    ) -> anyhow::Result<R> {
        let mut it = Arc::clone(&self.0).lock_owned().await;
        tokio::task::spawn_blocking(move || work(&mut it)).await?
    }
}

impl Stack {
    /// Kills Redis with SIGKILL. Nothing if it does not run.
    pub(crate) async fn kill_redis(&self) -> anyhow::Result<()> {
        self.redis.with(|redis| redis.kill()).await
    }

    /// Starts Redis again, empty and with its first configuration, having killed it if it ran; waits until it answers.
    pub(crate) async fn restart_redis(&self) -> anyhow::Result<()> {
        self.redis.with(|redis| redis.restart()).await
    }

    /// Stops Redis where it stands; its connections stay open.
    ///
    /// # Errors
    ///
    /// It was killed.
    pub(crate) async fn freeze_redis(&self) -> anyhow::Result<()> {
        self.redis.with(|redis| redis.freeze()).await
    }

    /// Lets a frozen Redis go on.
    ///
    /// # Errors
    ///
    /// It was killed.
    pub(crate) async fn thaw_redis(&self) -> anyhow::Result<()> {
        self.redis.with(|redis| redis.thaw()).await
    }

    /// Sends Redis one command over a connection of its own, straight; the first line of the answer (`+OK`, `-ERR …`).
    ///
    /// # Errors
    ///
    /// Redis does not run, or does not answer within 5 s. A refusal is an answer.
    pub(crate) async fn redis_command(&self, words: &[&str]) -> anyhow::Result<String> {
        let (_, port) = self.redis_url.rsplit_once(':').context("a URL of Redis has a port")?;
        let port = port.parse()?;
        let owned: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let asking = tokio::task::spawn_blocking(move || {
            let words: Vec<_> = owned.iter().map(String::as_str).collect();
            command(port, &words)
        });
        timeout(ANSWER, asking).await.with_context(|| format!("Redis does not answer {words:?}"))??
    }

    /// Kills all of Postgres with SIGKILL. Nothing if it does not run.
    pub(crate) async fn kill_postgres(&self) -> anyhow::Result<()> {
        self.postgres.with(|postgres| postgres.kill()).await
    }

    /// Starts Postgres again on its data, having killed it if it ran; waits until it answers.
    pub(crate) async fn restart_postgres(&self) -> anyhow::Result<()> {
        self.postgres.with(|postgres| postgres.restart()).await
    }

    /// Stops all of Postgres where it stands; its connections stay open.
    ///
    /// # Errors
    ///
    /// It was killed.
    pub(crate) async fn freeze_postgres(&self) -> anyhow::Result<()> {
        self.postgres.with(|postgres| postgres.freeze()).await
    }

    /// Lets a frozen Postgres go on.
    ///
    /// # Errors
    ///
    /// It was killed.
    pub(crate) async fn thaw_postgres(&self) -> anyhow::Result<()> {
        self.postgres.with(|postgres| postgres.thaw()).await
    }
}
