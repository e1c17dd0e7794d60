//! All ways of finding together.

use std::collections::BTreeSet;

use crate::calls::Calls;
use crate::component::{CoreModule, core_modules};
use crate::confirm::Engine;
use crate::glue;
use crate::heap::{Heap, HeapFunction, How, Outcome, SCHEMA};
use crate::module::{InputError, Module};
use crate::names::{self, Named, Parameter, Role};
use crate::shape::{self, Shapes};
use crate::trials::{Trials, confirm_all};
use crate::which::recognised;
use crate::wrapper;

/// Functions that are reported, at most.
const FUNCTIONS_MAX: usize = 64;

/// What to find, and with what.
#[derive(Default)]
pub struct Options<'a> {
    /// JavaScript that goes with the module.
    pub glue: Vec<String>,
    /// What the user says: export, symbol or index, and role. What is found for that role otherwise is left out.
    pub given: Vec<(String, Role)>,
    /// Whether names and glue are looked at; else what is found is found by shape.
    pub without_names: bool,
    /// Runs what was found. Without it nothing is confirmed, and shapes are not looked for.
    pub engine: Option<&'a dyn Engine>,
}

impl core::fmt::Debug for Options<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Options")
            .field("glue", &self.glue.len())
            .field("given", &self.given)
            .field("without_names", &self.without_names)
            .field("engine", &self.engine.is_some())
            .finish()
    }
}

/// The core module that is meant: the bytes themselves, or that module of a component in which most is found.
///
/// # Errors
/// When the bytes are neither, or a component has no module that can be read.
pub fn core_of(bytes: &[u8]) -> Result<(&[u8], Option<CoreModule>), InputError> {
    let Some(modules) = core_modules(bytes)? else {
        return Ok((bytes, None));
    };
    let mut best: Option<((usize, usize), CoreModule, &[u8])> = None;
    let of = modules.len();
    for (index, range) in modules.into_iter().enumerate() {
        let offset = range.start as u64;
        let core = bytes.get(range).unwrap_or_default();
        let module = Module::parse(core).map_err(|error| error.within(offset))?;
        let has_memory = !module.memories.is_empty();
        let found = by_name(&module).len() * usize::from(has_memory);
        let worth = (found, core.len());
        if best.as_ref().is_none_or(|(other, _, _)| *other < worth) {
            best = Some((worth, CoreModule { index, of, offset }, core));
        }
    }
    let (_, which, core) =
        best.ok_or_else(|| InputError::at(0, "a component without a core module"))?;
    Ok((core, Some(which)))
}

/// Finds the allocator of a core module or a component.
///
/// # Errors
/// When the bytes are no valid module or component, or what the user named does not exist.
pub fn find(bytes: &[u8], options: &Options<'_>) -> Result<Heap, InputError> {
    let (core, which) = core_of(bytes)?;
    let offset = which.as_ref().map_or(0, |which| which.offset);
    let module = Module::parse(core).map_err(|error| error.within(offset))?;
    let calls = Calls::of(&module);
    let mut functions = given(&module, &options.given)?;
    let mut add = |more: Vec<HeapFunction>| {
        for function in more {
            let is_known = |other: &HeapFunction| {
                other.function == function.function
                    || (other.found == How::Given && other.role == function.role)
            };
            if !functions.iter().any(is_known) {
                functions.push(function);
            }
        }
    };
    if !options.without_names {
        add(by_name(&module));
        add(by_glue(&module, &options.glue));
    }
    let wrapped = by_wrapping(&module, &functions);
    functions.extend(wrapped);
    functions.sort_by_key(|function| (function.role, function.found, function.function));
    let mut notes = Vec::new();
    if functions.len() > FUNCTIONS_MAX {
        notes.push(format!(
            "{} more functions have such names",
            functions.len() - FUNCTIONS_MAX
        ));
        functions.truncate(FUNCTIONS_MAX);
    }
    if let Some(engine) = options.engine {
        run(engine, core, &module, &calls, &mut functions, &mut notes);
    }
    functions.sort_by_key(|function| (function.role, function.found, function.function));
    let outcome = outcome(&module, &calls, &functions);
    if outcome == Outcome::Unknown {
        notes.push(growth(&module, &calls));
        notes.extend(of_go(&module));
    }
    Ok(Heap {
        schema: SCHEMA,
        module: which,
        outcome,
        allocator: recognised(core, &module, &calls, &functions),
        functions,
        notes,
    })
}

/// Tries what was found, and looks for shapes if nothing of it gives memory.
fn run(
    engine: &dyn Engine,
    bytes: &[u8],
    module: &Module<'_>,
    calls: &Calls,
    functions: &mut Vec<HeapFunction>,
    notes: &mut Vec<String>,
) {
    let indices: BTreeSet<u32> = functions.iter().map(|function| function.function).collect();
    if !indices.is_empty() {
        match Trials::of(engine, bytes, module, calls, indices) {
            Ok(trials) => confirm_all(&trials, functions),
            Err(reason) => notes.push(format!("not confirmed: {reason}")),
        }
    }
    if functions.iter().any(gives_memory) {
        return;
    }
    let shapes = Shapes {
        engine,
        bytes,
        module,
        calls,
        within: BTreeSet::new(),
    };
    for found in shape::search(&shapes) {
        if functions
            .iter()
            .all(|function| function.function != found.function)
        {
            functions.push(found);
        }
    }
}

fn gives_memory(function: &HeapFunction) -> bool {
    let is_alloc = matches!(function.role, Role::Alloc | Role::AllocZeroed);
    // A `realloc` that is told the old size and the alignment gives memory when there was none.
    let may = function.role == Role::Realloc && function.parameters.contains(&Parameter::Align);
    is_alloc || may
}

fn outcome(module: &Module<'_>, calls: &Calls, functions: &[HeapFunction]) -> Outcome {
    let has_signs = !calls.grow.is_empty()
        || !functions.is_empty()
        || !shape::growing_imports(module).is_empty();
    match functions.iter().any(gives_memory) {
        true => Outcome::Found,
        false if module.memories.is_empty() || !has_signs => Outcome::NoHeap,
        false => Outcome::Unknown,
    }
}

/// What is to be said of a program made by Go, whose compiler strips names on request.
fn of_go(module: &Module<'_>) -> Option<String> {
    let mut imports = module.functions.iter().filter_map(|f| f.import.as_ref());
    imports.any(|(from, _)| from == "gojs").then(|| {
        "made by Go: its heap is the collector's, whose functions take their arguments from a stack in memory and cannot \
         be tried; with its names (built without -s) runtime.mallocgc is found"
            .to_owned()
    })
}

/// Where memory grows, in words.
fn growth(module: &Module<'_>, calls: &Calls) -> String {
    let mut places: Vec<String> = calls
        .grow
        .iter()
        .map(|(function, offset)| format!("{} ({offset:#x})", module.display_name(*function)))
        .collect();
    let count = places.len();
    places.truncate(5);
    match count {
        0 => "no function grows memory".to_owned(),
        _ => format!(
            "memory grows in {} of {count} places: {}",
            places.len(),
            places.join(", ")
        ),
    }
}

fn given(module: &Module<'_>, asked: &[(String, Role)]) -> Result<Vec<HeapFunction>, InputError> {
    let mut functions = Vec::new();
    for (name, role) in asked {
        let function = module.function_called(name)?;
        let gives = *role != Role::Dealloc;
        let count = module.integer_parameters(function, gives);
        let usual = usual(*role, &module.display_name(function));
        let parameters = count.and_then(|count| usual.iter().find(|p| p.len() == count));
        let parameters = parameters.ok_or_else(|| {
            InputError::plain(format!(
                "{name:?} cannot be {}: its type fits no version of it",
                role.as_str()
            ))
        })?;
        functions.push(HeapFunction::new(
            module,
            function,
            *role,
            parameters.clone(),
            How::Given,
        ));
    }
    Ok(functions)
}

/// What the parameters of a function of a role may mean, the most usual first for each number.
fn usual(role: Role, name: &str) -> Vec<Vec<Parameter>> {
    let by_name = names::named(name).filter(|named| named.role == role);
    let others: &[&str] = match role {
        Role::Alloc => &["malloc", "__rust_alloc"],
        Role::Dealloc => &["free", "__wbindgen_free"],
        Role::Realloc => &["realloc", "__rust_realloc", "__wbindgen_realloc"],
        Role::AllocZeroed => &["calloc", "__rust_alloc_zeroed"],
        Role::Pin | Role::Unpin => &["free"],
    };
    let named = by_name
        .into_iter()
        .chain(others.iter().filter_map(|name| names::named(name)));
    named
        .flat_map(|named| (1..=5).filter_map(move |count| named.parameters(count)))
        .map(<[Parameter]>::to_vec)
        .collect()
}

/// Functions by export and symbol, if their types agree with their names.
fn by_name(module: &Module<'_>) -> Vec<HeapFunction> {
    let mut functions = Vec::new();
    for (name, function) in &module.exports {
        let named = names::named(name)
            .or_else(|| names::exported(name))
            .or_else(|| names::of_runtime(name, true));
        functions.extend(named.and_then(|named| fitting(module, *function, named, How::Export)));
    }
    for function in module.symbols.keys() {
        let name = module.display_name(*function);
        let named = names::named(&name).or_else(|| names::of_runtime(&name, false));
        functions.extend(named.and_then(|named| fitting(module, *function, named, How::Symbol)));
    }
    functions
}

/// A function of a name, if it has code and a type that goes with the name.
fn fitting(module: &Module<'_>, function: u32, named: Named, found: How) -> Option<HeapFunction> {
    module.functions.get(function as usize)?.body.as_ref()?;
    let role = named.role;
    let count = module
        .integer_parameters(function, true)
        .filter(|_| role != Role::Dealloc && role != Role::Unpin)
        .or_else(|| {
            let gives_nothing = module.integer_parameters(function, false);
            gives_nothing.filter(|_| matches!(role, Role::Dealloc | Role::Pin | Role::Unpin))
        })?;
    let parameters = named.parameters(count)?.to_vec();
    Some(HeapFunction::new(module, function, role, parameters, found))
}

fn by_glue(module: &Module<'_>, texts: &[String]) -> Vec<HeapFunction> {
    // Files come in the order in which they are to be believed; others may be another build's.
    let says_all = |claims: &Vec<glue::Claim>| claims.iter().any(|claim| claim.role == Role::Alloc);
    let mut read: Vec<Vec<glue::Claim>> = Vec::new();
    for text in texts {
        read.push(glue::read(text, module));
        if read.last().is_some_and(says_all) {
            break;
        }
    }
    read.into_iter()
        .flatten()
        .filter(|claim| module.functions[claim.function as usize].body.is_some())
        .map(|claim| {
            let parameters = claim.parameters.to_vec();
            HeapFunction::new(module, claim.function, claim.role, parameters, How::Glue)
        })
        .collect()
}

/// Functions to which those found only forward.
fn by_wrapping(module: &Module<'_>, found: &[HeapFunction]) -> Vec<HeapFunction> {
    let mut known: BTreeSet<u32> = found.iter().map(|function| function.function).collect();
    let mut inner = Vec::new();
    for outer in found {
        let mut at = (outer.function, outer.parameters.clone());
        for _ in 0..wrapper::DEPTH_MAX {
            let Some((callee, parameters)) = wrapper::forwarded(module, at.0, &at.1) else {
                break;
            };
            if !known.insert(callee) {
                break;
            }
            at = (callee, parameters.clone());
            inner.push(HeapFunction::new(
                module,
                callee,
                outer.role,
                parameters,
                How::Wrapped,
            ));
        }
    }
    inner
}
