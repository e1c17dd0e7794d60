//! The report for a terminal, character by character. `BLESS=1 cargo test -p alligator-report` writes it anew.

mod common;

use std::path::Path;

use alligator_report::text;
use common::{report, small};

#[test]
fn the_text_is_as_recorded() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/small.txt");
    let found = text(&report(&small()), 10);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &found).expect("writable");
    }
    let expected = std::fs::read_to_string(&path).expect("readable");
    assert_eq!(found, expected);
}
