//! A run of the lab, whatever is chosen and whatever is shown of it: the plan says what is measured,
//! the runner measures it, the results are what is known in the end.

mod counts;
mod engines;
mod file;
mod material;
mod plan;
mod queue;
mod results;
mod runner;
#[cfg(test)]
pub(crate) mod sample;
mod setup;

use std::path::Path;

use anyhow::{Result, anyhow};

pub(crate) use material::{Workload, workloads_of};
pub(crate) use plan::{Plan, Preset, START};
pub(crate) use results::{Latencies, Results, Times, WorkloadInfo};

use crate::options::Choice;
use alligator_tools::guest;
use runner::Runner;

/// What the results are kept in.
const FILE: &str = "results.json";

/// Measures what is chosen, or reads what was measured, and hands the results to `report`, which
/// has them even if a part failed.
pub(crate) fn run(
    choice: &Choice,
    preset: &Preset,
    report: impl FnOnce(&Results) -> Result<()>,
) -> Result<()> {
    let dir = preset.output_of(choice);
    if choice.report {
        return report(&Results::read(&dir.join(FILE))?);
    }
    let plan = Plan::new(choice, preset)?;
    let mut results = plan.nothing_measured()?;
    if choice.resume {
        let file = dir.join(FILE);
        results = results
            .resume(Results::read(&file)?)
            .map_err(|why| anyhow!("{} cannot be resumed: {why}", file.display()))?;
    }
    let (results, outcome) = measure(&plan, results, &dir)?;
    report(&results)?;
    outcome
}

/// Measures what `results` do not have yet of the plan, and keeps them in a directory. Returns them
/// with whether the run could begin.
///
/// # Errors
/// The directory cannot be made.
pub(crate) fn measure(plan: &Plan, results: Results, dir: &Path) -> Result<(Results, Result<()>)> {
    guest::ensure_target(guest::TARGET)?;
    std::fs::create_dir_all(dir)?;
    let mut runner = Runner::new(plan, results, dir.join(FILE));
    let outcome = runner.run();
    Ok((runner.into_results(), outcome))
}
