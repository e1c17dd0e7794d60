//! Where and how a run is made, as this machine tells.

use std::process::Command;

use anyhow::{Context, Result};

use super::results::Setup;
use alligator_tools::guest;

impl Setup {
    /// Of a run on this machine, now.
    pub(crate) fn of_this_machine(quick: bool, rounds: u32, reference: &str) -> Result<Self> {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        Ok(Self {
            command: format!("cargo xtask {}", arguments.join(" ")),
            commit: commit(),
            date: first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"]).unwrap_or_default(),
            processor: processor(),
            cores: std::thread::available_parallelism()?.get(),
            system: system(),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            compiler: first_line("rustc", &["--version"]).context("rustc does not start")?,
            wasm_opt: first_line("wasm-opt", &["--version"]),
            quick,
            rounds,
            reference: reference.to_owned(),
            hole_counts: crate::special::HOLE_COUNTS.to_vec(),
        })
    }
}

/// The first line that a command prints, if it succeeds.
fn first_line(command: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(command)
        .args(args)
        .current_dir(guest::root())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().next().unwrap_or_default().to_owned())
}

fn commit() -> String {
    let commit = first_line("git", &["rev-parse", "--short=10", "HEAD"]);
    let changed =
        first_line("git", &["status", "--porcelain"]).is_some_and(|line| !line.is_empty());
    let mark = if changed { "+" } else { "" };
    commit.map_or_else(|| "unknown".to_owned(), |commit| commit + mark)
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(": "));
    name.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, name)| name.to_owned(),
    )
}

fn system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.map_or_else(
        || std::env::consts::OS.to_owned(),
        |name| name.trim_matches('"').to_owned(),
    )
}
