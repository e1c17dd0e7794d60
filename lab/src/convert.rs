//! `cargo lab trace`: a workload, or a file in the lab's format, as a trace of a program: for `alligator report`,
//! `replay` and `advise`. The other way is `alligator replay app.trace --write-lab FILE`.

use std::path::{Path, PathBuf};

use alligator_meter::counting_engine;
use alligator_replay::{Trace, write_trace};
use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{programs, workloads};

/// What to write.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(crate) struct Options {
    /// The workload's name
    #[arg(conflicts_with = "from")]
    workload: Option<String>,
    /// A file in the lab's format instead
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Where to write the trace
    #[arg(short, long, value_name = "FILE", required = true)]
    output: PathBuf,
}

/// Reads or generates, and writes.
pub(crate) fn run(options: &Options) -> Result<()> {
    let trace = match (&options.workload, &options.from) {
        (Some(name), _) => workload(name)?,
        (_, Some(path)) => from_file(path)?,
        _ => bail!("name a workload, or a file with --from"),
    };
    let bytes = write_trace(&trace, Vec::new())?;
    let output = &options.output;
    std::fs::write(output, bytes).with_context(|| format!("cannot write {}", output.display()))?;
    println!(
        "{}: {}, {} operations on {} blocks",
        output.display(),
        trace.name,
        trace.ops.len(),
        trace.block_count
    );
    Ok(())
}

fn from_file(path: &Path) -> Result<Trace> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Trace::decode(&name, &bytes).with_context(|| path.display().to_string())
}

/// A workload's trace; a program is run for it.
fn workload(name: &str) -> Result<Trace> {
    let synthetic = workloads::synthetic()?;
    if let Some(workload) = synthetic.iter().find(|workload| workload.name == name) {
        return Ok(workload.trace(false));
    }
    let mut programs = workloads::programs()?;
    programs.retain(|program| program.name == name);
    let mut recorded = programs::record(&counting_engine()?, &programs)?;
    let recorded = recorded
        .pop()
        .with_context(|| format!("no workload is called {name}"))?;
    Ok(recorded.trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alligator_meter::counting_engine;
    use alligator_replay::{
        Allocators, MALLOC_ALIGN, Options, fuel, probe::Probe, replay, trace_of,
    };
    use alligator_report::analyse;
    use alligator_trace::Reader;

    /// All synthetic workloads, there and back again; and on an allocator, from both formats.
    #[test]
    fn every_workload_survives_both_formats() -> Result<()> {
        let shipped = Allocators::shipped()?;
        let dlmalloc = shipped.named("dlmalloc")?;
        let engine = counting_engine()?;
        let control = wasmtime::Module::new(&engine, shipped.control())?;
        let initial_pages = Probe::new(&engine, &control)?.pages();
        let module = wasmtime::Module::new(&engine, &dlmalloc.module)?;
        for workload in workloads::synthetic()? {
            let trace = workload.trace(true);
            let bytes = write_trace(&trace, Vec::new())?;
            let (back, oddities) = trace_of(&trace.name, Reader::new(&bytes[..])?, MALLOC_ALIGN)?;
            assert_eq!(oddities.notes(), Vec::<String>::new(), "{}", trace.name);
            assert!(back == trace, "{} is another trace now", trace.name);
            assert!(Trace::decode(&trace.name, &trace.encode())? == trace);

            let options = alligator_report::Options::default();
            let report = analyse(&trace.name, || Ok(&bytes[..]), &options)?.report;
            assert_eq!(report.peak.bytes, trace.peak_live_bytes, "{}", trace.name);
            let compiled = dlmalloc.compile()?;
            let replayed = replay(
                &compiled,
                &report,
                Reader::new(&bytes[..])?,
                &Options::default(),
            )?;
            let counted = fuel::run(&engine, &module, &trace, initial_pages)?;
            assert_eq!(
                replayed.figures.fuel(),
                counted.fuel(),
                "{} costs otherwise",
                trace.name
            );
            assert_eq!(replayed.figures.grown_pages, counted.grown_pages);
        }
        Ok(())
    }
}
