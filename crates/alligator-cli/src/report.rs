//! `alligator report`: what a recorded heap did, for a terminal, a browser, other tools, and continuous integration.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use alligator_report::export::{Format, Value, export};
use alligator_report::{
    Analysis, Comparison, Leaks, Limits, Options, SNAPSHOT_MAGIC, Snapshot, analyse, page,
    snapshot_text, text, text_of_two,
};
use clap::ValueEnum;

use crate::bound::located;

/// Blocks on the page's map, at most.
const BLOCKS_MAX: u64 = 1_000_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The trace, as `alligator record` makes it.
    trace: PathBuf,
    /// An older trace of the same program, to hold it against.
    before: Option<PathBuf>,
    /// Write a page to look at in a browser, which needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Blocks on the page's map, at most: those that live longest.
    #[arg(long, value_name = "COUNT", default_value_t = BLOCKS_MAX, requires = "html")]
    blocks: u64,
    /// Write a file for another tool, instead of the report.
    #[arg(long, value_name = "FORMAT")]
    format: Option<FormatName>,
    /// That file. By default, the standard output.
    #[arg(short, long, value_name = "FILE", requires = "format")]
    output: Option<PathBuf>,
    /// What formats with one figure tell of each call stack.
    #[arg(
        long,
        value_name = "VALUE",
        default_value = "peak",
        requires = "format"
    )]
    value: ValueName,
    /// Rows of each table of sites.
    #[arg(long, value_name = "COUNT", default_value_t = 12)]
    rows: usize,
    #[command(flatten)]
    limits: LimitArguments,
}

/// What makes the exit status 1.
#[derive(Debug, clap::Args)]
struct LimitArguments {
    /// Exit with 1 if a block was never given back; `growing`: only if those of a site pile up.
    #[arg(long, value_name = "WHICH", num_args = 0..=1, default_missing_value = "any", require_equals = true)]
    leaks_fail: Option<LeaksName>,
    /// Exit with 1 if more bytes were live at one time; `KiB`, `MiB` and `GiB` may follow the number.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    max_peak: Option<u64>,
    /// Exit with 1 if the peak, what is left at the end, pages, or what was taken are more than this trace's.
    #[arg(long, value_name = "TRACE")]
    baseline: Option<PathBuf>,
    /// By how many percent they may be more.
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, requires = "baseline", value_parser = parse_percent)]
    tolerance: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// Gzipped profile.proto: `go tool pprof`, Perfetto, speedscope
    Pprof,
    /// DHAT's JSON, version 2: Valgrind's viewer, Firefox Profiler
    Dhat,
    /// Trace events: Perfetto, Chrome
    Chrome,
    /// V8's .heapprofile: Chrome, VS Code
    Heapprofile,
    /// Collapsed stacks: flame graphs
    Collapsed,
    /// Graph of calls: Graphviz
    Dot,
    /// Table of sites
    Csv,
    /// Table of the course
    CsvTimeline,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ValueName {
    /// Bytes live at the peak
    Peak,
    /// Bytes live at the end
    End,
    /// Bytes taken
    Bytes,
    /// Blocks taken
    Blocks,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LeaksName {
    Any,
    Growing,
}

impl FormatName {
    fn format(self) -> Format {
        match self {
            Self::Pprof => Format::Pprof,
            Self::Dhat => Format::Dhat,
            Self::Chrome => Format::Chrome,
            Self::Heapprofile => Format::HeapProfile,
            Self::Collapsed => Format::Collapsed,
            Self::Dot => Format::Dot,
            Self::Csv => Format::Csv,
            Self::CsvTimeline => Format::CsvTimeline,
        }
    }
}

impl ValueName {
    fn value(self) -> Value {
        match self {
            Self::Peak => Value::Peak,
            Self::End => Value::End,
            Self::Bytes => Value::Bytes,
            Self::Blocks => Value::Blocks,
        }
    }
}

/// A number of bytes, with or without a unit.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let unit = units.iter().find_map(|(name, shift)| {
        let number = text.strip_suffix(name)?;
        Some((number.trim_end(), *shift))
    });
    let (digits, shift) = unit.unwrap_or((text, 0));
    let number: u64 = digits
        .parse()
        .map_err(|_| "a number of bytes, as 65536, 64KiB or 1MiB".to_owned())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "too many bytes".to_owned())
}

/// A percentage that is not negative.
fn parse_percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("a number of percent, as 2 or 0.5".to_owned()),
    }
}

/// Runs the subcommand and gives the exit status. Everything is read before anything is written.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, String> {
    if arguments.format == Some(FormatName::Pprof)
        && arguments.output.is_none()
        && std::io::stdout().is_terminal()
    {
        return Err("pprof's format is no text: say where it goes with -o FILE".to_owned());
    }
    if crate::bound::read_start(&arguments.trace, SNAPSHOT_MAGIC.len())? == SNAPSHOT_MAGIC {
        return snapshot(arguments);
    }
    let blocks_max = arguments.html.as_ref().map_or(0, |_| arguments.blocks);
    let analysis = read(&arguments.trace, blocks_max)?;
    let report = &analysis.report;
    let other = |path: &Option<PathBuf>| path.as_deref().map(|path| read(path, 0)).transpose();
    let before = other(&arguments.before)?;
    let baseline = other(&arguments.limits.baseline)?;
    let limits = &arguments.limits;
    let failures = Limits {
        leaks: limits.leaks_fail.map(|leaks| match leaks {
            LeaksName::Any => Leaks::Any,
            LeaksName::Growing => Leaks::Growing,
        }),
        peak_max: limits.max_peak,
        baseline: baseline.as_ref().map(|baseline| &baseline.report),
        tolerance_percent: limits.tolerance,
    }
    .failures(report);

    if let Some(path) = &arguments.html {
        let page = page(&analysis, before.as_ref().map(|before| &before.report));
        write(path, page.map_err(|error| error.to_string())?.as_bytes())?;
    }
    let shown = if let Some(format) = arguments.format {
        export(report, format.format(), arguments.value.value())
            .map_err(|error| error.to_string())?
    } else {
        let mut shown = text(report, arguments.rows);
        if let Some(before) = &before {
            let comparison = Comparison {
                before: &before.report,
                after: report,
            };
            shown.push('\n');
            shown.push_str(&text_of_two(&comparison, arguments.rows));
        }
        shown.into_bytes()
    };
    match &arguments.output {
        Some(path) => write(path, &shown)?,
        // A closed pipe does not change what was found.
        None => drop(std::io::stdout().write_all(&shown)),
    }
    for failure in &failures {
        eprintln!("alligator: {}: {failure}", arguments.trace.display());
    }
    Ok(u8::from(!failures.is_empty()))
}

/// Reports a snapshot, of which there is a text only.
fn snapshot(arguments: &Arguments) -> Result<u8, String> {
    let path = &arguments.trace;
    if arguments.html.is_some() || arguments.format.is_some() || arguments.before.is_some() {
        return Err(located(path, &"a snapshot, of which there is a text only"));
    }
    let bytes = crate::bound::read(path)?;
    let snapshot = Snapshot::read(&bytes).map_err(|error| located(path, &error))?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    print!("{}", snapshot_text(&name.to_string_lossy(), &snapshot));
    Ok(u8::from(snapshot.broken.is_some()))
}

/// Reads a trace, twice.
pub(crate) fn read(path: &Path, blocks_max: u64) -> Result<Analysis, String> {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let options = Options {
        blocks_max,
        ..Options::default()
    };
    analyse(&name.to_string_lossy(), || File::open(path), &options)
        .map_err(|error| located(path, &error))
}

/// Writes a file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|error| located(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_may_have_a_unit() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("4 KiB"), Ok(4096));
        assert_eq!(parse_bytes("3MiB"), Ok(3 << 20));
        assert!(parse_bytes("3MB").is_err());
        assert!(parse_bytes("-1").is_err());
        assert!(parse_bytes("99999999999GiB").is_err());
    }

    #[test]
    fn a_percentage_is_not_negative() {
        assert_eq!(parse_percent("0.5"), Ok(0.5));
        assert!(parse_percent("-1").is_err());
        assert!(parse_percent("NaN").is_err());
    }
}
