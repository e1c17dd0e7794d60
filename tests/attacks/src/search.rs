//! Runs many programs and counts how they ended.

use std::collections::BTreeMap;
use std::thread;

use anyhow::{Result, anyhow};
use serde::Serialize;

use super::cases::Case;
use super::generate;
use super::minimise::minimise;
use super::program::{Action, Class, Program};
use super::subject::Subject;
use super::trial::{self, End, Kind};

/// What the numbers of faults mean that a hardened heap leaves behind, from 1 on.
const FAULTS: [&str; 6] = [
    "double free",
    "not a block",
    "foreign",
    "wrong layout",
    "write after free",
    "corrupted",
];

/// How trials ended. Every trial is in one of the counts, or harmless.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Tally {
    pub(crate) trials: u64,
    /// Trials in which something was found, by what it was.
    pub(crate) found: BTreeMap<Kind, u64>,
    /// Stopped by the allocator.
    pub(crate) stopped: u64,
    /// Of these, by the fault that it named.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// The number of the first program that gave each kind.
    #[serde(skip)]
    pub(crate) first: BTreeMap<Kind, u64>,
}

impl Tally {
    fn add(&mut self, index: u64, end: &End) {
        self.trials += 1;
        match end {
            End::Harmless => {}
            End::Found(found) => {
                *self.found.entry(found.kind).or_default() += 1;
                self.first.entry(found.kind).or_insert(index);
            }
            End::Stopped(fault) => {
                self.stopped += 1;
                if let Some(fault) = fault {
                    let name = FAULTS.get((fault - 1) as usize).unwrap_or(&"unknown");
                    *self.faults.entry(name).or_default() += 1;
                }
            }
        }
    }

    /// Adds the trials of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.trials += other.trials;
        self.stopped += other.stopped;
        for (&kind, count) in &other.found {
            *self.found.entry(kind).or_default() += count;
        }
        for (&fault, count) in &other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        for (&kind, &index) in &other.first {
            let first = self.first.entry(kind).or_insert(index);
            *first = index.min(*first);
        }
    }

    /// Trials with a primitive of any kind.
    pub(crate) fn primitives(&self) -> u64 {
        Kind::PRIMITIVES.map(|kind| self.of(kind)).iter().sum()
    }

    /// Trials with a finding of this kind.
    pub(crate) fn of(&self, kind: Kind) -> u64 {
        self.found.get(&kind).copied().unwrap_or(0)
    }
}

/// Runs the first `trials` random programs of a class, on `jobs` threads. The same seed gives the same counts,
/// however many threads there are.
pub(crate) fn random(
    subject: &Subject,
    class: Class,
    seed: u64,
    trials: u64,
    jobs: u64,
) -> Result<Tally> {
    let part = |job: u64| -> Result<Tally> {
        let mut tally = Tally::default();
        for index in (job..trials).step_by(usize::try_from(jobs)?) {
            let program = generate::program(seed, class, index);
            tally.add(index, &trial::run(subject, &program)?);
        }
        Ok(tally)
    };
    thread::scope(|scope| {
        let part = &part;
        let threads: Vec<_> = (0..jobs)
            .map(|job| scope.spawn(move || part(job)))
            .collect();
        let mut all = Tally::default();
        for thread in threads {
            let tally = thread.join().map_err(|_| anyhow!("a trial panicked"))??;
            all.merge(&tally);
        }
        Ok(all)
    })
}

/// Runs all variants of a known attack.
pub(crate) fn case(subject: &Subject, case: &Case) -> Result<Tally> {
    let mut tally = Tally::default();
    for (index, program) in (0..).zip(&case.variants) {
        tally.add(index, &trial::run(subject, program)?);
    }
    Ok(tally)
}

/// A program that makes the allocator do something, as short as we can make it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    pub(crate) what: String,
    /// The program, an action a line.
    pub(crate) program: Vec<String>,
}

/// For each kind in `tally`, the first program that gave it, minimised.
pub(crate) fn findings(
    subject: &Subject,
    tally: &Tally,
    program: impl Fn(u64) -> Program,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (&kind, &index) in &tally.first {
        if let Some((program, found)) = minimise(subject, &program(index), kind)? {
            findings.push(Finding {
                kind,
                what: found.what,
                program: lines(&program),
            });
        }
    }
    Ok(findings)
}

/// A program, an action a line. Blocks of one layout that are allocated one after the other share a line.
fn lines(program: &Program) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = program.as_slice();
    while let Some(first) = rest.first() {
        let alike = rest
            .windows(2)
            .take_while(|pair| is_next(&pair[0], &pair[1]))
            .count();
        let (row, after) = rest.split_at(alike + 1);
        rest = after;
        lines.push(match (first, row.last()) {
            (Action::Allocate { block, .. }, Some(Action::Allocate { block: last, .. }))
                if block != last =>
            {
                let of_one = first.to_string();
                let request = of_one.split_once(" = ").map_or("", |(_, request)| request);
                format!("b{block} to b{last} = {request} each")
            }
            _ => first.to_string(),
        });
    }
    lines
}

/// Whether `second` allocates the block after that of `first`, of the same layout.
fn is_next(first: &Action, second: &Action) -> bool {
    let mut expected = first.clone();
    if let Action::Allocate { block, .. } = &mut expected {
        *block += 1;
        return expected == *second;
    }
    false
}
