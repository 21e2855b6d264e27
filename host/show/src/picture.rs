//! A comparison as an SVG that stands alone: two panels of bars, one pair for each type and one for all together.

use std::fmt::Write;

use floret_pipeline::{Compared, Cost, Costs, PolicyComparison};

use crate::measure::{bytes, count, milliseconds, percent, plural};

/// In pixels, as for all that follow.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 24.0;
/// Where the panels begin, below titles and legend.
const TOP: f64 = 140.0;
/// Height of a pair of bars with the space below it.
const PAIR: f64 = 58.0;
const BAR: f64 = 18.0;
/// Left edges of the two panels, and the longest bar of each. Behind it there is room for a label.
const PANELS: [f64; 2] = [190.0, 600.0];
const BAR_MAX: f64 = 210.0;

const STYLE: &str = "
  :root { color-scheme: light dark; }
  .ground { fill: #ffffff; } .ink { fill: #1b1f24; } .faint { fill: #57606a; } .rule { stroke: #d0d7de; }
  .a { fill: #1f6fb2; } .b { fill: #c4561a; } .decode { opacity: 0.45; }
  text { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; font-size: 13px; }
  .title { font-size: 19px; font-weight: 600; } .heading { font-weight: 600; } .small { font-size: 12px; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #14171c; } .ink { fill: #e8ebef; } .faint { fill: #9aa4b0; } .rule { stroke: #39414b; }
    .a { fill: #6db3f2; } .b { fill: #f2a25c; }
  }
";

/// The picture. Deterministic for one comparison.
pub fn svg(comparison: &PolicyComparison) -> String {
    let types = comparison.by_type.iter().map(|(name, costs)| (name.as_str(), costs));
    let rows: Vec<(&str, &Costs)> = types.chain([("all", &comparison.total)]).collect();
    let height = TOP + 24.0 + rows.len() as f64 * PAIR + 28.0;
    let mut picture = Picture(String::new());
    picture.open(height, comparison);
    picture.legend(comparison);
    picture.panels(&rows);
    let mut foot = format!("{} replayed", plural(comparison.total.count, "logged decision"));
    if comparison.gone > 0 {
        let _ = write!(foot, "; the contents of {} more are gone", count(comparison.gone));
    }
    picture.text(MARGIN, height - 14.0, "faint small", "start", &foot);
    picture.0.push_str("</svg>\n");
    picture.0
}

/// What is drawn so far. Writing to a string does not fail, so that results are let go.
struct Picture(String);

impl Picture {
    fn open(&mut self, height: f64, comparison: &PolicyComparison) {
        let total = &comparison.total;
        let _ = write!(
            self.0,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">\n<title id=\"title\">{} beside {}</title>\n<desc id=\"desc\">{} of {} take {} under A and {} under B; {} are decided differently.</desc>\n<style>{STYLE}</style>\n<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n",
            escaped(&label(&comparison.a)),
            escaped(&label(&comparison.b)),
            plural(total.count, "content"),
            bytes(total.raw_bytes),
            bytes(total.a.bytes),
            bytes(total.b.bytes),
            count(total.differing),
        );
        self.text(MARGIN, 38.0, "ink title", "start", "Compression policies on what is stored");
    }

    fn legend(&mut self, comparison: &PolicyComparison) {
        for (line, class, side) in [(62.0, "a", &comparison.a), (84.0, "b", &comparison.b)] {
            let _ = writeln!(
                self.0,
                "<rect class=\"{class}\" x=\"{MARGIN}\" y=\"{line}\" width=\"14\" height=\"14\" rx=\"2\"/>"
            );
            let text = format!("{}: {}", class.to_uppercase(), cut(&label(side), 110));
            self.text(MARGIN + 22.0, line + 12.0, "ink", "start", &text);
        }
    }

    fn panels(&mut self, rows: &[(&str, &Costs)]) {
        let [sizes, times] = PANELS;
        self.text(sizes, TOP, "ink heading", "start", "Stored bytes, of raw");
        self.text(times, TOP, "ink heading", "start", "Time for a MB of raw bytes");
        self.text(times, TOP + 15.0, "faint small", "start", "encoding, then decoding in a lighter tone");
        let longest = rows.iter().flat_map(|(_, costs)| [per_mb(&costs.a, costs), per_mb(&costs.b, costs)]);
        let longest = longest.map(|(encode, decode)| encode + decode).fold(0.0, f64::max);
        let widest = rows.iter().flat_map(|(_, costs)| [of_raw(&costs.a, costs), of_raw(&costs.b, costs)]);
        let widest = widest.fold(1.0, f64::max);
        let bottom = TOP + 24.0 + rows.len() as f64 * PAIR - 10.0;
        for x in PANELS {
            let top = TOP + 24.0;
            let _ =
                writeln!(self.0, "<line class=\"rule\" x1=\"{x}\" y1=\"{top}\" x2=\"{x}\" y2=\"{bottom}\"/>");
        }
        for (place, (name, costs)) in rows.iter().enumerate() {
            let y = TOP + 30.0 + place as f64 * PAIR;
            self.text(MARGIN, y + 15.0, "ink heading", "start", &cut(name, 20));
            let counted = format!("{}, {}", count(costs.count), bytes(costs.raw_bytes));
            self.text(MARGIN, y + 32.0, "faint small", "start", &counted);
            for (y, class, cost) in [(y, "a", &costs.a), (y + BAR + 3.0, "b", &costs.b)] {
                let part = of_raw(cost, costs);
                let width = part / widest * BAR_MAX;
                self.bar(sizes, y, width, class, &bytes(cost.bytes));
                let told = format!("{}, {}", percent(part), bytes(cost.bytes));
                self.text(sizes + width + 6.0, y + 13.0, "ink small", "start", &told);
                let (encode, decode) = per_mb(cost, costs);
                let scale = |ms: f64| if longest > 0.0 { ms / longest * BAR_MAX } else { 0.0 };
                self.bar(times, y, scale(encode), class, &milliseconds(encode));
                self.bar(
                    times + scale(encode),
                    y,
                    scale(decode),
                    &format!("{class} decode"),
                    &milliseconds(decode),
                );
                let told = format!("{} + {}", milliseconds(encode), milliseconds(decode));
                self.text(times + scale(encode + decode) + 6.0, y + 13.0, "ink small", "start", &told);
            }
        }
    }

    fn bar(&mut self, x: f64, y: f64, width: f64, class: &str, title: &str) {
        let title = escaped(title);
        let _ = writeln!(
            self.0,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"><title>{title}</title></rect>"
        );
    }

    fn text(&mut self, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
        let text = escaped(text);
        let _ = writeln!(
            self.0,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }
}

fn label(side: &Compared) -> String {
    match side.config.is_empty() {
        true => side.component.clone(),
        false => format!("{} {}", side.component, serde_json::Value::Object(side.config.clone())),
    }
}

/// Stored bytes as a part of the raw ones; 0 of nothing.
fn of_raw(cost: &Cost, costs: &Costs) -> f64 {
    if costs.raw_bytes == 0 { 0.0 } else { cost.bytes as f64 / costs.raw_bytes as f64 }
}

/// Milliseconds of encoding and of decoding for 10^6 raw bytes; 0 of nothing.
fn per_mb(cost: &Cost, costs: &Costs) -> (f64, f64) {
    if costs.raw_bytes == 0 {
        return (0.0, 0.0);
    }
    let megabytes = costs.raw_bytes as f64 / 1e6;
    (cost.encode_ms / megabytes, cost.decode_ms / megabytes)
}

/// At most so many characters.
pub fn cut(text: &str, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no place for other control characters.
            character if character.is_control() => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use floret_model::Digest;
    use serde_json::json;

    use super::*;

    fn comparison() -> PolicyComparison {
        let side = |name: &str| Compared {
            component: name.to_owned(),
            digest: Digest::of(name.as_bytes()),
            config: json!({"a<b": "\u{1}&"}).as_object().expect("an object").clone(),
        };
        let cost = |bytes| Cost { bytes, encode_ms: 2.0, decode_ms: 1.0 };
        let costs = Costs { count: 3, raw_bytes: 1000, differing: 1, a: cost(500), b: cost(250) };
        PolicyComparison {
            a: side("one@1.0.0"),
            b: side("two@1.0.0"),
            decisions: 5,
            gone: 2,
            incomplete: 0,
            by_type: [("corpus".to_owned(), costs), ("empty".to_owned(), Costs::default())].into(),
            total: costs,
        }
    }

    #[test]
    fn texts_of_others_are_escaped_and_nothing_divides_by_zero() {
        let svg = svg(&comparison());
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b") && !svg.contains('\u{1}'), "{svg}");
        for word in ["NaN", "inf"] {
            assert!(!svg.contains(&format!("\"{word}")), "{svg}");
        }
        assert!(svg.contains("50.0 %, 500 B") && svg.contains("25.0 %, 250 B"), "{svg}");
        assert!(svg.contains("3 logged decisions replayed; the contents of 2 more are gone"), "{svg}");
        assert!(svg.contains("prefers-color-scheme: dark") && svg.contains("aria-labelledby"), "{svg}");
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
