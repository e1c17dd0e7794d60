//! wasm64-unknown-unknown: addresses of 64 bits.

use alligator_bound::report::Verdict;
use alligator_bound::{Options, analyze};
use anyhow::{Context, Result, anyhow, ensure};
use wasmtime::{Config, Engine, Instance, Memory, Module, Store, StoreLimits, StoreLimitsBuilder};

use super::exact::{AROUND, GRANULE, Table};
use super::host::{BOUNDS, PAGE};
use super::program::Program;
use super::{HEAPS, Outcomes};

pub(super) const TARGET: &str = "wasm64-unknown-unknown";

const GIB: u64 = 1 << 30;

/// What the memory may have: room for two of the blocks that are asked for here.
const BYTES_MAX: usize = 16 << 30;

fn program(level: &'static str) -> Program {
    Program::new("raw", TARGET).nightly("core").level(level)
}

/// Each operation has a bound, at each level.
pub(super) fn bounds() -> Result<()> {
    let mut outcomes = Outcomes::default();
    for level in ["3", "s", "z"] {
        let outcome = program(level)
            .module()
            .and_then(|module| is_bounded(&module));
        outcomes.add(&format!("opt-level {level}"), outcome);
    }
    outcomes.finish()
}

fn is_bounded(module: &[u8]) -> Result<()> {
    let entries = ["alloc", "dealloc", "realloc", "alloc_zeroed"];
    let options = Options {
        entries: entries.map(str::to_owned).to_vec(),
        ..Options::default()
    };
    let report = analyze(module, &options).map_err(|error| anyhow!("{error}"))?;
    for entry in &report.entries {
        let bound = entry
            .without_growth
            .as_ref()
            .and_then(|figure| figure.bound);
        println!("  {}: {bound:?} without growth", entry.name);
    }
    let obstacles = report.entries.iter().flat_map(|entry| &entry.obstacles);
    let reasons: Vec<_> = obstacles
        .map(|obstacle| format!("{}: {}", obstacle.function, obstacle.reason))
        .collect();
    ensure!(
        report.verdict() == Verdict::Bounded,
        "an operation has no bound: {reasons:?}"
    );
    Ok(())
}

/// The library for C compiles.
pub(super) fn c_library() -> Result<()> {
    Program::new("c-library", TARGET)
        .nightly("core")
        .file()
        .map(drop)
}

/// Blocks of more than 4 GiB, and requests that no memory can serve, in each heap.
pub(super) fn run() -> Result<()> {
    let engine = engine()?;
    let mut outcomes = Outcomes::default();
    for (heap, level) in [("", "s"), ("", "3"), ("small", "s"), ("hardened", "s")] {
        let module = program(level).features(heap).module();
        // A small heap copies where others resize in place: five gibibytes, here.
        let shrinks = heap != "small";
        let outcome = module.and_then(|module| run_one(&Module::new(&engine, module)?, shrinks));
        outcomes.add(&format!("{heap:?}, opt-level {level}"), outcome);
    }
    outcomes.finish()
}

fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.wasm_memory64(true);
    // The memory never moves: to move it would touch all of it.
    config.memory_reservation(64 << 30);
    Ok(Engine::new(&config)?)
}

/// As "the fewest pages" on 32 bits: below and above 4 GiB, and across it.
pub(super) fn exact() -> Result<()> {
    let engine = engine()?;
    let mut outcomes = Outcomes::default();
    for heap in HEAPS {
        let outcome = checked_module(&engine, heap).and_then(|module| fewest_pages(&module, heap));
        let name = if heap.is_empty() { "default" } else { heap };
        outcomes.add(name, outcome);
    }
    outcomes.finish()
}

/// A module that can check its heap, and says where that begins.
fn checked_module(engine: &Engine, heap: &str) -> Result<Module> {
    let program = program("s").features(&format!("check,{heap}"));
    Ok(Module::new(engine, program.link(&BOUNDS).module()?)?)
}

fn fewest_pages(module: &Module, heap: &str) -> Result<()> {
    let table = Table::of_wide(heap);
    let page = PAGE as u64;
    // Near 4 GiB, each heap has a long table to fill.
    for (below, sizes) in [
        (0, around(&[1, 40, 2_000], 65)),
        (5 << 20, around(&[5, 300], 65)),
        (4 * GIB - 110 * page, around(&[1, 30], 2)),
        (4 * GIB - 1_500 * page, around(&[20_000], 1)),
        (5 * GIB, around(&[40], 2)),
    ] {
        for size in sizes {
            let least = {
                let (heap, from) = above(module, below)?;
                let first = heap.first_granule;
                table.least(first, from, usize::try_from(size)?)
            };
            for pages in least - AROUND..=least + AROUND {
                let (mut heap, _) = above(module, below)?;
                if pages < heap.pages()? {
                    continue; // It has more already.
                }
                heap.refuse_beyond(pages);
                let is_served = heap.alloc(size)?.is_some();
                ensure!(
                    is_served == (pages >= least),
                    "{size} above {below} bytes: with {pages} pages, and {least} are the least: served is {is_served}"
                );
                ensure!(below >= GIB || heap.is_sound()?, "the records are wrong");
            }
        }
    }
    Ok(())
}

/// So many pages each, and some granules more.
fn around(pages: &[u64], granules: u64) -> Vec<u64> {
    let sizes = pages.iter().flat_map(|pages| {
        (0..granules).map(move |more| pages * PAGE as u64 + more * GRANULE as u64 - more % 3 * 100)
    });
    sizes.collect()
}

/// A heap with one block of `below` bytes, if they are not zero, and where nothing is any more.
fn above(module: &Module, below: u64) -> Result<(Heap, usize)> {
    let mut heap = Heap::new(module)?;
    let mut from = heap.first_granule;
    if below != 0 {
        let at = heap.alloc(below)?.context("the first block is refused")?;
        from = usize::try_from(at + below)?.next_multiple_of(GRANULE);
    }
    Ok((heap, from))
}

/// Memory that the host takes, below and above 4 GiB, stays as it is.
pub(super) fn others() -> Result<()> {
    let engine = engine()?;
    let mut outcomes = Outcomes::default();
    for heap in HEAPS {
        let outcome = checked_module(&engine, heap).and_then(|module| between_others(&module));
        let name = if heap.is_empty() { "default" } else { heap };
        outcomes.add(name, outcome);
    }
    outcomes.finish()
}

fn between_others(module: &Module) -> Result<()> {
    let mut heap = Heap::new(module)?;
    let mut theirs = Vec::new();
    let mut blocks = Vec::new();
    for (turn, size) in [100, 300_000, 4 * GIB, 5_000_000, 70_000, 3_000_000]
        .into_iter()
        .enumerate()
    {
        let mark = u8::try_from(turn)? + 1;
        theirs.push((heap.grow(3, mark)?, mark));
        let at = heap
            .alloc(size)?
            .with_context(|| format!("{size} bytes are refused"))?;
        heap.write_ends(at, size, mark + 100)?;
        blocks.push((at, size, mark + 100));
    }
    ensure!(
        theirs.last().is_some_and(|&(at, _)| at > 4 * GIB),
        "no page of others lies above 4 GiB"
    );
    for is_given_back in [false, true] {
        for &(at, mark) in &theirs {
            let bytes = heap.data(at, 3 * PAGE as u64)?;
            ensure!(
                bytes.iter().all(|&byte| byte == mark),
                "others' pages at {at:#x} have changed"
            );
        }
        for &(at, size, mark) in &blocks {
            if !is_given_back {
                heap.check_ends(at, size, mark)?;
                heap.dealloc(at, size)?;
            }
        }
        ensure!(heap.is_sound()?, "the records are wrong");
    }
    Ok(())
}

fn run_one(module: &Module, shrinks: bool) -> Result<()> {
    let mut heap = Heap::new(module)?;
    let first = heap.alloc(24)?.context("24 bytes are refused")?;
    let long = heap.alloc(5 * GIB)?.context("5 GiB are refused")?;
    let second = heap.alloc(24)?.context("24 bytes are refused")?;
    for at in [first, second] {
        ensure!(at + 24 <= long || at >= long + 5 * GIB, "blocks overlap");
    }
    heap.write_ends(long, 5 * GIB, 7)?;
    for size in [1 << 62, (1 << 63) - 8, 12 * GIB] {
        ensure!(heap.alloc(size)?.is_none(), "{size:#x} bytes are there");
    }
    heap.check_ends(long, 5 * GIB, 7)?;
    if shrinks {
        let shorter = heap.realloc(long, 5 * GIB, 4 * GIB + 100)?;
        ensure!(
            shorter == Some(long),
            "a shorter block is elsewhere: {shorter:x?}"
        );
        heap.dealloc(long, 4 * GIB + 100)?;
    } else {
        heap.dealloc(long, 5 * GIB)?;
    }
    let longer = heap.alloc(6 * GIB)?.context("6 GiB are refused")?;
    heap.write_ends(longer, 6 * GIB, 8)?;
    heap.dealloc(longer, 6 * GIB)?;
    let zeroed = heap
        .alloc_zeroed(1_000_000)?
        .context("a megabyte is refused")?;
    let bytes = heap.data(zeroed, 1_000_000)?;
    ensure!(
        bytes.iter().all(|&byte| byte == 0),
        "zeroed bytes are not zero"
    );
    // Above 4 GiB as below.
    let mut blocks = Vec::new();
    blocks.push((heap.alloc(4 * GIB)?.context("4 GiB are refused")?, 4 * GIB));
    for turn in 0..2_000 {
        let size = 1 + turn * 7_919 % 100_000;
        let at = heap
            .alloc(size)?
            .with_context(|| format!("{size} bytes are refused"))?;
        heap.write_ends(at, size, turn.to_le_bytes()[0])?;
        blocks.push((at, size));
    }
    for (turn, &(at, size)) in (0_u64..).zip(&blocks[1..]) {
        heap.check_ends(at, size, turn.to_le_bytes()[0])?;
    }
    for (at, size) in blocks {
        heap.dealloc(at, size)?;
    }
    Ok(())
}

/// An instance of `guests/targets/raw` with addresses of 64 bits.
struct Heap {
    store: Store<StoreLimits>,
    instance: Instance,
    memory: Memory,
    /// Where a heap over the initial memory begins; 0 if the module does not say.
    first_granule: usize,
}

impl Heap {
    fn new(module: &Module) -> Result<Self> {
        let limits = StoreLimitsBuilder::new().memory_size(BYTES_MAX).build();
        let mut store = Store::new(module.engine(), limits);
        store.limiter(|limit| limit);
        let instance = Instance::new(&mut store, module, &[])?;
        let memory = instance.get_memory(&mut store, "memory");
        let memory = memory.context("the module exports no memory")?;
        let base = instance.get_global(&mut store, "__heap_base");
        let base = base.and_then(|global| global.get(&mut store).i64());
        let first_granule = usize::try_from(base.unwrap_or(0))?.next_multiple_of(GRANULE);
        Ok(Self {
            store,
            instance,
            memory,
            first_granule,
        })
    }

    /// Pages that the memory has.
    fn pages(&self) -> Result<usize> {
        Ok(usize::try_from(self.memory.size(&self.store))?)
    }

    /// Refuses growth beyond so many pages from now on.
    fn refuse_beyond(&mut self, pages: usize) {
        let limits = StoreLimitsBuilder::new().memory_size(pages * PAGE);
        *self.store.data_mut() = limits.build();
    }

    /// Grows the memory as JavaScript does, and fills the new pages with `mark`. Returns where they begin.
    fn grow(&mut self, pages: u64, mark: u8) -> Result<u64> {
        let from = self.memory.grow(&mut self.store, pages)? * PAGE as u64;
        let bytes = &mut self.memory.data_mut(&mut self.store)[usize::try_from(from)?..];
        bytes.fill(mark);
        Ok(from)
    }

    /// Whether the heap's records agree with each other.
    fn is_sound(&mut self) -> Result<bool> {
        let sound = self
            .instance
            .get_typed_func::<(), u32>(&mut self.store, "sound")?;
        Ok(sound.call(&mut self.store, ())? != 0)
    }

    fn alloc(&mut self, size: u64) -> Result<Option<u64>> {
        self.allocate("alloc", size)
    }

    fn alloc_zeroed(&mut self, size: u64) -> Result<Option<u64>> {
        self.allocate("alloc_zeroed", size)
    }

    fn allocate(&mut self, name: &str, size: u64) -> Result<Option<u64>> {
        let alloc = self
            .instance
            .get_typed_func::<(u64, u64), u64>(&mut self.store, name)?;
        let at = alloc.call(&mut self.store, (size, 8))?;
        Ok((at != 0).then_some(at))
    }

    fn realloc(&mut self, at: u64, size: u64, new_size: u64) -> Result<Option<u64>> {
        let realloc = self
            .instance
            .get_typed_func::<(u64, u64, u64, u64), u64>(&mut self.store, "realloc")?;
        let at = realloc.call(&mut self.store, (at, size, 8, new_size))?;
        Ok((at != 0).then_some(at))
    }

    fn dealloc(&mut self, at: u64, size: u64) -> Result<()> {
        let dealloc = self
            .instance
            .get_typed_func::<(u64, u64, u64), ()>(&mut self.store, "dealloc")?;
        Ok(dealloc.call(&mut self.store, (at, size, 8))?)
    }

    fn data(&self, at: u64, size: u64) -> Result<&[u8]> {
        let range = usize::try_from(at)?..usize::try_from(at + size)?;
        let bytes = self.memory.data(&self.store).get(range);
        bytes.context("a block past the memory's end")
    }

    /// Writes the first and the last byte of a block.
    fn write_ends(&mut self, at: u64, size: u64, mark: u8) -> Result<()> {
        for at in [at, at + size - 1] {
            self.memory
                .write(&mut self.store, usize::try_from(at)?, &[mark])?;
        }
        Ok(())
    }

    fn check_ends(&self, at: u64, size: u64, mark: u8) -> Result<()> {
        let bytes = self.data(at, size)?;
        ensure!(
            bytes.first() == Some(&mark) && bytes.last() == Some(&mark),
            "the block of {size} bytes at {at:#x} has changed"
        );
        Ok(())
    }
}
