//! Modules to find heaps in: a small allocator in WAT, under names that each test chooses.
#![allow(dead_code, reason = "each test uses a part")]

use alligator_find::confirm::Engine;
use alligator_find::heap::{Heap, HeapFunction};
use alligator_find::module::InputError;
use alligator_find::names::Role;
use alligator_find::{Options, find};
use alligator_meter::sandbox::Sandbox;

/// An allocator with one list of free blocks, first fit, a header of 8 bytes: functions `$malloc`, `$free`, `$realloc`
/// and `$calloc`. Its state is at 2048 (the list) and 2052 (the end of what was given).
pub(crate) const HEAP: &str = r#"
    (memory (export "memory") 1)
    (func $more (param $bytes i32) (result i32) (local $at i32)
        (if (i32.eqz (i32.load (i32.const 2052)))
            (then (i32.store (i32.const 2052) (i32.const 4096))))
        (local.set $at (i32.load (i32.const 2052)))
        (i32.store (i32.const 2052) (i32.add (local.get $at) (local.get $bytes)))
        (block $enough
            (loop $grow
                (br_if $enough (i32.le_u (i32.load (i32.const 2052)) (i32.shl (memory.size) (i32.const 16))))
                (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (return (i32.const 0))))
                (br $grow)))
        (local.get $at))
    (func $malloc (param $size i32) (result i32) (local $last i32) (local $at i32)
        (local.set $size (i32.and (i32.add (local.get $size) (i32.const 15)) (i32.const -8)))
        (local.set $last (i32.const 2048))
        (block $none
            (loop $next
                (local.set $at (i32.load (local.get $last)))
                (br_if $none (i32.eqz (local.get $at)))
                (if (i32.ge_u (i32.load offset=4 (local.get $at)) (local.get $size))
                    (then
                        (i32.store (local.get $last) (i32.load (local.get $at)))
                        (return (i32.add (local.get $at) (i32.const 8)))))
                (local.set $last (local.get $at))
                (br $next)))
        (local.set $at (call $more (local.get $size)))
        (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
        (i32.store offset=4 (local.get $at) (local.get $size))
        (i32.add (local.get $at) (i32.const 8)))
    (func $free (param $block i32)
        (if (i32.eqz (local.get $block)) (then (return)))
        (i32.store (i32.sub (local.get $block) (i32.const 8)) (i32.load (i32.const 2048)))
        (i32.store (i32.const 2048) (i32.sub (local.get $block) (i32.const 8))))
    (func $realloc (param $block i32) (param $size i32) (result i32) (local $new i32) (local $old i32)
        (local.set $new (call $malloc (local.get $size)))
        (local.set $old (i32.sub (i32.load (i32.sub (local.get $block) (i32.const 4))) (i32.const 8)))
        (memory.copy (local.get $new) (local.get $block)
            (select (local.get $old) (local.get $size) (i32.lt_u (local.get $old) (local.get $size))))
        (call $free (local.get $block))
        (local.get $new))
    (func $calloc (param $count i32) (param $size i32) (result i32) (local $new i32)
        (local.set $size (i32.mul (local.get $count) (local.get $size)))
        (local.set $new (call $malloc (local.get $size)))
        (memory.fill (local.get $new) (i32.const 0) (local.get $size))
        (local.get $new))
"#;

/// The allocator with more fields.
pub(crate) fn module(more: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {HEAP} {more})")).expect("well formed")
}

/// The same without the names that the text has.
pub(crate) fn stripped(more: &str) -> Vec<u8> {
    let bytes = module(more);
    let mut copy = wasm_encoder::Module::new();
    for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
        let payload = payload.expect("well formed");
        let is_custom = matches!(payload, wasmparser::Payload::CustomSection(_));
        if let Some((id, range)) = payload.as_section().filter(|_| !is_custom) {
            let place = |at: u64| usize::try_from(at).expect("small");
            let data = &bytes[place(range.start)..place(range.end)];
            copy.section(&wasm_encoder::RawSection { id, data });
        }
    }
    copy.finish()
}

/// Finds without glue, and tries what is found.
pub(crate) fn found(bytes: &[u8]) -> Heap {
    with(bytes, &Options::default()).expect("a module")
}

/// Finds with the glue given, and tries what is found.
pub(crate) fn found_with(bytes: &[u8], glue: &str) -> Heap {
    let glue = vec![glue.to_owned()];
    let options = Options {
        glue,
        ..Options::default()
    };
    with(bytes, &options).expect("a module")
}

/// Finds with the sandbox.
pub(crate) fn with(bytes: &[u8], options: &Options<'_>) -> Result<Heap, InputError> {
    let sandbox = Sandbox::new().expect("an engine");
    let options = Options {
        engine: Some(&sandbox as &dyn Engine),
        glue: options.glue.clone(),
        given: options.given.clone(),
        without_names: options.without_names,
    };
    find(bytes, &options)
}

/// The functions of a role.
pub(crate) fn of(heap: &Heap, role: Role) -> Vec<&HeapFunction> {
    let functions = heap.functions.iter();
    functions.filter(|function| function.role == role).collect()
}

/// The one function of a role.
pub(crate) fn one(heap: &Heap, role: Role) -> &HeapFunction {
    match of(heap, role)[..] {
        [one] => one,
        ref others => panic!("not one: {others:?}"),
    }
}
