//! The load is put on by parts, each a process of its own: this program again, told on its standard input what to do. The
//! one that was started measures, and puts together what the parts report, a line of JSON each.

use std::io::{self, BufRead as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::process::{Stdio, exit};
use std::thread;

use anyhow::{Context, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

/// The option by which a part learns which one it is.
const PART: &str = "--part";
/// A source address a part, and none of them that of the nodes.
const MAX_PARTS: usize = 200;

/// Which part of how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) index: usize,
    pub(crate) of: usize,
}

impl Share {
    /// Which of so many belong to this part.
    pub(crate) fn part(self, n: usize) -> Range<usize> {
        n * self.index / self.of..n * (self.index + 1) / self.of
    }

    /// An address of its own, where there are several: one address has not ports for all.
    pub(crate) fn source(self) -> Option<IpAddr> {
        let last = u8::try_from(self.index + 2).unwrap_or(u8::MAX);
        (self.of > 1).then(|| Ipv4Addr::new(127, 0, 0, last).into())
    }
}

/// The parts, as the one that measures sees them.
#[derive(Debug)]
pub(crate) struct Crew {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    child: Child,
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
}

impl Crew {
    /// Starts so many parts with the arguments of this process, and gives them the tokens.
    pub(crate) async fn start(n: usize, tokens: &str) -> anyhow::Result<Self> {
        ensure!((1..=MAX_PARTS).contains(&n), "there are 1 to {MAX_PARTS} processes, and not {n}");
        let program = std::env::current_exe().context("this program is not to be found")?;
        let mut parts = Vec::new();
        for index in 0..n {
            let mut child = Command::new(&program)
                .arg(format!("{PART}={index}"))
                .args(std::env::args_os().skip(1))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .context("a part of the generator cannot be started")?;
            let orders = child.stdin.take().context("a part has no input")?;
            let reports = child.stdout.take().context("a part has no output")?;
            parts.push(Part { child, orders, reports: BufReader::new(reports).lines() });
        }
        let mut crew = Self { parts };
        crew.tell(&serde_json::to_string(tokens)?).await?;
        Ok(crew)
    }

    /// The processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.parts.iter().filter_map(|part| part.child.id()).collect()
    }

    /// Lets all of them do what comes next.
    pub(crate) async fn go(&mut self) -> anyhow::Result<()> {
        self.tell("").await
    }

    /// What each of them reports next.
    pub(crate) async fn hear<T: DeserializeOwned>(&mut self) -> anyhow::Result<Vec<T>> {
        let mut reports = Vec::new();
        for part in &mut self.parts {
            let line = part.reports.next_line().await.context("a part cannot be heard")?;
            let line = line.context("a part of the generator ended")?;
            reports.push(serde_json::from_str(&line).context("a part says what cannot be read")?);
        }
        Ok(reports)
    }

    async fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        for part in &mut self.parts {
            let told = part.orders.write_all(format!("{line}\n").as_bytes()).await;
            told.context("a part of the generator ended")?;
        }
        Ok(())
    }
}

/// The one that measures, as a part sees it.
#[derive(Debug)]
pub(crate) struct Lead {
    orders: mpsc::Receiver<String>,
}

impl Lead {
    /// Listens to it. Should it end, so does this process.
    pub(crate) fn listen() -> Self {
        let (sender, orders) = mpsc::channel(1);
        thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                if line.is_ok_and(|line| sender.blocking_send(line).is_ok()) {
                    continue;
                }
                break;
            }
            exit(2);
        });
        Self { orders }
    }

    /// The tokens, which come first.
    pub(crate) async fn tokens(&mut self) -> anyhow::Result<String> {
        Ok(serde_json::from_str(&self.order().await?)?)
    }

    /// Says that this part is ready, and waits until it is to go on.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        self.report(&())?;
        self.wait().await
    }

    /// Waits until it is to go on.
    pub(crate) async fn wait(&mut self) -> anyhow::Result<()> {
        self.order().await.map(drop)
    }

    /// Reports.
    pub(crate) fn report<T: Serialize>(&self, report: &T) -> anyhow::Result<()> {
        let mut output = io::stdout().lock();
        writeln!(output, "{}", serde_json::to_string(report)?)?;
        Ok(output.flush()?)
    }

    async fn order(&mut self) -> anyhow::Result<String> {
        self.orders.recv().await.context("nobody leads")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_all_between_them() {
        let parts: Vec<_> = (0..3).flat_map(|index| Share { index, of: 3 }.part(10)).collect();
        assert_eq!(parts, (0..10).collect::<Vec<_>>());
        assert_eq!(Share { index: 0, of: 1 }.source(), None);
        assert_ne!(Share { index: 0, of: 2 }.source(), Share { index: 1, of: 2 }.source());
    }
}
