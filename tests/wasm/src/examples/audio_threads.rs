//! The synthesizer beside workers: the prover says that its callback never waits and never makes the memory grow. The
//! module is the one that `node build.mjs` has made.

use alligator_bound::Options;
use alligator_bound::forbid::{Answer, Demand, Forbidden, forbid};
use alligator_tools::guest;
use anyhow::{Context, Result, anyhow, ensure};

/// What the prover answers, growth first.
fn answers(module: &str) -> Result<Vec<Answer>> {
    let file = guest::root()
        .join("examples/audio-threads/pkg")
        .join(module);
    let bytes = std::fs::read(&file).with_context(|| format!("no module {}", file.display()))?;
    let demand = Demand {
        forbidden: vec![Forbidden::Grow, Forbidden::Wait],
        from: vec!["process".to_owned()],
        except: Vec::new(),
    };
    let report =
        forbid(&bytes, &demand, &Options::default()).map_err(|error| anyhow!("{error}"))?;
    ensure!(report.assumptions.is_empty(), "{:?}", report.assumptions);
    let origin = report.from.first().context("no answer for process")?;
    ensure!(origin.conditions.is_empty(), "{:?}", origin.conditions);
    Ok(origin
        .findings
        .iter()
        .map(|finding| finding.answer)
        .collect())
}

/// With a heap of its own neither is reached; on the heap of all threads both are.
pub(super) fn run() -> Result<()> {
    let own = answers("own-heap.wasm")?;
    println!("growth and waiting from the callback: {own:?}");
    ensure!(
        own == [Answer::Never; 2],
        "the callback may grow or wait: {own:?}"
    );
    let shared = answers("shared-heap.wasm")?;
    println!("on the shared heap: {shared:?}");
    ensure!(
        shared == [Answer::Reached; 2],
        "nothing is seen on the shared heap: {shared:?}"
    );
    Ok(())
}
