//! Tells the crate whether it is built for size: then its operations are calls, not copied to where they are used,
//! and its tables are short.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(built_for_size)");
    if matches!(env::var("OPT_LEVEL").as_deref(), Ok("s" | "z")) {
        println!("cargo::rustc-cfg=built_for_size");
    }
}
