//! `alligator replay`: the calls of a recorded heap on other allocators, side by side.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use alligator_replay::v8::{self, Timings};
use alligator_replay::{
    Allocator, Allocators, Fault, Kind, MALLOC_ALIGN, Options, Replayed, replay, rewrite, trace_of,
};
use alligator_report::Report;
use alligator_trace::{MAGIC, Reader};

use crate::bound::located;
use crate::replay::table::Shown;
use crate::report::{parse_bytes, read, write};

mod table;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The trace, as `alligator record` makes it.
    #[arg(required_unless_present = "list")]
    trace: Option<PathBuf>,
    /// Only these allocators, by name and separated by commas. Without it, all that reuse memory.
    #[arg(long = "allocator", value_name = "NAME", value_delimiter = ',')]
    allocators: Vec<String>,
    /// One more allocator: a module that exports `op_alloc`, `op_alloc_zeroed`, `op_dealloc`, `op_realloc`.
    #[arg(long = "module", value_name = "NAME=FILE")]
    modules: Vec<String>,
    /// Bring in so much memory before the first call; `KiB`, `MiB` and `GiB` may follow the number.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, default_value = "0")]
    reserve: u64,
    #[command(flatten)]
    pub(crate) align: Align,
    /// Time the calls in V8, too, by Node.js.
    #[arg(long, value_name = "ROUNDS", num_args = 0..=1, default_missing_value = "9", require_equals = true,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    v8: Option<u32>,
    /// Write the trace as it would be on the one allocator given by --allocator, to report on.
    #[arg(long, value_name = "FILE", requires = "allocators")]
    write: Option<PathBuf>,
    /// Write the calls in the format of the lab, and replay nothing.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["write", "v8"])]
    write_lab: Option<PathBuf>,
    /// List the allocators.
    #[arg(long)]
    list: bool,
}

/// What is not in every trace.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Align {
    /// The alignment of blocks whose caller said none: 16 is C's, 8 what most types of Rust have.
    #[arg(long, value_name = "BYTES", default_value_t = MALLOC_ALIGN, value_parser = parse_align)]
    pub(crate) malloc_align: u32,
}

fn parse_align(text: &str) -> Result<u32, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number: &u32| number.is_power_of_two());
    let number = number.filter(|number| *number <= 65_536);
    number.ok_or_else(|| "a power of two up to 65536".to_owned())
}

/// A replay, or why there is none.
pub(crate) type Outcome = Result<Replayed, String>;

/// Runs the subcommand and gives the exit status. Everything is read before anything is written.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, String> {
    let mut allocators = Allocators::shipped().map_err(|error| error.to_string())?;
    for module in &arguments.modules {
        add(&mut allocators, module)?;
    }
    let Some(path) = arguments.trace.as_deref().filter(|_| !arguments.list) else {
        println!("{}", table::list(&allocators));
        return Ok(0);
    };
    let chosen = choose(arguments, &allocators)?;
    let report = read_trace(path)?;
    if let Some(output) = &arguments.write_lab {
        let (trace, oddities) = trace_of(&report.name, reader(path)?, arguments.align.malloc_align)
            .map_err(|e| fault(path, &e))?;
        write(output, &trace.encode())?;
        println!(
            "wrote {}: {} operations on {} blocks",
            output.display(),
            trace.ops.len(),
            trace.block_count
        );
        say(&oddities.notes());
        return Ok(0);
    }
    if let Some(output) = &arguments.write {
        let [one] = chosen[..] else {
            return Err("--write needs one --allocator".to_owned());
        };
        let compiled = one.compile().map_err(|error| error.to_string())?;
        let bytes = rewrite(
            one,
            &compiled,
            reader(path)?,
            arguments.align.malloc_align,
            Vec::new(),
        );
        write(output, &bytes.map_err(|error| fault(path, &error))?)?;
        println!(
            "wrote {}: {} on {}",
            output.display(),
            report.name,
            one.title()
        );
        return Ok(0);
    }
    let options = Options {
        reserve_bytes: arguments.reserve,
        malloc_align: arguments.align.malloc_align,
        ..Options::default()
    };
    let outcomes = replays(path, &report, &chosen, &options)?;
    let timings = match arguments.v8 {
        Some(rounds) => Some(timed(
            path,
            &report,
            &allocators,
            &chosen,
            rounds,
            arguments.align.malloc_align,
        )?),
        None => None,
    };
    let shown = Shown {
        report: &report,
        allocators: &chosen,
        outcomes: &outcomes,
        timings: timings.as_ref(),
        reserve_bytes: arguments.reserve,
    };
    println!("{}", table::text(&shown));
    if let Some(Ok(first)) = outcomes.iter().find(|outcome| outcome.is_ok()) {
        say(&first.oddities.notes());
    }
    if let Some(byte) = report.cut_off {
        println!("note: the trace breaks off at byte {byte}: what came before is replayed");
    }
    Ok(0)
}

fn say(notes: &[String]) {
    for note in notes {
        println!("note: {note}");
    }
}

/// Adds a module of the user's.
fn add(allocators: &mut Allocators, text: &str) -> Result<(), String> {
    let (name, file) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is no module: write NAME=FILE"))?;
    let file = Path::new(file);
    let module = crate::bound::read(file)?;
    if allocators.named(name).is_ok() {
        return Err(format!("there is an allocator {name} already"));
    }
    allocators.add(name, module);
    let added = allocators.named(name).and_then(Allocator::compile);
    added.map_err(|error| located(file, &first_line(&error)))?;
    Ok(())
}

/// Those that are asked for, or all that reuse memory.
fn choose<'a>(
    arguments: &Arguments,
    allocators: &'a Allocators,
) -> Result<Vec<&'a Allocator>, String> {
    if arguments.allocators.is_empty() {
        let all = allocators.all().iter();
        return Ok(all.filter(|it| it.info.kind != Kind::Yardstick).collect());
    }
    let names = arguments.allocators.iter();
    names
        .map(|name| allocators.named(name).map_err(|error| error.to_string()))
        .collect()
}

/// The report of a trace; a module is told apart.
pub(crate) fn read_trace(path: &Path) -> Result<Report, String> {
    let start = crate::bound::read_start(path, MAGIC.len())?;
    if start.starts_with(b"\0asm") {
        let reason = "a module, not a trace: `alligator run` and `record` make traces, `alligator measure` runs calls";
        return Err(located(path, &reason));
    }
    Ok(read(path, 0)?.report)
}

/// Replays a trace on allocators, on all cores. What is wrong with the trace is an error; what is wrong with one allocator
/// is that one's.
pub(crate) fn replays(
    path: &Path,
    report: &Report,
    allocators: &[&Allocator],
    options: &Options,
) -> Result<Vec<Outcome>, String> {
    let queue: Mutex<VecDeque<usize>> = Mutex::new((0..allocators.len()).collect());
    let done: Mutex<Vec<Option<Result<Outcome, String>>>> =
        Mutex::new(vec![None; allocators.len()]);
    let cores = std::thread::available_parallelism().map_or(1, core::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(allocators.len()) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.pop_front());
                    let Some(index) = next else { break };
                    let outcome = replay_one(path, report, allocators[index], options);
                    if let Ok(mut done) = done.lock() {
                        done[index] = Some(outcome);
                    }
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_default();
    let stopped = || Err("the replay was stopped".to_owned());
    let outcomes: Vec<Outcome> = done
        .into_iter()
        .map(|it| it.unwrap_or_else(stopped))
        .collect::<Result<_, _>>()?;
    if let Some(Err(reason)) = outcomes.first()
        && outcomes.iter().all(Result::is_err)
    {
        let reason = format!("no allocator could replay it: {reason}");
        return Err(located(path, &reason));
    }
    Ok(outcomes)
}

/// What is wrong with the trace or the replay is an error, what is wrong with the allocator is not.
fn replay_one(
    path: &Path,
    report: &Report,
    allocator: &Allocator,
    options: &Options,
) -> Result<Outcome, String> {
    let compiled = allocator.compile().map_err(|error| first_line(&error))?;
    let replayed = replay(&compiled, report, reader(path)?, options);
    let reason = match replayed {
        Ok(replayed) => return Ok(Ok(replayed)),
        Err(error) if error.is::<Fault>() => {
            let reason = format!("on {}: {}", allocator.info.name, first_line(&error));
            return Err(located(path, &reason));
        }
        Err(error) => first_line(&error),
    };
    Ok(Err(reason))
}

/// What went wrong, on one line.
fn first_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.lines().next().unwrap_or_default().to_owned()
}

pub(crate) fn reader(path: &Path) -> Result<Reader<File>, String> {
    let file = File::open(path).map_err(|error| located(path, &error))?;
    Reader::new(file).map_err(|error| located(path, &error))
}

fn timed(
    path: &Path,
    report: &Report,
    allocators: &Allocators,
    chosen: &[&Allocator],
    rounds: u32,
    malloc_align: u32,
) -> Result<Timings, String> {
    let (trace, _) =
        trace_of(&report.name, reader(path)?, malloc_align).map_err(|error| fault(path, &error))?;
    v8::time(chosen, allocators.control(), &trace, rounds).map_err(|error| error.to_string())
}

/// A fault of the trace, on one line.
fn fault(path: &Path, error: &anyhow::Error) -> String {
    located(path, &first_line(error))
}
