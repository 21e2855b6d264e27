//! Two versions beside each other: words of corpora, lines of other texts.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use floret_model::{ResourceKey, ResourceType, Seq};
use floret_pipeline::{Floret, Freshness, LARGE_BYTES, Snapshot};
use floret_show::{bytes, count, plural};
use maud::{Markup, html};
use serde::Deserialize;
use similar::{ChangeTag, TextDiff};

use super::layout::{self, Section, empty, scroll};
use super::{Console, at};
use crate::given::{Named, Parameters};
use crate::problem::Problem;

/// Words that are shown of each kind, and lines.
const WORDS_MAX: usize = 200;
const LINES_MAX: usize = 2_000;
/// Texts up to this length are compared line by line.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// After so long a shorter difference is not looked for any more.
const COMPARE_TIMEOUT: Duration = Duration::from_secs(2);
/// Unchanged lines around changed ones.
const CONTEXT: usize = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pair {
    a: u64,
    b: u64,
}

pub(super) async fn page(
    State(host): State<Arc<Floret>>,
    State(console): State<Arc<Console>>,
    Named(key): Named,
    Parameters(pair): Parameters<Pair>,
) -> Result<Response, Problem> {
    let (a, b) = (read(&host, &key, pair.a).await?, read(&host, &key, pair.b).await?);
    let is_corpus = key.resource_type == ResourceType::corpus();
    let sizes = (a.content.len() as u64, b.content.len() as u64);
    let compared = tokio::task::spawn_blocking(move || {
        match (std::str::from_utf8(&a.content), std::str::from_utf8(&b.content)) {
            _ if a.content == b.content => empty("Both have the same content."),
            (Ok(a), Ok(b)) if is_corpus => words(a, b),
            (Ok(a), Ok(b)) if a.len().max(b.len()) <= TEXT_BYTES_MAX => lines(a, b),
            (Ok(_), Ok(_)) => empty("They are too long to be compared line by line."),
            _ => empty("They differ, and are no texts."),
        }
    });
    let compared = compared.await.map_err(|_| Problem::unexpected())?;
    let body = html! {
        form class="line" {
            label { "Seq" input type="number" name="a" min="1" value=(pair.a) required; }
            label { "and seq" input type="number" name="b" min="1" value=(pair.b) required; }
            button class="main" { "Compare" }
        }
        p class="faint" { (bytes(sizes.0)) " and " (bytes(sizes.1)) ". " a href=(at(&key)) { "Back to the resource" } }
        (compared)
    };
    Ok(layout::page(&console, Section::Resources, &format!("{key}: @{} and @{}", pair.a, pair.b), body))
}

async fn read(host: &Floret, key: &ResourceKey, seq: u64) -> Result<Arc<Snapshot>, Problem> {
    let selector = crate::given::selector(Some(seq), None)?;
    let found = host.find(key, &selector, Freshness::Cached).await?;
    if found.version().content_location.size_bytes > LARGE_BYTES {
        return Err(Problem::invalid(format!(
            "{key}@{} is longer than {}, the most that is compared here",
            Seq(seq),
            bytes(LARGE_BYTES)
        )));
    }
    Ok(host.read(found).await?)
}

/// A word with its counts before and after; 0 where it was not there.
type Changed<'a> = (&'a str, u64, u64);

/// Words of two corpora that differ in their counts. Both are sorted.
fn changed<'a>(a: &'a str, b: &'a str) -> Vec<Changed<'a>> {
    let counted = |line: &'a str| {
        let (word, count) = line.split_once('\t')?;
        Some((word, count.parse().ok()?))
    };
    let mut a = a.lines().filter_map(counted).peekable();
    let mut b = b.lines().filter_map(counted).peekable();
    let mut found = Vec::new();
    loop {
        let order = match (a.peek(), b.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.0.cmp(b.0),
        };
        let before = if order.is_le() { a.next() } else { None };
        let after = if order.is_ge() { b.next() } else { None };
        match (before, after) {
            (Some((word, before)), Some((_, after))) if before != after => found.push((word, before, after)),
            (Some((word, before)), None) => found.push((word, before, 0)),
            (None, Some((word, after))) => found.push((word, 0, after)),
            _ => {}
        }
    }
}

fn words(a: &str, b: &str) -> Markup {
    let mut all = changed(a, b);
    all.sort_by_key(|(word, before, after)| (std::cmp::Reverse(before.abs_diff(*after)), *word));
    let (added, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, before, _)| *before == 0);
    let (gone, moved): (Vec<_>, Vec<_>) = others.into_iter().partition(|(_, _, after)| *after == 0);
    html! {
        div class="tiles" {
            (layout::tile(&count(added.len() as u64), "words are new"))
            (layout::tile(&count(gone.len() as u64), "words are gone"))
            (layout::tile(&count(moved.len() as u64), "words are more or less frequent"))
        }
        div class="columns" {
            @for (title, class, list) in [("New", "added", &added), ("Gone", "removed", &gone), ("More or less frequent", "", &moved)] {
                section { h2 { (title) } (counts(title, class, list)) }
            }
        }
    }
}

fn counts(title: &str, class: &str, list: &[Changed<'_>]) -> Markup {
    html! {
        @if list.is_empty() { (empty("None.")) } @else {
            (scroll(title, html! {
                table {
                    thead { tr { th { "word" } th class="number" { "before" } th class="number" { "after" } } }
                    tbody {
                        @for (word, before, after) in list.iter().take(WORDS_MAX) {
                            tr { td class={ "wide " (class) } { (word) } td class="number" { (count(*before)) } td class="number" { (count(*after)) } }
                        }
                    }
                }
            }))
            @if list.len() > WORDS_MAX { p class="small faint" { "The first " (WORDS_MAX) " of " (plural(list.len() as u64, "word")) ", by how much they changed." } }
        }
    }
}

fn lines(a: &str, b: &str) -> Markup {
    let diff = TextDiff::configure().timeout(COMPARE_TIMEOUT).diff_lines(a, b);
    let mut shown = 0;
    html! {
        pre class="diff" tabindex="0" {
            @for group in diff.grouped_ops(CONTEXT) {
                @if let (Some(first), true) = (group.first(), shown < LINES_MAX) {
                    span class="faint" { "@ line " (first.new_range().start + 1) }
                    @for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                        @if shown < LINES_MAX {
                            ({ shown += 1; line(change.tag(), change.value()) })
                        }
                    }
                }
            }
        }
        @if shown == LINES_MAX { p class="small faint" { "The first " (LINES_MAX) " lines." } }
    }
}

fn line(tag: ChangeTag, text: &str) -> Markup {
    let (sign, class) = match tag {
        ChangeTag::Insert => ('+', "added"),
        ChangeTag::Delete => ('-', "removed"),
        ChangeTag::Equal => (' ', ""),
    };
    html! { span class=(class) { (sign) " " (text.trim_end_matches(['\n', '\r'])) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_by_their_counts() {
        let a = "a\t1\nb\t2\nd\t4\n";
        let b = "a\t1\nb\t3\nc\t1\n";
        assert_eq!(changed(a, b), [("b", 2, 3), ("c", 0, 1), ("d", 4, 0)]);
        assert!(changed(a, a).is_empty());
        assert_eq!(changed("", "é\t1\n"), [("é", 0, 1)]);
        assert!(changed("no counts\n", "").is_empty());
    }

    #[test]
    fn lines_are_shown_with_those_around_them_and_escaped() {
        let page = lines("a\nb\n<i>\n", "a\nc\n<i>\n").into_string();
        for expected in ["- b", "+ c", "&lt;i&gt;"] {
            assert!(page.contains(expected), "{page}");
        }
    }
}
