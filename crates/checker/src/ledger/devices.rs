//! What devices applied, and when they were connected.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::CheckError;
use crate::history::{Entry, Kind};

/// An entry as a device applied it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applied {
    pub(crate) seq: i64,
    pub(crate) t: u64,
    pub(crate) kind: Kind,
    /// Of its messages: see [`digest`].
    pub(crate) messages: u64,
}

/// A connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// Not later than the device began to ask for it.
    pub(crate) asked: u64,
    /// When it stood.
    pub(crate) from: u64,
    /// When it ended.
    pub(crate) until: u64,
}

/// A device.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) name: Arc<str>,
    pub(crate) user: i64,
    pub(crate) epoch: String,
    /// Everything after this has to come to it.
    pub(crate) start: i64,
    /// The cursor.
    pub(crate) last: i64,
    /// By position.
    pub(crate) applied: Vec<Applied>,
    /// In order. The last one may still stand.
    pub(crate) links: Vec<Link>,
    /// Counts what happens to its connection.
    pub(crate) connection: u32,
    /// Whether its requests go out on one connection, in order.
    pub(crate) is_socket: bool,
    /// When it left.
    pub(crate) left: Option<u64>,
    /// When its credentials had ended.
    pub(crate) cut_off: Option<u64>,
    /// Not later than it began to ask for the next connection.
    idle_since: u64,
}

impl Device {
    /// What it applied at this position.
    pub(crate) fn find(&self, seq: i64) -> Option<&Applied> {
        self.applied.binary_search_by_key(&seq, |applied| applied.seq).ok().map(|at| &self.applied[at])
    }

    /// Whether it has gone before then, and is owed nothing that comes later.
    pub(crate) fn is_gone_before(&self, t: u64) -> bool {
        [self.left, self.cut_off].into_iter().flatten().any(|gone| gone < t)
    }

    /// Whether one connection stood from the one moment to the other.
    pub(crate) fn is_connected(&self, from: u64, until: u64) -> bool {
        let n_begun = self.links.partition_point(|link| link.from <= from);
        n_begun.checked_sub(1).is_some_and(|at| self.links[at].until >= until)
    }

    fn hang_up(&mut self, t: u64) {
        self.connection += 1;
        self.idle_since = t;
        if let Some(link) = self.links.last_mut() {
            link.until = link.until.min(t);
        }
    }

    fn apply(&mut self, t: u64, entry: &Entry) {
        self.last = self.last.max(entry.seq);
        let messages = digest(entry.messages.iter().copied());
        let applied = Applied { seq: entry.seq, t, kind: entry.kind, messages };
        if let Err(at) = self.applied.binary_search_by_key(&entry.seq, |applied| applied.seq) {
            self.applied.insert(at, applied);
        }
    }
}

/// Devices by name.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    all: Vec<Device>,
    by_name: HashMap<Arc<str>, usize>,
}

impl Devices {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Device> {
        self.all.iter()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Device> {
        self.number(name).map(|number| &self.all[number])
    }

    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn get(&self, number: usize) -> &Device {
        &self.all[number]
    }

    fn known(&mut self, name: &str) -> Result<&mut Device, CheckError> {
        match self.by_name.get(name) {
            Some(number) => Ok(&mut self.all[*number]),
            None => Err(CheckError::Incomplete(format!("device `{name}` was never connected"))),
        }
    }

    pub(super) fn connect(
        &mut self,
        t: u64,
        name: &str,
        user: i64,
        cursor: i64,
    ) -> Result<&mut Device, CheckError> {
        if !self.by_name.contains_key(name) {
            let name: Arc<str> = name.into();
            self.by_name.insert(Arc::clone(&name), self.all.len());
            self.all.push(Device::new(name, user, cursor));
        }
        let device = self.known(name)?;
        if device.user != user {
            let message = format!("device `{name}` is of user {} and of user {user}", device.user);
            return Err(CheckError::Incomplete(message));
        }
        let asked = device.idle_since;
        device.hang_up(t);
        device.links.push(Link { asked, from: t, until: u64::MAX });
        device.last = cursor;
        Ok(device)
    }

    pub(super) fn connecting(&mut self, t: u64, name: &str) {
        // The first one of a device is of no interest: it replays nothing that was seen before.
        if let Some(number) = self.number(name) {
            self.all[number].idle_since = t;
        }
    }

    pub(super) fn apply(&mut self, t: u64, entry: &Entry) -> Result<(), CheckError> {
        self.known(&entry.device)?.apply(t, entry);
        Ok(())
    }

    pub(super) fn reset(&mut self, name: &str, cursor: i64) -> Result<&mut Device, CheckError> {
        let device = self.known(name)?;
        (device.start, device.last) = (cursor, cursor);
        device.applied.retain(|applied| applied.seq <= cursor);
        Ok(device)
    }

    pub(super) fn hang_up(&mut self, t: u64, name: &str) {
        // An attempt of a device that was never connected may fail.
        if let Some(number) = self.number(name) {
            self.all[number].hang_up(t);
        }
    }

    pub(super) fn leave(&mut self, t: u64, name: &str) {
        self.hang_up(t, name);
        if let Some(number) = self.number(name) {
            self.all[number].left.get_or_insert(t);
        }
    }

    pub(super) fn cut_off(&mut self, t: u64, name: &str) {
        if let Some(number) = self.number(name) {
            self.all[number].cut_off.get_or_insert(t);
        }
    }
}

impl Device {
    fn new(name: Arc<str>, user: i64, cursor: i64) -> Self {
        Self {
            name,
            user,
            epoch: String::new(),
            start: cursor,
            last: cursor,
            applied: Vec::new(),
            links: Vec::new(),
            connection: 0,
            is_socket: false,
            left: None,
            cut_off: None,
            idle_since: 0,
        }
    }
}

/// A number that two lists of the same messages share, in whatever order.
pub(crate) fn digest(messages: impl Iterator<Item = i64>) -> u64 {
    messages.fold(0, |digest: u64, message| digest.wrapping_add(mixed(message.cast_unsigned())))
}

/// Spreads neighbouring numbers over all 64 bits, as splitmix64 does.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
