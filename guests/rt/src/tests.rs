//! What starts with `test_` has to return; what starts with `trap_` has to stop the program, and its name goes on with
//! what the host then reads of the event: kind, size, pages, mark. Each runs in a module of its own.

use core::alloc::{GlobalAlloc, Layout};
use core::fmt::Write;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use alligator_rt::{
    Budget, Cause, Guard, Guarded, Kind, Limited, Shared, event_count, last_failure, permit,
};

#[cfg(feature = "alligator")]
type Inner = alligator_alloc::AlligatorAlloc<alligator_rt::Watched<alligator_alloc::WasmMemory>>;
#[cfg(feature = "alligator")]
static INNER: Inner = alligator_alloc::AlligatorAlloc::with_source(alligator_rt::Watched::new(
    alligator_alloc::WasmMemory::new(),
));
#[cfg(feature = "dlmalloc")]
type Inner = dlmalloc::GlobalDlmalloc;
#[cfg(feature = "dlmalloc")]
static INNER: Inner = dlmalloc::GlobalDlmalloc;
#[cfg(feature = "talc")]
type Inner = talc::wasm::WasmDynamicTalc;
#[cfg(feature = "talc")]
static INNER: Inner = talc::wasm::new_wasm_dynamic_allocator();

// Who gives blocks of the crate `alloc`, which talc links.
#[global_allocator]
static GLOBAL: Shared<Inner> = Shared(&INNER);

static GUARDED: Guarded<Shared<Inner>, 16> = Guarded::new(Shared(&INNER));
static LIMITED: Limited<Shared<Inner>> = Limited::new(Shared(&INNER));
static BUDGET: Budget<Shared<Inner>> = Budget::new("guest", 1_000, Shared(&INNER));

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Shows a message.
    fn say(bytes: *const u8, length: usize);
}

/// A text of limited length.
struct Text {
    bytes: [u8; 512],
    length: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let place = self.bytes.get_mut(self.length..self.length + text.len());
        place
            .ok_or(core::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

/// Tells the host, without a block.
fn tell(message: &dyn core::fmt::Display) {
    let mut text = Text {
        bytes: [0; 512],
        length: 0,
    };
    let _ = write!(text, "{message}");
    // SAFETY: the text is as long as that.
    unsafe { say(text.bytes.as_ptr(), text.length) };
}

#[panic_handler]
fn panic(panic: &core::panic::PanicInfo<'_>) -> ! {
    tell(panic);
    core::arch::wasm32::unreachable()
}

#[cfg(feature = "alligator")]
fn memory_pages() -> usize {
    core::arch::wasm32::memory_size::<0>()
}

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

#[unsafe(no_mangle)]
extern "C" fn test_events_are_counted_while_a_guard_holds() {
    let before = get(&GUARDED, 100).unwrap();
    {
        let _guard = Guard::CALLS.mark(4).enter();
        let block = get(&GUARDED, 200).unwrap();
        give_back(&GUARDED, block, 200);
        permit(|| give_back(&GUARDED, get(&GUARDED, 300).unwrap(), 300));
    }
    give_back(&GUARDED, before, 100);
    assert_eq!([Kind::Alloc, Kind::Free].map(event_count), [1, 1]);
    assert_eq!(alligator_rt::last_event().unwrap().mark, 4);
}

#[unsafe(no_mangle)]
extern "C" fn test_a_refused_block_is_null_and_the_cause_is_known() {
    let _guard = Guard::ALLOC.null().enter();
    assert_eq!(get(&GUARDED, 64), None);
    assert_eq!(last_failure().unwrap().cause, Cause::Guard);
}

#[unsafe(no_mangle)]
extern "C" fn test_blocks_wait_and_go_back_a_few_at_a_time() {
    for turn in 0..1_000_usize {
        let size = 16 + turn * 7 % 3_000;
        let block = get(&GUARDED, size).unwrap();
        Guard::FREE
            .null()
            .during(|| give_back(&GUARDED, block, size));
        // More come than go, so the list is full now and then, and a block is freed at once.
        assert!(turn % 3 > 0 || GUARDED.collect(1) <= 1);
        assert!(GUARDED.deferred() <= 16);
    }
    let waiting = GUARDED.deferred();
    assert!(waiting >= 15, "{waiting}");
    assert_eq!((GUARDED.collect(100), GUARDED.deferred()), (waiting, 0));
}

#[unsafe(no_mangle)]
extern "C" fn test_a_budget_holds() {
    let block = get(&BUDGET, 900).unwrap();
    assert_eq!(get(&BUDGET, 200), None);
    let failure = last_failure().unwrap();
    assert_eq!((failure.cause, failure.name), (Cause::Limit, "guest"));
    give_back(&BUDGET, block, 900);
    assert_eq!((BUDGET.used(), BUDGET.peak()), (0, 900));
}

#[unsafe(no_mangle)]
extern "C" fn test_limits_call_and_keep_a_reserve() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    LIMITED.set_hard(10_000, 1_000);
    LIMITED.set_soft(5_000, 2_000);
    LIMITED.on_soft(|crossing| {
        assert_eq!(crossing.used, 6_000);
        // The allocator may be asked here.
        give_back(&LIMITED, get(&LIMITED, 3_500).unwrap(), 3_500);
        CALLS.fetch_add(1, Relaxed);
    });
    LIMITED.on_failure(|failure| {
        assert_eq!(failure.cause, Cause::Reserve);
        CALLS.fetch_add(10, Relaxed);
        false
    });
    let block = get(&LIMITED, 6_000).unwrap();
    let other = get(&LIMITED, 3_000).unwrap();
    assert_eq!(get(&LIMITED, 500), None);
    let reserved = permit(|| get(&LIMITED, 500)).unwrap();
    assert_eq!(CALLS.load(Relaxed), 11);
    for (block, size) in [(block, 6_000), (other, 3_000), (reserved, 500)] {
        give_back(&LIMITED, block, size);
    }
    assert_eq!(LIMITED.used(), 0);
}

#[unsafe(no_mangle)]
extern "C" fn test_what_the_heap_refuses_says_how_much_it_had() {
    // The host lets the memory have 200 pages.
    LIMITED.set_largest_free(|| alligator_rt::largest_block(&INNER, 8, 1 << 24));
    assert_eq!(get(&LIMITED, 1 << 24), None);
    let failure = last_failure().unwrap();
    assert_eq!(failure.cause, Cause::Heap);
    let largest = failure.largest_free.unwrap();
    assert!(largest > 1 << 23, "{largest}");
    give_back(&LIMITED, get(&LIMITED, largest).unwrap(), largest);
}

/// A recipe: where a panic would be a trap without a message, the host hears why before it.
#[unsafe(no_mangle)]
extern "C" fn test_the_host_is_told_why_there_is_no_memory() {
    LIMITED.set_hard(1_000, 0);
    LIMITED.on_failure(|failure| {
        permit(|| tell(failure));
        false
    });
    assert_eq!(get(&LIMITED, 5_000), None);
}

#[cfg(feature = "alligator")]
#[unsafe(no_mangle)]
extern "C" fn test_no_growth_passes_a_guard() {
    let before = memory_pages();
    {
        let _guard = Guard::GROW.null().enter();
        assert_eq!(get(&GUARDED, 1 << 20), None);
        assert!(get(&GUARDED, 1_000).is_some(), "the heap goes on");
        assert_eq!(memory_pages(), before);
        assert!(event_count(Kind::Grow) > 0);
    }
    alligator_rt::reset_events();
    let _guard = Guard::GROW.enter();
    assert!(get(&GUARDED, 1 << 20).is_some());
    assert!(memory_pages() >= before + 15);
    assert_eq!(event_count(Kind::Grow), 1);
}

#[cfg(feature = "alligator")]
#[unsafe(no_mangle)]
extern "C" fn test_pages_are_limited() {
    use alligator_rt::pages;
    let first = get(&GUARDED, 8);
    pages::set_hard(memory_pages() + 4, 2);
    assert_eq!((pages::remaining(), permit(pages::remaining)), (2, 4));
    assert_eq!(get(&GUARDED, 3 << 16), None);
    assert_eq!(last_failure().unwrap().cause, Cause::Pages);
    assert!(permit(|| get(&GUARDED, 3 << 16)).is_some());
    assert_eq!(pages::remaining(), 0);
    assert!(first.is_some());
}

#[unsafe(no_mangle)]
extern "C" fn trap_3_48_0_9() {
    let _guard = Guard::ALLOC.trap().mark(9).enter();
    let _ = get(&GUARDED, 48);
}

#[unsafe(no_mangle)]
extern "C" fn trap_4_56_0_0() {
    let block = get(&GUARDED, 56).unwrap();
    let _guard = Guard::FREE.trap().enter();
    give_back(&GUARDED, block, 56);
}

#[cfg(feature = "alligator")]
#[unsafe(no_mangle)]
extern "C" fn trap_0_0_1_77() {
    let first = get(&GUARDED, 8);
    let _guard = Guard::GROW.trap().mark(77).enter();
    // A block of half a page at a time: the first that needs the host needs a page of it.
    while get(&GUARDED, 30_000).is_some() {}
    let _ = first;
}
