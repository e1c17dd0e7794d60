//! Each target, with the toolchain that its users have: the programs of `guests/targets`, built and run.

mod code;
mod emptied;
mod emscripten;
mod exact;
mod forms;
mod heaps;
mod hooks;
mod host;
mod initial;
mod limits;
mod program;
mod threads;
mod v1;
mod wasi;
mod wasm64;

use alligator_tools::command::{nightly_has, node_version};
use alligator_tools::guest;
use anyhow::{Result, bail, ensure};

use crate::Missing;

/// The target that needs no operating system.
const WASM: &str = guest::TARGET;

/// The heaps that each test is about, by cargo feature.
const HEAPS: [&str; 3] = ["", "small", "hardened"];

/// What to test.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Print the names of the tests, one on each line, and run nothing
    #[arg(long)]
    list: bool,
    /// Only the test with this name; all by default
    #[arg(value_name = "NAME", conflicts_with = "list")]
    name: Option<String>,
}

/// A test of one target.
struct Case {
    name: String,
    /// An error if something that it needs is not on this machine; none needs nothing.
    needs: Option<fn() -> Result<()>>,
    run: fn() -> Result<()>,
}

impl Case {
    fn new(name: String, needs: Option<fn() -> Result<()>>, run: fn() -> Result<()>) -> Self {
        Self { name, needs, run }
    }
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let cases = cases();
    if options.list {
        for case in &cases {
            println!("{}", case.name);
        }
        return Ok(());
    }
    let wanted = |case: &&Case| options.name.as_ref().is_none_or(|name| *name == case.name);
    let chosen: Vec<_> = cases.iter().filter(wanted).collect();
    ensure!(!chosen.is_empty(), "no test is called {:?}", options.name);
    let is_one = options.name.is_some();
    let mut outcomes = Outcomes::default();
    for case in chosen {
        match case.needs.map_or(Ok(()), |needs| needs()) {
            Err(reason) if is_one => return Err(Missing(format!("{reason:#}")).into()),
            Err(reason) => println!("{}: left out: {reason:#}", case.name),
            Ok(()) if is_one => return (case.run)(),
            Ok(()) => outcomes.add(&case.name, (case.run)()),
        }
    }
    outcomes.finish()
}

/// All tests.
fn cases() -> Vec<Case> {
    let mut cases = cases_of_targets();
    cases.extend(cases_of_thread_caches());
    cases
}

/// Those of the feature `threads`.
fn cases_of_thread_caches() -> Vec<Case> {
    let p1_threads = format!("target {} (stable)", wasi::THREADS);
    let case = Case::new;
    vec![
        case(
            format!("{p1_threads}: threads with blocks of their own"),
            None,
            threads::run_cached,
        ),
        case(
            format!("{p1_threads}: nobody is stopped with the lock"),
            None,
            threads::critical,
        ),
        case(
            format!("{p1_threads}: bounds of threads with blocks of their own"),
            None,
            threads::bounds,
        ),
        case(
            format!("{p1_threads}: terminated threads"),
            Some(|| node_version().map(drop)),
            threads::killed,
        ),
    ]
}

fn cases_of_targets() -> Vec<Case> {
    let unknown = format!("target {WASM} (stable)");
    let atomics = format!("target {WASM}, atomics (stable)");
    let p1_threads = format!("target {} (stable)", wasi::THREADS);
    let wasm64 = format!("target {} (nightly)", wasm64::TARGET);
    let emscripten = format!("target {} (stable)", emscripten::TARGET);
    let case = Case::new;
    vec![
        case(format!("{unknown}: the initial memory"), None, initial::run),
        case(format!("{unknown}: the memory's end"), None, limits::run),
        case(format!("{unknown}: the fewest pages"), None, exact::run),
        case(
            format!("{unknown}: an emptied heap is one piece"),
            None,
            emptied::run,
        ),
        case(format!("{unknown}: hooks that allocate"), None, hooks::run),
        case(format!("{unknown}: several heaps"), None, heaps::run),
        case(
            format!("{atomics}: the lock is there"),
            None,
            threads::locks,
        ),
        case(format!("{atomics}: threads"), None, threads::run),
        case(
            format!("{atomics}: a lock whose holder is gone"),
            None,
            threads::dead_holder,
        ),
        case("target wasm32v1-none (stable)".to_owned(), None, v1::run),
        case(
            format!("target {} (stable): beside C's malloc", wasi::P1),
            None,
            wasi::mixed,
        ),
        case(format!("{p1_threads}: the lock is there"), None, wasi::lock),
        case(
            format!("{p1_threads}: a program of threads"),
            Some(|| node_version().map(drop)),
            wasi::threads,
        ),
        case(
            format!("{p1_threads}: guards"),
            Some(|| node_version().map(drop)),
            wasi::guards,
        ),
        case(
            format!("target {} (stable)", wasi::P2),
            None,
            wasi::component,
        ),
        case(
            format!("{wasm64}: blocks of 5 and 6 GiB"),
            Some(nightly_std),
            wasm64::run,
        ),
        case(
            format!("{wasm64}: the fewest pages"),
            Some(nightly_std),
            wasm64::exact,
        ),
        case(
            format!("{wasm64}: others' pages"),
            Some(nightly_std),
            wasm64::others,
        ),
        case(
            format!("{wasm64}: bounds"),
            Some(nightly_std),
            wasm64::bounds,
        ),
        case(
            format!("{wasm64}: the C library"),
            Some(nightly_std),
            wasm64::c_library,
        ),
        case(
            format!("{emscripten}: the Rust part compiles"),
            None,
            emscripten::build,
        ),
        case(
            format!("{emscripten}: beside C's malloc"),
            Some(emscripten::tools),
            emscripten::run,
        ),
        case(format!("{unknown}: other forms"), None, forms::run),
        case(
            format!("{unknown}: pages of one byte"),
            None,
            forms::small_pages,
        ),
        case(
            "target of the host (nightly): std's collections".to_owned(),
            Some(nightly),
            forms::std_collections,
        ),
    ]
}

/// A nightly toolchain.
fn nightly() -> Result<()> {
    nightly_has("rustc")
}

/// A nightly toolchain that can build std.
fn nightly_std() -> Result<()> {
    nightly_has("rust-src")
}

/// One thing to test on a heap, which is given by its cargo feature.
type Test = (&'static str, fn(&str) -> Result<()>);

/// Does each test on each heap, whatever becomes of the others.
fn on_each_heap(tests: &[Test]) -> Result<()> {
    let mut outcomes = Outcomes::default();
    for heap in HEAPS {
        for (name, test) in tests {
            let heap_name = if heap.is_empty() { "default" } else { heap };
            outcomes.add(&format!("{heap_name}: {name}"), test(heap));
        }
    }
    outcomes.finish()
}

/// What has become of the parts of a step.
#[derive(Debug, Default)]
struct Outcomes(Vec<String>);

impl Outcomes {
    /// Says how a part has ended.
    fn add(&mut self, name: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => println!("{name} ... ok"),
            Err(error) => {
                println!("{name} ... FAILED");
                self.0
                    .push(format!("{name}: {}", brief(&format!("{error:#}"))));
            }
        }
    }

    /// An error if one of them has failed.
    fn finish(self) -> Result<()> {
        if !self.0.is_empty() {
            bail!("{}", self.0.join("\n"));
        }
        Ok(())
    }
}

/// What went wrong, without most of the stack.
fn brief(error: &str) -> String {
    let lines: Vec<_> = error.lines().collect();
    match lines[..] {
        [first, second, _, .., last] => [first, second, last].join("\n"),
        _ => error.to_owned(),
    }
}
