//! `cargo xtask clib`: the C library, as C developers get it, and what must hold for it.

mod archive;
mod compare;
mod conformance;
mod library;
mod package;
mod tools;

use anyhow::Result;

use crate::test::steps::Steps;
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
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let package = package::build()?;
    println!("{}", package.dir.display());
    println!("{}", package.tarball.display());
    for (target, reason) in &package.left_out {
        println!("left out: {target}: {reason}");
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

/// All that must hold for the C library.
fn test(steps: &mut Steps, package: &Package) {
    let compilers = [("clang", Compiler::clang()), ("zig cc", Compiler::zig())];
    for (name, compiler) in &compilers {
        let step = format!("C library: conformance, {name}");
        match compiler {
            Ok(compiler) => steps.run(&step, || conformance::on_wasi(package, compiler, name)),
            Err(reason) => steps.skip(&step, &format!("{reason:#}")),
        }
    }
    steps.run("C library: conformance, this machine", || {
        conformance::on_host(package)
    });
    if compilers[0].1.is_ok() {
        steps.run("C library: without a C library", || {
            conformance::without_c_library(package)
        });
        steps.run("C library: Lua writes the same on both heaps", || {
            compare::same_output(package)
        });
    }
}
