//! Names of files: what people read, never a path.

use switchboard_protocol::limits::FILENAME_CHARS;

/// Characters of an extension that is kept when a name is cut.
const EXTENSION_CHARS: usize = 16;

/// What is left of a client's name for a file, to be shown: the last part after slashes of either kind,
/// without characters that break lines or turn text around, not hidden, and at most 255 characters.
/// Without anything left it is `file`.
#[must_use]
pub fn safe_filename(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = last.chars().filter(|character| !is_deceptive(*character)).collect();
    // Windows drops dots and spaces at the end, so that what is shown would not be what is saved.
    match shown.trim_matches(|character: char| character == '.' || character.is_whitespace()) {
        "" => "file".to_owned(),
        name => cut(name),
    }
}

/// Control characters, line and paragraph separators, and what changes the direction of text.
fn is_deceptive(character: char) -> bool {
    match character {
        '\u{061C}' | '\u{200E}' | '\u{200F}' => true,
        '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => true,
        character => character.is_control(),
    }
}

fn cut(name: &str) -> String {
    if name.chars().count() <= FILENAME_CHARS {
        return name.to_owned();
    }
    let extension = name.rfind('.').map_or("", |dot| &name[dot..]);
    let n_extension = extension.chars().count();
    if n_extension > EXTENSION_CHARS + 1 {
        return name.chars().take(FILENAME_CHARS).collect();
    }
    name.chars().take(FILENAME_CHARS - n_extension).chain(extension.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expect: &str) {
        assert_eq!(safe_filename(name), expect, "{name:?}");
    }

    #[test]
    fn hostile_names_become_names() {
        check("report.pdf", "report.pdf");
        check("отчёт за май.pdf", "отчёт за май.pdf");
        check("../../etc/passwd", "passwd");
        check("..\\..\\boot.ini", "boot.ini");
        check("C:\\Users\\me\\photo.png", "photo.png");
        check("/etc/", "file");
        check("%2e%2e%2fpasswd", "%2e%2e%2fpasswd");
        check("..%5cboot.ini", "%5cboot.ini");
        check("a\0b.txt", "ab.txt");
        check("a\r\nSet-Cookie: x=1.txt", "aSet-Cookie: x=1.txt");
        check("quote\".txt", "quote\".txt");
        // Reads as `annexe.pdf`, is a program.
        check("ann\u{202E}fdp.exe", "annfdp.exe");
        check("\u{2066}a\u{2069}\u{200E}\u{200F}\u{061C}\u{2028}.txt", "a.txt");
        check(".htaccess", "htaccess");
        check("\u{202A}. .\u{202C}bashrc", "bashrc");
        check("virus.exe. . ", "virus.exe");
        check("", "file");
        check(" ... ", "file");
        check("\u{202E}", "file");
        check("\u{1}\u{85}\u{7f}", "file");
    }

    #[test]
    fn long_names_keep_a_short_extension() {
        check(&"a".repeat(255), &"a".repeat(255));
        check(&"a".repeat(256), &"a".repeat(255));
        check(&format!("{}.jpeg", "é".repeat(300)), &format!("{}.jpeg", "é".repeat(250)));
        check(&format!("a.{}", "b".repeat(300)), &format!("a.{}", "b".repeat(253)));
        check(&format!("{}.tar.gz", "a".repeat(260)), &format!("{}.gz", "a".repeat(252)));
    }
}
