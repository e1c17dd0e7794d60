//! Where the memory has an end: null, without a call to the host if the heap itself refuses, and the heap goes on.

use anyhow::{Result, ensure};

use super::code::without_growth;
use super::host::{Heap, PAGE};
use super::program::Program;
use super::{WASM, on_each_heap};

/// The pages of the feature `limited`.
const LIMIT: u64 = 24;

/// All of it, for each heap.
pub(super) fn run() -> Result<()> {
    on_each_heap(&[
        ("PAGES_MAX", limited),
        (
            "PAGES_MAX, and there are more",
            limited_below_the_initial_memory,
        ),
        ("ON_DEMAND is false", reserve_only),
        ("the host refuses", refused_by_the_host),
        ("at its maximum", fixed),
    ])
}

fn build(heap: &str, feature: &str, args: &[&str]) -> Result<Vec<u8>> {
    Program::new("raw", WASM)
        .features(&format!("check,{heap},{feature}"))
        .link(args)
        .module()
}

/// Requests that the heap cannot serve: each is null, and none executes `memory.grow` unless it may.
fn refuse(heap: &mut Heap, may_ask: bool) -> Result<()> {
    let (asked, pages) = (heap.asked(), heap.pages());
    for size in [70_000, 1 << 20, 100 << 20, 1 << 30, (1 << 31) - 8] {
        ensure!(heap.take(size)?.is_none(), "{size} bytes are there");
        ensure!(
            heap.take_zeroed(size)?.is_none(),
            "{size} zeroed bytes are there"
        );
        if !heap.blocks.is_empty() {
            ensure!(!heap.resize(0, size)?, "a block has grown to {size} bytes");
        }
    }
    ensure!(
        heap.take_aligned(8, 1 << 28)?.is_none(),
        "a block at a multiple of 256 MiB"
    );
    ensure!(heap.pages() == pages, "the memory has grown");
    ensure!(
        may_ask || heap.asked() == asked,
        "{} refused requests execute memory.grow",
        heap.asked() - asked
    );
    heap.check()
}

/// Gives half of the blocks back, and takes as many of the same size.
fn go_on(heap: &mut Heap, size: usize) -> Result<()> {
    let half = heap.blocks.len() / 2;
    for turn in 0..half {
        heap.give_back(turn * 7 % heap.blocks.len())?;
    }
    let again = heap.take_all(size, half)?;
    ensure!(
        again == half,
        "{again} of {half} blocks of {size} bytes come back"
    );
    heap.check()
}

/// `PAGES_MAX` is reached.
fn limited(heap: &str) -> Result<()> {
    let mut heap = Heap::new(&build(heap, "limited", &[])?)?;
    let asked_max = u32::try_from(LIMIT - heap.pages())?;
    let count = heap.take_all(1_000, 10_000)?;
    ensure!(count > 300, "{count} blocks in {LIMIT} pages");
    ensure!(heap.pages() == LIMIT, "{} of {LIMIT} pages", heap.pages());
    ensure!(
        heap.asked() <= asked_max,
        "{} growths to {LIMIT} pages",
        heap.asked()
    );
    let asked = heap.asked();
    ensure!(heap.take(1_000)?.is_none() && heap.take(30_000)?.is_none());
    ensure!(heap.asked() == asked, "a refusal executes memory.grow");
    refuse(&mut heap, false)?;
    ensure!(
        !heap.reserve(1 << 20)?,
        "a megabyte is reserved past the limit"
    );
    ensure!(heap.asked() == asked, "a refusal executes memory.grow");
    go_on(&mut heap, 1_000)
}

/// The memory has more than `PAGES_MAX` from the beginning, or others have grown it so far.
fn limited_below_the_initial_memory(features: &str) -> Result<()> {
    let module = build(features, "limited", &["--initial-memory=2097152"])?;
    let mut heap = Heap::new(&without_growth(&module)?)?;
    let count = heap.take_all(1_000, 10_000)?;
    ensure!(count > 700, "{count} blocks in the 15 free of 32 pages");
    refuse(&mut heap, false)?;
    go_on(&mut heap, 1_000)?;
    let mut heap = Heap::new(&build(features, "limited", &[])?)?;
    ensure!(heap.take(100)?.is_some(), "the initial memory is free");
    heap.grow(40, 0)?;
    refuse(&mut heap, false)
}

/// `ON_DEMAND` is false.
fn reserve_only(heap: &str) -> Result<()> {
    let module = build(heap, "reserve-only", &[])?;
    let mut never = Heap::new(&without_growth(&module)?)?;
    never.take_all(300, 1_000)?;
    refuse(&mut never, false)?;
    let mut heap = Heap::new(&module)?;
    ensure!(heap.take(24)?.is_some(), "the initial memory is free");
    ensure!(heap.asked() == 0, "the first request grows the memory");
    heap.take_all(1_000, 10_000)?;
    ensure!(heap.asked() == 0, "a request grows the memory");
    refuse(&mut heap, false)?;
    go_on(&mut heap, 24)?;
    ensure!(
        heap.reserve(2 << 20)?,
        "two megabytes are not to be had by `reserve`"
    );
    let asked = heap.asked();
    ensure!(
        heap.take(2 << 20)?.is_some(),
        "what was reserved is not there"
    );
    heap.take_all(1_000, 10_000)?;
    ensure!(heap.asked() == asked, "a request grows the memory");
    heap.check()
}

/// The host refuses, for a while.
fn refused_by_the_host(heap: &str) -> Result<()> {
    let mut heap = Heap::new(&build(heap, "", &[])?)?;
    heap.refuse_beyond(40);
    let count = heap.take_all(3_000, 10_000)?;
    ensure!(count > 300, "{count} blocks in 40 pages");
    ensure!(
        heap.pages() >= 39,
        "{} of 40 pages are in use",
        heap.pages()
    );
    refuse(&mut heap, true)?;
    go_on(&mut heap, 3_000)?;
    heap.refuse_beyond(65_536);
    ensure!(
        heap.take(1 << 20)?.is_some(),
        "null, though the host has memory again"
    );
    ensure!(heap.pages() <= 40 + 20, "{} pages", heap.pages());
    heap.check()
}

/// The memory is at its maximum from the beginning.
fn fixed(heap: &str) -> Result<()> {
    let args = ["--initial-memory=1310720", "--max-memory=1310720"];
    let mut heap = Heap::new(&build(heap, "", &args)?)?;
    let count = heap.take_all(1_000, 10_000)?;
    ensure!(
        count * 1_000 > 2 * PAGE,
        "{count} blocks in three free pages"
    );
    refuse(&mut heap, true)?;
    go_on(&mut heap, 1_000)
}
