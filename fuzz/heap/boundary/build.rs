//! Takes over the sources of crates/alligator-c as modules of one file, without the names that the linker sees.

use std::fmt::Write;
use std::path::{Path, PathBuf};

const SOURCES: &str = "../../../crates/alligator-c/src";

fn main() {
    println!("cargo::rerun-if-changed={SOURCES}");
    let mut text = String::new();
    for name in ["blocks", "controls", "errno", "heap", "layouts", "malloc", "memory"] {
        let source = source(&format!("{name}.rs"));
        // A module in a file of its own goes where it is declared.
        let arena = format!("mod arena {{\n{}}}\n", self::source("memory/arena.rs"));
        let source = source.replace("mod arena;\n", &arena);
        writeln!(text, "mod {name} {{\n{source}}}").expect("memory for text");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo runs this"));
    std::fs::write(out.join("modules.rs"), text).expect("a file in OUT_DIR");
}

/// A file without the comments at its head, which belong to a file, and with Rust's own symbols.
fn source(name: &str) -> String {
    let text = std::fs::read_to_string(Path::new(SOURCES).join(name)).expect(name);
    let lines = text.lines().filter(|line| !line.starts_with("//!"));
    lines.fold(String::new(), |text, line| {
        text + &line.replace("#[unsafe(no_mangle)]", "") + "\n"
    })
}
