//! Each `tests/cases/*.wat` beside the report it gives. `BLESS=1 cargo test -p alligator-bound
//! --test cases` rewrites the reports; `<case>.bounds.toml` and `<case>.costs.toml` go with a case.

use std::path::{Path, PathBuf};

use alligator_bound::cost::CostTable;
use alligator_bound::loops::Bounds;
use alligator_bound::{Options, analyze};

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("the corpus is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat"))
        .collect();
    cases.sort();
    cases
}

fn beside(case: &Path, extension: &str) -> Option<String> {
    std::fs::read_to_string(case.with_extension(extension)).ok()
}

fn report(case: &Path) -> String {
    let bytes = wat::parse_file(case).unwrap_or_else(|error| panic!("{error}"));
    let mut options = Options {
        witness: true,
        ..Options::default()
    };
    if let Some(text) = beside(case, "bounds.toml") {
        options.bounds = Bounds::from_toml(&text).expect("a bounds file");
    }
    if let Some(text) = beside(case, "costs.toml") {
        options.costs = CostTable::from_toml(&text).expect("a cost table");
    }
    match analyze(&bytes, &options) {
        Ok(report) => report.to_json(),
        Err(error) => format!("refused: {error}\n"),
    }
}

#[test]
fn every_case_gives_its_report() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut different = Vec::new();
    for case in cases() {
        let actual = report(&case);
        let expected = case.with_extension("expected");
        if bless {
            std::fs::write(&expected, &actual).expect("writable");
        } else if std::fs::read_to_string(&expected).ok().as_deref() != Some(&actual) {
            different.push(format!("{}:\n{actual}", case.display()));
        }
    }
    assert!(
        different.is_empty(),
        "BLESS=1 accepts:\n{}",
        different.join("\n")
    );
}
