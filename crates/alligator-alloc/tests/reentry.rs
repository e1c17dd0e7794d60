//! What a heap calls while it is locked, its source and its lock, must not use it. In debug builds on hosts that ends the
//! process, with a message, instead of waiting for itself or using a heap that is not whole. Each case has a process of
//! its own; in this program, the heap is the global allocator as well, so the message must not need it.

#![cfg(all(
    debug_assertions,
    not(miri),
    any(
        target_os = "linux",
        target_os = "android",
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        windows
    )
))]
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "tests have std"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::hint;
use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use alligator_alloc::{AlligatorAlloc, Arena, ArenaMemory, Lock, Source, SpinLock, ThreadCached};

static MEMORY: ArenaMemory<{ 512 << 20 }> = ArenaMemory::new();

#[global_allocator]
static GLOBAL: AlligatorAlloc<Arena, Calling<GLOBAL_CALLS>> =
    AlligatorAlloc::with_source(MEMORY.arena());

/// When a lock or a source calls its heap: one of these.
static CALLS: AtomicU32 = AtomicU32::new(0);

const IN_LOCK: u32 = 1;
const IN_TRY_LOCK: u32 = 2;
const IN_UNLOCK: u32 = 3;
const IN_SPARE: u32 = 4;
const IN_GROW: u32 = 5;
const IN_END: u32 = 6;
const GLOBAL_CALLS: u32 = 10;

/// Whether that is now. It is once.
fn is_now(call: u32) -> bool {
    CALLS.compare_exchange(call, 0, SeqCst, SeqCst).is_ok()
}

/// Uses the heap that `BASE` says.
fn use_heap<const BASE: u32>() {
    let layout = Layout::new::<[u64; 9]>();
    let block = if BASE == GLOBAL_CALLS {
        // SAFETY: the layout is not empty.
        unsafe { GLOBAL.alloc(layout) }
    } else {
        // SAFETY: as above.
        unsafe { HEAP.alloc(layout) }
    };
    println!("goes on: {block:?}");
}

/// A lock that calls its heap.
struct Calling<const BASE: u32>(SpinLock);

// SAFETY: as for the lock in it.
unsafe impl<const BASE: u32> Lock for Calling<BASE> {
    const NEW: Self = Self(SpinLock::NEW);

    fn lock(&self) {
        if is_now(BASE + IN_LOCK) {
            use_heap::<BASE>();
        }
        self.0.lock();
    }

    fn try_lock(&self) -> bool {
        if is_now(BASE + IN_TRY_LOCK) {
            use_heap::<BASE>();
        }
        self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        // SAFETY: the caller's duty.
        unsafe { self.0.unlock() };
        if is_now(BASE + IN_UNLOCK) {
            use_heap::<BASE>();
        }
    }
}

static OTHER: ArenaMemory<{ 1 << 20 }> = ArenaMemory::new();
static HEAP: AlligatorAlloc<Nosy, Calling<0>> = AlligatorAlloc::with_source(Nosy(OTHER.arena()));

/// A source that calls its heap.
struct Nosy(Arena<'static>);

// SAFETY: it is an arena, but for what it calls.
unsafe impl Source for Nosy {
    fn spare(&mut self) -> Range<usize> {
        if is_now(IN_SPARE) {
            use_heap::<0>();
        }
        self.0.spare()
    }

    fn end(&self) -> usize {
        if is_now(IN_END) {
            use_heap::<0>();
        }
        self.0.end()
    }

    fn grow(&mut self, pages: usize) -> Option<usize> {
        if is_now(IN_GROW) {
            use_heap::<0>();
        }
        self.0.grow(pages)
    }

    fn pointer(&self, address: usize) -> *mut u8 {
        self.0.pointer(address)
    }
}

const CHILD: &str = "ALLIGATOR_TEST_REENTERS";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Does `action` in a process of its own, in which the heap is called as `call` says: that must end with the message.
#[track_caller]
fn assert_ends(test: &str, call: u32, action: impl FnOnce()) {
    if is_child() {
        CALLS.store(call, SeqCst);
        action();
        println!("goes on");
        return;
    }
    let this = std::env::current_exe().expect("a path");
    let mut child = Command::new(this)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let start = Instant::now();
    while child.try_wait().expect("a state").is_none() {
        if start.elapsed() > Duration::from_secs(20) {
            child.kill().expect("it is there");
            panic!("it waits for itself");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("what it said");
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        !output.status.success() && !said.contains("goes on"),
        "{said}"
    );
    assert!(
        said.contains("called by a thread that is in it already"),
        "{said}"
    );
}

/// Tests, each of one call in `HEAP`.
macro_rules! tests {
    ($($(#[$attribute:meta])* $name:ident: $call:expr, $action:expr;)*) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $name() {
                assert_ends(stringify!($name), $call, || _ = $action);
            }
        )*
    };
}

tests! {
    a_lock_that_calls_before_it_is_held: IN_LOCK, HEAP.heap_bytes();
    a_lock_that_calls_when_it_is_given_back: IN_UNLOCK, HEAP.heap_bytes();
    a_source_that_calls_when_it_is_first_asked: IN_SPARE, HEAP.reserve(1);
    a_source_that_calls_where_memory_ends: IN_END, HEAP.reserve(1);
    // SAFETY: the layout is not empty.
    a_source_that_calls_when_it_grows: IN_GROW, unsafe { HEAP.alloc(Layout::new::<[u8; 2 << 20]>()) };
    a_global_allocators_lock_that_calls: GLOBAL_CALLS + IN_LOCK, hint::black_box(Box::new(1));
    a_global_allocators_lock_that_calls_when_it_is_given_back: GLOBAL_CALLS + IN_UNLOCK, hint::black_box(Box::new(1));
}

/// As `parking_lot`'s, a lock that asks for memory when it waits.
#[test]
fn a_lock_that_calls_while_others_hold_it() {
    assert_ends("a_lock_that_calls_while_others_hold_it", 0, || {
        thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for round in 0..10_000 {
                        if thread == 3 && round == 5_000 {
                            CALLS.store(IN_LOCK, SeqCst);
                        }
                        let _ = HEAP.heap_bytes();
                    }
                });
            }
        });
    });
}

/// Threads that wait for each other, more than are remembered, a hook that uses the heap after growth, and a visitor are
/// nobody's mistake.
#[test]
fn what_is_allowed_goes_on() {
    static LOCK: ThreadCached<Calling<0>> = ThreadCached::NEW;
    assert!(LOCK.try_lock());
    // SAFETY: it is held.
    unsafe { LOCK.unlock() };
    thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                for size in 1..200 {
                    let numbers = vec![0_u64; size];
                    assert_eq!(numbers.len(), size);
                    assert!(HEAP.reserve(size));
                }
            });
        }
    });
    #[cfg(feature = "check")]
    HEAP.walk(|piece| assert!(HEAP.heap_bytes() >= piece.bytes()));
}
