//! Exact figures: instructions, memory and code size.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use anyhow::{Result, anyhow, ensure};
use wasmtime::{Instance, Module};

use super::material::{CONTROL, GuestKind, Material};
use super::queue;
use super::results::Results;
use super::runner::Runner;
use crate::fuel::{self, Figures};
use crate::probe::Probe;
use crate::size::{self, OPT_LEVELS};
use crate::special::{self, Special};
use crate::workloads::Program;
use alligator_meter::{counting_engine, counting_store};

/// An allocator that needs more instructions for a trace is given up on.
const FUEL_MAX: u64 = 3_000_000_000;

/// One that needs more for a whole program is taken to hang.
const PROGRAM_FUEL_MAX: u64 = 100_000_000_000;

/// What is counted, of each allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    /// A trace, by its workload's place.
    Trace(usize),
    Special,
    /// A whole program, by its workload's place.
    Program(usize),
}

/// The count.
enum Counts {
    Trace(Box<Figures>),
    Special(Special),
    Program(u64),
}

impl Counted {
    /// What it is called: the workload it is of.
    fn name(self, material: &Material) -> &str {
        match self {
            Self::Trace(place) | Self::Program(place) => &material.workloads[place].trace.name,
            Self::Special => "the special figures",
        }
    }

    fn is_known(self, results: &Results, allocator: &str, workload: &str) -> bool {
        match self {
            Self::Trace(_) => results.figures(allocator, workload).is_some(),
            Self::Special => results.special.contains_key(allocator),
            Self::Program(_) => {
                let programs = results.programs.get(allocator);
                programs.is_some_and(|programs| programs.contains_key(workload))
            }
        }
    }
}

impl Runner<'_> {
    /// Exact counts: traces and special figures first, then the programs of those who are not too
    /// slow.
    pub(super) fn counts(&mut self) -> Result<()> {
        let places = 0..self.material.workloads.len();
        let traces = places.clone().map(Counted::Trace);
        let first: Vec<_> = core::iter::once(Counted::Special).chain(traces).collect();
        let is_whole = |place: &usize| self.material.workloads[*place].program.is_some();
        let programs: Vec<_> = places.filter(is_whole).map(Counted::Program).collect();
        self.count("counting instructions", &first, GuestKind::Probe)?;
        if !self.plan.quick && !programs.is_empty() {
            self.leave_out_slow();
            self.count("counting programs", &programs, GuestKind::Programs)?;
        }
        Ok(())
    }

    /// Counts what is not known yet, on all cores.
    fn count(&mut self, title: &str, wanted: &[Counted], kind: GuestKind) -> Result<()> {
        let material = Arc::clone(&self.material);
        let mut counts: Vec<(Counted, &str)> = Vec::new();
        for &counted in wanted {
            let names = material.allocators.iter().map(|one| one.name.as_str());
            counts.extend(names.map(|name| (counted, name)));
        }
        counts.retain(|(counted, allocator)| {
            let workload = counted.name(&material);
            !counted.is_known(&self.results, allocator, workload)
                && !self.is_left_out(allocator, workload)
        });
        self.step(title, counts.len());
        let counter = Counter::new(&material, kind)?;
        queue::run(
            &counts,
            queue::cores(),
            |&(counted, allocator), emit| {
                emit((counted, allocator, counter.count(counted, allocator)));
            },
            |(counted, allocator, counts)| {
                self.bar.inc(1);
                let workload = counted.name(&material);
                match counts {
                    Ok(counts) => add(&mut self.results, allocator, workload, counts),
                    Err(error) => {
                        let why = first_line(&error.root_cause().to_string());
                        self.leave_out(allocator, workload, &why);
                    }
                }
                self.save_sometimes();
            },
        );
        Ok(())
    }

    /// Code size at every level.
    pub(super) fn sizes(&mut self) -> Result<()> {
        let optimizer = size::optimizer_exists();
        if !optimizer {
            self.missing(
                "sizes after wasm-opt: it is not installed (Debian package binaryen)".to_owned(),
            );
        }
        self.step(
            "building for size",
            OPT_LEVELS.len() * self.material.allocators.len(),
        );
        let material = Arc::clone(&self.material);
        for level in OPT_LEVELS {
            let mut empty = None;
            for allocator in &material.allocators {
                self.bar.inc(1);
                let known = self.results.sizes.get(&allocator.name);
                if known.is_some_and(|sizes| sizes.contains_key(level)) {
                    continue;
                }
                let empty = match empty {
                    Some(empty) => empty,
                    None => *empty.insert(size::empty(level, optimizer)?),
                };
                match size::added_to(empty, allocator, level, optimizer) {
                    Ok(size) => {
                        let sizes = self.results.sizes.entry(allocator.name.clone());
                        sizes.or_default().insert(level.to_owned(), size);
                    }
                    Err(error) => {
                        let why = first_line(&format!("{error:#}"));
                        self.missing(format!("{}, size at {level}: {why}", allocator.name));
                    }
                }
            }
            self.save();
        }
        Ok(())
    }
}

/// What counts instructions, of modules that are compiled when they are needed.
struct Counter<'a> {
    engine: wasmtime::Engine,
    initial_pages: u64,
    material: &'a Material,
    kind: GuestKind,
    /// By allocator, or why there is none.
    modules: BTreeMap<&'a str, OnceLock<Result<Module, String>>>,
}

impl<'a> Counter<'a> {
    fn new(material: &'a Material, kind: GuestKind) -> Result<Self> {
        let engine = counting_engine()?;
        let control = Module::from_file(&engine, material.module(CONTROL, GuestKind::Probe)?)?;
        let names = material.allocators.iter().map(|one| one.name.as_str());
        Ok(Self {
            initial_pages: Probe::new(&engine, &control)?.pages(),
            engine,
            material,
            kind,
            modules: names.map(|name| (name, OnceLock::new())).collect(),
        })
    }

    fn module(&self, allocator: &str) -> Result<&Module> {
        let compile = || {
            let path = self.material.module(allocator, self.kind);
            let module = path.and_then(|path| Ok(Module::from_file(&self.engine, path)?));
            module.map_err(|error| format!("{error:#}"))
        };
        let module = self.modules[allocator].get_or_init(compile).as_ref();
        module.map_err(|why| anyhow!("{why}"))
    }

    fn count(&self, counted: Counted, allocator: &str) -> Result<Counts> {
        let (engine, module) = (&self.engine, self.module(allocator)?);
        let workload = |place: usize| &self.material.workloads[place];
        Ok(match counted {
            Counted::Trace(place) => {
                let (trace, pages) = (&workload(place).trace, self.initial_pages);
                let figures = fuel::run_within(engine, module, trace, pages, FUEL_MAX)?;
                Counts::Trace(Box::new(figures))
            }
            Counted::Special => Counts::Special(special::run(engine, module)?),
            Counted::Program(place) => match &workload(place).program {
                Some(program) => Counts::Program(count_program(engine, module, program)?),
                None => anyhow::bail!("no program"),
            },
        })
    }
}

/// Adds a count to the results.
fn add(results: &mut Results, allocator: &str, workload: &str, counts: Counts) {
    let (allocator, workload) = (allocator.to_owned(), workload.to_owned());
    match counts {
        Counts::Trace(figures) => {
            let counts = results.counts.entry(allocator).or_default();
            counts.insert(workload, *figures);
        }
        Counts::Special(special) => {
            results.special.insert(allocator, special);
        }
        Counts::Program(fuel) => {
            let programs = results.programs.entry(allocator).or_default();
            programs.insert(workload, fuel);
        }
    }
}

/// Instructions of a whole program.
fn count_program(engine: &wasmtime::Engine, module: &Module, program: &Program) -> Result<u64> {
    let mut store = counting_store(engine, ())?;
    store.set_fuel(PROGRAM_FUEL_MAX)?;
    let instance = Instance::new(&mut store, module, &[])?;
    let run = instance.get_typed_func::<u32, u32>(&mut store, "program")?;
    let before = store.get_fuel()?;
    let checksum = run.call(&mut store, program.number)?;
    ensure!(Some(checksum) == program.checksum, "another output");
    Ok(before - store.get_fuel()?)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
