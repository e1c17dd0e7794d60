//! Which of the functions found do what is said of them: each is tried together with others of its kind.

use core::cell::OnceCell;
use std::collections::BTreeSet;

use crate::calls::Calls;
use crate::confirm::{Engine, Family, Loaded, Tried, try_family};
use crate::copy::{copy, name_of};
use crate::heap::HeapFunction;
use crate::module::Module;
use crate::names::{Parameter, Role};

/// Functions that a copy keeps at most, those first that are called first.
const KEPT_MAX: usize = 3_000;

/// Bytes of their code, at most.
const KEPT_BYTES_MAX: u64 = 2 << 20;

/// Bytes of all code up to which all of it is kept where the part alone fails.
const WHOLE_BYTES_MAX: u64 = 8 << 20;

/// Exports without parameters that set a program up, by name.
const CONSTRUCTORS: [&str; 3] = ["__wasm_call_ctors", "_initialize", "__wbindgen_start"];

/// Runs families of functions of one module.
pub(crate) struct Trials<'a> {
    module: &'a Module<'a>,
    calls: &'a Calls,
    bytes: &'a [u8],
    engine: &'a dyn Engine,
    functions: BTreeSet<u32>,
    plain: Box<dyn Loaded>,
    /// The same with all of the program, made when it is first needed.
    whole: OnceCell<Option<Box<dyn Loaded>>>,
}

impl<'a> Trials<'a> {
    /// Prepares to run some functions of a module.
    pub(crate) fn of(
        engine: &'a dyn Engine,
        bytes: &'a [u8],
        module: &'a Module<'a>,
        calls: &'a Calls,
        functions: BTreeSet<u32>,
    ) -> Result<Self, String> {
        let plain = load(engine, bytes, module, calls, &functions)?;
        Ok(Self {
            module,
            calls,
            bytes,
            engine,
            functions,
            plain,
            whole: OnceCell::new(),
        })
    }

    /// Tries a family in a new instance. The number of calls.
    pub(crate) fn run(&self, family: &Family) -> Result<u32, String> {
        let mut instance = self.plain.start()?;
        try_family(instance.as_mut(), family)
    }

    /// The same, and if that fails in one with all of the program that is not too long, and then in one whose program
    /// was set up.
    pub(crate) fn run_set_up(&self, family: &Family) -> Result<u32, String> {
        let first = self.run(family);
        let (Err(reason), Some(whole)) = (&first, self.whole()) else {
            return first;
        };
        let plain = whole
            .start()
            .and_then(|mut it| try_family(it.as_mut(), family));
        let Some(constructor) = constructor(self.module).filter(|_| plain.is_err()) else {
            return plain.map_err(|_| reason.clone());
        };
        let mut instance = whole.start()?;
        // Whatever it does, the trial decides.
        let _ = instance.call(&name_of(constructor), &[]);
        try_family(instance.as_mut(), family).map_err(|_| reason.clone())
    }

    fn whole(&self) -> Option<&dyn Loaded> {
        let make = || {
            let mut functions = self.functions.clone();
            functions.extend(constructor(self.module));
            let module = self.module;
            let kept = all(module).unwrap_or_else(|| kept(module, self.calls, &functions));
            load_kept(self.engine, self.bytes, module, &kept, &functions).ok()
        };
        self.whole.get_or_init(make).as_deref()
    }
}

/// What is needed to run some functions: those that they and the start reach.
fn kept(module: &Module<'_>, calls: &Calls, functions: &BTreeSet<u32>) -> BTreeSet<u32> {
    closure(module, calls, functions.iter().copied().chain(module.start))
}

/// All functions, unless their code is longer than what is compiled for a trial.
fn all(module: &Module<'_>) -> Option<BTreeSet<u32>> {
    let bodies = module.functions.iter().filter_map(|f| f.body.as_ref());
    let bytes: u64 = bodies
        .map(|body| body.range().end - body.range().start)
        .sum();
    let count = u32::try_from(module.functions.len()).ok()?;
    (bytes <= WHOLE_BYTES_MAX).then(|| (0..count).collect())
}

fn load(
    engine: &dyn Engine,
    bytes: &[u8],
    module: &Module<'_>,
    calls: &Calls,
    functions: &BTreeSet<u32>,
) -> Result<Box<dyn Loaded>, String> {
    let kept = kept(module, calls, functions);
    load_kept(engine, bytes, module, &kept, functions)
}

fn load_kept(
    engine: &dyn Engine,
    bytes: &[u8],
    module: &Module<'_>,
    kept: &BTreeSet<u32>,
    functions: &BTreeSet<u32>,
) -> Result<Box<dyn Loaded>, String> {
    let copy = copy(bytes, module, kept, functions).map_err(|error| error.to_string())?;
    engine.load(&copy)
}

/// A function as it is to be tried.
pub(crate) fn tried(function: u32, role: Role, parameters: &[Parameter]) -> Tried {
    Tried {
        name: name_of(function),
        role,
        parameters: parameters.to_vec(),
    }
}

/// Partners of each role with which a function is tried, at most.
const PARTNERS_MAX: usize = 4;

/// Tries all functions, each with others, and writes down what came of it.
pub(crate) fn confirm_all(trials: &Trials<'_>, functions: &mut [HeapFunction]) {
    for number in 0..functions.len() {
        if takes_sizes(&functions[number]).is_none() {
            continue;
        }
        let mut outcome = Err("nothing gives memory".to_owned());
        // What belongs together is not known where there are several of a role: what is most alike comes first.
        for apart in 0..PARTNERS_MAX {
            let family = family_of(functions, number, apart);
            let again = trials.run_set_up(&family);
            if apart == 0 || again.is_ok() {
                outcome = again;
            }
            if outcome.is_ok() {
                break;
            }
        }
        match outcome {
            Ok(calls) => functions[number].confirmed = Some(calls),
            Err(reason) => functions[number].doubt = Some(reason),
        }
    }
}

/// A function with others, the `apart`th of each role it needs. A function that gives or takes blocks needs the other;
/// one that resizes both.
fn family_of(functions: &[HeapFunction], number: usize, apart: usize) -> Family {
    let own = &functions[number];
    let of = |role: Role| {
        if own.role == role {
            return Some(tried(own.function, role, &own.parameters));
        }
        let others = functions.iter().filter(|function| function.role == role);
        let mut others: Vec<&HeapFunction> = others
            .filter(|function| takes_sizes(function).is_some())
            .collect();
        others.sort_by_key(|other| {
            (
                takes_sizes(other) != takes_sizes(own),
                other.found != own.found,
            )
        });
        let found = others.get(apart).or(others.first())?;
        Some(tried(found.function, role, &found.parameters))
    };
    Family {
        alloc: of(Role::Alloc),
        dealloc: of(Role::Dealloc),
        realloc: of(Role::Realloc).filter(|_| own.role == Role::Realloc),
        alloc_zeroed: of(Role::AllocZeroed).filter(|_| own.role == Role::AllocZeroed),
    }
}

/// Whether a function belongs to those that are told sizes, as Rust's are; `None` when it is not to be tried.
fn takes_sizes(function: &HeapFunction) -> Option<bool> {
    let has = |parameter| function.parameters.contains(&parameter);
    if has(Parameter::Place) || function.parameters == [Parameter::Other] {
        return None;
    }
    match function.role {
        Role::Dealloc | Role::Realloc => Some(has(Parameter::OldSize)),
        Role::Alloc | Role::AllocZeroed => {
            let is_rust = has(Parameter::Align)
                && function
                    .parameters
                    .iter()
                    .rposition(|p| *p == Parameter::Align)
                    > function
                        .parameters
                        .iter()
                        .position(|p| *p == Parameter::Size);
            Some(is_rust)
        }
        Role::Pin | Role::Unpin => None,
    }
}

fn constructor(module: &Module<'_>) -> Option<u32> {
    let takes_nothing = |function: u32| {
        module.functions[function as usize].body.is_some()
            && module.integer_parameters(function, false) == Some(0)
    };
    let named = |name: &&str| module.exports.iter().find(|(export, _)| export == name);
    let by_name = CONSTRUCTORS.iter().find_map(named);
    // Emscripten's comes first among the exports, under whatever name.
    let first = || {
        module
            .exports
            .iter()
            .find(|(_, function)| takes_nothing(*function))
    };
    let found = by_name.or_else(first)?;
    Some(found.1).filter(|function| takes_nothing(*function))
}

/// Functions that are reached by direct calls, the nearest first, up to a number and a length.
fn closure(module: &Module<'_>, calls: &Calls, from: impl Iterator<Item = u32>) -> BTreeSet<u32> {
    let mut kept: BTreeSet<u32> = BTreeSet::new();
    let mut level: BTreeSet<u32> = from.collect();
    let mut bytes = 0;
    while !level.is_empty() && kept.len() < KEPT_MAX {
        for function in core::mem::take(&mut level) {
            let body = module.functions[function as usize].body.as_ref();
            bytes += body.map_or(0, |body| body.range().end - body.range().start);
            if bytes > KEPT_BYTES_MAX {
                return kept;
            }
            kept.insert(function);
            let callees = calls.callees.get(&function).into_iter().flatten();
            level.extend(callees.filter(|callee| !kept.contains(callee)));
        }
    }
    kept
}
