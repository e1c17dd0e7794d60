//! What must hold of any input, valid or not. Tests and fuzz targets call the same.
#![allow(dead_code, reason = "each test uses a part")]

use alligator_bound::cost::CostTable;
use alligator_bound::loops::Bounds;
use alligator_bound::module::{InputError, Module};
use alligator_bound::report::Report;
use alligator_bound::{Options, analyze};

/// Functions of one module that are entries.
const ENTRIES_MAX: usize = 8;

/// Analyses bytes: a refusal in one line, or a report whose figures agree. Whether there was one.
pub(crate) fn analyze_anything(bytes: &[u8]) -> bool {
    let by_name = Options {
        steps_max: 50,
        witness: true,
        ..Options::default()
    };
    let named = analyze(bytes, &by_name);
    hold(&named);
    let Ok(module) = Module::parse(bytes) else {
        return named.is_ok();
    };
    let functions = module.functions.iter().enumerate();
    let defined = functions.filter(|(_, function)| function.body.is_some());
    let by_index = Options {
        entries: defined
            .map(|(index, _)| index.to_string())
            .take(ENTRIES_MAX)
            .collect(),
        ..by_name
    };
    if by_index.entries.is_empty() {
        return named.is_ok();
    }
    let refined = analyze(bytes, &by_index);
    hold(&refined);
    let plain = Options {
        refine: false,
        ..by_index
    };
    let plain = analyze(bytes, &plain);
    hold(&plain);
    // Refinement changes figures, not what can be analysed.
    assert_eq!(refined.is_ok(), plain.is_ok());
    refined.is_ok()
}

fn hold(result: &Result<Report, InputError>) {
    match result {
        Ok(report) => {
            assert!(report.to_json().ends_with("}\n"));
            for entry in &report.entries {
                let figures = [&entry.without_growth, &entry.with_growth];
                for figure in figures.into_iter().flatten() {
                    let (bound, plain) = (figure.bound, figure.plain);
                    assert!(
                        bound.unwrap_or(u64::MAX) <= plain.unwrap_or(u64::MAX),
                        "{entry:?}"
                    );
                    assert!(
                        bound.unwrap_or(u64::MAX) <= entry.trap_bound.unwrap_or(u64::MAX),
                        "{entry:?}"
                    );
                }
            }
        }
        Err(error) => one_line(error),
    }
}

fn one_line(error: &InputError) {
    let line = error.to_string();
    assert!(!line.is_empty() && !line.contains('\n'), "{line:?}");
}

/// Reads text as each of the files that go with a module.
pub(crate) fn read_any_text(text: &str) {
    if let Err(error) = Bounds::from_toml(text) {
        one_line(&error);
    }
    if let Err(error) = CostTable::from_toml(text) {
        one_line(&error);
    }
}
