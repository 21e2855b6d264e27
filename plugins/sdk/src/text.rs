//! Unicode folding, the same for builders and searchers.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// Fold case and normalise into `folded`, which is cleared first: full case folding of Unicode (`Straße` →
/// `strasse`) over canonical decomposition, then Normalization Form C: NFC(toCasefold(NFD(text))), the
/// canonical caseless form of the Unicode Standard (definition D145) composed again. ASCII is lower-cased.
pub fn fold_into(text: &str, folded: &mut String) {
    folded.clear();
    if text.is_ascii() {
        folded.push_str(text);
        folded.make_ascii_lowercase();
    } else {
        folded.extend(text.nfd().default_case_fold().nfc());
    }
}

/// [`fold_into`] a new string.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn folds_and_composes() {
        for (text, expected) in [
            ("HELLO", "hello"),
            ("Straße", "strasse"),
            ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
            ("e\u{301}", "é"),
            ("É", "é"),
            ("ﬁn", "fin"),
            ("İ", "i\u{307}"),
        ] {
            assert_eq!(fold(text), expected);
            assert_eq!(fold(&fold(text)), expected, "folding twice is folding once");
        }
    }
}
