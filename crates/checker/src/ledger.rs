//! What the families of properties look things up in: the sends, marks, devices, faults and the store of a history, in a
//! form that is small. It knows all lines before the present one; at the end, all.

mod devices;
mod faults;
mod marks;
mod sends;
mod store;

use std::collections::HashMap;

pub(crate) use devices::{Applied, Device, Devices, digest};
pub(crate) use faults::Faults;
pub(crate) use marks::Marks;
pub(crate) use sends::{Fate, Sending, Sends, Text};
pub(crate) use store::{Head, Mailbox, Row, Store, Stored};

use crate::error::CheckError;
use crate::history::{Begin, Event, Line, Outcome, Phase};
use crate::verdict::Summary;

/// An operation without an outcome.
#[derive(Clone, Copy, Debug)]
enum Operation {
    /// A send, by number.
    Send(usize),
    /// A user reads a message.
    Read { user: i64, message: i64 },
    /// A user deletes a message.
    Delete { user: i64, message: i64 },
}

impl Operation {
    fn kind(self) -> &'static str {
        match self {
            Self::Send(_) => "send",
            Self::Read { .. } => "read",
            Self::Delete { .. } => "delete",
        }
    }
}

/// A history so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    begin: Option<Begin>,
    healed: Option<u64>,
    store_end: Option<u64>,
    /// When the last line was written.
    now: u64,
    /// When the last outcome was known.
    pub(crate) last_outcome: u64,
    operations: HashMap<u64, Operation>,
    pub(crate) sends: Sends,
    pub(crate) reads: Marks,
    pub(crate) deletes: Marks,
    pub(crate) devices: Devices,
    pub(crate) faults: Faults,
    pub(crate) store: Store,
    summary: Summary,
}

impl Ledger {
    /// What has not happened in the right order makes a history incomplete.
    pub(crate) fn take(&mut self, Line { t, event }: Line) -> Result<(), CheckError> {
        if self.begin.is_none() && !matches!(event, Event::Begin(_)) {
            return Err(CheckError::Incomplete("it does not start with its bounds".to_owned()));
        }
        if t < self.now {
            return Err(CheckError::Incomplete(format!(
                "a line of {t} µs stands after one of {} µs",
                self.now
            )));
        }
        self.now = t;
        match event {
            Event::Begin(begin) => once(&mut self.begin, begin, "begins"),
            Event::Healed => once(&mut self.healed, t, "is healed"),
            Event::StoreEnd => once(&mut self.store_end, t, "has the end of the store"),
            Event::Fault { name, scope, phase, detail } => {
                if phase == Phase::Begin {
                    *self.summary.faults.entry(name.clone()).or_default() += 1;
                }
                self.faults.take(t, name, scope, phase, detail);
                Ok(())
            }
            Event::Send(_) | Event::Read { .. } | Event::Delete { .. } | Event::Outcome { .. } => {
                self.operate(t, event)
            }
            Event::StoredMessage(_) | Event::StoredEntry(_) | Event::StoredMailbox { .. } => {
                self.shelve(event)
            }
            event => self.follow(t, event),
        }
    }

    fn operate(&mut self, t: u64, event: Event) -> Result<(), CheckError> {
        let (op, operation) = match event {
            Event::Send(send) => {
                let op = send.op;
                let number = send.device.as_deref().and_then(|device| self.devices.number(device));
                let device = number.map(|number| (number, self.devices.get(number).connection));
                (op, Operation::Send(self.sends.begin(t, send, device)))
            }
            Event::Read { op, user, message } => {
                self.reads.begin(t, user, message);
                (op, Operation::Read { user, message })
            }
            Event::Delete { op, user, message } => {
                self.deletes.begin(t, user, message);
                (op, Operation::Delete { user, message })
            }
            Event::Outcome { op, outcome } => return self.conclude(t, op, &outcome),
            _ => return Ok(()),
        };
        self.summary.operations.entry(operation.kind()).or_default().open += 1;
        match self.operations.insert(op, operation) {
            None => Ok(()),
            Some(_) => Err(CheckError::Incomplete(format!("there are two operations {op}"))),
        }
    }

    fn conclude(&mut self, t: u64, op: u64, outcome: &Outcome) -> Result<(), CheckError> {
        let Some(operation) = self.operations.remove(&op) else {
            return Err(CheckError::Incomplete(format!(
                "operation {op} has an outcome, but is not under way"
            )));
        };
        self.last_outcome = t;
        match operation {
            Operation::Send(number) => {
                let device = self.sends.device(number);
                let connection = device.map(|device| self.devices.get(device).connection);
                self.sends.end(t, number, outcome, connection);
            }
            Operation::Read { user, message } => self.reads.end(t, user, message, outcome),
            Operation::Delete { user, message } => self.deletes.end(t, user, message, outcome),
        }
        let outcomes = self.summary.operations.entry(operation.kind()).or_default();
        outcomes.open -= 1;
        match outcome {
            Outcome::Sent { .. } | Outcome::Done => outcomes.ok += 1,
            Outcome::Fail { .. } => outcomes.fail += 1,
            Outcome::Info { .. } => outcomes.info += 1,
        }
        Ok(())
    }

    fn shelve(&mut self, event: Event) -> Result<(), CheckError> {
        if self.store_end.is_some() {
            return Err(CheckError::Incomplete("the store goes on after its end".to_owned()));
        }
        match event {
            Event::StoredMessage(message) => self.store.message(message, &self.sends),
            Event::StoredEntry(entry) => self.store.entry(entry),
            Event::StoredMailbox { user, epoch, floor, last_seq, unread } => {
                let mailbox = self.store.mailboxes.entry(user).or_default();
                mailbox.epoch = epoch;
                let head = Head { floor, last_seq, unread };
                return once(&mut mailbox.head, head, &format!("has the mailbox of user {user}"));
            }
            _ => {}
        }
        Ok(())
    }

    fn follow(&mut self, t: u64, event: Event) -> Result<(), CheckError> {
        match event {
            Event::Connecting { device } => self.devices.connecting(t, &device),
            Event::Connected { device, user, transport, cursor, epoch } => {
                let device = self.devices.connect(t, &device, user, cursor)?;
                device.is_socket = transport == "websocket";
                device.epoch = epoch;
            }
            Event::Entry(entry) => {
                self.summary.applied += 1;
                self.devices.apply(t, &entry)?;
            }
            Event::Reset { device, cursor, epoch } => self.devices.reset(&device, cursor)?.epoch = epoch,
            Event::Disconnected { device, .. } => self.devices.hang_up(t, &device),
            Event::Left { device } => self.devices.leave(t, &device),
            Event::CutOff { device } => self.devices.cut_off(t, &device),
            Event::Wire { duplicates, gaps, .. } => {
                self.summary.devices_with_wire += 1;
                self.summary.duplicates += duplicates;
                self.summary.gaps += gaps;
            }
            Event::Page(_) => self.summary.pages += 1,
            Event::Unread { .. } => self.summary.counts += 1,
            _ => {}
        }
        Ok(())
    }

    /// There are no more lines.
    pub(crate) fn close(&mut self) -> Result<(), CheckError> {
        for (is_there, what) in [
            (self.begin.is_some(), "it has no line"),
            (self.healed.is_some(), "it was never healed"),
            (self.store_end.is_some(), "the store was not read to its end"),
        ] {
            if !is_there {
                return Err(CheckError::Incomplete(what.to_owned()));
            }
        }
        self.store.close();
        Ok(())
    }

    /// By how much things may be late, in microseconds: after healing, after a commit, after credentials have ended.
    pub(crate) fn bounds(&self) -> [u64; 3] {
        let micros = |ms: u64| ms.saturating_mul(1_000);
        self.begin.as_ref().map_or([0; 3], |begin| {
            [begin.heal_within_ms, begin.sweep_within_ms, begin.cut_within_ms].map(micros)
        })
    }

    /// When everything was healed, if it is yet.
    pub(crate) fn healed(&self) -> u64 {
        self.healed.unwrap_or(u64::MAX)
    }

    /// When the store had been read.
    pub(crate) fn end(&self) -> u64 {
        self.store_end.unwrap_or(self.now)
    }

    pub(crate) fn summary(self) -> Summary {
        Summary {
            seconds: self.now as f64 / 1e6,
            acknowledged: self.sends.n_acknowledged(),
            stored: self.store.messages.len() as u64,
            devices: self.devices.iter().count() as u64,
            ..self.summary
        }
    }
}

/// Sets what may be set once.
fn once<T>(place: &mut Option<T>, value: T, what: &str) -> Result<(), CheckError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(CheckError::Incomplete(format!("it {what} twice"))),
    }
}
