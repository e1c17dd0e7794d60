//! A contract that keeps offers: texts of any length, each in a block of its own, made, changed and withdrawn in any
//! order. No call has a loop, so that each has a price that does not depend on what was called before.
#![no_std]

extern crate alloc;

use alloc::alloc::{alloc, dealloc, realloc};
use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ptr;

use alligator_alloc::{AlligatorAlloc, Growth, WasmMemory};

/// The memory grows in `init`, and never afterwards: then a call is refused instead.
struct Fixed;

impl Growth for Fixed {
    const ON_DEMAND: bool = false;
    const HAS_HOOK: bool = false;
}

#[global_allocator]
static ALLOCATOR: AlligatorAlloc<WasmMemory<Fixed>> = AlligatorAlloc::new();

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Offers at a time.
const OFFERS: usize = 4096;

/// Bytes of the longest text.
const TEXT_BYTES_MAX: usize = 4096;

/// An offer, or no offer: then the text is null and `next` the number of the next free place, one too many.
#[derive(Clone, Copy)]
struct Offer {
    text: *mut u8,
    bytes: u32,
    next: u32,
}

#[repr(C)] // The input comes first.
struct State {
    input: [u8; TEXT_BYTES_MAX],
    offers: [Offer; OFFERS],
    /// The first free place below `used`, one too many; 0 if there is none.
    free: u32,
    /// Places that were ever in use.
    used: u32,
}

struct Single(UnsafeCell<State>);

// SAFETY: the module's memory is not shared.
unsafe impl Sync for Single {}

static STATE: Single = Single(UnsafeCell::new(State {
    input: [0; TEXT_BYTES_MAX],
    offers: [Offer {
        text: ptr::null_mut(),
        bytes: 0,
        next: 0,
    }; OFFERS],
    free: 0,
    used: 0,
}));

#[expect(clippy::mut_from_ref, reason = "one export at a time calls it, once")]
fn state() -> &'static mut State {
    // SAFETY: the host calls one export at a time, and each calls this once.
    unsafe { &mut *STATE.0.get() }
}

/// A layout of so many bytes, at least one, at most `TEXT_BYTES_MAX`.
fn layout(bytes: u32) -> Layout {
    // SAFETY: the size is far below the greatest, and one is a power of two.
    unsafe { Layout::from_size_align_unchecked(bytes.max(1) as usize, 1) }
}

/// Brings all the memory in that there will ever be. 1 if the host gives it.
#[unsafe(no_mangle)]
pub extern "C" fn init(bytes: usize) -> u32 {
    u32::from(ALLOCATOR.reserve(bytes))
}

/// Where the host writes a text before it makes or changes an offer.
#[unsafe(no_mangle)]
pub extern "C" fn input() -> *mut u8 {
    STATE.0.get().cast()
}

/// Makes an offer of the first `bytes` bytes of the input. Its number; -1 if the text is too long or there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn make(bytes: u32) -> i32 {
    let state = state();
    if bytes as usize > TEXT_BYTES_MAX {
        return -1;
    }
    let place = if state.free != 0 {
        state.free - 1
    } else {
        state.used
    };
    let Some(offer) = state.offers.get_mut(place as usize) else {
        return -1;
    };
    // SAFETY: not of zero bytes.
    let text = unsafe { alloc(layout(bytes)) };
    if text.is_null() {
        return -1;
    }
    // SAFETY: both have so many bytes, and a new block is apart from the input.
    unsafe { ptr::copy_nonoverlapping(state.input.as_ptr(), text, bytes as usize) };
    if state.free == 0 {
        state.used += 1;
    } else {
        state.free = offer.next;
    }
    *offer = Offer {
        text,
        bytes,
        next: 0,
    };
    place.cast_signed()
}

/// Changes an offer to the first `bytes` bytes of the input. 1 if it is done.
#[unsafe(no_mangle)]
pub extern "C" fn change(number: u32, bytes: u32) -> u32 {
    let state = state();
    let Some(offer) = state.offers.get_mut(number as usize) else {
        return 0;
    };
    if offer.text.is_null() || bytes as usize > TEXT_BYTES_MAX {
        return 0;
    }
    let size = layout(bytes).size();
    // SAFETY: the offer's block, of this layout; the size is not zero.
    let text = unsafe { realloc(offer.text, layout(offer.bytes), size) };
    if text.is_null() {
        return 0;
    }
    // SAFETY: both have so many bytes, and the block is apart from the input.
    unsafe { ptr::copy_nonoverlapping(state.input.as_ptr(), text, bytes as usize) };
    offer.text = text;
    offer.bytes = bytes;
    1
}

/// Withdraws an offer. 1 if there was one.
#[unsafe(no_mangle)]
pub extern "C" fn withdraw(number: u32) -> u32 {
    let state = state();
    let Some(offer) = state.offers.get_mut(number as usize) else {
        return 0;
    };
    if offer.text.is_null() {
        return 0;
    }
    // SAFETY: the offer's block, of this layout.
    unsafe { dealloc(offer.text, layout(offer.bytes)) };
    *offer = Offer {
        text: ptr::null_mut(),
        bytes: 0,
        next: state.free,
    };
    state.free = number + 1;
    1
}

/// Where an offer's text is; null if there is no such offer.
#[unsafe(no_mangle)]
pub extern "C" fn text(number: u32) -> *const u8 {
    let offer = state().offers.get(number as usize);
    offer.map_or(ptr::null(), |offer| offer.text)
}
