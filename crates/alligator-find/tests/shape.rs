//! Functions without a name, by shape and by what they do.

mod common;

use alligator_find::Options;
use alligator_find::heap::{How, Outcome};
use alligator_find::names::Role;
use common::{found, of, one, stripped, with};

/// Callers of the allocator, so that it is used.
const PROGRAM: &str = r#"(func (export "run") (param i32) (result i32)
    (call $free (call $malloc (i32.const 8))) (call $free (call $malloc (local.get 0)))
    (call $realloc (call $calloc (i32.const 2) (i32.const 8)) (i32.const 100)))"#;

#[test]
fn an_allocator_without_names_is_found_by_what_it_does() {
    let heap = found(&stripped(PROGRAM));
    assert_eq!(heap.outcome, Outcome::Found);
    // $more, $malloc, $free, $realloc, $calloc.
    for (role, function) in [
        (Role::Alloc, 1),
        (Role::Dealloc, 2),
        (Role::Realloc, 3),
        (Role::AllocZeroed, 4),
    ] {
        let one = one(&heap, role);
        assert_eq!((one.function, one.found), (function, How::Shape));
        assert!(one.confirmed.is_some());
    }
}

#[test]
fn the_innermost_function_that_gives_memory_is_taken() {
    let more = r#"(func $new (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then (local.set 0 (i32.const 1))))
            (call $malloc (local.get 0)))
        (func (export "a") (result i32) (call $new (i32.const 4)))
        (func (export "b") (result i32) (call $new (i32.const 4)))
        (func (export "c") (result i32) (call $free (i32.const 0)) (call $new (i32.const 4)))"#;
    let heap = found(&stripped(more));
    assert_eq!(one(&heap, Role::Alloc).function, 1);
}

#[test]
fn what_grows_memory_and_gives_none_is_no_allocator() {
    let text = r#"(module (memory (export "memory") 4)
        (func (export "reserve") (param i32) (result i32)
            (i32.store (i32.const 2048) (local.get 0))
            (memory.grow (i32.const 1)))
        (func (export "reset") (param i32) (i32.store (i32.const 2048) (local.get 0))))"#;
    let heap = found(&wat::parse_str(text).expect("well formed"));
    assert_eq!(heap.functions, []);
    assert_eq!(heap.outcome, Outcome::Unknown);
}

#[test]
fn a_stack_in_memory_is_no_allocator() {
    let text = r#"(module (memory (export "memory") 4)
        (global $top (mut i32) (i32.const 200000))
        (func (export "push") (param i32) (result i32)
            (i32.store (i32.const 2048) (local.get 0))
            (if (i32.lt_u (global.get $top) (i32.const 4096)) (then (drop (memory.grow (i32.const 1)))))
            (global.set $top (i32.and (i32.sub (global.get $top) (local.get 0)) (i32.const -16)))
            (global.get $top))
        (func (export "pop") (param i32)
            (i32.store (i32.const 2048) (local.get 0))
            (global.set $top (local.get 0))))"#;
    let heap = found(&wat::parse_str(text).expect("well formed"));
    assert_eq!(heap.functions, []);
}

#[test]
fn what_never_returns_is_given_up() {
    let text = r#"(module (memory (export "memory") 1)
        (func (export "a") (param i32) (result i32)
            (i32.store (i32.const 2048) (local.get 0))
            (loop (br 0)) (memory.grow (i32.const 1)))
        (func (export "b") (param i32) (i32.store (i32.const 2048) (local.get 0)) (loop (br 0))))"#;
    let heap = found(&wat::parse_str(text).expect("well formed"));
    assert_eq!(heap.outcome, Outcome::Unknown);
}

#[test]
fn without_an_engine_no_shape_is_looked_for() {
    let bytes = stripped(PROGRAM);
    let heap = alligator_find::find(&bytes, &Options::default()).expect("a module");
    assert_eq!(heap.outcome, Outcome::Unknown);
}

#[test]
fn what_the_user_says_goes_before_what_is_found() {
    let given = vec![
        ("1".to_owned(), Role::Alloc),
        ("2".to_owned(), Role::Dealloc),
    ];
    let options = Options {
        given,
        ..Options::default()
    };
    let heap = with(&stripped(PROGRAM), &options).expect("a module");
    assert_eq!(one(&heap, Role::Alloc).found, How::Given);
    assert!(one(&heap, Role::Dealloc).confirmed.is_some());
    assert_eq!(of(&heap, Role::Realloc).len(), 0);
    let nobody = Options {
        given: vec![("nobody".to_owned(), Role::Alloc)],
        ..Options::default()
    };
    let error = with(&stripped(PROGRAM), &nobody).expect_err("there is none");
    assert!(error.to_string().contains("nobody"), "{error}");
}

#[test]
fn the_heap_of_a_component_is_found_in_its_core_module() {
    let core = |name: &str, fields: &str| format!("(core module {name} {fields})");
    let text = format!(
        "(component {} {})",
        core(
            "$other",
            r#"(func (export "sum") (param i32) (result i32) (local.get 0))"#
        ),
        core(
            "$main",
            &format!(
                r#"{} (export "malloc" (func $malloc)) (export "free" (func $free))"#,
                common::HEAP
            )
        ),
    );
    let bytes = wat::parse_str(text).expect("well formed");
    let heap = found(&bytes);
    let module = heap.module.as_ref().expect("a component");
    assert_eq!((module.index, module.of), (1, 2));
    assert!(one(&heap, Role::Alloc).confirmed.is_some());
}
