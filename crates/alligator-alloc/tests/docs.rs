//! The pages of docs.rs: they build there, and say of each item which feature it needs. With nightly Rust, as there.

#![cfg(all(target_os = "linux", not(miri)))]
#![allow(clippy::std_instead_of_core, reason = "tests have std")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The value of `key`, a list, in what Cargo.toml says for docs.rs.
fn listed(manifest: &str, key: &str) -> Vec<String> {
    let (_, section) = manifest
        .split_once("[package.metadata.docs.rs]")
        .expect("what docs.rs reads");
    let line = section
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .expect("a list");
    let items = line.split('"').skip(1).step_by(2);
    items.map(str::to_owned).collect()
}

/// Documents this crate for the host as docs.rs does. None without a nightly compiler.
fn build(features: &[String]) -> Option<PathBuf> {
    let rustup = |arguments: &[&str]| {
        let mut command = Command::new("rustup");
        command.args(["run", "nightly"]).args(arguments);
        // This test's compiler is another.
        for variable in ["RUSTC", "RUSTDOC", "CARGO", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(variable);
        }
        command
    };
    let has_nightly = rustup(&["rustc", "--version"]).output();
    if !has_nightly.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docs");
    let output = rustup(&["cargo", "doc", "--no-deps", "--lib", "--quiet"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--features", &features.join(",")])
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", "--cfg docsrs")
        .env("RUSTDOCFLAGS", "--cfg docsrs -D warnings")
        .output()
        .expect("cargo starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(target.join("doc/alligator_alloc"))
}

/// A page without its tags.
fn text(page: &Path) -> String {
    let html = fs::read_to_string(page).expect("the page");
    let tags = html.split('<').map(|part| match part.split_once('>') {
        Some((_, text)) => text,
        None => part,
    });
    tags.collect()
}

#[test]
fn the_pages_of_docs_rs_say_which_feature_an_item_needs() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = fs::read_to_string(manifest).expect("the manifest");
    let features = listed(&manifest, "features");
    let Some(pages) = build(&features) else {
        return println!("no nightly compiler");
    };
    for (page, feature) in [
        ("struct.Metrics.html", "metrics"),
        ("enum.Piece.html", "check"),
        ("enum.Invariant.html", "check"),
        ("struct.ReservedHeap.html", "threads"),
        ("fn.alligator_thread_id.html", "threads"),
    ] {
        let label = format!("Available on crate feature {feature} only");
        assert!(text(&pages.join(page)).contains(&label), "{page}: {label}");
    }
    let allocator = text(&pages.join("struct.AlligatorAlloc.html"));
    for feature in ["metrics", "check", "allocator-api2", "threads"] {
        assert!(features.iter().any(|it| it == feature), "{feature}");
        let label = format!("Available on crate feature {feature} only");
        assert!(allocator.contains(&label), "AlligatorAlloc: {label}");
    }
}

/// What the build script finds out, and what features take away, is no label.
#[test]
fn no_label_is_of_what_a_user_cannot_turn_on() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = fs::read_to_string(manifest).expect("the manifest");
    let Some(pages) = build(&listed(&manifest, "features")) else {
        return println!("no nightly compiler");
    };
    for entry in fs::read_dir(pages).expect("the pages") {
        let path = entry.expect("a page").path();
        if path.extension().is_some_and(|it| it == "html") {
            let text = text(&path);
            for word in [
                "Available on non-",
                "Available on thread",
                "Available on single",
            ] {
                assert!(!text.contains(word), "{}: {word}", path.display());
            }
        }
    }
}
