//! What a host or C calls, or reads, without Rust: the feature `exports`. Policies are
//! [`Guard::from_bits`](crate::Guard::from_bits)'s, kinds [`Kind`](crate::Kind)'s numbers.
//!
//! The documentation of the functions is also the C header's, which has names for the numbers (crates/alligator-c).

use crate::event::{COUNTS, Kind, event_count, last_event};
use crate::guard::{enter_bits, leave_bits};

/// Enters a guard: until `alligator_unguard`, the kinds of events in `policy` are looked at, besides those that outer
/// guards look at. Where threads share the memory, it holds for all of them, unless each has its own.
///
/// Returns what `alligator_unguard` needs to leave the guard again. Guards are left in reverse order.
///
/// Time: constant.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_guard(policy: u32) -> u64 {
    enter_bits(policy)
}

/// Leaves the guard that was entered last: `alligator_guard` has returned `before`.
///
/// Time: constant.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_unguard(before: u64) {
    leave_bits(before);
}

/// How often events of this kind, by its number, have happened under a guard that looks at it, modulo 2 to the 32nd.
/// 0 for what is no kind.
///
/// Time: constant.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_guard_count(kind: u32) -> u32 {
    Kind::from_number(kind).map_or(0, event_count)
}

/// The address of the counts of all kinds, in their order, 32 bits each: JavaScript reads them from the memory without
/// a call.
///
/// Time: constant.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_guard_counts() -> *const u32 {
    COUNTS.as_ptr().cast()
}

/// A part of the last event that a guard has counted: 0 its kind's number, 1 the size in bytes, 2 the alignment, 3
/// the pages of a growth, 4 the mark. A host can ask this after a guard has stopped the program, too.
///
/// Returns the greatest number if there was no event, and for another part.
///
/// Time: constant.
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
