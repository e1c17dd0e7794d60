//! The page of a made-up trace.

use alligator_report::{Analysis, Options, analyse, page};
use anyhow::Result;

use crate::sample;

/// Blocks on the page's map, at most: as many as the command has by default.
const BLOCKS_MAX: u64 = 1_000_000;

/// The analysis of a trace of so many events.
pub(crate) fn analysis(name: &str, events: u64) -> Result<Analysis> {
    let mut trace = Vec::new();
    sample::write(&mut trace, events, events / 40)?;
    let options = Options {
        blocks_max: BLOCKS_MAX,
        ..Options::default()
    };
    Ok(analyse(name, || Ok(&trace[..]), &options)?)
}

/// Its page, beside a shorter trace.
pub(crate) fn html(events: u64) -> Result<String> {
    let one = analysis("game.trace", events)?;
    let other = analysis("before.trace", events / 2)?;
    Ok(page(&one, Some(&other.report))?)
}
