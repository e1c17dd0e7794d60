//! Counts the instructions of every call of the allocator, from outside.
//!
//! The traced guest calls `enter` before and `leave` after each call. At both we read the
//! instruction counter; the difference, less that of a pair with nothing between, is the call's:
//! its arguments, the call itself and all it does. Calls during which the memory grew are kept
//! apart, because growth is the host's time, and so is the first call.

use crate::stats::ratio;
use wasmtime::{AsContext, Caller, Linker, Memory};

/// Largest number of instructions with a count of its own in the distribution.
const COUNTED_MAX: usize = 1 << 14;

/// What the guest calls, numbered as in `guests/demo/src/heap.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Nothing,
    Alloc,
    Dealloc,
    Realloc,
}

impl Call {
    fn from_number(number: u32) -> Option<Self> {
        [Self::Nothing, Self::Alloc, Self::Dealloc, Self::Realloc]
            .get(number as usize)
            .copied()
    }
}

/// Calls of one kind: how many, and their instructions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    pub(super) count: u64,
    pub(super) instructions: u64,
    /// Most instructions of one call.
    pub(super) worst: u64,
    /// Bytes given back and asked for by that call.
    pub(super) worst_bytes: [u32; 2],
}

impl Calls {
    fn add(&mut self, instructions: u64, bytes: [u32; 2]) {
        self.count += 1;
        self.instructions += instructions;
        self.see_worst(instructions, bytes);
    }

    fn see_worst(&mut self, instructions: u64, bytes: [u32; 2]) {
        if instructions > self.worst {
            self.worst = instructions;
            self.worst_bytes = bytes;
        }
    }
}

/// A call that has begun.
#[derive(Clone, Copy, Debug)]
struct Begun {
    call: Call,
    old_bytes: u32,
    new_bytes: u32,
    fuel: u64,
    pages: u64,
}

/// All calls of a run.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) alloc: Calls,
    pub(super) dealloc: Calls,
    pub(super) realloc: Calls,
    /// The calls during which the memory grew, and the first; they are in none of the above.
    pub(super) growing: Calls,
    /// Pages added by them.
    pub(super) grown_pages: u64,
    /// How many calls took this many instructions; the last entry stands for all above.
    distribution: Vec<u64>,
    live_bytes: u64,
    peak_live_bytes: u64,
    /// Instructions of an empty pair of `enter` and `leave`.
    pair_instructions: u64,
    begun: Option<Begun>,
    memory: Option<Memory>,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self {
            alloc: Calls::default(),
            dealloc: Calls::default(),
            realloc: Calls::default(),
            growing: Calls::default(),
            grown_pages: 0,
            distribution: vec![0; COUNTED_MAX + 1],
            live_bytes: 0,
            peak_live_bytes: 0,
            pair_instructions: 0,
            begun: None,
            memory: None,
        }
    }

    /// From now on growth of `memory` is seen.
    pub(super) fn watch(&mut self, memory: Memory) {
        self.memory = Some(memory);
    }

    /// Calls of every kind, those that grew the memory apart.
    pub(super) fn all(&self) -> Calls {
        let mut all = Calls::default();
        for calls in [self.alloc, self.dealloc, self.realloc] {
            all.count += calls.count;
            all.instructions += calls.instructions;
            all.see_worst(calls.worst, calls.worst_bytes);
        }
        all
    }

    /// How many calls there were, of every kind, growing or not.
    pub(super) fn count(&self) -> u64 {
        self.all().count + self.growing.count
    }

    /// Instructions per call, growth apart.
    pub(super) fn mean(&self) -> f64 {
        let all = self.all();
        ratio(all.instructions, all.count)
    }

    /// Instructions that `permille` of all calls do not exceed, growth apart.
    pub(super) fn quantile(&self, permille: u64) -> u64 {
        let target = (self.all().count * permille).div_ceil(1000);
        let mut seen = 0;
        for (instructions, count) in (0_u64..).zip(&self.distribution[..COUNTED_MAX]) {
            seen += count;
            if seen >= target {
                return instructions;
            }
        }
        self.all().worst
    }

    /// The most bytes, as the program asked for them, that were allocated at one time.
    pub(super) fn peak_live_bytes(&self) -> u64 {
        self.peak_live_bytes
    }

    fn finish(&mut self, begun: Begun, fuel: u64, pages: u64, is_null: bool) {
        let instructions = begun.fuel - fuel;
        if begun.call == Call::Nothing {
            self.pair_instructions = instructions;
            return;
        }
        self.count_bytes(&begun, is_null);
        let instructions = instructions.saturating_sub(self.pair_instructions);
        let bytes = [begun.old_bytes, begun.new_bytes];
        // The first call sets an allocator up, and may take in what is left of the initial memory.
        if pages > begun.pages || self.count() == 0 {
            self.growing.add(instructions, bytes);
            self.grown_pages += pages - begun.pages;
            return;
        }
        match begun.call {
            Call::Nothing => {}
            Call::Alloc => self.alloc.add(instructions, bytes),
            Call::Dealloc => self.dealloc.add(instructions, bytes),
            Call::Realloc => self.realloc.add(instructions, bytes),
        }
        let index = usize::try_from(instructions).unwrap_or(COUNTED_MAX);
        self.distribution[index.min(COUNTED_MAX)] += 1;
    }

    fn count_bytes(&mut self, begun: &Begun, is_null: bool) {
        if is_null && begun.call != Call::Dealloc {
            return;
        }
        self.live_bytes += u64::from(begun.new_bytes);
        self.live_bytes -= u64::from(begun.old_bytes);
        self.peak_live_bytes = self.peak_live_bytes.max(self.live_bytes);
    }
}

/// Defines what a traced guest imports.
pub(super) fn define_imports(linker: &mut Linker<Trace>) -> wasmtime::Result<()> {
    linker.func_wrap("trace", "enter", enter)?;
    linker.func_wrap("trace", "leave", leave)?;
    Ok(())
}

fn enter(
    mut caller: Caller<'_, Trace>,
    call: u32,
    old_bytes: u32,
    new_bytes: u32,
) -> wasmtime::Result<()> {
    let call = Call::from_number(call).ok_or_else(|| wasmtime::format_err!("an unknown call"))?;
    let pages = memory_pages(&caller);
    let begun = Begun {
        call,
        old_bytes,
        new_bytes,
        fuel: caller.get_fuel()?,
        pages,
    };
    match caller.data_mut().begun.replace(begun) {
        None => Ok(()),
        Some(_) => Err(wasmtime::format_err!("a call inside a call")),
    }
}

fn leave(mut caller: Caller<'_, Trace>, address: u32) -> wasmtime::Result<()> {
    let fuel = caller.get_fuel()?;
    let pages = memory_pages(&caller);
    let trace = caller.data_mut();
    let begun = trace
        .begun
        .take()
        .ok_or_else(|| wasmtime::format_err!("the end of no call"))?;
    trace.finish(begun, fuel, pages, address == 0);
    Ok(())
}

fn memory_pages(caller: &Caller<'_, Trace>) -> u64 {
    caller
        .data()
        .memory
        .map_or(0, |memory| memory.size(caller.as_context()))
}
