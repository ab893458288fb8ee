//! What a session says, and when it says it: all of it waits for the next flush.

use std::collections::VecDeque;

use bytestring::ByteString;
use switchboard_protocol::{CloseCode, ConversationId, ServerFrame, UserId};
use tracing::Span;

use super::{Session, Told, requests};
use crate::ephemeral::{Notice, Word, author};
use crate::feed::Step;
use crate::hub::Item;
use crate::packet::{frame_type, text};
use crate::trace::TraceContext;
use crate::transport::Transport;

/// Entries that are on their way to the client: counted, and their traces ended, when they are written.
pub(super) struct Unwritten {
    items: VecDeque<Item>,
    _until_written: Box<[Span]>,
}

impl<T: Transport> Session<T> {
    /// Has a frame written with the next flush.
    pub(super) fn say(&mut self, frame: &ServerFrame) -> Result<(), CloseCode> {
        if let ServerFrame::Error(error) = frame {
            self.node.metrics.errors_sent.of(error.code.as_str()).inc();
        }
        self.say_text(text(frame).map_err(|_not_json| CloseCode::Internal)?);
        Ok(())
    }

    pub(super) fn say_text(&mut self, frame: ByteString) {
        self.node.metrics.frame_sent(&frame);
        self.push(frame);
    }

    fn push(&mut self, frame: ByteString) {
        self.record.frames_out += 1;
        self.transport.push(frame);
    }

    pub(super) fn forward(&mut self, step: Step) -> Result<(), CloseCode> {
        match step {
            Step::Items(items) => self.forward_items(items),
            Step::Ephemeral(notices) => {
                self.pass_on(notices);
                Ok(())
            }
            Step::Reset(cursor) => {
                self.notices.reset(cursor);
                let epoch = self.epoch.to_string();
                self.say(&ServerFrame::Reset { cursor, epoch })
            }
            Step::Unreadable => Err(CloseCode::TryLater),
        }
    }

    /// In one write, if the client takes it.
    pub(super) fn forward_items(&mut self, items: VecDeque<Item>) -> Result<(), CloseCode> {
        let traces = items.iter().filter_map(|item| item.origin.trace.as_deref());
        let until_written: Box<[Span]> = traces.map(|trace| delivery(Some(trace))).collect();
        for item in &items {
            self.notices.learn(item.seq, item.unread);
            self.push(item.frame.clone());
            self.learn(&item.frame)?;
        }
        self.unwritten = Some(Unwritten { items, _until_written: until_written });
        self.say_unread()
    }

    /// All that was said is written.
    pub(super) fn count_written(&mut self) {
        if let Some(Unwritten { mut items, .. }) = self.unwritten.take() {
            self.node.metrics.entries_sent(items.make_contiguous());
        }
    }

    /// What an entry says of those who write, and of whom may be watched.
    fn learn(&mut self, frame: &str) -> Result<(), CloseCode> {
        if frame_type(frame) == "group_changed" {
            self.watching.check_soon();
        }
        if !self.writers.is_empty()
            && let Some(writer) = author(frame)
            && self.writers.forget(writer)
        {
            self.say(&stopped(writer))?;
        }
        Ok(())
    }

    /// Hands over what is kept nowhere. Where it would have to wait for the credentials, it is dropped.
    fn pass_on(&mut self, notices: VecDeque<Notice>) {
        if notices.iter().any(|notice| notice.word == Word::Rights) {
            self.watching.check_soon();
        }
        if !self.lease.is_confirmed() {
            self.node.metrics.drops.of("ephemeral").inc_by(notices.len() as u64);
            return;
        }
        for notice in notices {
            if let Word::Writing(writing, frame) = notice.word
                && self.writers.learn(writing)
            {
                self.say_text(frame);
                self.node.metrics.ephemeral.of("delivered").inc();
            }
        }
    }

    /// The same for who is there, which waits where that is not known.
    pub(super) fn pass_on_presence(&mut self, told: Told) -> Result<(), CloseCode> {
        match told {
            Told::Nothing => {}
            Told::Presence if !self.lease.is_confirmed() => self.watching.hold(),
            Told::Presence => self.watching.take().into_iter().for_each(|frame| self.say_text(frame)),
            Told::Refused(refusal) => self.say(&refusal)?,
        }
        Ok(())
    }

    /// Says that those have stopped of whom nothing more was heard.
    pub(super) fn end_writing(&mut self) -> Result<(), CloseCode> {
        while let Some(writer) = self.writers.take_overdue() {
            self.say(&stopped(writer))?;
        }
        Ok(())
    }

    pub(super) fn say_unread(&mut self) -> Result<(), CloseCode> {
        match self.notices.take() {
            Some(unread_count) => self.say(&ServerFrame::UnreadCount { unread_count, request_id: None }),
            None => Ok(()),
        }
    }

    pub(super) fn answer(&mut self, answer: requests::Answer) -> Result<(), CloseCode> {
        match self.requests.settle(answer) {
            Some(requests::Reply::Frame(frame)) => self.say(&frame),
            Some(requests::Reply::Count(head, request_id)) => {
                self.notices.told(&head);
                self.say(&ServerFrame::UnreadCount { unread_count: head.unread, request_id })
            }
            Some(requests::Reply::Text(text)) => {
                self.say_text(text);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// What a client is told of somebody who writes no more.
pub(crate) fn stopped((conversation_id, user_id): (ConversationId, UserId)) -> ServerFrame {
    ServerFrame::Typing { conversation_id, user_id, is_typing: false }
}

/// From taking an entry out of the queue until it is written: where the trace that brought it ends.
pub(crate) fn delivery(cause: Option<&TraceContext>) -> Span {
    let Some(cause) = cause else { return Span::none() };
    let span = tracing::debug_span!(parent: None, "session", otel.kind = "consumer");
    cause.cause(&span);
    span
}
