//! The book's page that takes a module (`docs/try`), in real browsers: a script of ours gives it modules as a visitor
//! would, and looks at what it says.

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use alligator_tools::guest::{self, Guest};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::Outcome;
use crate::browsers::{Kind, until_found};

/// What uses the page.
const VISITOR: &str = include_str!("visitor.js");

/// How long a browser may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// The page's own files, and where they are in the repository.
const FILES: [(&str, &str); 7] = [
    ("index.html", "docs/try/index.html"),
    ("style.css", "docs/try/style.css"),
    ("try.js", "docs/try/try.js"),
    ("worker.js", "docs/try/worker.js"),
    ("engine.js", "docs/try/engine.js"),
    ("record.js", "npm/record.js"),
    ("trace.js", "npm/trace.js"),
];

/// What a browser found.
#[derive(Debug, Deserialize)]
struct Findings {
    /// What is wrong, in a line each.
    failures: Vec<String>,
    /// Checks that were made.
    checks: u32,
    /// Milliseconds in which a module was looked at.
    looked: f64,
}

/// Tests the page in each browser that is there.
pub(crate) fn run() -> Result<Outcome> {
    let site = site()?;
    let mut outcome = Outcome::LeftOut;
    for kind in [Kind::Chromium, Kind::Firefox] {
        if kind.installed().is_none() {
            println!("{}: left out, it is not installed", kind.name());
            continue;
        }
        outcome = Outcome::Passed;
        let findings = visit(kind, &site).with_context(|| kind.name())?;
        for failure in &findings.failures {
            println!("{}: {failure}", kind.name());
        }
        ensure!(
            findings.failures.is_empty(),
            "{}: {} checks failed",
            kind.name(),
            findings.failures.len()
        );
        println!(
            "{}: {} checks passed; a module is looked at in {:.0} ms",
            kind.name(),
            findings.checks,
            findings.looked
        );
    }
    Ok(outcome)
}

/// All that may be asked for: the page, and modules to give it.
fn site() -> Result<BTreeMap<String, Vec<u8>>> {
    let mut site = BTreeMap::new();
    for (name, path) in FILES {
        let bytes = fs::read(guest::root().join(path)).with_context(|| path)?;
        site.insert(format!("/try/{name}"), bytes);
    }
    site.insert("/try/try.wasm".to_owned(), fs::read(tools()?)?);
    let folder = guest::root().join("target/reports/modules");
    fs::create_dir_all(&folder)?;
    let churn = ["--crate-type", "cdylib", "--target", guest::TARGET];
    let stripped = [&churn[..], &["-C", "strip=symbols"]].concat();
    for (name, source, options) in [
        ("names.wasm", "churn.rs", &churn[..]),
        ("stripped.wasm", "churn.rs", &stripped),
        ("program.wasm", "program.rs", &["--target", guest::WASI]),
    ] {
        compile(source, options, &folder.join(name))?;
        site.insert(format!("/modules/{name}"), fs::read(folder.join(name))?);
    }
    let ours = guest::build(&Guest {
        crate_dir: &guest::root().join("guests/inlined"),
        library: "inlined",
        features: &[],
        output: "inlined-try",
        profile: None,
        // Its operations are then functions of their own, which have bounds.
        overrides: vec![guest::opt_level("s")],
    })?;
    site.insert("/modules/ours.wasm".to_owned(), fs::read(ours)?);
    site.insert("/modules/bad.wasm".to_owned(), b"no module".to_vec());
    Ok(site)
}

/// The tools as a module.
fn tools() -> Result<std::path::PathBuf> {
    guest::build(&Guest {
        crate_dir: &guest::root().join("guests/try"),
        library: "guest_try",
        features: &[],
        output: "try",
        profile: None,
        overrides: Vec::new(),
    })
}

/// Compiles a program of the command's tests.
fn compile(source: &str, options: &[&str], output: &Path) -> Result<()> {
    for target in [guest::TARGET, guest::WASI] {
        guest::ensure_target(target)?;
    }
    let programs = guest::root().join("crates/alligator-cli/tests/programs");
    let made = Command::new("rustc")
        .args(["-O", "--edition", "2024"])
        .args(options)
        .arg(programs.join(source))
        .arg("-o")
        .arg(output)
        .output()
        .context("rustc does not start")?;
    let said = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "{source}: {said}");
    Ok(())
}

/// Serves the page with our script in it, and waits for what that says. Anything else that the page asks for is an error.
fn visit(kind: Kind, site: &BTreeMap<String, Vec<u8>>) -> Result<Findings> {
    until_found(kind, "/try/index.html", PATIENCE, |url| {
        let Some(bytes) = site.get(url) else {
            // Browsers ask for a picture by themselves.
            ensure!(url == "/favicon.ico", "the page asks for {url}");
            return Ok(None);
        };
        let ending = Path::new(url).extension();
        Ok(Some(match ending.and_then(|ending| ending.to_str()) {
            Some("html") => {
                let page = String::from_utf8_lossy(bytes);
                let script = format!("<script type=module>{VISITOR}</script></body>");
                ("text/html", page.replace("</body>", &script).into_bytes())
            }
            Some("js") => ("text/javascript", bytes.clone()),
            Some("css") => ("text/css", bytes.clone()),
            _ => ("application/wasm", bytes.clone()),
        }))
    })
}
