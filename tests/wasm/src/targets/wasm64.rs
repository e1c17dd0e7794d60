//! wasm64-unknown-unknown: addresses of 64 bits.

use alligator_bound::report::Verdict;
use alligator_bound::{Options, analyze};
use anyhow::{Context, Result, anyhow, ensure};
use wasmtime::{Config, Engine, Instance, Memory, Module, Store, StoreLimits, StoreLimitsBuilder};

use super::Outcomes;
use super::program::Program;

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
    let mut config = Config::new();
    config.wasm_memory64(true);
    // The memory never moves: to move it would touch all of it.
    config.memory_reservation(64 << 30);
    let engine = Engine::new(&config)?;
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
}

impl Heap {
    fn new(module: &Module) -> Result<Self> {
        let limits = StoreLimitsBuilder::new().memory_size(BYTES_MAX).build();
        let mut store = Store::new(module.engine(), limits);
        store.limiter(|limit| limit);
        let instance = Instance::new(&mut store, module, &[])?;
        let memory = instance.get_memory(&mut store, "memory");
        let memory = memory.context("the module exports no memory")?;
        Ok(Self {
            store,
            instance,
            memory,
        })
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
