//! One table for each question.

use super::host::{Bursts, DLMALLOC, INITIAL_PAGES, OWN, SPIN, SUBJECTS, THREADS};
use super::programs::{BURSTS, CHURN, ENDS, LARSON, Outcomes, PROGRAMS, WORKERS};
use super::programs::{churn_ratio, larson_ratio};
use super::sizes::Sizes;
use crate::stats;
use crate::table::{Cell, Table};

/// Each table with what it says, if anything of it was measured.
pub(super) fn all(outcomes: &Outcomes, sizes: Option<&Sizes>) -> Vec<(String, Table)> {
    let pages_heading = format!("Pages, the {INITIAL_PAGES} of stack and statics included");
    let mut all = vec![
        ("Against the goals".to_owned(), goals(outcomes, sizes)),
        (
            "Millions of operations in a second".to_owned(),
            throughput(outcomes),
        ),
        (
            "Bursts of 20 blocks, microseconds".to_owned(),
            bursts(outcomes),
        ),
        (
            "Lock visits per 1,000 operations".to_owned(),
            visits(outcomes),
        ),
        (pages_heading, pages(outcomes)),
    ];
    if let Some(sizes) = sizes {
        let heading = "Code of a module with `alloc`, `dealloc` and `realloc`, bytes";
        all.push((heading.to_owned(), sizes.table()));
    }
    all.retain(|(_, table)| !table.is_empty());
    all
}

/// A row, if it was measured.
fn row<const N: usize>(table: &mut Table, label: &str, figures: [Option<f64>; N], digits: usize) {
    if figures.iter().any(Option::is_some) {
        table.labelled(label, figures.map(|figure| Cell::Number(figure, digits)));
    }
}

/// The figures that the feature is to reach.
fn goals(outcomes: &Outcomes, sizes: Option<&Sizes>) -> Table {
    let time = |program, threads, subject| {
        outcomes.median((program, threads, subject), |one| one.milliseconds)
    };
    let over = |above: Option<f64>, below: Option<f64>| Some(above? / below?);
    let mut table = Table::new(["figure", "measured", "goal"]);
    let mut goal = |label: &str, figure, goal| row(&mut table, label, [figure, goal], 2);
    for program in ["pair", "local"] {
        let ratio = over(time(program, 1, THREADS), time(program, 1, OWN));
        goal(
            &format!("{program}, 1 thread: time over the single-threaded build's"),
            ratio,
            Some(1.25),
        );
    }
    let speed = |threads| outcomes.throughput(("local", threads, THREADS));
    goal(
        "local, 2 threads: throughput over 1 thread's",
        over(speed(2), speed(1)),
        Some(1.8),
    );
    for (subject, most) in [(SPIN, 0.6), (DLMALLOC, 0.12)] {
        let ratio = over(time(LARSON, 2, THREADS), time(LARSON, 2, subject));
        let label = format!("larson, 2 threads: time over {}'s", SUBJECTS[subject].name);
        goal(&label, ratio, Some(most));
    }
    let bursts = [THREADS, OWN].map(|subject| outcomes.bursts(4, subject));
    for (place, name) in Bursts::NAMES.iter().enumerate() {
        let [ours, own] = bursts.map(|times| Some(times?[place]));
        let most = (*name == "p99.9").then_some(2.0);
        goal(
            &format!("bursts beside 3 others: {name} over own heaps'"),
            over(ours, own),
            most,
        );
    }
    for threads in [1, 2, 4] {
        let label = format!("larson: lock visits per 1,000 operations, threads: {threads}");
        goal(&label, outcomes.visits(LARSON, threads), Some(5.0));
    }
    let label = "larson, 4 threads: pages beyond the initial ones over spin lock's";
    goal(label, larson_ratio(outcomes), Some(1.35));
    goal(
        "churn: pages after 10,000 threads over those after 10",
        churn_ratio(outcomes, 1),
        Some(1.05),
    );
    if let Some(sizes) = sizes {
        let added = sizes.added_for_size().map(stats::float);
        row(
            &mut table,
            "code of it at `opt-level = \"z\"`, `wasm-opt -Oz`, bytes",
            [added, Some(2500.0)],
            0,
        );
    }
    table
}

/// The programs that are timed, with their threads.
fn timed() -> impl Iterator<Item = (&'static str, u32)> {
    let runs = PROGRAMS.iter().filter(|program| program.name != BURSTS);
    runs.flat_map(|program| {
        program
            .runs
            .iter()
            .map(|&(threads, _)| (program.name, threads))
    })
}

fn names() -> impl Iterator<Item = &'static str> {
    SUBJECTS.iter().map(|subject| subject.name)
}

fn throughput(outcomes: &Outcomes) -> Table {
    let mut table = Table::new(core::iter::once("program, threads").chain(names()));
    for (program, threads) in timed() {
        let figures: [_; SUBJECTS.len()] =
            core::array::from_fn(|subject| outcomes.throughput((program, threads, subject)));
        row(&mut table, &format!("{program}, {threads}"), figures, 2);
    }
    table
}

fn bursts(outcomes: &Outcomes) -> Table {
    let mut table = Table::new(core::iter::once("allocator, others").chain(Bursts::NAMES));
    for threads in [2, 4] {
        for (subject, name) in names().enumerate() {
            let times = outcomes.bursts(threads, subject);
            let figures = core::array::from_fn::<_, 4, _>(|place| Some(times?[place]));
            row(&mut table, &format!("{name}, {}", threads - 1), figures, 1);
        }
    }
    table
}

fn visits(outcomes: &Outcomes) -> Table {
    let mut table = Table::new(["program", "1 thread", "2 threads", "4 threads"]);
    for program in &PROGRAMS {
        let figures = [1, 2, 4].map(|threads| outcomes.visits(program.name, threads));
        row(&mut table, program.name, figures, 2);
    }
    table
}

fn pages(outcomes: &Outcomes) -> Table {
    let shared = names().take(OWN);
    let mut table = Table::new(core::iter::once("program").chain(shared));
    let larson: [_; OWN] = core::array::from_fn(|subject| outcomes.larson_pages(subject));
    row(&mut table, "larson, 4 threads", larson, 0);
    for workers in WORKERS {
        for (place, ends) in ENDS.iter().enumerate() {
            let after = |subject| Some(outcomes.churn_pages(workers, subject)?[place]);
            let label = format!("{CHURN}, {workers} × {ends} threads");
            row(
                &mut table,
                &label,
                core::array::from_fn::<_, OWN, _>(after),
                0,
            );
        }
    }
    table
}
