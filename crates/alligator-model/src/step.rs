//! The steps of a program, and how they are written down.

use core::fmt;
use core::str::FromStr;

/// One step. Blocks are named by the slot of the program's table that they are in. A step that does not fit,
/// such as giving back what is not there, does nothing: so any part of a program is a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new block for an empty slot.
    Allocate {
        /// Where to keep it.
        slot: u32,
        /// Its size in bytes.
        size: u32,
        /// The binary logarithm of its alignment.
        align_log2: u8,
        /// Whether its bytes must be zero.
        zeroed: bool,
    },
    /// The block in a slot is given back.
    Free {
        /// Where it is kept.
        slot: u32,
    },
    /// The block in a slot gets another size.
    Reallocate {
        /// Where it is kept.
        slot: u32,
        /// Its new size in bytes.
        size: u32,
    },
    /// The heap takes in memory ahead of time.
    Reserve {
        /// For so many bytes.
        bytes: u32,
    },
    /// Somebody else grows the memory.
    GrowBySomebodyElse {
        /// By so many pages.
        pages: u32,
    },
    /// From now on the memory may have so many pages more than it has.
    Limit {
        /// These pages.
        pages: u32,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Allocate {
                slot,
                size,
                align_log2,
                zeroed,
            } => {
                let name = if zeroed { "zeroed" } else { "alloc" };
                write!(formatter, "{name} {slot} {size} {}", 1_u64 << align_log2)
            }
            Self::Free { slot } => write!(formatter, "free {slot}"),
            Self::Reallocate { slot, size } => write!(formatter, "realloc {slot} {size}"),
            Self::Reserve { bytes } => write!(formatter, "reserve {bytes}"),
            Self::GrowBySomebodyElse { pages } => write!(formatter, "others {pages}"),
            Self::Limit { pages } => write!(formatter, "limit {pages}"),
        }
    }
}

/// A line that is no step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseStepError;

impl fmt::Display for ParseStepError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a step")
    }
}

impl core::error::Error for ParseStepError {}

impl FromStr for Step {
    type Err = ParseStepError;

    fn from_str(line: &str) -> Result<Self, ParseStepError> {
        let mut words = line.split_whitespace();
        let name = words.next().ok_or(ParseStepError)?;
        let numbers: Result<Vec<u32>, _> = words.map(str::parse).collect();
        let step = match (name, numbers.map_err(|_| ParseStepError)?.as_slice()) {
            ("alloc" | "zeroed", &[slot, size, align]) if align.is_power_of_two() && size > 0 => {
                Self::Allocate {
                    slot,
                    size,
                    align_log2: align.ilog2().to_le_bytes()[0],
                    zeroed: name == "zeroed",
                }
            }
            ("free", &[slot]) => Self::Free { slot },
            ("realloc", &[slot, size]) if size > 0 => Self::Reallocate { slot, size },
            ("reserve", &[bytes]) => Self::Reserve { bytes },
            ("others", &[pages]) => Self::GrowBySomebodyElse { pages },
            ("limit", &[pages]) => Self::Limit { pages },
            _ => return Err(ParseStepError),
        };
        Ok(step)
    }
}
