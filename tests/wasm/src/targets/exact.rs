//! Null only where no run of the length can be had: each request is served with the fewest pages that hold its block, the
//! others and the table, and refused with one page less.

use anyhow::{Context, Result, ensure};
use wasmtime::Module;

use super::host::{BOUNDS, Heap, PAGE, engine};
use super::program::Program;
use super::{HEAPS, Outcomes, WASM};

pub(super) const GRANULE: usize = 1024;
const PAGES_ALL: usize = 65_536;
/// Pages around the least number that are tried, on both sides.
pub(super) const AROUND: usize = 3;

/// What is known of a heap's table: `docs/design.md`.
#[derive(Clone, Copy)]
pub(super) struct Table {
    /// Granules below it that nobody uses.
    guard: usize,
    /// Its bytes for no granule.
    front: usize,
    /// Its bytes for each granule.
    per_granule: usize,
    /// Whether it has a record for what follows the last granule of the address space.
    reaches_end: bool,
}

impl Table {
    /// That of a heap with addresses of 32 bits.
    fn of(heap: &str) -> Self {
        let is_small = heap == "small";
        Self {
            guard: usize::from(heap == "hardened"),
            front: if is_small { 0 } else { 1024 },
            per_granule: 24,
            reaches_end: !is_small,
        }
    }

    /// That of a heap with addresses of 64 bits, which are in a small heap's headers.
    pub(super) fn of_wide(heap: &str) -> Self {
        let per_granule = if heap == "small" { 40 } else { 24 };
        Self {
            per_granule,
            ..Self::of(heap)
        }
    }

    /// Granules that it takes if the heap has `granules`.
    fn granules(self, granules: usize) -> usize {
        self.guard + (self.front + (granules + 1) * self.per_granule).div_ceil(GRANULE)
    }

    /// Whether a run of `bytes` has room from the address `from` on, in a heap from `first` to `end`.
    fn has_room(self, first: usize, from: usize, bytes: usize, end: usize) -> bool {
        let needed = bytes.div_ceil(GRANULE) + self.granules((end - first) / GRANULE);
        end.saturating_sub(from) / GRANULE >= needed
    }

    /// The fewest pages of a memory with room for a run of `bytes` from `from` on.
    pub(super) fn least(self, first: usize, from: usize, bytes: usize) -> usize {
        let mut pages = from.div_ceil(PAGE);
        while !self.has_room(first, from, bytes, pages * PAGE) {
            pages += 1;
        }
        pages
    }
}

/// A test of the fewest pages.
type Test = fn(&Exact) -> Result<()>;

/// All of it, for each heap.
pub(super) fn run() -> Result<()> {
    let tests: [(&str, Test); 7] = [
        ("a first block", first_blocks),
        ("a block above others", above_others),
        ("a block in a long heap", long_heaps),
        ("a block that grows where it is", growing),
        ("a block above what the heap keeps", above_what_is_kept),
        ("a maximum of the module's own", declared),
        ("at 4 GiB", whole_address_space),
    ];
    let mut outcomes = Outcomes::default();
    for heap in HEAPS {
        let exact = Exact::build(heap)?;
        for (name, test) in tests {
            let mode = if heap.is_empty() { "default" } else { heap };
            outcomes.add(&format!("{mode}: {name}"), test(&exact));
        }
    }
    outcomes.finish()
}

/// How a block is asked for: whether there is one.
type Request<'a> = &'a dyn Fn(&mut Heap) -> Result<bool>;

/// A module, and what is known of its heap's table.
struct Exact {
    heap: &'static str,
    table: Table,
    module: Module,
}

impl Exact {
    fn build(heap: &'static str) -> Result<Self> {
        Ok(Self {
            heap,
            table: Table::of(heap),
            module: module(heap, &[])?,
        })
    }

    /// Makes a heap by `before` for each limit around the `least` that it says, and asks.
    fn try_around(
        &self,
        name: &str,
        before: &dyn Fn(&mut Heap) -> Result<usize>,
        request: Request<'_>,
    ) -> Result<()> {
        let mut heap = Heap::of(&self.module)?;
        let least = before(&mut heap)?;
        for pages in least.saturating_sub(AROUND)..=least + AROUND {
            let mut heap = Heap::of(&self.module)?;
            before(&mut heap)?;
            if pages < usize::try_from(heap.pages())? {
                continue; // It has more already.
            }
            heap.refuse_beyond(pages);
            let is_served = request(&mut heap)?;
            ensure!(
                is_served == (pages >= least),
                "{name}: with {pages} pages, and {least} are the least: served is {is_served}"
            );
            heap.check()?;
        }
        Ok(())
    }

    /// The fewest pages for a run of `bytes` above all blocks.
    fn least_above(&self, heap: &mut Heap, bytes: usize) -> Result<usize> {
        let first = first_granule(heap)?;
        let from = heap.blocks.iter().map(|block| block.at + block.size).max();
        let from = from.unwrap_or(first).next_multiple_of(GRANULE);
        Ok(self.table.least(first, from, bytes))
    }

    /// The fewest pages for the last block with `bytes`: where it is, or, in a small heap, as a copy above.
    fn least_for_last(&self, heap: &mut Heap, bytes: usize) -> Result<usize> {
        if self.heap == "small" {
            return self.least_above(heap, bytes);
        }
        let last = heap.blocks.last().context("no block")?.at;
        Ok(self.table.least(first_granule(heap)?, last, bytes))
    }
}

pub(super) fn module(heap: &str, args: &[&str]) -> Result<Module> {
    let program = Program::new("raw", WASM).features(&format!("check,{heap}"));
    let bytes = program.link(&BOUNDS).link(args).module()?;
    Ok(Module::new(&engine()?, bytes)?)
}

/// Where a heap over the initial memory begins.
pub(super) fn first_granule(heap: &mut Heap) -> Result<usize> {
    Ok(heap.initial()?.start.next_multiple_of(GRANULE))
}

/// Lengths on both sides of what fits into a page less or more.
fn lengths() -> impl Iterator<Item = usize> {
    let around = [1, 5, 40, 300, 2_000].map(|pages| pages * PAGE);
    let around = around.into_iter().flat_map(|bytes| {
        (0..70).map(move |granules| bytes + granules * GRANULE - (granules % 3) * 100)
    });
    [1_100, 30_000].into_iter().chain(around)
}

fn first_blocks(exact: &Exact) -> Result<()> {
    for size in lengths() {
        let before = |heap: &mut Heap| exact.least_above(heap, size);
        exact.try_around(&format!("{size} bytes"), &before, &|heap| {
            Ok(heap.take(size)?.is_some())
        })?;
    }
    for size in [100_000, 3_000_000] {
        let before = |heap: &mut Heap| exact.least_above(heap, size);
        exact.try_around(&format!("{size} bytes reserved"), &before, &|heap| {
            heap.reserve(u32::try_from(size)?)
        })?;
        exact.try_around(&format!("{size} bytes zeroed"), &before, &|heap| {
            Ok(heap.take_zeroed(size)?.is_some())
        })?;
    }
    // Wherever a run of this length begins, the aligned one is in it.
    let size = 200_000_usize;
    let before =
        |heap: &mut Heap| exact.least_above(heap, size.next_multiple_of(GRANULE) + 31 * GRANULE);
    exact.try_around("an aligned block", &before, &|heap| {
        Ok(heap.take_aligned(size, 32_768)?.is_some())
    })
}

fn above_others(exact: &Exact) -> Result<()> {
    for (below, size) in [
        (70_000, 70_000),
        (5 << 20, 300_000),
        (5 << 20, 9 << 20),
        (1_030, 3 << 20),
    ] {
        for more in 0..65 {
            let size = size + more * GRANULE;
            let before = |heap: &mut Heap| {
                heap.take(below)?.context("refused")?;
                exact.least_above(heap, size)
            };
            exact.try_around(&format!("{size} above {below} bytes"), &before, &|heap| {
                Ok(heap.take(size)?.is_some())
            })?;
        }
    }
    Ok(())
}

/// A heap grows by a 64th of itself at least, unless that is refused.
fn long_heaps(exact: &Exact) -> Result<()> {
    for size in [PAGE, 10 * PAGE, 40 * PAGE] {
        let before = |heap: &mut Heap| {
            heap.take(200 << 20)?.context("refused")?;
            let pages = heap.pages();
            while heap.pages() == pages {
                heap.take(PAGE)?.context("refused")?;
            }
            exact.least_above(heap, size)
        };
        exact.try_around(&format!("{size} bytes"), &before, &|heap| {
            Ok(heap.take(size)?.is_some())
        })?;
    }
    Ok(())
}

fn growing(exact: &Exact) -> Result<()> {
    for more in 0..65 {
        let (old, new) = (1 << 20, (2 << 20) + more * GRANULE);
        let before = |heap: &mut Heap| {
            heap.take(300_000)?.context("refused")?;
            heap.take(old)?.context("refused")?;
            exact.least_for_last(heap, new)
        };
        exact.try_around(&format!("{old} to {new} bytes"), &before, &|heap| {
            heap.resize(1, new)
        })?;
    }
    Ok(())
}

/// Slots that were given back, and that the heap keeps for the next request, are in nobody's way.
fn above_what_is_kept(exact: &Exact) -> Result<()> {
    for is_resized in [false, true] {
        let (old, new) = (600_000, 3_000_000);
        let before = |heap: &mut Heap| {
            heap.take(old)?.context("refused")?;
            for size in [20, 100, 500, 1_000] {
                heap.take(size)?.context("refused")?;
            }
            while heap.blocks.len() > 1 {
                heap.give_back(1)?;
            }
            if is_resized {
                exact.least_for_last(heap, new)
            } else {
                exact.least_above(heap, new)
            }
        };
        let name = if is_resized { "resized" } else { "a second" };
        exact.try_around(name, &before, &|heap| {
            if is_resized {
                heap.resize(0, new)
            } else {
                Ok(heap.take(new)?.is_some())
            }
        })?;
    }
    Ok(())
}

/// The limit is the module's, not the host's.
fn declared(exact: &Exact) -> Result<()> {
    for size in [1_000_000, 3 << 20] {
        let least = exact.least_above(&mut Heap::of(&exact.module)?, size)?;
        for pages in [least - 1, least] {
            let max = format!("--max-memory={}", pages * PAGE);
            let mut heap = Heap::of(&module(exact.heap, &[&max])?)?;
            let is_served = heap.take(size)?.is_some();
            ensure!(
                is_served == (pages == least),
                "{size} bytes, {pages} pages at most: served is {is_served}"
            );
            heap.check()?;
        }
    }
    Ok(())
}

/// 1.9 GiB, and as much beside it as there can be: in 4 GiB, in a page less, in memory that has all of it from the beginning.
fn whole_address_space(exact: &Exact) -> Result<()> {
    let long = 2_040 << 20; // So that no run beside it is longer than a block may be.
    let initial = module(exact.heap, &["--initial-memory=4294967296"])?;
    let page_less = module(exact.heap, &["--max-memory=4294901760"])?;
    let all = PAGES_ALL * PAGE;
    let ends = [
        (&exact.module, all),
        (&page_less, all - PAGE),
        (&initial, all - GRANULE),
    ];
    for (module, mut end) in ends {
        if !exact.table.reaches_end {
            end = end.min(all - GRANULE);
        }
        for is_too_long in [false, true] {
            let mut heap = Heap::of(module)?;
            let first = first_granule(&mut heap)?;
            heap.take(long)?.context("1.9 GiB are refused")?;
            heap.take(1_500 << 20)?
                .context("1.5 GiB beside 1.9 GiB are refused")?;
            heap.give_back(1)?;
            // The block may lie at either end; what is free below and above it is one run each.
            let at = heap.blocks[0].at;
            let from = (at + long).next_multiple_of(GRANULE);
            let mut above = (end - from) / GRANULE * GRANULE;
            while above > 0 && !exact.table.has_room(first, from, above, end) {
                above -= GRANULE;
            }
            let mut size = above.max(at - first);
            size += usize::from(is_too_long) * GRANULE;
            ensure!(
                heap.take(size)?.is_some() != is_too_long,
                "{size} bytes beside 1.9 GiB, to {end:#x}: too long is {is_too_long}"
            );
            heap.check()?;
            heap.give_back(0)?;
            ensure!(heap.take(long)?.is_some(), "1.9 GiB do not come back");
            heap.check()?;
        }
    }
    Ok(())
}
