//! What is measured with: guests, built, and workloads, generated or recorded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;

use super::plan::Plan;
use crate::engines::{Measure, ModuleFile, Task, TraceFile};
use crate::options::Part;
use crate::workloads::Program;
use crate::{oracle, programs};
use alligator_meter::counting_engine;
use alligator_replay::Trace;
use alligator_tools::allocator::{self, Allocator, Exports};
use alligator_tools::guest::guests_dir;

/// The guest without an allocator: it is the driver alone.
pub(super) const CONTROL: &str = "control";

/// A guest, by what it exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GuestKind {
    Probe,
    Replay,
    Programs,
}

impl GuestKind {
    fn exports(self) -> Exports {
        match self {
            Self::Probe => Exports::Probe,
            Self::Replay => Exports::Replay,
            Self::Programs => Exports::Programs,
        }
    }
}

/// A workload, ready to run.
#[derive(Debug)]
pub(crate) struct Workload {
    /// Of a program, what it does with its heap.
    pub(crate) trace: Trace,
    /// What a check, or a program's output, must have.
    pub(crate) checksum: u32,
    /// The program, if it runs whole where time is measured.
    pub(crate) program: Option<Program>,
}

/// What is measured with.
#[derive(Debug, Default)]
pub(super) struct Material {
    /// Those whose guests were built, in the order of the plan.
    pub(super) allocators: Vec<Allocator>,
    pub(super) workloads: Vec<Workload>,
    /// By allocator and kind.
    modules: BTreeMap<(String, GuestKind), PathBuf>,
}

impl Material {
    /// Builds every guest that the plan needs, and makes sure that no two modules are the same.
    /// Returns why allocators are left out: they do not build.
    pub(super) fn build(&mut self, plan: &Plan, bar: &ProgressBar) -> Result<Vec<String>> {
        let control = allocator::control()?;
        self.build_one(plan, &control).context(CONTROL)?;
        let (mut contents, mut skipped) = (BTreeMap::new(), Vec::new());
        for allocator in &plan.allocators {
            let name = &allocator.name;
            bar.set_message(format!("building {name}"));
            bar.inc(1);
            if let Err(error) = self.build_one(plan, allocator) {
                skipped.push(format!("{name} does not build: {error:#}"));
                continue;
            }
            let module = std::fs::read(self.module(name, GuestKind::Probe)?)?;
            if let Some(twin) = contents.insert(module, name) {
                bail!("{name} and {twin} are the same module");
            }
            self.allocators.push(allocator.clone());
        }
        Ok(skipped)
    }

    fn build_one(&mut self, plan: &Plan, allocator: &Allocator) -> Result<()> {
        let mut kinds = vec![GuestKind::Probe];
        let in_guest = [Part::Check, Part::Time, Part::Latency];
        if in_guest.iter().any(|part| plan.has(*part)) {
            kinds.push(GuestKind::Replay);
        }
        let is_whole = !plan.replays_programs && !plan.programs.is_empty();
        if is_whole && allocator.name != CONTROL {
            kinds.push(GuestKind::Programs);
        }
        for kind in kinds {
            let path = allocator.build(kind.exports())?;
            self.modules.insert((allocator.name.clone(), kind), path);
        }
        Ok(())
    }

    /// A guest that was built.
    pub(super) fn module(&self, allocator: &str, kind: GuestKind) -> Result<&Path> {
        let path = self.modules.get(&(allocator.to_owned(), kind));
        let path = path.with_context(|| format!("{allocator} has no {kind:?} guest"))?;
        Ok(path)
    }

    /// A task that runs a workload, by its place, on all `allocators`.
    pub(super) fn task(
        &self,
        measure: Measure,
        place: usize,
        rounds: u32,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Task> {
        let Workload {
            trace,
            checksum,
            program,
        } = &self.workloads[place];
        let (kind, with_control) = match program {
            Some(_) => (GuestKind::Programs, false),
            None => (GuestKind::Replay, measure != Measure::Check),
        };
        let allocators = self.allocators.iter().map(|one| one.name.as_str());
        let names = core::iter::once(CONTROL)
            .filter(|_| with_control)
            .chain(allocators.filter(|name| is_wanted(name)));
        let modules = names.map(|name| {
            Ok(ModuleFile {
                name: name.to_owned(),
                path: self.module(name, kind)?.to_owned(),
            })
        });
        Ok(Task {
            id: place,
            measure,
            rounds,
            checksum: *checksum,
            modules: modules.collect::<Result<_>>()?,
            trace: match program {
                None => Some(TraceFile::write(trace, &guests_dir())?),
                Some(_) => None,
            },
            program: program.as_ref().map(|program| program.number),
        })
    }
}

/// Generates and records the traces, and holds their checksums against the workloads' files.
pub(crate) fn workloads_of(plan: &Plan) -> Result<Vec<Workload>> {
    let mut workloads = Vec::new();
    for workload in &plan.synthetic {
        let trace = workload.trace(plan.quick);
        let checksum = oracle::checksum(&trace);
        ensure!(
            workload.checksum(plan.quick) == Some(checksum),
            "{}: the trace's checksum is {checksum}, not the file's",
            workload.name
        );
        workloads.push(Workload {
            trace,
            checksum,
            program: None,
        });
    }
    let engine = counting_engine()?;
    let recorded = if plan.is_demo {
        vec![programs::record_demo(&engine)?]
    } else {
        programs::record(&engine, &plan.programs)?
    };
    for (program, recorded) in plan.programs.iter().zip(recorded) {
        ensure!(
            program
                .checksum
                .is_none_or(|checksum| checksum == recorded.checksum),
            "{}: the output's checksum is {}, not the file's",
            program.name,
            recorded.checksum
        );
        let is_whole = !plan.replays_programs;
        workloads.push(Workload {
            checksum: if is_whole {
                recorded.checksum
            } else {
                oracle::checksum(&recorded.trace)
            },
            trace: recorded.trace,
            program: is_whole.then(|| program.clone()),
        });
    }
    Ok(workloads)
}
