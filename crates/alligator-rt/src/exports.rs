//! What a host calls, or reads, without Rust: the feature `exports`.
//!
//! Kinds have [`Kind`](crate::Kind)'s numbers.

use crate::event::{COUNTS, Kind, event_count, last_event};
use crate::guard::{enter_bits, leave_bits};

/// How often this kind of event has happened under a guard that looks at it; 0 for what is no kind.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_guard_count(kind: u32) -> u32 {
    Kind::from_number(kind).map_or(0, event_count)
}

/// The address of the counts of all kinds, 32 bits each, in their order: who has it reads them from the memory.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_guard_counts() -> *const u32 {
    COUNTS.as_ptr().cast()
}

/// A part of the last event: 0 its kind's number, 1 the size in bytes, 2 the alignment, 3 the pages, 4 the mark. The
/// greatest number if there was no event, and for another part. It can be called after a trap.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_guard_last(part: u32) -> usize {
    let Some(event) = last_event() else {
        return usize::MAX;
    };
    match part {
        0 => event.kind as usize,
        1 => event.size,
        2 => event.align,
        3 => event.pages,
        4 => event.mark as usize,
        _ => usize::MAX,
    }
}

/// Enters a guard ([`Guard::from_bits`](crate::Guard::from_bits)), and returns what has to be given to
/// [`alligator_unguard`] to leave it again. Guards are left in reverse order.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_guard(policy: u32) -> u64 {
    enter_bits(policy)
}

/// Leaves the guard that was entered last.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_unguard(before: u64) {
    leave_bits(before);
}
