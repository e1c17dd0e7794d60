//! Functions by their names, and those that these only call.

mod common;

use alligator_find::heap::{How, Outcome};
use alligator_find::names::{Parameter, Role};
use common::{found, module, of, one, stripped};

#[test]
fn exports_of_c_are_found_and_confirmed() {
    let heap = found(&stripped(
        r#"(export "malloc" (func $malloc)) (export "free" (func $free))
           (export "realloc" (func $realloc)) (export "calloc" (func $calloc))"#,
    ));
    assert_eq!(heap.outcome, Outcome::Found);
    for role in [Role::Alloc, Role::Dealloc, Role::Realloc, Role::AllocZeroed] {
        let function = one(&heap, role);
        assert_eq!(function.found, How::Export, "{function:?}");
        assert!(function.confirmed.is_some(), "{function:?}");
    }
}

#[test]
fn symbols_are_found_where_nothing_is_exported() {
    let heap = found(&module(""));
    assert_eq!(one(&heap, Role::Alloc).found, How::Symbol);
    assert!(one(&heap, Role::AllocZeroed).confirmed.is_some());
}

#[test]
fn a_name_with_another_type_is_not_believed() {
    let text = r#"(module (memory 1)
        (func (export "malloc") (param f64) (result i32) (i32.const 8))
        (func (export "alloc") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
        (func (export "free") (param i32) (result i32) (i32.const 8)))"#;
    let heap = found(&wat::parse_str(text).expect("well formed"));
    assert_eq!(heap.functions, []);
    assert_eq!(heap.outcome, Outcome::NoHeap);
}

#[test]
fn what_only_has_the_name_is_not_confirmed() {
    let text = r#"(module (memory 1)
        (func (export "malloc") (param i32) (result i32) (i32.const 64))
        (func (export "free") (param i32)))"#;
    let heap = found(&wat::parse_str(text).expect("well formed"));
    let alloc = one(&heap, Role::Alloc);
    assert_eq!(alloc.confirmed, None);
    let doubt = alloc.doubt.as_deref().unwrap_or_default();
    assert!(doubt.contains("in the one at 0x40"), "{doubt}");
}

#[test]
fn a_bump_allocator_is_said_to_use_nothing_again() {
    let text = r#"(module (memory 40) (global $at (mut i32) (i32.const 1024))
        (func (export "malloc") (param i32) (result i32)
            (global.get $at)
            (global.set $at (i32.and (i32.add (i32.add (global.get $at) (local.get 0)) (i32.const 7))
                                     (i32.const -8))))
        (func (export "free") (param i32)))"#;
    let heap = found(&wat::parse_str(text).expect("well formed"));
    let doubt = one(&heap, Role::Dealloc)
        .doubt
        .as_deref()
        .unwrap_or_default();
    assert!(doubt.contains("not used again"), "{doubt}");
}

#[test]
fn a_function_that_only_forwards_shows_the_one_behind_it() {
    let wrapped = stripped(
        r#"(func (export "malloc") (param i32) (result i32)
               (call $malloc (i32.add (local.get 0) (i32.const 16))))
           (func (export "free") (param i32) (return (call $free (local.get 0))))"#,
    );
    let heap = found(&wrapped);
    let allocs = of(&heap, Role::Alloc);
    assert_eq!(allocs.len(), 2, "{allocs:?}");
    assert_eq!(allocs[1].found, How::Wrapped);
    assert_eq!(allocs[1].parameters, [Parameter::Size]);
    assert!(allocs.iter().all(|alloc| alloc.confirmed.is_some()));
}

#[test]
fn a_function_that_does_more_than_forward_shows_nothing() {
    for body in [
        "(i32.store (i32.const 64) (local.get 0)) (call $malloc (local.get 0))",
        "(drop (call $malloc (i32.const 8))) (call $malloc (local.get 0))",
        "(call $malloc (i32.mul (local.get 0) (i32.const 2)))",
        "(if (result i32) (local.get 0) (then (call $malloc (local.get 0))) (else (i32.const 0)))",
    ] {
        let text = format!(r#"(func (export "malloc") (param i32) (result i32) {body})"#);
        let heap = found(&stripped(&text));
        let is_wrapped = |role| of(&heap, role).iter().any(|f| f.found == How::Wrapped);
        assert!(!is_wrapped(Role::Alloc), "{body}: {heap:?}");
    }
}

#[test]
fn rusts_operations_are_told_their_sizes() {
    let heap = found(&stripped(
        r#"(func (export "__rust_alloc") (param i32 i32) (result i32) (call $malloc (local.get 0)))
           (func (export "__rust_dealloc") (param i32 i32 i32) (call $free (local.get 0)))
           (func (export "__rust_realloc") (param i32 i32 i32 i32) (result i32)
               (call $realloc (local.get 0) (local.get 3)))"#,
    ));
    for function in &heap.functions {
        assert!(function.confirmed.is_some(), "{function:?}");
    }
    let realloc = of(&heap, Role::Realloc);
    let meant = [
        Parameter::Pointer,
        Parameter::OldSize,
        Parameter::Align,
        Parameter::Size,
    ];
    assert_eq!(realloc[0].parameters, meant);
    // The one behind it is called with fewer.
    assert_eq!(realloc[1].parameters, [Parameter::Pointer, Parameter::Size]);
}

#[test]
fn a_realloc_of_the_component_model_gives_memory_by_itself() {
    let heap = found(&stripped(
        r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
               (if (result i32) (local.get 0)
                   (then (call $realloc (local.get 0) (local.get 3)))
                   (else (call $malloc (local.get 3)))))"#,
    ));
    assert_eq!(heap.outcome, Outcome::Found);
    assert!(one(&heap, Role::Realloc).confirmed.is_some());
}

#[test]
fn a_module_without_a_heap_says_so() {
    let text = r#"(module (memory 1)
        (func (export "sum") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#;
    let heap = found(&wat::parse_str(text).expect("well formed"));
    assert_eq!(heap.outcome, Outcome::NoHeap);
    assert_eq!(heap.functions, []);
}
