//! `cargo xtask clib`: the C library, as C developers get it, and what must hold for it.

mod archive;
mod bounds;
mod compare;
mod conformance;
mod library;
mod linking;
mod package;
mod tools;

use anyhow::Result;

use crate::test::steps::Steps;
use library::WASI_THREADS;
use package::Package;
use tools::Compiler;

/// What to do besides building.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Test the library with the C compilers of this machine
    #[arg(long)]
    test: bool,
    /// With --test, only the steps whose names contain this
    #[arg(long, value_name = "TEXT", requires = "test")]
    only: Option<String>,
    /// Compare C programs on the C library's malloc and on ours, and write docs/c-programs.md
    #[arg(long)]
    compare: bool,
    /// Prove the bounds of the C functions, and write crates/alligator-c/bounds.txt
    #[arg(long)]
    bounds: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let package = package::build()?;
    println!("{}", package.dir.display());
    println!("{}", package.tarball.display());
    for (target, reason) in &package.left_out {
        println!("left out: {target}: {reason}");
    }
    if options.bounds {
        bounds::run(&package, false)?;
    }
    if options.compare {
        compare::run(&package)?;
    }
    if options.test {
        let mut steps = Steps::new(options.only.clone());
        test(&mut steps, &package);
        steps.finish();
    }
    Ok(())
}

/// Builds the library, and tests it.
pub(crate) fn test_from_nothing(steps: &mut Steps) {
    let mut built = None;
    steps.run("C library: build", || {
        built = Some(package::build()?);
        Ok(())
    });
    if let Some(package) = built {
        test(steps, &package);
    }
}

/// All that must hold for the C library. What needs a C compiler that is not there is left out.
fn test(steps: &mut Steps, package: &Package) {
    steps.run("C library: bounds are as recorded", || {
        bounds::run(package, true)
    });
    steps.run("C library: conformance, this machine", || {
        conformance::on_host(package)
    });
    steps.run("C library: header in C and C++", || {
        linking::header(package)
    });
    match Compiler::clang() {
        Ok(compiler) => test_with_clang(steps, package, &compiler),
        Err(reason) => steps.skip("C library: all that needs clang", &format!("{reason:#}")),
    }
    match Compiler::zig() {
        Ok(compiler) => test_with_zig(steps, package, &compiler),
        Err(reason) => steps.skip("C library: all that needs zig", &format!("{reason:#}")),
    }
}

fn test_with_clang(steps: &mut Steps, package: &Package, compiler: &Compiler) {
    steps.run("C library: conformance, clang", || {
        conformance::on_wasi(package, compiler, "clang")
    });
    steps.run("C library: without a C library", || {
        conformance::without_c_library(package)
    });
    let name = "C library: threads";
    match package.why_left_out(&WASI_THREADS) {
        None if conformance::has_node() => {
            steps.run(name, || conformance::with_threads(package));
        }
        None => steps.skip(name, "no Node.js"),
        Some(reason) => steps.skip(name, reason),
    }
    steps.run("C library: order on the command line", || {
        linking::order(package, compiler)
    });
    steps.run("C library: with a part in Rust", || {
        linking::with_rust(package, compiler)
    });
    steps.run("C library: Makefile, clang", || {
        linking::makefile(package, compiler)
    });
    let tools: [(&str, &dyn Fn() -> Result<()>); 2] = [
        ("cmake", &|| linking::cmake(package)),
        ("pkg-config", &|| linking::pkg_config(package, compiler)),
    ];
    for (tool, action) in tools {
        let name = format!("C library: {tool}");
        match linking::has(tool) {
            Ok(()) => steps.run(&name, action),
            Err(reason) => steps.skip(&name, &reason.to_string()),
        }
    }
    steps.run("C library: Lua writes the same on both heaps", || {
        compare::same_output(package)
    });
}

fn test_with_zig(steps: &mut Steps, package: &Package, compiler: &Compiler) {
    steps.run("C library: conformance, zig cc", || {
        conformance::on_wasi(package, compiler, "zig")
    });
    steps.run("C library: C++, zig c++", || {
        linking::cpp(package, compiler)
    });
    steps.run("C library: Makefile, zig cc", || {
        linking::makefile(package, compiler)
    });
}
