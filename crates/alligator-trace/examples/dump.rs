//! Prints a trace, one event a line: `cargo run -p alligator-trace --example dump app.trace`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::process::ExitCode;

use alligator_trace::{Kind, Reader};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("dump: which trace?");
        return ExitCode::from(3);
    };
    match dump(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("dump: {path}: {reason}");
            ExitCode::from(3)
        }
    }
}

fn dump(path: &str) -> Result<(), Box<dyn core::error::Error>> {
    let mut reader = Reader::new(File::open(path)?)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    writeln!(out, "{:?}", reader.header())?;
    while let Some(event) = reader.next_event()? {
        write!(
            out,
            "{} {}ns thread {} ",
            event.sequence, event.time_ns, event.thread
        )?;
        match event.kind {
            Kind::Mark { name } => {
                let name = reader.sites().string(name).unwrap_or_default();
                write!(out, "mark {name:?}")?;
            }
            kind => write!(out, "{kind:x?}")?,
        }
        for frame in reader.sites().frames(event.site) {
            write!(out, " < {}", frame.name)?;
            if let Some(file) = frame.file {
                write!(out, " ({file}:{})", frame.line)?;
            }
        }
        writeln!(out)?;
    }
    match reader.cut_off() {
        Some(offset) => writeln!(out, "cut off at {offset:#x}")?,
        None => writeln!(out, "{:?}", reader.totals())?,
    }
    Ok(())
}
