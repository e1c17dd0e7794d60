//! Tells the crate whether the compiler takes `#![feature]` (`nightly`): then, with the feature `allocator-api2` and that
//! crate's own `nightly`, scopes are allocators of std's collections.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_BOOTSTRAP");
    println!("cargo::rustc-check-cfg=cfg(nightly)");
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(compiler).arg("--version").output();
    let is_nightly = version.is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains("nightly") || text.contains("-dev")
    });
    if is_nightly || env::var("RUSTC_BOOTSTRAP").as_deref() == Ok("1") {
        println!("cargo::rustc-cfg=nightly");
    }
}
