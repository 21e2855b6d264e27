//! Finding the words of a text.
//!
//! UAX #29 breaks words around white space wherever it matters to a word with a letter or digit: nothing but
//! marks that combine with the space joins over it, and they make no word. So text is taken apart at ASCII white
//! space first; what is pure ASCII goes through a small scanner, the rest through `unicode-segmentation`.

use floret_sdk::{Error, Input, READ_BYTES_MAX};
use unicode_segmentation::UnicodeSegmentation;

/// ASCII white space, where words can be cut apart.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Read a document in pieces of about 1 MiB that end after a byte for which `is_cut` holds (an ASCII one), or
/// at the end of the document.
///
/// # Errors
/// `invalid-input` with the offset of the first byte that is not UTF-8.
pub fn each_text(
    document: &Input,
    index: usize,
    is_cut: fn(u8) -> bool,
    mut visit: impl FnMut(&str),
) -> Result<(), Error> {
    let mut buffer = Vec::new();
    let (mut start, mut offset) = (0, 0);
    loop {
        let piece = document.read(offset, READ_BYTES_MAX);
        offset += piece.len() as u64;
        let is_end = piece.is_empty();
        let searched = buffer.len();
        buffer.extend_from_slice(&piece);
        let cut = buffer[searched..].iter().rposition(|byte| is_cut(*byte)).map(|at| searched + at + 1);
        let Some(cut) = cut.or(is_end.then_some(buffer.len())) else {
            continue;
        };
        match std::str::from_utf8(&buffer[..cut]) {
            Ok(text) => visit(text),
            Err(error) => return Err(document.not_utf8(index, start + error.valid_up_to() as u64)),
        }
        start += cut as u64;
        buffer.drain(..cut);
        if is_end {
            return Ok(());
        }
    }
}

/// Visit every UAX #29 word that holds a letter or a digit, as it stands in the text.
pub fn each_word<'a>(text: &'a str, mut visit: impl FnMut(&'a str)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if is_space(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        let mut seen = 0;
        while at < bytes.len() && !is_space(bytes[at]) {
            seen |= bytes[at];
            at += 1;
        }
        if seen < 0x80 {
            each_ascii_word(&text[start..at], &mut visit);
        } else {
            text[start..at].unicode_words().for_each(&mut visit);
        }
    }
}

/// What an ASCII byte is to the word rules.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// `A`–`Z`, `a`–`z` (ALetter).
    Letter,
    /// `0`–`9` (Numeric).
    Digit,
    /// `_` (ExtendNumLet): joins, makes no word alone.
    Joiner,
    /// `:` (MidLetter): joins between letters.
    MidLetter,
    /// `,` `;` (MidNum): joins between digits.
    MidDigit,
    /// `.` `'` (MidNumLet, Single_Quote): joins between two letters or two digits.
    Mid,
    /// Anything else.
    Other,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'A'..=b'Z' | b'a'..=b'z' => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'_' => Class::Joiner,
            b':' => Class::MidLetter,
            b',' | b';' => Class::MidDigit,
            b'.' | b'\'' => Class::Mid,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

/// Rules WB5 to WB13b of UAX #29 on ASCII without white space.
fn each_ascii_word<'a>(text: &'a str, visit: &mut impl FnMut(&'a str)) {
    let class = |at: usize| text.as_bytes().get(at).map_or(Class::Other, |byte| CLASSES[usize::from(*byte)]);
    let mut at = 0;
    while at < text.len() {
        let start = at;
        let mut last = class(at);
        let mut is_word = false;
        while matches!(last, Class::Letter | Class::Digit | Class::Joiner) {
            is_word |= last != Class::Joiner;
            at += 1;
            let next = class(at);
            let joins = match next {
                Class::MidLetter => last == Class::Letter,
                Class::MidDigit => last == Class::Digit,
                Class::Mid => last != Class::Joiner,
                _ => false,
            };
            if joins && class(at + 1) == last {
                at += 1;
            } else {
                last = next;
            }
        }
        if is_word {
            visit(&text[start..at]);
        }
        at += usize::from(at == start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let mut words = Vec::new();
        each_word(text, |word| words.push(word));
        words
    }

    /// Every string up to seven characters over one of each kind: the scanner and the crate agree.
    #[test]
    fn agrees_with_unicode_segmentation_on_all_short_texts() {
        let alphabet = ['a', '1', '_', ':', ',', '.', '-', ' '];
        for len in 1..=6 {
            for number in 0..alphabet.len().pow(len) {
                let mut rest = number;
                let text: String = (0..len)
                    .map(|_| {
                        let letter = alphabet[rest % alphabet.len()];
                        rest /= alphabet.len();
                        letter
                    })
                    .collect();
                assert_eq!(words(&text), text.unicode_words().collect::<Vec<_>>(), "{text:?}");
            }
        }
    }

    #[test]
    fn agrees_with_unicode_segmentation_on_every_ascii_byte_and_mixed_text() {
        for byte in 0..128u8 {
            let byte = char::from(byte);
            for text in [
                format!("a{byte}b"),
                format!("1{byte}2"),
                format!("a{byte}1"),
                format!("{byte}a{byte}"),
                format!("a{byte}{byte}b"),
            ] {
                assert_eq!(words(&text), text.unicode_words().collect::<Vec<_>>(), "{text:?}");
            }
        }
        for text in [
            "don’t re-enter “the 3.14 naïve” café…",
            "日本語 テキスト ไทย",
            "a \u{301}b c\u{301} d",
            "x\u{a0}y\u{2028}z",
            "שלום לכם",
            "🇩🇪🇫🇷 a👩‍👩‍👧b",
        ] {
            assert_eq!(words(text), text.unicode_words().collect::<Vec<_>>(), "{text:?}");
        }
    }
}
