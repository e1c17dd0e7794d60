//! A scope for each round of a loop: a frame of a game, a quantum of audio.

use core::alloc::GlobalAlloc;
use core::ops::Deref;

use super::{Level, Scope};

/// Memory for one frame after the other, with a part that stays reserved: a frame that needs no more than that calls the
/// heap not at all.
///
/// ```
/// use alligator_rt::Frames;
/// use std::alloc::System;
///
/// let mut frames = Frames::new(&System, 16 << 10).expect("memory");
/// for frame_number in 0..60_u32 {
///     let frame = frames.begin();
///     let numbers = frame.collect(0..frame_number).expect("memory");
///     assert_eq!(numbers.len(), frame_number as usize);
/// } // The frame is dropped here, and its memory free.
/// ```
#[derive(Debug)]
pub struct Frames<'h, A: GlobalAlloc + ?Sized> {
    scope: Scope<'h, A>,
}

impl<'h, A: GlobalAlloc + ?Sized> Frames<'h, A> {
    /// Frames that have `bytes` of `heap` reserved; `None` if it has no such block. A frame that needs more gets more.
    /// *Time:* constant, the heap's apart.
    pub fn new(heap: &'h A, bytes: usize) -> Option<Self> {
        Self::with_limit(heap, bytes, usize::MAX)
    }

    /// The same, where no frame gets more than `limit` bytes of the heap.
    pub fn with_limit(heap: &'h A, bytes: usize, limit: usize) -> Option<Self> {
        let scope = Scope::with_limit(heap, limit);
        scope.reserve(bytes).then_some(Self { scope })
    }

    /// The next frame.
    pub fn begin(&mut self) -> Frame<'_, 'h, A> {
        Frame(self)
    }
}

/// A frame: a [`Scope`] that goes back to where [`Frames`] were when it is dropped, in constant time, the heap's for each
/// chunk that it has taken beyond the reserved one apart.
#[derive(Debug)]
pub struct Frame<'f, 'h, A: GlobalAlloc + ?Sized>(&'f mut Frames<'h, A>);

impl<A: GlobalAlloc + ?Sized> Frame<'_, '_, A> {
    /// The frame as a level: see [`Scope::enter`].
    pub fn enter(&mut self) -> Level<'_, A> {
        self.0.scope.enter()
    }
}

impl<'h, A: GlobalAlloc + ?Sized> Deref for Frame<'_, 'h, A> {
    type Target = Scope<'h, A>;

    fn deref(&self) -> &Scope<'h, A> {
        &self.0.scope
    }
}

impl<A: GlobalAlloc + ?Sized> Drop for Frame<'_, '_, A> {
    #[inline]
    fn drop(&mut self) {
        self.0.scope.restart();
    }
}
