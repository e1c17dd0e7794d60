//! `cargo xtask attacks`: attacks on the heap, random and known, ours and the peers' (`docs/attacks.md`).
#![forbid(unsafe_code)]

mod cases;
mod check;
mod generate;
mod minimise;
mod program;
mod report;
mod search;
mod subject;
#[cfg(test)]
mod tests;
mod trial;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};

use alligator_tools::guest;
use program::Class;
use report::{CaseResult, Report, Search};
use subject::{Allocator, Subject};
use trial::Kind;

/// Attacks the heap, ours and the peers': what a program's memory bug gives an attacker.
#[derive(clap::Parser, Debug)]
#[command(name = "cargo xtask attacks")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Options {
    /// Random programs for each class of bugs and each allocator
    #[arg(long, default_value_t = 10_000, value_name = "COUNT")]
    trials: u64,
    /// The same for the hardened heap, of which everything is expected; by default as many
    #[arg(long, value_name = "COUNT")]
    trials_hardened: Option<u64>,
    /// Only these allocators
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    allocator: Vec<String>,
    /// Only these classes of bugs, and no known attacks
    #[arg(long, value_delimiter = ',', value_name = "CLASS")]
    class: Vec<Class>,
    /// Other random programs
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Threads; by default as many as there are processors
    #[arg(long, value_name = "COUNT")]
    jobs: Option<u64>,
    /// Prints a minimised program for each kind of primitive found
    #[arg(long)]
    show: bool,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
    /// Writes docs/attacks.md
    #[arg(long, conflicts_with_all = ["allocator", "class"])]
    record: bool,
    /// Fails if an allocator of ours does what it must not, or the weak one withstands
    #[arg(long, conflicts_with_all = ["allocator", "class"])]
    check: bool,
}

fn main() -> Result<()> {
    let options = &Options::parse();
    guest::ensure_target(guest::TARGET)?;
    let mut report = Report {
        seed: options.seed,
        trials: options.trials,
        trials_hardened: options.trials_hardened,
        ..Report::default()
    };
    let allocators = chosen(&options.allocator)?;
    for &allocator in &allocators {
        attack(allocator, options, &mut report)?;
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report::searches(&report));
        if !report.cases.is_empty() {
            print!("\n{}", report::cases(&report));
        }
        print!("\n{}", report::faults(&report));
        if options.show {
            let kinds = [&Kind::PRIMITIVES[..], &[Kind::Hang, Kind::Crash]].concat();
            print!("\n{}", report::findings(&report, &kinds));
        }
    }
    if options.record {
        let path = guest::root().join("docs").join("attacks.md");
        std::fs::write(&path, report::record(&report)).context("docs/attacks.md")?;
    }
    if options.check {
        check::check(&report, &allocators)?;
    }
    Ok(())
}

/// The allocators called `names`, or all.
fn chosen(names: &[String]) -> Result<Vec<Allocator>> {
    let mut allocators = subject::allocators()?;
    for name in names {
        if !allocators.iter().any(|allocator| allocator.name == name) {
            let known: Vec<_> = allocators.iter().map(|allocator| allocator.name).collect();
            bail!(
                "no allocator is called {name}; there are {}",
                known.join(", ")
            );
        }
    }
    allocators.retain(|allocator| names.is_empty() || names.iter().any(|it| it == allocator.name));
    Ok(allocators)
}

/// Attacks one allocator in every way that is asked for.
fn attack(allocator: Allocator, options: &Options, report: &mut Report) -> Result<()> {
    let subject = Subject::new(allocator)?;
    let classes: &[Class] = if options.class.is_empty() {
        Class::value_variants()
    } else {
        &options.class
    };
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let jobs = options.jobs.unwrap_or(processors);
    ensure!(jobs > 0, "no thread, no attack");
    let trials = match options.trials_hardened {
        Some(trials) if allocator.is_hardened() => trials,
        _ => options.trials,
    };
    // The record has programs of ours only: the others' would fill a book.
    let wants_findings = options.show || options.record && allocator.is_ours();
    for &class in classes {
        eprintln!("{}: {}", allocator.name, class.name());
        let tally = search::random(&subject, class, options.seed, trials, jobs)?;
        let findings = if wants_findings {
            search::findings(&subject, &tally, |index| {
                generate::program(options.seed, class, index)
            })?
        } else {
            Vec::new()
        };
        report.searches.push(Search {
            allocator: allocator.name,
            class,
            tally,
            findings,
        });
    }
    if options.class.is_empty() {
        known_attacks(&subject, wants_findings, report)?;
    }
    Ok(())
}

fn known_attacks(subject: &Subject, wants_findings: bool, report: &mut Report) -> Result<()> {
    for case in cases::all() {
        let tally = search::case(subject, &case)?;
        let findings = if wants_findings {
            let variant = |index| {
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                case.variants.get(index).cloned().unwrap_or_default()
            };
            search::findings(subject, &tally, variant)?
        } else {
            Vec::new()
        };
        report.cases.push(CaseResult {
            allocator: subject.allocator.name,
            case: case.name,
            tally,
            findings,
        });
    }
    Ok(())
}
