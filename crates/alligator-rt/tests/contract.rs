//! The contract kit on each wrapper, over the system's heap and over Alligator, alone and one on the other.
#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    reason = "tests fail by panicking, and have std"
)]

mod common;

use std::alloc::{GlobalAlloc, System};
use std::sync::OnceLock;

use alligator_contract::{Block, CLAUSES, Clause, Verdict, World};
use alligator_rt::{Budget, Guard, Guarded, Limited};

/// Enough for all clauses that do not fill the memory, and few enough for those that do.
const PAGES_MAX: usize = if cfg!(miri) { 40 } else { 64 };

/// A limit in bytes that no clause reaches before the memory ends.
const LIMIT: usize = usize::MAX / 2;

struct Pages;

impl World for Pages {
    fn room_bytes(&self) -> usize {
        PAGES_MAX * alligator_alloc::PAGE_BYTES
    }
}

/// Runs all clauses, each on an allocator of its own: those that are kept, and do not only not apply.
fn kept<A: GlobalAlloc>(new: impl Fn() -> A) -> Vec<&'static str> {
    let mut storage = vec![Block::NONE; 1 << 15];
    let clauses = CLAUSES.iter().filter(|clause| {
        // Miri takes minutes for what writes megabytes.
        !cfg!(miri) || clause.name.contains("impossible") || clause.name.contains("both_ways")
    });
    let is_kept = |clause: &&Clause| {
        let outcome = clause.run(&new(), &Pages, &mut storage);
        let verdict = outcome.unwrap_or_else(|failure| panic!("{failure}"));
        verdict == Verdict::Kept
    };
    clauses.filter(is_kept).map(|clause| clause.name).collect()
}

/// Around Alligator, as many clauses are kept as by Alligator itself.
fn assert_kept<A: GlobalAlloc>(around: impl Fn(common::Heap) -> A) {
    static BARE: OnceLock<Vec<&str>> = OnceLock::new();
    let bare = BARE.get_or_init(|| kept(|| common::heap(PAGES_MAX)));
    assert!(!bare.is_empty());
    assert_eq!(kept(|| around(common::heap(PAGES_MAX))), *bare);
}

/// Around the system's heap, as many clauses are kept as by that.
fn assert_kept_by_system<A: GlobalAlloc>(around: impl Fn(System) -> A) {
    let bare = kept(|| System);
    assert!(!bare.is_empty());
    assert_eq!(kept(|| around(System)), bare);
}

#[test]
fn an_allocator_under_guards_keeps_the_contract() {
    assert_kept_by_system(Guarded::<_, 0>::new);
    assert_kept(Guarded::<_, 64>::new);
}

#[test]
fn an_allocator_keeps_the_contract_while_guards_count() {
    let _guard = (Guard::CALLS | Guard::UNBOUNDED).enter();
    assert_kept(Guarded::<_, 0>::new);
    assert!(alligator_rt::event_count(alligator_rt::Kind::Alloc) > 0);
}

#[test]
fn an_allocator_keeps_the_contract_while_frees_are_put_off() {
    let _guard = Guard::FREE.null().enter();
    assert_kept(Guarded::<_, 100>::new);
}

#[test]
fn an_allocator_with_a_budget_keeps_the_contract() {
    assert_kept_by_system(|inner| Budget::new("all", LIMIT, inner));
    assert_kept(|inner| Budget::new("all", LIMIT, inner));
}

#[test]
fn an_allocator_with_limits_keeps_the_contract() {
    assert_kept_by_system(Limited::new);
    assert_kept(|inner| {
        let limited = Limited::new(inner);
        limited.set_hard(LIMIT, 1 << 20);
        // Crossed and armed again all the time.
        limited.set_soft(3_000, 2_000);
        limited.on_soft(|crossing| assert!(crossing.used > crossing.soft));
        limited.on_failure(|_| true);
        limited
    });
}

#[test]
fn wrappers_on_each_other_keep_the_contract() {
    assert_kept(|inner| Guarded::<_, 8>::new(Limited::new(Budget::new("all", LIMIT, inner))));
}
