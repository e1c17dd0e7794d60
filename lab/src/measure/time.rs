//! Time per operation in V8: traces replayed inside the guest, run by node.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;

use crate::engines::{Engine, Job, Measure, ModuleFile, Outcome, PATIENCE, Task, Tier};
use crate::trace::Trace;
use alligator_tools::allocator::{Allocator, Exports, control};
use alligator_tools::guest::guests_dir;

/// A measurement lasts at least this long.
const MILLISECONDS_MIN: u32 = 20;

/// Nanoseconds per operation by workload, then by allocator: the median of the rounds, the
/// driver's subtracted.
pub(crate) type Times = HashMap<String, HashMap<String, f64>>;

/// Times all `traces` with all `allocators`, in rounds of shuffled order.
pub(crate) fn run(allocators: &[&Allocator], traces: &[Trace], rounds: u32) -> Result<Times> {
    let job = job(allocators, traces, rounds)?;
    let mut times = Times::new();
    Engine::V8.run(&job, &mut |outcome| {
        let name = &traces[outcome.task].name;
        eprintln!("timed {name}");
        times.insert(name.clone(), without_driver(name, outcome));
    })?;
    Ok(times)
}

fn job(allocators: &[&Allocator], traces: &[Trace], rounds: u32) -> Result<Job> {
    let control = control()?;
    let mut modules = Vec::new();
    for allocator in core::iter::once(&control).chain(allocators.iter().copied()) {
        modules.push(ModuleFile {
            name: allocator.name.clone(),
            path: allocator.build(Exports::Replay)?,
        });
    }
    let mut tasks = Vec::new();
    for (id, trace) in traces.iter().enumerate() {
        tasks.push(Task {
            id,
            measure: Measure::Time,
            rounds,
            checksum: 0,
            modules: modules.clone(),
            trace: Some(trace.write(&guests_dir())?),
            program: None,
        });
    }
    Ok(Job {
        tasks,
        milliseconds_min: MILLISECONDS_MIN,
        milliseconds_warm: Engine::V8.milliseconds_warm(),
        tier: Tier::Optimising,
        patience: PATIENCE,
    })
}

/// The medians of one workload, less that of control. A failure is printed and left out.
fn without_driver(trace: &str, outcome: Outcome) -> HashMap<String, f64> {
    for (name, why) in &outcome.failures {
        eprintln!("{name} failed in {trace}: {why}");
    }
    let mut medians: BTreeMap<String, f64> = outcome
        .samples
        .into_iter()
        .filter_map(|(name, values)| Some((name, median(values)?)))
        .collect();
    let driver = medians.remove("control").unwrap_or(0.0);
    medians
        .into_iter()
        .map(|(name, time)| (name, time - driver))
        .collect()
}

/// The median, or none of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        let above = *values.get(middle)?;
        Some(f64::midpoint(values[middle.checked_sub(1)?], above))
    } else {
        values.get(middle).copied()
    }
}
