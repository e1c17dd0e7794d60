//! `cargo xtask bounds`: what is proved of our allocator and of its peers.
//!
//! Writes `bounds.txt` (ours), its first table into `docs/figures.md`, and `docs/verdicts.md` (the peers);
//! `--check` compares instead.

use core::fmt::Write as _;
use std::path::PathBuf;

use alligator_bound::report::{EntryReport, Figure, Report, Verdict};
use alligator_bound::{Options as BoundOptions, analyze};
use anyhow::{Context, Result, anyhow, bail, ensure};

use alligator_tools::allocator::{Allocator, Exports, Kind, known};
use alligator_tools::guest::{self, Guest};

use crate::{rt, scopes};

/// Operations bounded, by export of `lab/driver`, in the order of the reports.
pub(crate) const OPERATIONS: [(&str, &str); 4] = [
    ("op_alloc", "alloc"),
    ("op_dealloc", "dealloc"),
    ("op_realloc", "realloc"),
    ("op_alloc_zeroed", "alloc_zeroed"),
];

/// Ours: builds whose bounds are promised.
const OURS: [&str; 3] = ["alligator", "alligator-small", "alligator-hardened"];

/// The page that has the first table, too.
const FIGURES: &str = "docs/figures.md";

/// What to do with what is proved.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Fail if bounds.txt, its table in docs/figures.md or docs/verdicts.md would change, instead of
    /// writing them
    #[arg(long)]
    check: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    guest::ensure_target(guest::TARGET)?;
    let allocators = known()?;
    let (mut ours, mut peers) = (ours_header(), peers_header());
    let mut places = String::new();
    for allocator in &allocators {
        if OURS.contains(&allocator.name.as_str()) {
            let report = prove(allocator)?;
            add_ours(&mut ours, &allocator.name, &report);
        } else if allocator.kind == Kind::Peer {
            let report = prove(allocator)?;
            add_peer(&mut peers, allocator, &report);
            add_places(&mut places, allocator, &report);
        }
    }
    peers.push_str("\n## Every place\n\nLoops, recursion and calls without a bound that an operation may reach, with growth or without.\n");
    peers.push_str(&places);
    let figures = with_table(
        &std::fs::read_to_string(guest::root().join(FIGURES))?,
        &ours,
    )?;
    add_programs(&mut ours)?;
    rt::add_rows(&mut ours)?;
    scopes::add(&mut ours)?;
    let compiler = guest::compiler()?;
    let _ = writeln!(peers, "\nBuilt by {compiler}.");
    let _ = writeln!(ours, "# Built by {compiler}.");
    if options.check && !guest::bounds_are_comparable()? {
        print!("{ours}");
        // Other code, other figures; but no code may be without a bound.
        ensure!(!ours.contains("unbounded"), "an operation has no bound");
        println!(
            "Not compared: bounds.txt was recorded with another compiler, which gives other code."
        );
        return Ok(());
    }
    settle("bounds.txt", &ours, options.check)?;
    settle(FIGURES, &figures, options.check)?;
    settle("docs/verdicts.md", &peers, options.check)?;
    print!("{ours}");
    Ok(())
}

fn prove(allocator: &Allocator) -> Result<Report> {
    let path = allocator.build(Exports::Probe)?;
    let module = std::fs::read(&path)?;
    let options = BoundOptions {
        entries: OPERATIONS.map(|(export, _)| export.to_owned()).to_vec(),
        ..BoundOptions::default()
    };
    analyze(&module, &options).map_err(|error| anyhow!("{}: {error}", path.display()))
}

/// Bounds what is found by name in a program that was built as programs are, in the same program with its
/// operations kept out of line, and in the same compiled for size.
fn add_programs(text: &mut String) -> Result<()> {
    let inlined = prove_program("inlined", &[], "3")?;
    let parts = inlined.entries.iter();
    if parts.clone().all(|entry| entry.inlined.is_none()) {
        bail!("guests/inlined: no operation was inlined; the comparison says nothing");
    }
    let _ = writeln!(
        text,
        "# guests/inlined, the parts that inlining left, with the longest way to them and from them on\n\
         # (none for an operation that was left whole):\n\
         {:<54} {:>7} {:>7} {:>7}",
        "# part", "bound", "before", "after"
    );
    for entry in parts {
        let (before, after) = entry.inlined.as_ref().map_or_else(
            || ("-".to_owned(), "-".to_owned()),
            |around| (number(around.before), number(around.after)),
        );
        let _ = writeln!(
            text,
            "{:<54} {:>7} {before:>7} {after:>7}",
            entry.name,
            bound(entry.without_growth.as_ref()),
        );
    }
    let _ = writeln!(
        text,
        "# guests/inlined with its operations kept out of line, for all layouts of that program:"
    );
    add_whole(text, "out-of-line", &["out-of-line"], "3")?;
    let _ = writeln!(
        text,
        "# guests/inlined compiled for size, which keeps them out of line by itself:"
    );
    add_whole(text, "for-size", &[], "s")
}

/// Bounds the operations of a program in which they must be found whole.
fn add_whole(text: &mut String, output: &str, features: &[&str], opt_level: &str) -> Result<()> {
    let whole = prove_program(output, features, opt_level)?;
    let roles: Vec<Option<&str>> = whole.entries.iter().map(|entry| entry.role).collect();
    if roles != OPERATIONS.map(|(_, role)| Some(role)) || whole.verdict() != Verdict::Bounded {
        bail!("guests/inlined, {output}: the operations are not found whole: {roles:?}");
    }
    add_ours(text, output, &whole);
    Ok(())
}

fn prove_program(output: &str, features: &[&str], opt_level: &str) -> Result<Report> {
    let path = guest::build(&Guest {
        crate_dir: &guest::root().join("guests").join("inlined"),
        library: "inlined",
        features,
        output,
        profile: None,
        overrides: vec![guest::opt_level(opt_level)],
    })?;
    let module = std::fs::read(&path)?;
    analyze(&module, &BoundOptions::default())
        .map_err(|error| anyhow!("{}: {error}", path.display()))
}

fn operation(entry: &EntryReport) -> &str {
    let named = OPERATIONS.iter().find(|(export, _)| *export == entry.name);
    let known = named.map(|(_, operation)| *operation).or(entry.role);
    known.unwrap_or(&entry.name)
}

fn bound(figure: Option<&Figure>) -> String {
    match figure.map(|figure| figure.bound) {
        None => "-".to_owned(),
        Some(None) => "unbounded".to_owned(),
        // The search was stopped: the bound holds, but a longer one would be tighter.
        Some(Some(bound)) if figure.is_some_and(|figure| !figure.exact) => format!("<={bound}"),
        Some(Some(bound)) => bound.to_string(),
    }
}

fn number(cost: Option<u64>) -> String {
    cost.map_or_else(|| "unbounded".to_owned(), |cost| cost.to_string())
}

fn ours_header() -> String {
    let mut text = String::from(
        "# Longest path of one operation, in Wasm instructions (wasmtime's fuel), through an\n\
         # exported wrapper (its call included), proved on the module by `cargo xtask bounds`.\n\
         # refused: calls that come to where the memory grows and do not grow it: the first, which\n\
         # takes the initial memory in, and those that the host or a limit refuses.\n\
         # gathering: calls that give back all that the heap keeps for later requests, before null or\n\
         # where a request is for half of the heap; they may grow, too.\n\
         # bytes: bulk operations on the path, each a byte of copy or fill per unit more.\n",
    );
    let _ = writeln!(
        text,
        "{:<18} {:<13} {:>7} {:>7} {:>12} {:>9} {:>10} {:>6}",
        "# build", "operation", "bound", "plain", "with growth", "refused", "gathering", "bytes"
    );
    text
}

fn add_ours(text: &mut String, name: &str, report: &Report) {
    for entry in &report.entries {
        add_row(text, name, operation(entry), entry);
    }
}

/// One line of the table.
pub(crate) fn add_row(text: &mut String, name: &str, operation: &str, entry: &EntryReport) {
    let main = entry.without_growth.as_ref();
    let plain = main.and_then(|figure| figure.plain);
    let bulk = main.and_then(|figure| figure.bulk_operations);
    let _ = writeln!(
        text,
        "{name:<18} {operation:<13} {:>7} {:>7} {:>12} {:>9} {:>10} {:>6}",
        bound(main),
        plain.map_or_else(|| "-".to_owned(), |plain| plain.to_string()),
        bound(entry.with_growth.as_ref()),
        bound(entry.refused.as_ref()),
        bound(entry.gathering.as_ref()),
        bulk.map_or_else(|| "any".to_owned(), |bulk| bulk.to_string()),
    );
}

fn peers_header() -> String {
    "# What is proved of other allocators\n\n\
     Written by `cargo xtask bounds` from guests built in `lab/guests` (optimisation level \
     3, one exported function per operation). *bound* is the longest path without growth, in \
     Wasm instructions; *why not* names the first obstacle on such a path: the loop or call, its \
     function and its byte offset in the module; all are listed below.\n\n\
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

/// Lists all that stands in the way of a peer's bounds, each place once.
fn add_places(text: &mut String, allocator: &Allocator, report: &Report) {
    let mut places: Vec<(u64, String)> = Vec::new();
    for obstacle in report.entries.iter().flat_map(|entry| &entry.obstacles) {
        let line = format!(
            "- {:#x} in `{}`: {}",
            obstacle.offset, obstacle.function, obstacle.reason
        );
        places.push((obstacle.offset, line));
    }
    places.sort();
    places.dedup();
    let version = allocator.version.as_deref().unwrap_or_default();
    let _ = writeln!(text, "\n### {} {version}\n", allocator.name);
    if places.is_empty() {
        text.push_str("None.\n");
    }
    for (_, line) in places {
        let _ = writeln!(text, "{line}");
    }
}

/// The page of figures with its table of bounds as it is now: the block of text that starts as the table does.
fn with_table(page: &str, table: &str) -> Result<String> {
    let title = table.lines().next().unwrap_or_default();
    let start = page
        .find(title)
        .with_context(|| format!("{FIGURES} has no table of bounds"))?;
    let length = page[start..]
        .find("```")
        .with_context(|| format!("{FIGURES}: the table of bounds does not end"))?;
    Ok([&page[..start], table, &page[start + length..]].concat())
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
