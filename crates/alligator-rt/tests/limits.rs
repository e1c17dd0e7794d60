//! Budgets, limits, the pages of the memory, and why there was none.
#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    reason = "tests fail by panicking, and have std"
)]

mod common;

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use std::alloc::System;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use alligator_alloc::PAGE_BYTES;
use alligator_rt::{
    Budget, Cause, Guard, Limited, Shared, each_budget, largest_block, last_failure, pages, permit,
};
use common::{alone, heap};

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

fn get(allocator: &impl GlobalAlloc, size: usize) -> Option<NonNull<u8>> {
    // SAFETY: no size here is zero.
    NonNull::new(unsafe { allocator.alloc(layout(size)) })
}

fn give_back(allocator: &impl GlobalAlloc, block: NonNull<u8>, size: usize) {
    // SAFETY: the block is in use, with this layout.
    unsafe { allocator.dealloc(block.as_ptr(), layout(size)) };
}

#[test]
fn a_budget_counts_what_is_in_use_and_the_most() {
    let _turn = alone();
    let budget = Budget::new("sounds", 1_000, System);
    let block = get(&budget, 600).unwrap();
    assert_eq!((budget.used(), budget.remaining()), (600, 400));
    assert!(get(&budget, 401).is_none());
    let other = get(&budget, 400).unwrap();
    give_back(&budget, block, 600);
    let short = get(&budget, 100).unwrap();
    give_back(&budget, short, 100);
    assert_eq!(
        (budget.used(), budget.peak(), budget.refused()),
        (400, 1_000, 1)
    );
    budget.reset_peak();
    assert_eq!(budget.peak(), 400);
    let failure = last_failure().unwrap();
    assert_eq!(
        (
            failure.cause,
            failure.size,
            failure.in_use,
            failure.limit,
            failure.name
        ),
        (Cause::Limit, 401, 600, Some(1_000), "sounds")
    );
    assert_eq!(
        failure.to_string(),
        "no memory for 401 bytes: a limit is reached (sounds), 600 of 1000 bytes in use"
    );
    give_back(&budget, other, 400);
}

#[test]
fn a_budget_counts_a_block_that_is_resized_by_its_new_size() {
    let _turn = alone();
    let budget = Budget::new("rows", 1_000, System);
    let block = get(&budget, 100).unwrap();
    let resize = |block: NonNull<u8>, from: usize, to: usize| {
        // SAFETY: the block is in use, with this layout.
        NonNull::new(unsafe { budget.realloc(block.as_ptr(), layout(from), to) })
    };
    let block = resize(block, 100, 900).unwrap();
    assert_eq!(budget.used(), 900);
    assert!(resize(block, 900, 1_001).is_none());
    assert_eq!(budget.used(), 900);
    let block = resize(block, 900, 50).unwrap();
    assert_eq!((budget.used(), budget.peak()), (50, 900));
    give_back(&budget, block, 50);
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_the_heap_refuses_is_not_counted() {
    let _turn = alone();
    let budget = Budget::new("all", usize::MAX, heap(4));
    assert!(get(&budget, 1 << 20).is_none());
    assert_eq!((budget.used(), budget.peak(), budget.refused()), (0, 0, 0));
    assert_eq!(last_failure().unwrap().cause, Cause::Heap);
}

#[test]
fn budgets_over_one_heap_are_apart() {
    static HEAP: System = System;
    let _turn = alone();
    let textures = Budget::new("textures", 100, Shared(&HEAP));
    let sounds = Budget::new("sounds", 100, Shared(&HEAP));
    let block = get(&textures, 90).unwrap();
    let other = get(&sounds, 90).unwrap();
    assert!(get(&textures, 20).is_none());
    assert_eq!(last_failure().unwrap().name, "textures");
    give_back(&textures, block, 90);
    give_back(&sounds, other, 90);
}

#[test]
fn who_holds_the_memory_is_known_of_budgets_that_are_listed() {
    static TEXTURES: Budget<System> = Budget::new("textures", 1_000, System);
    static SOUNDS: Budget<System> = Budget::new("sounds", 2_000, System);
    let _turn = alone();
    TEXTURES.list();
    SOUNDS.list();
    TEXTURES.list(); // It is there.
    let block = get(&TEXTURES, 700).unwrap();
    assert!(get(&SOUNDS, 2_001).is_none());
    let mut seen = Vec::new();
    each_budget(|it| seen.push((it.name, it.used, it.peak, it.limit, it.refused)));
    assert_eq!(
        seen,
        [("sounds", 0, 0, 2_000, 1), ("textures", 700, 700, 1_000, 0)]
    );
    give_back(&TEXTURES, block, 700);
}

#[test]
fn threads_never_pass_a_budget_together() {
    let _turn = alone();
    let budget = Budget::new("shared", 1_000, System);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..if cfg!(miri) { 50 } else { 5_000 } {
                    if let Some(block) = get(&budget, 400) {
                        give_back(&budget, block, 400);
                    }
                }
            });
        }
    });
    assert_eq!(budget.used(), 0);
    assert!(budget.peak() <= 800, "{}", budget.peak());
}

#[test]
fn the_last_bytes_are_for_permitted_code() {
    let _turn = alone();
    let limited = Limited::new(System);
    limited.set_hard(1_000, 200);
    let block = get(&limited, 800).unwrap();
    assert_eq!(
        (limited.remaining(), permit(|| limited.remaining())),
        (0, 200)
    );
    assert!(get(&limited, 100).is_none());
    assert_eq!(last_failure().unwrap().cause, Cause::Reserve);
    let reserved = permit(|| get(&limited, 150)).unwrap();
    assert!(permit(|| get(&limited, 100)).is_none());
    assert_eq!(last_failure().unwrap().cause, Cause::Limit);
    give_back(&limited, reserved, 150);
    give_back(&limited, block, 800);
    assert_eq!((limited.used(), limited.peak()), (0, 950));
}

#[test]
fn the_soft_limit_calls_once_and_again_after_it_was_far_below() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    static LIMITED: Limited<System> = Limited::new(System);
    let _turn = alone();
    LIMITED.set_soft(1_000, 500);
    LIMITED.on_soft(|crossing| {
        assert_eq!((crossing.used, crossing.soft), (1_300, 1_000));
        // It may use the heap, and is not called within itself.
        let block = get(&LIMITED, 5_000).unwrap();
        give_back(&LIMITED, block, 5_000);
        CALLS.fetch_add(1, Relaxed);
    });
    let above = |calls: usize| {
        let block = get(&LIMITED, 700).unwrap();
        assert_eq!(CALLS.load(Relaxed), calls);
        give_back(&LIMITED, block, 700);
    };
    let base = get(&LIMITED, 600).unwrap();
    above(1);
    above(1); // 600 are not below 500.
    give_back(&LIMITED, base, 600);
    let base = get(&LIMITED, 600).unwrap();
    above(2);
    give_back(&LIMITED, base, 600);
}

#[test]
fn before_a_request_fails_the_program_may_give_something_back() {
    /// A block that another thread could give back.
    struct Cached(NonNull<u8>);
    // SAFETY: it is nobody else's.
    unsafe impl Send for Cached {}
    static CACHE: Mutex<Vec<Cached>> = Mutex::new(Vec::new());
    static LIMITED: Limited<System> = Limited::new(System);
    let _turn = alone();
    LIMITED.set_hard(1_000, 0);
    LIMITED.on_failure(|failure| {
        assert_eq!(failure.cause, Cause::Limit);
        let Some(Cached(block)) = CACHE.lock().unwrap().pop() else {
            return false;
        };
        give_back(&LIMITED, block, 300);
        true
    });
    for _ in 0..3 {
        let block = get(&LIMITED, 300).unwrap();
        CACHE.lock().unwrap().push(Cached(block));
    }
    let block = get(&LIMITED, 700).unwrap();
    assert_eq!(CACHE.lock().unwrap().len(), 1, "two were given back");
    assert!(get(&LIMITED, 600).is_none(), "not even the third is enough");
    assert_eq!(CACHE.lock().unwrap().len(), 0);
    assert_eq!(LIMITED.used(), 700);
    give_back(&LIMITED, block, 700);
}

#[test]
fn a_hook_that_promises_too_much_is_asked_four_times() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let _turn = alone();
    let limited = Limited::new(System);
    limited.set_hard(10, 0);
    limited.on_failure(|_| CALLS.fetch_add(1, Relaxed) < 100);
    assert!(get(&limited, 11).is_none());
    assert_eq!(CALLS.load(Relaxed), 4);
}

#[test]
fn a_hook_is_not_called_within_a_hook() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    static LIMITED: Limited<System> = Limited::new(System);
    let _turn = alone();
    LIMITED.set_hard(10, 0);
    LIMITED.on_failure(|_| {
        CALLS.fetch_add(1, Relaxed);
        assert!(CALLS.load(Relaxed) < 3);
        get(&LIMITED, 100).is_some()
    });
    assert!(get(&LIMITED, 11).is_none());
    assert!(get(&LIMITED, 11).is_none());
    assert_eq!(CALLS.load(Relaxed), 2);
    assert_eq!(last_failure().unwrap().size, 100, "the last one was within");
}

#[test]
fn a_failure_has_the_longest_block_if_somebody_can_say() {
    static LIMITED: std::sync::OnceLock<Limited<common::Heap>> = std::sync::OnceLock::new();
    let _turn = alone();
    let limited = LIMITED.get_or_init(|| Limited::new(heap(16)));
    limited.set_largest_free(|| {
        let heap = LIMITED.get().unwrap().inner();
        Guard::GROW
            .null()
            .during(|| largest_block(heap, 8, 1 << 24))
    });
    let block = get(limited, 3 * PAGE_BYTES).unwrap();
    assert!(get(limited, 1 << 24).is_none());
    let failure = last_failure().unwrap();
    assert_eq!(failure.cause, Cause::Heap);
    let largest = failure.largest_free.unwrap();
    assert!(
        failure
            .to_string()
            .ends_with(&format!("block has {largest}"))
    );
    Guard::GROW.null().during(|| {
        assert!(get(limited.inner(), largest + 1).is_none());
        let fits = get(limited.inner(), largest).unwrap();
        give_back(limited.inner(), fits, largest);
    });
    give_back(limited, block, 3 * PAGE_BYTES);
}

#[test]
fn the_longest_block_is_found_to_the_byte() {
    let _turn = alone();
    let budget = Budget::new("probe", 12_345, System);
    assert_eq!(largest_block(&budget, 8, 1 << 20), 12_345);
    assert_eq!(largest_block(&budget, 8, 100), 100);
    assert_eq!(largest_block(&budget, 3, 100), 0);
    assert_eq!(budget.used(), 0);
}

#[test]
fn host_code_gets_the_reason_and_no_hook() {
    let _turn = alone();
    let limited = Limited::new(System);
    limited.set_hard(100, 0);
    limited.on_failure(|_| panic!("it is not called"));
    let block = limited.try_alloc(layout(60)).unwrap();
    let failure = limited.try_alloc_zeroed(layout(60)).unwrap_err();
    assert_eq!((failure.cause, failure.in_use), (Cause::Limit, 60));
    assert_eq!(last_failure(), None);
    // SAFETY: the block is in use, with this layout.
    let failure = unsafe { limited.try_realloc(block, layout(60), 101) }.unwrap_err();
    assert_eq!((failure.size, limited.used()), (101, 60));
    // SAFETY: the same.
    let block = unsafe { limited.try_realloc(block, layout(60), 20) }.unwrap();
    assert_eq!(limited.used(), 20);
    give_back(&limited, block, 20);
}

#[test]
fn the_memory_stays_below_its_limit_but_for_permitted_code() {
    let _turn = alone();
    let allocator = heap(64);
    let block = get(&allocator, 100).unwrap();
    // A host's memory does not start at address 0, so its pages are counted from there.
    let now = memory_pages(block);
    pages::set_hard(now + 8, 4);
    assert_eq!(pages::remaining_after(now), 4);
    assert!(get(&allocator, 6 * PAGE_BYTES).is_none());
    let failure = last_failure().unwrap();
    assert_eq!(failure.cause, Cause::Pages);
    assert_eq!(failure.limit, Some((now + 4) * PAGE_BYTES));
    let reserved = permit(|| get(&allocator, 6 * PAGE_BYTES)).unwrap();
    assert!(permit(|| get(&allocator, 6 * PAGE_BYTES)).is_none());
    pages::set_hard(usize::MAX, 0);
    let more = get(&allocator, 12 * PAGE_BYTES).unwrap();
    for (block, size) in [(reserved, 6), (more, 12)] {
        give_back(&allocator, block, size * PAGE_BYTES);
    }
    give_back(&allocator, block, 100);
}

#[test]
fn a_memory_that_grows_past_the_soft_limit_says_so_once() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let _turn = alone();
    let allocator = heap(64);
    let block = get(&allocator, 100).unwrap();
    pages::set_soft(memory_pages(block) + 3);
    pages::on_soft(|_| {
        CALLS.fetch_add(1, Relaxed);
    });
    for (size, calls) in [(1, 0), (4, 1), (8, 1)] {
        let block = get(&allocator, size * PAGE_BYTES).unwrap();
        assert_eq!(CALLS.load(Relaxed), calls, "{size}");
        give_back(&allocator, block, size * PAGE_BYTES);
    }
    pages::set_soft(usize::MAX);
    give_back(&allocator, block, 100);
}

/// The pages up to the one that the block is in.
fn memory_pages(block: NonNull<u8>) -> usize {
    block.addr().get() / PAGE_BYTES + 1
}
