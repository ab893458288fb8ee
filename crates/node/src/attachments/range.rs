//! Which part of a file a request asks for (RFC 9110, section 14).

use std::ops::Range;

/// What to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it.
    Whole,
    /// These bytes of it, at least one.
    Part(Range<u64>),
    /// The file has no such part.
    Nothing,
}

/// Reads the value of a header `Range` for a file of `size` bytes.
///
/// Several ranges, other units and what cannot be read select the whole file, as if there were no header; so
/// does everything where the file is empty, since some clients add a range to each request.
pub(super) fn select(value: &str, size: u64) -> Selection {
    let Some((first, last)) = bytes_range(value).filter(|_| size > 0) else { return Selection::Whole };
    match (first, last) {
        (Some(first), last) if last.is_some_and(|last| last < first) => Selection::Whole,
        (Some(first), _) if first >= size => Selection::Nothing,
        (Some(first), last) => {
            Selection::Part(first..last.map_or(size, |last| last.saturating_add(1).min(size)))
        }
        (None, Some(0)) => Selection::Nothing,
        (None, Some(n_last)) => Selection::Part(size.saturating_sub(n_last)..size),
        (None, None) => Selection::Whole,
    }
}

/// The two numbers of `bytes=1-2`, each of which may be missing.
fn bytes_range(value: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, range) = value.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    Some((position(first)?, position(last)?))
}

/// None if it is no number; a number that is too large is as good as the largest.
fn position(text: &str) -> Option<Option<u64>> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::Selection::{Nothing, Part, Whole};
    use super::*;

    #[track_caller]
    fn check(value: &str, size: u64, expect: Selection) {
        assert_eq!(select(value, size), expect, "`{value}` of {size}");
    }

    #[test]
    fn parts_of_a_file() {
        check("bytes=0-0", 10, Part(0..1));
        check("bytes=2-5", 10, Part(2..6));
        check("bytes=2-", 10, Part(2..10));
        check("bytes=9-", 10, Part(9..10));
        check("bytes=-3", 10, Part(7..10));
        check("bytes=-30", 10, Part(0..10));
        check("bytes=5-99", 10, Part(5..10));
        check("Bytes = 1-2", 10, Part(1..3));
        check("bytes=0-18446744073709551615", 10, Part(0..10));
        check("bytes=0-99999999999999999999999", 10, Part(0..10));
    }

    #[test]
    fn parts_that_are_not_there() {
        for value in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
            check(value, 10, Nothing);
        }
    }

    #[test]
    fn what_is_no_range_selects_all() {
        let values = [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=--1",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=1-2,4-5",
            "bytes=,",
            "bytes=1",
            "bytes=+1-2",
            "bytes=1-2-3",
            "bytes= - ",
            "lines=1-2",
            "=1-2",
            "bytes=0x1-2",
            "bytes=1 -2",
        ];
        for value in values {
            check(value, 10, Whole);
        }
        check("bytes=0-", 0, Whole);
        check("bytes=-1", 0, Whole);
    }
}
