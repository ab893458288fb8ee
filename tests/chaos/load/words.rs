//! Canaries: words that no other message has, and that say whose they are.
//!
//! One is `c` and 24 hexadecimal digits: four of the sender, four of the recipient, the rest random. So whoever finds
//! one knows who may see it, without a list of them all.

use switchboard_checker::history::Body;

use crate::Dice;

/// `c`, and what follows.
const LENGTH: usize = 25;
/// What messages go on with: no word of it looks like a canary, and bytes are not characters.
const FILLER: &str = " over lunch we spoke of hills, rain, größere Boote, and who would bring the kettle —";

/// A new one.
pub(super) fn canary(dice: &mut Dice, sender: i64, recipient: i64) -> String {
    format!("c{sender:04x}{recipient:04x}{:016x}", dice.roll(u64::MAX))
}

/// All that stand in a text.
pub(super) fn canaries(text: &str) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    let is_within =
        |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    text.match_indices('c').filter_map(move |(at, _)| {
        let end = at + LENGTH;
        let is_hexadecimal = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_one = bytes.get(at..end).is_some_and(|word| word.iter().all(is_hexadecimal))
            && !is_within(at.checked_sub(1))
            && !is_within(Some(end));
        is_one.then(|| &text[at..end])
    })
}

/// Whether a user may see it: who sent it, or receives it.
pub(super) fn is_of(canary: &str, user: i64) -> bool {
    [1..5, 5..9].into_iter().any(|at| {
        let party = canary.get(at).and_then(|digits| i64::from_str_radix(digits, 16).ok());
        party == Some(user)
    })
}

/// A text that begins with a canary: mostly short, now and then of 8 KiB.
pub(super) fn content(dice: &mut Dice, canary: &str) -> String {
    let bytes = if dice.roll(100) == 0 { 8 * 1024 } else { LENGTH + dice.roll(375) as usize };
    let mut content = canary.to_owned();
    while content.len() < bytes {
        let room = bytes - content.len();
        content += &FILLER[..FILLER.floor_char_boundary(room).max(1)];
    }
    content
}

/// What is judged of a text.
pub(super) fn body(content: &str) -> Body {
    let canary = content.split(' ').next().unwrap_or_default().to_owned();
    Body { canary, bytes: content.len() as u64 }
}
