//! What must hold: of ours, of the weak allocator, and of the judge.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use super::cases::CONTENTS_KNOWN;
use super::program::Class;
use super::report::Report;
use super::search::Tally;
use super::subject::{Allocator, WEAK};
use super::trial::Kind;

/// Fails with every promise that the report does not bear out.
pub(crate) fn check(report: &Report, allocators: &[Allocator]) -> Result<()> {
    let mut broken = Vec::new();
    for allocator in allocators {
        let name = allocator.name;
        let searches = report.searches.iter().filter(|it| it.allocator == name);
        for search in searches {
            let promised = of_class(*allocator, search.class);
            broken.extend(unkept(promised, &search.tally, name, &search.class.name()));
        }
        let cases = report.cases.iter().filter(|it| it.allocator == name);
        for result in cases {
            let promised = of_case(*allocator, result.case);
            broken.extend(unkept(promised, &result.tally, name, result.case));
        }
    }
    broken.extend(missing(report));
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    Ok(())
}

/// What must not be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    /// Neither a primitive nor a hang, nor an access outside the memory.
    Nothing,
    /// No hang, and a primitive in no more than one trial of a thousand.
    Rare,
    NoHang,
    /// Anything goes.
    None,
}

/// What an allocator owes a program with a bug of `class`.
fn of_class(allocator: Allocator, class: Class) -> Promise {
    match class {
        // Without a bug everybody must do everything right.
        Class::None => Promise::Nothing,
        // These are legal calls to every allocator.
        Class::StaleFree if allocator.is_ours() => Promise::NoHang,
        _ if allocator.is_hardened() => Promise::Nothing,
        // Nothing stands beside blocks.
        Class::OffByOne | Class::OffByOneNull if allocator.is_ours() => Promise::Nothing,
        // Nothing stands in freed blocks, but the table of records may come to lie in their memory.
        Class::WriteAfterFree if allocator.is_ours() => Promise::Rare,
        _ if allocator.is_ours() => Promise::NoHang,
        _ => Promise::None,
    }
}

/// What an allocator owes under a known attack.
fn of_case(allocator: Allocator, case: &str) -> Promise {
    let has_no_bug = ["huge sizes and alignments", "calloc overflow"].contains(&case);
    let by_links = [
        "unsafe unlink",
        "house of force",
        "free list poisoning",
        "unsorted bin, house of lore",
        "overlapping chunks",
        "poisoned null byte",
        "house of einherjar",
    ];
    if !allocator.is_ours() {
        return if has_no_bug && allocator != WEAK {
            Promise::Nothing
        } else {
            Promise::None
        };
    }
    let is_promised = has_no_bug || allocator.is_hardened() || by_links.contains(&case);
    if is_promised && case != CONTENTS_KNOWN {
        Promise::Nothing
    } else {
        Promise::NoHang
    }
}

/// A sentence for a promise that is not kept.
fn unkept(promise: Promise, tally: &Tally, allocator: &str, attack: &str) -> Option<String> {
    let (primitives, hangs) = (tally.primitives(), tally.of(Kind::Hang));
    let crashes = tally.of(Kind::Crash);
    let counted = match promise {
        Promise::Nothing => primitives + hangs + crashes,
        Promise::Rare if primitives * 1_000 > tally.trials => primitives + hangs,
        Promise::Rare | Promise::NoHang => hangs,
        Promise::None => 0,
    };
    (counted > 0).then(|| {
        format!(
            "{allocator}, {attack}: {primitives} trials with a primitive, {hangs} hangs, {crashes} crashes"
        )
    })
}

/// Sentences for what the weak allocator should have done and has not: then attacker or judge are weak, too.
fn missing(report: &Report) -> Vec<String> {
    let of_weak = report
        .searches
        .iter()
        .filter(|search| search.allocator == WEAK.name && search.class != Class::None);
    let found: BTreeSet<Kind> = of_weak
        .flat_map(|search| search.tally.found.keys().copied())
        .collect();
    let all = Kind::PRIMITIVES.into_iter().chain([Kind::Hang]);
    all.filter(|kind| !found.contains(kind))
        .map(|kind| format!("no {} was found on the weak allocator", kind.name()))
        .collect()
}
