//! The folder a C developer gets, and its tarball.
//!
//! ```text
//! include/alligator.h                     the functions, and their manual
//! lib/TARGET/liballigator.a               the library; liballigator-guards.a with guards, liballigator-debug.a with
//!                                         counters and a checker, too
//! lib/TARGET/alligator.o                  the object with malloc, for linkers that put the C library first
//! lib/TARGET/pkgconfig/alligator.pc
//! lib/cmake/alligator/                    find_package(alligator)
//! share/doc/alligator/                    the manual, the licences
//! share/alligator/examples/
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use object::Architecture;
use serde::{Deserialize, Serialize};

use crate::archive;
use crate::library::{self, BARE, Flavour, HOST, Target, WASI, WASI_THREADS};
use alligator_tools::guest;

/// What was built.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Package {
    /// The folder.
    pub(crate) dir: PathBuf,
    /// The same as a file.
    pub(crate) tarball: PathBuf,
    /// The targets left out, each with the reason.
    pub(crate) left_out: Vec<(String, String)>,
}

impl Package {
    /// Where what was built is noted.
    fn file() -> PathBuf {
        guest::root().join("target/clib/package.json")
    }

    /// What was built last.
    pub(crate) fn read() -> Result<Self> {
        Ok(serde_json::from_slice(&fs::read(Self::file())?)?)
    }

    /// Where the libraries for `target` are.
    pub(crate) fn lib(&self, target: &Target) -> PathBuf {
        self.dir.join("lib").join(target.name)
    }

    /// Why there is no library for `target`, if there is none.
    pub(crate) fn why_left_out(&self, target: &Target) -> Option<&str> {
        let found = self.left_out.iter().find(|(name, _)| *name == target.name);
        found.map(|(_, reason)| reason.as_str())
    }

    /// Where the header is.
    pub(crate) fn include(&self) -> PathBuf {
        self.dir.join("include")
    }
}

/// Builds all of it in `target/clib`, from nothing.
pub(crate) fn build() -> Result<Package> {
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("alligator-c-{version}");
    let clib = guest::root().join("target").join("clib");
    let dir = clib.join(&name);
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    let header = header()?;
    write(&dir.join("include").join("alligator.h"), header.as_bytes())?;
    let functions = functions(&header);
    let mut left_out = Vec::new();
    for target in [&WASI, &BARE, &HOST, &WASI_THREADS] {
        if let Err(reason) = library::ensure(target) {
            left_out.push((target.name.to_owned(), format!("{reason:#}")));
            continue;
        }
        let scopes = library::build_scopes(target, &functions)?;
        for flavour in Flavour::ALL {
            let object = library::build(target, flavour, &functions)?;
            add_library(&dir, target, flavour, &object, &scopes)?;
        }
        let file = dir.join("lib").join(target.name).join("pkgconfig");
        write(&file.join("alligator.pc"), pkg_config(target).as_bytes())?;
    }
    add_cmake(&dir, version)?;
    add_documents(&dir)?;
    let tarball = clib.join(format!("{name}.tar.gz"));
    pack(&clib, &name, &tarball)?;
    let package = Package {
        dir,
        tarball,
        left_out,
    };
    write(&Package::file(), &serde_json::to_vec(&package)?)?;
    Ok(package)
}

fn add_library(
    dir: &Path,
    target: &Target,
    flavour: Flavour,
    object: &[u8],
    scopes: &[u8],
) -> Result<()> {
    for object in [object, scopes] {
        ensure!(
            !contains(object, guest::root().as_os_str().as_encoded_bytes()),
            "the library has a path of this machine in it"
        );
    }
    let lib = dir.join("lib").join(target.name);
    let file = format!("lib{}.a", flavour.library());
    let members = [
        (archive::OBJECT_NAME, object),
        (archive::SCOPES_NAME, scopes),
    ];
    write(&lib.join(file), &archive::archive_of(&members)?)?;
    let wasm = object::File::parse(object).map(|file| object::Object::architecture(&file))?;
    if flavour == Flavour::Plain && wasm == Architecture::Wasm32 {
        write(&lib.join(archive::OBJECT_NAME), object)?;
    }
    Ok(())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The C header, made from the documentation of the functions.
fn header() -> Result<String> {
    let dir = guest::root().join("crates").join("alligator-c");
    let config = cbindgen::Config::from_file(dir.join("cbindgen.toml"))
        .map_err(|error| anyhow::anyhow!("cbindgen.toml: {error}"))?;
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in [
        "malloc.rs",
        "layouts.rs",
        "controls.rs",
        "scopes.rs",
        "guards.rs",
    ] {
        builder = builder.with_src(dir.join("src").join(file));
    }
    builder = builder.with_src(guest::root().join("crates/alligator-rt/src/exports.rs"));
    let mut bytes = Vec::new();
    builder.generate()?.write(&mut bytes);
    Ok(in_words_of_c(&String::from_utf8(bytes)?))
}

/// Rust's marks in the text as C developers write.
fn in_words_of_c(header: &str) -> String {
    header
        .replace(" # Safety\n\n ", " Requires: ")
        .replace("[`", "")
        .replace("`]", "")
        .replace('`', "")
        .replace("As for free.", "as for free.")
        .replace("As for alligator", "as for alligator")
}

/// The functions that `header` declares, sorted.
fn functions(header: &str) -> Vec<String> {
    let mut names: Vec<_> = header
        .lines()
        .filter(|line| !line.starts_with([' ', '/', '#', '}']))
        .filter_map(|line| line.split_once('('))
        .filter_map(|(start, _)| start.rsplit([' ', '*']).next())
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

fn pkg_config(target: &Target) -> String {
    format!(
        "prefix=${{pcfiledir}}/../../..\n\
         libdir=${{prefix}}/lib/{}\n\
         includedir=${{prefix}}/include\n\
         \n\
         Name: alligator\n\
         Description: malloc in constant time, for WebAssembly\n\
         Version: {}\n\
         Cflags: -I${{includedir}}\n\
         Libs: -L${{libdir}} -lalligator\n",
        target.name,
        env!("CARGO_PKG_VERSION"),
    )
}

fn add_cmake(dir: &Path, version: &str) -> Result<()> {
    let from = guest::root()
        .join("crates")
        .join("alligator-c")
        .join("cmake");
    let to = dir.join("lib").join("cmake").join("alligator");
    for name in ["alligator-config.cmake", "alligator-config-version.cmake"] {
        let text = fs::read_to_string(from.join(name))?;
        write(
            &to.join(name),
            text.replace("@VERSION@", version).as_bytes(),
        )?;
    }
    Ok(())
}

fn add_documents(dir: &Path) -> Result<()> {
    let root = guest::root();
    let doc = dir.join("share").join("doc").join("alligator");
    for name in ["LICENSE-APACHE", "LICENSE-MIT", "docs/c.md"] {
        let file = Path::new(name).file_name().unwrap_or_default();
        write(&doc.join(file), &fs::read(root.join(name))?)?;
    }
    let examples = dir.join("share").join("alligator").join("examples");
    copy_sources(&root.join("examples").join("c"), &examples)?;
    from_registry(&examples.join("with-rust").join("part"))
}

/// Makes the Rust part in `dir` depend on the published crate: there is no repository around it.
fn from_registry(dir: &Path) -> Result<()> {
    let manifest = dir.join("Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    let published = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
    let ours = "{ path = \"../../../../crates/alligator-c\" }";
    ensure!(text.contains(ours), "{}: no {ours}", manifest.display());
    fs::write(&manifest, text.replace(ours, &published))?;
    fs::remove_file(dir.join("Cargo.lock"))?; // It is of the crate in the repository.
    Ok(())
}

/// Copies the files below `from`, but for what is built there.
fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("{}", from.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if name != "build" && name != "target" {
                copy_sources(&path, &to.join(name))?;
            }
        } else if path.extension().is_none_or(|it| it != "wasm") {
            write(&to.join(name), &fs::read(&path)?)?;
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Packs the folder `name` in `dir`: the same bytes whoever packs it, and when.
fn pack(dir: &Path, name: &str, tarball: &Path) -> Result<()> {
    let status = Command::new("tar")
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
        .args(["--mtime=@0", "--mode=u+rwX,go+rX,go-w"])
        .args(["--use-compress-program=gzip -9n", "-cf"])
        .arg(tarball)
        .arg("-C")
        .arg(dir)
        .arg(name)
        .status()
        .context("tar does not start")?;
    if !status.success() {
        bail!("tar cannot pack {}", dir.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_functions_are_found() {
        let header = "/**\n * malloc(size)\n */\nvoid *malloc(size_t size);\n\nbool check(void);\n";
        assert_eq!(functions(header), ["check", "malloc"]);
    }
}
