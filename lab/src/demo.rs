//! `cargo xtask demo`: a real program on two heaps, std's (dlmalloc) and Alligator's, and the
//! report of what the heap cost.
//!
//! The guest (`guests/demo`) is built four times. Each allocator has a plain module, which gives
//! the program's instructions, memory and code, and a traced one, which calls us around every
//! call of the allocator (`trace`). Alligator's traced module also tells us what its heap looks
//! like half-way (`picture`).

mod json;
mod module;
mod picture;
mod progress;
mod report;
mod trace;

use std::io::IsTerminal;

use anyhow::{Context, Result, bail, ensure};

use self::module::Module;
use self::picture::Picture;
use self::progress::Progress;
use self::trace::Trace;
use alligator_tools::guest;

/// What `cargo xtask demo` is asked.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Print one JSON object and nothing else (fields: `lab/src/demo/json.rs`)
    #[arg(long)]
    json: bool,
    /// Print no colours, even on a terminal (`NO_COLOR` does the same)
    #[arg(long)]
    no_color: bool,
    /// Compile the program for size, as modules are shipped, or for speed
    #[arg(long, value_name = "LEVEL", value_parser = ["s", "z", "2", "3"], default_value = "s")]
    opt_level: String,
    /// Draw at most this many pages of the heap
    #[arg(long, value_name = "COUNT", default_value_t = 40)]
    pages: usize,
    /// Fail, too, if Alligator takes more than 10 % more pages, or is not ahead in instructions, in each worst call and,
    /// with the compiler of the record, in code
    #[arg(long)]
    check: bool,
}

/// An allocator that the guest can be built with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Allocator {
    Std,
    Alligator,
}

impl Allocator {
    fn name(self) -> &'static str {
        match self {
            Self::Std => "std (dlmalloc)",
            Self::Alligator => "Alligator",
        }
    }

    /// Cargo features of the guest's plain and traced builds.
    fn features(self) -> [&'static [&'static str]; 2] {
        match self {
            Self::Std => [&[], &["trace"]],
            Self::Alligator => [&["alligator"], &["alligator", "trace", "picture"]],
        }
    }

    /// File names of the plain and the traced module.
    fn module_names(self) -> [&'static str; 2] {
        match self {
            Self::Std => ["demo-std", "demo-std-traced"],
            Self::Alligator => ["demo-alligator", "demo-alligator-traced"],
        }
    }
}

/// Everything one allocator's two modules showed.
struct Figures {
    /// Instructions of the whole program; a bulk copy or fill counts as one.
    instructions: u64,
    /// Pages of linear memory when the program has ended.
    memory_pages: u64,
    /// Bytes from the end of stack and data to the end of the memory.
    heap_bytes: u64,
    /// Bytes of the module's code section.
    code_bytes: u64,
    /// The allocator's calls, from the traced module.
    trace: Trace,
    /// What the program printed.
    output: String,
}

impl Figures {
    /// Pages that the heap takes, a started one included.
    fn heap_pages(&self) -> u64 {
        self.heap_bytes.div_ceil(module::PAGE_BYTES)
    }

    /// Heap bytes per byte that was live at the peak.
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^52")]
    fn footprint(&self) -> f64 {
        self.heap_bytes as f64 / self.trace.peak_live_bytes() as f64
    }
}

/// Builds, runs, compares and reports.
pub(crate) fn run(options: &Options) -> Result<()> {
    let colours = !options.no_color && console::colors_enabled();
    console::set_colors_enabled(colours);
    let progress = Progress::new(std::io::stderr().is_terminal());
    guest::ensure_target(guest::TARGET)?;

    let (std, _) = figures(Allocator::Std, &options.opt_level, &progress)?;
    let (alligator, picture) = figures(Allocator::Alligator, &options.opt_level, &progress)?;
    let picture = picture.context("the guest drew no picture of its heap")?;

    if options.json {
        println!(
            "{:#}",
            json::object(&options.opt_level, &std, &alligator, &picture)
        );
    } else {
        report::print(&options.opt_level, &std, &alligator);
        picture::print(&picture, options.pages);
    }
    compare(&std, &alligator)?;
    if options.check {
        check(&std, &alligator)?;
    }
    Ok(())
}

/// Builds and runs both modules of an allocator.
fn figures(
    allocator: Allocator,
    opt_level: &str,
    progress: &Progress,
) -> Result<(Figures, Option<Picture>)> {
    let [plain, traced] = [0, 1].map(|which| {
        let what = ["the program", "the program, traced,"][which];
        progress.step(
            &format!("building {what} with {}", allocator.name()),
            || {
                guest::build(&guest::Guest {
                    crate_dir: &guest::root().join("guests").join("demo"),
                    library: "demo",
                    features: allocator.features()[which],
                    output: allocator.module_names()[which],
                    profile: None,
                    overrides: vec![guest::opt_level(opt_level)],
                })
            },
        )
    });
    let engine = alligator_meter::counting_engine()?;
    let compile =
        |path| progress.step("compiling for this machine", || Module::read(&engine, path));
    let (plain, traced) = (compile(&plain?)?, compile(&traced?)?);

    let run = progress.step("running it", || plain.run())?;
    let (trace, traced_run, picture) = progress.step("running it, traced", || {
        traced.run_traced(allocator == Allocator::Alligator)
    })?;
    if traced_run.output != run.output {
        bail!(
            "{}: the traced program's output is another",
            allocator.name()
        );
    }
    let figures = Figures {
        instructions: run.instructions,
        memory_pages: run.memory_pages,
        heap_bytes: run.heap_bytes,
        code_bytes: plain.code_bytes,
        trace,
        output: run.output,
    };
    Ok((figures, picture))
}

/// Fails when the allocators' programs did not print the same.
fn compare(std: &Figures, alligator: &Figures) -> Result<()> {
    match first_difference(&std.output, &alligator.output) {
        None => Ok(()),
        Some(line) => bail!("the outputs differ, first in line {line}"),
    }
}

/// Fails when Alligator is not as far ahead as the project promises of this program.
fn check(std: &Figures, alligator: &Figures) -> Result<()> {
    let ahead = |what: &str, ours: u64, others: u64| {
        ensure!(ours < others, "{what}: {ours}, and {others} on std's heap");
        Ok(())
    };
    ahead("instructions", alligator.instructions, std.instructions)?;
    let (ours, others) = (&alligator.trace, &std.trace);
    ahead("worst alloc", ours.alloc.worst, others.alloc.worst)?;
    ahead("worst dealloc", ours.dealloc.worst, others.dealloc.worst)?;
    ahead("worst realloc", ours.realloc.worst, others.realloc.worst)?;
    // Another compiler copies other functions to where they are called.
    if guest::bounds_are_comparable()? {
        ahead("bytes of code", alligator.code_bytes, std.code_bytes)?;
    }
    let (ours, others) = (alligator.heap_pages(), std.heap_pages());
    ensure!(
        ours * 10 <= others * 11,
        "{ours} pages, more than 10 % above the {others} of std's heap"
    );
    Ok(())
}

/// Number, from 1, of the first line that is not the same in both texts.
fn first_difference(left: &str, right: &str) -> Option<usize> {
    if left == right {
        return None;
    }
    let same = left
        .split('\n')
        .zip(right.split('\n'))
        .take_while(|(left, right)| left == right);
    Some(same.count() + 1)
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
    }
}
