//! What one thread keeps for itself.

use core::cell::Cell;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};

use super::depot::Link;
use super::owed::Owed;
use super::reserved::Region;
use crate::mini_page::ClassState;
use crate::mini_page::cached::Cached;
use crate::size_class::{CLASS_COUNT, Class};

/// What a thread keeps: for each class a magazine, the free slots of one MiniPage and a chain of others, and blocks that it
/// owes. It lies in a block of the heap, is never given back, and is used again by another thread when its own has ended.
#[derive(Debug)]
#[repr(C, align(1024))]
pub(crate) struct ThreadHeap {
    /// The address of the allocator whose blocks these are.
    owner: Cell<usize>,
    /// Its address and a number that counts how often it has been used: [`alligator_thread_id`](super::exit). Zero while
    /// it is idle.
    id: AtomicUsize,
    /// The id that it has next.
    next_id: Cell<usize>,
    /// The first block that is owed.
    owed: Cell<usize>,
    /// The address of the thread's own region, or zero.
    region: Cell<usize>,
    /// The class that is trimmed next.
    trimmed: Cell<usize>,
    /// The next of all, whoever owns them.
    next: Cell<usize>,
    /// The next that is idle, of the owner's.
    pub(super) next_idle: Cell<usize>,
    /// Gives back all that is kept, if this has that id.
    end: Cell<Option<End>>,
    /// The first slots of chains that it has taken over, or zero.
    chains: [Cell<usize>; CLASS_COUNT],
    classes: [ClassState<Cached>; CLASS_COUNT],
}

/// Gives back all that a thread heap keeps, if it has that id: false if not.
pub(super) type End = unsafe fn(&'static ThreadHeap, usize) -> bool;

/// The first of all thread heaps, or zero.
static FIRST: AtomicUsize = AtomicUsize::new(0);

impl ThreadHeap {
    /// Makes this, all zero so far, one of the allocator at `owner`, and known to all.
    pub(super) fn announce(&self, owner: usize, end: End) {
        self.owner.set(owner);
        self.end.set(Some(end));
        let mut first = FIRST.load(Relaxed);
        loop {
            self.next.set(first);
            match FIRST.compare_exchange(first, self.address(), AcqRel, Relaxed) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// The thread heap at `address`, which is not zero.
    ///
    /// # Safety
    ///
    /// There is one.
    #[inline(always)]
    pub(super) unsafe fn at(address: usize) -> &'static Self {
        let place = core::ptr::with_exposed_provenance::<Self>(address);
        // SAFETY: the caller's duty; it is never given back.
        unsafe { &*place }
    }

    /// Whether its blocks are those of the allocator at `owner`.
    #[inline(always)]
    pub(super) fn is_of(&self, owner: usize) -> bool {
        self.owner.get() == owner
    }

    /// The address of that allocator.
    pub(super) fn owner(&self) -> usize {
        self.owner.get()
    }

    #[inline(always)]
    pub(super) fn address(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// The one whose id is `id`, if a thread has it.
    pub(super) fn of_id(id: usize) -> Option<&'static Self> {
        let mut address = FIRST.load(Acquire);
        while address != 0 {
            // SAFETY: `announce` has put it there.
            let thread = unsafe { Self::at(address) };
            if id != 0 && thread.id.load(Acquire) == id {
                return Some(thread);
            }
            address = thread.next.get();
        }
        None
    }

    /// Its id.
    pub(super) fn id(&self) -> usize {
        self.id.load(Relaxed)
    }

    /// Makes it a thread's that had none.
    pub(super) fn begin(&self) {
        let uses = (self.next_id.get() + 1) % align_of::<Self>();
        self.next_id.set(uses);
        self.id.swap(self.address() | uses, AcqRel);
        for index in 0..CLASS_COUNT {
            self.classes[index].open(Class::from_index(index));
        }
    }

    /// Gives back all that it keeps, if its id is `id`: false if not.
    ///
    /// # Safety
    ///
    /// The thread that had that id does nothing more with it.
    pub(super) unsafe fn end(&'static self, id: usize) -> bool {
        // SAFETY: the caller's duty.
        self.end.get().is_some_and(|end| unsafe { end(self, id) })
    }

    /// Takes its id away: true for one of those who try, of whom nobody else uses this from then on.
    pub(super) fn resign(&self, id: usize) -> bool {
        id != 0 && self.id.compare_exchange(id, 0, AcqRel, Relaxed).is_ok()
    }

    /// What it keeps of `class`.
    #[inline(always)]
    pub(super) fn class(&self, class: Class) -> &ClassState<Cached> {
        // SAFETY: a class's index is below CLASS_COUNT.
        unsafe { self.classes.get_unchecked(class.index()) }
    }

    /// Makes the slots from `first` on the thread's, which has none in a chain. *Time:* constant.
    #[inline(always)]
    pub(super) fn take_over(&self, class: Class, first: usize) {
        self.chain(class).set(first);
    }

    /// The first slot of the chain that it has taken over, if one is left. *Time:* constant.
    #[inline(always)]
    pub(super) fn unlink(&self, class: Class) -> Option<NonZeroUsize> {
        let first = Link::at(self.chain(class).get())?;
        self.take_over(class, first.next());
        Some(first.slot())
    }

    #[inline(always)]
    fn chain(&self, class: Class) -> &Cell<usize> {
        // SAFETY: a class's index is below CLASS_COUNT.
        unsafe { self.chains.get_unchecked(class.index()) }
    }

    /// Adds `block` to what is owed. *Time:* constant.
    pub(super) fn owe(&self, block: Owed) {
        block.set_next(self.owed.replace(block.address()));
    }

    /// The first block that is owed.
    #[inline(always)]
    pub(super) fn first_owed(&self) -> Option<Owed> {
        Owed::at(self.owed.get())
    }

    /// Makes the block at `address` the first that is owed, or none for zero.
    #[inline(always)]
    pub(super) fn set_first_owed(&self, address: usize) {
        self.owed.set(address);
    }

    /// The class that is to be trimmed next, and after it the one after it.
    pub(super) fn next_trimmed(&self) -> Class {
        let class = self.trimmed.get();
        self.trimmed.set((class + 1) % CLASS_COUNT);
        Class::from_index(class)
    }

    /// Whether all classes have had their turn.
    pub(super) fn is_first_next(&self) -> bool {
        self.trimmed.get() == 0
    }

    /// The thread's own region.
    #[inline(always)]
    pub(super) fn region(&self) -> Option<&'static Region> {
        Region::at(self.region.get())
    }

    /// Makes `region` the thread's own, or takes it away.
    pub(super) fn set_region(&self, region: Option<&'static Region>) {
        self.region.set(region.map_or(0, Region::address));
    }
}

const _: () = assert!(usize::BITS > 32 || size_of::<ThreadHeap>() <= 6 << 10);
