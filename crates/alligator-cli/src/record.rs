//! `alligator record`: a module that records its heap.

use std::path::{Path, PathBuf};

use alligator_find::component::core_modules;
use alligator_find::heap::Outcome;
use alligator_record::{Mode, Options, Recorded, record};

use crate::bound::{located, read};
use crate::find::Ways;

/// Nothing to record, or not found.
pub(crate) const NOTHING: u8 = 2;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The compiled module.
    module: PathBuf,
    /// Where to write the module that records. By default beside it, as NAME.recorded.wasm.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Call the host for each event, instead of a second memory: for engines without multi-memory.
    #[arg(long)]
    import: bool,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    ways: Ways,
}

/// What is recorded.
#[derive(Debug, clap::Args)]
pub(crate) struct What {
    /// Record call stacks.
    #[arg(long)]
    stacks: bool,
    /// Record one block for each so many bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    sample: u32,
}

/// Runs the subcommand and gives the exit status.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, String> {
    let mode = if arguments.import {
        Mode::Import
    } else {
        Mode::Memory
    };
    let Some(recorded) = recorded(&arguments.module, mode, &arguments.what, &arguments.ways)?
    else {
        return Ok(NOTHING);
    };
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => arguments.module.with_extension("recorded.wasm"),
    };
    std::fs::write(&output, &recorded.module).map_err(|error| located(&output, &error))?;
    let header = &recorded.meta.header;
    let names: Vec<&str> = header
        .entries
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    println!("records {}", names.join(", "));
    if arguments.what.stacks {
        println!("{} call sites", recorded.sites);
    }
    println!("wrote {}", output.display());
    Ok(0)
}

/// Makes a module record; `None`, after a line that says why, when there is nothing to record.
pub(crate) fn recorded(
    path: &Path,
    mode: Mode,
    what: &What,
    ways: &Ways,
) -> Result<Option<Recorded>, String> {
    let bytes = read(path)?;
    let fault = |error| located(path, &error);
    if core_modules(&bytes).map_err(fault)?.is_some() {
        return Err(located(
            path,
            &"a component; only core modules can be made to record",
        ));
    }
    let heap = ways.find_all(path, &bytes)?;
    match heap.outcome {
        Outcome::Found => {}
        Outcome::NoHeap => {
            eprintln!(
                "alligator: {}: no heap, so nothing to record",
                path.display()
            );
            return Ok(None);
        }
        Outcome::Unknown => {
            eprintln!(
                "alligator: {}: no allocator found, so nothing to record; --alloc NAME=ROLE says which it is",
                path.display()
            );
            return Ok(None);
        }
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let options = Options {
        name,
        mode,
        stacks: what.stacks,
        sample_bytes: what.sample,
    };
    let recorded = record(&bytes, &heap, &options).map_err(fault)?;
    for note in &recorded.notes {
        eprintln!("alligator: {}: {note}", path.display());
    }
    Ok(Some(recorded))
}
