//! Finds the functions to bound: by export, by symbol, or as told.
//!
//! Names only say where to look, never what a function costs. Where inlining has taken the entry
//! points away, that is said, and what is left out of line is bounded instead.

use std::collections::BTreeSet;

use wasmparser::Operator;

use crate::loops::names;
use crate::module::{InputError, Module};

/// Entry points by their last path segment, in the order of the report.
const KNOWN: [(&str, &[&str]); 4] = [
    (
        "alloc",
        &[
            "__rust_alloc",
            "__rdl_alloc",
            "__rg_alloc",
            "malloc",
            "aligned_alloc",
            "memalign",
            "posix_memalign",
            "op_alloc",
        ],
    ),
    (
        "dealloc",
        &[
            "__rust_dealloc",
            "__rdl_dealloc",
            "__rg_dealloc",
            "free",
            "op_dealloc",
        ],
    ),
    (
        "realloc",
        &[
            "__rust_realloc",
            "__rdl_realloc",
            "__rg_realloc",
            "realloc",
            "op_realloc",
        ],
    ),
    (
        "alloc_zeroed",
        &[
            "__rust_alloc_zeroed",
            "__rdl_alloc_zeroed",
            "__rg_alloc_zeroed",
            "calloc",
            "op_alloc_zeroed",
        ],
    ),
];

/// Methods of Rust's `GlobalAlloc`, by role.
const GLOBAL_ALLOC: [&str; 4] = ["alloc", "dealloc", "realloc", "alloc_zeroed"];

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
}

/// A function to bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name to print.
    pub name: String,
    /// What it does, when known: `alloc`, `dealloc`, `realloc` or `alloc_zeroed`.
    pub role: Option<&'static str>,
    /// Function index.
    pub function: u32,
    /// How it was found.
    pub found: Found,
}

/// Entries and what must be said about them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// Functions to bound.
    pub entries: Vec<Entry>,
    /// Remarks, one line each.
    pub notes: Vec<String>,
}

/// Finds entries: those asked for, else those known by name.
///
/// # Errors
/// When a name asked for does not exist, is imported, or no entry can be found.
pub fn find(module: &Module<'_>, asked: &[String]) -> Result<Entries, InputError> {
    if !asked.is_empty() {
        let entries = asked
            .iter()
            .map(|name| given(module, name))
            .collect::<Result<_, _>>()?;
        return Ok(Entries {
            entries,
            notes: Vec::new(),
        });
    }
    let mut found = Entries {
        entries: known(module),
        notes: Vec::new(),
    };
    add_inlined(module, &mut found);
    if found.entries.is_empty() {
        return Err(InputError::plain(nothing_found(module)));
    }
    Ok(found)
}

fn given(module: &Module<'_>, name: &str) -> Result<Entry, InputError> {
    let exported = module.exports.iter().find(|(export, _)| export == name);
    let function = match exported {
        Some((_, function)) => *function,
        None => by_symbol(module, name)?,
    };
    if module.functions[function as usize].body.is_none() {
        return Err(InputError::plain(format!(
            "entry {name:?} is an import: it has no code here"
        )));
    }
    Ok(Entry {
        name: name.to_owned(),
        role: role(name),
        function,
        found: Found::Given,
    })
}

fn by_symbol(module: &Module<'_>, name: &str) -> Result<u32, InputError> {
    let count = u32::try_from(module.functions.len()).unwrap_or(u32::MAX);
    let mut matching = (0..count).filter(|function| names(module, *function, name));
    match (matching.next(), matching.next()) {
        (Some(function), None) => Ok(function),
        (Some(one), Some(other)) => Err(InputError::plain(format!(
            "entry {name:?} names functions {one} and {other}: give an index"
        ))),
        (None, _) => Err(InputError::plain(format!(
            "no export, symbol or function index is {name:?}"
        ))),
    }
}

/// What a function of this name does.
fn role(name: &str) -> Option<&'static str> {
    let segment = last_segment(name);
    if let Some((role, _)) = KNOWN.iter().find(|(_, names)| names.contains(&segment)) {
        return Some(role);
    }
    if name.contains("GlobalAlloc>::") {
        return GLOBAL_ALLOC.into_iter().find(|method| *method == segment);
    }
    None
}

fn last_segment(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

fn known(module: &Module<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut add = |name: String, function: u32, found| {
        let defined = module.functions[function as usize].body.is_some();
        let new = !entries.iter().any(|entry| entry.function == function);
        if let Some(role) = role(&name).filter(|_| defined && new) {
            entries.push(Entry {
                name,
                role: Some(role),
                function,
                found,
            });
        }
    };
    for (name, function) in &module.exports {
        add(name.clone(), *function, Found::Export);
    }
    for function in module.symbols.keys() {
        if (*function as usize) < module.functions.len() {
            add(module.display_name(*function), *function, Found::Symbol);
        }
    }
    let order = |entry: &Entry| KNOWN.iter().position(|(role, _)| Some(*role) == entry.role);
    entries.sort_by_key(|entry| (order(entry), entry.function));
    entries
}

fn is_allocator(name: &str) -> bool {
    ALLOCATOR_CRATES.iter().any(|allocator| {
        let name = name.trim_start_matches('<');
        name.strip_prefix(allocator)
            .is_some_and(|rest| rest.starts_with("::"))
    })
}

/// Adds out-of-line functions of an allocator that code outside it calls directly.
fn add_inlined(module: &Module<'_>, found: &mut Entries) {
    let count = u32::try_from(module.functions.len()).unwrap_or(u32::MAX);
    let allocator: BTreeSet<u32> = (0..count)
        .filter(|function| is_allocator(&module.display_name(*function)))
        .collect();
    let entries: BTreeSet<u32> = found.entries.iter().map(|entry| entry.function).collect();
    let mut callers: BTreeSet<(u32, u32)> = BTreeSet::new();
    for caller in (0..count).filter(|f| !allocator.contains(f) && !entries.contains(f)) {
        for callee in direct_callees(module, caller) {
            if allocator.contains(&callee) && !entries.contains(&callee) {
                callers.insert((callee, caller));
            }
        }
    }
    let out_of_line: BTreeSet<u32> = callers.iter().map(|(callee, _)| *callee).collect();
    for callee in &out_of_line {
        let name = module.display_name(*callee);
        let into: Vec<u32> = callers
            .iter()
            .filter(|(c, _)| c == callee)
            .map(|(_, f)| *f)
            .collect();
        found.notes.push(format!(
            "inlined: {} function(s), {} first, call {name} directly; the inlined instructions \
             before that call are not in its figure. To bound a whole operation, keep the entries \
             out of line: export a `#[inline(never)]` wrapper around each (docs/bounds.md)",
            into.len(),
            module.display_name(into[0]),
        ));
        found.entries.push(Entry {
            role: role(&name),
            name,
            function: *callee,
            found: Found::OutOfLine,
        });
    }
}

fn direct_callees(module: &Module<'_>, function: u32) -> Vec<u32> {
    let Some(body) = &module.functions[function as usize].body else {
        return Vec::new();
    };
    let Ok(operators) = body.get_operators_reader() else {
        return Vec::new();
    };
    operators
        .into_iter()
        .map_while(Result::ok)
        .filter_map(|operator| match operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                Some(function_index)
            }
            _ => None,
        })
        .collect()
}

fn nothing_found(module: &Module<'_>) -> String {
    let hint = if module.has_name_section {
        "the entries may be inlined everywhere: export wrappers around them"
    } else {
        "the module has no name section: build it with names, or export wrappers around the entries"
    };
    format!("no allocator entry by export or symbol; name one with --entry, or: {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_of_old_and_new_compilers_are_known() {
        let demangled = |name| format!("{:#}", rustc_demangle::demangle(name));
        assert_eq!(role("__rust_alloc"), Some("alloc"));
        let v0 = demangled("_RNvCs1234_7___rustc12___rust_alloc");
        assert_eq!(role(&v0), Some("alloc"), "{v0}");
        let legacy = demangled("_ZN7__rustc19___rust_alloc_zeroed17h0123456789abcdefE");
        assert_eq!(role(&legacy), None, "{legacy}");
        assert_eq!(
            role(
                "<alligator_alloc::global::AlligatorAlloc as core::alloc::global::GlobalAlloc>::realloc"
            ),
            Some("realloc")
        );
        assert_eq!(role("realloc_page_table"), None);
    }
}
