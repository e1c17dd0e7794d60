//! Tells the crate what only the build knows:
//!
//! - `built_for_size`: operations are calls, not copied to where they are used, and tables are short;
//! - `in_place`: parts of operations are not calls: for speed, or so that a thread which is stopped, as it can be only at
//!   a call or in a loop, does not hold the heap's lock then;
//! - `single_thread`: no second thread can reach the module's memory, so a heap needs no lock. A stable compiler hides
//!   the target feature `atomics` from `cfg`, even where it is on, so the target's name and the flags are asked, too.
//!   Without this script, or where it cannot know, there is a lock;
//! - `thread_caches`: the feature `threads` is on, threads can be, and the program can say which of them runs;
//! - `names_threads`: a host whose system says which thread runs, without std;
//! - `nightly`: the compiler takes `#![feature]`;
//! - `std_takes_initial_memory`: std's allocator may use the free part of the initial memory.

use std::env;
use std::process::Command;

/// The first Rust, 1.`N`, whose std may use the initial memory: by dlmalloc 0.2.12 and later.
const TAKES_INITIAL_MEMORY: u32 = 96;

/// Systems of which `src/lock/inside/on.rs` knows how to ask for the thread.
const NAMING: [&str; 9] = [
    "linux", "android", "macos", "ios", "tvos", "freebsd", "netbsd", "openbsd", "windows",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_for_size = matches!(env::var("OPT_LEVEL").as_deref(), Ok("s" | "z"));
    let is_wasm = variable("CARGO_CFG_TARGET_FAMILY").contains("wasm");
    let has_std_heap = is_wasm && variable("CARGO_CFG_TARGET_OS") == "unknown";
    let compiler = Compiler::new();
    let is_single = is_wasm && !may_share_memory(&Told::new());
    let os = variable("CARGO_CFG_TARGET_OS");
    let has_locals = compiler.is_nightly || !matches!(os.as_str(), "none" | "unknown" | "");
    let is_small = has_feature("SMALL") && !has_feature("HARDENED");
    let has_caches = has_feature("THREADS") && !is_single && !is_small && has_locals;
    for (name, holds) in [
        ("built_for_size", is_for_size),
        ("single_thread", is_single),
        ("thread_caches", has_caches),
        ("in_place", !is_for_size || has_caches),
        ("names_threads", !is_wasm && NAMING.contains(&os.as_str())),
        ("nightly", compiler.is_nightly),
        (
            "std_takes_initial_memory",
            has_std_heap && compiler.minor >= TAKES_INITIAL_MEMORY,
        ),
    ] {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if holds {
            println!("cargo::rustc-cfg={name}");
        }
        println!("cargo::metadata={name}={}", u8::from(holds)); // For who depends on it and has a script.
    }
}

/// Whether the crate's feature `name` is on.
fn has_feature(name: &str) -> bool {
    env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
}

/// An environment variable, empty if it is not there.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// What the build is told of threads.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The target's name.
    pub(crate) target: String,
    /// Its features, those that the compiler shows, with commas between.
    pub(crate) features: String,
    /// The compiler's flags, with the character 1F between.
    pub(crate) flags: String,
}

impl Told {
    fn new() -> Self {
        Self {
            target: variable("TARGET"),
            features: variable("CARGO_CFG_TARGET_FEATURE"),
            flags: variable("CARGO_ENCODED_RUSTFLAGS"),
        }
    }
}

/// Whether the module's memory may be shared: what the flags say last of `atomics`, or else what the target has.
pub(crate) fn may_share_memory(told: &Told) -> bool {
    let has_atomics = told.features.split(',').any(|name| name == "atomics");
    let flags: Vec<&str> = told.flags.split('\x1f').collect();
    if flags.iter().any(|flag| flag.contains("--shared-memory")) {
        return true; // An argument of the linker, which would refuse a module without atomics.
    }
    flags_say(&flags).unwrap_or(has_atomics || told.target.ends_with("-threads"))
}

/// What the compiler's `flags` say of `atomics`, if they do.
fn flags_say(flags: &[&str]) -> Option<bool> {
    let options = flags.iter().enumerate().filter_map(|(at, flag)| {
        // `-C option`, `-Coption`, `--codegen option` or `--codegen=option`.
        let joined = flag.strip_prefix("--codegen=").or(flag.strip_prefix("-C"));
        match joined {
            Some("") => flags.get(at + 1).copied(),
            None if *flag == "--codegen" => flags.get(at + 1).copied(),
            _ => joined,
        }
    });
    let mut said = None;
    for option in options {
        if option == "target-cpu=bleeding-edge" {
            said = said.or(Some(true)); // This one has them; a feature's own word counts more.
        }
        let features = option.strip_prefix("target-feature=").unwrap_or_default();
        for feature in features.split(',') {
            said = match feature {
                "+atomics" => Some(true),
                "-atomics" => Some(false),
                _ => said,
            };
        }
    }
    said
}

/// What the compiler says of itself.
struct Compiler {
    /// The `N` of 1.`N`. If it cannot be told, the greatest.
    minor: u32,
    /// Whether it is a nightly one, or made to act as one.
    is_nightly: bool,
}

impl Compiler {
    fn new() -> Self {
        println!("cargo::rerun-if-env-changed=RUSTC_BOOTSTRAP");
        let output = Command::new(variable("RUSTC")).arg("--version").output();
        let text = output.map_or(String::new(), |output| {
            String::from_utf8_lossy(&output.stdout).into_owned()
        });
        let minor = text.split('.').nth(1).and_then(|minor| minor.parse().ok());
        Self {
            minor: minor.unwrap_or(u32::MAX),
            is_nightly: variable("RUSTC_BOOTSTRAP") == "1"
                || text.contains("nightly")
                || text.contains("-dev"),
        }
    }
}
