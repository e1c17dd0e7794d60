//! Instructions per operation and memory: a trace run from the host.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use wasmtime::{Engine, Module};

use crate::check::{LiveRanges, mark, verify, verify_zero};
use crate::ops::{Block, Op, Trace};
use crate::probe::{Call, Probe};
use crate::ratio;

/// Bytes of a Wasm page.
pub const PAGE_BYTES: u64 = 65_536;

/// Alignment of a block that is there to bring memory in.
const RESERVE_ALIGN: u32 = 8;

/// Moments of a trace at which the heap is looked at.
const MOMENTS: usize = 120;

/// A call, and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Request {
    /// Instructions, those of the exported function and its call included.
    pub fuel: u64,
    /// Place in the trace, from 0.
    pub operation: usize,
    /// Bytes of the block: asked for, given back, or before it is resized.
    pub size: u32,
    /// Bytes asked of a resize; 0 of other calls.
    pub new_size: u32,
    /// As asked for.
    pub align: u32,
    /// Whether it had to be zero.
    pub zeroed: bool,
}

/// Some calls of one kind.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Calls {
    /// How many.
    pub count: u64,
    /// Instructions of all; copies and fills count as one each, whatever their length.
    pub fuel: u64,
    /// The dearest; none if there was no call.
    pub worst: Option<Request>,
}

impl Calls {
    fn add(&mut self, request: Request) {
        self.count += 1;
        self.fuel += request.fuel;
        if self.worst.is_none_or(|worst| request.fuel > worst.fuel) {
            self.worst = Some(request);
        }
    }

    /// Instructions of the dearest call, 0 without one.
    pub fn worst_fuel(&self) -> u64 {
        self.worst.map_or(0, |worst| worst.fuel)
    }
}

/// The calls of one kind, those that grew the heap apart: growth is the host's time.
///
/// The first call of an instance counts among these, with every allocator and whatever it does:
/// that is when an allocator sets itself up, and takes what is left of the initial memory, which
/// is growth that the memory's size does not show.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Operation {
    /// Those that found memory.
    pub steady: Calls,
    /// Those that grew it, and the first.
    pub growing: Calls,
}

/// The heap at one moment of a trace.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Moment {
    /// Place in the trace.
    pub operation: usize,
    /// Bytes requested and not given back.
    pub live_bytes: u64,
    /// Pages added to the module's initial memory.
    pub grown_pages: u64,
}

/// What one allocator needed for one trace.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Figures {
    /// alloc and `alloc_zeroed`, the fill apart.
    pub alloc: Operation,
    /// All of them.
    pub dealloc: Operation,
    /// The copy apart.
    pub realloc: Operation,
    /// Bytes of contents that resizes moved to another address.
    pub moved_bytes: u64,
    /// Pages added to the module's initial memory.
    pub grown_pages: u64,
    /// Pages added, and those of the initial memory from the lowest block on.
    pub heap_pages: u64,
    /// The most bytes requested and not given back at one time.
    pub peak_live_bytes: u64,
    /// At evenly spaced moments.
    pub timeline: Vec<Moment>,
}

impl Figures {
    /// Allocations, frees, resizes.
    pub fn operations(&self) -> [&Operation; 3] {
        [&self.alloc, &self.dealloc, &self.realloc]
    }

    /// Calls of every kind.
    pub fn calls(&self) -> u64 {
        let counts = self
            .operations()
            .map(|one| one.steady.count + one.growing.count);
        counts.iter().sum()
    }

    /// Instructions of all calls, copies and fills apart.
    pub fn fuel(&self) -> u64 {
        let sums = self
            .operations()
            .map(|one| one.steady.fuel + one.growing.fuel);
        sums.iter().sum()
    }

    /// Instructions of a call, on average.
    pub fn mean_fuel(&self) -> f64 {
        ratio(self.fuel(), self.calls())
    }

    /// Bytes of memory added per byte live at the peak.
    pub fn footprint(&self) -> f64 {
        ratio(self.grown_pages * PAGE_BYTES, self.peak_live_bytes)
    }
}

/// Runs `trace` on a fresh instance. Pages count as added beyond `initial_pages`, the memory of a
/// module without an allocator, so that an allocator's static data is its own.
///
/// # Errors
/// The guest traps or the allocator breaks its contract; says at which operation.
pub fn run(engine: &Engine, module: &Module, trace: &Trace, initial_pages: u64) -> Result<Figures> {
    run_within(engine, module, trace, initial_pages, u64::MAX)
}

/// The same, but gives up after `fuel_max` instructions.
///
/// # Errors
/// As for `run`; or the instructions are used up.
pub fn run_within(
    engine: &Engine,
    module: &Module,
    trace: &Trace,
    initial_pages: u64,
    fuel_max: u64,
) -> Result<Figures> {
    let probe = Probe::new(engine, module)?;
    let mut run = Run::new(probe, initial_pages, fuel_max)?;
    for (index, &op) in trace.ops.iter().enumerate() {
        run.step(index, op)?;
        if index.is_multiple_of(every(trace.ops.len())) {
            run.look(index);
        }
    }
    Ok(run.finish(trace.ops.len()))
}

/// At which operations of so many the heap is looked at: each that is a multiple.
pub fn every(operations: usize) -> usize {
    operations.div_ceil(MOMENTS).max(1)
}

/// The address and layout of a live block.
#[derive(Clone, Copy, Debug)]
struct Live {
    ptr: u32,
    block: Block,
}

/// A heap that runs: one operation after the other, each counted and checked.
#[derive(Debug)]
pub struct Run {
    probe: Probe,
    live: Vec<Option<Live>>,
    ranges: LiveRanges,
    live_bytes: u64,
    lowest_ptr: u32,
    initial_pages: u64,
    /// Place in the trace.
    operation: usize,
    /// Whether the next call is the first.
    is_first: bool,
    fuel: u64,
    fuel_max: u64,
    figures: Figures,
}

impl Run {
    /// On a fresh instance, of which so many pages are no allocator's. It gives up after `fuel_max` instructions.
    ///
    /// # Errors
    /// The engine does not count.
    pub fn new(mut probe: Probe, initial_pages: u64, fuel_max: u64) -> Result<Self> {
        // A call that does not end at all is stopped in its middle; any other one after its end.
        probe.limit(fuel_max.saturating_mul(2))?;
        Ok(Self {
            probe,
            live: Vec::new(),
            ranges: LiveRanges::default(),
            live_bytes: 0,
            lowest_ptr: u32::MAX,
            initial_pages,
            operation: 0,
            is_first: true,
            fuel: 0,
            fuel_max,
            figures: Figures::default(),
        })
    }

    /// Brings memory in before the first operation, which then is like all others: by a block of so many bytes, which
    /// is given back. Any allocator can do that.
    ///
    /// # Errors
    /// The module traps, or has no memory.
    pub fn reserve(&mut self, bytes: u32) -> Result<()> {
        let block = self.probe.alloc(bytes, RESERVE_ALIGN)?.result;
        ensure!(block != 0, "no memory to reserve {bytes} bytes");
        self.probe.dealloc(block, bytes, RESERVE_ALIGN)?;
        self.is_first = false;
        Ok(())
    }

    /// Does what the trace has at a place.
    ///
    /// # Errors
    /// The module traps, the allocator breaks its contract, or the instructions are used up; says at which operation.
    pub fn step(&mut self, place: usize, op: Op) -> Result<()> {
        self.operation = place;
        let done = match op {
            Op::Alloc {
                id,
                size,
                align,
                zeroed,
            } => self.alloc(id, Block { size, align }, zeroed),
            Op::Dealloc { id } => self.dealloc(id),
            Op::Realloc { id, size } => self.realloc(id, size),
        };
        done.with_context(|| format!("operation {place}, {op:?}"))?;
        self.is_first = false;
        ensure!(
            self.fuel <= self.fuel_max,
            "given up at operation {place}: more than {} instructions",
            self.fuel_max
        );
        Ok(())
    }

    /// Instructions so far.
    pub fn fuel(&self) -> u64 {
        self.fuel
    }

    /// Bytes requested and not given back.
    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// The blocks that are live.
    pub fn ranges(&self) -> &LiveRanges {
        &self.ranges
    }

    /// The address of a live block.
    pub fn address(&self, id: u32) -> Option<u32> {
        Some(self.live.get(id as usize)?.as_ref()?.ptr)
    }

    /// Size of the memory, in pages.
    pub fn pages(&self) -> u64 {
        self.probe.pages()
    }

    fn alloc(&mut self, id: u32, block: Block, zeroed: bool) -> Result<()> {
        let call = if zeroed {
            self.probe.alloc_zeroed(block.size, block.align)?
        } else {
            self.probe.alloc(block.size, block.align)?
        };
        let request = Request {
            zeroed,
            ..self.request(&call, block)
        };
        let grew = self.grew_heap(&call);
        part(&mut self.figures.alloc, grew).add(request);
        self.own(id, call.result, block)?;
        if zeroed {
            verify_zero(self.probe.bytes(), call.result, block.size)?;
        }
        mark(self.probe.bytes(), call.result, block.size, pattern(id));
        Ok(())
    }

    fn dealloc(&mut self, id: u32) -> Result<()> {
        let Live { ptr, block } = self.disown(id)?;
        verify(self.probe.bytes(), ptr, block.size, pattern(id))?;
        let call = self.probe.dealloc(ptr, block.size, block.align)?;
        let request = self.request(&call, block);
        let grew = self.grew_heap(&call);
        part(&mut self.figures.dealloc, grew).add(request);
        Ok(())
    }

    fn realloc(&mut self, id: u32, new: u32) -> Result<()> {
        let Live { ptr, block } = self.disown(id)?;
        verify(self.probe.bytes(), ptr, block.size, pattern(id))?;
        let kept = block.size.min(new);
        mark(self.probe.bytes(), ptr, kept, pattern(id));
        let call = self.probe.realloc(ptr, block.size, block.align, new)?;
        let request = Request {
            new_size: new,
            ..self.request(&call, block)
        };
        let grew = self.grew_heap(&call);
        part(&mut self.figures.realloc, grew).add(request);
        if call.result != ptr {
            self.figures.moved_bytes += u64::from(kept);
        }
        let resized = Block {
            size: new,
            align: block.align,
        };
        self.own(id, call.result, resized)?;
        verify(self.probe.bytes(), call.result, kept, pattern(id))?;
        mark(self.probe.bytes(), call.result, new, pattern(id));
        Ok(())
    }

    fn own(&mut self, id: u32, ptr: u32, block: Block) -> Result<()> {
        let memory_bytes = self.probe.bytes().len();
        self.ranges.insert(ptr, block, memory_bytes)?;
        let place = id as usize;
        if place >= self.live.len() {
            self.live.resize(place + 1, None);
        }
        self.live[place] = Some(Live { ptr, block });
        self.live_bytes += u64::from(block.size);
        self.figures.peak_live_bytes = self.figures.peak_live_bytes.max(self.live_bytes);
        self.lowest_ptr = self.lowest_ptr.min(ptr);
        Ok(())
    }

    fn disown(&mut self, id: u32) -> Result<Live> {
        let live = self.live.get_mut(id as usize).and_then(Option::take);
        let live = live.context("not live")?;
        self.ranges.remove(live.ptr);
        self.live_bytes -= u64::from(live.block.size);
        Ok(live)
    }

    /// What a call with this block is remembered as.
    fn request<R>(&mut self, call: &Call<R>, block: Block) -> Request {
        self.fuel += call.fuel;
        Request {
            fuel: call.fuel,
            operation: self.operation,
            size: block.size,
            new_size: 0,
            align: block.align,
            zeroed: false,
        }
    }

    /// True of a call that grew memory, and of the first one.
    fn grew_heap<R>(&self, call: &Call<R>) -> bool {
        self.is_first || call.grown_pages > 0
    }

    /// Notes the heap as it is, for the time line.
    pub fn look(&mut self, operation: usize) {
        let moment = Moment {
            operation,
            live_bytes: self.live_bytes,
            grown_pages: self.grown_pages(),
        };
        self.figures.timeline.push(moment);
    }

    /// Pages added so far.
    pub fn grown_pages(&self) -> u64 {
        self.probe.pages().saturating_sub(self.initial_pages)
    }

    /// What it took, after so many operations.
    pub fn finish(mut self, operations: usize) -> Figures {
        self.look(operations);
        let pages = self.probe.pages();
        let first_page = u64::from(self.lowest_ptr) / PAGE_BYTES;
        Figures {
            grown_pages: self.grown_pages(),
            heap_pages: pages - first_page.min(self.initial_pages),
            ..self.figures
        }
    }
}

/// Where a call counts.
fn part(operation: &mut Operation, grew: bool) -> &mut Calls {
    if grew {
        &mut operation.growing
    } else {
        &mut operation.steady
    }
}

/// A byte that neighbours do not share.
fn pattern(id: u32) -> u8 {
    id.wrapping_mul(0x9E37_79B1).to_le_bytes()[3]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Recorder;
    use alligator_meter::counting_engine;

    /// An allocator that only goes forward in the initial memory. `op_realloc` never ends.
    const BUMP: &str = r#"(module
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 1024))
        (func $alloc (export "op_alloc") (param $size i32) (param i32) (result i32)
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (local.get $size))))
        (func (export "op_alloc_zeroed") (param $size i32) (param $align i32) (result i32)
            (call $alloc (local.get $size) (local.get $align)))
        (func (export "op_dealloc") (param i32 i32 i32))
        (func (export "op_realloc") (param i32 i32 i32 i32) (result i32)
            (loop (br 0)) (unreachable))
        (func (export "box24")))"#;

    fn figures(write: impl FnOnce(&mut Recorder)) -> Result<Figures> {
        let engine = counting_engine()?;
        let module = Module::new(&engine, wat::parse_str(BUMP)?)?;
        let mut recorder = Recorder::default();
        write(&mut recorder);
        run_within(&engine, &module, &recorder.finish("test"), 1, 1_000)
    }

    #[test]
    fn the_first_call_is_apart_though_memory_stays_as_it_is() -> Result<()> {
        let figures = figures(|heap| {
            for _ in 0..3 {
                heap.alloc(24);
            }
        })?;
        assert_eq!(figures.grown_pages, 0);
        assert_eq!(
            [figures.alloc.growing.count, figures.alloc.steady.count],
            [1, 2]
        );
        assert_eq!(
            [figures.dealloc.growing.count, figures.dealloc.steady.count],
            [0, 3]
        );
        Ok(())
    }

    #[test]
    fn a_call_that_does_not_end_is_ended() {
        let figures = figures(|heap| {
            let block = heap.alloc(24);
            heap.realloc(block, 48);
        });
        assert!(figures.is_err());
    }
}
