//! The rows of `alligator-rt` in `bounds.txt`: each operation of `guests/rt` as an export. And what those cannot reach.

use core::fmt::Write as _;

use alligator_bound::forbid::{Answer, Demand, Forbidden, forbid};
use alligator_bound::report::{EntryReport, Report};
use alligator_bound::{Options as BoundOptions, analyze};
use alligator_tools::guest::{self, Guest};
use anyhow::{Context, Result, anyhow, ensure};

use crate::bounds::{OPERATIONS, add_row};

/// The allocators of the guest: what their exports begin with.
const ALLOCATORS: [&str; 5] = ["bare", "watched", "guarded", "budget", "limited"];

/// Its other operations.
const OTHERS: [&str; 5] = [
    "inside",
    "guard",
    "permitted",
    "deferring_dealloc",
    "collect_8",
];

/// What entering and leaving a guard may cost, in instructions.
const GUARD_MAX: u64 = 12;

/// What a search follows at most: enough to end for all that does not grow.
const STEPS_MAX: u64 = 20_000;

/// What must hold of these exports: whether they reach growth. None waits or has a loop without a bound.
const REACH_GROWTH: [(&str, Answer); 6] = [
    ("bare_alloc", Answer::Reached),
    ("bare_dealloc", Answer::Never),
    ("guarded_alloc", Answer::Reached),
    ("guarded_dealloc", Answer::Never),
    ("collect_8", Answer::Never),
    ("reserved_alloc", Answer::Never),
];

/// Proves the rows and adds them.
pub(crate) fn add_rows(text: &mut String) -> Result<()> {
    let path = guest::build(&Guest {
        crate_dir: &guest::root().join("guests").join("rt"),
        library: "guest_rt",
        features: &["rows"],
        output: "rt-rows",
        profile: None,
        overrides: Vec::new(),
    })?;
    let module = std::fs::read(&path)?;
    let of_allocators = ALLOCATORS
        .iter()
        .flat_map(|allocator| OPERATIONS.map(|(_, operation)| format!("{allocator}_{operation}")));
    let options = BoundOptions {
        entries: of_allocators.chain(OTHERS.map(str::to_owned)).collect(),
        steps_max: STEPS_MAX,
        ..BoundOptions::default()
    };
    let report =
        analyze(&module, &options).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let _ = writeln!(
        text,
        "# guests/rt, the wrappers of alligator-rt, events included; \"bare\" is the heap without one.\n\
         # \"guard\" and \"permitted\" enter and leave around a call of \"inside\"; \"deferring\" puts a free off."
    );
    for entry in &report.entries {
        let of_crate = OTHERS.contains(&entry.name.as_str()) && !entry.name.ends_with("_dealloc");
        let split = entry.name.split_once('_').filter(|_| !of_crate);
        let (build, operation) = split.unwrap_or(("rt", &entry.name));
        add_row(text, build, operation, entry);
    }
    for name in ["guard", "permitted"] {
        // The wrapper's own entry and its call of `inside` are not the guard's.
        let cost = bound(&report, name)? - bound(&report, "inside")? - 2;
        ensure!(
            cost <= GUARD_MAX,
            "{name}: entering and leaving costs {cost}, more than {GUARD_MAX}"
        );
        let _ = writeln!(text, "# {name}, entering and leaving: {cost}");
    }
    check_reach(&module)
}

fn bound(report: &Report, name: &str) -> Result<u64> {
    let mut entries = report.entries.iter();
    let entry: &EntryReport = entries
        .find(|entry| entry.name == name)
        .with_context(|| format!("{name} is not there"))?;
    let figure = entry.without_growth.as_ref();
    let bound = figure.and_then(|figure| figure.bound);
    bound.with_context(|| format!("{name} has no bound"))
}

/// Holds what the exports reach against what they may.
fn check_reach(module: &[u8]) -> Result<()> {
    let demand = Demand {
        forbidden: vec![Forbidden::Grow, Forbidden::Wait, Forbidden::Loop],
        from: REACH_GROWTH.map(|(name, _)| name.to_owned()).to_vec(),
        except: Vec::new(),
    };
    let report =
        forbid(module, &demand, &BoundOptions::default()).map_err(|error| anyhow!("{error}"))?;
    for (origin, (name, growth)) in report.from.iter().zip(REACH_GROWTH) {
        let answers: Vec<Answer> = origin.findings.iter().map(|it| it.answer).collect();
        ensure!(
            answers == [growth, Answer::Never, Answer::Never],
            "{name}: growth, waiting, loops: {answers:?}"
        );
        let chains = &origin.findings[0].reached;
        let ends = chains.iter().filter_map(|chain| chain.last());
        ensure!(
            ends.clone().count() == chains.len()
                && ends.clone().all(|end| end.event == "memory.grow"),
            "{name}: a way does not end where the memory grows"
        );
    }
    Ok(())
}
