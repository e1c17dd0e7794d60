//! What blocks contain: bytes that follow from a seed, so that damage, and a shifted copy, are seen.

/// Blocks up to this size are filled all over.
const FILLED_BYTES_MAX: usize = 1 << 20;

/// Blocks up to this size are compared byte by byte.
const COMPARED_BYTES_MAX: usize = if cfg!(miri) { 64 } else { 2048 };

/// In blocks up to this size each byte is looked at that should be zero.
const ZEROS_SEEN_MAX: usize = if cfg!(miri) { 64 } else { 4 << 20 };

/// The byte at `at` of a block filled from `seed`.
pub(crate) fn byte(seed: u8, at: usize) -> u8 {
    seed ^ (at % 251).to_le_bytes()[0]
}

/// The offsets at which contents are written and compared: all in small blocks, some in large ones, the
/// first 64 and the last 8 always. Of a block of a gibibyte only some pages are touched.
fn sample(bytes: usize) -> impl Iterator<Item = usize> {
    let step = match bytes {
        _ if bytes <= COMPARED_BYTES_MAX => 1,
        0..=65_536 => 31,
        // Odd, so that all places in a page get their turn.
        _ => (bytes / 4096).max(1021) | 1,
    };
    let edge = if step == 1 { 0 } else { bytes.min(64) };
    (0..edge)
        .chain((0..bytes).step_by(step))
        .chain(bytes.saturating_sub(8)..bytes)
}

/// Fills `bytes` bytes from `first` on.
///
/// # Safety
///
/// They are writable, and nobody refers to them.
pub(crate) unsafe fn write(first: *mut u8, bytes: usize, seed: u8) {
    if bytes <= FILLED_BYTES_MAX {
        // SAFETY: the caller's duty.
        unsafe { first.write_bytes(seed, bytes) };
    }
    for at in sample(bytes) {
        // SAFETY: the caller's duty; `at` is below `bytes`.
        let place = unsafe { first.add(at) };
        // SAFETY: as above.
        unsafe { place.write(byte(seed, at)) };
    }
}

/// The first offset below `kept` at which a block is not what [`write()`] made of its `bytes` bytes.
///
/// # Safety
///
/// `first` is readable for `kept` bytes, and what `write` wrote was meant to be there.
pub(crate) unsafe fn damage(
    first: *const u8,
    bytes: usize,
    kept: usize,
    seed: u8,
) -> Option<usize> {
    sample(bytes).filter(|&at| at < kept).find(|&at| {
        // SAFETY: the caller's duty; `at` is below `kept`.
        let place = unsafe { first.add(at) };
        // SAFETY: as above. Volatile, so that nothing that was known of the byte before counts.
        unsafe { place.read_volatile() != byte(seed, at) }
    })
}

/// The first offset at which `bytes` bytes are not zero; of more than 4 MiB only some in every page count.
///
/// # Safety
///
/// `first` is readable for `bytes` bytes.
pub(crate) unsafe fn first_not_zero(first: *const u8, bytes: usize) -> Option<usize> {
    let step = if bytes <= ZEROS_SEEN_MAX { 1 } else { 1021 };
    let last = bytes.saturating_sub(8)..bytes;
    (0..bytes).step_by(step).chain(last).find(|&at| {
        // SAFETY: the caller's duty; `at` is below `bytes`.
        let place = unsafe { first.add(at) };
        // SAFETY: as above.
        unsafe { place.read() != 0 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `SIZE` bytes, the offsets where a change is noticed.
    fn noticed<const SIZE: usize>() -> usize {
        let mut block = [0; SIZE];
        // SAFETY: the array has so many bytes.
        unsafe { write(block.as_mut_ptr(), SIZE, 7) };
        (0..SIZE)
            .filter(|&at| {
                block[at] ^= 0x80;
                // SAFETY: as above.
                let found = unsafe { damage(block.as_ptr(), SIZE, SIZE, 7) };
                block[at] ^= 0x80;
                found == Some(at)
            })
            .count()
    }

    #[test]
    fn a_change_anywhere_in_a_small_block_is_noticed() {
        assert_eq!(noticed::<1>(), 1);
        assert_eq!(noticed::<64>(), 64);
    }

    #[test]
    fn a_change_at_the_ends_of_a_large_block_is_noticed() {
        let found = noticed::<3000>();
        assert!(found >= 64 + 8 + 90, "{found}");
    }

    #[test]
    fn one_byte_that_is_not_zero_is_found() {
        let mut block = [0; 300];
        for at in 0..300 {
            block[at] = 1;
            // SAFETY: the array has so many bytes.
            assert_eq!(unsafe { first_not_zero(block.as_ptr(), 300) }, Some(at));
            block[at] = 0;
        }
        // SAFETY: as above.
        assert_eq!(unsafe { first_not_zero(block.as_ptr(), 300) }, None);
    }
}
