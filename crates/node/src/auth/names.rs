//! What names people may have, here and as other issuers tell them.

use switchboard_protocol::limits::{NAME_CHARS, is_of_username};

/// Whether this can be a user name.
///
/// # Errors
/// A sentence for the client.
pub fn check_username(name: &str) -> Result<(), &'static str> {
    match name.chars().count() {
        0 => Err("a user name is needed"),
        n if n > NAME_CHARS => Err("a user name has at most 150 characters"),
        _ if !name.chars().all(is_of_username) => Err("a user name has letters, digits and @ . + - _ only"),
        _ => Ok(()),
    }
}

/// Whether this can be a full name. It may be empty.
///
/// # Errors
/// A sentence for the client.
pub fn check_full_name(name: &str) -> Result<(), &'static str> {
    match name.chars().count() {
        n if n > NAME_CHARS => Err("a full name has at most 150 characters"),
        _ if name.chars().any(is_invisible) => Err("a full name has no control characters"),
        _ => Ok(()),
    }
}

/// What of a name that somebody else made can be a full name; nothing if nothing is left of it.
pub(super) fn tidy_full_name(name: &str) -> Option<String> {
    let visible: String = name.chars().filter(|char| !is_invisible(*char)).collect();
    let cut: String = visible.trim().chars().take(NAME_CHARS).collect();
    Some(cut.trim_end().to_owned()).filter(|name| !name.is_empty())
}

/// Control characters, those that show nothing, and those that turn the direction of the text around them: with one of these a name can
/// look like another, or like what stands beside it.
fn is_invisible(char: char) -> bool {
    let turns = matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    // Not the joiners of U+200C and U+200D, which some scripts need.
    let hides = matches!(char, '\u{ad}' | '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}' | '\u{feff}');
    turns || hides || char.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names() {
        let longest = "ü".repeat(NAME_CHARS);
        for name in [
            "a",
            "7",
            "ann.o'neill".replace('\'', "-").as_str(),
            "a@b.example",
            "x+y-_",
            "Åsa",
            "李雷",
            &longest,
        ] {
            assert_eq!(check_username(name), Ok(()), "{name}");
        }
        let too_long = "a".repeat(NAME_CHARS + 1);
        for name in [
            "",
            " ",
            "a b",
            "a\n",
            "a\0",
            "a/b",
            "a:b",
            "<a>",
            "a\u{202e}b",
            "😀",
            "a\u{200b}",
            "a\u{3164}",
            &too_long,
        ] {
            assert!(check_username(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn full_names() {
        let longest = "ü".repeat(NAME_CHARS);
        for name in ["", "Ann O'Neill", "Łukasz", "ليلى", "😀", &longest] {
            assert_eq!(check_full_name(name), Ok(()), "{name}");
        }
        let too_long = "ü".repeat(NAME_CHARS + 1);
        for name in ["a\n", "\0", "a\u{85}", "nna\u{202e}", "\u{2066}a", "\u{200f}", &too_long] {
            assert!(check_full_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn names_of_others_are_tidied() {
        let tidy = |name: &str| tidy_full_name(name);
        assert_eq!(tidy(" Ann\u{202e}\0 O'Neill\r\n").as_deref(), Some("Ann O'Neill"));
        assert_eq!(tidy(" \u{2066}\t "), None);
        assert_eq!(tidy(&"ü".repeat(1000)), Some("ü".repeat(NAME_CHARS)));
    }
}
