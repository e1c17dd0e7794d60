//! A lock whose holder never gives it back stops who waits for it, and says so; and a spin lock lets one in at a time.

#![cfg(not(target_family = "wasm"))]
use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::process::Command;

use alligator_alloc::{AlligatorAlloc, Arena, Fault, Lock, SpinLock};

/// Runs the test `name` of this module in a process of its own, in which [`is_child`] is true: whether it succeeded, and
/// what it said.
fn run_as_child(name: &str) -> (bool, String) {
    let this = std::env::current_exe().expect("a path");
    let child = Command::new(this)
        .arg(format!("lock::{name}"))
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .expect("it starts");
    let said = [child.stderr, child.stdout].concat();
    (
        child.status.success(),
        String::from_utf8_lossy(&said).into(),
    )
}

const CHILD: &str = "ALLIGATOR_TEST_STALLS";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// The child of the test `name` has stopped because of a lock, and not gone on.
#[track_caller]
fn assert_stalls(name: &str) {
    let (is_success, said) = run_as_child(name);
    assert!(!is_success && !said.contains("goes on"), "{said}");
    assert!(said.contains(&Fault::Stalled.to_string()), "{said}");
}

#[test]
#[cfg_attr(miri, ignore = "it starts a process")]
fn who_waits_for_a_lock_that_is_never_given_back_stops() {
    if is_child() {
        let lock = SpinLock::<100>::NEW;
        lock.lock();
        let waiter = std::thread::scope(|scope| scope.spawn(|| lock.lock()).join());
        println!("goes on: {}", waiter.is_ok());
        return;
    }
    assert_stalls("who_waits_for_a_lock_that_is_never_given_back_stops");
}

/// A lock that its only holder, a thread that has ended, had got and never gave back.
struct Abandoned(SpinLock<100>);

// SAFETY: it lets nobody in.
unsafe impl Lock for Abandoned {
    const NEW: Self = Self(SpinLock::NEW);

    fn lock(&self) {
        self.0.lock(); // The first time by who has ended.
        self.0.lock();
    }

    unsafe fn unlock(&self) {
        unreachable!("nobody holds it");
    }
}

#[test]
#[cfg_attr(miri, ignore = "it starts a process")]
fn a_heap_whose_lock_is_never_given_back_stops_who_asks() {
    if is_child() {
        let memory = Box::leak(vec![MaybeUninit::uninit(); 1 << 17].into_boxed_slice());
        let heap = AlligatorAlloc::<Arena, Abandoned>::with_source(Arena::new(memory));
        // SAFETY: the layout is not empty.
        let block = unsafe { heap.alloc(Layout::new::<u64>()) };
        println!("goes on: {block:?}");
        return;
    }
    assert_stalls("a_heap_whose_lock_is_never_given_back_stops_who_asks");
}

/// A number that a lock guards.
struct Guarded {
    lock: SpinLock,
    number: UnsafeCell<usize>,
}

// SAFETY: the number is read and written by who holds the lock.
unsafe impl Sync for Guarded {}

impl Guarded {
    fn increase(&self) {
        self.lock.lock();
        // SAFETY: the lock is held.
        unsafe { *self.number.get() += 1 };
        // SAFETY: the lock is held.
        unsafe { self.lock.unlock() };
    }
}

#[test]
fn a_spin_lock_lets_one_of_many_threads_in_at_a_time() {
    let guarded = Guarded {
        lock: SpinLock::NEW,
        number: UnsafeCell::new(0),
    };
    let rounds = if cfg!(miri) { 50 } else { 20_000 };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..rounds).for_each(|_| guarded.increase()));
        }
    });
    assert_eq!(guarded.number.into_inner(), 8 * rounds);
}

#[test]
fn a_lock_that_was_given_back_lets_the_next_in_at_once() {
    let lock = SpinLock::<0>::NEW;
    for _ in 0..1_000 {
        lock.lock();
        // SAFETY: the lock is held.
        unsafe { lock.unlock() };
    }
}
