//! `alligator measure`: measured against proved.
//!
//! Each call runs twice, in two engines: one charges what the cost table charges, the other the
//! same without the units of bulk operations. The second figure is the one that the bound limits.

use std::collections::BTreeSet;
use std::path::PathBuf;

use alligator_bound::report::{EntryReport, Figure, Verdict};
use alligator_find::copy::{copy, name_of};
use alligator_find::core_of;
use alligator_find::module::{InputError, Module};
use alligator_find::names::Role;
use alligator_meter::{End, Measured, Meter, Running, Units};
use comfy_table::{CellAlignment, Table, presets};
use wasmtime::{Val, ValType};

use crate::bound::{Files, located, prove, read};
use crate::find::Ways;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The compiled module.
    module: PathBuf,
    /// Calls in order, as `name(1,2)`; `$0` is the result of the first. A name is an export, a symbol, an index, or what
    /// the function does: `alloc(24)`.
    #[arg(required = true, value_name = "CALL")]
    calls: Vec<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    ways: Ways,
}

/// A call as written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    name: String,
    arguments: Vec<Argument>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argument {
    Number(i64),
    /// Result of an earlier call.
    Result(usize),
}

/// A module that runs, and what its calls gave.
struct Session {
    running: Running,
    results: Vec<i64>,
}

impl Session {
    fn new(bytes: &[u8], units: Units) -> Result<Self, String> {
        Ok(Self {
            running: Meter::new(units)?.start(bytes)?,
            results: Vec::new(),
        })
    }

    fn call(&mut self, call: &Call) -> Result<Measured, String> {
        let types = self
            .running
            .parameters(&call.name)
            .ok_or_else(|| format!("no function is exported as {:?}", call.name))?;
        if types.len() != call.arguments.len() {
            return Err(format!("{} takes {} arguments", call.name, types.len()));
        }
        let arguments: Vec<Val> = types
            .iter()
            .zip(&call.arguments)
            .map(|(value_type, argument)| self.argument(value_type, *argument))
            .collect::<Result<_, _>>()?;
        let measured = self.running.call(&call.name, &arguments)?;
        self.results.push(result(&measured).unwrap_or_default());
        Ok(measured)
    }

    fn argument(&self, value_type: &ValType, argument: Argument) -> Result<Val, String> {
        let value = match argument {
            Argument::Number(value) => value,
            Argument::Result(index) => *self
                .results
                .get(index)
                .ok_or_else(|| format!("${index} is the result of no earlier call"))?,
        };
        match value_type {
            ValType::I64 => Ok(Val::I64(value)),
            ValType::I32 => u32::try_from(value)
                .map(u32::cast_signed)
                .or_else(|_| i32::try_from(value))
                .map(Val::I32)
                .map_err(|_| format!("{value} does not fit 32 bits")),
            other => Err(format!("arguments of type {other} cannot be given")),
        }
    }
}

/// The first result, as an integer.
fn result(measured: &Measured) -> Option<i64> {
    match measured.results.first()? {
        Val::I32(value) => Some(i64::from(value.cast_unsigned())),
        Val::I64(value) => Some(*value),
        _ => None,
    }
}

fn parse_call(text: &str) -> Result<Call, String> {
    let wrong = || format!("{text:?} is no call: write name(1,2)");
    let (name, rest) = text.split_once('(').ok_or_else(wrong)?;
    let inside = rest.strip_suffix(')').ok_or_else(wrong)?.trim();
    let arguments = if inside.is_empty() {
        Vec::new()
    } else {
        inside
            .split(',')
            .map(|argument| parse_argument(argument.trim()).ok_or_else(wrong))
            .collect::<Result<_, _>>()?
    };
    Ok(Call {
        name: name.trim().to_owned(),
        arguments,
    })
}

fn parse_argument(text: &str) -> Option<Argument> {
    if let Some(index) = text.strip_prefix('$') {
        return index.parse().ok().map(Argument::Result);
    }
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
    .map(Argument::Number)
}

/// Runs the subcommand and gives the exit status.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, String> {
    let bytes = read(&arguments.module)?;
    let mut calls: Vec<Call> = arguments
        .calls
        .iter()
        .map(|call| parse_call(call))
        .collect::<Result<_, _>>()?;
    let fault = |reason: String| located(&arguments.module, &reason);
    let mut options = arguments.files.options()?;
    let bytes = runnable(arguments, &bytes, &mut calls)?;
    for call in &calls {
        if !options.entries.contains(&call.name) {
            options.entries.push(call.name.clone());
        }
    }
    let report = prove(&arguments.module, &bytes, &arguments.ways, &mut options)?;
    let mut whole = Session::new(&bytes, Units::Charged).map_err(fault)?;
    let mut fixed = Session::new(&bytes, Units::Free).map_err(fault)?;
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["call", "result", "measured", "+ bytes", "proved", "holds"]);
    let (mut all_hold, mut all_bounded) = (true, true);
    for (text, call) in arguments.calls.iter().zip(&calls) {
        let with_units = whole.call(call)?;
        let measured = fixed.call(call)?;
        let entry = report.entries.iter().find(|entry| entry.name == call.name);
        let proved = entry.and_then(|entry| proved(entry, &measured));
        let conditional = entry.is_some_and(|entry| entry.verdict == Verdict::Conditional);
        all_bounded &= proved.is_some() && !conditional;
        let holds = proved.map(|proved| measured.fuel <= proved);
        // What is above may be bytes: that cannot be told.
        let unknown = holds == Some(false) && entry.is_some_and(has_loops_over_bytes);
        let holds = holds.filter(|_| !unknown);
        all_bounded &= !unknown;
        all_hold &= holds != Some(false);
        table.add_row([
            text.clone(),
            describe_result(&measured),
            measured.fuel.to_string(),
            (with_units.fuel - measured.fuel).to_string(),
            proved.map_or_else(|| "unbounded".to_owned(), |proved| proved.to_string()),
            match (holds, conditional) {
                (None, _) if unknown => "with its bytes",
                (None, _) => "-",
                (Some(false), _) => "NO",
                (Some(true), true) => "yes, on condition",
                (Some(true), false) => "yes",
            }
            .to_owned(),
        ]);
    }
    for column in 2..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
    for note in &report.notes {
        println!("\nnote: {note}");
    }
    Ok(match (all_hold, all_bounded) {
        (false, _) => 1,
        (true, false) => 2,
        (true, true) => 0,
    })
}

/// The module to run, and the calls by the names they have there: the module itself if it exports them all; else a copy
/// that exports what they name by symbol or index, or by what the function that is found does, as `alloc`.
fn runnable(arguments: &Arguments, bytes: &[u8], calls: &mut [Call]) -> Result<Vec<u8>, String> {
    let path = &arguments.module;
    let fault = |error: InputError| located(path, &error);
    let (core, _) = core_of(bytes).map_err(fault)?;
    let module = Module::parse(core).map_err(fault)?;
    let is_exported = |call: &Call| module.exports.iter().any(|(name, _)| *name == call.name);
    if calls.iter().all(is_exported) {
        return Ok(core.to_vec());
    }
    let mut heap = None;
    let mut exported = BTreeSet::new();
    for call in calls {
        let function = match (module.function_called(&call.name), Role::of(&call.name)) {
            (Ok(function), _) => function,
            (Err(error), None) => return Err(fault(error)),
            (Err(_), Some(role)) => {
                if heap.is_none() {
                    heap = Some(arguments.ways.find(path, bytes)?);
                }
                let mut functions = heap.iter().flat_map(|heap| &heap.functions);
                let found = functions.find(|function| function.role == role);
                let reason =
                    || located(path, &format!("no function is found to {}", role.as_str()));
                found.ok_or_else(reason)?.function
            }
        };
        call.name = name_of(function);
        exported.insert(function);
    }
    let count = u32::try_from(module.functions.len()).unwrap_or(u32::MAX);
    copy(core, &module, &(0..count).collect(), &exported).map_err(fault)
}

/// The bound that applies to what a call did: to its growth, and to whether it came to an end.
fn proved(entry: &EntryReport, measured: &Measured) -> Option<u64> {
    match (&measured.end, measured.grew) {
        (End::Trapped(_), _) => entry.trap_bound,
        // Whether it entered a function that may grow, or gathered, is not measured. Without such a path, any cost is
        // above what is proved.
        (_, true) => most([&entry.with_growth, &entry.gathering]),
        (_, false) => most([&entry.without_growth, &entry.refused, &entry.gathering]),
    }
}

/// The largest of the bounds of `figures`, of those that there are; none if one has none.
fn most<const N: usize>(figures: [&Option<Figure>; N]) -> Option<u64> {
    let mut bounds = figures.into_iter().flatten().map(|figure| figure.bound);
    bounds.try_fold(0, |most: u64, bound| Some(most.max(bound?)))
}

/// Whether the bytes of an entry are handled by loops: their cost is part of what is measured.
fn has_loops_over_bytes(entry: &EntryReport) -> bool {
    entry.bulk.iter().any(|bulk| bulk.operator == "loops")
}

fn describe_result(measured: &Measured) -> String {
    let outcome = match (&measured.end, result(measured)) {
        (End::Trapped(trap), _) => format!("trap: {trap}"),
        (End::Unreachable, _) => "trap: unreachable".to_owned(),
        (End::Returned, Some(result)) => result.to_string(),
        (End::Returned, None) => "-".to_owned(),
    };
    if measured.grew {
        format!("{outcome}, grew")
    } else {
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_numbers_and_results() {
        let call = parse_call("op_realloc($0, 24, 0x10, -1)").expect("a call");
        assert_eq!(call.name, "op_realloc");
        let expected = [
            Argument::Result(0),
            Argument::Number(24),
            Argument::Number(16),
            Argument::Number(-1),
        ];
        assert_eq!(call.arguments, expected);
        assert!(parse_call("op_free(").is_err());
        assert!(parse_call("op_free(x)").is_err());
    }
}
