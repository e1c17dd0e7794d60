//! The real programs, on the guest's allocator.

/// Runs the program with this number and returns the checksum of its output, or 0 if there is no
/// such program.
#[unsafe(no_mangle)]
pub extern "C" fn program(number: u32) -> u32 {
    programs::run(number)
}
