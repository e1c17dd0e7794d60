//! `cargo xtask mutants`: plants one fault at a time in a copy of the allocator and runs its tests, which must
//! notice.
//!
//! The faults are in `xtask/mutants.toml`. The record of a whole run is `docs/mutants.md`.

mod copy;
mod record;
mod trial;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use alligator_tools::guest;
use alligator_tools::guest::WASI;
use copy::Copy;
use trial::Outcome;

/// Which faults to plant.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Only the faults whose names contain this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only the few that `cargo xtask test` plants
    #[arg(long)]
    short: bool,
    /// Write docs/mutants.md (all faults)
    #[arg(long)]
    record: bool,
    /// Seconds that the tests may take with a fault planted
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    seconds: u64,
}

impl Options {
    /// The few that `cargo xtask test` plants.
    pub(crate) fn short() -> Self {
        Self {
            only: None,
            short: true,
            record: false,
            seconds: 300,
        }
    }
}

/// One fault.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    name: String,
    /// In `crates/alligator-alloc/src`.
    file: String,
    /// What it breaks, in words.
    breaks: String,
    find: String,
    replace: String,
    /// The tests that are run first.
    #[serde(default)]
    suite: Suite,
    /// Whether `cargo xtask test` plants it.
    #[serde(default)]
    short: bool,
    /// Why no test can notice it.
    equivalent: Option<String>,
}

/// Tests of the allocator.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Suite {
    /// `tests/suite` on the host.
    #[default]
    Host,
    /// The unit tests.
    Units,
    /// `tests/by_address.rs`.
    ByAddress,
    /// `tests/allocator_api.rs`.
    AllocatorApi,
    /// `tests/metrics.rs`.
    Metrics,
    /// `tests/build_script.rs`.
    BuildScript,
    /// `tests/threads`, with the feature `threads`.
    Threads,
    /// `tests/suite` on wasm32-wasip1.
    Wasi,
    /// `guests/tests` on wasm32-unknown-unknown.
    Guests,
    /// `tests/suite` on the host, with the feature `small`.
    Small,
    /// The unit tests, with the feature `small`.
    SmallUnits,
    /// `tests/by_address.rs`, with the feature `small`.
    SmallByAddress,
    /// `tests/hardened.rs`, with the feature `hardened`.
    Hardened,
    /// The unit tests, with the feature `hardened`.
    HardenedUnits,
    /// `tests/suite` on the host, with the feature `hardened`: right programs, which go on.
    HardenedHost,
}

impl Suite {
    /// Those run when the fault's own has not noticed.
    const OTHERS: [Self; 5] = [
        Self::Host,
        Self::Units,
        Self::ByAddress,
        Self::AllocatorApi,
        Self::Metrics,
    ];
    /// The same for a fault in the small heap.
    const OTHERS_SMALL: [Self; 3] = [Self::Small, Self::SmallUnits, Self::SmallByAddress];
    /// The same for a fault in what the feature `hardened` adds.
    const OTHERS_HARDENED: [Self; 2] = [Self::Hardened, Self::HardenedUnits];

    /// The same for a fault in what the feature `threads` adds.
    const OTHERS_THREADS: [Self; 1] = [Self::Threads];

    /// Those run when this one has not noticed.
    fn others(self) -> &'static [Self] {
        let groups: [&'static [Self]; 3] = [
            &Self::OTHERS_SMALL,
            &Self::OTHERS_HARDENED,
            &Self::OTHERS_THREADS,
        ];
        let own = groups.into_iter().find(|group| group.contains(&self));
        own.unwrap_or(&Self::OTHERS)
    }

    /// Whether tests panic that pass: then only libtest knows which have failed.
    fn panics_when_passed(self) -> bool {
        self == Self::Units || Self::OTHERS_HARDENED.contains(&self)
    }
}

#[derive(Deserialize)]
struct File {
    fault: Vec<Fault>,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let faults = read()?;
    let only = options.only.as_deref().unwrap_or_default();
    let chosen = faults
        .iter()
        .filter(|fault| fault.name.contains(only) && (fault.short || !options.short));
    let chosen: Vec<&Fault> = chosen.collect();
    ensure!(!chosen.is_empty(), "no fault has {only:?} in its name");
    for target in [guest::TARGET, WASI] {
        guest::ensure_target(target)?;
    }
    let copy = Copy::make()?;
    for suite in suites_of(&chosen) {
        let outcome = trial::run(&copy, suite, options.seconds)?;
        ensure!(outcome == Outcome::Passed, "without a fault: {outcome}");
    }
    let mut results = Vec::new();
    for fault in &chosen {
        copy.plant(fault)?;
        let outcome = outcome_of(&copy, fault, options)?;
        copy.restore(fault)?;
        println!("{}: {outcome}", fault.name);
        results.push((*fault, outcome));
    }
    if options.record && only.is_empty() && !options.short {
        record::write(&results)?;
    }
    verdict(&results)
}

/// The list of faults, each of which can be planted.
fn read() -> Result<Vec<Fault>> {
    let path = guest::root().join("xtask").join("mutants.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let File { fault: faults } = toml::from_str(&text)?;
    for fault in &faults {
        let file = guest::root()
            .join("crates/alligator-alloc/src")
            .join(&fault.file);
        let source = std::fs::read_to_string(&file)
            .with_context(|| format!("{}: {}", fault.name, file.display()))?;
        let times = source.matches(&fault.find).count();
        ensure!(
            times == 1,
            "{}: its text occurs {times} times in {}",
            fault.name,
            fault.file
        );
    }
    Ok(faults)
}

fn suites_of(faults: &[&Fault]) -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    for fault in faults {
        if !suites.contains(&fault.suite) {
            suites.push(fault.suite);
        }
    }
    suites
}

/// What the fault's own tests say, and if that is nothing, the others.
fn outcome_of(copy: &Copy, fault: &Fault, options: &Options) -> Result<Outcome> {
    let mut suites = vec![fault.suite];
    suites.extend(
        fault
            .suite
            .others()
            .iter()
            .copied()
            .filter(|&suite| suite != fault.suite),
    );
    for suite in suites {
        let outcome = trial::run(copy, suite, options.seconds)?;
        if outcome != Outcome::Passed {
            return Ok(outcome);
        }
    }
    Ok(Outcome::Passed)
}

fn verdict(results: &[(&Fault, Outcome)]) -> Result<()> {
    let survived = results
        .iter()
        .filter(|(_, outcome)| *outcome == Outcome::Passed);
    let (equivalent, missed): (Vec<_>, Vec<_>) = survived
        .map(|(fault, _)| *fault)
        .partition(|fault| fault.equivalent.is_some());
    println!(
        "{} faults: {} caught, {} cannot be noticed, {} missed",
        results.len(),
        results.len() - equivalent.len() - missed.len(),
        equivalent.len(),
        missed.len()
    );
    if !missed.is_empty() {
        let names: Vec<&str> = missed.iter().map(|fault| fault.name.as_str()).collect();
        bail!("no test notices: {}", names.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_can_be_planted_and_every_module_has_one() -> Result<()> {
        let faults = read()?;
        for module in [
            "units",
            "size_class",
            "records",
            "mini_page",
            "mini_page/magazine",
            "mini_page/hardened",
            "runs",
            "runs/grow",
            "runs/hardened",
            "heap",
            "heap/room",
            "heap/hardened",
            "policy",
            "source/range",
            "source/wasm",
            "source/wasm/host",
            "source/arena",
            "value",
            "lock",
            "global",
            "by_address",
            "small",
            "small/sizes",
            "small/headers",
            "small/runs",
            "small/grow",
            "../build",
        ] {
            let file = format!("{module}.rs");
            assert!(
                faults.iter().any(|fault| fault.file == file),
                "no fault in {file}"
            );
        }
        assert!(faults.iter().any(|fault| fault.short));
        Ok(())
    }
}
