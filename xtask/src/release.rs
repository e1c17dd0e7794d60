//! `cargo xtask release --dry-run`: all that a release publishes, made, unpacked and used as its users will, and whether
//! everything that states a version agrees. Nothing leaves this machine.

mod agreement;
mod archives;
mod c_library;
mod npm;
mod order;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use alligator_tools::command::cargo;
use alligator_tools::guest;
use anyhow::{Context, Result, ensure};

/// The version that is released: the workspace's.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The column in which the table says what was seen.
const WIDTH: usize = 32;

/// Lines of what was seen that the table has: all that is stated wrong, but not all that a compiler says.
const LINES: usize = 8;

/// How to release.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Make and check everything, and publish nothing
    #[arg(long)]
    dry_run: bool,
}

/// How a check has ended, if nothing is wrong.
enum Outcome {
    /// What was seen.
    Ok(String),
    /// Why it was not made.
    LeftOut(String),
}

/// What was checked.
#[derive(Default)]
struct Checks(Vec<(&'static str, Result<Outcome>)>);

impl Checks {
    /// Makes a check, and says at once what it is, some take a minute, and all that is wrong.
    fn add(&mut self, name: &'static str, check: impl FnOnce() -> Result<Outcome>) {
        println!("checking: {name}");
        let outcome = check();
        if let Err(error) = &outcome {
            eprintln!("{error:#}");
        }
        self.0.push((name, outcome));
    }

    /// Whether one has failed.
    fn has_failed(&self) -> bool {
        self.0.iter().any(|(_, outcome)| outcome.is_err())
    }

    /// All of them: how each has ended, and what was seen.
    fn table(&self) -> String {
        let line = |(name, outcome): &(&str, Result<Outcome>)| {
            let (word, text) = match outcome {
                Ok(Outcome::Ok(text)) => ("ok", text.clone()),
                Ok(Outcome::LeftOut(reason)) => ("left out", reason.clone()),
                Err(error) => ("FAILED", format!("{error:#}")),
            };
            let lines: Vec<_> = text.lines().take(LINES).collect();
            let text = lines.join(&format!("\n{:WIDTH$}", ""));
            format!("{name:22}{word:10}{text}\n")
        };
        self.0.iter().map(line).collect()
    }
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let crates = order::read()?;
    let commands = commands(crates.iter().map(order::Crate::name));
    if !options.dry_run {
        eprintln!(
            "This command publishes nothing. When `cargo xtask release --dry-run` has passed, the \
             maintainers do:\n\n{commands}"
        );
        return Ok(ExitCode::FAILURE);
    }
    if !is_ready(&crates) {
        return Ok(ExitCode::FAILURE);
    }
    println!("To publish {VERSION}, the maintainers do:\n\n{commands}");
    Ok(ExitCode::SUCCESS)
}

/// The same as a step of `cargo xtask test`, which has the network to set things up: builds alone have not brought all
/// that archives ask for.
pub(crate) fn step() -> Result<()> {
    cargo(&["fetch", "--locked"]).run()?;
    ensure!(is_ready(&order::read()?), "not ready to be published");
    Ok(())
}

/// Makes all checks, and prints what became of them. Whether none has failed.
fn is_ready(crates: &[order::Crate]) -> bool {
    let mut checks = Checks::default();
    checks.add("versions", || agreement::versions(crates));
    checks.add("manifests", || agreement::manifests(crates));
    checks.add("CHANGELOG.md", || {
        let path = guest::root().join("CHANGELOG.md");
        agreement::changelog(&std::fs::read_to_string(path)?)
    });
    checks.add("pages for users", || agreement::pages(crates));
    checks.add("git tag", || agreement::tag(|| archives::files(crates)));
    checks.add("archives: contents", || archives::pack(crates));
    if checks.has_failed() {
        // What is built of archives that are wrong says nothing.
        let not_yet = || Ok(Outcome::LeftOut("until the above is right".to_owned()));
        checks.add("archives: built, used", not_yet);
        checks.add("C tarball: used", not_yet);
    } else {
        checks.add("archives: built, used", || archives::build(crates));
        checks.add("C tarball: used", c_library::run);
    }
    checks.add("npm: what it states", npm::agrees);
    checks.add("npm: installed, used", npm::run);
    println!("\n{}", checks.table());
    if checks
        .0
        .iter()
        .any(|(_, it)| matches!(it, Ok(Outcome::LeftOut(_))))
    {
        println!("A release is made where nothing is left out.\n");
    }
    !checks.has_failed()
}

/// What the maintainers do, in order. A version on crates.io or npm is there for ever, so all that can fail comes before.
fn commands<'a>(crates: impl Iterator<Item = &'a str>) -> String {
    let mut lines = vec![
        format!("git tag -a v{VERSION} -m {VERSION} && git push origin v{VERSION}"),
        "# wait for the workflow `release`, which makes the C library's tarball".to_owned(),
    ];
    lines.extend(crates.map(|name| format!("cargo publish -p {name}")));
    lines.push("(cd npm && npm publish)".to_owned());
    lines.join("\n")
}

/// Where a dry run makes its files.
fn scratch() -> PathBuf {
    guest::root().join("target").join("dry-run")
}

/// What `command` prints; an error, with all that it says, if it fails.
fn output(command: &mut Command) -> Result<String> {
    let program = Path::new(command.get_program()).file_name();
    let mut name = program.unwrap_or_default().display().to_string();
    if let Some(first) = command.get_args().next() {
        name = format!("{name} {}", first.display());
    }
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{name} does not start"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{name} fails: {}",
        (errors + &*text).trim()
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_fails_the_release_and_what_is_left_out_does_not() {
        let mut checks = Checks::default();
        checks.add("one", || Ok(Outcome::LeftOut("no npm".to_owned())));
        assert!(!checks.has_failed());
        checks.add("two", || anyhow::bail!("it is wrong"));
        assert!(checks.has_failed());
        let table = checks.table();
        assert!(
            table.contains("no npm") && table.contains("it is wrong"),
            "{table}"
        );
    }

    #[test]
    fn the_tag_comes_before_what_cannot_be_taken_back() {
        let commands = commands(["alligator-alloc", "alligator-c"].into_iter());
        let place = |text: &str| commands.find(text);
        assert!(place("git tag") < place("-p alligator-alloc"));
        assert!(place("-p alligator-alloc") < place("-p alligator-c"));
    }
}
