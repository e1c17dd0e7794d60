//! Tables: plain text and Markdown, and what the demo shows in a frame.

use core::fmt;

use comfy_table::{
    Attribute, Cell as ComfyCell, CellAlignment, ContentArrangement, Table as Comfy, TableStyle,
    presets,
};

use crate::stats::{Spread, float};
use alligator_tools::allocator::Kind;

/// A cell of a table.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(String),
    /// A text that is read, not compared: to the left where that can be.
    Left(String),
    /// A figure, with so many digits after the point.
    Number(Option<f64>, usize),
    /// A median, and half of the middle half.
    Spread(Option<Spread>),
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

impl Cell {
    /// A count; what is not there is a dash.
    pub(crate) fn count(count: Option<u64>) -> Self {
        Self::Number(count.map(float), 0)
    }

    /// What the cell is compared and sorted by, if it is a figure.
    pub(crate) fn value(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Left(_) => None,
            Self::Number(value, _) => value.filter(|value| value.is_finite()),
            Self::Spread(spread) => spread.map(|spread| spread.median),
        }
    }

    /// What the cell shows, figures as `number` writes them.
    pub(crate) fn text(&self, number: impl Fn(f64, usize) -> String, none: &str) -> String {
        let figure = |value: Option<f64>, digits| {
            value.map_or_else(|| none.to_owned(), |value| number(value, digits))
        };
        match self {
            Self::Text(text) | Self::Left(text) => text.clone(),
            Self::Number(_, digits) => figure(self.value(), *digits),
            Self::Spread(None) => none.to_owned(),
            Self::Spread(Some(spread)) => {
                let half = (spread.high - spread.low) / 2.0;
                format!("{:.2} ±{half:.2}", spread.median)
            }
        }
    }
}

/// A row, with what the allocator is that it is of.
type Row = (Option<Kind>, Vec<Cell>);

/// Rows of cells, the heading first. The first column is to the left, the others to the right.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn new<T: Into<Cell>>(heading: impl IntoIterator<Item = T>) -> Self {
        let mut table = Self::default();
        table.row(heading);
        table
    }

    pub(crate) fn row<T: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.row_of(None, cells);
    }

    /// A row that is of an allocator.
    pub(crate) fn row_of<T: Into<Cell>>(
        &mut self,
        kind: Option<Kind>,
        cells: impl IntoIterator<Item = T>,
    ) {
        let cells = cells.into_iter().map(Into::into);
        self.rows.push((kind, cells.collect()));
    }

    /// A row with a label before its cells.
    pub(crate) fn labelled<T: Into<Cell>>(
        &mut self,
        label: &str,
        cells: impl IntoIterator<Item = T>,
    ) {
        let cells = cells.into_iter().map(Into::into);
        self.row(core::iter::once(label.into()).chain(cells));
    }

    /// True if there is nothing below the heading.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// The heading, and the rows below it.
    pub(crate) fn parts(&self) -> (&[Cell], &[Row]) {
        match self.rows.split_first() {
            Some(((_, heading), rows)) => (heading, rows),
            None => (&[], &[]),
        }
    }

    /// What every cell shows.
    fn texts(&self) -> Vec<Vec<String>> {
        let number = |value, digits| format!("{value:.digits$}");
        let texts = |cells: &[Cell]| cells.iter().map(|cell| cell.text(number, "-")).collect();
        self.rows.iter().map(|(_, cells)| texts(cells)).collect()
    }

    /// For a terminal: columns two spaces apart, a line under the heading.
    pub(crate) fn plain(&self) -> String {
        let text = comfy(&self.texts(), presets::NOTHING, [(0, 0), (2, 0)]).to_string();
        let (heading, rows) = text.split_once('\n').unwrap_or((&text, ""));
        let line = "-".repeat(heading.chars().count());
        format!("{heading}\n{line}\n{rows}\n")
    }
}

/// Rows for the library; the heading is a row as the others are.
fn comfy(rows: &[Vec<String>], style: TableStyle, padding: [(u16, u16); 2]) -> Comfy {
    let mut table = Comfy::new();
    table.load_style(style).force_no_tty();
    table.add_rows(rows);
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding(padding[place.min(1)]);
        if place > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Markdown.
impl fmt::Display for Table {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// No column is narrower: a rule needs that much.
        const WIDTH_MIN: u16 = 3;
        let mut rows = self.texts();
        let widths = comfy(&rows, presets::NOTHING, [(0, 0); 2]).column_max_content_widths();
        let rule = widths.into_iter().enumerate().map(|(place, width)| {
            let dashes = "-".repeat(usize::from(width.max(WIDTH_MIN)) - 1);
            let end = if place == 0 { "-" } else { ":" };
            dashes + end
        });
        rows.insert(1.min(rows.len()), rule.collect());
        writeln!(to, "{}", comfy(&rows, presets::ASCII_MARKDOWN, [(1, 1); 2]))
    }
}

/// An empty table in a frame, as wide as the terminal allows.
pub(crate) fn framed() -> Comfy {
    let mut table = Comfy::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY.with_rounded_corners())
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(terminal_columns());
    if console::colors_enabled() {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

/// Columns of the terminal, 80 when there is none.
pub(crate) fn terminal_columns() -> u16 {
    console::Term::stdout()
        .size_checked()
        .map_or(80, |(_rows, columns)| columns)
}

pub(crate) fn header(text: &str) -> ComfyCell {
    ComfyCell::new(text).add_attribute(Attribute::Bold)
}

pub(crate) fn number_cell(text: &str) -> ComfyCell {
    ComfyCell::new(text).set_alignment(CellAlignment::Right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["workload", "a", "±b"]);
        table.row(["small", "1.25", "-"]);
        table.row(["", "10", "3 ±4"]);
        table
    }

    #[test]
    fn a_plain_table_has_its_first_column_to_the_left() {
        let expected = "workload     a    ±b\n\
                        --------------------\n\
                        small     1.25     -\n\
                        \x20           10  3 ±4\n";
        assert_eq!(table().plain(), expected);
    }

    #[test]
    fn markdown_says_how_columns_are_aligned() {
        let expected = "| workload |    a |   ±b |\n\
                        | -------- | ---: | ---: |\n\
                        | small    | 1.25 |    - |\n\
                        |          |   10 | 3 ±4 |\n";
        assert_eq!(table().to_string(), expected);
    }
}
