//! What public types promise by their traits.

use std::fmt::Debug;
use std::hash::Hash;

use alligator_alloc::{
    AlligatorAlloc, Arena, ArenaMemory, Fault, Hardened, Heap, SpinLock, Standard, ThreadCached,
};

fn assert_send<T: Send>() {}
fn assert_sync<T: Sync>() {}
fn assert_data<T: Copy + Debug + Eq + Hash>() {}

/// Types of which `Sync` would be unsound: this compiles only if they have not got it, since `check` has two meanings then.
#[cfg(not(all(feature = "small", not(feature = "hardened"))))]
macro_rules! assert_not_sync {
    ($($name:ty),*) => {
        $({
            trait Check<A> {
                fn check() {}
            }
            impl<T: ?Sized> Check<()> for T {}
            struct IfSync;
            impl<T: ?Sized + Sync> Check<IfSync> for T {}
            <$name as Check<_>>::check();
        })*
    };
}

#[test]
fn heaps_go_to_other_threads_and_only_behind_a_lock_are_they_shared() {
    assert_send::<Arena>();
    assert_sync::<Arena>();
    assert_send::<ArenaMemory<8>>();
    assert_sync::<ArenaMemory<8>>();
    assert_send::<Heap<Arena>>();
    assert_send::<AlligatorAlloc<Arena, SpinLock>>();
    assert_sync::<AlligatorAlloc<Arena, SpinLock>>();
    assert_send::<SpinLock>();
    assert_sync::<SpinLock>();
    #[cfg(not(all(feature = "small", not(feature = "hardened"))))]
    assert_not_sync!(Heap<Arena>);
}

#[test]
fn plain_data_is_compared_copied_and_hashed() {
    assert_data::<Fault>();
    assert_data::<Standard>();
    assert_data::<Hardened>();
    #[cfg(not(all(feature = "small", not(feature = "hardened"))))]
    assert_data::<alligator_alloc::MemoryBound>();
    #[cfg(feature = "check")]
    assert_data::<alligator_alloc::Piece>();
}

#[test]
fn what_needs_nothing_to_begin_with_has_a_default() {
    let _ = (
        SpinLock::<5>::default(),
        ThreadCached::<SpinLock>::default(),
    );
    let _ = (Standard, Hardened);
    let memory = ArenaMemory::<8>::default();
    assert!(format!("{memory:?}").contains("is_taken: false"));
}

#[test]
fn a_heap_shows_how_much_it_has() {
    let memory = ArenaMemory::<{ 64 << 10 }>::new();
    let mut heap = Heap::<Arena>::new(memory.arena());
    assert!(heap.reserve(1));
    let (all, free) = (heap.heap_bytes(), heap.largest_free());
    assert!(free >= 48 << 10 && all > free);
    let shown = format!("{heap:?}");
    assert_eq!(
        shown,
        format!("Heap {{ heap_bytes: {all}, largest_free: {free}, .. }}")
    );
}
