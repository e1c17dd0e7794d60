//! What the threads do. Each block has its size in its first bytes, and a mark that is looked at when it goes.

pub(crate) mod bursts;

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::alloc::{GlobalAlloc, Layout};

use crate::allocator::ALLOCATOR;

/// One thread's part.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    pub(crate) thread: usize,
    pub(crate) threads: usize,
    pub(crate) steps: usize,
    pub(crate) seed: usize,
}

/// The operations, or none if a block was damaged or there was no memory.
pub(crate) type Count = Option<u64>;

/// In the order in which the host has them.
pub(crate) const PROGRAMS: [fn(Work) -> Count; 8] = [
    pair,
    local,
    larson,
    xmalloc,
    handover,
    thrash,
    bursts::run,
    churn,
];

const MARK: usize = 0x5A17_0000;

/// A block in use.
#[derive(Clone, Copy)]
struct Block(*mut usize);

impl Block {
    #[inline(always)]
    fn layout(size: usize) -> Layout {
        // SAFETY: eight is a power of two, and the size far from the limit.
        unsafe { Layout::from_size_align_unchecked(size, 8) }
    }

    #[inline(always)]
    fn new(size: usize) -> Option<Self> {
        // SAFETY: no size here is zero.
        let block = unsafe { ALLOCATOR.alloc(Self::layout(size)) }.cast::<usize>();
        if block.is_null() {
            return None;
        }
        // SAFETY: the block has so many bytes.
        unsafe { block.write(size | MARK) };
        Some(Self(block))
    }

    #[inline(always)]
    fn free(self) -> Option<()> {
        // SAFETY: `new` has written it.
        let mark = unsafe { self.0.read() };
        if mark & 0xFFFF_0000 != MARK {
            return None;
        }
        // SAFETY: `new` asked for it with this layout.
        unsafe { ALLOCATOR.dealloc(self.0.cast(), Self::layout(mark & 0xFFFF)) };
        Some(())
    }
}

/// Numbers: xorshift.
struct Random(u32);

impl Random {
    fn new(work: Work) -> Self {
        let number = (work.seed * 64 + work.thread + 1) as u32;
        Self(number.wrapping_mul(2_654_435_761) | 1)
    }

    #[inline(always)]
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize
    }

    /// 16 to 511 bytes.
    #[inline(always)]
    fn size(&mut self) -> usize {
        16 + self.next() % 496
    }
}

/// One block of 24 bytes, back at once.
fn pair(work: Work) -> Count {
    for _ in 0..work.steps {
        Block::new(24)?.free()?;
    }
    Some(2 * work.steps as u64)
}

/// A thread's own thousand blocks, one replaced in each step.
fn local(work: Work) -> Count {
    let mut random = Random::new(work);
    let mut blocks = [Block(ptr::null_mut()); 1000];
    for block in &mut blocks {
        *block = Block::new(random.size())?;
    }
    for _ in 0..work.steps {
        let place = &mut blocks[random.next() % 1000];
        place.free()?;
        *place = Block::new(random.size())?;
    }
    for block in blocks {
        block.free()?;
    }
    Some(2 * (work.steps + 1000) as u64)
}

const PLACES: usize = 1 << 12;

/// Blocks that any thread may take.
static SHARED: [AtomicPtr<usize>; PLACES] = [const { AtomicPtr::new(ptr::null_mut()) }; PLACES];

fn exchange(place: &AtomicPtr<usize>, new: *mut usize) -> Option<()> {
    let old = place.swap(new, SeqCst);
    if old.is_null() { Some(()) } else { Block(old).free() }
}

/// Larson and Krishnan: a new block takes the place of one that any thread has made.
fn larson(work: Work) -> Count {
    let mut random = Random::new(work);
    let places = 1000 * work.threads.min(4);
    for _ in 0..work.steps {
        let new = Block::new(random.size())?;
        exchange(&SHARED[random.next() % places], new.0)?;
    }
    Some(2 * work.steps as u64)
}

/// Producers, of which each has a consumer that gives all back: threads with even and with odd numbers.
fn xmalloc(work: Work) -> Count {
    const RING: usize = 256;
    let mut random = Random::new(work);
    let ring = &SHARED[work.thread / 2 * RING..][..RING];
    let is_alone = work.thread % 2 == 0 && work.thread + 1 == work.threads;
    for step in 0..work.steps {
        let place = &ring[step % RING];
        if is_alone {
            exchange(place, Block::new(random.size())?.0)?;
        } else if work.thread % 2 == 0 {
            let new = Block::new(random.size())?;
            while !place.load(SeqCst).is_null() {
                core::hint::spin_loop();
            }
            place.swap(new.0, SeqCst);
        } else {
            let mut old: *mut usize = ptr::null_mut();
            while old.is_null() {
                old = place.swap(ptr::null_mut(), SeqCst);
            }
            Block(old).free()?;
        }
    }
    Some(if is_alone { 2 } else { 1 } * work.steps as u64)
}

/// Bursts of a hundred blocks, of which every fourth goes to the next thread (mstress).
fn handover(work: Work) -> Count {
    const BURST: usize = 100;
    let mut random = Random::new(work);
    let mut blocks = [Block(ptr::null_mut()); BURST];
    let mine = &SHARED[work.thread * 64..][..64];
    let next = &SHARED[(work.thread + 1) % work.threads * 64..][..64];
    for burst in 0..work.steps / BURST {
        for block in &mut blocks {
            *block = Block::new(random.size())?;
        }
        for (index, block) in blocks.iter().enumerate() {
            if index % 4 == 0 {
                exchange(&next[(burst + index / 4) % 64], block.0)?;
            } else {
                block.free()?;
            }
        }
        for place in mine.iter().take(25) {
            exchange(place, ptr::null_mut())?;
        }
    }
    Some(2 * work.steps as u64)
}

/// Small blocks of a thread, written to again and again (cache-thrash): whether neighbours share a cache line.
fn thrash(work: Work) -> Count {
    let mut sum = 0_u64;
    for step in 0..work.steps / 20 {
        let block = Block::new(16)?;
        let word = block.0.wrapping_add(1);
        for turn in 0..200 {
            // SAFETY: the block has two words.
            unsafe { word.write_volatile(turn + step) };
            // SAFETY: it has just been written.
            sum += unsafe { word.read_volatile() } as u64;
        }
        block.free()?;
    }
    (sum != 0).then_some(2 * (work.steps / 20) as u64)
}

/// Threads' worth of heaps, one after the other: each takes some blocks, gives them back, and ends.
fn churn(work: Work) -> Count {
    let mut random = Random::new(work);
    for _ in 0..work.steps {
        let mut blocks = [Block(ptr::null_mut()); 20];
        for block in &mut blocks {
            *block = Block::new(random.size())?;
        }
        for block in blocks {
            block.free()?;
        }
        crate::end_thread();
    }
    Some(40 * work.steps as u64)
}

/// Steps that the threads beside `bursts` have made, so that nobody optimises them away.
static STEPS: AtomicUsize = AtomicUsize::new(0);

/// As `larson`, until somebody is done, who is asked now and then.
fn busy(work: Work, is_over: impl Fn() -> bool) -> Count {
    let mut random = Random::new(work);
    let mut steps = 0_usize;
    while !steps.is_multiple_of(64) || !is_over() {
        let new = Block::new(random.size())?;
        exchange(&SHARED[random.next() % PLACES], new.0)?;
        steps += 1;
    }
    STEPS.fetch_add(steps, SeqCst);
    Some(2 * steps as u64)
}

/// Gives back what is left from a run.
pub(crate) fn clean_up() {
    for place in &SHARED {
        let _ = exchange(place, ptr::null_mut());
    }
}
