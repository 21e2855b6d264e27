//! Parts of a content: one range of bytes (RFC 9110, section 14). Several at once are answered by the whole, as is a range
//! that is none.

use axum::http::header::{CONTENT_RANGE, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// What is asked for of a content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    Whole,
    Part(Part),
    /// A range that begins behind the end.
    Outside,
}

/// Bytes of a content, at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    pub first: u64,
    pub last: u64,
    /// Of the whole content.
    size_bytes: u64,
}

impl Part {
    pub fn len(self) -> u64 {
        self.last - self.first + 1
    }

    /// What `content-range` says of it.
    pub fn content_range(self) -> HeaderValue {
        let Self { first, last, size_bytes } = self;
        value(format!("bytes {first}-{last}/{size_bytes}"))
    }
}

/// What a GET asks for of a content with this entity tag. With `if-range` that names another one it is the whole.
pub(crate) fn asked(headers: &HeaderMap, tag: &str, size_bytes: u64) -> Asked {
    let mut ranges = headers.get_all(RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return Asked::Whole };
    if headers.get_all(IF_RANGE).iter().any(|known| known != tag) {
        return Asked::Whole;
    }
    range.to_str().ok().and_then(|range| parsed(range, size_bytes)).unwrap_or(Asked::Whole)
}

/// The answer to a range that begins behind the end.
pub(crate) fn outside(size_bytes: u64) -> Response {
    let length = [(CONTENT_RANGE, value(format!("bytes */{size_bytes}")))];
    (length, Problem::unsatisfiable_range(size_bytes)).into_response()
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits, letters and signs of ASCII")
}

/// `bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-LENGTH`; nothing for all else.
fn parsed(range: &str, size_bytes: u64) -> Option<Asked> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let part = |first, last| Asked::Part(Part { first, last, size_bytes });
    let last_byte = size_bytes.checked_sub(1);
    match (first, last) {
        ("", length) => Some(match (number(length)?, last_byte) {
            (0, _) => Asked::Outside,
            // All of nothing, which is no range.
            (_, None) => Asked::Whole,
            (length, Some(last)) => part(size_bytes.saturating_sub(length), last),
        }),
        (first, last) => {
            let first = number(first)?;
            let last = if last.is_empty() { u64::MAX } else { number(last)? };
            match last_byte {
                _ if last < first => None,
                Some(end) if first <= end => Some(part(first, last.min(end))),
                _ => Some(Asked::Outside),
            }
        }
    }
}

/// Digits as a number; one that is too large for any content is as good as the largest.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: &str, size_bytes: u64) -> Asked {
        let headers = HeaderMap::from_iter([(RANGE, range.parse().expect("a value"))]);
        asked(&headers, "\"tag\"", size_bytes)
    }

    #[test]
    fn what_is_no_single_range_is_answered_by_the_whole() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=1",
            "bytes=2-1",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1-2-3",
            "bytes=0x1-2",
            "bytes=0-1,3-4",
            "bytes=0-1,",
            "lines=0-1",
            "bytes 0-1",
        ] {
            assert_eq!(of(range, 10), Asked::Whole, "{range}");
        }
        let mut twice = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-1"))]);
        twice.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        assert_eq!(asked(&twice, "\"tag\"", 10), Asked::Whole);
        assert_eq!(asked(&HeaderMap::new(), "\"tag\"", 10), Asked::Whole);
    }

    #[test]
    fn ranges_are_cut_to_the_content() {
        let huge = "99999999999999999999999";
        for (range, first, last) in [
            ("bytes=0-0", 0, 0),
            ("bytes=0-9", 0, 9),
            ("Bytes = 3-4", 3, 4),
            ("bytes=9-", 9, 9),
            ("bytes=0-", 0, 9),
            ("bytes=5-100", 5, 9),
            (&format!("bytes=5-{huge}"), 5, 9),
            ("bytes=-1", 9, 9),
            ("bytes=-10", 0, 9),
            (&format!("bytes=-{huge}"), 0, 9),
        ] {
            assert_eq!(of(range, 10), Asked::Part(Part { first, last, size_bytes: 10 }), "{range}");
        }
        for range in ["bytes=10-", "bytes=10-11", "bytes=-0", &format!("bytes={huge}-")] {
            assert_eq!(of(range, 10), Asked::Outside, "{range}");
        }
        for (range, expected) in
            [("bytes=0-", Asked::Outside), ("bytes=0-0", Asked::Outside), ("bytes=-5", Asked::Whole)]
        {
            assert_eq!(of(range, 0), expected, "{range}");
        }
    }

    #[test]
    fn a_range_of_another_content_is_answered_by_the_whole() {
        for (known, is_part) in [
            ("\"tag\"", true),
            ("\"other\"", false),
            ("W/\"tag\"", false),
            ("Sun, 06 Nov 1994 08:49:37 GMT", false),
        ] {
            let mut headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-1"))]);
            headers.insert(IF_RANGE, known.parse().expect("a value"));
            assert_eq!(asked(&headers, "\"tag\"", 10) != Asked::Whole, is_part, "{known}");
        }
    }
}
