//! What recording costs a program that does nothing but allocate, on std's dlmalloc. Instructions are exact, and asserted;
//! times are printed: `cargo test --profile tools -p alligator-cli --test record_cost -- --nocapture`.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use alligator_meter::{counting_config, counting_store};
use alligator_record::abi::{EXPORT_MEMORY, IMPORT_EVENTS};
use alligator_record::{Collector, Conversion, meta_of, sites_of};
use common::{alligator, scratch};
use wasmtime::{Caller, Config, Engine, Extern, Linker, Module, Store, TypedFunc};

/// Blocks of one call; each is an event when it is given, and one when it is taken back.
const COUNT: u32 = 250_000;

/// Calls of which times are the mean.
const CALLS: u32 = 8;

/// What the program may cost with the recorder, in that it costs without.
const FACTOR_MAX: f64 = 2.0;

type Trace = Option<Collector<std::io::Sink>>;

fn build(folder: &Path) -> PathBuf {
    let module = folder.join("churn.wasm");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/churn.rs");
    let output = Command::new("rustc")
        .args([
            "--edition=2024",
            "-Copt-level=3",
            "--target",
            "wasm32-unknown-unknown",
            "--crate-type=cdylib",
            "-o",
        ])
        .arg(&module)
        .arg(source)
        .output()
        .expect("rustc starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    module
}

fn recorded(module: &Path, options: &[&str]) -> PathBuf {
    let folder = module.parent().expect("is in a folder");
    let output = alligator(&[&["record", "churn.wasm"], options].concat(), folder);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    module.with_extension("recorded.wasm")
}

/// The program, ready to be called.
fn start(engine: &Engine, store: &mut Store<Trace>, bytes: &[u8]) -> TypedFunc<u32, u32> {
    let module = Module::new(engine, bytes).expect("is valid");
    let mut linker = Linker::new(engine);
    if let Ok(meta) = meta_of(bytes) {
        let sites = sites_of(bytes).expect("are well formed");
        let conversion =
            Conversion::new(std::io::sink(), meta, sites, "").expect("a sink takes all bytes");
        *store.data_mut() = Some(Collector::new(conversion));
        linker
            .func_wrap("alligator", IMPORT_EVENTS, take)
            .expect("is new");
    }
    let instance = linker.instantiate(&mut *store, &module).expect("starts");
    instance
        .get_typed_func(store, "churn")
        .expect("is exported")
}

fn take(mut caller: Caller<'_, Trace>, end: u32) -> u32 {
    let Some(Extern::Memory(memory)) = caller.get_export(EXPORT_MEMORY) else {
        panic!("no memory of events");
    };
    let (bytes, trace) = memory.data_and_store_mut(&mut caller);
    let trace = trace.as_ref().expect("records");
    assert!(
        trace.events(0, 0, &bytes[..end as usize]),
        "a sink takes all bytes"
    );
    0
}

/// Instructions for each event.
fn instructions(bytes: &[u8]) -> f64 {
    let engine = Engine::new(&counting_config()).expect("compiles for this machine");
    let mut store = counting_store(&engine, None).expect("counts");
    let churn = start(&engine, &mut store, bytes);
    churn.call(&mut store, COUNT).expect("returns");
    let before = store.get_fuel().expect("counts");
    churn.call(&mut store, COUNT).expect("returns");
    let fuel = before - store.get_fuel().expect("counts");
    let fuel = u32::try_from(fuel).expect("is below 2^32");
    f64::from(fuel) / f64::from(2 * COUNT)
}

/// Nanoseconds for each event under wasmtime that the program's thread is on a processor, the mean of some calls. The trace
/// is written on another thread.
fn nanoseconds(bytes: &[u8]) -> f64 {
    let engine = Engine::new(&Config::new()).expect("compiles for this machine");
    let mut store = Store::new(&engine, None);
    let churn = start(&engine, &mut store, bytes);
    let began = on_processor();
    for _ in 0..CALLS {
        churn.call(&mut store, COUNT).expect("returns");
    }
    (on_processor() - began) / f64::from(2 * COUNT * CALLS)
}

/// Nanoseconds that this thread was on a processor; where the system does not say that, since the test began.
fn on_processor() -> f64 {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let since = BEGAN.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e9;
    let text = std::fs::read_to_string("/proc/thread-self/schedstat");
    let first = text.ok().and_then(|it| it.split(' ').next()?.parse().ok());
    first.unwrap_or(since)
}

/// The same in Node.js.
fn in_node(module: &Path) -> Option<f64> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/churn.mjs");
    let output = Command::new("node")
        .arg(script)
        .arg(module)
        .arg(COUNT.to_string())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let time: f64 = text.trim().parse().ok()?;
    Some(time / f64::from(2 * COUNT))
}

#[test]
fn a_program_that_only_allocates_takes_at_most_twice_as_many_instructions() {
    let folder = scratch("cost");
    let module = build(&folder);
    let read = |path: &Path| std::fs::read(path).expect("was written");
    let plain = read(&module);
    let (cost, time) = (instructions(&plain), nanoseconds(&plain));
    println!("for each event          instructions        wasmtime");
    println!("{:24}{cost:6.1}          {time:6.1} ns", "not recorded");
    for options in [&[][..], &["--sample", "65536"], &["--stacks"]] {
        let bytes = read(&recorded(&module, options));
        let (with, with_time) = (instructions(&bytes), nanoseconds(&bytes));
        println!(
            "{:24}{with:6.1} ({:.2}×)  {with_time:6.1} ns ({:.2}×)",
            format!("recorded {}", options.join(" ")),
            with / cost,
            with_time / time
        );
        if options.is_empty() {
            assert!(
                with / cost <= FACTOR_MAX,
                "{with} instructions instead of {cost}"
            );
        }
    }
    let Some(time) = in_node(&module) else {
        println!("left out: the times in Node.js: no node");
        return;
    };
    println!("for each event                              Node.js");
    println!("{:40}{time:6.1} ns", "not recorded");
    for options in [&["--import"][..], &["--import", "--stacks"]] {
        let with = in_node(&recorded(&module, options)).expect("Node.js is there");
        println!(
            "{:40}{with:6.1} ns ({:.2}×)",
            format!("recorded {}", options.join(" ")),
            with / time
        );
    }
}
