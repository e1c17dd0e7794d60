//! Real programs, one export each. All their heap operations are told to the host, which makes
//! traces of them. Each returns a checksum of its output.

mod corpus;
mod json;
mod maps;
mod markdown;
mod record;
mod search;

#[global_allocator]
static ALLOCATOR: record::Recording = record::Recording;

/// Parses, changes and writes JSON.
#[unsafe(no_mangle)]
pub extern "C" fn json() -> u32 {
    checksum(&json::run())
}

/// Counts and indexes words in maps.
#[unsafe(no_mangle)]
pub extern "C" fn maps() -> u32 {
    checksum(&maps::run())
}

/// Renders Markdown as HTML.
#[unsafe(no_mangle)]
pub extern "C" fn text() -> u32 {
    checksum(&markdown::run())
}

/// Searches logs with regular expressions.
#[unsafe(no_mangle)]
pub extern "C" fn regex() -> u32 {
    checksum(&search::run())
}

/// FNV-1a.
fn checksum(text: &str) -> u32 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    text.bytes().fold(0x811C_9DC5, step)
}
