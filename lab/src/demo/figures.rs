//! What one allocator's two modules show.

use anyhow::{Result, bail};

use super::module::Module;
use super::picture::Picture;
use super::trace::Trace;
use crate::stats::ratio;
use crate::{fuel, progress};
use alligator_tools::guest;

/// An allocator that the guest can be built with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Allocator {
    Std,
    Alligator,
}

impl Allocator {
    pub(super) fn name(self) -> &'static str {
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
pub(super) struct Figures {
    /// Instructions of the whole program; a bulk copy or fill counts as one.
    pub(super) instructions: u64,
    /// Pages of linear memory when the program has ended.
    pub(super) memory_pages: u64,
    /// Bytes from the end of stack and data to the end of the memory.
    pub(super) heap_bytes: u64,
    /// Bytes of the module's code section.
    pub(super) code_bytes: u64,
    /// The allocator's calls, from the traced module.
    pub(super) trace: Trace,
    /// What the program printed.
    pub(super) output: String,
}

impl Figures {
    /// Pages that the heap takes, a started one included.
    pub(super) fn heap_pages(&self) -> u64 {
        self.heap_bytes.div_ceil(fuel::PAGE_BYTES)
    }

    /// Heap bytes per byte that was live at the peak.
    pub(super) fn footprint(&self) -> f64 {
        ratio(self.heap_bytes, self.trace.peak_live_bytes())
    }
}

/// Builds and runs both modules of an allocator.
pub(super) fn figures(allocator: Allocator, opt_level: &str) -> Result<(Figures, Option<Picture>)> {
    let [plain, traced] = [0, 1].map(|which| {
        let what = ["the program", "the program, traced,"][which];
        progress::step(
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
        |path| progress::step("compiling for this machine", || Module::read(&engine, path));
    let (plain, traced) = (compile(&plain?)?, compile(&traced?)?);

    let run = progress::step("running it", || plain.run())?;
    let (trace, traced_run, picture) = progress::step("running it, traced", || {
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
