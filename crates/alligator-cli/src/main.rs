//! The tool `alligator`.
fn main() {}
