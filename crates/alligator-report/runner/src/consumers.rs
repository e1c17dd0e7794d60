//! The exported files, opened by the tools that they are for. A tool that is not there is left out, by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use alligator_report::Report;
use alligator_report::export::{Format, Value, export};
use alligator_tools::guest;
use anyhow::{Context, Result, ensure};

use crate::browsers::{self, Kind};
use crate::{Outcome, page};

/// Events of the trace that is exported.
const EVENTS: u64 = 20_000;

/// What npm has: an importer of profiles, and a page that shows them.
const SPEEDSCOPE: &str = "speedscope@1.25.0";

/// Reads a table and prints the sum of a column.
const SUM: &str = "import csv, sys
print(sum(int(row['peak_bytes']) for row in csv.DictReader(open(sys.argv[1]))))";

/// Opens all files. `fetch` brings what npm has.
pub(crate) fn run(fetch: bool) -> Result<Outcome> {
    let analysis = page::analysis("game.trace", EVENTS)?;
    let report = &analysis.report;
    let folder = guest::root().join("target/reports/exported");
    fs::create_dir_all(&folder)?;
    let consumers = [
        ("Graphviz, dot", graphviz(report, &folder)?),
        ("Go, pprof", pprof(report, &folder)?),
        ("Python, csv", python(report, &folder)?),
        ("speedscope", speedscope(report, fetch)?),
    ];
    let mut outcome = Outcome::LeftOut;
    for (name, said) in consumers {
        match said {
            Some(said) => {
                outcome = Outcome::Passed;
                println!("{name}: {said}");
            }
            None => println!("{name}: left out, it is not installed"),
        }
    }
    Ok(outcome)
}

fn write(report: &Report, folder: &Path, name: &str, format: Format) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, export(report, format, Value::Peak)?)?;
    Ok(path)
}

/// What a command prints; nothing if it is not installed.
fn output(command: &mut Command) -> Result<Option<String>> {
    let output = match command.stdin(Stdio::null()).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        output => output?,
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}{complaint}");
    Ok(Some(said))
}

fn graphviz(report: &Report, folder: &Path) -> Result<Option<String>> {
    let file = write(report, folder, "game.dot", Format::Dot)?;
    let Some(picture) = output(Command::new("dot").arg("-Tsvg").arg(file))? else {
        return Ok(None);
    };
    let nodes = picture.matches("class=\"node\"").count();
    let edges = picture.matches("class=\"edge\"").count();
    ensure!(
        picture.contains("game::load_level") && nodes > 2 && edges > 1,
        "{picture}"
    );
    Ok(Some(format!("{nodes} functions and {edges} calls drawn")))
}

/// `go tool pprof`, or the program alone.
fn pprof(report: &Report, folder: &Path) -> Result<Option<String>> {
    let file = write(report, folder, "game.pb.gz", Format::Pprof)?;
    let arguments = ["-top", "-sample_index=peak_space", "-unit=bytes"];
    let mut go = Command::new("go");
    go.args(["tool", "pprof"]).args(arguments).arg(&file);
    let mut alone = Command::new("pprof");
    alone.args(arguments).arg(&file);
    let Some(top) = output(&mut go)?.map_or_else(|| output(&mut alone), |top| Ok(Some(top)))?
    else {
        return Ok(None);
    };
    let total = format!("{}B total", report.peak.bytes);
    ensure!(
        top.contains(&total) && top.contains("alloc::boxed::Box<T>::new"),
        "{top}"
    );
    Ok(Some(format!("the peak's {} bytes", report.peak.bytes)))
}

fn python(report: &Report, folder: &Path) -> Result<Option<String>> {
    let file = write(report, folder, "game.csv", Format::Csv)?;
    let Some(sum) = output(Command::new("python3").args(["-c", SUM]).arg(file))? else {
        return Ok(None);
    };
    ensure!(sum.trim() == report.peak.bytes.to_string(), "{sum}");
    Ok(Some(format!("the peak's {} bytes", sum.trim())))
}

/// speedscope's page in a browser, for each format that it reads: it must show the program's functions.
fn speedscope(report: &Report, fetch: bool) -> Result<Option<String>> {
    let folder = guest::root().join("target/reports/speedscope");
    let release = folder.join("node_modules/speedscope/dist/release");
    if fetch && !release.exists() {
        fs::create_dir_all(&folder)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-save", "--ignore-scripts", "--prefix"])
            .arg(&folder)
            .arg(SPEEDSCOPE);
        output(&mut npm)?.context("npm is not installed")?;
    }
    if !release.exists() || Kind::Chromium.installed().is_none() {
        return Ok(None);
    }
    let formats = [
        ("game.pb.gz", Format::Pprof),
        ("game.heapprofile", Format::HeapProfile),
        ("game.txt", Format::Collapsed),
    ];
    for (name, format) in formats {
        let file = export(report, format, Value::Peak)?;
        let shown = browsers::visit_speedscope(&release, name, &file).context(name)?;
        for function in ["game::load_level", "alloc::boxed::Box<T>::new"] {
            ensure!(shown.contains(function), "{name}: no {function} in {shown}");
        }
    }
    Ok(Some(format!("{} formats", formats.len())))
}
