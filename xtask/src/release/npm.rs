//! The npm package: packed, installed from its archive into a project, and tested there on a real module.

use std::fs;
use std::path::Path;
use std::process::Command;

use alligator_tools::guest::{self, Guest};
use anyhow::{Result, ensure};

use super::{Outcome, VERSION, output, scratch};

/// The test, which stays in the repository.
const TEST: &str = "faults.test.mjs";

/// Whether the package has the version. Whether it has the names of faults, its test says.
pub(crate) fn agrees() -> Result<Outcome> {
    let manifest = fs::read(guest::root().join("npm/package.json"))?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest)?;
    let version = &manifest["version"];
    let is_right = version == VERSION;
    ensure!(is_right, "npm/package.json says {version}, not {VERSION}");
    Ok(Outcome::Ok(VERSION.to_owned()))
}

/// Packs, installs and tests it.
pub(crate) fn run() -> Result<Outcome> {
    for name in ["node", "npm"] {
        if output(Command::new(name).arg("--version")).is_err() {
            return Ok(Outcome::LeftOut(format!("no {name}")));
        }
    }
    let package = guest::root().join("npm");
    let project = scratch().join("npm");
    fs::create_dir_all(&project)?;
    let npm = |args: &[&str], dir: &Path| output(Command::new("npm").args(args).current_dir(dir));
    let to = project.to_string_lossy();
    npm(&["pack", "--silent", "--pack-destination", &to], &package)?;
    fs::write(project.join("package.json"), "{ \"private\": true }\n")?;
    let archive = format!("./alligator-alloc-{VERSION}.tgz");
    let quiet = ["--offline", "--no-audit", "--no-fund", "--silent"];
    npm(&[&["install", &archive], &quiet[..]].concat(), &project)?;
    for name in ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "index.d.ts"] {
        let path = project.join("node_modules/alligator-alloc").join(name);
        ensure!(path.exists(), "the archive lacks {name}");
    }
    fs::copy(package.join("test").join(TEST), project.join(TEST))?;
    let module = guest::build(&Guest {
        crate_dir: &guest::root().join("guests/faults"),
        library: "guest_faults",
        features: &[],
        output: "guest-faults-npm",
        profile: None,
        overrides: Vec::new(),
    })?;
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter", "dot", TEST])
        .env("FAULTS_WASM", module);
    output(node.current_dir(&project))?;
    Ok(Outcome::Ok("installed offline, and tested".to_owned()))
}
