//! What blocks contain: words that follow from a number and their place. Short blocks are written and compared
//! all over, of longer ones the first and the last bytes are.

/// Blocks of up to so many bytes are short.
const SHORT_BYTES: usize = 256;
/// Of longer ones, so many bytes at each end.
const EDGE_BYTES: usize = 64;
const WORD_BYTES: usize = 8;

fn word(fill: u64, at: usize) -> u64 {
    (fill ^ at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Calls `visit` with the offset and the length of each word of a block.
#[inline(always)]
fn each_word(bytes: usize, mut visit: impl FnMut(usize, usize) -> bool) -> bool {
    let mut at = 0;
    while at < bytes {
        if !visit(at, WORD_BYTES.min(bytes - at)) {
            return false;
        }
        at += WORD_BYTES;
        if bytes > SHORT_BYTES && at == EDGE_BYTES {
            // The last word is a whole one.
            at = bytes - EDGE_BYTES;
        }
    }
    true
}

/// Writes `bytes` bytes from `first` on.
///
/// # Safety
///
/// They are writable, and nobody refers to them.
#[inline(always)]
pub(crate) unsafe fn write(first: *mut u8, bytes: usize, fill: u64) {
    each_word(bytes, |at, length| {
        let word = word(fill, at).to_le_bytes();
        // SAFETY: `length` bytes from `at` on are below `bytes`: the caller's duty.
        let place = unsafe { first.add(at) };
        if length == WORD_BYTES {
            // SAFETY: as above.
            unsafe { place.cast::<[u8; WORD_BYTES]>().write(word) };
        } else {
            // SAFETY: as above.
            unsafe { place.copy_from_nonoverlapping(word.as_ptr(), length) };
        }
        true
    });
}

/// Whether the first `kept` bytes are still as [`write()`] wrote them into a block of `bytes`.
///
/// # Safety
///
/// `first` is readable for `kept` bytes, and all that `write` would write there is initialised.
#[inline(always)]
pub(crate) unsafe fn is_intact(first: *const u8, bytes: usize, kept: usize, fill: u64) -> bool {
    each_word(bytes, |at, length| {
        let length = length.min(kept.saturating_sub(at));
        let word = word(fill, at).to_le_bytes();
        if length < WORD_BYTES {
            let mut found = [0; WORD_BYTES];
            if length > 0 {
                // SAFETY: `length` bytes from `at` on are below `kept`: the caller's duty.
                let place = unsafe { first.add(at) };
                // SAFETY: as above.
                unsafe { place.copy_to_nonoverlapping(found.as_mut_ptr(), length) };
            }
            return found[..length] == word[..length];
        }
        // SAFETY: as above.
        let place = unsafe { first.add(at) };
        // SAFETY: as above.
        let found = unsafe { place.cast::<[u8; WORD_BYTES]>().read() };
        found == word
    })
}

/// Whether `bytes` bytes are zero.
///
/// # Safety
///
/// `first` is readable for `bytes` bytes, which are initialised.
pub(crate) unsafe fn is_zero(first: *const u8, bytes: usize) -> bool {
    // SAFETY: the caller's duty.
    let block = unsafe { core::slice::from_raw_parts(first, bytes) };
    block.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes_noticed(bytes: usize) -> usize {
        let mut block = vec![0; bytes];
        // SAFETY: the vector has so many bytes.
        unsafe { write(block.as_mut_ptr(), bytes, 3) };
        let mut noticed = 0;
        for at in 0..bytes {
            block[at] ^= 0x10;
            // SAFETY: as above.
            noticed += usize::from(unsafe { !is_intact(block.as_ptr(), bytes, bytes, 3) });
            block[at] ^= 0x10;
        }
        // SAFETY: as above.
        assert!(unsafe { is_intact(block.as_ptr(), bytes, bytes, 3) });
        noticed
    }

    #[test]
    fn every_changed_byte_of_a_short_block_is_noticed() {
        for bytes in [1, 7, 8, 9, 64, 65, 200, 255, 256] {
            assert_eq!(changes_noticed(bytes), bytes);
        }
    }

    #[test]
    fn every_changed_byte_at_the_ends_of_a_long_block_is_noticed() {
        for bytes in [257, 1000, 5003] {
            assert_eq!(changes_noticed(bytes), 2 * EDGE_BYTES, "{bytes}");
        }
    }

    #[test]
    fn what_was_not_kept_is_not_asked_for() {
        let mut block = [0; 100];
        // SAFETY: the array has so many bytes.
        unsafe { write(block.as_mut_ptr(), 100, 9) };
        block[50..].fill(0);
        // SAFETY: as above.
        assert!(unsafe { is_intact(block.as_ptr(), 100, 50, 9) });
        // SAFETY: as above.
        assert!(!unsafe { is_intact(block.as_ptr(), 100, 51, 9) });
    }
}
