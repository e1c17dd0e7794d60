//! `alligator bound`: proves and prints.

use core::fmt::Write as _;
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use alligator_bound::cost::CostTable;
use alligator_bound::loops::Bounds;
use alligator_bound::refine::STEPS_DEFAULT;
use alligator_bound::report::{EntryReport, Figure, Report, Verdict};
use alligator_bound::witness::WitnessStep;
use alligator_bound::{Options, analyze};
use alligator_find::component::CoreModule;
use alligator_find::core_of;
use comfy_table::{CellAlignment, Table, presets};

use crate::find::Ways;
use crate::forbid;

/// Places listed before the rest are only counted.
const PLACES_SHOWN: usize = 16;

/// Entries named at one place.
const ENTRIES_SHOWN: usize = 4;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The compiled module, or a component.
    module: PathBuf,
    /// Function to bound, by export, symbol or index. By default, every allocator entry found.
    #[arg(long = "entry", value_name = "NAME")]
    entries: Vec<String>,
    /// Crate whose functions are an allocator's: its out-of-line parts are found where the rest was
    /// inlined. Those of well-known allocators are known.
    #[arg(long = "allocator", value_name = "CRATE")]
    allocators: Vec<String>,
    /// Exit with 1 if a bound without growth is above this.
    #[arg(long, value_name = "COST")]
    max: Option<u64>,
    /// Print JSON (docs/bounds.md).
    #[arg(long)]
    json: bool,
    /// Print the longest path of each entry.
    #[arg(long)]
    witness: bool,
    /// Take every branch to be free: the plain longest path.
    #[arg(long)]
    no_refine: bool,
    /// Branches one refinement search follows before it settles for a looser bound.
    #[arg(long, value_name = "COUNT", default_value_t = STEPS_DEFAULT)]
    steps: u64,
    #[command(flatten)]
    forbid: forbid::Prohibition,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    ways: Ways,
}

/// Files that go with a module.
#[derive(Debug, clap::Args)]
pub(crate) struct Files {
    /// Loop bounds and costs of imports, with their arguments (TOML).
    #[arg(long, value_name = "FILE")]
    bounds: Option<PathBuf>,
    /// Another cost table (TOML). By default, what wasmtime's fuel charges.
    #[arg(long, value_name = "FILE")]
    costs: Option<PathBuf>,
}

impl Files {
    /// Reads the files into options.
    pub(crate) fn options(&self) -> Result<Options, String> {
        let mut options = Options::default();
        if let Some(path) = &self.bounds {
            options.bounds = Bounds::from_toml(&read_text(path)?).map_err(|e| located(path, &e))?;
        }
        if let Some(path) = &self.costs {
            options.costs =
                CostTable::from_toml(&read_text(path)?).map_err(|e| located(path, &e))?;
        }
        Ok(options)
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| located(path, &error))
}

/// The first bytes of a file, at most so many.
pub(crate) fn read_start(path: &Path, bytes: usize) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| located(path, &error))?;
    let mut start = Vec::new();
    let read = file.take(bytes as u64).read_to_end(&mut start);
    read.map_err(|error| located(path, &error))?;
    Ok(start)
}

fn read_text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| located(path, &error))
}

/// A fault with the file it is in, on one line.
pub(crate) fn located(path: &Path, error: &dyn core::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

/// Runs the subcommand and gives the exit status.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, String> {
    let bytes = read(&arguments.module)?;
    let mut options = arguments.files.options()?;
    if arguments.forbid.are_there() {
        return forbid::run(
            &arguments.forbid,
            &arguments.module,
            &bytes,
            &options,
            arguments.json,
        );
    }
    options.entries.clone_from(&arguments.entries);
    options.allocators.clone_from(&arguments.allocators);
    options.refine = !arguments.no_refine;
    options.steps_max = arguments.steps;
    options.witness = arguments.witness;
    let report = prove(&arguments.module, &bytes, &arguments.ways, &mut options)?;
    let text = if arguments.json {
        report.to_json()
    } else {
        describe(&report)
    };
    // A closed pipe does not change what was proved.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(status(&report, arguments.max))
}

/// Finds what is to be bounded, unless it is asked for, and bounds it.
pub(crate) fn prove(
    path: &Path,
    bytes: &[u8],
    ways: &Ways,
    options: &mut Options,
) -> Result<Report, String> {
    let (core, which) = core_of(bytes).map_err(|error| located(path, &error))?;
    if options.entries.is_empty() {
        // What names show, the prover finds itself.
        options.found = ways.find(path, bytes)?.entries();
    }
    let start = which.as_ref().map_or(0, |which| which.offset);
    let report = analyze(core, options).map_err(|error| located(path, &error.within(start)))?;
    Ok(with_note(report, which))
}

/// A report that says which core module of a component it is about.
fn with_note(mut report: Report, which: Option<CoreModule>) -> Report {
    if let Some(module) = which {
        report.notes.insert(
            0,
            format!(
                "core module {} of {}: offsets count from {:#x} in the component",
                module.index, module.of, module.offset
            ),
        );
    }
    report
}

fn status(report: &Report, max: Option<u64>) -> u8 {
    match (report.verdict(), max) {
        (Verdict::Conditional | Verdict::Unbounded, _) => 2,
        (Verdict::Bounded, Some(max)) if report.exceeds(max) => 1,
        (Verdict::Bounded, _) => 0,
    }
}

/// The report for people.
fn describe(report: &Report) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", table(report));
    let _ = writeln!(
        text,
        "Unit: one instruction by the table \"{}\". Growth: paths that reach memory.grow,",
        report.costs
    );
    let _ = writeln!(
        text,
        "the host's time not counted. \"<=\": the search was stopped, the bound holds but is loose."
    );
    describe_others(&mut text, report);
    describe_traps(&mut text, report);
    for assumption in &report.assumptions {
        let _ = writeln!(
            text,
            "\nassumed: {}\n  because: {}",
            assumption.what, assumption.because
        );
    }
    describe_inlined(&mut text, report);
    for note in &report.notes {
        let _ = writeln!(text, "\nnote: {note}");
    }
    describe_obstacles(&mut text, report);
    describe_bulk(&mut text, report);
    for entry in &report.entries {
        describe_entry(&mut text, report, entry);
    }
    text
}

/// What calls cost at most that enter a function that grows, and grow nothing; and calls that gather.
fn describe_others(text: &mut String, report: &Report) {
    for entry in &report.entries {
        let others = [
            (
                "comes to where memory grows and does not grow it",
                &entry.refused,
            ),
            (
                "gives back all that the heap keeps for later requests",
                &entry.gathering,
            ),
        ];
        for (what, figure) in others {
            let Some(figure) = figure else { continue };
            let bulk = bytes(entry, figure);
            let _ = writeln!(
                text,
                "\n{}: a call that {what} costs {} (plain {}, bytes {bulk}).",
                label(report, entry),
                at_most(figure),
                number(figure.plain),
            );
        }
    }
}

fn at_most(figure: &Figure) -> String {
    match figure.bound {
        Some(bound) => format!("at most {bound}"),
        None => "what nothing bounds".to_owned(),
    }
}

/// What calls cost at most that trap, where that is more than a call that ends well may cost.
fn describe_traps(text: &mut String, report: &Report) {
    for entry in &report.entries {
        let figures = [
            &entry.without_growth,
            &entry.refused,
            &entry.with_growth,
            &entry.gathering,
        ];
        let bounds = figures.into_iter().flatten().map(|figure| figure.bound);
        let most = bounds.reduce(|one, other| Some(one?.max(other?))).flatten();
        if let Some((most, trap)) = most.zip(entry.trap_bound)
            && trap > most
        {
            let _ = writeln!(
                text,
                "\n{}: a call that ends by a trap inside, an access out of bounds for instance, costs \
                 at most {trap}.",
                label(report, entry)
            );
        }
    }
}

/// What is to be added to the figures of out-of-line parts.
fn describe_inlined(text: &mut String, report: &Report) {
    let parts = report.entries.iter();
    let mut parts = parts
        .filter_map(|entry| Some((entry, entry.inlined.as_ref()?)))
        .peekable();
    if parts.peek().is_none() {
        return;
    }
    let _ = writeln!(
        text,
        "\ninlined: operations begin in their callers, and only their rest is bounded above. On the longest\n\
         way to the call and from it on, without a loop or another call, the caller and the\n\
         operation together execute at most (docs/bounds.md; entries can be kept out of line):"
    );
    for (entry, inlined) in parts {
        let main = entry
            .without_growth
            .as_ref()
            .and_then(|figure| figure.bound);
        let sum = inlined
            .before
            .zip(inlined.after)
            .zip(main)
            .map(|((before, after), bound)| before.saturating_add(bound).saturating_add(after));
        let _ = writeln!(
            text,
            "  {}: {} before (the call at {:#x} in {}), {} after; with its bound {}; {} callers",
            label(report, entry),
            number(inlined.before),
            inlined.offset,
            inlined.function,
            number(inlined.after),
            number(sum),
            inlined.callers,
        );
    }
}

fn table(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "entry",
        "bound",
        "plain",
        "+ bytes",
        "with growth",
        "verdict",
    ]);
    for entry in &report.entries {
        let main = entry.without_growth.as_ref();
        table.add_row([
            label(report, entry),
            main.map_or_else(|| no_main(entry), bound),
            main.map_or_else(|| "-".to_owned(), |figure| number(figure.plain)),
            main.map_or_else(|| "-".to_owned(), |figure| bytes(entry, figure)),
            entry
                .with_growth
                .as_ref()
                .map_or_else(|| "never".to_owned(), bound),
            verdict(entry.verdict).to_owned(),
        ]);
    }
    for column in 1..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// What stands in the place of a figure without growth where there is none.
fn no_main(entry: &EntryReport) -> String {
    match entry.refused {
        Some(_) => "always asks".to_owned(),
        None => "always grows".to_owned(),
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Bounded => "bounded",
        Verdict::Conditional => "conditional",
        Verdict::Unbounded => "unbounded",
    }
}

fn number(cost: Option<u64>) -> String {
    cost.map_or_else(|| "unbounded".to_owned(), |cost| cost.to_string())
}

fn bound(figure: &Figure) -> String {
    let loose = figure.bound.is_some() && figure.steps > 0 && !figure.exact;
    format!("{}{}", if loose { "<= " } else { "" }, number(figure.bound))
}

fn bytes(entry: &EntryReport, figure: &Figure) -> String {
    match figure.bulk_operations {
        Some(0) => "none".to_owned(),
        Some(count) => format!("of {count} bulk"),
        None if entry.bulk.is_empty() => "none".to_owned(),
        None => "of any number".to_owned(),
    }
}

/// What stands in the way of bounds, each place once, with the entries that reach it.
fn describe_obstacles(text: &mut String, report: &Report) {
    let mut places = Places::default();
    for entry in &report.entries {
        for obstacle in &entry.obstacles {
            let only = if obstacle.matters_without_growth {
                ""
            } else {
                " (on no path without growth)"
            };
            let place = format!(
                "  {:#x} in {}: {}{only}",
                obstacle.offset, obstacle.function, obstacle.reason
            );
            places.add(place, &label(report, entry));
        }
    }
    places.describe(text, "in the way:");
}

/// Operations whose units come on top, each place once.
fn describe_bulk(text: &mut String, report: &Report) {
    let mut places = Places::default();
    for entry in &report.entries {
        for bulk in &entry.bulk {
            let place = format!(
                "  {:#x} in {}: {}, {} more per {}",
                bulk.offset,
                bulk.function,
                bulk.operator.replacen('_', ".", 1),
                bulk.cost_per_unit,
                bulk.unit
            );
            places.add(place, &label(report, entry));
        }
    }
    places.describe(text, "bytes and elements on top:");
}

/// Places in the order in which they are met, each with the entries that reach it.
#[derive(Default)]
struct Places {
    lines: Vec<(String, Vec<String>)>,
    numbers: HashMap<String, usize>,
}

impl Places {
    fn add(&mut self, place: String, entry: &str) {
        if let Some(number) = self.numbers.get(&place) {
            self.lines[*number].1.push(entry.to_owned());
        } else {
            self.numbers.insert(place.clone(), self.lines.len());
            self.lines.push((place, vec![entry.to_owned()]));
        }
    }

    fn describe(&self, text: &mut String, title: &str) {
        if self.lines.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{title}");
        for (place, entries) in self.lines.iter().take(PLACES_SHOWN) {
            let shown = entries[..entries.len().min(ENTRIES_SHOWN)].join(", ");
            let more = if entries.len() > ENTRIES_SHOWN {
                ", .."
            } else {
                ""
            };
            let _ = writeln!(text, "{place} ({shown}{more})");
        }
        if let Some(more) = self.lines.len().checked_sub(PLACES_SHOWN + 1) {
            let _ = writeln!(text, "  and {} more (--json has all)", more + 1);
        }
    }
}

/// An entry's name, with its index if another has the same name.
fn label(report: &Report, entry: &EntryReport) -> String {
    let others = report.entries.iter();
    if others.filter(|other| other.name == entry.name).count() > 1 {
        format!("{} [{}]", entry.name, entry.function)
    } else {
        entry.name.clone()
    }
}

fn describe_entry(text: &mut String, report: &Report, entry: &EntryReport) {
    let figures = [
        ("without growth", &entry.without_growth),
        ("where growth is refused", &entry.refused),
        ("with growth", &entry.with_growth),
        ("where the heap gathers", &entry.gathering),
    ];
    for (kind, figure) in figures {
        if let Some(figure) = figure
            && !figure.witness.is_empty()
        {
            let _ = writeln!(text, "\nlongest path of {} {kind}", label(report, entry));
            describe_witness(text, &figure.witness);
        }
    }
}

fn describe_witness(text: &mut String, steps: &[WitnessStep]) {
    let _ = writeln!(text, "  cost so far   offset  function and what happens");
    for step in steps {
        let _ = writeln!(
            text,
            "  {:>11} {:#8x}  {:indent$}{}: {}",
            step.cost,
            step.offset,
            "",
            step.function,
            step.event,
            indent = step.depth * 2
        );
    }
}
