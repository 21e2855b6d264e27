//! What each error code means to people: `docs/errors.md`, taken along in the program.

/// The index of errors.
const DOCUMENT: &str = include_str!("../../../docs/errors.md");

/// What begins an entry.
const ENTRY: &str = "\n### `";

/// An entry of the index of errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The code, e.g. `not_found`.
    pub code: &'static str,
    /// Exit code of the command line, where it can end with this error, and with only one.
    pub exit: Option<u8>,
    /// HTTP status, where a server can answer this error, and with only one.
    pub status: Option<u16>,
    /// What happened and what to do, in Markdown.
    pub text: &'static str,
}

/// What a code means. Hyphens are as good as underscores.
pub fn explain(code: &str) -> Option<Explanation> {
    let code = code.replace('-', "_");
    explanations().find(|explanation| explanation.code == code)
}

/// Every entry, in the order of the document.
pub fn explanations() -> impl Iterator<Item = Explanation> {
    DOCUMENT.split(ENTRY).skip(1).filter_map(|entry| {
        let (code, text) = entry.split_once('`')?;
        let text = text.split("\n## ").next().unwrap_or(text).trim();
        let places = text.lines().next().unwrap_or_default();
        Some(Explanation { code, exit: number(places, "Exit "), status: number(places, "HTTP "), text })
    })
}

/// The number behind a word.
fn number<N: std::str::FromStr>(line: &str, word: &str) -> Option<N> {
    let rest = line.split_once(word)?.1;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_with_their_numbers() {
        let entry = explain("not-found").expect("an entry");
        assert_eq!((entry.code, entry.exit, entry.status), ("not_found", Some(3), Some(404)));
        assert!(entry.text.contains("What to do"), "{}", entry.text);
        assert_eq!(explain("no_such_code"), None);
    }

    #[test]
    fn every_code_is_explained_and_every_entry_says_what_to_do() {
        for classified in crate::all_codes() {
            assert!(
                explain(classified.code).is_some(),
                "docs/errors.md does not explain {}",
                classified.code
            );
        }
        for entry in explanations() {
            for part in ["**What happened.**", "**What to do.**"] {
                assert!(entry.text.contains(part), "the entry of {} has no {part}", entry.code);
            }
        }
    }
}
