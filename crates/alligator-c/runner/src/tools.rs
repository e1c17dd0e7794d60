//! The C compilers of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A compiler for WASI programs.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    program: PathBuf,
    args: Vec<String>,
    /// Whether it puts the C library before the program's objects: then our object must be named, not our
    /// archive.
    pub(crate) library_first: bool,
}

impl Compiler {
    /// Debian's clang with wasm-ld and wasi-libc, or the one of a wasi-sdk.
    pub(crate) fn clang() -> Result<Self> {
        let (program, args) = match std::env::var_os("WASI_SDK_PATH") {
            Some(sdk) => (Path::new(&sdk).join("bin").join("clang"), vec![]),
            None => ("clang".into(), vec!["--target=wasm32-wasi".to_owned()]),
        };
        let compiler = Self {
            program,
            args,
            library_first: false,
        };
        compiler.try_out().context(
            "no clang that links for WASI (on Debian: apt-get install clang lld wasi-libc \
             libclang-rt-dev-wasm32; or a wasi-sdk in WASI_SDK_PATH)",
        )?;
        Ok(compiler)
    }

    /// `zig cc`, as the Python package ziglang or the path in `ZIG` has it.
    pub(crate) fn zig() -> Result<Self> {
        let mut candidates = vec![(PathBuf::from("zig"), vec![])];
        candidates.push((
            "python3".into(),
            vec!["-m".to_owned(), "ziglang".to_owned()],
        ));
        if let Some(zig) = std::env::var_os("ZIG") {
            candidates.insert(0, (zig.into(), vec![]));
        }
        for (program, mut args) in candidates {
            args.extend(["cc".to_owned(), "--target=wasm32-wasi".to_owned()]);
            let compiler = Self {
                program,
                args,
                library_first: true,
            };
            if compiler.try_out().is_ok() {
                return Ok(compiler);
            }
        }
        bail!("no zig (pip install ziglang, or the path of one in ZIG)")
    }

    /// The C compiler of this machine.
    pub(crate) fn host() -> Result<Self> {
        let compiler = Self {
            program: "cc".into(),
            args: vec![],
            library_first: false,
        };
        compiler.try_out().context("no cc")?;
        Ok(compiler)
    }

    /// The same for C++.
    pub(crate) fn cpp(&self) -> Self {
        let mut compiler = self.clone();
        if self.library_first {
            for arg in &mut compiler.args {
                if arg == "cc" {
                    "c++".clone_into(arg);
                }
            }
        } else {
            let name = self.program.to_string_lossy();
            let name = if name == "cc" {
                "c++".into()
            } else {
                format!("{name}++")
            };
            compiler.program = name.into();
        }
        compiler
    }

    /// A call of it with `args`.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command
    }

    /// What a Makefile or CMake takes as its compiler: the program, and the arguments before all others.
    pub(crate) fn words(&self) -> String {
        let mut words = vec![self.program.display().to_string()];
        words.extend(self.args.iter().cloned());
        words.join(" ")
    }

    /// Compiles and links a program.
    pub(crate) fn link(&self, args: &[&std::ffi::OsStr], output: &Path) -> Result<()> {
        run(self.command().args(args).arg("-o").arg(output))
    }

    /// Nothing if it compiles and links the smallest program.
    pub(crate) fn try_out(&self) -> Result<()> {
        let dir = alligator_tools::guest::root()
            .join("target")
            .join("clib")
            .join("try");
        std::fs::create_dir_all(&dir)?;
        let source = dir.join("try.c");
        std::fs::write(
            &source,
            "#include <stdlib.h>\nint main(void) { free(malloc(1)); }\n",
        )?;
        self.link(&[source.as_os_str()], &dir.join("try.out"))
    }
}

/// Runs `command` to its end; an error, with all it says, if that is not a success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("{} does not start", command.get_program().display()))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
