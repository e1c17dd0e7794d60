//! Collections of allocator-api2 that live in a scope, and heaps that only such collections know. With that crate's own
//! feature `nightly`, the collections are std's.
#![cfg_attr(nightly, allow(unused_features), feature(allocator_api))]
#![cfg(feature = "allocator-api2")]

use std::alloc::System;

use alligator_rt::{InCollections, Scope};
use allocator_api2::alloc::Global;
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;

#[test]
fn a_vector_grows_in_a_scope_without_moving() {
    let mut scope = Scope::new(&System);
    assert!(scope.reserve(8000));
    {
        let mut numbers = Vec::new_in(&scope);
        numbers.push(0_u64);
        let first = numbers.as_ptr();
        numbers.extend(1..900);
        assert_eq!(numbers.as_ptr(), first);
        numbers.shrink_to_fit();
        let after = Box::new_in(1_u8, &scope);
        numbers.extend(900..1000);
        assert!((0..).zip(&numbers).all(|(at, number)| at == *number));
        assert_eq!(*after, 1);
    }
    scope.reset();
}

#[test]
fn a_vector_may_live_in_a_level() {
    let mut scope = Scope::new(&System);
    let mut level = scope.enter();
    let total = level.nested(|inner| {
        let mut numbers = Vec::new_in(&*inner);
        numbers.extend(0..1000_u32);
        numbers.iter().sum::<u32>()
    });
    assert_eq!(total, 499_500);
}

#[test]
fn any_allocator_may_be_a_scopes_heap() {
    let heap = InCollections(Global);
    let mut scope = Scope::new(&heap);
    for round in 0..3_u32 {
        let numbers = scope
            .collect((0..1000).map(|it| it * round))
            .expect("memory");
        assert_eq!(numbers[999], 999 * round);
        scope.reset();
    }
}
