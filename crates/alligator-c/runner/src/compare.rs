//! `cargo xtask clib --compare`: C programs from crates.io on the C library's malloc and on ours.
//!
//! Each program is compiled once and linked twice. Fuel counts every executed instruction, and each byte that
//! `memory.copy` and `memory.fill` move as one more: the C library copies in a loop, we by such instructions.

mod table;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::conformance::{self, Heap};
use crate::library::Flavour;
use crate::package::Package;
use crate::tools::{self, Compiler};
use alligator_tools::guest;
use alligator_tools::programs::{self, Finished};

/// How often each program runs for its time.
const RUNS: usize = 9;

/// A C program whose library is inside a package of crates.io.
struct Program {
    /// Its driver is `guests/c/NAME.c`.
    name: &'static str,
    /// What runs in it, in `guests/c`, if anything.
    script: Option<&'static str>,
    package: &'static str,
    /// Where the C files are in the package.
    dir: &'static str,
    /// The C files, or all but those that start with `!`.
    files: &'static [&'static str],
    flags: &'static [&'static str],
}

const PROGRAMS: [Program; 3] = [
    Program {
        name: "lua",
        script: Some("lua.lua"),
        package: "lua-src",
        dir: "lua-5.4.9",
        // What needs processes, files and jumps is left out.
        files: &[
            "!lcorolib.c",
            "!ldblib.c",
            "!linit.c",
            "!liolib.c",
            "!loadlib.c",
            "!loslib.c",
            "!lua.c",
            "!luac.c",
        ],
        flags: &[
            "-DLUAI_THROW(L,c)=abort()",
            "-DLUAI_TRY(L,c,a)={a}",
            "-Dluai_jmpbuf=int",
            // By default the time and an address.
            "-Dluai_makeseed(L)=42",
            "-D_WASI_EMULATED_SIGNAL",
        ],
    },
    Program {
        name: "sqlite",
        script: None,
        package: "libsqlite3-sys",
        dir: "sqlite3",
        files: &["sqlite3.c", "wasm32-wasi-vfs.c"],
        flags: &[
            "-DLONGDOUBLE_TYPE=double",
            "-DSQLITE_OMIT_LOOKASIDE",
            "-DSQLITE_OMIT_LOAD_EXTENSION",
            "-DSQLITE_OMIT_WAL",
            "-DSQLITE_OS_OTHER",
            "-DSQLITE_THREADSAFE=0",
        ],
    },
    Program {
        name: "quickjs",
        script: Some("quickjs.js"),
        package: "libquickjs-sys",
        dir: "embed/quickjs",
        files: &[
            "cutils.c",
            "libbf.c",
            "libregexp.c",
            "libunicode.c",
            "quickjs.c",
        ],
        // Without atomics, and with one way of rounding.
        flags: &[
            "-DCONFIG_VERSION=\"2021-03-27\"",
            "-DEMSCRIPTEN",
            "-DFE_DOWNWARD=0",
            "-DFE_UPWARD=0",
            "-D_GNU_SOURCE",
        ],
    },
];

/// What was found of one program; the C library's malloc first, ours second.
#[derive(Debug)]
struct Found {
    name: &'static str,
    fuel: [u64; 2],
    /// On a malloc that takes nothing back: what the program itself costs.
    floor: u64,
    pages: [u64; 2],
    /// Our time as a part of the C library's, in wasmtime.
    wasmtime: f64,
    /// The same in V8, if Node.js is there.
    v8: Option<f64>,
}

/// Compares all programs, and writes the table.
pub(crate) fn run(package: &Package) -> Result<()> {
    let compiler = Compiler::clang()?;
    let sources = sources()?;
    let mut found = Vec::new();
    for program in &PROGRAMS {
        println!("{} ..", program.name);
        found.push(compare(program, package, &compiler, &sources)?);
    }
    table::write(&found)
}

/// Whether the smallest program gives the same output on both heaps.
pub(crate) fn same_output(package: &Package) -> Result<()> {
    let compiler = Compiler::clang()?;
    let [theirs, ours, _] = build(&PROGRAMS[0], package, &compiler, &sources()?)?;
    check_output(&[theirs, ours])?;
    Ok(())
}

fn compare(
    program: &Program,
    package: &Package,
    compiler: &Compiler,
    sources: &Sources,
) -> Result<Found> {
    let modules = build(program, package, compiler, sources)?;
    let [theirs, ours, floor] = &modules;
    let modules = [theirs.clone(), ours.clone()];
    let (fuel, pages) = check_output(&modules).context(program.name)?;
    Ok(Found {
        name: program.name,
        fuel,
        floor: programs::execute(floor).context(program.name)?.fuel,
        pages,
        wasmtime: time_in_wasmtime(&modules)?,
        v8: if conformance::has_node() {
            Some(time_in_node(&modules)?)
        } else {
            None
        },
    })
}

/// Runs both, and sees that they write the same; their fuel and pages.
fn check_output(modules: &[PathBuf; 2]) -> Result<([u64; 2], [u64; 2])> {
    let run = |path: &PathBuf| programs::execute(path);
    let (theirs, ours) = (run(&modules[0])?, run(&modules[1])?);
    for finished in [&theirs, &ours] {
        let output = String::from_utf8_lossy(&finished.output);
        ensure!(
            finished.status == 0,
            "exit status {}: {output}",
            finished.status
        );
        ensure!(!output.is_empty(), "no output");
    }
    ensure!(theirs.output == ours.output, "the outputs differ");
    let Finished { fuel, pages, .. } = theirs;
    Ok(([fuel, ours.fuel], [pages, ours.pages]))
}

/// The programs' packages, by name.
type Sources = Vec<(String, PathBuf)>;

/// Where cargo has put the packages. It fetches them if need be.
fn sources() -> Result<Sources> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        name: String,
        manifest_path: PathBuf,
    }
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--locked", "--quiet", "--format-version", "1"])
        .arg("--manifest-path")
        .arg(dir().join("Cargo.toml"))
        .output()
        .context("cargo does not start")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let place = |entry: Entry| {
        let dir = entry.manifest_path.parent().map(Path::to_path_buf);
        (entry.name, dir.unwrap_or_default())
    };
    Ok(metadata.packages.into_iter().map(place).collect())
}

/// The drivers' directory.
fn dir() -> PathBuf {
    guest::root().join("guests").join("c")
}

/// Compiles the program, and links it with either heap, and with the floor.
fn build(
    program: &Program,
    package: &Package,
    compiler: &Compiler,
    sources: &Sources,
) -> Result<[PathBuf; 3]> {
    let found = sources.iter().find(|(name, _)| name == program.package);
    let (_, root) = found.with_context(|| format!("no package {}", program.package))?;
    let library = root.join(program.dir);
    let build = conformance::build_dir()?.join(program.name);
    fs::create_dir_all(&build)?;
    if let Some(script) = program.script {
        let bytes = fs::read(dir().join(script))?;
        let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
        let numbers = numbers.join(",") + ",";
        fs::write(build.join(format!("{script}.inc")), numbers)?;
    }
    let mut objects = vec![build.join("driver.o")];
    let driver = dir().join(format!("{}.c", program.name));
    compile(program, compiler, &library, &driver, &objects[0])?;
    for file in files(program, &library)? {
        let object = build.join(&file).with_extension("o");
        compile(program, compiler, &library, &library.join(&file), &object)?;
        objects.push(object);
    }
    let never = build.join("never.o");
    let mut command = compiler.command();
    command.args(["-O2", "-mbulk-memory", "-fno-builtin", "-c"]);
    tools::run(command.arg(dir().join("never.c")).arg("-o").arg(&never))?;
    let link = |heap: &[OsString], name: &str| -> Result<PathBuf> {
        let module = build.join(format!("{}-{name}.wasm", program.name));
        let mut args: Vec<OsString> = objects.iter().map(Into::into).collect();
        args.extend_from_slice(heap);
        let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
        compiler.link(&args, &module)?;
        Ok(module)
    };
    let alligator = Heap::Alligator(Flavour::Plain);
    let alligator = conformance::link_args(package, compiler, alligator);
    Ok([
        link(&[], "libc")?,
        link(&alligator, "alligator")?,
        link(&[never.into()], "floor")?,
    ])
}

/// The names of the program's C files in `library`.
fn files(program: &Program, library: &Path) -> Result<Vec<String>> {
    let excluded: Vec<_> = program
        .files
        .iter()
        .filter_map(|file| file.strip_prefix('!'))
        .collect();
    if excluded.is_empty() {
        return Ok(program.files.iter().map(|&file| file.to_owned()).collect());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(library)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        if path.extension().is_some_and(|it| it == "c") && !excluded.contains(&name.as_str()) {
            files.push(name);
        }
    }
    files.sort();
    Ok(files)
}

fn compile(
    program: &Program,
    compiler: &Compiler,
    library: &Path,
    source: &Path,
    object: &Path,
) -> Result<()> {
    let include = object.parent().unwrap_or(object);
    let mut command = compiler.command();
    command.args(["-O2", "-w", "-c"]).args(program.flags);
    for dir in [&dir().join("include"), include, library] {
        command.arg("-I").arg(dir);
    }
    tools::run(command.arg(source).arg("-o").arg(object))
}

/// Our time as a part of theirs: both run in turn, and the medians count.
fn time_in_wasmtime(modules: &[PathBuf; 2]) -> Result<f64> {
    let [theirs, ours] = modules.each_ref().map(|path| path.to_string_lossy());
    let runs = RUNS.to_string();
    let ratio = programs::output(programs::WASM_TESTS, &["times", &theirs, &ours, &runs])?;
    ratio.trim().parse().context("wasm-tests gives no number")
}

/// The same in V8.
fn time_in_node(modules: &[PathBuf; 2]) -> Result<f64> {
    let output = Command::new("node")
        .args(conformance::NODE_ARGS)
        .arg(dir().join("time.mjs"))
        .args(modules)
        .arg(RUNS.to_string())
        .output()
        .context("node does not start")?;
    ensure!(
        output.status.success(),
        "Node.js: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().context("time.mjs gives no number")
}
