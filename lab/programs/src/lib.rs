//! Real programs: crates that programs are made of, at work, on whatever is the global allocator.
//! Each returns its output; the checksum of that is the same on every allocator and engine.

mod corpus;
mod image;
mod json;
mod maps;
mod markdown;
mod physics;
mod script;
mod search;
mod sql;
mod xml;

/// A program, which returns its output.
type Program = fn() -> String;

/// By number, from 0. The lab's workloads name programs by these names.
const PROGRAMS: [(&str, Program); 9] = [
    ("json", json::run),
    ("maps", maps::run),
    ("text", markdown::run),
    ("regex", search::run),
    ("script", script::run),
    ("image", image::run),
    ("physics", physics::run),
    ("xml", xml::run),
    ("sql", sql::run),
];

/// Runs a program. Returns the checksum of its output, or 0 if there is no such program.
pub fn run(number: u32) -> u32 {
    let program = PROGRAMS.get(number as usize);
    program.map_or(0, |(_, run)| checksum(&run()))
}

/// FNV-1a.
fn checksum(text: &str) -> u32 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    text.bytes().fold(0x811C_9DC5, step)
}
