//! Values in a scope, and levels: scopes within a scope, which are given back while what is older stays in use.

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::NonNull;

use super::Owned;
use super::region::{Mark, Region};

/// The methods that put values into a scope, for whoever has a `region` and a `heap`: `[a lifetime of the call's own]`
/// and the lifetime of what is allocated.
macro_rules! typed_methods {
    ([$($own:lifetime)?] $life:lifetime) => {
        /// A place for `value`, which will not be dropped; `None` if there is no memory: then it is. *Time:* constant,
        /// the heap's apart.
        #[inline]
        pub fn alloc<$($own,)? T>(&$($own)? self, value: T) -> Option<&$life mut T> {
            $crate::scope::level::place(&self.region, self.heap, || value)
        }

        /// [`alloc`](Self::alloc) of what `make` returns, which is called when there is a place.
        #[inline]
        pub fn alloc_with<$($own,)? T>(&$($own)? self, make: impl FnOnce() -> T) -> Option<&$life mut T> {
            $crate::scope::level::place(&self.region, self.heap, make)
        }

        /// `value`, which is dropped when the [`Owned`] is; `None` if there is no memory. *Time:* as
        /// [`alloc`](Self::alloc).
        #[inline]
        pub fn alloc_owned<$($own,)? T>(&$($own)? self, value: T) -> Option<$crate::scope::Owned<$life, T>> {
            self.alloc(value).map($crate::scope::level::owned)
        }

        /// A copy of `values`; `None` if there is no memory. *Time:* linear in them, the heap's apart.
        #[inline]
        pub fn alloc_slice<$($own,)? T: Copy>(&$($own)? self, values: &[T]) -> Option<&$life mut [T]> {
            $crate::scope::level::place_slice(&self.region, self.heap, values)
        }

        /// A copy of `text`; `None` if there is no memory. *Time:* linear in its bytes, the heap's apart.
        #[inline]
        #[allow(clippy::mut_from_ref, reason = "each block is apart from all others")]
        pub fn alloc_str<$($own,)?>(&$($own)? self, text: &str) -> Option<&$life mut str> {
            let bytes = self.alloc_slice(text.as_bytes())?;
            // SAFETY: they are a text's.
            Some(unsafe { core::str::from_utf8_unchecked_mut(bytes) })
        }

        /// All that `values` gives, side by side; `None` if there is no memory: what has come until then is dropped.
        /// What `values` puts into the scope meanwhile is in the way, and costs copies. *Time:* constant for each value,
        /// those copies and the heap's apart.
        #[inline]
        pub fn collect<$($own,)? I: IntoIterator>(&$($own)? self, values: I) -> Option<&$life mut [I::Item]> {
            $crate::scope::level::collect(&self.region, self.heap, values.into_iter())
        }
    };
}
pub(crate) use typed_methods;

/// A scope that may have others in it: what is allocated here stays while a level [nested](Self::nested) in it comes and
/// goes.
///
/// ```
/// use alligator_rt::Scope;
/// use std::alloc::System;
///
/// let mut scope = Scope::new(&System);
/// let mut level = scope.enter();
/// let total = level.alloc(0_u64).expect("memory");
/// for round in 0..10_u64 {
///     level.nested(|inner| {
///         let squares = inner.collect((0..1000).map(|n| n * round)).expect("memory");
///         *total += squares.iter().sum::<u64>();
///     });
/// }
/// assert_eq!(*total, 499_500 * 45);
/// ```
///
/// Nothing of the inner level leaves it, and meanwhile the outer one cannot be allocated from:
///
/// ```compile_fail
/// # use alligator_rt::Scope;
/// # use std::alloc::System;
/// let mut scope = Scope::new(&System);
/// let mut level = scope.enter();
/// let escaped = level.nested(|inner| inner.alloc(1_u32));
/// ```
///
/// ```compile_fail,E0500
/// # use alligator_rt::Scope;
/// # use std::alloc::System;
/// let mut scope = Scope::new(&System);
/// let mut level = scope.enter();
/// level.nested(|_| level.alloc(1_u32).is_some());
/// ```
pub struct Level<'s, A: GlobalAlloc + ?Sized> {
    pub(super) region: &'s Region,
    pub(super) heap: &'s A,
}

impl<'s, A: GlobalAlloc + ?Sized> Level<'s, A> {
    pub(super) fn new(region: &'s Region, heap: &'s A) -> Self {
        Self { region, heap }
    }

    /// Calls `action` with a level of its own, and then gives back all that was allocated in it. Blocks of this level stay
    /// in use meanwhile. *Time:* that of `action`, and as [`Scope::reset`](super::Scope::reset).
    pub fn nested<R>(&mut self, action: impl for<'n> FnOnce(&mut Level<'n, A>) -> R) -> R {
        let back = Back {
            region: self.region,
            heap: self.heap,
            mark: self.region.mark(),
        };
        action(&mut Level::new(back.region, back.heap))
    }

    /// A block of `layout`, uninitialised; `None` if there is no memory. *Time:* constant, the heap's apart.
    #[inline]
    pub fn alloc_layout(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.region.allocate(self.heap, layout)
    }

    typed_methods!([] 's);
}

impl<A: GlobalAlloc + ?Sized> fmt::Debug for Level<'_, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Level")
            .field("held_bytes", &self.region.held())
            .finish_non_exhaustive()
    }
}

/// Goes back to a mark when it is dropped, also if a level's action panics.
struct Back<'s, A: GlobalAlloc + ?Sized> {
    region: &'s Region,
    heap: &'s A,
    mark: Mark,
}

impl<A: GlobalAlloc + ?Sized> Drop for Back<'_, A> {
    fn drop(&mut self) {
        // SAFETY: what was allocated since has the lifetime of the inner level, which is over. The outer level was
        // borrowed, so it has not gone back, and every level inside has returned to its own mark.
        unsafe { self.region.rewind(self.heap, self.mark) };
    }
}

/// Puts what `make` returns into the region.
#[expect(clippy::mut_from_ref, reason = "each block is apart from all others")]
#[inline(always)]
pub(super) fn place<'s, A: GlobalAlloc + ?Sized, T>(
    region: &'s Region,
    heap: &A,
    make: impl FnOnce() -> T,
) -> Option<&'s mut T> {
    let mut place = region.allocate(heap, Layout::new::<T>())?.cast::<T>();
    // SAFETY: a new block of this layout.
    unsafe { place.write(make()) };
    // SAFETY: just written, and nobody else's.
    Some(unsafe { place.as_mut() })
}

/// Puts a copy of `values` into the region.
#[expect(clippy::mut_from_ref, reason = "each block is apart from all others")]
#[inline]
pub(super) fn place_slice<'s, A: GlobalAlloc + ?Sized, T: Copy>(
    region: &'s Region,
    heap: &A,
    values: &[T],
) -> Option<&'s mut [T]> {
    let place = region
        .allocate(heap, Layout::for_value(values))?
        .cast::<T>();
    // SAFETY: a new block of this layout, so apart from the values.
    unsafe { place.copy_from_nonoverlapping(NonNull::from(values).cast(), values.len()) };
    // SAFETY: just written, and nobody else's.
    Some(unsafe { NonNull::slice_from_raw_parts(place, values.len()).as_mut() })
}

/// The owner of a value that is in a scope, and nobody else's.
#[inline]
pub(super) fn owned<T>(value: &mut T) -> Owned<'_, T> {
    // SAFETY: only `alloc_owned` calls this, with a value just placed, whose only reference this is.
    unsafe { Owned::new(value) }
}

/// Values in a row that grows; they are dropped if it is.
struct Row<'s, A: GlobalAlloc + ?Sized, T> {
    region: &'s Region,
    heap: &'s A,
    /// A block of `layout_of(capacity)`, of which `length` values are written.
    first: NonNull<T>,
    capacity: usize,
    length: usize,
}

impl<A: GlobalAlloc + ?Sized, T> Row<'_, A, T> {
    fn push(&mut self, value: T) -> Option<()> {
        if self.length == self.capacity {
            self.grow(self.capacity.checked_mul(2)?.max(4))?;
        }
        // SAFETY: below the capacity.
        let place = unsafe { self.first.add(self.length) };
        // SAFETY: a place of the row's block.
        unsafe { place.write(value) };
        self.length += 1;
        Some(())
    }

    #[cold]
    fn grow(&mut self, capacity: usize) -> Option<()> {
        let old = Layout::array::<T>(self.capacity).ok()?;
        let new = Layout::array::<T>(capacity).ok()?;
        let block = self.first.cast();
        // SAFETY: the row's block, of its layout. One of no bytes yet is at no place, or at a last one.
        let block = unsafe { self.region.resize(self.heap, block, old, new)? };
        self.first = block.cast();
        self.capacity = capacity;
        Some(())
    }

    fn values(&self) -> NonNull<[T]> {
        NonNull::slice_from_raw_parts(self.first, self.length)
    }
}

impl<A: GlobalAlloc + ?Sized, T> Drop for Row<'_, A, T> {
    fn drop(&mut self) {
        // SAFETY: so many are written, and nobody else has them.
        unsafe { self.values().drop_in_place() };
    }
}

/// Puts all that `values` gives into the region, side by side.
#[expect(clippy::mut_from_ref, reason = "each block is apart from all others")]
pub(super) fn collect<'s, A: GlobalAlloc + ?Sized, I: Iterator>(
    region: &'s Region,
    heap: &'s A,
    values: I,
) -> Option<&'s mut [I::Item]> {
    let capacity = values.size_hint().0;
    let layout = Layout::array::<I::Item>(capacity).ok()?;
    let mut row = Row {
        region,
        heap,
        first: region.allocate(heap, layout)?.cast::<I::Item>(),
        capacity,
        length: 0,
    };
    for value in values {
        row.push(value)?;
    }
    let kept = core::mem::ManuallyDrop::new(row);
    let old = Layout::array::<I::Item>(kept.capacity).ok()?;
    let new = Layout::array::<I::Item>(kept.length).ok()?;
    // SAFETY: the row's block; one that becomes shorter stays where it is.
    unsafe { region.resize(heap, kept.first.cast(), old, new)? };
    // SAFETY: so many are written, and nobody else has them.
    Some(unsafe { kept.values().as_mut() })
}
