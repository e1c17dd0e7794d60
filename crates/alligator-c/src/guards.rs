//! Guards for C: those of `alligator-rt`, of which the functions are, with names for their numbers. In place of
//! `ALLIGATOR_GROW` and the others, Rust code has `alligator_rt::Guard`.

use core::mem;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use alligator_rt::{Event, on_event};

/// Guards are in liballigator-guards.a and liballigator-debug.a only. A policy for alligator_guard is kinds of events
/// times what becomes of them, or several of these joined by `|`: `(ALLIGATOR_GROW | ALLIGATOR_WAIT) * ALLIGATOR_TRAP |
/// ALLIGATOR_ALLOC * ALLIGATOR_COUNT`. The kinds: the memory is to grow.
pub const ALLIGATOR_GROW: u32 = 1;
/// A lock is held by another thread.
pub const ALLIGATOR_WAIT: u32 = 2;
/// realloc has moved a block, and copied it: that is known afterwards, and cannot be refused.
pub const ALLIGATOR_MOVE: u32 = 4;
/// A block is asked for.
pub const ALLIGATOR_ALLOC: u32 = 8;
/// A block is given back: that cannot be refused.
pub const ALLIGATOR_FREE: u32 = 16;
/// A block is to be resized.
pub const ALLIGATOR_REALLOC: u32 = 32;

/// What becomes of them: they are counted.
pub const ALLIGATOR_COUNT: u32 = 1;
/// Counted, and refused: the request gets NULL; growth is not asked of the host, and the heap goes on with what it has.
pub const ALLIGATOR_REFUSE: u32 = 0x101;
/// Counted, and the function of alligator_on_event is called.
pub const ALLIGATOR_CALL: u32 = 0x1_0001;
/// Counted, and the program stops: a trap, and a host can ask alligator_guard_last why.
pub const ALLIGATOR_TRAP: u32 = 0x100_0001;

/// The numbers of the kinds, where one is asked for or told.
pub const ALLIGATOR_KIND_GROW: u32 = 0;
/// Of ALLIGATOR_WAIT.
pub const ALLIGATOR_KIND_WAIT: u32 = 1;
/// Of ALLIGATOR_MOVE.
pub const ALLIGATOR_KIND_MOVE: u32 = 2;
/// Of ALLIGATOR_ALLOC.
pub const ALLIGATOR_KIND_ALLOC: u32 = 3;
/// Of ALLIGATOR_FREE.
pub const ALLIGATOR_KIND_FREE: u32 = 4;
/// Of ALLIGATOR_REALLOC.
pub const ALLIGATOR_KIND_REALLOC: u32 = 5;

/// Who is told of events: the kind's number, the block's size and alignment in bytes, and the pages of a growth.
type Hook = Option<extern "C" fn(kind: u32, size: usize, alignment: usize, pages: usize)>;

/// The [`Hook`], zero for none.
static HOOK: AtomicUsize = AtomicUsize::new(0);

/// Calls `hook` for each event under a guard with ALLIGATOR_CALL: the number of its kind, the block's size and
/// alignment in bytes, and the pages of a growth; 0 for what there is not. NULL calls nothing. The hook may use the
/// heap, and no guard looks at what it does. Of growth it is told when the heap is whole again. It is not called within
/// itself.
///
/// Time: constant.
#[unsafe(no_mangle)]
pub extern "C" fn alligator_on_event(
    hook: Option<extern "C" fn(kind: u32, size: usize, alignment: usize, pages: usize)>,
) {
    HOOK.store(hook.map_or(0, |hook| hook as usize), Relaxed);
    on_event(tell);
}

fn tell(event: &Event) {
    // SAFETY: `alligator_on_event` has made it of a Hook, of which zero is none.
    let hook = unsafe { mem::transmute::<usize, Hook>(HOOK.load(Relaxed)) };
    if let Some(hook) = hook {
        hook(event.kind as u32, event.size, event.align, event.pages);
    }
}
