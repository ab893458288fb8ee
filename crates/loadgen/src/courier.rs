//! Sends what it is given, and is done when all of it is acknowledged.

use std::collections::{HashSet, VecDeque};

use anyhow::{anyhow, bail};
use switchboard_protocol::Target;
use tokio::time::{Duration, Instant, sleep};

use crate::device::Device;
use crate::letter::Letter;
use crate::wire::{Frame, Loss};

/// A user who sends.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) device: Device,
    /// What was refused for the moment, by run and number: later messages may have overtaken it.
    pub(crate) late: HashSet<(u32, u64)>,
}

/// A message to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand {
    pub(crate) letter: Letter,
    pub(crate) to: Target,
    pub(crate) number: usize,
}

impl Courier {
    /// One on this session.
    pub(crate) fn new(device: Device) -> Self {
        Self { device, late: HashSet::new() }
    }

    /// Sends them in order, so many at a time, and waits until each is acknowledged. What is refused because it comes too
    /// fast is sent again when it may be.
    pub(crate) async fn send(
        &mut self,
        errands: impl IntoIterator<Item = Errand>,
        inflight: usize,
    ) -> anyhow::Result<()> {
        let (mut errands, mut waiting) = (errands.into_iter(), VecDeque::with_capacity(inflight));
        loop {
            while waiting.len() < inflight
                && let Some(errand) = errands.next()
            {
                self.feed(errand).await.map_err(broken)?;
                waiting.push_back(errand);
            }
            if waiting.is_empty() {
                return Ok(());
            }
            self.hear(&mut waiting).await?;
        }
    }

    async fn feed(&mut self, errand: Errand) -> Result<(), Loss> {
        let Errand { letter, to, number } = errand;
        self.device.link.feed(letter.frame(to, number, Instant::now())).await
    }

    async fn hear(&mut self, waiting: &mut VecDeque<Errand>) -> anyhow::Result<()> {
        let text = self.device.next().await.map_err(broken)?;
        let frame = Frame::parse(&text).map_err(broken)?;
        self.device.is_new(&frame).map_err(broken)?;
        if !matches!(frame.kind, "message_sent" | "error") {
            return Ok(());
        }
        let id = frame.client_message_id.map(|id| id.get().trim_matches('"')).unwrap_or_default();
        let answered = waiting.iter().position(|errand| errand.letter.number_of(id) == Some(errand.number));
        let Some(errand) = answered.and_then(|at| waiting.remove(at)) else { return Ok(()) };
        match (frame.code, frame.retry_after_ms) {
            (None, _) => Ok(()),
            (Some("rate_limited"), Some(ms)) => {
                sleep(Duration::from_millis(ms)).await;
                self.late.insert((errand.letter.run, errand.number as u64));
                waiting.push_back(errand);
                self.feed(errand).await.map_err(broken)
            }
            (Some(code), _) => bail!("a message was refused: {code}"),
        }
    }
}

fn broken(loss: Loss) -> anyhow::Error {
    anyhow!("a sender lost its connection: {}", loss.reason)
}
