//! Runs a program built for wasm32-wasip1 in an embedded wasmtime.
//!
//! Of WASI preview 1 it offers what a Rust or C test program asks for: arguments, the environment, output, a
//! clock and random numbers. There are no files.

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use wasmtime::{Caller, Config, Engine, Extern, Linker, Memory, Module, Store};

/// The import module of all functions here.
const WASI: &str = "wasi_snapshot_preview1";
/// Error numbers of WASI.
const SUCCESS: i32 = 0;
const BAD_DESCRIPTOR: i32 = 8;
const INVALID: i32 = 28;
const NO_ENTRY: i32 = 44;
const NOT_SEEKABLE: i32 = 70;
/// More fuel than any program uses.
const FUEL: u64 = u64::MAX / 2;

/// A module to run and what to tell it.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Write what the run took into a file, as JSON: its exit status, the instructions (one more for each byte that a
    /// bulk operation moves), the pages its memory has at the end, and the seconds, which the counting makes longer
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The module, built for wasm32-wasip1
    module: PathBuf,
    /// Arguments of the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// The program ended by itself.
#[derive(Debug)]
struct Exit(i32);

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "exit status {}", self.0)
    }
}

impl core::error::Error for Exit {}

/// What the program can ask for.
struct Process {
    args: Vec<String>,
    environment: Vec<String>,
    start: Instant,
    random: u64,
    /// What it has written to its standard output, if that is kept.
    kept: Option<Vec<u8>>,
}

/// What a program has done.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit status.
    pub(crate) status: i32,
    /// What it has written to its standard output.
    pub(crate) output: Vec<u8>,
    /// The fuel it has used, if the engine counts.
    pub(crate) fuel: Option<u64>,
    /// The pages its memory has at the end.
    pub(crate) pages: u64,
    /// How long it ran.
    pub(crate) seconds: f64,
}

/// An engine whose fuel is the number of executed instructions, and one more for each byte that `memory.copy`
/// and `memory.fill` move.
pub(crate) fn engine_with_fuel() -> Result<Engine> {
    let mut config = Config::new();
    config.consume_fuel(true);
    Ok(Engine::new(&config)?)
}

/// Runs `module` to its end, and keeps what it writes. Functions of WASI that are not here trap.
pub(crate) fn execute(engine: &Engine, module: &Module, args: &[&str]) -> Result<Finished> {
    match execute_with(engine, module, args, &[])? {
        (finished, None) => Ok(finished),
        (_, Some(trap)) => Err(trap),
    }
}

/// As [`execute`], with more in the environment, as `NAME=value`. If the program traps, what it did until then
/// and why.
pub(crate) fn execute_with(
    engine: &Engine,
    module: &Module,
    args: &[&str],
    environment: &[&str],
) -> Result<(Finished, Option<anyhow::Error>)> {
    let mut linker = linker(engine)?;
    linker.define_unknown_imports_as_traps(module)?;
    let args = args.iter().map(|&arg| arg.to_owned()).collect();
    let mut process = Process::new(args, Some(Vec::new()));
    let more = environment.iter().map(|&variable| variable.to_owned());
    process.environment.extend(more);
    let mut store = Store::new(engine, process);
    let counts = store.set_fuel(FUEL).is_ok();
    let instance = linker.instantiate(&mut store, module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let started = Instant::now();
    let outcome = start.call(&mut store, ());
    let seconds = started.elapsed().as_secs_f64();
    let (status, trap) = match outcome {
        Ok(()) => (0, None),
        Err(error) => match error.downcast_ref::<Exit>() {
            Some(Exit(status)) => (*status, None),
            None => (1, Some(anyhow::Error::from(error))),
        },
    };
    let memory = instance.get_memory(&mut store, "memory");
    let finished = Finished {
        status,
        fuel: counts.then(|| FUEL - store.get_fuel().unwrap_or(FUEL)),
        pages: memory.map_or(0, |memory| memory.size(&store)),
        seconds,
        output: store.into_data().kept.unwrap_or_default(),
    };
    Ok((finished, trap))
}

/// Two programs to time.
#[derive(clap::Args, Debug)]
pub(crate) struct TimesOptions {
    one: PathBuf,
    other: PathBuf,
    /// Runs of each, in turn
    runs: u32,
}

/// Prints the median time of the other program as a part of the first one's.
pub(crate) fn times(options: &TimesOptions) -> Result<()> {
    let engine = Engine::default();
    let load = |path| Module::from_file(&engine, path).map_err(anyhow::Error::from);
    let modules = [load(&options.one)?, load(&options.other)?];
    let mut seconds = [Vec::new(), Vec::new()];
    for _ in 0..options.runs {
        for (seconds, module) in seconds.iter_mut().zip(&modules) {
            seconds.push(execute(&engine, module, &["program"])?.seconds);
        }
    }
    let [one, other] = seconds.map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
    });
    println!("{}", other / one);
    Ok(())
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let engine = if options.report.is_some() {
        engine_with_fuel()?
    } else {
        Engine::default()
    };
    let module = Module::from_file(&engine, &options.module)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("{} is no module", options.module.display()))?;
    if let Some(file) = &options.report {
        let finished = execute(&engine, &module, &["program"])?;
        std::io::stdout().write_all(&finished.output)?;
        let report = serde_json::json!({
            "status": finished.status,
            "fuel": finished.fuel,
            "pages": finished.pages,
            "seconds": finished.seconds,
        });
        std::fs::write(file, report.to_string())?;
        return Ok(());
    }
    let linker = linker(&engine)?;
    let mut args = vec![options.module.display().to_string()];
    args.extend(options.args.iter().cloned());
    let mut store = Store::new(&engine, Process::new(args, None));
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    match start.call(&mut store, ()) {
        Ok(()) => Ok(()),
        Err(error) => match error.downcast_ref::<Exit>() {
            Some(Exit(0)) => Ok(()),
            Some(exit) => bail!("{exit}"),
            None => Err(error.into()),
        },
    }
}

impl Process {
    /// A program that has not run yet.
    fn new(args: Vec<String>, kept: Option<Vec<u8>>) -> Self {
        let ours = |(name, _): &(String, String)| name.starts_with("ALLIGATOR_");
        let environment = std::env::vars().filter(ours);
        Self {
            args,
            environment: environment
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            start: Instant::now(),
            random: 0x9E37_79B9_7F4A_7C15,
            kept,
        }
    }
}

/// All of WASI that is here.
fn linker(engine: &Engine) -> Result<Linker<Process>> {
    let mut linker = Linker::new(engine);
    add_texts(&mut linker)?;
    add_output(&mut linker)?;
    add_files_that_are_not_there(&mut linker)?;
    add_clock_and_random(&mut linker)?;
    Ok(linker)
}

/// The program's memory.
fn memory(caller: &mut Caller<'_, Process>) -> wasmtime::Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(wasmtime::Error::msg("the module exports no memory")),
    }
}

/// Writes `bytes` at `address`.
fn put(caller: &mut Caller<'_, Process>, address: u32, bytes: &[u8]) -> wasmtime::Result<()> {
    Ok(memory(caller)?.write(caller, address as usize, bytes)?)
}

fn put_number(
    caller: &mut Caller<'_, Process>,
    address: u32,
    number: usize,
) -> wasmtime::Result<()> {
    put(caller, address, &u32::try_from(number)?.to_le_bytes())
}

fn number_at(caller: &mut Caller<'_, Process>, address: u32) -> wasmtime::Result<u32> {
    let mut bytes = [0; 4];
    memory(caller)?.read(&caller, address as usize, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// `texts` one after the other at `bytes`, each with a zero at its end, and their addresses at `table`.
fn put_texts(
    caller: &mut Caller<'_, Process>,
    texts: &[String],
    table: u32,
    bytes: u32,
) -> wasmtime::Result<i32> {
    let mut at = bytes;
    for (text, entry) in texts.iter().zip((table..).step_by(4)) {
        put_number(caller, entry, at as usize)?;
        put(caller, at, text.as_bytes())?;
        at += u32::try_from(text.len())?;
        put(caller, at, &[0])?;
        at += 1;
    }
    Ok(SUCCESS)
}

fn put_text_sizes(
    caller: &mut Caller<'_, Process>,
    texts: &[String],
    count: u32,
    bytes: u32,
) -> wasmtime::Result<i32> {
    put_number(caller, count, texts.len())?;
    let length = texts.iter().map(|text| text.len() + 1).sum();
    put_number(caller, bytes, length)?;
    Ok(SUCCESS)
}

/// Arguments and environment.
fn add_texts(linker: &mut Linker<Process>) -> Result<()> {
    linker.func_wrap(
        WASI,
        "args_get",
        |mut caller: Caller<'_, Process>, table: u32, bytes: u32| {
            let args = caller.data().args.clone();
            put_texts(&mut caller, &args, table, bytes)
        },
    )?;
    linker.func_wrap(
        WASI,
        "args_sizes_get",
        |mut caller: Caller<'_, Process>, count: u32, bytes: u32| {
            let args = caller.data().args.clone();
            put_text_sizes(&mut caller, &args, count, bytes)
        },
    )?;
    linker.func_wrap(
        WASI,
        "environ_get",
        |mut caller: Caller<'_, Process>, table: u32, bytes: u32| {
            let environment = caller.data().environment.clone();
            put_texts(&mut caller, &environment, table, bytes)
        },
    )?;
    linker.func_wrap(
        WASI,
        "environ_sizes_get",
        |mut caller: Caller<'_, Process>, count: u32, bytes: u32| {
            let environment = caller.data().environment.clone();
            put_text_sizes(&mut caller, &environment, count, bytes)
        },
    )?;
    Ok(())
}

/// Writes the `pieces` buffers described at `table` to the descriptor; their bytes together at `written`.
fn write_pieces(
    mut caller: Caller<'_, Process>,
    descriptor: i32,
    table: u32,
    pieces: u32,
    written: u32,
) -> wasmtime::Result<i32> {
    let mut output = Vec::new();
    for piece in (table..).step_by(8).take(pieces as usize) {
        let address = number_at(&mut caller, piece)?;
        let mut bytes = vec![0; number_at(&mut caller, piece + 4)? as usize];
        memory(&mut caller)?.read(&caller, address as usize, &mut bytes)?;
        output.extend(bytes);
    }
    match (descriptor, &mut caller.data_mut().kept) {
        (1, Some(kept)) => kept.extend_from_slice(&output),
        (1, None) => std::io::stdout().write_all(&output)?,
        (2, _) => std::io::stderr().write_all(&output)?,
        _ => return Ok(BAD_DESCRIPTOR),
    }
    put_number(&mut caller, written, output.len())?;
    Ok(SUCCESS)
}

/// Standard output and error, and the end of the program.
fn add_output(linker: &mut Linker<Process>) -> Result<()> {
    linker.func_wrap(WASI, "fd_write", write_pieces)?;
    linker.func_wrap(WASI, "fd_seek", |_: i32, _: i64, _: i32, _: i32| {
        NOT_SEEKABLE
    })?;
    linker.func_wrap(WASI, "fd_read", |_: i32, _: i32, _: i32, _: i32| {
        BAD_DESCRIPTOR
    })?;
    linker.func_wrap(WASI, "sched_yield", || SUCCESS)?;
    linker.func_wrap(WASI, "proc_exit", |status: i32| -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(Exit(status)))
    })?;
    Ok(())
}

/// No descriptor is open but the standard ones, and no path leads anywhere.
fn add_files_that_are_not_there(linker: &mut Linker<Process>) -> Result<()> {
    linker.func_wrap(WASI, "fd_close", |_: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_fdstat_get", |_: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_filestat_get", |_: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_prestat_get", |_: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_prestat_dir_name", |_: i32, _: i32, _: i32| {
        BAD_DESCRIPTOR
    })?;
    linker.func_wrap(WASI, "path_create_directory", |_: i32, _: i32, _: i32| {
        NO_ENTRY
    })?;
    linker.func_wrap(
        WASI,
        "path_filestat_get",
        |_: i32, _: i32, _: i32, _: i32, _: i32| NO_ENTRY,
    )?;
    linker.func_wrap(
        WASI,
        "path_open",
        |_: i32, _: i32, _: i32, _: i32, _: i32, _: i64, _: i64, _: i32, _: i32| NO_ENTRY,
    )?;
    Ok(())
}

/// Nanoseconds on the clock numbered `clock`: 0 the time of day, 1 since the start.
fn now(process: &Process, clock: i32) -> Option<u128> {
    match clock {
        0 => Some(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()?
                .as_nanos(),
        ),
        1 => Some(process.start.elapsed().as_nanos()),
        _ => None,
    }
}

fn add_clock_and_random(linker: &mut Linker<Process>) -> Result<()> {
    linker.func_wrap(
        WASI,
        "clock_time_get",
        |mut caller: Caller<'_, Process>, clock: i32, _precision: i64, result: u32| {
            let Some(now) = now(caller.data(), clock) else {
                return Ok(INVALID);
            };
            put(&mut caller, result, &u64::try_from(now)?.to_le_bytes())?;
            wasmtime::Result::Ok(SUCCESS)
        },
    )?;
    linker.func_wrap(
        WASI,
        "random_get",
        |mut caller: Caller<'_, Process>, address: u32, length: u32| {
            for at in address..address + length {
                let random = caller.data().random;
                // Knuth's multiplicative generator: the tests need no secrets.
                caller.data_mut().random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                put(&mut caller, at, &[random.to_be_bytes()[0]])?;
            }
            wasmtime::Result::Ok(SUCCESS)
        },
    )?;
    Ok(())
}
