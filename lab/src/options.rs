//! What several commands are asked in the same words.

use core::str::FromStr;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::engines::{ENGINES, Engine};
use alligator_tools::allocator::{self, Allocator};

/// A part of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Part {
    /// Is every allocator correct?
    Check,
    /// Exact instructions and memory
    Counts,
    /// Code size
    Size,
    /// Time per operation and per program
    Time,
    /// Single operations
    Latency,
    /// Cold start
    Start,
}

impl Part {
    /// In the order in which they are measured: who breaks its contract is not measured, and who is
    /// slow is not timed.
    pub(crate) const ALL: [Self; 6] = [
        Self::Check,
        Self::Counts,
        Self::Size,
        Self::Time,
        Self::Latency,
        Self::Start,
    ];

    /// As it is shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Check => "contracts",
            Self::Counts => "instructions",
            Self::Size => "code size",
            Self::Time => "times",
            Self::Latency => "single operations",
            Self::Start => "cold starts",
        }
    }
}

/// Which allocators.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Allocators {
    /// Allocators, by name and separated by commas; NAME=DIR[:FEATURE,...] is one more: a crate
    /// with a unit struct `Alligator` or with `AlligatorAlloc::new()`
    #[arg(long = "allocator", value_name = "NAME")]
    asked: Vec<Asked>,
}

/// One argument of `--allocator`.
#[derive(Clone, Debug, Default)]
struct Asked {
    names: Vec<String>,
    more: Vec<Allocator>,
}

impl FromStr for Asked {
    type Err = anyhow::Error;

    /// What follows the features of a crate, up to the next `=`, are features of it, too.
    fn from_str(text: &str) -> Result<Self> {
        let mut asked = Self::default();
        let mut pieces = text.split(',').peekable();
        while let Some(piece) = pieces.next() {
            if !piece.contains('=') {
                asked.names.push(piece.to_owned());
                continue;
            }
            let mut one = piece.to_owned();
            while let Some(feature) =
                pieces.next_if(|next| piece.contains(':') && !next.contains('='))
            {
                one = format!("{one},{feature}");
            }
            asked.more.push(one.parse()?);
        }
        Ok(asked)
    }
}

impl Allocators {
    /// Crates that are not the lab's first, then those of the lab that were named; `by_default` if
    /// none was.
    ///
    /// # Errors
    /// The lab has none of such a name.
    pub(crate) fn choose(&self, by_default: impl Fn(&Allocator) -> bool) -> Result<Vec<Allocator>> {
        let mut known = allocator::known()?;
        let names: Vec<&String> = self.asked.iter().flat_map(|one| &one.names).collect();
        for name in &names {
            let exists = known.iter().any(|allocator| allocator.name == **name);
            ensure!(exists, "no allocator is called {name}");
        }
        known.retain(|one| {
            if names.is_empty() {
                by_default(one)
            } else {
                names.contains(&&one.name)
            }
        });
        let more = self.asked.iter().flat_map(|one| one.more.iter().cloned());
        Ok(more.chain(known).collect())
    }

    /// True if the choice is the command's own.
    pub(crate) fn are_default(&self) -> bool {
        self.asked.is_empty()
    }
}

/// Which workloads.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Only {
    /// Workloads, by name; all by default
    #[arg(long, value_delimiter = ',', value_name = "WORKLOAD")]
    only: Vec<String>,
}

impl Only {
    /// True if all are wanted.
    pub(crate) fn is_all(&self) -> bool {
        self.only.is_empty()
    }

    /// Those of `all` that are wanted, by what they are called; `by_default` if none is named.
    pub(crate) fn retain<T>(
        &self,
        all: &mut Vec<T>,
        name: impl Fn(&T) -> &String,
        by_default: impl Fn(&T) -> bool,
    ) {
        all.retain(|one| {
            if self.is_all() {
                by_default(one)
            } else {
                self.only.contains(name(one))
            }
        });
    }

    /// Refuses names that are no workload's.
    ///
    /// # Errors
    /// Says which.
    pub(crate) fn refuse_unknown(&self, known: &[&String]) -> Result<()> {
        match self.only.iter().find(|name| !known.contains(name)) {
            Some(name) => bail!("no workload is called {name}"),
            None => Ok(()),
        }
    }
}

/// Which engines.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Engines {
    /// Engines; by default all that are there, of those that the command is for
    #[arg(long, value_delimiter = ',', value_name = "ENGINE")]
    engine: Vec<Engine>,
}

impl Engines {
    /// Those that were named, else `by_default`.
    pub(crate) fn choose(&self, by_default: &[Engine]) -> Vec<Engine> {
        let wanted = if self.engine.is_empty() {
            by_default
        } else {
            &self.engine
        };
        let chosen = ENGINES.into_iter().filter(|one| wanted.contains(one));
        chosen.collect()
    }
}

/// A run of the lab.
#[derive(Args, Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Choice {
    #[command(flatten)]
    pub(crate) allocators: Allocators,
    #[command(flatten)]
    pub(crate) workloads: Only,
    #[command(flatten)]
    pub(crate) engines: Engines,
    /// Measures; all that the command is for by default
    #[arg(long, value_delimiter = ',', value_name = "MEASURE")]
    pub(crate) measure: Vec<Part>,
    /// Shorter traces, fewer rounds, and times on one third of the synthetic workloads
    #[arg(long)]
    pub(crate) quick: bool,
    /// Rounds of which each time is the median; 9, or 5 with `--quick`. Take more where noise
    /// decides
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: Option<u32>,
    /// Measure only what the results file does not have yet
    #[arg(long)]
    pub(crate) resume: bool,
    /// Measure nothing: report again from the results file
    #[arg(long, conflicts_with = "resume")]
    pub(crate) report: bool,
    /// Where results.json and the reports are written
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Print the results, as they are in results.json, instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(allocators: &[Allocator]) -> Vec<&str> {
        allocators.iter().map(|one| one.name.as_str()).collect()
    }

    fn chosen(arguments: &[&str]) -> Result<Vec<Allocator>> {
        let asked = arguments.iter().map(|text| text.parse());
        let asked = asked.collect::<Result<_>>()?;
        Allocators { asked }.choose(|one| one.name == "alligator")
    }

    #[test]
    fn what_is_named_is_chosen_and_a_crate_is_one_more() -> Result<()> {
        assert_eq!(names(&chosen(&[])?), ["alligator"]);
        assert_eq!(names(&chosen(&["talc,dlmalloc"])?), ["talc", "dlmalloc"]);
        assert_eq!(names(&chosen(&["x=."])?), ["x", "alligator"]);
        assert_eq!(names(&chosen(&["talc,x=.:a,b,y=."])?), ["x", "y", "talc"]);
        assert_eq!(
            names(&chosen(&["x=.,talc", "floor"])?),
            ["x", "talc", "floor"]
        );
        assert!(chosen(&["none"]).is_err());
        Ok(())
    }
}
