//! `cargo xtask book`: the folder `docs` as a book that can be read offline.
//!
//! Chapters also stand elsewhere in the repository, and refer to its files. So the book's sources are put together first,
//! in `target/book/src`, where every link leads to a chapter or to a copy of a file. That needs nothing but the
//! repository; what makes HTML of it is mdbook.

mod blocks;
mod html;
mod pages;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use alligator_tools::guest::{self, Guest};
use anyhow::{Context, Result, bail, ensure};

use crate::programs::Missing;
use crate::steps::Step;
use crate::tidy::Tree;

/// Steps that write into the same folder.
const GROUP: &str = "book";

/// How the versions of mdbook begin whose configuration this is.
const MDBOOK: &str = "mdbook v0.5.";

/// What to do.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Compile and run the programs of the book, too
    #[arg(long)]
    test: bool,
}

/// Runs the command. Without mdbook the pages are put together and checked all the same.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mut steps: Vec<fn() -> Result<()>> = vec![assemble, build];
    if options.test {
        steps.extend([blocks::rust, blocks::javascript]);
    }
    for step in steps {
        match step() {
            Err(error) if error.is::<Missing>() => println!("left out: {error}"),
            outcome => outcome?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What must hold for the book.
pub(crate) fn steps() -> Vec<Step> {
    vec![
        Step::new("the book: chapters and links", assemble)
            .quick()
            .group(GROUP),
        Step::new("the book: made by mdbook", || {
            assemble()?;
            build()
        })
        .needs(mdbook)
        .group(GROUP),
        Step::new("the book's programs in Rust", blocks::rust).group(GROUP),
        Step::new("the book's programs in JavaScript", blocks::javascript)
            .needs(node)
            .group(GROUP),
    ]
}

/// The folder of all that is made here.
fn folder() -> PathBuf {
    guest::root().join("target").join("book")
}

/// Puts the sources together.
fn assemble() -> Result<()> {
    let tree = Tree::read()?;
    let book = pages::book(&tree)?;
    let folder = folder();
    let sources = folder.join("src");
    if sources.exists() {
        fs::remove_dir_all(&sources)?;
    }
    for (place, text) in &book.texts {
        write(&sources.join(place), text.as_bytes())?;
    }
    for (place, path) in &book.copies {
        write(
            &sources.join(place),
            &fs::read(guest::root().join(path)).with_context(|| path.clone())?,
        )?;
    }
    write(
        &folder.join("book.toml"),
        tree.text("docs/book.toml")?.as_bytes(),
    )?;
    println!(
        "the book: {} chapters, {} files",
        book.texts.len() - 1,
        book.copies.len()
    );
    Ok(())
}

/// Has mdbook make HTML, and looks through it.
fn build() -> Result<()> {
    mdbook()?;
    // The tools for the page that takes a module.
    guest::ensure_target(guest::TARGET)?;
    let tools = guest::build(&Guest {
        crate_dir: &guest::root().join("guests/try"),
        library: "guest_try",
        features: &[],
        output: "try",
        profile: None,
        overrides: Vec::new(),
    })?;
    fs::copy(tools, folder().join("src/try/try.wasm"))?;
    let output = Command::new("mdbook")
        .arg("build")
        .current_dir(folder())
        .stdin(Stdio::null())
        .output()
        .context("mdbook does not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "mdbook: {}", said.trim());
    if let Some(line) = said
        .lines()
        .find(|line| line.contains("WARN") || line.contains("ERROR"))
    {
        bail!("mdbook: {line}");
    }
    let made = folder().join("html");
    let count = html::check(&made)?;
    println!(
        "the book: {count} links of its pages lead somewhere: {}",
        made.join("index.html").display()
    );
    Ok(())
}

/// Nothing if mdbook is there, in a version that this is written for.
fn mdbook() -> Result<()> {
    let missing = |why: &str| {
        let text = format!("the book is not made to HTML: {why} (cargo install mdbook --locked)");
        Err(Missing(text).into())
    };
    let Ok(output) = Command::new("mdbook").arg("--version").output() else {
        return missing("mdbook is not installed");
    };
    let version = String::from_utf8_lossy(&output.stdout);
    if version.starts_with(MDBOOK) {
        Ok(())
    } else {
        missing(&format!("{} is no {MDBOOK}x", version.trim()))
    }
}

/// Nothing if Node.js is there.
fn node() -> Result<()> {
    let output = Command::new("node").arg("--version").output();
    if output.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    Err(Missing("node is not installed".to_owned()).into())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
