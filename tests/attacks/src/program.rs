//! Attack programs: what a buggy program does to its heap, as data that can be shortened and printed.

use core::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// The bug that an attack program has. All else in it is legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Class {
    /// Writes from a block's end on, as far as it likes
    Overflow,
    /// Writes the one byte after a block's end
    OffByOne,
    /// Writes zero to the one byte after a block's end
    OffByOneNull,
    /// Writes into a block after giving it back
    WriteAfterFree,
    /// Gives a block back again that nobody has got since
    DoubleFree,
    /// Gives an address back that never was a block's: inside a block, or of other memory
    InvalidFree,
    /// Gives back or resizes a block with another block's size or alignment
    WrongLayout,
    /// Gives a block back again whose memory has a new owner; no allocator can tell that from the owner
    StaleFree,
    /// No bug at all: what is found here is the judge's fault, or a bug of the allocator's
    None,
}

impl Class {
    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A number as an attacker thinks of it; the run knows the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Value {
    Number(u32),
    /// What stands there already: the attacker knows it, and writes it again.
    Kept,
    /// The size of a block, as it was asked for.
    Size {
        block: usize,
        plus: i32,
    },
    /// The distance from one place to another, as "house of force" needs it.
    Distance {
        from: Place,
        to: Place,
        plus: i32,
    },
    Address(Place, i32),
}

/// Where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// A block, live or given back.
    Block(usize),
    /// A static that the program writes to: what the attacker forges stands here.
    Target,
    /// A static that the program never writes to.
    Victim,
    /// The first byte after all statics.
    HeapBase,
    /// The first byte after the memory.
    MemoryEnd,
}

/// One step. Blocks have the numbers that `Allocate` gives them. A step that makes no sense, since the block it
/// names was never allocated or is gone, is left out: so any part of a program is a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    Allocate {
        block: usize,
        size: Value,
        align: u32,
        zeroed: bool,
    },
    /// C's calloc, where the allocator has it.
    Calloc {
        block: usize,
        count: u32,
        size: u32,
    },
    Free {
        block: usize,
    },
    Reallocate {
        block: usize,
        size: Value,
    },
    /// The owner fills words of a block, as far as it reaches.
    Fill {
        block: usize,
        at: u32,
        words: Vec<Value>,
    },
    /// The owner writes to all of a block, nothing of interest.
    Use {
        block: usize,
    },
    /// The program writes to the static that is its own.
    Forge {
        at: u32,
        words: Vec<Value>,
    },
    /// Writes `bytes` from the block's end on, `words` over and over.
    Overflow {
        block: usize,
        bytes: u32,
        words: Vec<Value>,
    },
    /// Writes one byte at the block's end.
    OffByOne {
        block: usize,
        byte: u8,
    },
    WriteAfterFree {
        block: usize,
        at: u32,
        words: Vec<Value>,
    },
    /// Frees a block again; `stale` if its memory has a new owner, and only then.
    FreeAgain {
        block: usize,
        stale: bool,
    },
    InvalidFree {
        pointer: Value,
        size: Value,
        align: u32,
    },
    /// Frees a block with another layout, or resizes it with one.
    WrongLayout {
        block: usize,
        size: Value,
        align: u32,
        resize: Option<Value>,
    },
}

/// A whole program.
pub(crate) type Program = Vec<Action>;

impl Action {
    /// The words that it writes, if it writes some.
    pub(crate) fn words_mut(&mut self) -> Option<&mut Vec<Value>> {
        match self {
            Self::Fill { words, .. }
            | Self::Forge { words, .. }
            | Self::Overflow { words, .. }
            | Self::WriteAfterFree { words, .. } => Some(words),
            _ => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(block) => write!(formatter, "b{block}"),
            Self::Target => formatter.write_str("target"),
            Self::Victim => formatter.write_str("victim"),
            Self::HeapBase => formatter.write_str("heap_base"),
            Self::MemoryEnd => formatter.write_str("memory_end"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = match *self {
            Self::Kept => return formatter.write_str("kept"),
            Self::Number(number) if number > 0xFFFF => return write!(formatter, "{number:#x}"),
            Self::Number(number) => return write!(formatter, "{number}"),
            Self::Size { block, plus } => {
                write!(formatter, "size(b{block})")?;
                plus
            }
            Self::Distance { from, to, plus } => {
                write!(formatter, "{to} - {from}")?;
                plus
            }
            Self::Address(place, plus) => {
                write!(formatter, "{place}")?;
                plus
            }
        };
        match plus {
            0 => Ok(()),
            _ if plus < 0 => write!(formatter, " - {}", plus.unsigned_abs()),
            _ => write!(formatter, " + {plus}"),
        }
    }
}

/// `[a, b, c]`.
struct Words<'a>(&'a [Value]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(Value::to_string).collect();
        write!(formatter, "[{}]", words.join(", "))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allocate {
                block,
                size,
                align,
                zeroed,
            } => {
                let name = if *zeroed { "alloc_zeroed" } else { "alloc" };
                write!(formatter, "b{block} = {name}({size}, align {align})")
            }
            Self::Calloc { block, count, size } => {
                write!(formatter, "b{block} = calloc({count:#x}, {size:#x})")
            }
            Self::Free { block } => write!(formatter, "free(b{block})"),
            Self::Reallocate { block, size } => {
                write!(formatter, "b{block} = realloc(b{block}, {size})")
            }
            Self::Fill { block, at, words } => {
                write!(formatter, "b{block}[{at}..] = {}", Words(words))
            }
            Self::Use { block } => write!(formatter, "use(b{block})"),
            Self::Forge { at, words } => write!(formatter, "target[{at}..] = {}", Words(words)),
            Self::Overflow {
                block,
                bytes,
                words,
            } => write!(
                formatter,
                "BUG overflow: {bytes} bytes after b{block} = {}, repeated",
                Words(words)
            ),
            Self::OffByOne { block, byte } => {
                write!(
                    formatter,
                    "BUG off by one: the byte after b{block} = {byte}"
                )
            }
            Self::WriteAfterFree { block, at, words } => write!(
                formatter,
                "BUG write after free: b{block}[{at}..] = {}",
                Words(words)
            ),
            Self::FreeAgain {
                block,
                stale: false,
            } => write!(formatter, "BUG double free: free(b{block})"),
            Self::FreeAgain { block, stale: true } => {
                write!(formatter, "BUG stale free: free(b{block})")
            }
            Self::InvalidFree {
                pointer,
                size,
                align,
            } => write!(
                formatter,
                "BUG invalid free: free({pointer}) as {size} bytes, align {align}"
            ),
            Self::WrongLayout {
                block,
                size,
                align,
                resize,
            } => {
                write!(formatter, "BUG wrong layout: ")?;
                match resize {
                    None => write!(formatter, "free(b{block})")?,
                    Some(new) => write!(formatter, "b{block} = realloc(b{block}, {new})")?,
                }
                write!(formatter, " as {size} bytes, align {align}")
            }
        }
    }
}
