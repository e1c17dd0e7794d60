//! `cargo xtask clib`: the C library, as C developers get it, and what must hold for it.

mod archive;
mod bounds;
mod compare;
mod conformance;
mod library;
mod linking;
mod package;
mod tools;

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::steps::{self, Step};
use library::WASI_THREADS;
use package::Package;
use tools::Compiler;

/// What to do besides building.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Test the library with the C compilers of this machine
    #[arg(long)]
    test: bool,
    #[command(flatten)]
    steps: steps::Options,
    /// Compare C programs on the C library's malloc and on ours, and write docs/c-programs.md
    #[arg(long)]
    compare: bool,
    /// Prove the bounds of the C functions, and write crates/alligator-c/bounds.txt
    #[arg(long)]
    bounds: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.test {
        return steps::run(&steps(), &options.steps, &["clib", "--test"]);
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

/// All that must hold for the C library. What needs a C compiler that is not there is left out.
pub(crate) fn steps() -> Vec<Step> {
    let mut steps = vec![Step::new("C library: build", || build().map(drop))];
    steps.extend([
        on_package("bounds are as recorded", |package| {
            bounds::run(package, true)
        }),
        on_package("conformance, this machine", conformance::on_host),
        on_package("header in C and C++", linking::header),
        with_clang("conformance, clang", |package, compiler| {
            conformance::on_wasi(package, compiler, "clang")
        }),
        on_package("without a C library", conformance::without_c_library).needs(clang),
        on_package("threads", |package| {
            let reason = package.why_left_out(&WASI_THREADS);
            ensure!(reason.is_none(), "{}", reason.unwrap_or_default());
            conformance::with_threads(package)
        })
        .needs(|| clang().and_then(|()| conformance::node())),
        with_clang("order on the command line", linking::order),
        with_clang("with a part in Rust", linking::with_rust),
        with_clang("Makefile, clang", linking::makefile),
        on_package("cmake", linking::cmake).needs(|| clang().and_then(|()| linking::has("cmake"))),
        with_clang("pkg-config", linking::pkg_config)
            .needs(|| clang().and_then(|()| linking::has("pkg-config"))),
        on_package("Lua writes the same on both heaps", compare::same_output).needs(clang),
        with_zig("conformance, zig cc", |package, compiler| {
            conformance::on_wasi(package, compiler, "zig")
        }),
        with_zig("C++, zig c++", linking::cpp),
        with_zig("Makefile, zig cc", linking::makefile),
    ]);
    steps
        .into_iter()
        .map(|step| step.group("C library"))
        .collect()
}

/// A step on the package that the first step has built.
fn on_package(name: &str, action: impl Fn(&Package) -> Result<()> + 'static) -> Step {
    Step::new(format!("C library: {name}"), move || {
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
