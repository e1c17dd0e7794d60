//! The C tests of `crates/alligator-c/tests/c`: each a program, compiled, linked and run.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::library::{BARE, Flavour, HOST, WASI, WASI_THREADS};
use crate::package::Package;
use crate::tools::{self, Compiler};
use alligator_tools::guest;
use alligator_tools::programs;

/// Tests of what every malloc does: the C library's passes them, too.
const STANDARD: [&str; 6] = [
    "alignment",
    "errors",
    "library",
    "random",
    "realloc",
    "sizes",
];
/// Tests of what is ours.
const OURS: [&str; 2] = ["controls", "scopes"];
/// Tests of the libraries with guards.
const GUARDS: [&str; 1] = ["guards"];
/// Tests of the debug library.
const DEBUG: [&str; 1] = ["twice"];
/// Tests of the linear memory.
const LINEAR_MEMORY: [&str; 2] = ["large", "others"];

/// The C tests' directory.
pub(crate) fn sources() -> PathBuf {
    guest::root()
        .join("crates")
        .join("alligator-c")
        .join("tests")
        .join("c")
}

/// What a test is linked with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Heap {
    /// The C library's own.
    CLibrary,
    /// Ours.
    Alligator(Flavour),
}

/// Where programs are put.
pub(crate) fn build_dir() -> Result<PathBuf> {
    let dir = guest::root().join("target").join("clib").join("programs");
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// The arguments that link `heap` by `compiler`.
pub(crate) fn link_args(package: &Package, compiler: &Compiler, heap: Heap) -> Vec<OsString> {
    let Heap::Alligator(flavour) = heap else {
        return vec![];
    };
    let lib = package.lib(&WASI);
    let mut dir = OsString::from("-L");
    dir.push(&lib);
    let mut args = vec![dir, format!("-l{}", flavour.library()).into()];
    if compiler.library_first && flavour == Flavour::Plain {
        // What else a program needs is taken from the library.
        args.insert(0, lib.join("alligator.o").into());
    }
    args
}

/// All tests on WASI, in wasmtime and, if `node` is there, in Node.js.
pub(crate) fn on_wasi(package: &Package, compiler: &Compiler, name: &str) -> Result<()> {
    let mut heaps = vec![("plain", Heap::Alligator(Flavour::Plain))];
    if !compiler.library_first {
        heaps.push(("guards", Heap::Alligator(Flavour::Guards)));
        heaps.push(("debug", Heap::Alligator(Flavour::Debug)));
        // The tests ask no more than another malloc gives. zig's own fails them: it aligns to 64 KiB at most.
        heaps.push(("libc", Heap::CLibrary));
    }
    for (heap_name, heap) in heaps {
        for test in tests(heap, true) {
            let module = build_dir()?.join(format!("{name}-{heap_name}-{test}.wasm"));
            let source = sources().join(format!("{test}.c"));
            compile(package, compiler, heap, &source, &module)?;
            run_module(&module).with_context(|| format!("{test}, {heap_name}, {name}"))?;
            if has_node() {
                run_in_node(&module).with_context(|| format!("{test}, {heap_name}, Node.js"))?;
            }
        }
    }
    Ok(())
}

/// The tests that `heap` must pass.
fn tests(heap: Heap, wasm: bool) -> Vec<&'static str> {
    let mut tests = STANDARD.to_vec();
    if let Heap::Alligator(flavour) = heap {
        tests.extend(OURS);
        if flavour != Flavour::Plain {
            tests.extend(GUARDS);
        }
        if flavour == Flavour::Debug {
            tests.extend(DEBUG);
        }
        if wasm {
            tests.extend(LINEAR_MEMORY);
        }
    }
    tests
}

fn compile(
    package: &Package,
    compiler: &Compiler,
    heap: Heap,
    source: &Path,
    output: &Path,
) -> Result<()> {
    let include = package.include();
    // The compiler knows malloc, and leaves out calls whose block nobody uses.
    let mut args: Vec<OsString> = [
        "-O2",
        "-std=gnu11",
        "-fno-builtin",
        "-Wall",
        "-Werror",
        "-I",
    ]
    .map(Into::into)
    .to_vec();
    args.push(include.into());
    args.push(source.into());
    match heap {
        Heap::CLibrary => args.push("-DTEST_C_LIBRARY_MALLOC".into()),
        Heap::Alligator(flavour) => args.extend(flavour.defines().iter().map(Into::into)),
    }
    args.extend(link_args(package, compiler, heap));
    let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
    compiler.link(&args, output)
}

/// Runs a test in the embedded wasmtime.
pub(crate) fn run_module(path: &Path) -> Result<()> {
    tools::run(programs::wasi_runner()?.arg(path))
}

/// What Node.js is started with. Version 20 crashes now and then when its WASI is called without the second.
pub(crate) const NODE_ARGS: [&str; 2] = ["--no-warnings", "--no-turbo-fast-api-calls"];

/// Whether there is a Node.js with WASI.
pub(crate) fn has_node() -> bool {
    Command::new("node")
        .args(["-e", "require('node:wasi')"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Nothing if there is one.
pub(crate) fn node() -> Result<()> {
    ensure!(has_node(), "no Node.js");
    Ok(())
}

/// Runs a test in Node.js.
pub(crate) fn run_in_node(path: &Path) -> Result<()> {
    let script = guest::root().join("examples").join("c").join("run.mjs");
    tools::run(Command::new("node").args(NODE_ARGS).arg(script).arg(path))
}

/// The tests on this machine, with the heap in an array.
pub(crate) fn on_host(package: &Package) -> Result<()> {
    let compiler = Compiler::host()?;
    for flavour in Flavour::ALL {
        for test in tests(Heap::Alligator(flavour), false) {
            let program = build_dir()?.join(format!("host-{}-{test}", flavour.library()));
            let mut args: Vec<OsString> = ["-O1", "-std=gnu11", "-fno-builtin", "-I"]
                .map(Into::into)
                .to_vec();
            args.push(package.include().into());
            args.push(sources().join(format!("{test}.c")).into());
            args.extend(flavour.defines().iter().map(Into::into));
            let library = package
                .lib(&HOST)
                .join(format!("lib{}.a", flavour.library()));
            args.push(library.into());
            let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
            compiler.link(&args, &program)?;
            tools::run(&mut Command::new(&program)).with_context(|| format!("{test}, host"))?;
        }
    }
    Ok(())
}

/// Several threads on one heap, in Node.js. Only the library with the lock can be linked for them.
pub(crate) fn with_threads(package: &Package) -> Result<()> {
    let module = build_dir()?.join("threads.wasm");
    let link = |target| {
        let mut command = Command::new("clang");
        command
            .args(["--target=wasm32-unknown-unknown", "-O2", "-nostdlib"])
            .args(["-matomics", "-mbulk-memory", "-mthread-model", "posix"])
            .args(["-ffreestanding", "-ftls-model=local-exec"])
            .args([
                "-Wl,--no-entry",
                "-Wl,--shared-memory",
                "-Wl,--import-memory",
            ])
            .args(["-Wl,--initial-memory=2097152", "-Wl,--max-memory=268435456"])
            .args([
                "-Wl,--export=__stack_pointer",
                "-Wl,--export=__wasm_init_tls",
            ])
            .args(["-Wl,--export=aligned_alloc", "-I"])
            .arg(package.include())
            .arg(sources().join("threads.c"))
            .arg("-L")
            .arg(package.lib(target))
            .args(["-lalligator-debug", "-o"])
            .arg(&module);
        tools::run(&mut command)
    };
    ensure!(
        link(&WASI).is_err(),
        "a library without a lock was linked into a module with shared memory"
    );
    link(&WASI_THREADS)?;
    let script = sources().with_file_name("threads.mjs");
    tools::run(
        Command::new("node")
            .args(NODE_ARGS)
            .arg(script)
            .arg(&module),
    )
}

/// A module without a C library.
pub(crate) fn without_c_library(package: &Package) -> Result<()> {
    let module = bare(package, "bare", Flavour::Plain)?;
    let module = module.to_string_lossy();
    let failed = programs::output(programs::WASM_TESTS, &["call", &module, "run"])?;
    ensure!(failed.trim() == "0", "the module's check {failed} failed");
    Ok(())
}

/// Guards stop a module, and a host reads why.
pub(crate) fn stopped_by_guards(package: &Package) -> Result<()> {
    let module = bare(package, "stopped", Flavour::Guards)?;
    let script = sources().with_file_name("guards.mjs");
    tools::run(
        Command::new("node")
            .args(NODE_ARGS)
            .arg(script)
            .arg(&module),
    )
}

/// A test as a module without a C library.
fn bare(package: &Package, test: &str, flavour: Flavour) -> Result<PathBuf> {
    let module = build_dir()?.join(format!("{test}.wasm"));
    let mut command = Command::new("clang");
    command
        .args(["--target=wasm32-unknown-unknown", "-O2", "-nostdlib"])
        .args(["-ffreestanding", "-Wl,--no-entry", "-I"])
        .arg(package.include())
        .arg(sources().join(format!("{test}.c")))
        .arg("-L")
        .arg(package.lib(&BARE))
        .arg(format!("-l{}", flavour.library()))
        .arg("-o")
        .arg(&module);
    tools::run(&mut command)?;
    Ok(module)
}
