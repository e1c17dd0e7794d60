//! How the library is linked: the order of its name on the command line, C++, a part in Rust, the examples.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::archive;
use crate::conformance::{self, Heap, build_dir};
use crate::library::{Flavour, WASI};
use crate::package::Package;
use crate::tools::{self, Compiler};
use alligator_tools::blocks;
use alligator_tools::guest;
use alligator_tools::programs;

/// Names in a module that say whose malloc it has.
const OURS: &str = "alligator_alloc";
const THEIRS: &str = "dispose_chunk";

fn sources() -> PathBuf {
    guest::root()
        .join("crates")
        .join("alligator-c")
        .join("tests")
        .join("link")
}

fn examples() -> PathBuf {
    guest::root().join("examples").join("c")
}

/// Links with `args` in their order.
fn link(package: &Package, compiler: &Compiler, args: &[&OsStr], output: &Path) -> Result<()> {
    let lib = OsString::from(format!("-L{}", package.lib(&WASI).display()));
    let include = OsString::from(format!("-I{}", package.include().display()));
    // Not optimised: clang would call wasm-opt, if there is one, and the names that we look for would be gone.
    let mut all = vec![lib.as_os_str(), include.as_os_str()];
    all.extend(args);
    compiler.link(&all, output)
}

/// Nothing if the module has our malloc and not the C library's, and writes `expected`.
fn is_ours(path: &Path, expected: &str) -> Result<()> {
    let bytes = fs::read(path)?;
    ensure!(contains(&bytes, OURS), "our malloc is not in the program");
    ensure!(
        !contains(&bytes, THEIRS),
        "the C library's malloc is in the program"
    );
    writes(path, expected)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Nothing if the program writes `expected` and a line's end.
fn writes(path: &Path, expected: &str) -> Result<()> {
    let finished = programs::execute(path)?;
    let output = String::from_utf8_lossy(&finished.output).into_owned();
    ensure!(
        finished.status == 0 && output.trim_end() == expected,
        "exit status {}: {output}",
        finished.status
    );
    Ok(())
}

/// Before the C library, wherever else, ours is taken; after it, the C library's is, or the linker complains.
pub(crate) fn order(package: &Package, compiler: &Compiler) -> Result<()> {
    let plain = sources().join("plain.c");
    let indirect = sources().join("indirect.c");
    let controls = sources().join("controls.c");
    let module = build_dir()?.join("order.wasm");
    let (ours, libc) = (OsStr::new("-lalligator"), OsStr::new("-lc"));
    let object = package.lib(&WASI).join("alligator.o");

    for args in [
        vec![plain.as_os_str(), ours],
        vec![ours, plain.as_os_str()],
        vec![plain.as_os_str(), ours, libc],
        vec![indirect.as_os_str(), ours],
        vec![controls.as_os_str(), ours],
        vec![object.as_os_str(), indirect.as_os_str()],
        vec![plain.as_os_str(), object.as_os_str()],
    ] {
        link(package, compiler, &args, &module)?;
        is_ours(&module, "42").with_context(|| format!("{args:?}"))?;
    }

    // After the C library, without a word: the program works on the C library's malloc.
    link(package, compiler, &[plain.as_os_str(), libc, ours], &module)?;
    ensure!(
        !contains(&fs::read(&module)?, OURS),
        "ours is in the program"
    );
    writes(&module, "42")?;

    // Unless something that only we have is called, or our object is named: then there are two mallocs.
    for (source, second) in [(&controls, ours), (&plain, object.as_os_str())] {
        let args = [source.as_os_str(), libc, second];
        match link(package, compiler, &args, &module) {
            Ok(()) if source == &controls => is_ours(&module, "42")?,
            Ok(()) => bail!("two mallocs were linked"),
            Err(error) => {
                let text = error.to_string();
                ensure!(text.contains("duplicate symbol"), "{text}");
            }
        }
    }
    Ok(())
}

/// A program that calls nothing of scopes is the same whether they are in the library or not; one that does is not.
pub(crate) fn without_scopes(package: &Package, compiler: &Compiler) -> Result<()> {
    let dir = build_dir()?;
    let object = fs::read(package.lib(&WASI).join(archive::OBJECT_NAME))?;
    let alone = dir.join("liballigator-alone.a");
    fs::write(
        &alone,
        archive::archive_of(&[(archive::OBJECT_NAME, &object)])?,
    )?;
    let linked = |source: &Path, library: &OsStr| -> Result<Vec<u8>> {
        let module = dir.join("without-scopes.wasm");
        let args = [source.as_os_str(), library, OsStr::new("-Wl,--strip-all")];
        link(package, compiler, &args, &module)?;
        Ok(fs::read(&module)?)
    };
    let whole = OsStr::new("-lalligator");
    for name in ["plain.c", "indirect.c", "controls.c"] {
        let source = sources().join(name);
        ensure!(
            linked(&source, alone.as_os_str())? == linked(&source, whole)?,
            "{name}: scopes are in the program"
        );
    }
    let scopes = sources().with_file_name("c").join("scopes.c");
    linked(&scopes, whole)?;
    ensure!(
        linked(&scopes, alone.as_os_str()).is_err(),
        "the object with malloc has scopes"
    );
    Ok(())
}

/// The programs in C of the book: each is linked, and ends well.
pub(crate) fn manual(package: &Package, compiler: &Compiler) -> Result<()> {
    let dir = build_dir()?;
    let (source, module) = (dir.join("manual.c"), dir.join("manual.wasm"));
    let mut count = 0;
    for page in blocks::pages()? {
        for block in blocks::of(&page)?.iter().filter(|block| block.is("c")) {
            fs::write(&source, &block.text)?;
            let library = format!("-l{}", block.noted("library").unwrap_or("alligator"));
            let args = [source.as_os_str(), OsStr::new(&library)];
            link(package, compiler, &args, &module)
                .and_then(|()| is_ours(&module, ""))
                .with_context(|| block.place())?;
            count += 1;
        }
    }
    ensure!(count > 0, "the book has no program in C");
    Ok(())
}

/// A C++ program with containers.
pub(crate) fn cpp(package: &Package, compiler: &Compiler) -> Result<()> {
    let module = build_dir()?.join("containers.wasm");
    let source = sources().join("containers.cpp");
    let mut args: Vec<OsString> = vec!["-std=c++17".into(), "-fno-exceptions".into()];
    args.push(source.into());
    args.extend(conformance::link_args(
        package,
        compiler,
        Heap::Alligator(Flavour::Plain),
    ));
    let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
    link(package, &compiler.cpp(), &args, &module)?;
    is_ours(&module, "134120")
}

/// The header before and after the C library's own, in C and, if there is a compiler, in C++, without a warning.
pub(crate) fn header(package: &Package) -> Result<()> {
    let dir = build_dir()?;
    let ours = "#include \"alligator.h\"\n";
    let theirs = "#include <stdlib.h>\n#include <malloc.h>\n";
    for (compiler, standard, extension) in [
        ("cc", "c99", "c"),
        ("cc", "c11", "c"),
        ("c++", "c++11", "cpp"),
    ] {
        for text in [
            ours.to_owned(),
            format!("{ours}{theirs}"),
            format!("{theirs}{ours}"),
        ] {
            if has(compiler).is_err() {
                continue;
            }
            let source = dir.join("header").with_extension(extension);
            fs::write(&source, &text)?;
            let mut command = Command::new(compiler);
            command
                .args(["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I"])
                .arg(package.include())
                .arg(format!("-std={standard}"))
                .arg(&source);
            tools::run(&mut command).with_context(|| format!("{standard}: {text}"))?;
        }
    }
    Ok(())
}

/// A C program and its part in Rust have one heap, whichever of them brings it.
pub(crate) fn with_rust(package: &Package, compiler: &Compiler) -> Result<()> {
    let main = examples().join("with-rust").join("main.c");
    let expected = "and heap languages one two\n100000 numbers\none heap";
    for (name, features, library) in [
        ("library", "", Some("-lalligator-debug")),
        ("crate", "heap", None),
    ] {
        let part = build_part(features)?;
        let module = build_dir()?.join(format!("with-rust-{name}.wasm"));
        // The order of the two must not matter.
        let mut args = vec![main.as_os_str(), part.as_os_str()];
        args.extend(library.map(OsStr::new));
        for _ in 0..2 {
            link(package, compiler, &args, &module).context(name)?;
            is_ours(&module, expected).context(name)?;
            args.rotate_left(1);
        }
    }
    Ok(())
}

/// The Rust part's archive.
fn build_part(features: &str) -> Result<PathBuf> {
    let dir = guest::root().join("target").join("clib").join("part");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--target",
            WASI.name,
        ])
        .args(["--features", features])
        .env("CARGO_TARGET_DIR", &dir)
        .current_dir(examples().join("with-rust").join("part"));
    tools::run(&mut command)?;
    Ok(dir.join(WASI.name).join("release").join("libpart.a"))
}

/// The example, built by its Makefile.
pub(crate) fn makefile(package: &Package, compiler: &Compiler) -> Result<()> {
    let dir = package.dir.join("share").join("alligator").join("examples");
    let mut command = Command::new("make");
    command
        .args(["--silent", "--always-make"])
        .arg(format!("CC={}", compiler.words()))
        .arg(format!("CFLAGS=-I{}", package.include().display()))
        .current_dir(dir.join("words"));
    if compiler.library_first {
        let object = package.lib(&WASI).join("alligator.o");
        command.arg(format!("LDLIBS={}", object.display()));
    }
    tools::run(&mut command)?;
    let module = dir.join("words").join("words.wasm");
    is_ours(&module, "")?;
    fs::remove_file(module)?;
    Ok(())
}

/// The example, built by CMake.
pub(crate) fn cmake(package: &Package) -> Result<()> {
    let source = examples().join("words");
    let build = build_dir()?.join("cmake");
    if build.exists() {
        fs::remove_dir_all(&build)?;
    }
    let mut configure = Command::new("cmake");
    configure
        .arg("-S")
        .arg(&source)
        .arg("-B")
        .arg(&build)
        .arg(format!(
            "-DCMAKE_TOOLCHAIN_FILE={}",
            source.join("wasi.cmake").display()
        ))
        .arg(format!("-DCMAKE_PREFIX_PATH={}", package.dir.display()));
    tools::run(&mut configure)?;
    tools::run(Command::new("cmake").arg("--build").arg(&build))?;
    is_ours(&build.join("words.wasm"), "")
}

/// A program linked by what pkg-config says.
pub(crate) fn pkg_config(package: &Package, compiler: &Compiler) -> Result<()> {
    let output = Command::new("pkg-config")
        .args(["--cflags", "--libs", "alligator"])
        .env("PKG_CONFIG_PATH", package.lib(&WASI).join("pkgconfig"))
        .output()
        .context("pkg-config does not start")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let source = sources().join("controls.c");
    let mut args = vec![source.as_os_str()];
    args.extend(text.split_whitespace().map(OsStr::new));
    let module = build_dir()?.join("pkg-config.wasm");
    compiler.link(&args, &module)?;
    is_ours(&module, "42")
}

/// Nothing if this machine has the program `name`.
pub(crate) fn has(name: &str) -> Result<()> {
    let output = Command::new(name).arg("--version").output();
    ensure!(
        output.is_ok_and(|output| output.status.success()),
        "no {name}"
    );
    Ok(())
}
