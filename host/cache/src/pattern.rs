//! Which keys an invalidation is about.

use crate::error::Error;

/// A set of keys: all, those with a prefix, or those that a glob matches as a whole.
///
/// Glob, over the key's characters (a byte that is not UTF-8 counts as one character):
/// - `*` any run of characters, also none, also across `/` and `:`; `?` exactly one;
/// - `[abc]`, `[a-z]` one of these; `[!abc]` one that is none of these. A `]` that comes first stands for itself;
/// - `\` makes the next character stand for itself, inside of `[…]` too: `\[draft\]` matches `[draft]`.
///
/// Everything else stands for itself. Matching takes O(key × pattern) at worst, without recursion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    All,
    Prefix(Box<[u8]>),
    Glob {
        /// The tokens before the first `*`, all literal: tried first, because it decides most keys.
        prefix: Box<[u8]>,
        tokens: Box<[Token]>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    AnyOne,
    AnyRun,
    Class { negated: bool, ranges: Box<[(char, char)]> },
}

impl Pattern {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self(Kind::All)
    }

    /// Every key that begins with these bytes; nothing in them is special.
    #[must_use]
    pub fn prefix(prefix: impl AsRef<[u8]>) -> Self {
        Self(Kind::Prefix(prefix.as_ref().into()))
    }

    /// Every key that the glob matches from its first to its last byte.
    ///
    /// # Errors
    /// [`Error::Pattern`]: an unclosed `[`, a range that runs backwards, or a `\` at the end.
    pub fn glob(pattern: &str) -> Result<Self, Error> {
        let tokens = parse(pattern)?;
        let prefix = tokens
            .iter()
            .map_while(|token| match token {
                Token::Byte(byte) => Some(*byte),
                _ => None,
            })
            .collect::<Box<[u8]>>();
        let tokens = tokens[prefix.len()..].into();
        Ok(Self(Kind::Glob { prefix, tokens }))
    }

    /// The glob that matches `key` and nothing else.
    #[must_use]
    pub fn escape(key: &str) -> String {
        let mut escaped = String::with_capacity(key.len());
        for character in key.chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '\\') {
                escaped.push('\\');
            }
            escaped.push(character);
        }
        escaped
    }

    /// True if `key` is in the set.
    #[must_use]
    pub fn matches(&self, key: &[u8]) -> bool {
        match &self.0 {
            Kind::All => true,
            Kind::Prefix(prefix) => key.starts_with(prefix),
            Kind::Glob { prefix, tokens } => {
                key.strip_prefix(&**prefix).is_some_and(|rest| glob_matches(tokens, rest))
            }
        }
    }
}

type Characters<'a> = std::iter::Peekable<std::str::CharIndices<'a>>;

fn parse(pattern: &str) -> Result<Vec<Token>, Error> {
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut characters = pattern.char_indices().peekable();
    while let Some((position, character)) = characters.next() {
        let literal = match character {
            '*' => {
                if tokens.last() != Some(&Token::AnyRun) {
                    tokens.push(Token::AnyRun);
                }
                continue;
            }
            '?' => {
                tokens.push(Token::AnyOne);
                continue;
            }
            '[' => parse_class(&mut characters).map(|class| {
                tokens.push(class);
                None
            }),
            '\\' => {
                (characters.next()).map(|(_, escaped)| Some(escaped)).ok_or("expected a character after `\\`")
            }
            literal => Ok(Some(literal)),
        };
        let literal =
            literal.map_err(|reason| Error::Pattern { pattern: pattern.to_owned(), position, reason })?;
        if let Some(literal) = literal {
            let mut utf8 = [0; 4];
            let bytes = literal.encode_utf8(&mut utf8).bytes();
            tokens.extend(bytes.map(Token::Byte));
        }
    }
    Ok(tokens)
}

/// Reads a class up to its `]`, its `[` having been read.
fn parse_class(characters: &mut Characters<'_>) -> Result<Token, &'static str> {
    const UNCLOSED: &str = "expected a `]` that closes this `[`";
    let negated = characters.next_if(|&(_, c)| c == '!').is_some();
    let mut ranges = Vec::new();
    loop {
        let low = match characters.next().ok_or(UNCLOSED)?.1 {
            ']' if !ranges.is_empty() => break,
            '\\' => characters.next().ok_or(UNCLOSED)?.1,
            character => character,
        };
        let mut high = low;
        let mut ahead = characters.clone();
        let dash = ahead.next().is_some_and(|(_, c)| c == '-');
        if dash && ahead.peek().is_some_and(|&(_, c)| c != ']') {
            *characters = ahead;
            high = match characters.next().ok_or(UNCLOSED)?.1 {
                '\\' => characters.next().ok_or(UNCLOSED)?.1,
                character => character,
            };
        }
        if high < low {
            return Err("expected a range that runs forwards, like `a-z`");
        }
        ranges.push((low, high));
    }
    Ok(Token::Class { negated, ranges: ranges.into() })
}

/// Matches greedily and, when stuck, lets the last `*` take one character more: earlier ones never need to.
fn glob_matches(tokens: &[Token], text: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match tokens.get(token) {
            Some(Token::AnyRun) if token + 1 == tokens.len() => return true,
            Some(Token::AnyRun) => {
                retry = Some((token + 1, at));
                token += 1;
                continue;
            }
            Some(one) => one_matches(one, &text[at..]),
            None if at == text.len() => return true,
            None => None,
        };
        match (step, retry) {
            (Some(length), _) => {
                token += 1;
                at += length;
            }
            (None, Some((after_run, from))) if from < text.len() => {
                let from = from + next_character(&text[from..]).1;
                retry = Some((after_run, from));
                (token, at) = (after_run, from);
            }
            (None, _) => return false,
        }
    }
}

/// How many bytes of `text` the token takes; `None` if it does not match.
fn one_matches(token: &Token, text: &[u8]) -> Option<usize> {
    if let Token::Byte(byte) = token {
        return (text.first() == Some(byte)).then_some(1);
    }
    if text.is_empty() {
        return None;
    }
    let (character, length) = next_character(text);
    let matched = match token {
        Token::Class { negated, ranges } => {
            let inside =
                character.is_some_and(|c| ranges.iter().any(|&(low, high)| (low..=high).contains(&c)));
            inside != *negated
        }
        Token::AnyOne | Token::AnyRun | Token::Byte(_) => true,
    };
    matched.then_some(length)
}

/// The first character and its length in bytes; one byte and `None` where `text`, not empty, is not UTF-8.
fn next_character(text: &[u8]) -> (Option<char>, usize) {
    let first = text[0];
    if first.is_ascii() {
        return (Some(char::from(first)), 1);
    }
    let length = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return (None, 1),
    };
    let decoded = text.get(..length).and_then(|b| std::str::from_utf8(b).ok());
    match decoded.and_then(|text| text.chars().next()) {
        Some(character) => (Some(character), length),
        None => (None, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn c9_globs_match_as_documented() {
        let cases: &[(&str, &str, bool)] = &[
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b:c", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*b*", "abc", true),
            ("a**b", "ab", true),
            ("?", "é", true),
            ("??", "é", false),
            ("a?c", "ac", false),
            ("*é", "caf\u{e9}", true),
            ("[abc]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]x", "dx", true),
            ("[!a]", "", false),
            ("[]a]", "]", true),
            ("[a-]", "-", true),
            ("[\\]\\-]", "-", true),
            ("[é-ë]", "ê", true),
            ("\\[draft\\]", "[draft]", true),
            ("[draft]", "[draft]", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("corpus:*:v[0-9]", "corpus:a:b:v7", true),
        ];
        for &(pattern, key, expected) in cases {
            let glob = Pattern::glob(pattern).expect("a valid pattern");
            assert_eq!(glob.matches(key.as_bytes()), expected, "{pattern:?} on {key:?}");
        }
    }

    #[test]
    fn c9_bad_globs_say_where_and_why() {
        for (pattern, position) in [("ab[c", 2), ("[", 0), ("[]", 0), ("x\\", 1), ("é[z-a]", 2), ("[a\\", 0)]
        {
            match Pattern::glob(pattern) {
                Err(Error::Pattern { position: found, .. }) => assert_eq!(found, position, "{pattern:?}"),
                other => panic!("{pattern:?}: expected a pattern error, got {other:?}"),
            }
        }
    }

    #[test]
    fn c9_bytes_that_are_not_utf8_count_one_each() {
        assert!(Pattern::glob("??").expect("valid").matches(&[0xFF, 0xC3]));
        assert!(Pattern::prefix([0xFF]).matches(&[0xFF, 0xC3]));
        assert!(Pattern::all().matches(&[0xFF]));
    }

    /// The definition, by recursion, to compare with.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => slow(rest, text),
            (Some((b'*', rest)), Some((_, tail))) => slow(rest, text) || slow(pattern, tail),
            (Some((b'?', rest)), Some((_, tail))) => slow(rest, tail),
            (Some((byte, rest)), Some((first, tail))) => byte == first && slow(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn c9_an_escaped_key_matches_itself_only(key in "\\PC{0,12}", other in "\\PC{0,12}") {
            let glob = Pattern::glob(&Pattern::escape(&key)).expect("an escaped key is a valid pattern");
            prop_assert!(glob.matches(key.as_bytes()));
            prop_assert_eq!(glob.matches(other.as_bytes()), key == other);
        }

        #[test]
        fn c9_agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let glob = Pattern::glob(&pattern).expect("no brackets, no escapes");
            prop_assert_eq!(glob.matches(text.as_bytes()), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
