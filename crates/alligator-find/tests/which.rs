//! Which allocator it is: by constants and symbols, and only if all are there.

mod common;

use alligator_find::heap::Heap;
use common::{found, module, stripped};

fn named(constants: &[i64], symbol: &str) -> Heap {
    let values: Vec<String> = constants
        .iter()
        .map(|value| match i32::try_from(*value) {
            Ok(value) => format!("(drop (i32.const {value}))"),
            Err(_) => format!("(drop (i64.const {value}))"),
        })
        .collect();
    let text = format!(
        r#"(func ${symbol} (param i32) (result i32) {} (call $malloc (local.get 0)))
           (func (export "malloc") (param i32) (result i32)
               (i32.store (i32.const 2056) (i32.const 0)) (call ${symbol} (local.get 0)))
           (export "free" (func $free))"#,
        values.join(" ")
    );
    if symbol == "f" {
        found(&stripped(&text))
    } else {
        found(&module(&text))
    }
}

fn name(constants: &[i64]) -> String {
    named(constants, "f").allocator.name
}

#[test]
fn all_constants_of_a_set_show_an_allocator() {
    assert_eq!(name(&[1_431_655_768, 244, -65]), "dlmalloc 2.8.x (C)");
    assert_eq!(name(&[1_431_655_768, 236, -65]), "dlmalloc 2.8.x (C)");
    assert_eq!(name(&[245, 256, 2_097_152, 31]), "dlmalloc (Rust port)");
    assert_eq!(
        name(&[71_787_172_829_971_358, -723_401_728_380_766_731]),
        "Alligator 0.1 hardened"
    );
}

#[test]
fn one_constant_less_or_one_too_many_shows_nothing() {
    assert_eq!(name(&[1_431_655_768, -65]), "unknown");
    assert_eq!(name(&[1_431_655_769, 244, -65]), "unknown");
    assert_eq!(name(&[245, 256, 2_097_152, 31, 1_431_655_768]), "unknown");
    assert_eq!(name(&[245, 256, 31]), "unknown");
    assert_eq!(name(&[]), "unknown");
}

#[test]
fn symbols_of_what_is_called_show_an_allocator() {
    let heap = named(&[], "talc::base::Talc::malloc");
    assert_eq!(heap.allocator.name, "talc");
    assert_eq!(heap.allocator.evidence.len(), 1);
    assert_eq!(named(&[], "retalc::base").allocator.name, "unknown");
    let ours = |symbol| named(&[], symbol).allocator.name;
    assert_eq!(
        ours("alligator_alloc::heap::Heap::take"),
        "Alligator 0.1 default"
    );
    assert_eq!(
        ours("alligator_alloc::small::Heap::take"),
        "Alligator 0.1 small"
    );
}
