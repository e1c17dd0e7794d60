//! Parts of the page: tables whose columns can be sorted, plots, and the selects of these.

use indicatif::HumanCount;
use maud::{Markup, html};

use crate::run::Results;
use crate::table::{Cell, Table};
use alligator_tools::allocator::Kind;

/// Along which figures are compared: those of one row, or of one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    Rows,
    Columns,
    /// Not at all.
    Never,
}

/// A figure with commas between groups of three digits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures are not below 0 and far below 2^52"
)]
pub(super) fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let whole = HumanCount(whole.parse::<f64>().unwrap_or(0.0) as u64);
    format!("{whole}{fraction}")
}

fn text(cell: &Cell) -> String {
    cell.text(number, "–")
}

/// A table. Where figures of allocators are compared, the best of those that reclaim memory and are
/// no yardsticks is marked, with what equals it when written.
pub(super) fn table(results: &Results, table: &Table, compared: Compared) -> Markup {
    let (heading, rows) = table.parts();
    let counts = |name: &Cell| {
        // A version may follow the name.
        let name = text(name);
        let mut infos = results.allocators.iter();
        infos.any(|info| {
            let is_it = Some(info.name.as_str()) == name.split(' ').next();
            is_it && info.reclaims && info.kind != Kind::Yardstick
        })
    };
    let best = |cells: &mut dyn Iterator<Item = (&Cell, &Cell)>| {
        let figures = cells.filter(|(name, cell)| cell.value().is_some() && counts(name));
        let best = figures.map(|(_, cell)| cell).min_by(|left, right| {
            let [left, right] = [left, right].map(|cell| cell.value().unwrap_or(f64::NAN));
            left.total_cmp(&right)
        });
        best.map(main_figure)
    };
    let of_rows = |cells: &[Cell]| best(&mut heading.iter().zip(cells).skip(1));
    let of_column = |place: usize| {
        best(
            &mut rows
                .iter()
                .filter_map(|(_, cells)| Some((&cells[0], cells.get(place)?))),
        )
    };
    let of_columns: Vec<_> = (0..heading.len()).map(of_column).collect();
    let class = |cell: &Cell, row: &[Cell], place: usize| {
        let best = match compared {
            Compared::Rows => of_rows(row),
            Compared::Columns => of_columns[place].clone(),
            Compared::Never => None,
        };
        let is_best = place > 0 && cell.value().is_some() && best == Some(main_figure(cell));
        match cell {
            Cell::Left(_) => Some("left"),
            _ if is_best => Some("best"),
            Cell::Text(text) if text.ends_with(" broken") => Some("bad"),
            _ => None,
        }
    };
    html! {
        div.scroll { table {
            thead { tr { @for cell in heading {
                th scope="col" tabindex="0" class=[class(cell, &[], 0)] { (text(cell)) }
            } } }
            tbody { @for (kind, cells) in rows { tr class=[kind.map(class_of)] {
                @for (place, cell) in cells.iter().enumerate() {
                    td class=[class(cell, cells, place)] data-value=[cell.value()] { (text(cell)) }
                }
            } } }
        } }
    }
}

/// What is compared of a cell when it is written: a median without its spread.
fn main_figure(cell: &Cell) -> String {
    let text = text(cell);
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn class_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Ours => "ours",
        Kind::Yardstick => "yardstick",
        Kind::Peer | Kind::Control | Kind::Recorder => "peer",
    }
}

/// A select of a section's plot: values with what they are called, the chosen one.
pub(super) fn select(label: &str, options: &[(String, String)], chosen: &str) -> Markup {
    html! {
        label {
            (label) " "
            select aria-label=(label) {
                @for (value, text) in options {
                    option value=(value) selected[value == chosen] { (text) }
                }
            }
        }
    }
}

/// Where a plot is drawn, with what it shows.
pub(super) fn plot(name: &str, caption: &str) -> Markup {
    html! {
        figure {
            p.note hidden { "Not measured." }
            div data-plot=(name) role="img" aria-label=(caption) {}
            figcaption { (caption) }
        }
    }
}

/// What is folded until it is asked for.
pub(super) fn folded(summary: &str, is_open: bool, content: &Markup) -> Markup {
    html! { details open[is_open] { summary { (summary) } (content) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::sample::sample;

    #[test]
    fn figures_are_grouped() {
        assert_eq!(number(1_234_567.0, 0), "1,234,567");
        assert_eq!(number(1_234.567, 2), "1,234.57");
    }

    #[test]
    fn the_best_of_those_that_reclaim_is_marked() {
        let mut figures = Table::new(["allocator", "fuel"]);
        for (name, figure) in [("talc 5.1", 2.0), ("other", 1.0)] {
            figures.row([name.into(), Cell::Number(Some(figure), 1)]);
        }
        let page = table(&sample(), &figures, Compared::Columns).into_string();
        assert_eq!(page.matches("class=\"best\"").count(), 1);
        assert!(page.contains("<td class=\"best\" data-value=\"2\">2.0</td>"));
    }
}
