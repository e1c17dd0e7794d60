//! The ways of an operation: to the thread's own heap, to its region, or to the heap that all share.

use core::alloc::Layout;
use core::num::NonZeroUsize;
use core::ptr::{self, NonNull};

use super::depot::Link;
use super::local;
use super::owed::{Kind, Owed};
use super::reserved::Region;
use super::thread_heap::ThreadHeap;
use crate::global::AlligatorAlloc;
use crate::heap::{class_of, is_too_much, run_length};
use crate::lock::Lock;
use crate::mini_page::ClassState;
use crate::mini_page::cached::{Cached, Neighbours};
use crate::policy::Policy;
use crate::records::{GRANULE, Length};
use crate::size_class::{CLASS_COUNT, Class};
use crate::source::Source;

/// The most owed blocks that are given back with one operation.
const PAID: usize = 4;
/// How often one operation may add pages, each time because another thread was faster to use them. It is far more than
/// happens: the memory is at its limit before that.
const GROWTHS_MAX: usize = 1 << 16;

/// A pointer to the slot at `address`: heaps expose the provenance of the memory that they give threads.
#[inline(always)]
fn pointer_to(address: usize) -> *mut u8 {
    ptr::with_exposed_provenance_mut(address)
}

/// Whether what is at `address` is surely a static, so that it is neither moved nor gone as long as a thread keeps blocks
/// of it.
fn is_static(address: usize) -> bool {
    #[cfg(target_family = "wasm")]
    return crate::source::is_static(address);
    #[cfg(not(target_family = "wasm"))]
    return address != 0; // Who says that memory is shared there promises it.
}

impl<S: Source, L: Lock, P: Policy> AlligatorAlloc<S, L, P> {
    /// Whether threads have heaps of their own. Not if each operation has to look at the records, or be counted.
    pub(crate) const HAS_THREAD_HEAPS: bool =
        L::HAS_THREAD_CACHES && S::IS_SHARED && !P::HARDENED && !cfg!(feature = "metrics");

    /// The calling thread's heap, if it has one of this allocator's.
    #[inline(always)]
    pub(super) fn mine(&self) -> Option<&'static ThreadHeap> {
        let address = local::get();
        if address == 0 {
            return None;
        }
        // SAFETY: only `register` sets the word.
        let thread = unsafe { ThreadHeap::at(address) };
        thread.is_of(self.address()).then_some(thread)
    }

    /// Whether `region` is the calling thread's own.
    fn is_mine(&self, region: &Region) -> bool {
        let mine = self.mine().and_then(ThreadHeap::region);
        mine.is_some_and(|own| own.is(region))
    }

    #[inline(always)]
    pub(super) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// The address of this, from which it can be found again.
    pub(super) fn exposed(&self) -> usize {
        ptr::from_ref(self).expose_provenance()
    }

    /// The calling thread's heap, a new one if it has none. None if it has another allocator's, no word of its own, or if
    /// there is no memory.
    #[cold]
    #[inline(never)]
    pub(super) fn register(&self) -> Option<&'static ThreadHeap> {
        if local::get() != 0 || !local::is_there() || !is_static(self.address()) {
            return None;
        }
        let thread = self.new_thread_heap()?;
        local::set(thread.address());
        #[cfg(any(target_os = "wasi", target_os = "linux"))]
        local::at_end(thread.address(), super::exit::at_end);
        Some(thread)
    }

    /// A thread heap that was idle, or a new one.
    fn new_thread_heap(&self) -> Option<&'static ThreadHeap> {
        let mut address = self.with(|_| {
            let idle = self.threads.idle.get();
            if idle != 0 {
                // SAFETY: only thread heaps become idle.
                self.threads
                    .idle
                    .set(unsafe { ThreadHeap::at(idle) }.next_idle.get());
            }
            idle
        });
        if address == 0 {
            let layout = Layout::new::<ThreadHeap>();
            address = self.take_long_or_grow(None, layout).0;
            let block = NonNull::new(pointer_to(address))?;
            // SAFETY: it is that long, and nobody else's.
            unsafe { block.write_bytes(0, layout.size()) };
            // SAFETY: all zero is one.
            unsafe { ThreadHeap::at(address) }.announce(self.exposed(), Self::end);
        }
        // SAFETY: there is one.
        let thread = unsafe { ThreadHeap::at(address) };
        thread.begin();
        Some(thread)
    }

    /// `GlobalAlloc::alloc`.
    #[cfg_attr(built_for_size, inline(never))]
    #[cfg_attr(not(built_for_size), inline(always))]
    pub(crate) fn allocate_apart(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(layout) else {
            return self.allocate_long_apart(layout).0;
        };
        if let Some(thread) = self.mine() {
            if let Some(slot) = thread.class(class).pop() {
                return pointer_to(slot.get());
            }
        }
        self.allocate_slot_apart(class, layout)
    }

    /// A slot of `class`, of which the thread's magazine has none.
    #[inline(never)]
    fn allocate_slot_apart(&self, class: Class, layout: Layout) -> *mut u8 {
        let Some(thread) = self.mine().or_else(|| self.register()) else {
            return self.take_or_grow_for(class, None);
        };
        if let Some(region) = thread.region() {
            return (region.does().allocate)(region, layout);
        }
        match thread
            .unlink(class)
            .or_else(|| thread.class(class).take_own())
        {
            Some(slot) => pointer_to(slot.get()),
            None => self.refill(thread, class),
        }
    }

    /// A slot of `class`, with which others become the thread's. *Waits* for the lock.
    #[inline(never)]
    fn refill(&self, thread: &ThreadHeap, class: Class) -> *mut u8 {
        self.pay(thread, false);
        self.take_or_grow_for(class, Some(thread))
    }

    /// A slot of `class`, of which the thread has none. *Waits* for the lock.
    #[inline(never)]
    fn take_or_grow_for(&self, class: Class, thread: Option<&ThreadHeap>) -> *mut u8 {
        let length = u32::from(class.info().granules) * GRANULE;
        let slot = self.take_or_grow(thread, length, || (self.take(class, thread), 0));
        pointer_to(slot.0)
    }

    /// What `take` gives, whose first part is not zero, as soon as there is a free run of `length`: after growth, or after
    /// what `thread` keeps, and what is on its way between threads, has gone home.
    #[inline(always)]
    fn take_or_grow(
        &self,
        thread: Option<&ThreadHeap>,
        length: Length,
        take: impl Fn() -> (usize, usize),
    ) -> (usize, usize) {
        let mut growths = 0;
        let mut has_given_back = false;
        loop {
            let found = take();
            if found.0 != 0 {
                return found;
            }
            if growths < GROWTHS_MAX && self.grow_for(length, false) {
                growths += 1;
            } else if !has_given_back {
                has_given_back = true;
                self.give_back_all(thread);
            } else {
                return (0, 0);
            }
        }
    }

    /// Gives home some of what `thread` owes, as long as the lock can be had at once, unless it `waits`. True if nothing is
    /// left. *Time:* constant.
    #[inline(never)]
    pub(super) fn pay(&self, thread: &ThreadHeap, waits: bool) -> bool {
        for _ in 0..PAID {
            let Some(block) = thread.first_owed() else {
                return true;
            };
            let next = block.next();
            let is_home = match block.kind() {
                Kind::Slot(class) => self.give_one_home(block.start(), class, waits),
                Kind::Long(layout) => self.give_long_home(block.start(), layout, waits),
            };
            if !is_home {
                return false;
            }
            thread.set_first_owed(next);
        }
        thread.first_owed().is_none()
    }

    /// A block that no class serves, and how many of its bytes need not be zero.
    #[inline(never)]
    fn allocate_long_apart(&self, layout: Layout) -> (*mut u8, usize) {
        let thread = self.mine();
        if let Some(region) = thread.and_then(ThreadHeap::region) {
            return ((region.does().allocate)(region, layout), layout.size());
        }
        if let Some(thread) = thread {
            self.pay(thread, false);
        }
        let (address, dirty) = self.take_long_or_grow(thread, layout);
        (pointer_to(address), dirty)
    }

    /// The address of a block that no class serves, from the heap that all share, and how many of its bytes need not be
    /// zero. *Waits* for the lock.
    #[inline(never)]
    pub(super) fn take_long_or_grow(
        &self,
        thread: Option<&ThreadHeap>,
        layout: Layout,
    ) -> (usize, usize) {
        if is_too_much(layout) {
            return (0, 0);
        }
        self.take_or_grow(thread, run_length(layout), || self.take_long(layout))
    }

    /// `GlobalAlloc::dealloc`.
    ///
    /// # Safety
    ///
    /// As there.
    #[cfg_attr(built_for_size, inline(never))]
    #[cfg_attr(not(built_for_size), inline(always))]
    pub(crate) unsafe fn deallocate_apart(&self, block: NonNull<u8>, layout: Layout) {
        if let Some(class) = class_of(layout) {
            if let Some(thread) = self.mine() {
                let is_any = !self.threads.regions.may_have(block.addr());
                if is_any && thread.class(class).push_slot(block.addr()) {
                    return;
                }
            }
        }
        // SAFETY: the caller's duty.
        unsafe { self.give_back_apart(block, layout) };
    }

    /// Gives back a block for which the thread's magazine has no room. It waits for nobody, but the first time a thread
    /// does anything.
    ///
    /// # Safety
    ///
    /// As for [`deallocate_apart`](Self::deallocate_apart).
    #[inline(never)]
    unsafe fn give_back_apart(&self, block: NonNull<u8>, layout: Layout) {
        let thread = self.mine();
        if let Some(region) = self.threads.regions.of(block.addr()) {
            if self.is_mine(region) {
                // SAFETY: the caller's duty.
                return unsafe { (region.does().deallocate)(region, block, layout) };
            }
            // SAFETY: the caller's duty.
            unsafe { region.post(block, layout) };
            if self.threads.regions.has_orphans() {
                self.sweep();
            }
            return;
        }
        let Some(thread) = thread.or_else(|| self.register()) else {
            match class_of(layout) {
                Some(class) => self.give_one_home(block.addr(), class, true),
                None => self.give_long_home(block.addr(), layout, true),
            };
            return;
        };
        let class = class_of(layout);
        if class.is_some_and(|class| thread.class(class).push_slot(block.addr())) {
            return;
        }
        if thread.first_owed().is_some() {
            self.pay(thread, false);
        }
        let is_home = match class {
            Some(class) => self.empty_some(thread.class(class), class, block.addr()),
            None => self.give_long_home(block.addr(), layout, false),
        };
        if !is_home {
            // SAFETY: the caller's duty.
            thread.owe(unsafe { Owed::new(block, layout) });
        }
    }

    /// Gives slots of a full magazine to other threads, or if these have enough home, and puts the one at `slot` into it;
    /// false if the lock cannot be had.
    #[inline(always)]
    fn empty_some(&self, own: &ClassState<Cached>, class: Class, slot: NonZeroUsize) -> bool {
        let has_room = if self.threads.depot(class).has_room() {
            self.give_latest(own, class)
        } else {
            self.give_neighbours_home(own, class, false)
        };
        has_room && own.push_slot(slot)
    }

    /// Gives the latest slots of a magazine to other threads. False if there are too few, or if the lock cannot be had.
    #[inline(never)]
    fn give_latest(&self, own: &ClassState<Cached>, class: Class) -> bool {
        let Some((first, count)) = Link::latest(own) else {
            return false;
        };
        let is_given = self.give_chain(first, class);
        if is_given {
            own.drop_latest(count);
        }
        is_given
    }

    /// Gives the latest slot of a magazine home, and those that lie in one granule with it. False if it has none, or if the
    /// lock cannot be had.
    #[inline(never)]
    fn give_neighbours_home(&self, own: &ClassState<Cached>, class: Class, waits: bool) -> bool {
        let Some((slots, count)) = own.neighbours() else {
            return false;
        };
        let is_home = self.give_home(slots, class, waits);
        if is_home {
            own.drop_latest(count);
        }
        is_home
    }

    /// Gives the slot at `address` home; false if the lock cannot be had.
    #[inline(always)]
    fn give_one_home(&self, address: NonZeroUsize, class: Class, waits: bool) -> bool {
        let slot = Neighbours::one(address.get(), class.info().reciprocal);
        self.give_home(slot, class, waits)
    }

    /// `GlobalAlloc::realloc`.
    ///
    /// # Safety
    ///
    /// As there.
    #[inline(never)]
    pub(crate) unsafe fn reallocate_apart(
        &self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> *mut u8 {
        // SAFETY: the caller's duty.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let new = match (class_of(layout), class_of(new_layout)) {
            (Some(old), Some(new)) if old == new => block.as_ptr(),
            (None, None) => match self.threads.regions.of(block.addr()) {
                None => self.resize_apart(block.addr(), layout, new_layout),
                // SAFETY: the caller's duty.
                Some(region) if self.is_mine(region) => unsafe {
                    return (region.does().reallocate)(region, block, layout, new_size);
                },
                Some(_) => self.allocate_apart(new_layout),
            },
            _ => self.allocate_apart(new_layout),
        };
        if !new.is_null() && new != block.as_ptr() {
            let bytes = layout.size().min(new_size);
            // SAFETY: both blocks have that many bytes and are apart, since both are in use.
            unsafe { new.copy_from_nonoverlapping(block.as_ptr(), bytes) };
            // SAFETY: the caller's duty.
            unsafe { self.deallocate_apart(block, layout) };
        }
        new
    }

    /// A block of `new` for what the block of `layout` at `address` holds, which may be the same; both are longer than
    /// slots.
    #[inline(never)]
    fn resize_apart(&self, address: NonZeroUsize, layout: Layout, new: Layout) -> *mut u8 {
        if self.resize_in_place(address, layout, new) {
            return pointer_to(address.get());
        }
        if self.mine().and_then(ThreadHeap::region).is_some() {
            return self.allocate_apart(new);
        }
        let (mut found, _) = self.take_long(new); // Moving costs a copy; growing would cost memory.
        if found == 0 {
            self.grow_for(run_length(new), false);
            if self.resize_in_place(address, layout, new) {
                return pointer_to(address.get());
            }
            (found, _) = self.take_long_or_grow(self.mine(), new);
        }
        pointer_to(found)
    }

    /// `GlobalAlloc::alloc_zeroed`.
    #[inline(never)]
    pub(crate) fn allocate_zeroed_apart(&self, layout: Layout) -> *mut u8 {
        let (block, bytes) = match class_of(layout) {
            Some(_) => (self.allocate_apart(layout), layout.size()),
            None => self.allocate_long_apart(layout),
        };
        if !block.is_null() {
            // SAFETY: the block has at least that many bytes and nobody else knows it yet.
            unsafe { block.write_bytes(0, bytes) };
        }
        block
    }

    /// Gives back all that `thread` keeps, if one is given, and all that is on its way between threads. *Waits* for the
    /// lock.
    #[cold]
    #[inline(never)]
    pub(super) fn give_back_all(&self, thread: Option<&ThreadHeap>) {
        for index in 0..CLASS_COUNT {
            self.give_back_class(thread, Class::from_index(index));
        }
        if let Some(thread) = thread {
            while !self.pay(thread, true) {}
        }
    }

    fn give_back_class(&self, thread: Option<&ThreadHeap>, class: Class) {
        if let Some(thread) = thread {
            let own = thread.class(class);
            while self.give_neighbours_home(own, class, true) {}
            if let Some(slots) = own.take_word() {
                self.give_home(slots, class, true);
            }
            while let Some(slot) = thread.unlink(class) {
                self.give_one_home(slot, class, true);
            }
        }
        for _ in 0..self.threads.depot(class).chains() {
            let mut link = self.take_chain(class);
            while let Some(this) = link {
                link = Link::at(this.next());
                self.give_one_home(this.slot(), class, true);
            }
        }
    }

    /// [`trim`](Self::trim): what the calling thread keeps.
    pub(crate) fn trim_apart(&self, classes: usize) -> bool {
        let Some(thread) = self.mine() else {
            return true;
        };
        for _ in 0..classes.min(CLASS_COUNT) {
            self.give_back_class(Some(thread), thread.next_trimmed());
        }
        self.pay(thread, true) && thread.is_first_next()
    }
}
