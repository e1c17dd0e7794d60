//! What is run, how often and how long, and what came of it.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::host::{Host, Memory, OWN, Outcome, SPIN, THREADS, words};
use crate::progress;
use crate::stats::{self, median};

/// A program, and the threads and steps of its runs.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) runs: &'static [(u32, u32)],
}

/// In the order of the tables. With more threads than processors each does less.
pub(super) const PROGRAMS: [Program; 8] = [
    program("pair", &[(1, 2_000_000), (2, 2_000_000), (4, 1_000_000)]),
    program("local", &[(1, 500_000), (2, 500_000), (4, 250_000)]),
    program(LARSON, &[(1, 500_000), (2, 500_000), (4, 250_000)]),
    program("xmalloc", &[(2, 20_000), (4, 5_000)]), // Needs somebody who gives back.
    program("handover", &[(1, 500_000), (2, 500_000), (4, 250_000)]),
    program("thrash", &[(1, 1_000_000), (2, 1_000_000), (4, 500_000)]),
    program(BURSTS, &[(2, 5_000), (4, 3_000)]), // Needs somebody beside it.
    program(CHURN, &[]),                        // Of this, only pages.
];

pub(super) const LARSON: &str = "larson";
pub(super) const BURSTS: &str = "bursts";
pub(super) const CHURN: &str = "churn";

/// Threads that all end, one after the other: few of them, and many.
pub(super) const ENDS: [u32; 2] = [10, 10_000];

/// Workers that have such threads.
pub(super) const WORKERS: [u32; 2] = [1, 4];

/// Steps of the run that counts pages of larson.
const LARSON_STEPS: u32 = 250_000;

/// Parts of a run, of which the one before all that count makes one.
const PARTS: u32 = 25;

const fn program(name: &'static str, runs: &'static [(u32, u32)]) -> Program {
    Program { name, runs }
}

/// A program, its threads, and the place of an allocator.
type Key = (&'static str, u32, usize);

/// All outcomes.
#[derive(Default)]
pub(super) struct Outcomes {
    times: BTreeMap<Key, Vec<Outcome>>,
    /// Pages of larson.
    larson: BTreeMap<usize, Vec<Outcome>>,
    /// Pages of churn, by workers: after few threads, and after many.
    churn: BTreeMap<(u32, usize), Vec<[Outcome; 2]>>,
}

impl Outcomes {
    /// Makes `rounds` rounds of the programs that are `wanted` on these of the allocators; in each, one after the other,
    /// another first.
    pub(super) fn of(
        host: &Host,
        rounds: u32,
        subjects: &[usize],
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let mut all = Self::default();
        for round in 0..rounds {
            let mut order = subjects.to_vec();
            order.rotate_left(round as usize % subjects.len());
            for program in PROGRAMS.iter().filter(|one| wanted(one.name)) {
                let name = format!("round {} of {rounds}: {}", round + 1, program.name);
                progress::step(&name, || {
                    let mut subjects = order.iter();
                    subjects.try_for_each(|&subject| all.run(host, subject, round + 1, program))
                })?;
            }
        }
        Ok(all)
    }

    /// Runs a program with all numbers of threads on one allocator.
    fn run(&mut self, host: &Host, subject: usize, seed: u32, program: &Program) -> Result<()> {
        let name = program.name;
        let gives_to_others = name == "xmalloc";
        if let Some(&(threads, steps)) = program.runs.first()
            && !(subject == OWN && gives_to_others)
        {
            // The first has V8 compile, and counts for nothing.
            let mut runs = vec![words(name, threads, steps / PARTS)];
            runs.extend(
                program
                    .runs
                    .iter()
                    .map(|&(threads, steps)| words(name, threads, steps)),
            );
            let outcomes = host.run(subject, Memory::Reserved, seed, &runs)?;
            for (&(threads, _), outcome) in program.runs.iter().zip(&outcomes[1..]) {
                self.times
                    .entry((name, threads, subject))
                    .or_default()
                    .push(*outcome);
            }
        }
        if name == LARSON && subject != OWN {
            let run = [words(LARSON, 4, LARSON_STEPS)];
            let outcomes = host.run(subject, Memory::Counted, seed, &run)?;
            self.larson.entry(subject).or_default().extend(outcomes);
        }
        if name == CHURN && [THREADS, SPIN].contains(&subject) {
            for workers in WORKERS {
                let runs = ENDS.map(|ends| words(CHURN, workers, ends));
                let outcomes = host.run(subject, Memory::Counted, seed, &runs)?;
                let entry = self.churn.entry((workers, subject)).or_default();
                entry.push([outcomes[0], outcomes[1]]);
            }
        }
        Ok(())
    }

    /// The median over the rounds.
    pub(super) fn median(&self, key: Key, figure: impl Fn(&Outcome) -> f64) -> Option<f64> {
        median_of(self.times.get(&key)?, figure)
    }

    /// Millions of operations in a second.
    pub(super) fn throughput(&self, key: Key) -> Option<f64> {
        self.median(key, |one| {
            stats::float(one.operations) / one.milliseconds / 1e3
        })
    }

    pub(super) fn visits(&self, program: &'static str, threads: u32) -> Option<f64> {
        let key = (program, threads, THREADS);
        self.median(key, Outcome::visits_per_thousand)
    }

    /// Each of p50, p99, p99.9 and the most, in microseconds.
    pub(super) fn bursts(&self, threads: u32, subject: usize) -> Option<[f64; 4]> {
        let outcomes = self.times.get(&(BURSTS, threads, subject))?;
        let times: Vec<_> = outcomes.iter().filter_map(|one| one.bursts).collect();
        let at = |place: usize| median_of(&times, |one| one.microseconds()[place]);
        Some([at(0)?, at(1)?, at(2)?, at(3)?])
    }

    pub(super) fn larson_pages(&self, subject: usize) -> Option<f64> {
        median_of(self.larson.get(&subject)?, |one| stats::float(one.pages))
    }

    pub(super) fn churn_pages(&self, workers: u32, subject: usize) -> Option<[f64; 2]> {
        let outcomes = self.churn.get(&(workers, subject))?;
        let at = |place: usize| median_of(outcomes, |one| stats::float(one[place].pages));
        Some([at(0)?, at(1)?])
    }
}

fn median_of<T>(all: &[T], figure: impl Fn(&T) -> f64) -> Option<f64> {
    median(&all.iter().map(figure).collect::<Vec<_>>())
}

/// What holds on any machine, however busy it is; that no block was damaged, each run has found out.
pub(super) fn check(outcomes: &Outcomes) -> Result<()> {
    let limits = [
        (
            "larson, 1 thread: lock visits per 1,000",
            5.0,
            outcomes.visits(LARSON, 1),
        ),
        (
            "larson, 4 threads: pages over the spin lock's",
            1.35,
            larson_ratio(outcomes),
        ),
        (
            "pages after 10,000 threads over those after 10",
            1.05,
            churn_ratio(outcomes, 1),
        ),
        // A page more, which not always the same threads need at the same time, is more than 1.05.
        (
            "the same in each of four workers",
            1.1,
            churn_ratio(outcomes, 4),
        ),
    ];
    for (what, limit, figure) in limits {
        let Some(figure) = figure else { continue };
        println!("{what}: {figure:.2}, at most {limit}");
        ensure!(figure <= limit, "{what}: {figure:.2}, more than {limit}");
    }
    Ok(())
}

/// What larson takes beyond the initial memory, over the same behind a spin lock.
pub(super) fn larson_ratio(outcomes: &Outcomes) -> Option<f64> {
    let grown =
        |subject| Some(outcomes.larson_pages(subject)? - stats::float(super::host::INITIAL_PAGES));
    Some(grown(THREADS)? / grown(SPIN)?)
}

/// Pages after many threads over those after few.
pub(super) fn churn_ratio(outcomes: &Outcomes, workers: u32) -> Option<f64> {
    let [few, many] = outcomes.churn_pages(workers, THREADS)?;
    Some(many / few)
}
