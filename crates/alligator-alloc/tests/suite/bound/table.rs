//! The tables of `docs/memory.md` are what the calculator says.

use std::alloc::Layout;
use std::fmt::Write as _;

use alligator_alloc::MemoryBound;

use super::KIB;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/memory.md");
const MIB: usize = KIB * KIB;

/// Bytes, in KiB or MiB, with three digits.
fn written(bytes: usize) -> String {
    if bytes == usize::MAX {
        return String::from("none");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let (number, unit) = if bytes < MIB {
        (bytes as f64 / KIB as f64, "KiB")
    } else {
        (bytes as f64 / MIB as f64, "MiB")
    };
    let digits = if number < 9.995 {
        2
    } else {
        usize::from(number < 99.95)
    };
    let text = format!("{number:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text} {unit}")
}

/// What o1heap says of itself, without what it adds to each block: `2 M (1 + ⌈log2 n⌉)`, `n` in its smallest blocks.
fn o1heap(bytes: usize, largest: usize) -> usize {
    let fragments = largest.div_ceil(32).next_power_of_two();
    2 * bytes * (1 + fragments.ilog2() as usize)
}

/// Panics if the page has no such table, with the one to put there. A copy of the crate without the book has no page.
fn assert_on_page(table: &str) {
    if let Ok(page) = std::fs::read_to_string(PAGE) {
        assert!(page.contains(table), "docs/memory.md must have:\n\n{table}");
    }
}

#[test]
fn the_table_of_the_book_is_what_the_calculator_says() {
    let mut table = String::from(
        "| M | n | k | arena or `reserve` | growing | o1heap's formula |\n| --: | --: | --: | --: | --: | --: |\n",
    );
    for (bytes, largest, blocks) in [
        (64 * KIB, KIB, usize::MAX),
        (64 * KIB, 4 * KIB, 32),
        (100 * KIB, 16 * KIB, 20),
        (MIB, 64 * KIB, 20),
        (MIB, 64 * KIB, 100),
        (MIB, 64 * KIB, 1_000),
        (MIB, 64 * KIB, usize::MAX),
        (16 * MIB, MIB, 30),
        (16 * MIB, 8 * MIB, 3),
        (64 * MIB, 16 * MIB, 10),
    ] {
        let bound = MemoryBound::of_blocks(bytes, largest, blocks);
        let blocks = if blocks == usize::MAX {
            String::from("any")
        } else {
            blocks.to_string()
        };
        let _ = writeln!(
            table,
            "| {} | {} | {blocks} | {} | {} | {} |",
            written(bytes),
            written(largest),
            written(bound.heap_bytes()),
            written(bound.growing_bytes()),
            written(o1heap(bytes, largest)),
        );
    }
    assert_on_page(&table);
}

#[test]
fn the_table_of_layouts_is_what_the_calculator_says() {
    let mut table = String::from(
        "| blocks | their bytes | arena or `reserve` | growing |\n| --- | --: | --: | --: |\n",
    );
    let lists: [(&str, &[(usize, usize)]); 7] = [
        ("9 of 64 KiB", &[(64 * KIB, 9)]),
        ("300 of 40 bytes, 64 of 400", &[(40, 300), (400, 64)]),
        ("64 of 400 bytes, 8 of 64 KiB", &[(400, 64), (64 * KIB, 8)]),
        (
            "60 of 2 KiB, 10 of 8 KiB, 4 of 32 KiB",
            &[(2 * KIB, 60), (8 * KIB, 10), (32 * KIB, 4)],
        ),
        (
            "1,000 of 200 bytes, 30 of 16 KiB, 2 of 1 MiB",
            &[(200, 1_000), (16 * KIB, 30), (MIB, 2)],
        ),
        (
            "1,000 of 200 bytes, 30 of 16 KiB",
            &[(200, 1_000), (16 * KIB, 30)],
        ),
        ("2 of 1 MiB", &[(MIB, 2)]),
    ];
    for (name, list) in lists {
        let bytes = list.iter().map(|(size, count)| size * count).sum();
        let layouts: Vec<_> = list
            .iter()
            .map(|&(size, count)| (Layout::from_size_align(size, 8).expect("a layout"), count))
            .collect();
        let bound = MemoryBound::of_layouts(&layouts);
        let _ = writeln!(
            table,
            "| {name} | {} | {} | {} |",
            written(bytes),
            written(bound.heap_bytes()),
            written(bound.growing_bytes()),
        );
    }
    assert_on_page(&table);
}
