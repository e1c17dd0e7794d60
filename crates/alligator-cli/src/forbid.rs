//! `alligator bound --forbid`: proves what an export cannot reach, or prints the way there.

use core::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use alligator_bound::Options;
use alligator_bound::forbid::{Answer, Chain, Demand, Finding, Forbidden, Origin, Report, forbid};
use alligator_find::core_of;
use clap::ValueEnum;

use crate::bound::located;

/// Chains of calls that are printed for each thing; the rest is only counted.
const CHAINS_SHOWN: usize = 3;

/// What may be forbidden, as it is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// Growth of the memory
    Grow,
    /// Waiting for another thread
    Wait,
    /// A loop without a bound, or recursion
    Loop,
}

impl From<Kind> for Forbidden {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Grow => Self::Grow,
            Kind::Wait => Self::Wait,
            Kind::Loop => Self::Loop,
        }
    }
}

/// What an export must not reach.
#[derive(Debug, clap::Args)]
pub(crate) struct Prohibition {
    /// Prove that functions do not reach these, or print how they do
    #[arg(long, value_name = "KINDS", value_delimiter = ',', requires = "from", conflicts_with_all = ["entries", "max", "witness"])]
    forbid: Vec<Kind>,
    /// Function that must not reach what is forbidden, by export, symbol or index
    #[arg(long, value_name = "NAME", requires = "forbid")]
    from: Vec<String>,
    /// Take functions with this text in their name not to be called, what panics for instance
    #[arg(long, value_name = "TEXT", requires = "forbid")]
    except: Vec<String>,
}

impl Prohibition {
    /// Whether this is what is asked for.
    pub(crate) fn are_there(&self) -> bool {
        !self.forbid.is_empty()
    }
}

/// Runs it and gives the exit status.
pub(crate) fn run(
    arguments: &Prohibition,
    path: &Path,
    bytes: &[u8],
    options: &Options,
    json: bool,
) -> Result<u8, String> {
    let (core, which) = core_of(bytes).map_err(|error| located(path, &error))?;
    let demand = Demand {
        forbidden: arguments.forbid.iter().copied().map(Into::into).collect(),
        from: arguments.from.clone(),
        except: arguments.except.clone(),
    };
    let start = which.as_ref().map_or(0, |which| which.offset);
    let report =
        forbid(core, &demand, options).map_err(|error| located(path, &error.within(start)))?;
    let text = if json {
        report.to_json()
    } else {
        describe(&report)
    };
    // A closed pipe does not change what was proved.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(match report.answer() {
        Answer::Never => 0,
        Answer::Reached => 1,
        Answer::Conditional => 2,
    })
}

/// The report for people.
fn describe(report: &Report) -> String {
    let mut text = String::new();
    for origin in &report.from {
        for finding in &origin.findings {
            describe_finding(&mut text, origin, finding);
        }
        let is_conditional = |finding: &Finding| finding.answer == Answer::Conditional;
        if origin.findings.iter().any(is_conditional) {
            describe_chains(&mut text, "not known", &origin.conditions);
        }
    }
    for assumption in &report.assumptions {
        let _ = writeln!(
            text,
            "assumed: {}\n  because: {}",
            assumption.what, assumption.because
        );
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

fn describe_finding(text: &mut String, origin: &Origin, finding: &Finding) {
    let what = match finding.forbidden {
        Forbidden::Grow => "growth of the memory",
        Forbidden::Wait => "waiting for another thread",
        Forbidden::Loop => "a loop without a bound",
    };
    let name = &origin.name;
    let _ = match finding.answer {
        Answer::Never => writeln!(
            text,
            "{name}: never reaches {what} ({} functions)",
            origin.functions
        ),
        Answer::Conditional => writeln!(
            text,
            "{name}: reaches {what} only if what is not known does"
        ),
        Answer::Reached => writeln!(text, "{name}: REACHES {what}"),
    };
    describe_chains(text, "by", &finding.reached);
}

fn describe_chains(text: &mut String, title: &str, chains: &[Chain]) {
    for chain in chains.iter().take(CHAINS_SHOWN) {
        let _ = writeln!(text, "  {title}:");
        for stop in chain {
            let _ = writeln!(
                text,
                "    {:#8x} in {}: {}",
                stop.offset, stop.function, stop.event
            );
        }
    }
    if let Some(more) = chains.len().checked_sub(CHAINS_SHOWN + 1) {
        let _ = writeln!(text, "  and {} more (--json has all)", more + 1);
    }
}
