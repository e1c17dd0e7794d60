//! What several threads do at the same time on one heap in shared memory. Each has an instance of its own, whose stack
//! is one of `stack_top`. The host gives them numbers from 0. What they return is how many faults there were, or the
//! kind of the first.
#![cfg_attr(not(target_os = "wasi"), no_std)]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::memory_grow;
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use alligator_alloc::{AlligatorAlloc, Lock, SpinLock};

static HEAP: AlligatorAlloc = AlligatorAlloc::new();

const STACK_BYTES: usize = 65_536;
const THREADS_MAX: usize = 8;

/// The threads' stacks.
#[repr(align(16))]
struct Stacks(UnsafeCell<[[u8; STACK_BYTES]; THREADS_MAX]>);

// SAFETY: each thread has one of its own.
unsafe impl Sync for Stacks {}

static STACKS: Stacks = Stacks(UnsafeCell::new([[0; STACK_BYTES]; THREADS_MAX]));

/// Blocks on their way from one thread to another.
static HANDED_OVER: [AtomicUsize; 32] = [const { AtomicUsize::new(0) }; 32];

/// Threads in `allocate_larger` that are not done.
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// Nothing, or what went wrong.
type Outcome = Result<(), Fault>;

/// What went wrong.
#[repr(u32)]
enum Fault {
    Null = 1,
    Misaligned = 2,
    Changed = 3,
    Refused = 4,
}

fn status(outcome: Outcome) -> u32 {
    outcome.map_or_else(|fault| fault as u32, |()| 0)
}

#[cfg(not(target_os = "wasi"))] // There, std has one.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// The first address after the stack of a thread.
#[unsafe(no_mangle)]
pub extern "C" fn stack_top(thread: usize) -> usize {
    STACKS.0.get().expose_provenance() + (thread % THREADS_MAX + 1) * STACK_BYTES
}

/// A block that says of itself how long it is; the other bytes all have its mark.
#[derive(Clone, Copy)]
struct Block(*mut usize);

impl Block {
    const HEAD: usize = 2 * size_of::<usize>();

    fn layout(size: usize) -> Layout {
        // SAFETY: eight is a power of two, and no size here is near the limit.
        unsafe { Layout::from_size_align_unchecked(size, 8) }
    }

    fn new(size: usize, mark: u8) -> Result<Self, Fault> {
        let size = size.max(Self::HEAD);
        // SAFETY: the size is not zero.
        let block = Self(unsafe { HEAP.alloc(Self::layout(size)) }.cast());
        block.prepare(size, mark, Self::HEAD)?;
        Ok(block)
    }

    /// Writes the head, and the mark from the byte `from` on.
    fn prepare(self, size: usize, mark: u8, from: usize) -> Outcome {
        if self.0.is_null() {
            return Err(Fault::Null);
        }
        if !self.0.addr().is_multiple_of(8) {
            return Err(Fault::Misaligned);
        }
        let from = from.max(Self::HEAD);
        // SAFETY: the block is as long as `size`, which is no less than a head.
        unsafe { self.0.write(size) };
        // SAFETY: as above.
        unsafe { self.0.add(1).write(mark.into()) };
        // SAFETY: as above.
        unsafe {
            self.0
                .cast::<u8>()
                .add(from)
                .write_bytes(mark, size.saturating_sub(from))
        };
        Ok(())
    }

    /// The block's size and mark, if all of it has the mark.
    fn check(self) -> Result<(usize, u8), Fault> {
        // SAFETY: `prepare` has written it.
        let size = unsafe { self.0.read() };
        // SAFETY: as above.
        let mark = unsafe { self.0.add(1).read() };
        if size > 1 << 24 || mark > 255 {
            return Err(Fault::Changed);
        }
        let mark = mark as u8;
        // SAFETY: the block is as long as that, if nobody has written to it.
        let bytes = unsafe { core::slice::from_raw_parts(self.0.cast::<u8>(), size) };
        if bytes[Self::HEAD..].iter().any(|&byte| byte != mark) {
            return Err(Fault::Changed);
        }
        Ok((size, mark))
    }

    fn free(self) -> Outcome {
        let (size, _) = self.check()?;
        // SAFETY: it is a block of this size, and nobody has it any more.
        unsafe { HEAP.dealloc(self.0.cast(), Self::layout(size)) };
        Ok(())
    }

    fn resize(self, new_size: usize) -> Result<Self, Fault> {
        let (size, mark) = self.check()?;
        let new_size = new_size.max(Self::HEAD);
        // SAFETY: it is a block of this size, and the new one is not zero.
        let block = unsafe { HEAP.realloc(self.0.cast(), Self::layout(size), new_size) };
        let block = Self(block.cast());
        block.prepare(new_size, mark, size.min(new_size))?;
        Ok(block)
    }
}

/// Numbers in no order, the same for each seed.
struct Numbers(u64);

impl Numbers {
    fn new(seed: usize) -> Self {
        Self(seed as u64 * 2 + 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % end
    }
}

/// A size: often small, now and then long.
fn size(numbers: &mut Numbers) -> usize {
    let end = [32, 64, 64, 64, 200, 200, 600, 4_000][numbers.below(8)];
    let end = if numbers.below(64) == 0 { 60_000 } else { end };
    1 + numbers.below(end)
}

/// Takes, checks, resizes, hands over and gives back blocks.
#[unsafe(no_mangle)]
pub extern "C" fn work(thread: usize, rounds: usize) -> u32 {
    status(work_for(thread, rounds))
}

fn work_for(thread: usize, rounds: usize) -> Outcome {
    let mut numbers = Numbers::new(thread);
    let mut blocks: [Option<Block>; 64] = [None; 64];
    for _ in 0..rounds {
        let slot = &mut blocks[numbers.below(64)];
        let mark = thread as u8 * 16 + numbers.below(16) as u8;
        *slot = match (slot.take(), numbers.below(4)) {
            (None, _) => Some(Block::new(size(&mut numbers), mark)?),
            (Some(block), 0) => Some(block.resize(size(&mut numbers))?),
            (Some(block), 1) => hand_over(block, numbers.below(HANDED_OVER.len())),
            (Some(block), _) => {
                block.free()?;
                None
            }
        };
    }
    blocks.into_iter().flatten().try_for_each(Block::free)
}

/// Takes a few short blocks and gives them back at once, again and again: hardly anything but the heap.
#[unsafe(no_mangle)]
pub extern "C" fn short_blocks(thread: usize, rounds: usize) -> u32 {
    status(short_blocks_for(thread, rounds))
}

fn short_blocks_for(thread: usize, rounds: usize) -> Outcome {
    for round in 0..rounds {
        let mut blocks = [None; 8];
        for (index, block) in blocks.iter_mut().enumerate() {
            *block = Some(Block::new(16 + index + round % 8, thread as u8)?);
        }
        blocks.into_iter().flatten().try_for_each(Block::free)?;
    }
    Ok(())
}

/// Leaves a block for whoever comes next; what lay there is the caller's.
fn hand_over(block: Block, place: usize) -> Option<Block> {
    let found = HANDED_OVER[place].swap(block.0.expose_provenance(), SeqCst);
    let found: *mut usize = ptr::with_exposed_provenance_mut(found);
    (!found.is_null()).then_some(Block(found))
}

/// Takes so many bytes of the host's memory ahead of time: 1 if it could be.
#[unsafe(no_mangle)]
pub extern "C" fn reserve(bytes: usize) -> u32 {
    HEAP.reserve(bytes).into()
}

/// Gives back what nobody has fetched.
#[unsafe(no_mangle)]
pub extern "C" fn tidy_up() -> u32 {
    let left = |place: &AtomicUsize| -> *mut usize {
        ptr::with_exposed_provenance_mut(place.swap(0, SeqCst))
    };
    let blocks = HANDED_OVER.iter().map(left).filter(|at| !at.is_null());
    status(blocks.map(Block).try_for_each(Block::free))
}

/// Takes longer and longer blocks, all of which stay in use till the end.
#[unsafe(no_mangle)]
pub extern "C" fn allocate_larger(thread: usize, blocks: usize) -> u32 {
    let outcome = allocate_larger_for(thread, blocks);
    ENDED.fetch_add(1, SeqCst);
    status(outcome)
}

fn allocate_larger_for(thread: usize, blocks: usize) -> Outcome {
    let mut kept = [None; 512];
    let mut size = 24;
    for place in &mut kept[..blocks] {
        *place = Some(Block::new(size, thread as u8)?);
        size += size / 16 + 8 * thread + 100;
        if size > 400_000 {
            size = 50_000;
        }
    }
    kept.into_iter().flatten().try_for_each(Block::free)
}

/// Grows the memory by one page again and again, past the heap, until `threads` have ended `allocate_larger`.
#[unsafe(no_mangle)]
pub extern "C" fn grow_again_and_again(threads: usize, pages_max: usize) -> u32 {
    for _ in 0..pages_max {
        if ENDED.load(SeqCst) == threads {
            break;
        }
        if memory_grow::<0>(1) == usize::MAX {
            return Fault::Refused as u32;
        }
        for _ in 0..1000 {
            core::hint::spin_loop();
        }
    }
    0
}

/// Waits for a lock that nobody will give back.
#[unsafe(no_mangle)]
pub extern "C" fn wait_for_ever() {
    static LOCK: SpinLock = SpinLock::NEW;
    LOCK.lock();
    LOCK.lock();
}

/// What the prover looks at: operations of the heap that all share, and of one that a thread has for itself.
#[cfg(feature = "threads")]
pub mod proved {
    use core::alloc::{GlobalAlloc, Layout};
    use core::cell::UnsafeCell;
    use core::ptr::NonNull;

    use alligator_alloc::ReservedHeap;

    use super::HEAP;

    /// A heap that one thread uses: the first.
    struct Own(UnsafeCell<Option<ReservedHeap>>);

    // SAFETY: only one thread calls the functions below that use it.
    unsafe impl Sync for Own {}

    static OWN: Own = Own(UnsafeCell::new(None));

    fn layout(size: usize) -> Layout {
        // SAFETY: eight is a power of two, and the host asks for small sizes.
        unsafe { Layout::from_size_align_unchecked(size, 8) }
    }

    fn own() -> Option<&'static ReservedHeap> {
        // SAFETY: one thread calls this.
        unsafe { &*OWN.0.get() }.as_ref()
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn reserve_own(bytes: usize) -> u32 {
        let heap = HEAP.reserved_heap(bytes);
        let is_there = heap.is_some();
        // SAFETY: one thread calls this, before the others.
        unsafe { *OWN.0.get() = heap };
        is_there.into()
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn own_alloc(size: usize) -> *mut u8 {
        let block = own().and_then(|heap| heap.allocate(layout(size)));
        block.map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn own_dealloc(block: NonNull<u8>, size: usize) {
        if let Some(heap) = own() {
            // SAFETY: the caller's duty.
            unsafe { heap.deallocate(block, layout(size)) };
        }
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn shared_alloc(size: usize) -> *mut u8 {
        // SAFETY: the caller's duty: it is not zero.
        unsafe { HEAP.alloc(layout(size)) }
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn shared_dealloc(block: NonNull<u8>, size: usize) {
        // SAFETY: the caller's duty.
        unsafe { HEAP.dealloc(block.as_ptr(), layout(size)) };
    }
}
