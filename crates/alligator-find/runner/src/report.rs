//! What was found in each module, and in how many.

use core::fmt::Write as _;
use std::collections::BTreeSet;
use std::time::Instant;

use alligator_bound::analyze;
use alligator_bound::report::Verdict;
use alligator_find::beside::beside;
use alligator_find::calls::Calls;
use alligator_find::heap::{Heap, HeapFunction, How, Outcome};
use alligator_find::module::Module;
use alligator_find::names::Role;
use alligator_find::{Options, core_of, find};
use alligator_meter::sandbox::Sandbox;
use alligator_tools::guest::root;
use anyhow::{Result, anyhow};

use crate::corpus::Shipped;

/// What was found in one module.
#[derive(Debug)]
pub(crate) struct Row {
    name: String,
    mib: String,
    held_out: bool,
    heap: Heap,
    /// Whether a search without names and glue found functions that those found lead to; `None` when it found none.
    shape: Option<bool>,
    /// Entries that `alligator bound` proves something of, and how many have a bound.
    bound: Result<(usize, usize), String>,
    seconds: f64,
}

/// Finds the heap of a module in both ways.
pub(crate) fn row(module: &Shipped, bytes: &[u8], steps: u64) -> Result<Row> {
    let sandbox = Sandbox::new().map_err(|reason| anyhow!(reason))?;
    let search = |without_names| {
        let options = Options {
            glue: beside(&module.file()),
            without_names,
            engine: Some(&sandbox),
            ..Options::default()
        };
        find(bytes, &options)
    };
    let start = Instant::now();
    let heap = search(false)?;
    let seconds = start.elapsed().as_secs_f64();
    let (core, _) = core_of(bytes)?;
    let shape = if heap
        .functions
        .iter()
        .any(|function| function.found == How::Shape)
    {
        None
    } else {
        agrees(core, &heap, &search(true)?)?
    };
    let bound = match steps {
        0 => Err("not asked".to_owned()),
        steps => bound(core, &heap, steps),
    };
    Ok(Row {
        name: module.name(),
        mib: format!("{:.1}", mib(bytes.len())),
        held_out: module.held_out,
        heap,
        shape,
        bound,
        seconds,
    })
}

#[expect(clippy::cast_precision_loss, reason = "to one digit")]
fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Whether what shapes show is what names and glue show, or what these functions lead to, in the roles they have.
fn agrees(core: &[u8], heap: &Heap, shape: &Heap) -> Result<Option<bool>> {
    if shape.outcome != Outcome::Found {
        return Ok(None);
    }
    let module = Module::parse(core)?;
    let calls = Calls::of(&module);
    let is_led_to = |function: &HeapFunction| {
        let same = heap
            .functions
            .iter()
            .filter(|other| other.role == function.role || other.role == Role::Realloc);
        let from: BTreeSet<u32> = same.map(|other| other.function).collect();
        calls
            .reached(&from, &BTreeSet::new())
            .contains(&function.function)
    };
    let has = |role| heap.functions.iter().any(|function| function.role == role);
    let main = |function: &&HeapFunction| match function.role {
        Role::Alloc => has(Role::Alloc) || has(Role::Realloc),
        Role::Dealloc => has(Role::Dealloc),
        _ => false,
    };
    Ok(Some(shape.functions.iter().filter(main).all(is_led_to)))
}

fn bound(core: &[u8], heap: &Heap, steps: u64) -> Result<(usize, usize), String> {
    let options = alligator_bound::Options {
        found: heap.entries(),
        steps_max: steps,
        ..alligator_bound::Options::default()
    };
    let report = analyze(core, &options).map_err(|error| error.to_string())?;
    let bounded = report
        .entries
        .iter()
        .filter(|entry| entry.verdict == Verdict::Bounded);
    Ok((report.entries.len(), bounded.count()))
}

impl Row {
    fn is_found(&self) -> bool {
        self.heap.outcome == Outcome::Found
    }

    fn is_confirmed(&self) -> bool {
        let mut functions = self.heap.functions.iter();
        functions.any(|function| function.role != Role::Dealloc && function.confirmed.is_some())
    }

    fn how(&self) -> &'static str {
        let gives = |role| matches!(role, Role::Alloc | Role::Realloc);
        let mut functions = self
            .heap
            .functions
            .iter()
            .filter(|function| gives(function.role));
        match (self.is_found(), functions.next()) {
            (true, Some(function)) => function.found.as_str(),
            _ => "nothing",
        }
    }

    fn functions(&self) -> String {
        let name = |role| {
            let mut functions = self.heap.functions.iter();
            let found = functions.find(|function| function.role == role);
            found.map_or("-", |function| function.name.as_str())
        };
        format!(
            "{}, {}, {}",
            name(Role::Alloc),
            name(Role::Dealloc),
            name(Role::Realloc)
        )
    }

    fn shape(&self) -> &'static str {
        match self.shape {
            None if self.how() == How::Shape.as_str() => "-",
            None => "nothing",
            Some(true) => "the same",
            Some(false) => "others",
        }
    }

    /// In one line, for the terminal.
    pub(crate) fn line(&self) -> String {
        let sure = if self.is_confirmed() {
            "confirmed"
        } else {
            "not confirmed"
        };
        let bound = match &self.bound {
            Ok((all, bounded)) => format!("bound: {bounded} of {all}"),
            Err(reason) => format!("bound: {reason}"),
        };
        format!(
            "{} ({} MiB): {} ({}), {sure}; {}; by shape: {}; {bound}; {:.1} s",
            self.name,
            self.mib,
            self.how(),
            self.functions(),
            self.heap.allocator.name,
            self.shape(),
            self.seconds
        )
    }
}

/// How many were found, of all and of those held out.
pub(crate) fn summary(rows: &[Row]) -> String {
    let mut text = String::new();
    for (title, held_out) in [
        ("looked at", Some(false)),
        ("held out", Some(true)),
        ("all", None),
    ] {
        let rows: Vec<&Row> = rows
            .iter()
            .filter(|row| held_out.is_none_or(|held_out| row.held_out == held_out))
            .collect();
        let count = |is: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| is(row)).count();
        let _ = writeln!(
            text,
            "{title}: {} modules; {} found, {} of them confirmed by running; by shape alone {} the same, {} others; \
             recognised {}; `alligator bound` answers for {}",
            rows.len(),
            count(&|row| row.is_found()),
            count(&|row| row.is_found() && row.is_confirmed()),
            count(&|row| row.shape == Some(true)),
            count(&|row| row.shape == Some(false)),
            count(&|row| row.heap.allocator.name != "unknown"),
            count(&|row| row.bound.is_ok()),
        );
    }
    text
}

/// Writes `docs/heaps.md`.
pub(crate) fn record(rows: &[Row]) -> Result<()> {
    let mut text = String::from(
        "# Heaps found\n\nWritten by `cargo xtask heaps --fetch --record`: what `alligator find` says ([find.md](find.md)) \
         of the modules that \
         [a list of packages](../crates/alligator-find/corpus/corpus.toml) of npm and PyPI ships. Nobody looked at those \
         held out while the rules were written.\n\n```text\n",
    );
    text.push_str(&summary(rows));
    text.push_str(
        "```\n\n*Confirmed*: a function that gives memory, together with others, behaves as an allocator when it is run. \
         *By shape*: what a search finds that looks at neither names nor glue: functions that those found by name or glue \
         are or call (`the same`), `others`, or nothing; `-` where a shape is all there is to compare. *Bound*: for how many entries of how many \
         `alligator bound` proves a bound; or why it does not answer.\n\n\
         | module | MiB | held out | found by | gives, takes back, resizes | confirmed | by shape | allocator | bound |\n\
         | --- | --: | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let bound = match &row.bound {
            Ok((all, bounded)) => format!("{bounded} of {all}"),
            Err(reason) => reason.chars().take(60).collect(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | `{}` | {} | {} | {} | {bound} |",
            row.name,
            row.mib,
            if row.held_out { "yes" } else { "" },
            row.how(),
            row.functions().replace('|', "/"),
            if row.is_confirmed() { "yes" } else { "no" },
            row.shape(),
            row.heap.allocator.name,
        );
    }
    Ok(std::fs::write(root().join("docs/heaps.md"), text)?)
}
