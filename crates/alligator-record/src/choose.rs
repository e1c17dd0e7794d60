//! Which of the functions that were found are recorded.

use std::collections::BTreeSet;

use alligator_find::calls::Calls;
use alligator_find::heap::{Heap, HeapFunction, How};
use alligator_find::module::{InputError, Module};
use alligator_find::names::{Parameter, Role};
use wasmparser::Operator;

/// Functions that give a script's objects, and what they are made of: an object's address is not that of its block.
const OBJECTS: [(&str, &str); 2] = [("__new", "__alloc"), ("__renew", "__realloc")];

/// The functions that are recorded, and remarks about what is not. All that were found are, since only the outermost call
/// of several says something, but for those that did not behave as an allocator where others did.
///
/// # Errors
/// When none of them gives memory.
pub fn chosen(
    module: &Module<'_>,
    heap: &Heap,
) -> Result<(Vec<HeapFunction>, Vec<String>), InputError> {
    let mut notes = Vec::new();
    let mut functions: Vec<HeapFunction> = heap
        .functions
        .iter()
        .filter(|function| can_be_recorded(module, function))
        .cloned()
        .collect();
    let trusted: Vec<Role> = functions
        .iter()
        .filter(|function| function.doubt.is_none())
        .map(|function| function.role)
        .collect();
    functions.retain(|function| {
        let is_kept = function.doubt.is_none()
            || function.found == How::Given
            || !trusted.contains(&function.role);
        if !is_kept {
            let doubt = function.doubt.as_deref().unwrap_or_default();
            notes.push(format!("{} is not recorded: {doubt}", function.name));
        }
        is_kept
    });
    let names: Vec<String> = functions.iter().map(|it| it.name.clone()).collect();
    let has = |suffix: &str| names.iter().any(|name| name.ends_with(suffix));
    let has_blocks = has("__alloc") && has("__free");
    functions.retain(|function| {
        let is_object = OBJECTS
            .iter()
            .any(|(object, block)| function.name.ends_with(object) && has(block));
        !(is_object && has_blocks)
    });
    functions.sort_by_key(|function| function.function);
    functions.dedup_by_key(|function| function.function);
    let has_role = |role: &[Role]| functions.iter().any(|it| role.contains(&it.role));
    if !has_role(&[Role::Alloc, Role::AllocZeroed, Role::Realloc]) {
        return Err(InputError::plain(
            "no function was found that gives memory, so there is nothing to record; --alloc NAME=ROLE says which does",
        ));
    }
    if !has_role(&[Role::Dealloc]) {
        notes.push(
            "no function was found that takes memory back: blocks that are freed, or collected, stay live in the trace"
                .to_owned(),
        );
    }
    notes.extend(inlined(module, &functions));
    if heap.allocator.name.starts_with("Alligator") {
        notes.push(
            "parts of Alligator are inlined where the compiler knows a size; those calls are not seen unless the program \
             is compiled for size (opt-level = \"s\")"
                .to_owned(),
        );
    }
    Ok((functions, notes))
}

fn can_be_recorded(module: &Module<'_>, function: &HeapFunction) -> bool {
    let has = |parameter| function.parameters.contains(&parameter);
    let needed = match function.role {
        Role::Alloc | Role::AllocZeroed => has(Parameter::Size),
        Role::Realloc => has(Parameter::Size) && has(Parameter::Pointer),
        Role::Dealloc => has(Parameter::Pointer),
        Role::Pin | Role::Unpin => false,
    };
    let gives = function.role != Role::Dealloc;
    let count = module
        .integer_parameters(function.function, gives)
        .or_else(|| {
            module
                .integer_parameters(function.function, true)
                .filter(|_| !gives)
        });
    let has_body = module
        .functions
        .get(function.function as usize)
        .is_some_and(|it| it.body.is_some());
    needed && has_body && count == Some(function.parameters.len())
}

/// Functions outside the allocator that use its records, at least so many of them: an optimiser has put one of its
/// functions into them.
const RECORDS_MIN: usize = 4;

/// Below this, a constant is no address of a record: linkers leave the first addresses free.
const ADDRESS_MIN: u64 = 1_024;

/// A remark for each function that does an allocator's work without calling it: that is not seen.
fn inlined(module: &Module<'_>, functions: &[HeapFunction]) -> Vec<String> {
    let calls = Calls::of(module);
    let of_role = |role| {
        functions
            .iter()
            .filter(move |it| it.role == role)
            .map(|it| it.function)
    };
    let records = |function: u32| -> BTreeSet<u64> {
        let from = BTreeSet::from([function]);
        let reached = calls.reached(&from, &BTreeSet::new());
        reached
            .iter()
            .flat_map(|it| addresses(module, *it))
            .collect()
    };
    let given: BTreeSet<u64> = of_role(Role::Alloc).flat_map(records).collect();
    let taken: BTreeSet<u64> = of_role(Role::Dealloc).flat_map(records).collect();
    let shared: BTreeSet<u64> = given.intersection(&taken).copied().collect();
    let own: BTreeSet<u32> = functions.iter().map(|it| it.function).collect();
    let inside = calls.reached(&own, &BTreeSet::new());
    let outside = calls.callees.keys().filter(|it| !inside.contains(it));
    outside
        .filter(|it| addresses(module, **it).intersection(&shared).count() >= RECORDS_MIN)
        .map(|it| {
            format!(
                "{} works on the heap's records itself: a function of the allocator was inlined there, or has no name; what \
                 it does is not seen, and blocks may seem to overlap",
                module.display_name(*it)
            )
        })
        .collect()
}

/// Constants that a function uses as addresses, or near the start of one.
fn addresses(module: &Module<'_>, function: u32) -> BTreeSet<u64> {
    let body = module.functions[function as usize].body.as_ref();
    let Some(Ok(operators)) = body.map(wasmparser::FunctionBody::get_operators_reader) else {
        return BTreeSet::new();
    };
    let places =
        operators
            .into_iter()
            .map_while(Result::ok)
            .filter_map(|operator| match operator {
                Operator::I32Const { value } => u64::try_from(value).ok(),
                Operator::I64Const { value } => u64::try_from(value).ok(),
                Operator::I32Load { memarg } | Operator::I32Store { memarg } => Some(memarg.offset),
                _ => None,
            });
    places.filter(|place| *place >= ADDRESS_MIN).collect()
}

/// Adds the functions that a search by shape found behind those that were found otherwise. A module without names has an
/// allocator's functions under the ones it exports, and calls those itself. Functions that nothing of the heap leads to
/// are another heap's, and left out; so is everything where the allocator's own functions have names.
pub fn add_behind(module: &Module<'_>, heap: &mut Heap, by_shape: &Heap) {
    if heap.functions.iter().any(|it| it.found == How::Symbol) {
        return;
    }
    let calls = Calls::of(module);
    let known: BTreeSet<u32> = heap.functions.iter().map(|it| it.function).collect();
    let behind = calls.reached(&known, &BTreeSet::new());
    let is_behind =
        |it: &&HeapFunction| behind.contains(&it.function) && !known.contains(&it.function);
    let gives = |it: &HeapFunction| it.role == Role::Alloc && behind.contains(&it.function);
    if by_shape.functions.iter().any(gives) {
        let more: Vec<HeapFunction> = by_shape
            .functions
            .iter()
            .filter(is_behind)
            .cloned()
            .collect();
        heap.functions.extend(more);
    }
}
