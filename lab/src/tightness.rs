//! `cargo lab tightness`: how close a directed search comes to the proved bounds of our allocator.
//!
//! Hill climbing over programs of heap operations, towards the costliest single operation.
//!
//! A program is a list of phases, each of which allocates, resizes or frees several blocks. A
//! change is kept if the costliest operation of the wanted kind, growth apart, costs no less. The
//! best programs found for one operation are material for the others: a resize that moves is an
//! allocation and a free.

use core::time::Duration;
use std::time::Instant;

use crate::options::Allocators;
use crate::probe::{Call, Probe};
use crate::stats::ratio;
use alligator_bound::{Options as BoundOptions, analyze};
use alligator_meter::counting_engine;
use alligator_tools::allocator::{Allocator, Exports, Kind};
use alligator_tools::guest;
use anyhow::{Result, anyhow, ensure};
use wasmtime::{Engine, Module};

/// Most phases of a program.
const PHASES_MAX: usize = 40;
/// Most blocks of one phase.
const BLOCKS_MAX: u64 = 70;
/// Programs without progress before the search starts anew.
const PATIENCE: u32 = 1_500;
/// Best programs kept as material.
const MATERIAL_MAX: usize = 24;

/// What to search.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Seconds of search per operation
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    seconds: u64,
    #[command(flatten)]
    allocators: Allocators,
}

/// The operation whose cost is driven up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Alloc,
    Dealloc,
    Realloc,
    AllocZeroed,
}

impl Target {
    /// In the order of search: a resize is made of the others, it comes last.
    const ALL: [Self; 4] = [Self::Alloc, Self::Dealloc, Self::AllocZeroed, Self::Realloc];

    /// The function that the guest exports for it.
    fn export(self) -> &'static str {
        match self {
            Self::Alloc => "op_alloc",
            Self::Dealloc => "op_dealloc",
            Self::Realloc => "op_realloc",
            Self::AllocZeroed => "op_alloc_zeroed",
        }
    }
}

/// Searches, and prints how close it came. A search that passes a bound is an error.
pub(crate) fn run(options: &Options) -> Result<()> {
    guest::ensure_target(guest::TARGET)?;
    let chosen = options
        .allocators
        .choose(|allocator| allocator.kind == Kind::Ours)?;
    for allocator in &chosen {
        search(allocator, options.seconds)?;
    }
    Ok(())
}

/// Searches for the costliest call of each operation that has a bound.
fn search(allocator: &Allocator, seconds: u64) -> Result<()> {
    let module = std::fs::read(allocator.build(Exports::Probe)?)?;
    let options = BoundOptions {
        entries: Target::ALL
            .map(|target| target.export().to_owned())
            .to_vec(),
        ..BoundOptions::default()
    };
    let name = &allocator.name;
    let report = analyze(&module, &options).map_err(|error| anyhow!("{name}: {error}"))?;
    let mut material = Vec::new();
    for (target, entry) in Target::ALL.iter().zip(&report.entries) {
        let Some(bound) = entry
            .without_growth
            .as_ref()
            .and_then(|figure| figure.bound)
        else {
            continue;
        };
        let found = climb(&module, *target, seconds, &mut material)?;
        ensure!(
            found.fuel <= bound,
            "{name}: {} reached {} of a bound of {bound}",
            entry.name,
            found.fuel
        );
        println!(
            "{name:<18} {:<13} reached {:>5} of {bound:>5}, {:>5.1} %, in {} programs",
            target.export().trim_start_matches("op_"),
            found.fuel,
            100.0 * ratio(found.fuel, bound),
            found.programs,
        );
    }
    Ok(())
}

/// What a search came to.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// Cost of the costliest operation.
    fuel: u64,
    /// Programs run.
    programs: u64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// So many blocks of a size and alignment, zeroed or not.
    Alloc {
        count: u64,
        size: u32,
        align: u32,
        zeroed: bool,
    },
    /// Every `stride`-th live block, from `first` on, at most `count`.
    Free { first: u64, stride: u64, count: u64 },
    /// Every `stride`-th live block, from `first` on, at most `count`, to a size.
    Resize {
        first: u64,
        stride: u64,
        count: u64,
        size: u32,
    },
}

#[derive(Clone, Copy, Debug)]
struct Block {
    address: u32,
    size: u32,
    align: u32,
}

struct Heap {
    probe: Probe,
    blocks: Vec<Block>,
    target: Target,
    /// Nothing was asked yet: the first operation takes in what is left of the initial memory, which its size does
    /// not show.
    is_new: bool,
    most: u64,
}

impl Heap {
    fn new(engine: &Engine, module: &Module, target: Target) -> Result<Self> {
        Ok(Self {
            probe: Probe::new(engine, module)?,
            blocks: Vec::new(),
            target,
            is_new: true,
            most: 0,
        })
    }

    /// Notes what an operation cost, unless it grew the heap. Returns its result.
    fn noted<R>(&mut self, kind: Target, call: Call<R>) -> R {
        let grew = core::mem::replace(&mut self.is_new, false) || call.grown_pages > 0;
        if kind == self.target && !grew {
            self.most = self.most.max(call.fuel);
        }
        call.result
    }

    fn run(&mut self, phase: Phase) -> Result<()> {
        match phase {
            Phase::Alloc {
                count,
                size,
                align,
                zeroed,
            } => {
                for _ in 0..count {
                    let address = if zeroed {
                        let call = self.probe.alloc_zeroed(size, align)?;
                        self.noted(Target::AllocZeroed, call)
                    } else {
                        let call = self.probe.alloc(size, align)?;
                        self.noted(Target::Alloc, call)
                    };
                    if address != 0 {
                        self.blocks.push(Block {
                            address,
                            size,
                            align,
                        });
                    }
                }
            }
            Phase::Free {
                first,
                stride,
                count,
            } => {
                for index in chosen(self.blocks.len(), first, stride, count).rev() {
                    let block = self.blocks.remove(index);
                    let call = self.probe.dealloc(block.address, block.size, block.align)?;
                    self.noted(Target::Dealloc, call);
                }
            }
            Phase::Resize {
                first,
                stride,
                count,
                size,
            } => {
                for index in chosen(self.blocks.len(), first, stride, count) {
                    let block = self.blocks[index];
                    let Block { address, align, .. } = block;
                    let call = self.probe.realloc(address, block.size, align, size)?;
                    let address = self.noted(Target::Realloc, call);
                    if address != 0 {
                        self.blocks[index] = Block {
                            address,
                            size,
                            align,
                        };
                    }
                }
            }
        }
        Ok(())
    }
}

/// Positions of the blocks a phase takes, in order.
fn chosen(
    live: usize,
    first: u64,
    stride: u64,
    count: u64,
) -> impl DoubleEndedIterator<Item = usize> {
    let [first, stride, count] =
        [first, stride, count].map(|value| usize::try_from(value).unwrap_or(usize::MAX));
    let first = if live == 0 { 0 } else { first % live };
    let positions: Vec<usize> = (first..live).step_by(stride.max(1)).take(count).collect();
    positions.into_iter()
}

/// Xorshift: the same search from the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// A size of 1 byte to 256 KiB, its logarithm even, often at a round number.
    fn size(&mut self) -> u32 {
        let scale = 1_u64 << self.below(18);
        let size = match self.below(4) {
            0 => scale,
            1 => scale + 1,
            2 => scale + 16 * self.below(9),
            _ => scale + self.below(scale),
        };
        u32::try_from(size).unwrap_or(1)
    }

    fn align(&mut self) -> u32 {
        match self.below(3) {
            0 => 1 << self.below(17),
            _ => 8,
        }
    }

    fn phase(&mut self, target: Target) -> Phase {
        let count = match self.below(3) {
            0 => 1,
            1 => 1 + self.below(8),
            _ => 1 + self.below(BLOCKS_MAX),
        };
        let (first, stride) = (self.below(BLOCKS_MAX), 1 + self.below(4));
        match self.below(7) {
            0..=2 => Phase::Alloc {
                count,
                size: self.size(),
                align: self.align(),
                zeroed: target == Target::AllocZeroed && self.below(2) == 0,
            },
            3..=4 => Phase::Free {
                first,
                stride,
                count,
            },
            _ => Phase::Resize {
                first,
                stride,
                count,
                size: self.size(),
            },
        }
    }

    /// A program changed in one to three places, or with a part of another one put in.
    fn changed(&mut self, program: &[Phase], target: Target, material: &[Program]) -> Vec<Phase> {
        let mut program = program.to_vec();
        if self.below(8) == 0
            && let Some(other) = self.one_of(material)
        {
            self.graft(&mut program, &other.phases, target);
        }
        for _ in 0..=self.below(3) {
            let place = usize::try_from(self.below(program.len() as u64 + 1)).unwrap_or(0);
            match self.below(5) {
                0 if place < program.len() => {
                    program.remove(place);
                }
                1 if place < program.len() => program[place] = self.phase(target),
                2..=3 if place < program.len() => program[place] = self.tuned(program[place]),
                _ if program.len() < PHASES_MAX => program.insert(place, self.phase(target)),
                _ => {}
            }
        }
        program
    }

    fn one_of<'p>(&mut self, material: &'p [Program]) -> Option<&'p Program> {
        material.get(usize::try_from(self.below(material.len() as u64)).ok()?)
    }

    /// Puts a stretch of another program in; its allocations become such as are counted.
    fn graft(&mut self, program: &mut Vec<Phase>, other: &[Phase], target: Target) {
        let some = |random: &mut Self, most: usize| {
            usize::try_from(random.below(most as u64 + 1)).unwrap_or(0)
        };
        let first = some(self, other.len());
        let count = some(self, other.len() - first);
        let place = some(self, program.len());
        let stretch = other[first..first + count]
            .iter()
            .map(|phase| match *phase {
                Phase::Alloc {
                    count, size, align, ..
                } => Phase::Alloc {
                    count,
                    size,
                    align,
                    zeroed: target == Target::AllocZeroed,
                },
                other => other,
            });
        program.splice(place..place, stretch);
        program.truncate(PHASES_MAX);
    }

    fn near(&mut self, size: u32) -> u32 {
        let by = u32::try_from(1 << self.below(12)).unwrap_or(1);
        if self.below(2) == 0 {
            size.saturating_add(by)
        } else {
            size.saturating_sub(by).max(1)
        }
    }

    /// A phase with a size or a number a little different.
    fn tuned(&mut self, phase: Phase) -> Phase {
        let number = self.below(3);
        match phase {
            Phase::Alloc {
                count,
                size,
                align,
                zeroed,
            } => Phase::Alloc {
                count: if number == 0 { count + 1 } else { count },
                size: if number == 0 { size } else { self.near(size) },
                align,
                zeroed: zeroed ^ (number == 1),
            },
            Phase::Free {
                first,
                stride,
                count,
            } => Phase::Free {
                first: first + u64::from(number == 0),
                stride: stride + u64::from(number == 1),
                count: count + u64::from(number == 2),
            },
            Phase::Resize {
                first,
                stride,
                count,
                size,
            } => Phase::Resize {
                first: first + u64::from(number == 0),
                stride,
                count,
                size: if number == 0 { size } else { self.near(size) },
            },
        }
    }
}

/// A program, and what its costliest operation of some kind costs.
#[derive(Clone, Debug)]
struct Program {
    fuel: u64,
    phases: Vec<Phase>,
}

/// Climbs for so many seconds. The best programs join the material.
fn climb(bytes: &[u8], target: Target, seconds: u64, material: &mut Vec<Program>) -> Result<Found> {
    let engine = counting_engine()?;
    let module = Module::new(&engine, bytes)?;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut found = Found {
        fuel: 0,
        programs: 0,
    };
    let mut best: Vec<Program> = Vec::new();
    let nothing = Program {
        fuel: 0,
        phases: Vec::new(),
    };
    let (mut program, mut stuck) = (nothing.clone(), 0);
    while Instant::now() < end {
        if stuck > PATIENCE {
            best.push(core::mem::replace(&mut program, nothing.clone()));
            best.sort_by_key(|program| core::cmp::Reverse(program.fuel));
            best.truncate(MATERIAL_MAX / 4);
            // Every other time from a program that is good for something.
            if let (0, Some(other)) = (random.below(2), random.one_of(material)) {
                program.phases.clone_from(&other.phases);
            }
            stuck = 0;
        }
        let near = if random.below(4) == 0 {
            &best
        } else {
            &*material
        };
        let changed = random.changed(&program.phases, target, near);
        let fuel = costliest(&engine, &module, target, &changed)?;
        found.programs += 1;
        found.fuel = found.fuel.max(fuel);
        stuck = if fuel > program.fuel { 0 } else { stuck + 1 };
        if fuel >= program.fuel {
            program = Program {
                fuel,
                phases: changed,
            };
        }
    }
    best.push(program);
    material.extend(best);
    let surplus = material.len().saturating_sub(MATERIAL_MAX);
    material.drain(..surplus);
    Ok(found)
}

fn costliest(engine: &Engine, module: &Module, target: Target, program: &[Phase]) -> Result<u64> {
    let mut heap = Heap::new(engine, module, target)?;
    for phase in program {
        heap.run(*phase)?;
    }
    Ok(heap.most)
}
