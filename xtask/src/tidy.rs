//! `cargo xtask tidy`: the project's style, as a test. Each check is a module; its rule is in CONTRIBUTING.md, and what
//! it holds the files against is in a file that people read, too: tables of ARCHITECTURE.md, `xtask/*.toml`, `deny.toml`.

mod changelog;
mod dependencies;
mod entries;
mod figures;
mod layers;
mod lengths;
mod links;
mod map;
mod tokens;
mod unsafe_code;
mod words;

pub(crate) use links::join;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use alligator_tools::guest;
use anyhow::{Context, Result, ensure};

use crate::programs::Missing;

/// Which checks to run.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Only the check of this name
    #[arg(long, value_name = "NAME", value_parser = CHECKS.map(|(name, _)| name))]
    only: Option<String>,
}

/// Gives what must be mended, as `path:line: what is wrong, and how to mend it`. It is [`Missing`] what it needs.
type Check = fn(&Tree) -> Result<Vec<String>>;

/// All checks, by name.
const CHECKS: [(&str, Check); 12] = [
    ("layers", layers::check),
    ("map", map::check),
    ("lengths", lengths::check),
    ("unsafe", unsafe_code::check),
    ("entries", entries::check),
    ("figures", figures::check),
    ("links", links::check),
    ("changelog", changelog::check),
    ("words", words::check),
    ("no-dependencies", dependencies::of_the_allocator),
    ("deny", dependencies::deny),
    ("semver", dependencies::semver),
];

/// The repository's files, by path from its root.
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Every file that git has or would take in. What is no text is read as well as it can be.
    pub(crate) fn read() -> Result<Self> {
        let list = git(&["ls-files", "--cached", "--others", "--exclude-standard"])?;
        let mut files = BTreeMap::new();
        for path in list.lines() {
            // Deleted, but not from git yet: no file.
            if let Ok(bytes) = std::fs::read(guest::root().join(path)) {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                files.insert(path.to_owned(), text);
            }
        }
        Ok(Self(files))
    }

    /// A tree of these paths and texts.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let owned = |&(path, text): &(&str, &str)| (path.to_owned(), text.to_owned());
        Self(files.iter().map(owned).collect())
    }

    pub(crate) fn text(&self, path: &str) -> Result<&str> {
        let text = self.0.get(path).map(String::as_str);
        text.with_context(|| format!("{path} is gone"))
    }

    /// The files whose paths start and end like this, and their texts.
    pub(crate) fn files(&self, start: &str, end: &str) -> impl Iterator<Item = (&str, &str)> {
        let matches = move |path: &str| path.starts_with(start) && path.ends_with(end);
        let files = self.0.iter().filter(move |(path, _)| matches(path));
        files.map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Whether there is such a file, or a folder with files.
    pub(crate) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.0.contains_key(path) || self.files(&folder, "").next().is_some()
    }
}

/// Runs the checks; the exit status is 1 if something must be mended.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    Ok(ExitCode::from(u8::from(checks(options)? > 0)))
}

/// All checks, as a step of `cargo xtask test`.
pub(crate) fn step() -> Result<()> {
    ensure!(
        checks(&Options { only: None })? == 0,
        "cargo xtask tidy has something to mend"
    );
    Ok(())
}

/// Runs the checks and prints what they find. Returns how much that is.
fn checks(options: &Options) -> Result<usize> {
    let is_chosen = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    let chosen = CHECKS.iter().filter(|(name, _)| is_chosen(name));
    let tree = Tree::read()?;
    let mut count = 0;
    for (name, check) in chosen {
        let breaches = match check(&tree) {
            Err(error) if error.is::<Missing>() => {
                println!("{name}: left out: {error}");
                continue;
            }
            checked => checked.with_context(|| format!("the check {name}"))?,
        };
        let outcome = if breaches.is_empty() { "ok" } else { "breach" };
        println!("{name}: {outcome}");
        for breach in &breaches {
            println!("  {breach}");
        }
        count += breaches.len();
    }
    if count > 0 {
        println!("{count} to mend; the rules: CONTRIBUTING.md, \"What is checked\"");
    }
    Ok(count)
}

/// What git prints.
fn git(args: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.args(args).current_dir(guest::root());
    let output = command.output().context("git does not start")?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {args:?}: {message}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The number of the line at an offset.
fn line_at(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// The lines below a heading, up to the next one, with their numbers: those that start like this.
fn section<'a>(text: &'a str, heading: &str, start: &str) -> Vec<(usize, &'a str)> {
    let lines = (1..).zip(text.lines());
    let below = lines.skip_while(|(_, line)| *line != heading).skip(1);
    let section = below.take_while(|(_, line)| !line.starts_with('#'));
    section
        .filter(|(_, line)| line.starts_with(start))
        .collect()
}

/// The rows of the table below a heading: each line's number, and its cells.
fn rows<'a>(text: &'a str, heading: &str) -> Vec<(usize, Vec<&'a str>)> {
    let lines = section(text, heading, "|").into_iter().skip(2);
    let cells = |line: &'a str| line.trim_matches('|').split('|').map(str::trim);
    lines
        .map(|(number, line)| (number, cells(line).collect()))
        .collect()
}

/// What stands between backticks.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that a check says of these files, line by line.
    pub(super) fn found(check: Check, files: &[(&str, &str)]) -> Result<String> {
        Ok(check(&Tree::of(files))?.join("\n"))
    }

    #[test]
    fn a_tables_rows_are_read_below_their_heading_only() {
        let text = "## A\n| a |\n| - |\n| `x` |\n## B\n\n| b | c |\n| - | - |\n| `y`, `z` | w |\n";
        let rows = rows(text, "## B");
        assert_eq!(rows, [(9, vec!["`y`, `z`", "w"])]);
        assert_eq!(codes(rows[0].1[0]).collect::<Vec<_>>(), ["y", "z"]);
    }
}
