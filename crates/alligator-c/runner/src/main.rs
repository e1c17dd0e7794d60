//! The C library, as C developers get it, and what must hold for it. `cargo xtask clib` and `test` call this program.
//! Exit status 77 says that something is missing on this machine.
#![forbid(unsafe_code)]

mod archive;
mod bounds;
mod compare;
mod conformance;
mod library;
mod linking;
mod package;
mod pthreads;
mod tools;

use std::process::ExitCode;

use alligator_tools::programs::LEFT_OUT;
use anyhow::{Context, Result, ensure};
use clap::Parser;

use library::WASI_THREADS;
use package::Package;
use tools::Compiler;

/// What to do besides building.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask clib")]
struct Options {
    /// Compare C programs on the C library's malloc and on ours, and write docs/c-programs.md
    #[arg(long)]
    compare: bool,
    /// Prove the bounds of the C functions, and write crates/alligator-c/bounds.txt
    #[arg(long)]
    bounds: bool,
    /// Print the names of the steps of the tests, in their order, and build nothing
    #[arg(long)]
    list: bool,
    /// Run the step of this name instead
    #[arg(long, value_name = "NAME")]
    step: Option<String>,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if options.list {
        for step in steps() {
            println!("{}", step.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = options.step {
        let mut all = steps().into_iter();
        let step = all.find(|step| step.name == name);
        return step
            .with_context(|| format!("no step is called {name}"))?
            .run();
    }
    let package = build()?;
    if options.bounds {
        bounds::run(&package, false)?;
    }
    if options.compare {
        compare::run(&package)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the library, and says where it is.
fn build() -> Result<Package> {
    let package = package::build()?;
    println!("{}", package.dir.display());
    println!("{}", package.tarball.display());
    for (target, reason) in &package.left_out {
        println!("left out: {target}: {reason}");
    }
    Ok(package)
}

type Action = Box<dyn Fn() -> Result<()>>;

/// One thing that must hold for the C library.
struct Step {
    name: String,
    needs: Vec<Action>,
    action: Action,
}

impl Step {
    fn new(name: impl Into<String>, action: impl Fn() -> Result<()> + 'static) -> Self {
        Self {
            name: name.into(),
            needs: Vec::new(),
            action: Box::new(action),
        }
    }

    /// Left out, with the reason, where `needs` is an error.
    fn needs(mut self, needs: impl Fn() -> Result<()> + 'static) -> Self {
        self.needs.push(Box::new(needs));
        self
    }

    /// Runs it, or says what is missing for it.
    fn run(&self) -> Result<ExitCode> {
        for needs in &self.needs {
            if let Err(reason) = needs() {
                println!("{reason:#}");
                return Ok(LEFT_OUT.into());
            }
        }
        (self.action)()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// All that must hold, in the order in which it is tested. What needs a C compiler that is not there is left out.
fn steps() -> Vec<Step> {
    vec![
        Step::new("build", || build().map(drop)),
        on_package("bounds are as recorded", |package| {
            bounds::run(package, true)
        }),
        on_package("conformance, this machine", conformance::on_host),
        on_package("header in C and C++", linking::header),
        with_clang("conformance, clang", |package, compiler| {
            conformance::on_wasi(package, compiler, "clang")
        }),
        on_package("without a C library", conformance::without_c_library).needs(clang),
        on_package("stopped by guards", conformance::stopped_by_guards)
            .needs(clang)
            .needs(conformance::node),
        on_package("threads", |package| {
            let reason = package.why_left_out(&WASI_THREADS);
            ensure!(reason.is_none(), "{}", reason.unwrap_or_default());
            conformance::with_threads(package)
        })
        .needs(clang)
        .needs(conformance::node),
        on_package("a program of pthreads", |package| {
            let reason = package.why_left_out(&WASI_THREADS);
            ensure!(reason.is_none(), "{}", reason.unwrap_or_default());
            pthreads::run(package)
        })
        .needs(clang)
        .needs(conformance::node),
        with_clang("order on the command line", linking::order),
        with_clang(
            "who has no scopes has not a byte of them",
            linking::without_scopes,
        ),
        with_clang("with a part in Rust", linking::with_rust),
        with_clang("the book's programs in C", linking::manual),
        with_clang("Makefile, clang", linking::makefile),
        on_package("cmake", linking::cmake)
            .needs(clang)
            .needs(|| linking::has("cmake")),
        with_clang("pkg-config", linking::pkg_config).needs(|| linking::has("pkg-config")),
        on_package("Lua writes the same on both heaps", compare::same_output).needs(clang),
        with_zig("conformance, zig cc", |package, compiler| {
            conformance::on_wasi(package, compiler, "zig")
        }),
        with_zig("C++, zig c++", linking::cpp),
        with_zig("Makefile, zig cc", linking::makefile),
    ]
}

/// A step on the package that the first step has built.
fn on_package(name: &str, action: impl Fn(&Package) -> Result<()> + 'static) -> Step {
    Step::new(name, move || {
        action(&Package::read().context("the library is not built")?)
    })
}

/// The same with clang.
fn with_clang(name: &str, action: fn(&Package, &Compiler) -> Result<()>) -> Step {
    on_package(name, move |package| action(package, &Compiler::clang()?)).needs(clang)
}

/// The same with zig.
fn with_zig(name: &str, action: fn(&Package, &Compiler) -> Result<()>) -> Step {
    on_package(name, move |package| action(package, &Compiler::zig()?))
        .needs(|| Compiler::zig().map(drop))
}

fn clang() -> Result<()> {
    Compiler::clang().map(drop)
}
