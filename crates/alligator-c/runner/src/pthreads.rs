//! A C program of pthreads on the library, in Node.js's workers: `examples/c/pthreads`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::conformance::{NODE_ARGS, build_dir, sources};
use crate::library::WASI_THREADS;
use crate::package::Package;
use crate::tools;
use alligator_tools::guest;

/// What the linker is told besides, as the example's README has it.
const LINK: [&str; 4] = [
    "--import-memory",
    "--export-memory",
    "--initial-memory=2097152",
    "--max-memory=1073741824",
];

/// Times that the program is run.
const RUNS: u32 = 3;

fn example() -> PathBuf {
    guest::root().join("examples").join("c").join("pthreads")
}

/// The program runs, and all its blocks and errors are right.
pub(crate) fn run(package: &Package) -> Result<()> {
    let module = build_dir()?.join("pthreads.wasm");
    match std::env::var_os("WASI_SDK_PATH") {
        Some(sdk) => by_wasi_sdk(Path::new(&sdk), package, &module)?,
        None => by_clang(package, &module)?,
    }
    for _ in 0..RUNS {
        let mut node = Command::new("node");
        node.args(NODE_ARGS)
            .arg(example().join("run.mjs"))
            .arg(&module);
        tools::run(&mut node)?;
    }
    Ok(())
}

/// The command of the example's README.
fn by_wasi_sdk(sdk: &Path, package: &Package, module: &Path) -> Result<()> {
    let mut command = Command::new(sdk.join("bin").join("clang"));
    command
        .args(["--target=wasm32-wasip1-threads", "-pthread", "-O2", "-I"])
        .arg(package.include())
        .arg(example().join("queue.c"))
        .arg("-L")
        .arg(package.lib(&WASI_THREADS))
        .arg("-lalligator")
        .arg(format!("-Wl,{}", LINK.join(",")))
        .arg("-o")
        .arg(module);
    tools::run(&mut command)
}

/// With the C library that Rust's target has, whose headers are here but for pthread.h.
fn by_clang(package: &Package, module: &Path) -> Result<()> {
    let object = build_dir()?.join("pthreads.o");
    let mut compile = Command::new("clang");
    compile
        .args(["--target=wasm32-wasi", "-O2", "-matomics", "-mbulk-memory"])
        .args(["-mthread-model", "posix", "-ftls-model=local-exec"])
        .args(["-Wall", "-Wextra", "-Werror", "-c", "-I"])
        .arg(package.include())
        .arg("-I")
        .arg(sources().with_file_name("pthread"))
        .arg(example().join("queue.c"))
        .arg("-o")
        .arg(&object);
    tools::run(&mut compile)?;
    let rustlib = rustlib()?;
    let libc = rustlib.join(WASI_THREADS.name).join("lib/self-contained");
    let mut link = Command::new(linker(&rustlib)?);
    link.arg(&object)
        .arg(libc.join("crt1-command.o"))
        .arg("-L")
        .arg(package.lib(&WASI_THREADS))
        .arg("-lalligator")
        .arg(libc.join("libc.a"))
        .arg(said_by(
            Command::new("clang").args(["--target=wasm32-wasi", "-print-libgcc-file-name"]),
        )?)
        .arg("--shared-memory")
        .args(LINK)
        .arg("-o")
        .arg(module);
    tools::run(&mut link)
}

/// The folder of the toolchain's targets.
fn rustlib() -> Result<PathBuf> {
    let sysroot = said_by(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok(sysroot.join("lib").join("rustlib"))
}

/// Rust's own linker, which is as recent as the C library that Rust has.
fn linker(rustlib: &Path) -> Result<PathBuf> {
    let dirs = std::fs::read_dir(rustlib)?;
    let files = dirs.map(|dir| Ok(dir?.path().join("bin/gcc-ld/wasm-ld")));
    let files: Vec<PathBuf> = files.collect::<Result<_>>()?;
    let there = files.into_iter().find(|file| file.is_file());
    there.context("the toolchain has no wasm-ld")
}

/// The file that a command names.
fn said_by(command: &mut Command) -> Result<PathBuf> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().into())
}
