//! A recipe: what stops a program for lack of memory says why. It needs a nightly compiler, which
//! `cargo xtask test` runs with `--cfg has_alloc_error_hook`.
#![allow(unexpected_cfgs, reason = "a flag of this test's own")]
#![cfg(has_alloc_error_hook)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![feature(alloc_error_hook)]

use std::alloc::System;
use std::process::Command;

use alligator_rt::{Limited, last_failure, permit};

#[global_allocator]
static ALLOCATOR: Limited<System> = Limited::new(System);

const STOPS: &str = "ALLIGATOR_RT_STOPS";

#[test]
fn the_hook_says_why() {
    if std::env::var_os(STOPS).is_some() {
        std::alloc::set_alloc_error_hook(|layout| {
            permit(|| match last_failure() {
                Some(failure) => eprintln!("{failure}"),
                None => eprintln!("no memory for {} bytes", layout.size()),
            });
        });
        ALLOCATOR.set_hard(ALLOCATOR.used() + (1 << 20), 64 << 10);
        drop(std::hint::black_box(vec![1_u8; 2 << 20]));
        unreachable!("there was memory");
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_hook_says_why", "--nocapture"])
        .env(STOPS, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        text.contains("no memory for 2097152 bytes: a limit is reached"),
        "{text}"
    );
}
