//! The sizes that both sides may rely on. A node tells its own in `welcome`.

use serde::{Deserialize, Serialize};

/// A WebSocket frame or message, in bytes: six times [`CONTENT_BYTES`], for a client that escapes every character, and room for the rest.
pub const FRAME_BYTES: usize = 256 * 1024;
/// The content of a message, in bytes of UTF-8 after decoding.
pub const CONTENT_BYTES: usize = 32 * 1024;
/// The subject of a message, in characters.
pub const SUBJECT_CHARS: usize = 255;
/// Files of one message.
pub const ATTACHMENTS: usize = 10;
/// Members of a group.
pub const GROUP_MEMBERS: usize = 100;
/// Groups of which a user is a member.
pub const GROUPS: i64 = 1_000;
/// Users whom one user blocks.
pub const BLOCKS: i64 = 1_000;
/// The title of a group, in characters.
pub const TITLE_CHARS: usize = 150;
/// A reaction, in bytes.
pub const REACTION_BYTES: usize = 64;
/// Reactions of one user to one message.
pub const REACTIONS: i64 = 20;
/// Former texts that are kept of one message; of more, the oldest are dropped.
pub const VERSIONS: i64 = 100;
/// Users whose presence one session may watch.
pub const WATCHED: usize = 1_000;
/// The name of a file, in characters; a longer one is cut.
pub const FILENAME_CHARS: usize = 255;
/// A user name or a full name, in characters.
pub const NAME_CHARS: usize = 150;
/// Whether a user name may have this in it: a letter, a digit, or one of `@.+-_`. The fillers of Hangul count as
/// letters and show nothing: they are none.
#[must_use]
pub fn is_of_username(char: char) -> bool {
    let is_filler = matches!(char, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}');
    (char.is_alphanumeric() || "@.+-_".contains(char)) && !is_filler
}

/// The shortest password, in characters.
pub const PASSWORD_MIN_CHARS: usize = 8;
/// The longest password, in bytes.
pub const PASSWORD_BYTES: usize = 1024;
/// A client message id, in bytes of printable ASCII.
pub const CLIENT_MESSAGE_ID_BYTES: usize = 128;
/// A request id that is a text, in bytes.
pub const REQUEST_ID_BYTES: usize = 128;

/// What a node tells of its limits in `welcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// See [`FRAME_BYTES`].
    pub frame_bytes: usize,
    /// See [`CONTENT_BYTES`].
    pub content_bytes: usize,
    /// See [`SUBJECT_CHARS`].
    pub subject_chars: usize,
    /// See [`ATTACHMENTS`]; 0 from a node of an earlier version, which knows none.
    #[serde(default)]
    pub attachments: usize,
    /// A file, in bytes.
    #[serde(default)]
    pub attachment_bytes: u64,
    /// Messages that a user may send a second, on average.
    pub messages_per_second: u32,
}
