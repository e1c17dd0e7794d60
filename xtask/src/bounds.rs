//! `cargo xtask bounds`: what is proved of our allocator and of its peers, and how close a
//! directed search comes.
//!
//! Writes `bounds.txt` (ours) and `docs/verdicts.md` (the peers); `--check` compares instead.

mod search;

use core::fmt::Write as _;
use std::path::PathBuf;

use alligator_bound::report::{EntryReport, Figure, Report};
use alligator_bound::{Options as BoundOptions, analyze};
use anyhow::{Context, Result, anyhow, bail};

use crate::guest;
use crate::lab::allocator::{Allocator, Exports, Kind, known};

/// Operations bounded, by export of `lab/driver`, in the order of the reports.
const OPERATIONS: [(&str, &str); 4] = [
    ("op_alloc", "alloc"),
    ("op_dealloc", "dealloc"),
    ("op_realloc", "realloc"),
    ("op_alloc_zeroed", "alloc_zeroed"),
];

/// Ours: builds whose bounds are promised.
const OURS: [&str; 2] = ["alligator", "alligator-small"];

/// What to prove, and whether to search.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Fail if bounds.txt or docs/verdicts.md would change, instead of writing them
    #[arg(long)]
    check: bool,
    /// Search for call sequences that come close to our bounds, and print how close
    #[arg(long)]
    search: bool,
    /// Seconds of search per operation
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    seconds: u64,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    guest::ensure_target(guest::TARGET)?;
    let allocators = known()?;
    let (mut ours, mut peers) = (ours_header(), peers_header());
    for allocator in &allocators {
        if OURS.contains(&allocator.name.as_str()) {
            let (module, report) = prove(allocator)?;
            add_ours(&mut ours, &allocator.name, &report);
            if options.search {
                search_all(&allocator.name, &module, &report, options.seconds)?;
            }
        } else if allocator.kind == Kind::Peer {
            let (_, report) = prove(allocator)?;
            add_peer(&mut peers, allocator, &report);
        }
    }
    settle("bounds.txt", &ours, options.check)?;
    settle("docs/verdicts.md", &peers, options.check)?;
    print!("{ours}");
    Ok(())
}

fn prove(allocator: &Allocator) -> Result<(Vec<u8>, Report)> {
    let path = allocator.build(Exports::Probe)?;
    let module = std::fs::read(&path)?;
    let options = BoundOptions {
        entries: OPERATIONS.map(|(export, _)| export.to_owned()).to_vec(),
        ..BoundOptions::default()
    };
    let report =
        analyze(&module, &options).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    Ok((module, report))
}

fn operation(entry: &EntryReport) -> &str {
    OPERATIONS
        .iter()
        .find(|(export, _)| *export == entry.name)
        .map_or(entry.name.as_str(), |(_, operation)| operation)
}

fn bound(figure: Option<&Figure>) -> String {
    match figure.map(|figure| figure.bound) {
        None => "-".to_owned(),
        Some(None) => "unbounded".to_owned(),
        Some(Some(bound)) => bound.to_string(),
    }
}

fn ours_header() -> String {
    let mut text = String::from(
        "# Longest path of one operation, in Wasm instructions (wasmtime's fuel), through an\n\
         # exported wrapper (its call included), proved on the module by `cargo xtask bounds`.\n\
         # bytes: bulk operations on the path, each a byte of copy or fill per unit more.\n",
    );
    let _ = writeln!(
        text,
        "{:<16} {:<13} {:>7} {:>7} {:>12} {:>6}",
        "# build", "operation", "bound", "plain", "with growth", "bytes"
    );
    text
}

fn add_ours(text: &mut String, name: &str, report: &Report) {
    for entry in &report.entries {
        let main = entry.without_growth.as_ref();
        let plain = main.and_then(|figure| figure.plain);
        let bulk = main.and_then(|figure| figure.bulk_operations);
        let _ = writeln!(
            text,
            "{name:<16} {:<13} {:>7} {:>7} {:>12} {:>6}",
            operation(entry),
            bound(main),
            plain.map_or_else(|| "-".to_owned(), |plain| plain.to_string()),
            bound(entry.with_growth.as_ref()),
            bulk.map_or_else(|| "any".to_owned(), |bulk| bulk.to_string()),
        );
    }
}

fn peers_header() -> String {
    "# What is proved of other allocators\n\n\
     Written by `cargo xtask bounds` from guests built in `lab/guests` (optimisation level \
     3, one exported function per operation). *bound* is the longest path without growth, in \
     Wasm instructions; *why not* names the first obstacle on such a path: the loop or call, its \
     function and its byte offset in the module.\n\n\
     | allocator | operation | bound | with growth | why not |\n| --- | --- | --: | --: | --- |\n"
        .to_owned()
}

fn add_peer(text: &mut String, allocator: &Allocator, report: &Report) {
    let name = &allocator.name;
    let version = allocator.version.as_deref().unwrap_or_default();
    for entry in &report.entries {
        let mut obstacles = entry
            .obstacles
            .iter()
            .filter(|obstacle| obstacle.matters_without_growth);
        let why = obstacles.next().map_or_else(String::new, |first| {
            let more = obstacles.count();
            let more = if more == 0 {
                String::new()
            } else {
                format!("; {more} more")
            };
            format!(
                "{} at {:#x} in `{}`{more}",
                first.reason, first.offset, first.function
            )
        });
        let _ = writeln!(
            text,
            "| {name} {version} | {} | {} | {} | {why} |",
            operation(entry),
            bound(entry.without_growth.as_ref()),
            bound(entry.with_growth.as_ref()),
        );
    }
}

/// Writes a file of the repository, or holds it against what is there.
fn settle(name: &str, text: &str, check: bool) -> Result<()> {
    let path: PathBuf = guest::root().join(name);
    if !check {
        return std::fs::write(&path, text).with_context(|| format!("cannot write {name}"));
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    if committed == text {
        return Ok(());
    }
    for (before, after) in committed.lines().zip(text.lines()) {
        if before != after {
            eprintln!("- {before}\n+ {after}");
        }
    }
    bail!("{name} is not what the modules give now; `cargo xtask bounds` rewrites it");
}

fn search_all(name: &str, module: &[u8], report: &Report, seconds: u64) -> Result<()> {
    for entry in &report.entries {
        let Some(bound) = entry
            .without_growth
            .as_ref()
            .and_then(|figure| figure.bound)
        else {
            continue;
        };
        let Some(target) = search::Target::of_export(&entry.name) else {
            continue;
        };
        let found = search::climb(module, target, seconds)?;
        if found.fuel > bound {
            bail!(
                "{name}: {} reached {} of a bound of {bound}",
                entry.name,
                found.fuel
            );
        }
        println!(
            "{name:<16} {:<13} reached {:>5} of {bound:>5}, {:>5.1} %, in {} programs",
            operation(entry),
            found.fuel,
            100.0 * ratio(found.fuel, bound),
            found.programs,
        );
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "bounds are far below 2^52")]
fn ratio(reached: u64, bound: u64) -> f64 {
    reached as f64 / bound as f64
}
