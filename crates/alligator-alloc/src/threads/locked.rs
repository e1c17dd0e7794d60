//! What is done with the lock held: each in one function, without a call and without a loop between `lock` and `unlock`.
//! An engine stops a thread only at a call or in a loop; so one that is stopped from outside does not hold the lock.

use core::alloc::Layout;
use core::num::NonZeroUsize;

use super::depot::Link;
use super::thread_heap::ThreadHeap;
use crate::global::{AlligatorAlloc, Held};
use crate::lock::Lock;
use crate::mini_page::cached::Neighbours;
use crate::policy::Policy;
use crate::records::Length;
use crate::size_class::Class;
use crate::source::Source;

impl<S: Source, L: Lock, P: Policy> AlligatorAlloc<S, L, P> {
    /// Does `action` with the heap, and gives the lock back, which the caller holds.
    ///
    /// # Safety
    ///
    /// The caller holds it.
    #[inline(always)]
    unsafe fn unlock_after<R>(&self, action: impl FnOnce(Held<'_, S, P>) -> R) -> R {
        // SAFETY: the lock is held until the reference is gone.
        let result = action(unsafe { self.held() });
        // SAFETY: the caller's duty.
        unsafe { self.lock.unlock() };
        result
    }

    /// Waits for the lock, and does `action`.
    #[inline(always)]
    fn locked<R>(&self, action: impl FnOnce(Held<'_, S, P>) -> R) -> R {
        self.lock.lock();
        // SAFETY: it is held.
        unsafe { self.unlock_after(action) }
    }

    /// Does `action` if the lock can be had at once, or if this `waits` for it; false if not.
    #[inline(always)]
    fn locked_if(&self, waits: bool, action: impl FnOnce(Held<'_, S, P>)) -> bool {
        if waits {
            self.lock.lock();
        } else if !self.lock.try_lock() {
            return false;
        }
        // SAFETY: it is held.
        unsafe { self.unlock_after(action) };
        true
    }

    /// The address of a slot of `class`, if there is one without growth, or zero. The others of its chain, or the other
    /// free slots of its MiniPage, become those of `thread`, if that is given.
    #[inline(never)]
    pub(super) fn take(&self, class: Class, thread: Option<&ThreadHeap>) -> usize {
        self.locked(|heap| {
            if let Some(thread) = thread {
                if let Some(first) = self.threads.depot(class).pop() {
                    thread.take_over(class, first.next());
                    return first.slot().get();
                }
            }
            let slot = heap.allocate_slot_at_hand(class);
            if let (Some(thread), true) = (thread, slot != 0) {
                thread.class(class).take_over(heap.state(class));
            }
            slot
        })
    }

    /// Gives other threads the chain that begins with `first`; false if the lock cannot be had.
    #[inline(never)]
    pub(super) fn give_chain(&self, first: Link, class: Class) -> bool {
        self.locked_if(false, |_| self.threads.depot(class).push(first))
    }

    /// A chain of `class` that nobody has taken over.
    #[inline(never)]
    pub(super) fn take_chain(&self, class: Class) -> Option<Link> {
        self.locked(|_| self.threads.depot(class).pop())
    }

    /// Gives slots home; false if the lock cannot be had.
    #[inline(never)]
    pub(super) fn give_home(&self, slots: Neighbours, class: Class, waits: bool) -> bool {
        self.locked_if(waits, |heap| {
            heap.state(class).give_back_some(slots, &heap.runs);
        })
    }

    /// The address of a block that no class serves, if there is one without growth, and how many of its bytes need not be
    /// zero.
    #[inline(never)]
    pub(super) fn take_long(&self, layout: Layout) -> (usize, usize) {
        self.locked(|heap| heap.allocate_long_at_hand(layout))
    }

    /// [`give_home`](Self::give_home) for a block that no class serves.
    #[inline(never)]
    pub(super) fn give_long_home(
        &self,
        address: NonZeroUsize,
        layout: Layout,
        waits: bool,
    ) -> bool {
        self.locked_if(waits, |heap| heap.deallocate_long(address, layout))
    }

    /// Resizes where it is a block that no class serves, if that can be without growth.
    #[inline(never)]
    pub(super) fn resize_in_place(
        &self,
        address: NonZeroUsize,
        layout: Layout,
        new: Layout,
    ) -> bool {
        self.locked(|heap| heap.resize_long_in_place(address.get(), layout, new))
    }

    /// Whether there is a free run of `length`.
    #[inline(never)]
    pub(super) fn has_room(&self, length: Length) -> bool {
        self.locked(|heap| heap.runs.find(length).is_some())
    }

    /// What [`Runs::pages_wanted`](crate::runs::Runs::pages_wanted) says.
    #[inline(never)]
    pub(super) fn pages_wanted(&self, length: Length, reservation: bool) -> Option<(usize, usize)> {
        self.locked(|heap| heap.runs.pages_wanted(length, reservation))
    }

    /// Takes in pages: see [`Runs::take_in_late`](crate::runs::Runs::take_in_late).
    #[inline(never)]
    pub(super) fn take_in(&self, new: usize, pages: usize) {
        self.locked(|heap| heap.runs.take_in_late(new, pages));
    }
}
