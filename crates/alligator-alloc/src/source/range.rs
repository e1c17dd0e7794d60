//! What a source answers, as a heap can use it: whole granules, in order, below the end of the address space.

use core::ops::Range;

use super::Source;
use crate::units::{GRANULE_BYTES, PAGE_BYTES, PAGE_SHIFT, granule_floor};

/// No memory lies below this address.
const ADDRESS_MIN: usize = 1024;

/// How often one request may grow the memory: again only if another thread has grown it at the same moment, so that
/// what was added is not where it was expected.
pub(crate) const GROWTHS_MAX: usize = if cfg!(all(single_thread, not(target_feature = "atomics"))) {
    1
} else {
    4
};

/// Where the whole granules in the `spare` memory start and end; both `end` if there are none.
#[inline(always)]
pub(crate) fn whole_granules<S: Source>(spare: Range<usize>, end: usize) -> (usize, usize) {
    if S::IS_TRUSTED {
        return (spare.start, spare.end);
    }
    let after = granule_floor(spare.end);
    match spare.start.max(ADDRESS_MIN).checked_add(GRANULE_BYTES - 1) {
        Some(start) if granule_floor(start) < after => (granule_floor(start), after),
        _ => (granule_floor(end), granule_floor(end)),
    }
}

/// The addresses of the first of `pages` that a source has given at `new`, and after the last: 0 for 4 GiB.
/// `None` if they are out of order: not at a page, below `lowest`, or around the end of the address space.
#[inline(always)]
pub(crate) fn new_range<S: Source>(
    new: usize,
    pages: usize,
    lowest: usize,
) -> Option<(usize, usize)> {
    if !S::IS_TRUSTED {
        let is_in_order = new >= lowest.max(ADDRESS_MIN) && new % PAGE_BYTES == 0;
        let last = new.checked_add((pages << PAGE_SHIFT) - 1);
        if !is_in_order || last.is_none() {
            return None;
        }
    }
    Some((new, new.wrapping_add(pages << PAGE_SHIFT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that is not trusted, and never asked.
    struct Unasked;

    // SAFETY: it gives nothing.
    unsafe impl Source for Unasked {
        fn spare(&mut self) -> Range<usize> {
            0..0
        }

        fn end(&self) -> usize {
            0
        }

        fn grow(&mut self, _pages: usize) -> Option<usize> {
            None
        }

        fn pointer(&self, _address: usize) -> *mut u8 {
            core::ptr::null_mut()
        }
    }

    const LAST_PAGE: usize = usize::MAX - (PAGE_BYTES - 1);

    fn pages_at(new: usize, pages: usize, lowest: usize) -> Option<(usize, usize)> {
        new_range::<Unasked>(new, pages, lowest)
    }

    fn granules_in(spare: Range<usize>, end: usize) -> (usize, usize) {
        whole_granules::<Unasked>(spare, end)
    }

    #[test]
    fn the_last_page_of_the_address_space_ends_at_0() {
        assert_eq!(pages_at(LAST_PAGE, 1, PAGE_BYTES), Some((LAST_PAGE, 0)));
    }

    #[test]
    fn pages_around_the_end_of_the_address_space_are_none() {
        assert_eq!(pages_at(LAST_PAGE, 2, PAGE_BYTES), None);
    }

    #[test]
    fn pages_below_the_lowest_address_at_0_or_unaligned_are_none() {
        assert_eq!(pages_at(PAGE_BYTES, 1, 2 * PAGE_BYTES), None);
        assert_eq!(pages_at(0, 1, 0), None);
        assert_eq!(pages_at(PAGE_BYTES + GRANULE_BYTES, 1, 0), None);
    }

    #[test]
    fn a_spare_range_up_to_the_end_of_the_address_space_ends_before_its_last_granule() {
        let end = granule_floor(usize::MAX);
        assert_eq!(granules_in(LAST_PAGE..usize::MAX, 0), (LAST_PAGE, end));
    }

    #[test]
    fn a_spare_range_without_a_whole_granule_starts_and_ends_at_the_memorys_end() {
        let end = 8 * PAGE_BYTES;
        for spare in [
            0..0,
            Range {
                start: PAGE_BYTES,
                end: 0,
            },
            5_000..5_000 + GRANULE_BYTES,
            0..ADDRESS_MIN,
            usize::MAX..usize::MAX,
            usize::MAX - 100..usize::MAX,
        ] {
            assert_eq!(granules_in(spare.clone(), end), (end, end), "{spare:?}");
        }
    }

    #[test]
    fn the_first_kibibyte_is_in_no_range() {
        assert!(granules_in(0..PAGE_BYTES, PAGE_BYTES).0 >= ADDRESS_MIN);
    }
}
