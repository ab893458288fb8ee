//! One script, played on a world with users of its own, and held against what must come of it.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use futures_util::future::{Either, select, try_join_all};
use switchboard_channel_layer::Event as Heard;
use switchboard_node::packet::{Origin, Packet as Delivered, Way};
use switchboard_protocol::Seq;
use switchboard_store::{Account, Command, Entry, Event, Outcome, Refusal, SendCommand};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::reader::{Given, Reader};
use crate::script::{Cursor, Deed, Packet, USERS};
use crate::world::{World, answered};

/// How long after the last commit every feed gets what it lacks, with nobody's help: three times what is promised, as the
/// machine has hundreds of scripts to play. Who has much to read may take longer, as long as it gets on.
const BOUND: Duration = Duration::from_secs(6);

/// Plays a script. Gives the ways that entries came.
pub(crate) async fn play(world: &World, script: &[Deed]) -> anyhow::Result<Vec<Way>> {
    let users = world.users().await?;
    let mut case = Case {
        world,
        users,
        contents: Default::default(),
        wire: Vec::new(),
        feeds: Vec::new(),
        given: Vec::new(),
        n_sent: 0,
        changed: Instant::now(),
    };
    for deed in script {
        case.act(deed).await.with_context(|| format!("at {deed:?}"))?;
    }
    case.finish().await
}

struct Case<'a> {
    world: &'a World,
    users: [Account; USERS],
    /// The texts of each mailbox, in order.
    contents: [Vec<String>; USERS],
    /// What was published, in order.
    wire: Vec<Bytes>,
    feeds: Vec<Reader>,
    /// What those that were dropped had given out.
    given: Vec<Given>,
    n_sent: usize,
    /// When the last commit ended.
    changed: Instant,
}

impl Case<'_> {
    async fn act(&mut self, deed: &Deed) -> anyhow::Result<()> {
        match deed {
            Deed::Commit { node, messages, times, told } => {
                let packets = self.commit(*node, &messages.repeat(*times)).await?;
                if *told {
                    self.world.nodes[*node].source.hub.deliver(packets).await;
                }
            }
            Deed::Bring { node, packets } => self.bring(*node, packets).await?,
            Deed::BringAll { node, backwards } => self.bring_all(*node, *backwards).await?,
            Deed::Garbage { node } => {
                self.hear(*node, Heard::Messages(vec![Bytes::from_static(b"\x02nonsense")])).await?
            }
            Deed::Restored { node } => self.hear(*node, Heard::Restored).await?,
            Deed::Open { node, user, cursor } => {
                let end = self.end(*user);
                let cursor = match cursor {
                    Cursor::None => None,
                    Cursor::Zero => Some(Seq(0)),
                    Cursor::Within(index) => Some(Seq(index.index(end.0 as usize + 1) as i64)),
                    Cursor::Ahead(by) => Some(Seq(end.0 + 1 + i64::from(*by))),
                    Cursor::Below => Some(Seq(-1)),
                };
                let source = &self.world.nodes[*node].source;
                self.feeds.push(Reader::open(source, *user, self.users[*user].mailbox, cursor, end).await?);
            }
            Deed::Abandon { node, user, turns } => self.abandon(*node, *user, *turns).await,
            Deed::Read { feed, patience } if !self.feeds.is_empty() => {
                let feed = feed.get_mut(&mut self.feeds);
                feed.read(Duration::from_millis(u64::from(*patience))).await?;
            }
            Deed::Drop { feed } if !self.feeds.is_empty() => {
                let feed = self.feeds.swap_remove(feed.index(self.feeds.len()));
                self.given.push(feed.leave());
            }
            Deed::Read { .. } | Deed::Drop { .. } => {}
            Deed::Pause(milliseconds) => sleep(Duration::from_millis(u64::from(*milliseconds))).await,
        }
        Ok(())
    }

    /// Where a mailbox ends.
    fn end(&self, user: usize) -> Seq {
        Seq(self.contents[user].len() as i64)
    }

    async fn hear(&self, node: usize, event: Heard) -> anyhow::Result<()> {
        self.world.nodes[node].hear(event).await
    }

    /// Commits messages, in their order unless the store had no time for some. Gives the packets that their writer would
    /// publish: of what turns out to have been done before it has none but the sender's, which it keeps to itself.
    async fn commit(&mut self, node: usize, messages: &[(usize, usize)]) -> anyhow::Result<Vec<Delivered>> {
        let mut left = Vec::with_capacity(messages.len());
        for (sender, recipient) in messages {
            self.n_sent += 1;
            left.push((*sender, *recipient, format!("message {}", self.n_sent)));
        }
        let mut packets = Vec::new();
        while !left.is_empty() {
            let commands =
                left.iter().map(|(sender, recipient, text)| self.sending(*sender, *recipient, text));
            let outcomes = self.world.nodes[node].commit(commands.collect()).await?;
            let mut busy = Vec::new();
            for ((sender, recipient, text), outcome) in left.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Committed(entries) => {
                        let origin = Origin::here(None);
                        let made = Delivered::of_change(&entries, &origin)?;
                        packets.extend(made.collect::<Result<Vec<_>, _>>()?);
                    }
                    Outcome::Repeated(_) => {}
                    Outcome::Refused(Refusal::Busy) => {
                        busy.push((sender, recipient, text));
                        continue;
                    }
                    other => bail!("{other:?}"),
                }
                self.contents[sender].push(text.clone());
                self.contents[recipient].push(text);
            }
            left = busy;
        }
        self.wire.extend(packets.iter().map(|packet| packet.payload.clone()));
        self.changed = Instant::now();
        Ok(packets)
    }

    fn sending(&self, sender: usize, recipient: usize, text: &str) -> Command {
        Command::Send(SendCommand {
            sender: self.users[sender].id,
            to: self.users[recipient].id.into(),
            subject: String::new(),
            content: text.to_owned(),
            client_message_id: text.to_owned(),
            attachments: Vec::new(),
            reply_to: None,
            mentions: Vec::new(),
            only_in_groups: false,
        })
    }

    async fn bring(&self, node: usize, packets: &[Packet]) -> anyhow::Result<()> {
        if self.wire.is_empty() {
            return Ok(());
        }
        let chosen = packets.iter().map(|packet| match packet {
            Packet::Any(index) => index.get(&self.wire).clone(),
            Packet::Recent(before) => {
                self.wire[self.wire.len().saturating_sub(1 + usize::from(*before))].clone()
            }
        });
        self.hear(node, Heard::Messages(chosen.collect())).await
    }

    async fn bring_all(&self, node: usize, backwards: bool) -> anyhow::Result<()> {
        let mut all = self.wire.clone();
        if backwards {
            all.reverse();
        }
        self.hear(node, Heard::Messages(all)).await
    }

    async fn abandon(&self, node: usize, user: usize, turns: u8) {
        let opening = pin!(self.world.nodes[node].source.open(self.users[user].mailbox, None));
        let patience = pin!(async {
            for _ in 0..turns {
                yield_now().await;
            }
        });
        if let Either::Left((Ok((mut feed, _)), patience)) = select(opening, patience).await {
            select(pin!(feed.next()), patience).await;
        }
    }

    async fn finish(mut self) -> anyhow::Result<Vec<Way>> {
        self.catch_up().await.context("in the end")?;
        // All of it once more, and then what is new: the one comes to nobody, the other to all.
        for node in 0..self.world.nodes.len() {
            self.bring_all(node, node == 0).await?;
        }
        let news: Vec<_> = (0..USERS).map(|user| (user, (user + 1) % USERS)).collect();
        let packets = self.commit(0, &news).await?;
        for node in 0..self.world.nodes.len() {
            let payloads = packets.iter().map(|packet| packet.payload.clone()).collect();
            self.hear(node, Heard::Messages(payloads)).await?;
        }
        self.catch_up().await.context("with what came last")?;
        let mut logs = Vec::with_capacity(USERS);
        for user in 0..USERS {
            logs.push(self.log(user).await?);
        }
        self.given.extend(self.feeds.drain(..).map(Reader::leave));
        for given in &self.given {
            given.check(&logs[given.user])?;
        }
        Ok(self.given.iter().flat_map(Given::ways).collect())
    }

    async fn catch_up(&mut self) -> anyhow::Result<()> {
        let ends: [Seq; USERS] = std::array::from_fn(|user| self.end(user));
        let (world, last_commit) = (self.world, self.changed);
        let since = || last_commit.max(world.back_since());
        try_join_all(self.feeds.iter_mut().map(|feed| feed.read_up_to(ends[feed.user()], BOUND, since)))
            .await?;
        Ok(())
    }

    /// What the store holds of a mailbox, which must be what was sent, in that order.
    async fn log(&self, user: usize) -> anyhow::Result<Vec<Entry>> {
        let entries =
            answered(async || self.world.store.page(self.users[user].mailbox, Seq(0), i64::MAX).await)
                .await?;
        let texts = entries.iter().filter_map(|entry| match &entry.event {
            Event::Sent(message) | Event::Received(message) => Some(&message.content),
            _ => None,
        });
        ensure!(texts.eq(&self.contents[user]), "user {user} has {entries:?}");
        ensure!((1..).map(Seq).zip(&entries).all(|(seq, entry)| entry.seq == seq), "a hole in {entries:?}");
        Ok(entries)
    }
}
