//! `cargo lab pictures`: the pictures and the short tables of the README and the book, from what is recorded. Nothing is
//! measured here, so the same record gives the same pictures.

mod draw;
mod figures;
mod source;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use alligator_tools::guest;
use draw::Theme;
use source::Recorded;

/// Where the pictures are, from the repository's root.
const FOLDER: &str = "docs/pictures";

/// How to make them.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Fail if a picture or a table would change, instead of writing it
    #[arg(long)]
    check: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let made = all()?;
    for (name, text) in &made {
        let path: PathBuf = guest::root().join(name);
        let is_same = std::fs::read_to_string(&path).is_ok_and(|there| there == *text);
        if options.check {
            ensure!(
                is_same,
                "{name} is not what is recorded: `cargo xtask pictures` rewrites it"
            );
        } else if !is_same {
            std::fs::write(&path, text).with_context(|| format!("cannot write {name}"))?;
            println!("{name}");
        }
    }
    println!("{} files are as recorded", made.len());
    Ok(())
}

/// All files that have something of the record, by their path, as they must be.
fn all() -> Result<Vec<(String, String)>> {
    let recorded = Recorded::read()?;
    let mut made = Vec::new();
    for theme in [Theme::LIGHT, Theme::DARK] {
        for (name, picture) in figures::pictures(&recorded, theme)? {
            made.push((format!("{FOLDER}/{name}-{}.svg", theme.name), picture));
        }
    }
    let tables = [
        ("README.md", "bounds", figures::bounds(&recorded)?),
        ("README.md", "tiers", figures::tiers(&recorded)?),
        ("docs/tiers.md", "tiers", figures::tiers(&recorded)?),
    ];
    let mut pages: Vec<(String, String)> = Vec::new();
    for (page, name, table) in tables {
        let known = pages.iter().position(|(path, _)| path == page);
        let place = if let Some(place) = known {
            place
        } else {
            let text = std::fs::read_to_string(guest::root().join(page)).context(page)?;
            pages.push((page.to_owned(), text));
            pages.len() - 1
        };
        pages[place].1 = between(&pages[place].1, name, &table).context(page)?;
    }
    made.extend(pages);
    Ok(made)
}

/// Writes `tables` into the page at `path` of the repository, between the markers of this name.
pub(crate) fn write_between(path: &str, name: &str, tables: &str) -> Result<()> {
    let file = guest::root().join(path);
    let page = std::fs::read_to_string(&file).context(path.to_owned())?;
    let page = between(&page, name, tables).context(path.to_owned())?;
    Ok(std::fs::write(file, page)?)
}

/// The page with `table` between the markers of this name.
fn between(page: &str, name: &str, table: &str) -> Result<String> {
    let (begin, end) = (
        format!("<!-- {name}:begin -->\n"),
        format!("<!-- {name}:end -->"),
    );
    let Some((before, rest)) = page.split_once(&begin) else {
        bail!("there is no {}", begin.trim());
    };
    let Some((_, after)) = rest.split_once(&end) else {
        bail!("there is no {end}");
    };
    Ok([before, &begin, table, &end, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_pictures_and_tables_are_those_of_the_record() -> Result<()> {
        run(&Options { check: true })
    }

    #[test]
    fn a_table_goes_between_its_markers() -> Result<()> {
        let page = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb";
        assert_eq!(
            between(page, "x", "new\n")?,
            "a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb"
        );
        assert!(between(page, "y", "").is_err());
        Ok(())
    }
}
