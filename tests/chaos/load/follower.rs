//! A device of our own: it applies the entries of its mailbox in order, and takes nothing for granted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::bail;
use switchboard_checker::history::Event;
use switchboard_protocol::{Incoming, ServerFrame};

use super::entries::entry;
use super::notes::Notes;
use super::transport::{Link, Opened, Place, Transport};
use super::world::Progress;

/// What it knows, over all its connections.
pub(super) struct Follower {
    pub(super) device: String,
    pub(super) user: i64,
    /// Its cursor and epoch, once it has any.
    after: Option<(i64, String)>,
    duplicates: u64,
    gaps: u64,
    progress: Arc<Progress>,
}

impl Follower {
    pub(super) fn new(device: String, after: Option<(i64, String)>, progress: Arc<Progress>) -> Self {
        Self { device, user: progress.user, after, duplicates: 0, gaps: 0, progress }
    }

    /// Connects, and says so.
    pub(super) async fn connect(
        &mut self,
        notes: &Notes,
        transport: Transport,
        (address, credentials): (std::net::SocketAddr, &str),
    ) -> anyhow::Result<Link> {
        let place = Place { address, credentials: credentials.to_owned(), after: self.after.clone() };
        let asked = notes.now();
        notes.note(Event::Connecting { device: self.device.clone() });
        let Opened { link, cursor, epoch, unread } = Link::open(transport, &place).await?;
        let (device, user) = (self.device.clone(), self.user);
        if let Some(count) = unread {
            notes.note(Event::Unread { user, count, via: "welcome".to_owned(), asked });
        }
        let (own, own_epoch) = self.after.get_or_insert_with(|| (cursor, epoch.clone()));
        if own_epoch.is_empty() {
            own_epoch.clone_from(&epoch);
        }
        self.progress.cursor.store(*own, Ordering::Relaxed);
        let transport = transport.name().to_owned();
        notes.note(Event::Connected { device, user, transport, cursor, epoch });
        Ok(link)
    }

    /// Takes a frame as it came. Gives how long the link is still good, if the node says that.
    ///
    /// # Errors
    /// If it is no frame, or an entry is missing before it.
    pub(super) fn take(&mut self, notes: &Notes, text: &str) -> anyhow::Result<Option<Duration>> {
        notes.told(self.user, &self.device, text);
        let Incoming { seq, frame } = Incoming::parse(text)?;
        let cursor = self.after.as_ref().map_or(0, |(cursor, _)| *cursor);
        match (seq, frame) {
            (None, ServerFrame::Reset { cursor, epoch }) => {
                self.go_to(cursor.0, Some(epoch.clone()));
                notes.note(Event::Reset { device: self.device.clone(), cursor: cursor.0, epoch });
            }
            (None, ServerFrame::Reconnect { after_ms }) => return Ok(Some(Duration::from_millis(after_ms))),
            (None, _) => {}
            (Some(seq), _) if seq.0 <= cursor => self.duplicates += 1,
            (Some(seq), _) if seq.0 > cursor + 1 => {
                self.gaps += 1;
                bail!("entry {seq} came after entry {cursor}");
            }
            (Some(seq), frame) => {
                notes.note(Event::Entry(entry(&self.device, seq.0, &frame)));
                self.go_to(seq.0, None);
            }
        }
        Ok(None)
    }

    fn go_to(&mut self, cursor: i64, epoch: Option<String>) {
        let epoch = epoch.or_else(|| self.after.take().map(|(_, epoch)| epoch)).unwrap_or_default();
        self.after = Some((cursor, epoch));
        self.progress.cursor.store(cursor, Ordering::Relaxed);
    }

    pub(super) fn disconnected(&self, notes: &Notes, reason: String) {
        notes.note(Event::Disconnected { device: self.device.clone(), reason });
    }

    /// Leaves for good.
    pub(super) fn leave(self, notes: &Notes) {
        let Self { device, duplicates, gaps, .. } = self;
        notes.note(Event::Wire { device: device.clone(), duplicates, gaps });
        notes.note(Event::Left { device });
    }
}
