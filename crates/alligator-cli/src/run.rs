//! `alligator run`: a WASI program, recorded in one step.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::Instant;

use alligator_record::abi::{
    EXPORT_FLUSH, EXPORT_INSIDE, EXPORT_MEMORY, IMPORT_EVENTS, IMPORT_MODULE,
};
use alligator_record::sites::SiteTable;
use alligator_record::{Collector, Conversion, Meta, Mode, Recorded, meta_of, sites_of};
use alligator_trace::Totals;
use wasmtime::{Caller, Config, Engine, Extern, Linker, Module, Store};
use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

use crate::bound::{located, read};
use crate::find::Ways;
use crate::record::{NOTHING, What, recorded};

/// What runs the program: the version is the workspace's.
const ENGINE: &str = "wasmtime 48";

/// The exit status of a program that a trap has stopped.
const TRAPPED: u8 = 134;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The program: a core module for WASI preview 1, or one that records already.
    module: PathBuf,
    /// Its arguments. Write -- before those that begin with a hyphen.
    arguments: Vec<String>,
    /// Where to write the trace. By default beside the module, as NAME.trace.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A directory that the program may use, by the same name or another.
    #[arg(long = "dir", value_name = "HOST[::GUEST]")]
    dirs: Vec<String>,
    /// A variable of the program's environment.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    ways: Ways,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What the imports use.
struct Host {
    wasi: WasiP1Ctx,
    collector: Collector<BufWriter<File>>,
    began: Instant,
}

/// Runs the subcommand and gives the exit status: the program's own.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, String> {
    let path = &arguments.module;
    let Some((bytes, meta, sites)) = to_run(arguments)? else {
        return Ok(NOTHING);
    };
    if meta.mode != Mode::Memory || meta.shared {
        let reason =
            "has threads, or was made with --import: JavaScript can record it (docs/trace.md)";
        return Err(located(path, &reason));
    }
    let fault = |error: wasmtime::Error| located(path, &first_line(&error));
    let engine = Engine::new(&Config::new()).map_err(fault)?;
    let module = Module::new(&engine, &bytes).map_err(fault)?;
    let mut linker: Linker<Host> = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |host: &mut Host| &mut host.wasi).map_err(fault)?;
    linker
        .func_wrap(IMPORT_MODULE, IMPORT_EVENTS, take)
        .map_err(fault)?;
    let instance = linker.instantiate_pre(&module).map_err(fault)?;
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => path.with_extension("trace"),
    };
    let wasi = wasi(arguments)?;
    let file = File::create(&output).map_err(|error| located(&output, &error))?;
    let unwritten = |error: io::Error| located(&output, &error);
    let conversion =
        Conversion::new(BufWriter::new(file), meta, sites, ENGINE).map_err(unwritten)?;
    let host = Host {
        wasi,
        collector: Collector::new(conversion),
        began: Instant::now(),
    };
    let mut store = Store::new(&engine, host);
    let ended = instance.instantiate(&mut store).and_then(|instance| {
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
        let ended = start.call(&mut store, ());
        let flush = instance.get_typed_func::<(), ()>(&mut store, EXPORT_FLUSH)?;
        flush.call(&mut store, ())?;
        let inside = instance.get_global(&mut store, EXPORT_INSIDE);
        let inside = inside.and_then(|it| it.get(&mut store).i32()) == Some(1);
        Ok((ended, inside))
    });
    let (ended, inside) = ended.unwrap_or_else(|error| (Err(error), false));
    let (status, mut ending) = status(ended);
    if inside {
        ending.push_str(", inside the allocator");
    }
    let collector = store.into_data().collector;
    let (_, totals) = collector.finish(Some(&ending)).map_err(unwritten)?;
    eprintln!(
        "alligator: {ending}; wrote {}: {}",
        output.display(),
        counted(&totals)
    );
    Ok(status)
}

/// A module that records, what it says of itself, and its call sites.
type ToRun = (Vec<u8>, Meta, SiteTable);

fn to_run(arguments: &Arguments) -> Result<Option<ToRun>, String> {
    let path = &arguments.module;
    let bytes = read(path)?;
    let fault = |error| located(path, &error);
    let bytes = if let Ok(meta) = meta_of(&bytes) {
        return Ok(Some((
            bytes.clone(),
            meta,
            sites_of(&bytes).map_err(fault)?,
        )));
    } else {
        let made = recorded(path, Mode::Memory, &arguments.what, &arguments.ways)?;
        let Some(Recorded { module, .. }) = made else {
            return Ok(None);
        };
        module
    };
    let meta = meta_of(&bytes).map_err(fault)?;
    let sites = sites_of(&bytes).map_err(fault)?;
    Ok(Some((bytes, meta, sites)))
}

/// The import: takes the events before byte `end` of the module's second memory, and says so by 0.
fn take(mut caller: Caller<'_, Host>, end: u32) -> wasmtime::Result<i32> {
    let Some(Extern::Memory(memory)) = caller.get_export(EXPORT_MEMORY) else {
        return Ok(1);
    };
    let (bytes, host) = memory.data_and_store_mut(&mut caller);
    let events = bytes.get(..end as usize).unwrap_or_default();
    let time_ns = u64::try_from(host.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    if !host.collector.events(0, time_ns, events) {
        return Err(wasmtime::Error::msg("the trace cannot be written"));
    }
    Ok(0)
}

fn wasi(arguments: &Arguments) -> Result<WasiP1Ctx, String> {
    let name = arguments
        .module
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let mut builder = WasiCtxBuilder::new();
    builder
        .inherit_stdio()
        .arg(&name)
        .args(&arguments.arguments)
        .envs(&arguments.variables);
    for dir in &arguments.dirs {
        let (host, guest) = dir.split_once("::").unwrap_or((dir, dir));
        builder
            .preopened_dir(host, guest, FsPerms::ReadWrite)
            .map_err(|error| located(Path::new(host), &first_line(&error)))?;
    }
    Ok(builder.build_p1())
}

/// The exit status, and how the program ended in words.
fn status(ended: wasmtime::Result<()>) -> (u8, String) {
    let error = match ended {
        Ok(()) => return (0, "exit status 0".to_owned()),
        Err(error) => error,
    };
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        let status = u8::try_from(*status).unwrap_or(u8::MAX);
        return (status, format!("exit status {status}"));
    }
    let cause = error.root_cause().to_string();
    let cause = cause.lines().next().unwrap_or("a trap");
    (TRAPPED, cause.to_owned())
}

fn first_line(error: &wasmtime::Error) -> String {
    let text = format!("{error:#}");
    text.lines().next().unwrap_or_default().to_owned()
}

fn counted(totals: &Totals) -> String {
    format!(
        "{} blocks asked for, {} given back, {} resized, {} growths of memory, {} marks",
        totals.allocs, totals.frees, totals.reallocs, totals.grows, totals.marks
    )
}
