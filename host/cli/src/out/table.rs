//! Tables: aligned columns for people, tab-separated lines for programs.

use comfy_table::{Attribute, CellAlignment, Color, ContentArrangement};
use floret_model::Digest;

use super::Tone;

/// One field of a row, in both of its forms.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    people: String,
    plain: String,
    tone: Tone,
    right: bool,
}

impl Cell {
    fn new(people: String, plain: String, right: bool) -> Self {
        Self { people, plain, tone: Tone::Plain, right }
    }

    pub(crate) fn text(text: impl ToString) -> Self {
        let text = text.to_string();
        Self::new(text.clone(), text, false)
    }

    /// A text for people, another for programs.
    pub(crate) fn either(people: impl ToString, plain: impl ToString) -> Self {
        Self::new(people.to_string(), plain.to_string(), false)
    }

    pub(crate) fn count(count: u64) -> Self {
        Self::new(floret_show::count(count), count.to_string(), true)
    }

    pub(crate) fn bytes(bytes: u64) -> Self {
        Self::new(floret_show::bytes(bytes), bytes.to_string(), true)
    }

    pub(crate) fn milliseconds(ms: f64) -> Self {
        Self::new(floret_show::milliseconds(ms), format!("{ms:.3}"), true)
    }

    pub(crate) fn number(people: String) -> Self {
        Self::new(people.clone(), people, true)
    }

    pub(crate) fn digest(digest: &Digest) -> Self {
        Self::new(digest.short(), digest.to_string(), false).tone(Tone::Faint)
    }

    pub(crate) fn none() -> Self {
        Self::new(String::new(), "-".to_owned(), false)
    }

    pub(crate) fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    /// Aligned as figures are.
    pub(crate) fn right(self) -> Self {
        Self { right: true, ..self }
    }
}

/// Rows under headings.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

impl Table {
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new(), indent: 0 }
    }

    /// A table that stands so many columns to the right.
    pub(crate) fn indented(self, indent: usize) -> Self {
        Self { indent, ..self }
    }

    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Lines of fields with a tab between them, without headings.
    pub(crate) fn plain(&self) -> String {
        let line =
            |row: &Vec<Cell>| row.iter().map(|cell| cell.plain.as_str()).collect::<Vec<_>>().join("\t");
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Aligned columns, two blanks between them.
    pub(crate) fn people(&self, color: bool) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let right =
            |column: usize| self.rows.iter().any(|row| row.get(column).is_some_and(|cell| cell.right));
        let align = |column| if right(column) { CellAlignment::Right } else { CellAlignment::Left };
        if self.headings.iter().any(|heading| !heading.is_empty()) {
            let heading = |(column, text): (usize, &&'static str)| {
                styled(comfy_table::Cell::new(text), Tone::Faint).set_alignment(align(column))
            };
            table.set_header(self.headings.iter().enumerate().map(heading));
        }
        for row in &self.rows {
            let cell = |(column, cell): (usize, &Cell)| {
                styled(comfy_table::Cell::new(&cell.people), cell.tone).set_alignment(align(column))
            };
            table.add_row(row.iter().enumerate().map(cell));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let margin = " ".repeat(self.indent);
        let lines = table.lines().map(|line| format!("{margin}{}", line.trim_end()));
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn styled(cell: comfy_table::Cell, tone: Tone) -> comfy_table::Cell {
    match tone {
        Tone::Plain => cell,
        Tone::Heading => cell.add_attribute(Attribute::Bold),
        Tone::Faint => cell.add_attribute(Attribute::Dim),
        Tone::Good => cell.fg(Color::DarkGreen),
        Tone::Notable => cell.fg(Color::DarkYellow),
        Tone::Bad => cell.fg(Color::DarkRed),
        Tone::Name => cell.fg(Color::DarkCyan),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["name", "size"]);
        table.row(vec![Cell::text("a").tone(Tone::Name), Cell::bytes(1_500)]);
        table.row(vec![Cell::text("longer"), Cell::bytes(7)]);
        table
    }

    #[test]
    fn people_get_aligned_columns() {
        assert_eq!(table().people(false), "name       size\na       1.50 kB\nlonger      7 B");
        assert!(table().people(true).contains('\u{1b}'));
    }

    #[test]
    fn programs_get_tabs_and_bare_numbers() {
        assert_eq!(table().plain(), "a\t1500\nlonger\t7");
    }
}
