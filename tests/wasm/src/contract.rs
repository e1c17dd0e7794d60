//! `cargo xtask contract`: the contract kit on wasm32, under wasmtime, on Alligator with every selection of its
//! features and on two peers, which show that the kit asks nothing unreasonable.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use wasmtime::{
    Caller, Engine, Extern, Linker, Module, Store, StoreLimits, StoreLimitsBuilder, TypedFunc,
};

use alligator_tools::command::{combinations, features_of};
use alligator_tools::guest::{self, Guest};

/// The peers. They are in the guest's lockfile, not in ours.
const PEERS: [&str; 2] = ["dlmalloc", "talc"];

/// Pages of the memories in which each clause is run: few, to be filled block by block, and all there can be.
const MEMORIES: [usize; 2] = [119, 65_536];

/// A clause that a peer is known to break, and why. When it is kept again, the run fails: the entry is to go.
struct KnownFault {
    allocator: &'static str,
    pages: usize,
    clause: &'static str,
    why: &'static str,
}

impl KnownFault {
    /// Whether it is this allocator's, or that of what is around it.
    fn is_of(&self, name: &str) -> bool {
        name.split(' ').next() == Some(self.allocator)
    }
}

const KNOWN_FAULTS: [KnownFault; 1] = [KnownFault {
    allocator: "talc",
    pages: 65_536,
    clause: "the_end_of_memory_is_null_and_the_heap_goes_on",
    why: "talc 5.1.1 splits the last free chunk of 4 GiB so that the rest starts at address 0, and traps there \
          (`allocate`, `register_gap`)",
}];

/// What to run.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// One feature at a time, none and all, instead of every selection
    #[arg(long)]
    quick: bool,
}

/// Runs all clauses on all allocators.
pub(crate) fn run(options: &Options) -> Result<()> {
    let features = features_of("alligator-alloc")?;
    let all = combinations(&features);
    let chosen = all.iter().filter(|selection| {
        let count = selection.split(',').filter(|name| !name.is_empty()).count();
        !options.quick || count <= 1 || count == features.len()
    });
    let mut failures = Vec::new();
    for selection in chosen {
        let names = selection.split(',').filter(|name| !name.is_empty());
        let mut names: Vec<_> = names
            .map(|name| format!("alligator-alloc/{name}"))
            .collect();
        let name = ["alligator", selection.as_str()].join(" ");
        // The guest asks the checker.
        if selection.contains("check") {
            names.push("check".to_owned());
        }
        names.push("alligator".to_owned());
        run_one(name.trim_end(), &names, &mut failures)?;
    }
    for peer in PEERS {
        run_one(peer, &[peer.to_owned()], &mut failures)?;
    }
    for inner in ["alligator", PEERS[0], PEERS[1]] {
        let name = format!("{inner} under guards, limits and a budget");
        run_one(&name, &[inner.to_owned(), "rt".to_owned()], &mut failures)?;
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

/// Runs all clauses on the allocator of these features, and prints how many are kept.
fn run_one(name: &str, features: &[String], failures: &mut Vec<String>) -> Result<()> {
    let module = build(features).with_context(|| name.to_owned())?;
    let engine = Engine::default();
    let module = Module::from_file(&engine, module)?;
    let (mut kept, mut not_here) = (0, Vec::new());
    for index in 0.. {
        let Some(clause) = Instance::new(&engine, &module, MEMORIES[0])?.name(index)? else {
            break;
        };
        let mut applies = false;
        for pages in MEMORIES {
            let outcome = Instance::new(&engine, &module, pages)?.run(index, pages);
            applies |= *outcome.as_ref().unwrap_or(&true);
            failures.extend(judge(name, pages, &clause, outcome));
        }
        kept += usize::from(applies);
        if !applies {
            not_here.push(clause);
        }
    }
    ensure!(kept > 0, "the guest has no clauses");
    let rest = if not_here.is_empty() {
        String::new()
    } else {
        format!(", not applicable: {}", not_here.join(", "))
    };
    println!("{name}: {kept} clauses run{rest}");
    Ok(())
}

/// What is to be reported of an outcome as a failure.
fn judge(name: &str, pages: usize, clause: &str, outcome: Result<bool>) -> Option<String> {
    let known = KNOWN_FAULTS
        .iter()
        .find(|known| known.is_of(name) && known.pages == pages && known.clause == clause);
    let head = format!("{name}, {pages} pages: {clause}");
    match (outcome, known) {
        (Ok(_), None) => None,
        (Ok(_), Some(known)) => Some(format!("{head}: kept, though {}", known.why)),
        (Err(_), Some(known)) => {
            println!("{head}: not kept: {}", known.why);
            None
        }
        (Err(error), None) => {
            // What the kit says starts with the clause, what a trap says does not.
            let text = format!("{error:#}");
            let text = text.strip_prefix(&format!("{clause}: ")).unwrap_or(&text);
            Some(format!("{head}: {text}"))
        }
    }
}

/// Builds the guest with these features.
fn build(features: &[String]) -> Result<PathBuf> {
    let features: Vec<_> = features.iter().map(String::as_str).collect();
    guest::build(&Guest {
        crate_dir: &guest::root().join("guests").join("contract"),
        library: "guest_contract",
        features: &features,
        output: "guest-contract",
        profile: None,
        overrides: vec![guest::opt_level("2")],
    })
}

/// What the host keeps for an instance.
struct State {
    limits: StoreLimits,
    /// The last message.
    message: String,
}

/// A fresh instance, whose memory is limited.
struct Instance {
    store: Store<State>,
    name: TypedFunc<u32, u32>,
    run: TypedFunc<(u32, u32), u32>,
}

impl Instance {
    fn new(engine: &Engine, module: &Module, pages_max: usize) -> Result<Self> {
        let limits = StoreLimitsBuilder::new().memory_size(pages_max << 16);
        let state = State {
            limits: limits.build(),
            message: String::new(),
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limits);
        let mut linker = Linker::new(engine);
        linker.func_wrap("host", "say", say)?;
        let instance = linker.instantiate(&mut store, module)?;
        let name = instance.get_typed_func(&mut store, "name")?;
        let run = instance.get_typed_func(&mut store, "run")?;
        Ok(Self { store, name, run })
    }

    /// The name of clause number `index`.
    fn name(mut self, index: u32) -> Result<Option<String>> {
        let is_there = self.name.call(&mut self.store, index)? != 0;
        Ok(is_there.then(|| self.store.into_data().message))
    }

    /// True if the clause is kept, false if it does not apply.
    fn run(mut self, index: u32, pages: usize) -> Result<bool> {
        let verdict = self
            .run
            .call(&mut self.store, (index, u32::try_from(pages)?));
        let message = &self.store.data().message;
        match verdict
            .map_err(anyhow::Error::from)
            .with_context(|| message.clone())?
        {
            0 => Ok(true),
            1 => Ok(false),
            _ => bail!("{message}"),
        }
    }
}

/// Keeps what the guest has at `address`.
fn say(mut caller: Caller<'_, State>, address: u32, length: u32) -> wasmtime::Result<()> {
    if let Some(Extern::Memory(memory)) = caller.get_export("memory") {
        let mut bytes = vec![0; length as usize];
        memory.read(&caller, address as usize, &mut bytes)?;
        caller.data_mut().message = String::from_utf8_lossy(&bytes).into_owned();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_known_fault_is_no_failure_until_it_is_gone() {
        let KnownFault {
            allocator,
            pages,
            clause,
            ..
        } = KNOWN_FAULTS[0];
        assert_eq!(
            judge(allocator, pages, clause, Err(anyhow!("a trap"))),
            None
        );
        assert!(judge(allocator, pages, clause, Ok(true)).is_some());
        assert!(judge("alligator", pages, clause, Err(anyhow!("a trap"))).is_some());
        assert_eq!(judge("alligator", pages, clause, Ok(true)), None);
    }

    #[test]
    fn a_failure_names_its_clause_once() {
        let outcome = Err(anyhow!("clause: step 1: not zero"));
        let text = judge("alligator", 1, "clause", outcome);
        assert_eq!(
            text.as_deref(),
            Some("alligator, 1 pages: clause: step 1: not zero")
        );
    }
}
