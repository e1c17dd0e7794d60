//! Figures that no trace gives: the smallest heap, the cost of holes, a box.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use wasmtime::{Engine, Module};

use crate::fuel::PAGE_BYTES;
use crate::probe::Probe;
use crate::stats::ratio;

/// How many holes the search is confronted with.
pub(crate) const HOLE_COUNTS: [u32; 5] = [1_000, 2_000, 4_000, 8_000, 16_000];

/// Bytes of a hole, and of the request that it is too small for.
const NEAR_FITS: [(u32, u32); 3] = [(120, 136), (1_040, 1_120), (4_200, 4_500)];

/// Requests made against the holes. Some find no free memory and grow it: that is when an
/// allocator looks through all the holes, so they count.
const REQUESTS: u32 = 200;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Special {
    /// Pages used by 3 blocks of each of 25 sizes up to 2 KiB, initial memory's included.
    pub(crate) tiny_pages: u64,
    /// Instructions of `Box::new` of 24 bytes and its drop, inlined.
    pub(crate) box24_fuel: u64,
    /// Instructions of the dearest allocation among so many holes (`HOLE_COUNTS`).
    pub(crate) holes_fuel: Vec<u64>,
}

impl Special {
    /// The dearest allocation among the most holes, divided by that among the fewest.
    pub(crate) fn hole_growth(&self) -> Option<f64> {
        let (fewest, most) = (*self.holes_fuel.first()?, *self.holes_fuel.last()?);
        (fewest > 0).then(|| ratio(most, fewest))
    }
}

pub(crate) fn run(engine: &Engine, module: &Module) -> Result<Special> {
    Ok(Special {
        tiny_pages: tiny_pages(Probe::new(engine, module)?)?,
        box24_fuel: box24_fuel(Probe::new(engine, module)?)?,
        holes_fuel: holes(engine, module)?,
    })
}

/// Instructions of the dearest allocation among so many holes (`HOLE_COUNTS`).
pub(crate) fn holes(engine: &Engine, module: &Module) -> Result<Vec<u64>> {
    let counts = HOLE_COUNTS.iter();
    counts
        .map(|&count| holes_fuel(engine, module, count))
        .collect()
}

/// Sizes from 8 to 2,048 bytes: six steps of 8, then four per doubling.
fn tiny_sizes() -> impl Iterator<Item = u32> {
    let small = (1..=5).map(|eighth| eighth * 8);
    let large = (0..20).map(|step| (80 + step % 4 * 16) << (step / 4) >> 1);
    small.chain(large)
}

fn tiny_pages(mut probe: Probe) -> Result<u64> {
    let mut first_page = probe.pages();
    for size in tiny_sizes() {
        for _ in 0..3 {
            let ptr = probe.alloc(size, 8)?.result;
            ensure!(ptr != 0, "null for {size} bytes");
            first_page = first_page.min(u64::from(ptr) / PAGE_BYTES);
        }
    }
    Ok(probe.pages() - first_page)
}

/// The hundredth box, when all paths are as they stay.
fn box24_fuel(mut probe: Probe) -> Result<u64> {
    for _ in 0..99 {
        probe.box24()?;
    }
    Ok(probe.box24()?.fuel)
}

fn holes_fuel(engine: &Engine, module: &Module, count: u32) -> Result<u64> {
    let mut dearest = 0;
    for (hole, request) in NEAR_FITS {
        let probe = Probe::new(engine, module)?;
        dearest = dearest.max(one_holes_fuel(probe, count, hole, request)?);
    }
    Ok(dearest)
}

/// Makes `count` holes of `hole` bytes between pinned blocks, then asks for `request` bytes.
fn one_holes_fuel(mut probe: Probe, count: u32, hole: u32, request: u32) -> Result<u64> {
    let mut holes = Vec::new();
    for _ in 0..count {
        holes.push(probe.alloc(hole, 8)?.result);
        probe.alloc(24, 8)?;
    }
    for ptr in holes {
        probe.dealloc(ptr, hole, 8)?;
    }
    let mut dearest = 0;
    for _ in 0..REQUESTS {
        let call = probe.alloc(request, 8)?;
        ensure!(call.result != 0, "null for {request} bytes");
        dearest = dearest.max(call.fuel);
    }
    Ok(dearest)
}
