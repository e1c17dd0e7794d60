//! Finds the functions to bound: by export, by symbol, or as told.
//!
//! Names only say where to look, never what a function costs. Where inlining has taken the entry
//! points away, that is said, and what is left out of line is bounded instead. What may have been
//! missed is said as well: operations without an entry, and growth that no entry reaches.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::ValType;

use crate::calls::Calls;
use crate::error::printable;
use crate::module::{InputError, Module, names};
use crate::names::{self, Role, c_function};

/// What an allocator has functions for.
const OPERATIONS: [Role; 4] = [Role::Alloc, Role::Dealloc, Role::Realloc, Role::AllocZeroed];

/// Crates whose functions, found out of line, show that an allocator was inlined.
const ALLOCATOR_CRATES: [&str; 7] = [
    "alligator_alloc",
    "dlmalloc",
    "talc",
    "rlsf",
    "wasmalloc",
    "lol_alloc",
    "wee_alloc",
];

/// Functions that are bounded without being asked for, at most.
const ENTRIES_MAX: usize = 128;

/// Parts of a name by which an export looks like an allocator's.
const TELLING: [&str; 6] = ["alloc", "free", "acquire", "release", "new", "drop"];

/// Functions named in one note, at most.
const NAMED_MAX: usize = 5;

/// How an entry was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Named by the user.
    Given,
    /// Under an exported name.
    Export,
    /// By a symbol of the name section.
    Symbol,
    /// An out-of-line part of an allocator whose entry was inlined.
    OutOfLine,
    /// By the JavaScript that goes with the module.
    Glue,
    /// By its shape, and confirmed by running it.
    Shape,
}

/// A function to bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name to print.
    pub name: String,
    /// What it does, when known.
    pub role: Option<Role>,
    /// Function index.
    pub function: u32,
    /// How it was found.
    pub found: Found,
    /// Functions that call it and are no part of the allocator, when it was found out of line.
    pub callers: Vec<u32>,
}

/// Entries and what must be said about them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// Functions to bound.
    pub entries: Vec<Entry>,
    /// Remarks, one line each.
    pub notes: Vec<String>,
}

/// Finds entries: those asked for, else those known by name and the ones of `more`, which were found in other ways.
/// `allocators` are crates whose functions
/// are an allocator's, besides those known.
///
/// # Errors
/// When a name asked for does not exist, is imported, or no entry can be found.
pub fn find(
    module: &Module<'_>,
    asked: &[String],
    allocators: &[String],
    more: &[Entry],
) -> Result<Entries, InputError> {
    if !asked.is_empty() {
        return all_given(module, asked);
    }
    let calls = Calls::of(module);
    let mut found = Entries {
        entries: known(module),
        notes: Vec::new(),
    };
    add_others(&mut found.entries, more);
    add_inlined(module, &calls, allocators, &mut found.entries);
    if found.entries.is_empty() {
        return Err(InputError::plain(nothing_found(module, &calls)));
    }
    found.notes = aliases(module, &found.entries);
    found.notes.extend(missed(module, &calls, &found.entries));
    if let Some(more) = found.entries.len().checked_sub(ENTRIES_MAX + 1) {
        found.entries.truncate(ENTRIES_MAX);
        found.notes.push(format!(
            "{} more functions have the name of an entry: ask for them with --entry",
            more + 1
        ));
    }
    Ok(found)
}

/// Adds entries that are not there yet.
fn add_others(entries: &mut Vec<Entry>, more: &[Entry]) {
    for other in more {
        if entries.iter().all(|entry| entry.function != other.function) {
            entries.push(other.clone());
        }
    }
    entries.sort_by_key(|entry| (entry.role, entry.function));
}

/// The entries asked for; one that is asked for by two names of C is one.
fn all_given(module: &Module<'_>, asked: &[String]) -> Result<Entries, InputError> {
    let mut entries: Vec<Entry> = Vec::new();
    for name in asked {
        let entry = given(module, name)?;
        let is_same = |other: &Entry| {
            other.function == entry.function && c_function(&other.name) == c_function(name)
        };
        if c_function(name).is_none() || !entries.iter().any(is_same) {
            entries.push(entry);
        }
    }
    let notes = aliases(module, &entries);
    Ok(Entries { entries, notes })
}

fn given(module: &Module<'_>, name: &str) -> Result<Entry, InputError> {
    let function = match exported(module, name) {
        Some(function) => function,
        None => by_symbol(module, name)?,
    };
    if module.functions[function as usize].body.is_none() {
        return Err(InputError::plain(format!(
            "entry {name:?} is an import: it has no code here"
        )));
    }
    Ok(Entry {
        name: name.to_owned(),
        role: role(name).or_else(|| role_of_export(name)),
        function,
        found: Found::Given,
        callers: Vec::new(),
    })
}

fn exported(module: &Module<'_>, name: &str) -> Option<u32> {
    let found = module.exports.iter().find(|(export, _)| export == name)?;
    Some(found.1)
}

fn by_symbol(module: &Module<'_>, name: &str) -> Result<u32, InputError> {
    let count = u32::try_from(module.functions.len()).unwrap_or(u32::MAX);
    let mut matching = (0..count).filter(|function| names(module, *function, name));
    match (matching.next(), matching.next()) {
        (Some(function), None) => Ok(function),
        (Some(one), Some(other)) => Err(InputError::plain(format!(
            "entry {name:?} names functions {one} and {other}: give an index"
        ))),
        (None, _) => by_alias(module, name).ok_or_else(|| {
            InputError::plain(format!(
                "no export, symbol or function index is {name:?}{}",
                look_alikes(module, |_| true)
            ))
        }),
    }
}

/// A function of C under another of its names.
fn by_alias(module: &Module<'_>, name: &str) -> Option<u32> {
    let wanted = c_function(name)?;
    let named = |other: &str| c_function(other) == Some(wanted);
    let by_export = module.exports.iter().find(|(export, _)| named(export));
    let by_symbol = || {
        let count = u32::try_from(module.functions.len()).unwrap_or(u32::MAX);
        (0..count).find(|function| {
            let function = &module.functions[*function as usize];
            function.body.is_some() && function.name.as_deref().is_some_and(named)
        })
    };
    by_export.map(|(_, function)| *function).or_else(by_symbol)
}

fn known(module: &Module<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut met: BTreeSet<u32> = BTreeSet::new();
    let mut add = |name: String, role: Option<Role>, function: u32, found| {
        let defined = module.functions[function as usize].body.is_some();
        if role.is_some() && defined && met.insert(function) {
            entries.push(Entry {
                name,
                role,
                function,
                found,
                callers: Vec::new(),
            });
        }
    };
    for (name, function) in &module.exports {
        let role = role(name).or_else(|| role_of_export(name));
        add(name.clone(), role, *function, Found::Export);
    }
    for function in module.symbols.keys() {
        if (*function as usize) < module.functions.len() {
            let name = module.display_name(*function);
            let role = role(&name);
            add(name, role, *function, Found::Symbol);
        }
    }
    name_as_c_does(&mut entries);
    entries.sort_by_key(|entry| (entry.role, entry.function));
    entries
}

fn role(name: &str) -> Option<Role> {
    names::named(name).map(|named| named.role)
}

fn role_of_export(name: &str) -> Option<Role> {
    names::exported(name).map(|named| named.role)
}

/// Gives functions of C their plain names, unless there are several of one.
fn name_as_c_does(entries: &mut [Entry]) {
    let plain: Vec<Option<&'static str>> = entries
        .iter()
        .map(|entry| c_function(&entry.name))
        .collect();
    for (entry, name) in entries.iter_mut().zip(&plain) {
        let Some(name) = name else { continue };
        if plain.iter().filter(|other| **other == Some(*name)).count() == 1 {
            (*name).clone_into(&mut entry.name);
        }
    }
}

/// Entries that the module knows by another name, in one line.
fn aliases(module: &Module<'_>, entries: &[Entry]) -> Vec<String> {
    let other_names: Vec<String> = entries
        .iter()
        .filter_map(|entry| {
            let own = module.display_name(entry.function);
            let is_other = exported(module, &entry.name) != Some(entry.function)
                && own != entry.name
                && c_function(&own).is_some()
                && c_function(&own) == c_function(&entry.name);
            is_other.then(|| format!("{} is {own}", entry.name))
        })
        .collect();
    if other_names.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "by other names in the module: {}",
        other_names.join(", ")
    )]
}

/// Exports that look like an allocator's by name and type, to ask for; nothing if there are none.
fn look_alikes(module: &Module<'_>, is_new: impl Fn(u32) -> bool) -> String {
    let alike: Vec<String> = module
        .exports
        .iter()
        .filter(|(name, function)| is_new(*function) && looks_like_entry(module, name, *function))
        .map(|(name, function)| format!("{}{}", printable(name), type_of(module, *function)))
        .collect();
    if alike.is_empty() {
        return String::new();
    }
    format!("; exports that look like entries: {}", some_of(&alike))
}

fn looks_like_entry(module: &Module<'_>, name: &str, function: u32) -> bool {
    let defined = &module.functions[function as usize];
    let Some(signature) = module.signature(defined.type_index) else {
        return false;
    };
    let is_integer = |value_type: &ValType| matches!(value_type, ValType::I32 | ValType::I64);
    let name = name.to_lowercase();
    defined.body.is_some()
        && TELLING.iter().any(|part| name.contains(part))
        && (1..=4).contains(&signature.params().len())
        && signature.results().len() <= 1
        && signature.params().iter().all(is_integer)
        && signature.results().iter().all(is_integer)
}

/// A function's type as `(i32, i32) -> i32`.
fn type_of(module: &Module<'_>, function: u32) -> String {
    let Some(signature) = module.signature(module.functions[function as usize].type_index) else {
        return String::new();
    };
    let list = |types: &[ValType]| {
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        types.join(", ")
    };
    match signature.results() {
        [] => format!("({})", list(signature.params())),
        results => format!("({}) -> {}", list(signature.params()), list(results)),
    }
}

fn is_allocator(name: &str, more: &[String]) -> bool {
    let known = ALLOCATOR_CRATES.into_iter();
    known
        .chain(more.iter().map(String::as_str))
        .any(|crate_name| {
            let name = name.trim_start_matches('<');
            name.strip_prefix(crate_name)
                .is_some_and(|rest| rest.starts_with("::"))
        })
}

/// Adds functions of an allocator that the program calls directly: what is left of an operation
/// whose first part was inlined.
fn add_inlined(
    module: &Module<'_>,
    calls: &Calls,
    allocators: &[String],
    entries: &mut Vec<Entry>,
) {
    let count = u32::try_from(module.functions.len()).unwrap_or(u32::MAX);
    let entry: BTreeSet<u32> = entries.iter().map(|entry| entry.function).collect();
    let allocator: BTreeSet<u32> = (0..count)
        .filter(|function| is_allocator(&module.display_name(*function), allocators))
        .chain(entry.iter().copied())
        .collect();
    // What only the allocator calls, of `core` for instance, belongs to it.
    let program = calls.reached(&calls.roots, &allocator);
    let referred = calls.referred.intersection(&allocator);
    let mut callers: BTreeMap<u32, Vec<u32>> = referred
        .filter(|function| !entry.contains(function))
        .map(|function| (*function, Vec::new()))
        .collect();
    for caller in program {
        for callee in calls.callees.get(&caller).into_iter().flatten() {
            if allocator.contains(callee) && !entry.contains(callee) {
                callers.entry(*callee).or_default().push(caller);
            }
        }
    }
    for (function, callers) in callers {
        let name = module.display_name(function);
        entries.push(Entry {
            role: role(&name),
            name,
            function,
            found: Found::OutOfLine,
            callers,
        });
    }
}

/// What may have been missed, in words.
fn missed(module: &Module<'_>, calls: &Calls, entries: &[Entry]) -> Vec<String> {
    let mut notes = Vec::new();
    let absent: Vec<&str> = OPERATIONS
        .into_iter()
        .filter(|role| entries.iter().all(|entry| entry.role != Some(*role)))
        .map(Role::as_str)
        .collect();
    if !absent.is_empty() {
        let why = if module.has_name_section {
            "not in the module, or inlined into its callers"
        } else {
            "not among the exports, and the module has no other names"
        };
        let is_new = |function| entries.iter().all(|entry| entry.function != function);
        notes.push(format!(
            "no function by the name of {}: {why}{}",
            absent.join(", "),
            look_alikes(module, is_new)
        ));
    }
    let functions = entries.iter().map(|entry| entry.function).collect();
    let reached = calls.reached(&functions, &BTreeSet::new());
    let growing: Vec<String> = calls
        .grow
        .iter()
        .filter(|(function, _)| !reached.contains(function))
        .map(|(function, offset)| format!("{} ({offset:#x})", module.display_name(*function)))
        .collect();
    if !growing.is_empty() {
        notes.push(format!(
            "memory.grow that no entry reaches, in {}: if an allocator is inlined there, it is in \
             no figure",
            some_of(&growing)
        ));
    }
    notes
}

fn some_of(all: &[String]) -> String {
    let shown = all[..all.len().min(NAMED_MAX)].join(", ");
    match all.len().checked_sub(NAMED_MAX + 1) {
        Some(more) => format!("{shown} and {} more", more + 1),
        None => shown,
    }
}

fn nothing_found(module: &Module<'_>, calls: &Calls) -> String {
    let hint = if module.has_name_section {
        "keep the entries out of line (docs/bounds.md)"
    } else {
        "the module has no names: build it with names, or export wrappers of the entries"
    };
    let growing: Vec<String> = calls
        .grow
        .iter()
        .map(|(function, offset)| format!("{} ({offset:#x})", module.display_name(*function)))
        .collect();
    let growing = if growing.is_empty() {
        "no function grows memory".to_owned()
    } else {
        format!("memory grows in {}", some_of(&growing))
    };
    let alike = look_alikes(module, |_| true);
    format!(
        "no allocator entry by export or symbol{alike}; name one with --entry, or: {hint}; {growing}"
    )
}
