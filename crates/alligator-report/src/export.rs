//! Files for tools that people have.

mod chrome;
mod collapsed;
mod dhat;
mod dot;
mod heapprofile;
mod pprof;
mod tables;
pub(crate) mod tree;

pub use pprof::message as pprof_message;

use crate::Error;
use crate::report::Report;
use crate::sites::SiteRow;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A gzipped protocol buffer, for `go tool pprof`, Perfetto, speedscope.
    Pprof,
    /// JSON of Valgrind's DHAT, version 2, for its viewer and the Firefox Profiler.
    Dhat,
    /// JSON of trace events, for Perfetto and Chrome.
    Chrome,
    /// V8's sampling heap profile, for Chrome's `DevTools` and VS Code.
    HeapProfile,
    /// A line for each call stack, for flame graphs.
    Collapsed,
    /// A graph of calls, for Graphviz.
    Dot,
    /// A table of sites.
    Csv,
    /// A table of the course.
    CsvTimeline,
}

/// What of a call stack is told, where a format has one figure for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Value {
    /// Bytes live at the peak.
    #[default]
    Peak,
    /// Bytes live at the end.
    End,
    /// Bytes taken over the whole trace.
    Bytes,
    /// Blocks taken over the whole trace.
    Blocks,
}

impl Value {
    pub(crate) fn of(self, row: &SiteRow) -> u64 {
        match self {
            Self::Peak => row.peak.bytes,
            Self::End => row.end.bytes,
            Self::Bytes => row.taken.bytes,
            Self::Blocks => row.taken.blocks,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Peak => "bytes live at the peak",
            Self::End => "bytes live at the end",
            Self::Bytes => "bytes taken",
            Self::Blocks => "blocks taken",
        }
    }
}

/// The report as a file of another tool.
///
/// # Errors
///
/// None is known: what the formats' libraries may say.
pub fn export(report: &Report, format: Format, value: Value) -> Result<Vec<u8>, Error> {
    match format {
        Format::Pprof => pprof::write(report),
        Format::Dhat => dhat::write(report),
        Format::Chrome => chrome::write(report),
        Format::HeapProfile => heapprofile::write(report, value),
        Format::Collapsed => Ok(collapsed::write(report, value)),
        Format::Dot => Ok(dot::write(report, value)),
        Format::Csv => Ok(tables::sites(report)),
        Format::CsvTimeline => Ok(tables::timeline(report)),
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::new(error.to_string()))
}
