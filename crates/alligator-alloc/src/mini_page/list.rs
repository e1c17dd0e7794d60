//! A list of MiniPages, linked through their headers.

use crate::meta_page::HeaderId;
use crate::runs::Runs;
use crate::source::Source;

/// MiniPages of one class with slots given back, newest first. All zero: none.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct List {
    /// The newest, or none.
    pub(super) first: HeaderId,
}

impl List {
    pub(super) const EMPTY: Self = Self {
        first: HeaderId::NONE,
    };

    /// Makes the MiniPage `id` the only one.
    #[inline(always)]
    pub(super) fn set_only<S: Source>(&mut self, id: HeaderId, runs: &Runs<S>) {
        let header = runs.meta.header(id);
        header.next.set(HeaderId::NONE);
        header.previous.set(HeaderId::NONE);
        self.first = id;
    }

    /// Whether the MiniPage `id`, which is in the list, is the only one.
    #[inline(always)]
    pub(super) fn has_only<S: Source>(&self, id: HeaderId, runs: &Runs<S>) -> bool {
        self.first == id && !runs.meta.header(id).next.get().is_some()
    }

    /// Puts the MiniPage `id` before all others.
    #[inline(always)]
    pub(super) fn push<S: Source>(&mut self, id: HeaderId, runs: &Runs<S>) {
        let next = self.first;
        self.first = id;
        let header = runs.meta.header(id);
        header.next.set(next);
        header.previous.set(HeaderId::NONE);
        if next.is_some() {
            runs.meta.header(next).previous.set(id);
        }
    }

    /// Takes the first MiniPage out.
    #[inline(always)]
    pub(super) fn remove_first<S: Source>(&mut self, runs: &Runs<S>) {
        self.first = runs.meta.header(self.first).next.get();
        if self.first.is_some() {
            runs.meta.header(self.first).previous.set(HeaderId::NONE);
        }
    }

    /// Takes the MiniPage `id` out.
    #[inline(always)]
    pub(super) fn remove<S: Source>(&mut self, id: HeaderId, runs: &Runs<S>) {
        let header = runs.meta.header(id);
        let (next, previous) = (header.next.get(), header.previous.get());
        if next.is_some() {
            runs.meta.header(next).previous.set(previous);
        }
        if previous.is_some() {
            runs.meta.header(previous).next.set(next);
        } else {
            self.first = next;
        }
    }
}
