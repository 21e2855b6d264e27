//! Small pictures of numbers.

use floret_show::{bytes, cut, milliseconds, percent};
use maud::{Markup, html};

/// In pixels, as for all that follow.
const WIDTH: f64 = 440.0;
const LINE_HEIGHT: f64 = 130.0;
const LEFT: f64 = 44.0;
const BOTTOM: f64 = 22.0;

/// Parts of one (0 to 1; none where nothing was asked) over time, the oldest first, `seconds` apart.
pub(super) fn rates(title: &str, rates: &[Option<f64>], seconds: u64) -> Markup {
    let (right, floor) = (WIDTH - 8.0, LINE_HEIGHT - BOTTOM);
    let step = (right - LEFT) / (rates.len().max(2) - 1) as f64;
    let y = |rate: f64| floor - rate * (floor - 8.0);
    let mut path = String::new();
    let mut is_down = false;
    for (place, rate) in rates.iter().enumerate() {
        match rate {
            Some(rate) => {
                let x = LEFT + place as f64 * step;
                path.push_str(&format!("{}{x:.1} {:.1}", if is_down { "L" } else { "M" }, y(*rate)));
                // A single point has no length, and would not be seen.
                if !is_down {
                    path.push_str("h0.1");
                }
                is_down = true;
            }
            None => is_down = false,
        }
    }
    let span = seconds * rates.len().saturating_sub(1) as u64;
    let latest = rates.iter().rev().flatten().next();
    let said = latest
        .map_or_else(|| "nothing was asked yet".to_owned(), |rate| format!("latest {}", percent(*rate)));
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (LINE_HEIGHT) } width=(WIDTH) height=(LINE_HEIGHT) role="img" aria-label={ (title) ": " (said) } {
            @for (rate, label) in [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")] {
                line class="rule" x1=(LEFT) x2=(right) y1=(y(rate)) y2=(y(rate)) {}
                text class="faint" x=(LEFT - 6.0) y=(y(rate) + 4.0) text-anchor="end" { (label) }
            }
            path class="hit" d=(path) stroke-linecap="round" stroke-linejoin="round" {}
            text class="faint" x=(LEFT) y=(LINE_HEIGHT - 5.0) { (ago(span)) }
            text class="faint" x=(right) y=(LINE_HEIGHT - 5.0) text-anchor="end" { "now" }
        }
    }
}

fn ago(seconds: u64) -> String {
    match seconds {
        0 => String::new(),
        1..120 => format!("{seconds} s ago"),
        _ => format!("{} min ago", seconds / 60),
    }
}

/// Amounts of bytes below each other, each with a name and a class for its colour.
pub(super) fn amounts(title: &str, rows: &[(&str, &'static str, u64)]) -> Markup {
    const ROW: f64 = 34.0;
    const NAMES: f64 = 110.0;
    const VALUES: f64 = 80.0;
    let most = rows.iter().map(|row| row.2).max().unwrap_or(0).max(1) as f64;
    let height = rows.len() as f64 * ROW;
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) role="img" aria-label=(title) {
            @for (place, (name, class, amount)) in rows.iter().enumerate() {
                @let top = place as f64 * ROW;
                @let width = (*amount as f64 / most * (WIDTH - NAMES - VALUES)).max(1.0);
                text x="0" y=(top + 20.0) { (name) }
                rect class=(class) x=(NAMES) y=(top + 5.0) width={ (format!("{width:.1}")) } height=(ROW - 12.0) rx="3" {}
                text x={ (format!("{:.1}", NAMES + width + 8.0)) } y=(top + 20.0) { (bytes(*amount)) }
            }
        }
    }
}

/// A stretch of time on a line of its own: when it began, and its parts one after the other, in milliseconds.
pub(super) struct Stretch {
    pub name: String,
    pub began_ms: f64,
    pub parts: Vec<(&'static str, f64)>,
}

impl Stretch {
    /// How long it lasted.
    pub fn length_ms(&self) -> f64 {
        self.parts.iter().map(|part| part.1).sum()
    }
}

/// Stretches below each other on one scale.
pub(super) fn schedule(title: &str, stretches: &[Stretch]) -> Markup {
    const ROW: f64 = 22.0;
    const NAMES: f64 = 210.0;
    const VALUES: f64 = 80.0;
    const WIDE: f64 = 900.0;
    let end = stretches.iter().map(|it| it.began_ms + it.length_ms()).fold(1.0, f64::max);
    let scale = (WIDE - NAMES - VALUES) / end;
    let height = stretches.len() as f64 * ROW + 24.0;
    html! {
        svg viewBox={ "0 0 " (WIDE) " " (height) } width=(WIDE) height=(height) role="img" aria-label=(title) {
            @for (place, stretch) in stretches.iter().enumerate() {
                @let top = place as f64 * ROW;
                text x={ (NAMES - 8.0) } y=(top + 15.0) text-anchor="end" { (cut(&stretch.name, 30)) }
                @for (class, x, width) in bars(stretch, scale) {
                    rect class=(class) x={ (format!("{:.1}", NAMES + x)) } y=(top + 3.0) width={ (format!("{width:.1}")) } height=(ROW - 7.0) {}
                }
                text class="faint" x={ (format!("{:.1}", NAMES + (stretch.began_ms + stretch.length_ms()) * scale + 6.0)) } y=(top + 15.0) {
                    (milliseconds(stretch.length_ms()))
                }
            }
            line class="rule" x1=(NAMES) x2=(WIDE - VALUES) y1=(height - 20.0) y2=(height - 20.0) {}
            text class="faint" x=(NAMES) y=(height - 5.0) { "0" }
            text class="faint" x=(WIDE - VALUES) y=(height - 5.0) text-anchor="end" { (milliseconds(end)) }
        }
    }
}

fn bars(stretch: &Stretch, scale: f64) -> Vec<(&'static str, f64, f64)> {
    let mut from = stretch.began_ms;
    let mut bars = Vec::with_capacity(stretch.parts.len());
    for &(class, length_ms) in &stretch.parts {
        bars.push((class, from * scale, (length_ms * scale).max(0.5)));
        from += length_ms;
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_nothing_hold_no_numbers_that_are_none() {
        let stretch = Stretch { name: "a<b>".to_owned(), began_ms: 0.0, parts: vec![("build", 0.0)] };
        for picture in [
            rates("hits", &[], 10),
            rates("hits", &[None, Some(0.5), None, Some(1.0), Some(0.0)], 10),
            amounts("bytes", &[("raw", "raw", 0)]),
            amounts("bytes", &[]),
            schedule("steps", &[]),
            schedule("steps", &[stretch]),
        ] {
            let picture = picture.into_string();
            assert!(
                !picture.contains("NaN") && !picture.contains("inf") && !picture.contains("<b>"),
                "{picture}"
            );
        }
    }

    #[test]
    fn a_line_is_broken_where_nothing_was_asked() {
        let picture = rates("hits", &[Some(0.0), None, Some(1.0), Some(1.0)], 10).into_string();
        assert_eq!(picture.matches('M').count(), 2, "{picture}");
        assert!(picture.contains("latest 100.0 %") && picture.contains("30 s ago"), "{picture}");
    }
}
