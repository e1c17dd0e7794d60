//! One trial: runs an attack program in a fresh instance and judges what the allocator did.
//!
//! The judge knows the live blocks and looks at their bytes before and after each call of the allocator. Writes
//! of the program itself, buggy or not, fall between calls and are no finding: only what the allocator does
//! with its heap afterwards is.

use anyhow::Result;
use serde::Serialize;

use super::program::{Action, Place, Value};
use super::subject::{Broken, Layout, Machine, Region, Subject};

/// What a bug makes the allocator do that serves an attacker: a primitive, or a hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A new block overlaps a live one.
    Overlap,
    /// A new block is not in the heap's memory.
    Outside,
    /// The allocator wrote a word of the attacker's choice into a live block or the program's statics.
    ArbitraryWrite,
    /// The allocator wrote something else there.
    RestrictedWrite,
    /// A call did not come back: not a primitive, but no good either.
    Hang,
    /// The engine stopped the program, at an access outside the memory or the like: the allocator has used
    /// what an attacker wrote, to no avail.
    Crash,
}

impl Kind {
    pub(crate) const PRIMITIVES: [Self; 4] = [
        Self::Overlap,
        Self::Outside,
        Self::ArbitraryWrite,
        Self::RestrictedWrite,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Outside => "outside",
            Self::ArbitraryWrite => "arbitrary write",
            Self::RestrictedWrite => "restricted write",
            Self::Hang => "hang",
            Self::Crash => "crash",
        }
    }
}

/// What a program made the allocator do.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    /// In words, with addresses.
    pub(crate) what: String,
}

/// How a trial ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The program ran to its end; the bug did no harm beyond its own writes.
    Harmless,
    Found(Found),
    /// The allocator stopped the program, with the number of a fault if it says why.
    Stopped(Option<u32>),
}

/// What an interrupted trial ends with.
enum Stop {
    Found(Found),
    Broken(Broken),
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// A block that the allocator gave.
#[derive(Clone, Copy, Debug)]
struct Block {
    region: Region,
    align: u32,
    is_live: bool,
}

/// The largest size that makes a layout at an alignment of 1.
const SIZE_MAX: u32 = i32::MAX as u32;

/// Numbers below this may be the allocator's own: lengths, flags, counts.
const CHOSEN_MIN: u32 = 4096;

/// Of a block up to this size, all bytes are looked at. Of a larger one the first and the last
/// [`EDGE_BYTES`], where allocators keep headers and links, and up to [`PIECES_MAX`] pieces between.
const FULL_BYTES: u32 = 2048;
const EDGE_BYTES: u32 = 1024;
const PIECE_BYTES: u32 = 64;
const PIECES_MAX: u32 = 32;

/// What a program puts into a block that it uses, so that a zero written by the allocator is seen.
const CONTENTS: u8 = 0x5A;

/// Runs `program` on `subject`.
///
/// # Errors
/// The engine makes no instance.
pub(crate) fn run(subject: &Subject, program: &[Action]) -> Result<End> {
    let mut trial = Trial {
        machine: subject.instantiate()?,
        layout: subject.layout,
        blocks: Vec::new(),
        chosen: Vec::new(),
        watched: Vec::new(),
        before: Vec::new(),
    };
    let stop = program
        .iter()
        .try_for_each(|action| trial.step(action).map_err(|stop| (stop, action)));
    let in_call = |kind: Kind, action: &Action| {
        let what = action.to_string();
        End::Found(Found { kind, what })
    };
    Ok(match stop {
        Ok(()) => End::Harmless,
        Err((Stop::Found(found), _)) => End::Found(found),
        Err((Stop::Broken(Broken::Hang), action)) => in_call(Kind::Hang, action),
        Err((Stop::Broken(Broken::Crashed), action)) => in_call(Kind::Crash, action),
        Err((Stop::Broken(Broken::Stopped), _)) => End::Stopped(trial.machine.fault()),
    })
}

struct Trial {
    machine: Machine,
    layout: Layout,
    /// By number; none if there is no such block yet.
    blocks: Vec<Option<Block>>,
    /// Large numbers that the program wrote.
    chosen: Vec<u32>,
    /// What the allocator must not change in the call at hand.
    watched: Vec<Region>,
    /// The bytes of `watched` before the call.
    before: Vec<u8>,
}

impl Trial {
    fn step(&mut self, action: &Action) -> Result<(), Stop> {
        match *action {
            Action::Allocate {
                block,
                size,
                align,
                zeroed,
            } => self.allocate(block, size, align, zeroed),
            Action::Calloc { block, count, size } => self.calloc(block, count, size),
            Action::Free { block } => self.free(block),
            Action::Reallocate { block, size } => self.reallocate(block, size, None),
            Action::Fill {
                block,
                at,
                ref words,
            } => {
                if let Some(block) = self.live(block) {
                    self.write_inside(block.region, at, words);
                }
                Ok(())
            }
            Action::Use { block } => {
                self.use_up(block);
                Ok(())
            }
            Action::Forge { at, ref words } => {
                self.write_inside(self.layout.target, at, words);
                Ok(())
            }
            Action::Overflow {
                block,
                bytes,
                ref words,
            } => {
                if let Some(block) = self.live(block) {
                    self.write(block.region.end(), bytes, words);
                }
                Ok(())
            }
            Action::OffByOne { block, byte } => {
                if let Some(block) = self.live(block) {
                    let end = to_usize(block.region.end());
                    if let Some(place) = self.machine.memory_mut().get_mut(end) {
                        *place = byte;
                    }
                }
                Ok(())
            }
            Action::WriteAfterFree {
                block,
                at,
                ref words,
            } => {
                if let Some(block) = self.dead(block) {
                    self.write_inside(block.region, at, words);
                }
                Ok(())
            }
            Action::FreeAgain { block, stale } => self.free_again(block, stale),
            Action::InvalidFree {
                pointer,
                size,
                align,
            } => self.invalid_free(pointer, size, align),
            Action::WrongLayout {
                block,
                size,
                align,
                resize,
            } => self.wrong_layout(block, size, align, resize),
        }
    }

    fn allocate(
        &mut self,
        number: usize,
        size: Value,
        align: u32,
        zeroed: bool,
    ) -> Result<(), Stop> {
        let Some(size) = self.size(size, align) else {
            return Ok(());
        };
        self.watch(None);
        let address = self.machine.alloc(size, align, zeroed)?;
        self.take_in(number, address, u64::from(size), align)
    }

    /// The owner writes to all that is looked at of its block.
    fn use_up(&mut self, number: usize) {
        if let Some(block) = self.live(number) {
            let memory = self.machine.memory_mut();
            for piece in pieces(block.region) {
                let range = piece.address as usize..to_usize(piece.end());
                if let Some(bytes) = memory.get_mut(range) {
                    bytes.fill(CONTENTS);
                }
            }
        }
    }

    fn calloc(&mut self, number: usize, count: u32, size: u32) -> Result<(), Stop> {
        self.watch(None);
        let Some(result) = self.machine.calloc(count, size) else {
            return Ok(());
        };
        let bytes = u64::from(count) * u64::from(size);
        self.take_in(number, result?, bytes, 1)
    }

    fn free(&mut self, number: usize) -> Result<(), Stop> {
        let Some(block) = self.live(number) else {
            return Ok(());
        };
        self.release(number);
        self.dealloc(block.region.address, block.region.bytes, block.align)
    }

    /// Resizes a block, as `(size, align)` if the program has that wrong.
    fn reallocate(
        &mut self,
        number: usize,
        new: Value,
        wrong: Option<(u32, u32)>,
    ) -> Result<(), Stop> {
        let Some(block) = self.live(number) else {
            return Ok(());
        };
        let (size, align) = wrong.unwrap_or((block.region.bytes, block.align));
        let Some(new) = self.size(new, align) else {
            return Ok(());
        };
        self.watch(Some(number));
        let address = self
            .machine
            .realloc(block.region.address, size, align, new)?;
        if address != 0 {
            self.release(number);
        }
        self.take_in(number, address, u64::from(new), align)
    }

    fn free_again(&mut self, number: usize, stale: bool) -> Result<(), Stop> {
        let Some(block) = self.dead(number) else {
            return Ok(());
        };
        let has_owner = self.owner(block.region).is_some();
        if has_owner != stale {
            return Ok(());
        }
        self.dealloc(block.region.address, block.region.bytes, block.align)
    }

    fn invalid_free(&mut self, pointer: Value, size: Value, align: u32) -> Result<(), Stop> {
        let (Some(pointer), Some(size)) = (self.resolve(pointer), self.size(size, align)) else {
            return Ok(());
        };
        // Whose pointer was a block's makes another mistake, or none.
        let mut blocks = self.blocks.iter().flatten();
        if blocks.any(|block| block.region.address == pointer) {
            return Ok(());
        }
        self.dealloc(pointer, size, align)
    }

    fn wrong_layout(
        &mut self,
        number: usize,
        size: Value,
        align: u32,
        resize: Option<Value>,
    ) -> Result<(), Stop> {
        let (Some(block), Some(size)) = (self.live(number), self.size(size, align)) else {
            return Ok(());
        };
        if let Some(new) = resize {
            return self.reallocate(number, new, Some((size, align)));
        }
        self.release(number);
        self.dealloc(block.region.address, size, align)
    }

    fn dealloc(&mut self, pointer: u32, size: u32, align: u32) -> Result<(), Stop> {
        self.watch(None);
        self.machine.dealloc(pointer, size, align)?;
        self.judge_writes()
    }

    /// Judges a block that the allocator gives as number `number`, and remembers it. Null is no block.
    fn take_in(&mut self, number: usize, address: u32, bytes: u64, align: u32) -> Result<(), Stop> {
        if address != 0 {
            let end = u64::from(address) + bytes;
            let memory_end = self.machine.memory().len() as u64;
            if address < self.layout.heap_base || end > memory_end {
                return Err(primitive(
                    Kind::Outside,
                    format!(
                        "b{number} is {address:#x}..{end:#x}; the heap's memory is {:#x}..{memory_end:#x}",
                        self.layout.heap_base
                    ),
                ));
            }
            let region = Region {
                address,
                bytes: u32::try_from(bytes).unwrap_or(SIZE_MAX),
            };
            if let Some(owner) = self.owner(region) {
                return Err(primitive(
                    Kind::Overlap,
                    format!("b{number} is {address:#x}..{end:#x} and overlaps b{owner}"),
                ));
            }
            if self.blocks.len() <= number {
                self.blocks.resize(number + 1, None);
            }
            self.blocks[number] = Some(Block {
                region,
                align,
                is_live: true,
            });
        }
        self.judge_writes()
    }

    fn release(&mut self, number: usize) {
        if let Some(Some(block)) = self.blocks.get_mut(number) {
            block.is_live = false;
        }
    }

    fn live(&self, number: usize) -> Option<Block> {
        let block = self.blocks.get(number).copied().flatten();
        block.filter(|block| block.is_live)
    }

    fn dead(&self, number: usize) -> Option<Block> {
        let block = self.blocks.get(number).copied().flatten();
        block.filter(|block| !block.is_live)
    }

    /// The live block that overlaps `region`.
    fn owner(&self, region: Region) -> Option<usize> {
        self.blocks
            .iter()
            .position(|block| block.is_some_and(|it| it.is_live && it.region.overlaps(region)))
    }

    /// Notes the bytes of all live blocks but `except`, and of the statics.
    fn watch(&mut self, except: Option<usize>) {
        self.watched.clear();
        self.before.clear();
        self.watched
            .extend([self.layout.target, self.layout.victim]);
        let blocks = self.blocks.iter().enumerate();
        let live = blocks.filter_map(|(number, block)| {
            let block = block.as_ref()?;
            (block.is_live && Some(number) != except).then_some(block.region)
        });
        self.watched.extend(live);
        let memory = self.machine.memory();
        for piece in self.watched.iter().copied().flat_map(pieces) {
            self.before.extend_from_slice(bytes_of(memory, piece));
        }
    }

    /// Whether the allocator changed what it must not.
    fn judge_writes(&self) -> Result<(), Stop> {
        let memory = self.machine.memory();
        let mut rest = self.before.as_slice();
        for piece in self.watched.iter().copied().flat_map(pieces) {
            let now = bytes_of(memory, piece);
            let (before, after) = rest.split_at(now.len());
            rest = after;
            if before == now {
                continue;
            }
            let mut pairs = before.iter().zip(now);
            let offset = pairs.position(|(before, now)| before != now).unwrap_or(0);
            return Err(self.written(piece, offset));
        }
        Ok(())
    }

    /// The primitive of a call that changed `region` at `offset` first.
    fn written(&self, region: Region, offset: usize) -> Stop {
        let at = (region.address as usize + offset) & !3;
        let word = read_word(self.machine.memory(), at);
        let kind = if self.chosen.contains(&word) {
            Kind::ArbitraryWrite
        } else {
            Kind::RestrictedWrite
        };
        let whose = match self.owner(region) {
            Some(owner) => format!("b{owner}"),
            None if region == self.layout.target => "the target".to_owned(),
            None => "the victim".to_owned(),
        };
        primitive(
            kind,
            format!("{word:#x} stands in {whose} at {at:#x}, and the allocator wrote it"),
        )
    }

    /// The number that `value` stands for, if all it names is there; none for what is kept.
    fn resolve(&self, value: Value) -> Option<u32> {
        Some(match value {
            Value::Kept => return None,
            Value::Number(number) => number,
            Value::Size { block, plus } => {
                let block = (*self.blocks.get(block)?)?;
                block.region.bytes.wrapping_add_signed(plus)
            }
            Value::Distance { from, to, plus } => self
                .place(to)?
                .wrapping_sub(self.place(from)?)
                .wrapping_add_signed(plus),
            Value::Address(place, plus) => self.place(place)?.wrapping_add_signed(plus),
        })
    }

    fn place(&self, place: Place) -> Option<u32> {
        Some(match place {
            Place::Block(block) => (*self.blocks.get(block)?)?.region.address,
            Place::Target => self.layout.target.address,
            Place::Victim => self.layout.victim.address,
            Place::HeapBase => self.layout.heap_base,
            Place::MemoryEnd => u32::try_from(self.machine.memory().len()).ok()?,
        })
    }

    /// A size that makes a layout at `align`.
    fn size(&self, value: Value, align: u32) -> Option<u32> {
        Some(self.resolve(value)?.clamp(1, SIZE_MAX - (align - 1)))
    }

    /// Writes `words` from `region.address + at` on, as far as the region reaches.
    fn write_inside(&mut self, region: Region, at: u32, words: &[Value]) {
        let bytes = region.bytes.saturating_sub(at);
        let length = u32::try_from(words.len() * 4).unwrap_or(u32::MAX);
        self.write(
            u64::from(region.address) + u64::from(at),
            bytes.min(length),
            words,
        );
    }

    /// Writes `words` over and over to `bytes` from `start` on, as far as there is memory. Words stand at
    /// multiples of four, the first where the first whole one fits.
    fn write(&mut self, start: u64, bytes: u32, words: &[Value]) {
        // What names a block that is not there is left out; what is kept has its place all the same.
        let words: Vec<Option<u32>> = words
            .iter()
            .map(|&word| (word, self.resolve(word)))
            .filter(|&(word, number)| number.is_some() || word == Value::Kept)
            .map(|(_, number)| number)
            .collect();
        if words.is_empty() {
            return;
        }
        let numbers = words.iter().flatten();
        self.chosen
            .extend(numbers.filter(|&&number| number >= CHOSEN_MIN));
        let memory = self.machine.memory_mut();
        let start = to_usize(start).min(memory.len());
        let end = (start + bytes as usize).min(memory.len());
        let first = start.div_ceil(4);
        for (at, byte) in (start..).zip(&mut memory[start..end]) {
            // The bytes before the first whole word are the end of the last one.
            let index = (at / 4 + words.len() - first) % words.len();
            if let Some(number) = words[index] {
                *byte = number.to_le_bytes()[at % 4];
            }
        }
    }
}

/// The parts of a region that are looked at.
fn pieces(region: Region) -> impl Iterator<Item = Region> {
    let part = move |offset: u32, bytes: u32| Region {
        address: region.address.wrapping_add(offset),
        bytes,
    };
    let is_full = region.bytes <= FULL_BYTES;
    let (first, last) = if is_full {
        (part(0, region.bytes), None)
    } else {
        let last = part(region.bytes - EDGE_BYTES, EDGE_BYTES);
        (part(0, EDGE_BYTES), Some(last))
    };
    let between = if is_full {
        0
    } else {
        region.bytes - 2 * EDGE_BYTES
    };
    let stride = (between / PIECES_MAX).max(4 * PIECE_BYTES);
    let inner =
        (0..between / stride).map(move |index| part(EDGE_BYTES + index * stride, PIECE_BYTES));
    core::iter::once(first).chain(inner).chain(last)
}

fn primitive(kind: Kind, what: String) -> Stop {
    Stop::Found(Found { kind, what })
}

/// The bytes of a region; none of what lies beyond the memory.
fn bytes_of(memory: &[u8], region: Region) -> &[u8] {
    memory
        .get(region.address as usize..to_usize(region.end()))
        .unwrap_or_default()
}

fn read_word(memory: &[u8], at: usize) -> u32 {
    let bytes = memory.get(at..at + 4);
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

/// An address of a memory of at most 4 GiB.
fn to_usize(address: u64) -> usize {
    usize::try_from(address).unwrap_or(usize::MAX)
}
