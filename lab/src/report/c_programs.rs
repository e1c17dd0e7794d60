//! C programs on the C library's malloc and on ours: recorded by `cargo xtask clib --compare`, and shown in the
//! lab's reports as they stand there.

use std::fs;

use anyhow::{Context, Result, ensure};

use alligator_tools::guest;

/// The table's rows, the heading first, cell by cell.
pub(crate) type CPrograms = Vec<Vec<String>>;

/// Reads the table of `docs/c-programs.md`.
pub(crate) fn read() -> Result<CPrograms> {
    let path = guest::root().join("docs").join("c-programs.md");
    let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let rows = rows(&text);
    ensure!(rows.len() > 1, "{}: no table", path.display());
    Ok(rows)
}

fn rows(text: &str) -> CPrograms {
    let lines = text.lines().filter(|line| line.starts_with('|'));
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    lines
        .map(cells)
        .filter(|row| !row.iter().all(|cell| cell.starts_with("--")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_its_cells_without_the_rule() {
        let text = "Text.\n\n| program | ratio |\n| --- | --: |\n| lua | 0.93 |\n| target | |\n";
        let expected = [["program", "ratio"], ["lua", "0.93"], ["target", ""]];
        assert_eq!(rows(text), expected);
    }

    #[test]
    fn the_recorded_table_is_there_and_even() -> Result<()> {
        let rows = read()?;
        assert!(rows.iter().all(|row| row.len() == rows[0].len()));
        Ok(())
    }
}
