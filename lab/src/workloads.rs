//! The workloads: data in `lab/workloads`, and the generators that turn it into traces.

mod generators;
mod patterns;

use anyhow::{Context, Result};
use serde::Deserialize;

use alligator_replay::{Recorder, Trace};
use alligator_tools::random::Random;
use generators::Generator;

/// A checksum, as a workload's file has it.
pub(crate) type Checksum = u32;

/// A synthetic workload.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Synthetic {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) seed: u64,
    /// One of those over which the project's targets are computed.
    #[serde(default)]
    pub(crate) targets: bool,
    #[serde(default)]
    checksum: Option<Checksums>,
    #[serde(flatten)]
    generator: Generator,
}

/// Of the whole trace, and of a quick one.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checksums {
    full: Checksum,
    quick: Checksum,
}

/// A real program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) about: String,
    /// In `lab/programs/src/lib.rs`.
    pub(crate) number: u32,
    #[serde(default)]
    pub(crate) targets: bool,
    /// Of its output.
    #[serde(default)]
    pub(crate) checksum: Option<Checksum>,
}

/// The synthetic workloads, in the order of the report.
pub(crate) fn synthetic() -> Result<Vec<Synthetic>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        workload: Vec<Synthetic>,
    }
    Ok(read::<File>("synthetic.toml")?.workload)
}

/// The real programs, in the order of the report.
pub(crate) fn programs() -> Result<Vec<Program>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        program: Vec<Program>,
    }
    Ok(read::<File>("programs.toml")?.program)
}

/// The program of `cargo lab demo`, which is none of the lab's.
pub(crate) fn demo() -> Program {
    Program {
        name: "demo".to_owned(),
        about: "A script engine and a JSON, Markdown and HTML pipeline".to_owned(),
        number: 0,
        targets: true,
        checksum: None,
    }
}

fn read<T: for<'de> Deserialize<'de>>(file: &str) -> Result<T> {
    let path = super::dir().join("workloads").join(file);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

impl Synthetic {
    /// The trace; a quarter of its length if `quick`.
    pub(crate) fn trace(&self, quick: bool) -> Trace {
        let scale = if quick { 1 } else { 4 };
        let mut recorder = Recorder::default();
        let mut random = Random::new(self.seed);
        self.generator.write(&mut recorder, &mut random, scale);
        recorder.finish(&self.name)
    }

    /// What the file says is the checksum of the trace's contents.
    pub(crate) fn checksum(&self, quick: bool) -> Option<Checksum> {
        let checksums = self.checksum?;
        Some(if quick {
            checksums.quick
        } else {
            checksums.full
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::oracle;
    use alligator_replay::Op;

    fn quick_traces() -> Result<Vec<Trace>> {
        Ok(synthetic()?.iter().map(|one| one.trace(true)).collect())
    }

    #[test]
    fn every_trace_ends_with_nothing_live() -> Result<()> {
        for trace in quick_traces()? {
            let mut live = HashSet::new();
            for op in &trace.ops {
                match *op {
                    Op::Alloc { id, .. } => assert!(live.insert(id), "{}", trace.name),
                    Op::Dealloc { id } => assert!(live.remove(&id), "{}", trace.name),
                    Op::Realloc { id, .. } => assert!(live.contains(&id), "{}", trace.name),
                }
            }
            assert!(live.is_empty(), "{}", trace.name);
        }
        Ok(())
    }

    #[test]
    fn traces_are_the_same_each_time() -> Result<()> {
        let (first, second) = (quick_traces()?, quick_traces()?);
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first.ops, second.ops, "{}", first.name);
        }
        Ok(())
    }

    #[test]
    fn no_block_is_empty() -> Result<()> {
        for trace in quick_traces()? {
            let empty = trace.ops.iter().any(|op| match *op {
                Op::Alloc { size, .. } | Op::Realloc { size, .. } => size == 0,
                Op::Dealloc { .. } => false,
            });
            assert!(!empty, "{}", trace.name);
        }
        Ok(())
    }

    #[test]
    fn checksums_in_the_file_are_those_of_the_traces() -> Result<()> {
        for workload in synthetic()? {
            let computed = oracle::checksum(&workload.trace(true));
            assert_eq!(workload.checksum(true), Some(computed), "{}", workload.name);
        }
        Ok(())
    }

    #[test]
    fn names_are_not_taken_twice() -> Result<()> {
        let mut names: HashSet<String> = HashSet::new();
        let synthetic = synthetic()?.into_iter().map(|workload| workload.name);
        let programs = programs()?.into_iter().map(|program| program.name);
        for name in synthetic.chain(programs) {
            assert!(names.insert(name.clone()), "{name}");
        }
        Ok(())
    }
}
