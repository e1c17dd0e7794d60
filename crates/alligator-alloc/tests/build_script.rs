//! The build script's choice of the lock, by what the build is told. That the compiled module has one, or none, the
//! tests of the targets look at.

#[expect(dead_code, reason = "cargo runs the rest")]
#[path = "../build.rs"]
mod script;

use script::{Told, may_share_memory};

/// A target without threads.
const SINGLE: &str = "wasm32-unknown-unknown";

fn is_shared(target: &str, features: &str, flags: &[&str]) -> bool {
    may_share_memory(&Told {
        target: target.to_owned(),
        features: features.to_owned(),
        flags: flags.join("\u{1f}"),
    })
}

fn by_flags(flags: &[&str]) -> bool {
    is_shared(SINGLE, "", flags)
}

#[test]
fn without_a_word_of_threads_there_are_none() {
    assert!(!by_flags(&[]));
    assert!(!by_flags(&[
        "-Copt-level=3",
        "-C",
        "target-feature=+simd128"
    ]));
    assert!(!is_shared("wasm32-wasip1", "bulk-memory,simd128", &[]));
}

#[test]
fn a_target_whose_name_ends_in_threads_has_them() {
    assert!(is_shared("wasm32-wasip1-threads", "", &[]));
    assert!(!is_shared("wasm32-threads-none", "", &[]));
}

#[test]
fn a_feature_that_the_compiler_shows_counts() {
    assert!(is_shared(SINGLE, "bulk-memory,atomics,simd128", &[]));
    assert!(!is_shared(SINGLE, "no-atomics,atomics-not", &[]));
}

#[test]
fn a_flag_counts_in_each_way_to_write_it() {
    for flags in [
        &["-Ctarget-feature=+atomics"][..],
        &["-C", "target-feature=+atomics"],
        &["--codegen", "target-feature=+atomics"],
        &["--codegen=target-feature=+atomics"],
        &["-Ctarget-feature=+bulk-memory,+atomics,+simd128"],
        &["-Ctarget-cpu=bleeding-edge"],
        &["-Clink-arg=--shared-memory"],
        &["-C", "link-args=--import-memory --shared-memory"],
    ] {
        assert!(by_flags(flags), "{flags:?}");
    }
}

#[test]
fn what_is_no_flag_does_not_count() {
    for flags in [
        &["--cfg", "target-feature=+atomics"][..],
        &["target-feature=+atomics"],
        &["-Ctarget-feature=+atomics2"],
        &["-Ctarget-cpu=generic"],
    ] {
        assert!(!by_flags(flags), "{flags:?}");
    }
}

#[test]
fn the_last_flag_counts() {
    let (on, off) = ("-Ctarget-feature=+atomics", "-Ctarget-feature=-atomics");
    assert!(by_flags(&[off, on]));
    assert!(!by_flags(&[on, off]));
    assert!(!by_flags(&["-Ctarget-feature=+atomics,-atomics"]));
    assert!(by_flags(&[off, on, "-Ctarget-feature=+simd128"]));
}

#[test]
fn a_flag_counts_more_than_the_target() {
    let off = ["-Ctarget-feature=-atomics"];
    assert!(!is_shared("wasm32-wasip1-threads", "atomics", &off));
    assert!(!by_flags(&[
        "-Ctarget-feature=-atomics",
        "-Ctarget-cpu=bleeding-edge"
    ]));
}

#[test]
fn shared_memory_counts_more_than_a_flag() {
    assert!(by_flags(&[
        "-Ctarget-feature=-atomics",
        "-Clink-arg=--shared-memory"
    ]));
}
