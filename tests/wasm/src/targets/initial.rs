//! The initial memory: it is the heap's, all of it, from the first request on, and nothing above it is.

use core::ops::Range;

use anyhow::{Context, Result, ensure};

use super::code::without_growth;
use super::host::{BOUNDS, Heap, PAGE};
use super::program::Program;
use super::{WASM, on_each_heap};

/// What the host has written above the initial memory.
const OTHERS: u8 = 0x77;

/// All of it, for each heap.
pub(super) fn run() -> Result<()> {
    on_each_heap(&[
        ("no first request grows", first_requests),
        ("grown by the host first", grown_by_the_host_first),
        ("a first block that is too long for it", first_is_too_long),
        ("imported", imported),
        ("4 GiB imported", imported_whole_address_space),
        ("4 GiB from the beginning", initial_whole_address_space),
    ])
}

fn build(heap: &str, args: &[&str]) -> Result<Vec<u8>> {
    Program::new("raw", WASM)
        .features(&format!("check,{heap}"))
        .link(&BOUNDS)
        .link(args)
        .module()
}

/// Whether a block, if there is one, lies in `range`.
fn lies_in(block: Option<super::host::Block>, range: &Range<usize>) -> bool {
    block.is_some_and(|block| range.start <= block.at && block.at + block.size <= range.end)
}

/// A first request: whether it is served.
type Request<'a> = (&'a str, fn(&mut Heap) -> Result<bool>);

/// 64 pages, most of them free: no first request grows the memory, and most of them are given out before one does.
fn first_requests(heap: &str) -> Result<()> {
    let module = build(heap, &["--initial-memory=4194304"])?;
    let requests: [Request; 6] = [
        ("alloc of 24 bytes", |heap| Ok(heap.take(24)?.is_some())),
        ("alloc of 5,000 bytes", |heap| {
            Ok(heap.take(5_000)?.is_some())
        }),
        ("alloc of 2,000,000 bytes", |heap| {
            Ok(heap.take(2_000_000)?.is_some())
        }),
        ("alloc at a multiple of 64 KiB", |heap| {
            Ok(heap.take_aligned(100, 65_536)?.is_some())
        }),
        ("alloc_zeroed", |heap| {
            Ok(heap.take_zeroed(300_000)?.is_some())
        }),
        ("reserve", |heap| heap.reserve(1_000_000)),
    ];
    for (name, request) in requests {
        let outcome = request(&mut Heap::new(&without_growth(&module)?)?);
        let is_served = outcome.with_context(|| format!("{name} executes memory.grow"))?;
        ensure!(is_served, "{name} is refused");
        let mut heap = Heap::new(&module)?;
        let initial = heap.initial()?;
        request(&mut heap)?;
        while heap.pages() == 64 && heap.blocks.len() < 10_000 {
            heap.take(2_000)?
                .context("no block, though the memory may grow")?;
        }
        heap.blocks.retain(|block| block.at < initial.end);
        let used = heap.used();
        let free = initial.len();
        ensure!(
            used * 10 >= free * 9,
            "after {name}: {used} of {free} bytes of the initial memory are used"
        );
        heap.check()?;
    }
    Ok(())
}

/// The host grows the memory before the first request: the initial memory is used, and the host's pages are not.
fn grown_by_the_host_first(heap: &str) -> Result<()> {
    let module = build(heap, &["--initial-memory=4194304"])?;
    for pages in [1, 7] {
        let mut heap = Heap::new(&module)?;
        let initial = heap.initial()?;
        let others = heap.grow(pages, OTHERS)?;
        let others = others..heap.bytes();
        for _ in 0..1_400 {
            let block = heap.take(2_000)?;
            ensure!(
                lies_in(block, &initial),
                "{block:x?} is not in the initial memory {initial:x?}"
            );
        }
        ensure!(heap.asked() == 0, "free memory is left, and it grows");
        heap.take_all(5_000, 1_000)?;
        ensure!(heap.asked() > 0, "five megabytes are more than there were");
        untouched(&heap, others)?;
        // The same later: the host takes pages between two growths.
        let others = heap.grow(pages, OTHERS)?;
        let others = others..heap.bytes();
        heap.take_all(5_000, 500)?;
        heap.take(500_000)?.context("no block")?;
        untouched(&heap, others)?;
        heap.check()?;
    }
    Ok(())
}

/// The host grows the memory, and the first request finds no room in the initial part: that is used all the same.
fn first_is_too_long(heap: &str) -> Result<()> {
    let module = build(heap, &["--initial-memory=4194304"])?;
    for pages in [0, 1, 7] {
        let mut heap = Heap::new(&module)?;
        let initial = heap.initial()?;
        let others = heap.grow(pages, OTHERS)?;
        let others = others..heap.bytes();
        heap.take(5 << 20)?.context("five megabytes are refused")?;
        let grown = heap.pages();
        // Of all that is free, what lies in one page may stay so.
        while heap.pages() == grown {
            heap.take(2_000)?.context("no block")?;
        }
        heap.blocks.retain(|block| block.at < initial.end);
        let (used, free) = (heap.used(), initial.len());
        ensure!(
            used * 10 >= free * 9,
            "{pages} pages are the host's: {used} of {free} bytes of the initial memory are used"
        );
        untouched(&heap, others)?;
        heap.check()?;
    }
    Ok(())
}

/// The host makes the memory, larger than the module asks for, and keeps something above the module's end.
fn imported(heap: &str) -> Result<()> {
    let module = build(heap, &["--import-memory"])?;
    for (minimum, maximum) in [(17, 17), (18, 18), (40, 40), (40, 41), (40, 400)] {
        let mut heap = Heap::with_memory(&module, minimum, maximum)?;
        let initial = heap.initial()?;
        let others = initial.end..heap.bytes();
        heap.fill(others.clone(), OTHERS);
        let first = heap.take(500)?;
        ensure!(
            lies_in(first, &initial),
            "{minimum} of {maximum} pages: the first block is {first:x?}, not in {initial:x?}"
        );
        heap.take_all(500, 60_000)?;
        let used = heap.used();
        let pages = usize::try_from(maximum - minimum)?;
        let free = initial.len() + pages * PAGE;
        // A single page more has to hold the records, too.
        let enough = if pages == 1 { initial.len() } else { free } / 10 * 7;
        ensure!(
            used >= enough,
            "{minimum} of {maximum} pages: {used} of {free} bytes are used"
        );
        let has_grown = heap
            .blocks
            .iter()
            .any(|block| block.at >= minimum as usize * PAGE);
        ensure!(
            has_grown == (pages > 0),
            "{minimum} of {maximum} pages: no block is above those"
        );
        untouched(&heap, others)?;
        heap.check()?;
    }
    Ok(())
}

/// The host makes a memory of 4 GiB for a module that asks for less: its initial memory is used, and nothing else.
fn imported_whole_address_space(heap: &str) -> Result<()> {
    let module = build(heap, &["--import-memory"])?;
    let mut heap = Heap::with_memory(&module, 65_536, 65_536)?;
    let initial = heap.initial()?;
    let others = initial.end..initial.end + 16 * PAGE;
    let top = heap.bytes() - PAGE..heap.bytes();
    for range in [&others, &top] {
        heap.fill(range.clone(), OTHERS);
    }
    let count = heap.take_all(500, 100_000)?;
    ensure!(count > 0, "no block in the initial memory");
    for block in &heap.blocks {
        ensure!(
            lies_in(Some(*block), &initial),
            "{block:x?} is the host's, not of {initial:x?}"
        );
    }
    ensure!(heap.take(1 << 30)?.is_none(), "a block where none can be");
    untouched(&heap, others)?;
    untouched(&heap, top)?;
    heap.check()
}

/// The module asks for 4 GiB, and the heap gives them out.
fn initial_whole_address_space(heap: &str) -> Result<()> {
    let own = build(heap, &["--initial-memory=4294967296"])?;
    let imported = build(heap, &["--initial-memory=4294967296", "--import-memory"])?;
    for mut heap in [
        Heap::new(&own)?,
        Heap::with_memory(&imported, 65_536, 65_536)?,
    ] {
        for size in [24, 700, 40_000] {
            ensure!(heap.take(size)?.is_some(), "{size} bytes are refused");
        }
        let count = heap.take_all(16 << 20, 256)?;
        ensure!(count >= 240, "{count} blocks of 16 MiB, of 256");
        // Up to the last page, and no further.
        let rest = heap.take_all(500_000, 1000)?;
        ensure!(rest > 10, "the last megabytes are not used");
        heap.take_all(2_000, 100_000)?;
        let (used, free) = (heap.used(), heap.initial()?.len());
        ensure!(used >= free / 100 * 96, "{used} of {free} bytes are used");
        heap.check()?;
        while !heap.blocks.is_empty() {
            heap.give_back(heap.blocks.len() / 2)?;
        }
        ensure!(
            heap.take(1_900 << 20)?.is_some(),
            "1,900 MiB of 4 GiB are refused"
        );
        heap.check()?;
    }
    Ok(())
}

/// Nothing, if what the host has written is there.
fn untouched(heap: &Heap, others: Range<usize>) -> Result<()> {
    let bytes = heap.data(others.clone());
    let changed = bytes.iter().filter(|&&byte| byte != OTHERS).count();
    ensure!(
        changed == 0,
        "{changed} of the host's bytes at {others:x?} have changed"
    );
    Ok(())
}
