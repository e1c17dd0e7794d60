//! Which memory is in a block: one bit for every eight bytes. Two blocks over one another are found when the
//! second one is made, whatever they contain. No two blocks of this heap share eight bytes.

use core::ops::Range;

const CELL_BYTES: usize = 8;

/// The bits.
#[derive(Debug)]
pub(crate) struct Shadow {
    start: usize,
    words: Vec<u64>,
}

impl Shadow {
    /// For the memory at `range`, which starts at a multiple of eight bytes.
    pub(crate) fn new(range: &Range<usize>) -> Self {
        Self {
            start: range.start,
            words: vec![0; range.len().div_ceil(CELL_BYTES * 64)],
        }
    }

    /// Notes the block at `address`; false if a part of it is in a block already, or outside the memory.
    #[inline(always)]
    pub(crate) fn take(&mut self, address: usize, bytes: usize) -> bool {
        self.each_word(address, bytes, |word, mask| {
            let is_free = *word & mask == 0;
            *word |= mask;
            is_free
        })
    }

    /// Notes that the block at `address` is gone.
    #[inline(always)]
    pub(crate) fn give_back(&mut self, address: usize, bytes: usize) {
        self.each_word(address, bytes, |word, mask| {
            *word &= !mask;
            true
        });
    }

    /// Calls `visit` with each word that has bits of the block, and these bits, as long as it returns true.
    #[inline(always)]
    fn each_word(
        &mut self,
        address: usize,
        bytes: usize,
        mut visit: impl FnMut(&mut u64, u64) -> bool,
    ) -> bool {
        let Some(offset) = address.checked_sub(self.start) else {
            return false;
        };
        let (first, last) = (offset / CELL_BYTES, (offset + bytes - 1) / CELL_BYTES);
        let Some(words) = self.words.get_mut(first / 64..=last / 64) else {
            return false;
        };
        let count = words.len();
        words.iter_mut().enumerate().all(|(index, word)| {
            let low = if index == 0 { first % 64 } else { 0 };
            let high = if index + 1 == count { last % 64 } else { 63 };
            visit(word, (u64::MAX >> (63 - high)) & (u64::MAX << low))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_over_one_another_are_found_wherever_they_are() {
        for (address, bytes) in [
            (1000, 1),
            (1000, 100),
            (1504, 8),
            (1016, 5_000),
            (1, 10_000),
        ] {
            for (other, other_bytes) in [(1000, 512), (1504, 1), (1200, 4_000)] {
                let mut shadow = Shadow::new(&(0..20_000));
                assert!(shadow.take(address, bytes));
                let is_apart = other >= (address + bytes).next_multiple_of(8)
                    || address >= (other + other_bytes).next_multiple_of(8);
                assert_eq!(shadow.take(other, other_bytes), is_apart);
            }
        }
    }

    #[test]
    fn a_place_given_back_serves_again() {
        let mut shadow = Shadow::new(&(4096..8192));
        assert!(shadow.take(4096, 4096));
        assert!(!shadow.take(8184, 8));
        shadow.give_back(4096, 4096);
        assert!(shadow.take(8184, 8));
    }

    #[test]
    fn what_is_outside_is_refused() {
        let mut shadow = Shadow::new(&(4096..8192));
        assert!(!shadow.take(4088, 8));
        assert!(!shadow.take(8192, 8));
        assert!(!shadow.take(8000, 1000));
    }
}
