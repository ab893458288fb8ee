//! How a message carries its number and the time at which it was due.

use switchboard_protocol::Target;
use tokio::time::{Duration, Instant};

/// What the messages of one run have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letter {
    /// Tells this run's messages from others.
    pub(crate) run: u32,
    /// Times are microseconds since then.
    pub(crate) origin: Instant,
    /// Bytes of content.
    pub(crate) size: usize,
}

impl Letter {
    /// Of a run of its own.
    pub(crate) fn new(origin: Instant, size: usize) -> Self {
        Self { run: rand::random(), origin, size }
    }

    /// The frame that sends it. The number is its `request_id` too.
    pub(crate) fn frame(&self, to: Target, number: usize, due: Instant) -> String {
        let (field, id) = match to {
            Target::User(user) => ("recipient_id", user.0),
            Target::Conversation(conversation) => ("conversation_id", conversation.0),
        };
        let (content, run) = (self.write(number, due), self.run);
        format!(
            r#"{{"type":"send_message","{field}":{id},"content":"{content}","client_message_id":"{run:08x}-{number}","request_id":{number}}}"#
        )
    }

    /// The number in a `client_message_id` of this run.
    pub(crate) fn number_of(&self, client_message_id: &str) -> Option<usize> {
        let (run, number) = client_message_id.split_once('-')?;
        let is_own = u32::from_str_radix(run, 16) == Ok(self.run);
        number.parse().ok().filter(|_| is_own)
    }

    fn write(&self, number: usize, due: Instant) -> String {
        let micros = due.saturating_duration_since(self.origin).as_micros();
        let head = format!("{:08x} {number} {micros} ", self.run);
        format!("{head:x<size$}", size = self.size)
    }

    /// The number and the time in the content of a message of this run.
    pub(crate) fn read(&self, content: &str) -> Option<(u64, Instant)> {
        let mut fields = content.split(' ');
        let run = u32::from_str_radix(fields.next()?, 16).ok()?;
        let number = fields.next()?.parse().ok()?;
        let micros = fields.next()?.parse().ok()?;
        (run == self.run).then(|| (number, self.origin + Duration::from_micros(micros)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use switchboard_protocol::UserId;

    use super::*;

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        let letter = Letter { run: 7, origin: Instant::now(), size: 100 };
        let due = letter.origin + Duration::from_micros(123_456);
        let frame: Value = serde_json::from_str(&letter.frame(UserId(5).into(), 42, due)).unwrap();
        assert_eq!((&frame["recipient_id"], &frame["request_id"]), (&5.into(), &42.into()));
        assert_eq!(letter.number_of(frame["client_message_id"].as_str().unwrap()), Some(42));
        let content = frame["content"].as_str().unwrap();
        assert_eq!((content.len(), letter.read(content)), (100, Some((42, due))));
        let other = Letter { run: 8, ..letter };
        assert_eq!((other.read(content), other.number_of("00000007-42")), (None, None));
        assert_eq!(letter.read("hello"), None);
    }
}
