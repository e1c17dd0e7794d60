//! The heap as a picture: a line per page, a cell per granule of 1 KiB, and a table by size class.

use std::collections::BTreeMap;

use alligator_report::{Piece, PieceKind as Kind, Snapshot};
use anyhow::{Result, bail};
use console::Style;
use indicatif::HumanCount;

use crate::fuel::PAGE_BYTES;
use crate::table::{framed, header, number_cell, terminal_columns};

/// Bytes that one cell stands for.
const CELL_BYTES: u64 = 1024;
/// Cells of a page.
const PAGE_CELLS: u64 = PAGE_BYTES / CELL_BYTES;
/// Columns beside the cells: page number, frame, fill.
const MARGIN_COLUMNS: u16 = 15;

/// Columns of the terminal that two size classes side by side need.
const CLASS_COLUMNS_WIDTH: u16 = 80;

/// The fill of a `MiniPage`, from one eighth to full.
const FILLS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// Sizes up to which a slot has one of the colours.
const BANDS: [(u64, &str); 4] = [
    (64, "slots to 64 B"),
    (256, "to 256 B"),
    (1024, "to 1 KiB"),
    (u64::MAX, "larger"),
];

/// Bytes in slots or runs that the program holds.
fn used_bytes(piece: &Piece) -> u64 {
    match piece.kind {
        Kind::MiniPage {
            slot_bytes,
            slots,
            free,
        } => (slots - free) * slot_bytes,
        Kind::Run => piece.bytes,
        Kind::Records | Kind::FreeRun | Kind::Foreign => 0,
    }
}

/// How many of the piece's bytes are in a range.
fn overlap_bytes(piece: &Piece, start: u64, bytes: u64) -> u64 {
    let end = (piece.address + piece.bytes).min(start + bytes);
    end.saturating_sub(piece.address.max(start))
}

/// `MiniPage`s of one slot size.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClassFill {
    pub(super) mini_pages: u64,
    pub(super) slots: u64,
    pub(super) used_slots: u64,
}

/// The heap at one moment, in the order of addresses.
#[derive(Debug)]
pub(super) struct Picture {
    pieces: Vec<Piece>,
}

impl Picture {
    /// Of a snapshot that the guest took of itself, all of whose invariants hold.
    pub(super) fn of(snapshot: Snapshot) -> Result<Self> {
        if let Some((invariant, address)) = snapshot.broken {
            bail!("the heap is broken: {invariant} (at {address:#x})");
        }
        Ok(Self {
            pieces: snapshot.pieces,
        })
    }

    /// Bytes of all pieces that `wanted` selects.
    pub(super) fn bytes_of(&self, wanted: impl Fn(Kind) -> bool) -> u64 {
        let selected = self.pieces.iter().filter(|piece| wanted(piece.kind));
        selected.map(|piece| piece.bytes).sum()
    }

    /// `MiniPage`s by slot size in bytes.
    pub(super) fn classes(&self) -> BTreeMap<u64, ClassFill> {
        let mut classes: BTreeMap<u64, ClassFill> = BTreeMap::new();
        for piece in &self.pieces {
            if let Kind::MiniPage {
                slot_bytes,
                slots,
                free,
            } = piece.kind
            {
                let class = classes.entry(slot_bytes).or_default();
                class.mini_pages += 1;
                class.slots += slots;
                class.used_slots += slots - free;
            }
        }
        classes
    }

    /// The heap's pages by number.
    fn pages(&self) -> BTreeMap<u64, Page> {
        let mut pages: BTreeMap<u64, Page> = BTreeMap::new();
        for piece in self.pieces.iter().filter(|piece| piece.bytes > 0) {
            let first = piece.address / CELL_BYTES;
            let last = (piece.address + piece.bytes - 1) / CELL_BYTES;
            for cell in first..=last {
                let page = pages.entry(cell / PAGE_CELLS).or_default();
                page.add(cell % PAGE_CELLS, piece, cell * CELL_BYTES);
            }
        }
        pages.retain(|_, page| !page.is_foreign());
        pages
    }
}

/// A page's cells: the piece that has most of each, with the bytes it has there.
#[derive(Default)]
struct Page {
    cells: BTreeMap<u64, (Piece, u64)>,
    used_bytes: u64,
}

impl Page {
    fn add(&mut self, cell: u64, piece: &Piece, cell_address: u64) {
        let bytes = overlap_bytes(piece, cell_address, CELL_BYTES);
        self.used_bytes += used_bytes(piece) * bytes / piece.bytes;
        let shown = self.cells.get(&cell).map_or(0, |&(_, bytes)| bytes);
        if bytes > shown {
            self.cells.insert(cell, (*piece, bytes));
        }
    }

    fn is_foreign(&self) -> bool {
        self.cells
            .values()
            .all(|(piece, _)| piece.kind == Kind::Foreign)
    }

    fn cells(&self, range: core::ops::Range<u64>) -> String {
        range
            .map(|cell| match self.cells.get(&cell) {
                Some((piece, _)) => glyph(piece.kind),
                None => " ".to_owned(),
            })
            .collect()
    }
}

/// Prints the picture, at most `pages_max` pages of it, the legend, and the size classes.
pub(super) fn print(picture: &Picture, pages_max: usize) {
    let pages = picture.pages();
    println!();
    println!("Alligator's heap half-way: a page of 64 KiB per line, 1 KiB per cell, in use: %");
    print_pages(&pages, pages_max);
    print_legend();
    print_classes(picture);
    print_sums(picture);
}

fn print_pages(pages: &BTreeMap<u64, Page>, pages_max: usize) {
    let line_cells = if u64::from(terminal_columns()) >= PAGE_CELLS + u64::from(MARGIN_COLUMNS) {
        PAGE_CELLS
    } else {
        PAGE_CELLS / 2
    };
    for (number, page) in pages.iter().take(pages_max) {
        let percent = page.used_bytes * 100 / PAGE_BYTES;
        println!("{number:>5} │{}│ {percent:>3} %", page.cells(0..line_cells));
        if line_cells < PAGE_CELLS {
            println!("      │{}│", page.cells(line_cells..PAGE_CELLS));
        }
    }
    if pages.len() > pages_max {
        let hidden = pages.len() - pages_max;
        println!("      {hidden} more; --pages {} draws all", pages.len());
    }
}

fn print_legend() {
    let mut bands = BANDS.iter().zip(0..).map(|(&(_, name), band)| {
        let sample = band_style(band).apply_to(FILLS[7]);
        format!("{sample} {name}")
    });
    let bands = bands.by_ref().collect::<Vec<_>>().join("  ");
    println!("      {bands}  (height: how full)");
    let kinds = [
        (Kind::Run, "large block"),
        (Kind::FreeRun, "free"),
        (Kind::Records, "MetaPages"),
        (Kind::Foreign, "someone else's"),
    ];
    let kinds = kinds.map(|(kind, name)| format!("{} {name}", glyph(kind)));
    println!("      {}", kinds.join("  "));
}

/// The size classes, in two columns where the terminal is wide enough.
fn print_classes(picture: &Picture) {
    let rows: Vec<[String; 4]> = picture.classes().iter().map(class_row).collect();
    let columns = if terminal_columns() >= CLASS_COLUMNS_WIDTH {
        2
    } else {
        1
    };
    let height = rows.len().div_ceil(columns);
    let titles = ["slot", "MiniPages", "used/slots", "full"];
    let mut table = framed();
    table.set_header((0..columns).flat_map(|_| titles.map(header)));
    for index in 0..height {
        let across = (0..columns).filter_map(|column| rows.get(index + column * height));
        table.add_row(across.flatten().map(|text| number_cell(text)));
    }
    println!("{table}");
}

fn class_row((slot_bytes, class): (&u64, &ClassFill)) -> [String; 4] {
    [
        slot_bytes.to_string(),
        class.mini_pages.to_string(),
        format!("{}/{}", class.used_slots, class.slots),
        format!("{} %", class.used_slots * 100 / class.slots.max(1)),
    ]
}

fn print_sums(picture: &Picture) {
    let kib = |wanted: fn(Kind) -> bool| HumanCount(picture.bytes_of(wanted).div_ceil(1024));
    println!(
        "MiniPages {} KiB, large blocks {} KiB, free {} KiB, MetaPages {} KiB",
        kib(|kind| matches!(kind, Kind::MiniPage { .. })),
        kib(|kind| kind == Kind::Run),
        kib(|kind| kind == Kind::FreeRun),
        kib(|kind| kind == Kind::Records),
    );
}

fn glyph(kind: Kind) -> String {
    match kind {
        Kind::Records => Style::new().blue().apply_to("◆").to_string(),
        Kind::MiniPage {
            slot_bytes,
            slots,
            free,
        } => band_style(band_of(slot_bytes))
            .apply_to(fill_glyph(slots - free, slots))
            .to_string(),
        Kind::Run => Style::new().red().apply_to("■").to_string(),
        Kind::FreeRun => Style::new().dim().apply_to("·").to_string(),
        Kind::Foreign => Style::new().dim().apply_to("×").to_string(),
    }
}

/// A bar as high as the `MiniPage` is full; only an empty one has none.
fn fill_glyph(used_slots: u64, slot_count: u64) -> &'static str {
    let eighths = (used_slots * 8).div_ceil(slot_count.max(1));
    match usize::try_from(eighths).unwrap_or(0) {
        0 => "_",
        eighths => FILLS[eighths.min(FILLS.len()) - 1],
    }
}

/// The first band whose limit holds the size.
fn band_of(slot_bytes: u64) -> usize {
    BANDS
        .iter()
        .take_while(|(limit, _)| *limit < slot_bytes)
        .count()
}

fn band_style(band: usize) -> Style {
    match band {
        0 => Style::new().cyan(),
        1 => Style::new().green(),
        2 => Style::new().yellow(),
        _ => Style::new().magenta(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(page: &Page) -> String {
        console::strip_ansi_codes(&page.cells(0..PAGE_CELLS))
            .trim_end()
            .to_owned()
    }

    fn picture(pieces: &[(Kind, u64, u64)]) -> Picture {
        let pieces = pieces.iter().map(|&(kind, address, bytes)| Piece {
            kind,
            address,
            bytes,
        });
        let snapshot = Snapshot {
            pieces: pieces.collect(),
            broken: None,
        };
        Picture::of(snapshot).expect("a whole heap")
    }

    #[test]
    fn a_cell_shows_the_piece_that_has_most_of_it() {
        let half = Kind::MiniPage {
            slot_bytes: 32,
            slots: 64,
            free: 32,
        };
        let picture = picture(&[
            (Kind::Records, 0, 1024),
            (half, 1024, 2048),
            (Kind::Run, 3072, 1300),
            (Kind::FreeRun, 4372, 2000),
        ]);
        assert_eq!(plain(&picture.pages()[&0]), "◆▄▄■···");
    }

    #[test]
    fn a_piece_across_a_page_is_in_both() {
        let pages = picture(&[(Kind::Run, PAGE_BYTES - 1024, 2048)]).pages();
        assert_eq!(pages[&0].used_bytes, 1024);
        assert_eq!(pages[&1].used_bytes, 1024);
    }

    #[test]
    fn a_broken_heap_is_not_drawn() {
        let snapshot = Snapshot {
            pieces: Vec::new(),
            broken: Some(("Merged".to_owned(), 0x800)),
        };
        let error = Picture::of(snapshot).expect_err("is broken");
        assert_eq!(error.to_string(), "the heap is broken: Merged (at 0x800)");
    }

    #[test]
    fn only_an_empty_mini_page_has_no_bar() {
        assert_eq!([0, 1, 64].map(|used| fill_glyph(used, 64)), ["_", "▁", "█"]);
    }
}
