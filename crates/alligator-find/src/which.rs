//! Which allocator it is: by names of the functions it is made of, by constants of its code, and for the version by
//! paths that panics leave in the data. What is not sure is unknown.
//!
//! Constants stay where an optimiser moves code and a linker changes indices and addresses: limits of sizes, masks and
//! magic numbers. A fingerprint is all of a set, among all constants of the functions that give memory and take it back,
//! and of what they call. Each was read off modules that are known by other signs, and is in none of the others'
//! (`tests/which.rs`).

use std::collections::BTreeSet;

use wasmparser::Operator;

use crate::calls::Calls;
use crate::heap::{Allocator, HeapFunction};
use crate::module::Module;
use crate::names::Role;

/// Calls from the functions found to those that belong to them, at most.
const DEPTH_MAX: usize = 4;

/// Longest function that is read, in bytes.
const BODY_MAX: u64 = 64 << 10;

/// Longest version, in characters.
const VERSION_MAX: usize = 16;

/// Signs of an allocator.
struct Signs {
    name: &'static str,
    /// A demangled symbol of its functions begins so.
    symbols: &'static [&'static str],
    /// Sets of constants, of which one is enough.
    constants: &'static [&'static [i64]],
    /// Constants that its code does not have.
    without: &'static [i64],
    /// The package whose path its panics have.
    package: Option<&'static str>,
}

const NONE: Signs = Signs {
    name: "unknown",
    symbols: &[],
    constants: &[],
    without: &[],
    package: None,
};

/// What is known, the most particular first.
const KNOWN: &[Signs] = &[
    Signs {
        name: "Alligator 0.1 hardened",
        // The two halves of its poison.
        constants: &[&[71_787_172_829_971_358, -723_401_728_380_766_731]],
        ..NONE
    },
    Signs {
        name: "Alligator 0.1 small",
        symbols: &["alligator_alloc::small::"],
        constants: &[&[512, -1_024, -1_025, 3_072, 1_114_111]],
        ..NONE
    },
    Signs {
        name: "Alligator 0.1 default",
        symbols: &["alligator_alloc::", "<alligator_alloc::"],
        constants: &[&[384, 416, 831, -2_049, 2_049, -131_073]],
        ..NONE
    },
    Signs {
        name: "dlmalloc 2.8.x (C)",
        // The page size's magic number, and the largest small request, for blocks aligned to 8 or to 16.
        constants: &[&[1_431_655_768, 244, -65], &[1_431_655_768, 236, -65]],
        ..NONE
    },
    Signs {
        name: "dlmalloc (Rust port)",
        symbols: &[
            "dlmalloc::dlmalloc::Dlmalloc",
            "<dlmalloc::dlmalloc::Dlmalloc",
        ],
        // The smallest request that is not small, and the threshold of trimming; or the largest request of all.
        constants: &[&[245, 256, 2_097_152, 31, -8], &[-65_587, 65_583, 31, -8]],
        without: &[1_431_655_768],
        package: Some("dlmalloc"),
    },
    Signs {
        name: "talc 5",
        constants: &[&[-65_264, -65_520, -65_532, 65_551, 257, 258]],
        ..NONE
    },
    Signs {
        name: "talc",
        symbols: &["talc::", "<talc::"],
        package: Some("talc"),
        ..NONE
    },
    Signs {
        name: "wasmalloc",
        symbols: &["wasmalloc::"],
        constants: &[&[72_340_172_838_076_673, 1_229_782_938_247_303_441]],
        ..NONE
    },
    Signs {
        name: "rlsf",
        symbols: &["rlsf::", "<rlsf::"],
        package: Some("rlsf"),
        ..NONE
    },
    Signs {
        name: "wee_alloc",
        symbols: &["wee_alloc::", "<wee_alloc::"],
        package: Some("wee_alloc"),
        ..NONE
    },
    Signs {
        name: "lol_alloc",
        symbols: &["lol_alloc::", "<lol_alloc::"],
        package: Some("lol_alloc"),
        ..NONE
    },
    Signs {
        name: "buddy-alloc",
        symbols: &["buddy_alloc::", "<buddy_alloc::"],
        package: Some("buddy-alloc"),
        ..NONE
    },
    Signs {
        name: "mimalloc",
        symbols: &["mi_malloc", "mi_heap_malloc", "_mi_malloc_generic"],
        ..NONE
    },
    Signs {
        name: "emmalloc",
        symbols: &["emmalloc_"],
        ..NONE
    },
];

/// Recognises the allocator that functions belong to.
pub(crate) fn recognised(
    bytes: &[u8],
    module: &Module<'_>,
    calls: &Calls,
    functions: &[HeapFunction],
) -> Allocator {
    let parts = parts(module, calls, functions);
    let names: Vec<String> = parts
        .iter()
        .map(|part| module.display_name(*part))
        .collect();
    let constants: BTreeSet<i64> = parts
        .iter()
        .flat_map(|part| constants(module, *part))
        .collect();
    for signs in KNOWN {
        let mut evidence = Vec::new();
        let is_ours = |name: &&String| signs.symbols.iter().any(|start| name.starts_with(start));
        evidence.extend(
            names
                .iter()
                .find(is_ours)
                .map(|name| format!("its function {name}")),
        );
        let has_all = |set: &&&[i64]| set.iter().all(|constant| constants.contains(constant));
        let excluded = signs
            .without
            .iter()
            .any(|constant| constants.contains(constant));
        if let Some(set) = signs.constants.iter().find(has_all).filter(|_| !excluded) {
            let set: Vec<String> = set.iter().map(ToString::to_string).collect();
            evidence.push(format!("constants of its code: {}", set.join(", ")));
        }
        if evidence.is_empty() {
            continue;
        }
        let version = signs.package.and_then(|package| version(bytes, package));
        evidence.extend(
            version
                .as_ref()
                .map(|version| format!("a path of version {version}")),
        );
        let name = match version {
            Some(version) => format!("{} {version}", signs.name),
            None => signs.name.to_owned(),
        };
        return Allocator { name, evidence };
    }
    Allocator {
        name: NONE.name.to_owned(),
        evidence: Vec::new(),
    }
}

/// The functions that give memory and take it back, and what they call.
fn parts(module: &Module<'_>, calls: &Calls, functions: &[HeapFunction]) -> BTreeSet<u32> {
    let is_main = |function: &&HeapFunction| {
        matches!(function.role, Role::Alloc | Role::Dealloc | Role::Realloc)
    };
    let main = functions.iter().filter(is_main);
    let mut level: BTreeSet<u32> = main.map(|function| function.function).collect();
    let mut parts = BTreeSet::new();
    for _ in 0..=DEPTH_MAX {
        level.retain(|function| {
            let body = module.functions[*function as usize].body.as_ref();
            body.is_some_and(|body| body.range().end - body.range().start <= BODY_MAX)
        });
        parts.extend(&level);
        let callees = level
            .iter()
            .filter_map(|function| calls.callees.get(function));
        level = callees
            .flatten()
            .copied()
            .filter(|callee| !parts.contains(callee))
            .collect();
    }
    parts
}

fn constants(module: &Module<'_>, function: u32) -> BTreeSet<i64> {
    let body = module.functions[function as usize].body.as_ref();
    let operators = body.and_then(|body| body.get_operators_reader().ok());
    let operators = operators.into_iter().flatten().map_while(Result::ok);
    operators
        .filter_map(|operator| match operator {
            Operator::I32Const { value } => Some(i64::from(value)),
            Operator::I64Const { value } => Some(value),
            _ => None,
        })
        .collect()
}

/// The version of a package by a path of its sources, as `dlmalloc-0.2.8/src`, if there is one only.
fn version(bytes: &[u8], package: &str) -> Option<String> {
    let start = format!("/{package}-");
    let mut versions = BTreeSet::new();
    for (at, _) in bytes
        .windows(start.len())
        .enumerate()
        .filter(|(_, window)| *window == start.as_bytes())
    {
        let rest = &bytes[at + start.len()..];
        let rest = &rest[..rest.len().min(VERSION_MAX + 4)];
        let text = core::str::from_utf8(rest).unwrap_or_default();
        let found = text.split_once("/src").map(|(version, _)| version);
        let is_version = |version: &&str| {
            version.split('.').count() == 3
                && version.chars().all(|c| c.is_ascii_digit() || c == '.')
        };
        versions.extend(found.filter(is_version).map(str::to_owned));
    }
    let first = versions.pop_first()?;
    versions.is_empty().then_some(first)
}
