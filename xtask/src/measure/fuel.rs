//! Instructions per operation and memory: a trace run from the host.

use anyhow::{Context, Result};
use wasmtime::{Engine, Module};

use super::check::{LiveRanges, mark, verify, verify_zero};
use super::probe::{Call, Probe};
use super::trace::{Block, Op, Trace};

/// Bytes of a Wasm page.
pub(crate) const PAGE_BYTES: u64 = 65_536;

/// The dearest call of one kind, in instructions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Worst {
    /// Among the calls that did not grow memory.
    pub(crate) steady: u64,
    /// Among those that did; 0 if none.
    pub(crate) growing: u64,
}

/// What one allocator needed for one trace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) calls: u64,
    /// Instructions of all calls, copies and fills apart.
    pub(crate) fuel: u64,
    /// alloc and `alloc_zeroed`, the fill apart.
    pub(crate) worst_alloc: Worst,
    pub(crate) worst_dealloc: Worst,
    /// The copy apart.
    pub(crate) worst_realloc: Worst,
    /// Calls that grew memory.
    pub(crate) growths: u64,
    /// Pages added to the module's initial memory.
    pub(crate) grown_pages: u64,
    /// Pages added, and those of the initial memory from the lowest block on.
    pub(crate) heap_pages: u64,
    pub(crate) peak_live_bytes: u64,
}

impl Figures {
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn mean_fuel(&self) -> f64 {
        self.fuel as f64 / self.calls as f64
    }

    /// Bytes of memory added per byte live at the peak.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn footprint(&self) -> f64 {
        (self.grown_pages * PAGE_BYTES) as f64 / self.peak_live_bytes as f64
    }
}

/// Runs `trace` on a fresh instance. Pages count as added beyond `initial_pages`, the memory of a
/// module without an allocator, so that an allocator's static data is its own.
///
/// # Errors
/// The guest traps or the allocator breaks its contract; says at which operation.
pub(crate) fn run(
    engine: &Engine,
    module: &Module,
    trace: &Trace,
    initial_pages: u64,
) -> Result<Figures> {
    let mut run = Run::new(Probe::new(engine, module)?, trace);
    for (index, &op) in trace.ops.iter().enumerate() {
        run.step(op)
            .with_context(|| format!("operation {index}, {op:?}"))?;
    }
    Ok(run.finish(trace, initial_pages))
}

/// The address and layout of a live block.
#[derive(Clone, Copy)]
struct Live {
    ptr: u32,
    block: Block,
}

struct Run {
    probe: Probe,
    live: Vec<Option<Live>>,
    ranges: LiveRanges,
    lowest_ptr: u32,
    figures: Figures,
}

impl Run {
    fn new(probe: Probe, trace: &Trace) -> Self {
        Self {
            probe,
            live: vec![None; trace.block_count as usize],
            ranges: LiveRanges::default(),
            lowest_ptr: u32::MAX,
            figures: Figures::default(),
        }
    }

    fn step(&mut self, op: Op) -> Result<()> {
        match op {
            Op::Alloc {
                id,
                size,
                align,
                zeroed,
            } => self.alloc(id, Block { size, align }, zeroed),
            Op::Dealloc { id } => self.dealloc(id),
            Op::Realloc { id, size } => self.realloc(id, size),
        }
    }

    fn alloc(&mut self, id: u32, block: Block, zeroed: bool) -> Result<()> {
        let call = if zeroed {
            self.probe.alloc_zeroed(block.size, block.align)?
        } else {
            self.probe.alloc(block.size, block.align)?
        };
        self.count(&call, |figures| &mut figures.worst_alloc);
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
        self.count(&call, |figures| &mut figures.worst_dealloc);
        Ok(())
    }

    fn realloc(&mut self, id: u32, new: u32) -> Result<()> {
        let Live { ptr, block } = self.disown(id)?;
        verify(self.probe.bytes(), ptr, block.size, pattern(id))?;
        let kept = block.size.min(new);
        mark(self.probe.bytes(), ptr, kept, pattern(id));
        let call = self.probe.realloc(ptr, block.size, block.align, new)?;
        self.count(&call, |figures| &mut figures.worst_realloc);
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
        self.live[id as usize] = Some(Live { ptr, block });
        self.lowest_ptr = self.lowest_ptr.min(ptr);
        Ok(())
    }

    fn disown(&mut self, id: u32) -> Result<Live> {
        let live = self.live[id as usize].take().context("not live")?;
        self.ranges.remove(live.ptr);
        Ok(live)
    }

    fn count<R>(&mut self, call: &Call<R>, worst: impl FnOnce(&mut Figures) -> &mut Worst) {
        self.figures.calls += 1;
        self.figures.fuel += call.fuel;
        self.figures.growths += u64::from(call.grown_pages > 0);
        let worst = worst(&mut self.figures);
        if call.grown_pages > 0 {
            worst.growing = worst.growing.max(call.fuel);
        } else {
            worst.steady = worst.steady.max(call.fuel);
        }
    }

    fn finish(self, trace: &Trace, initial_pages: u64) -> Figures {
        let pages = self.probe.pages();
        let first_page = u64::from(self.lowest_ptr) / PAGE_BYTES;
        Figures {
            grown_pages: pages - initial_pages,
            heap_pages: pages - first_page.min(initial_pages),
            peak_live_bytes: trace.peak_live_bytes,
            ..self.figures
        }
    }
}

/// A byte that neighbours do not share.
fn pattern(id: u32) -> u8 {
    id.wrapping_mul(0x9E37_79B1).to_le_bytes()[3]
}
