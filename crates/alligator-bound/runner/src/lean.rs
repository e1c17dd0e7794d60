//! Nothing hidden in the heap's code: looks at a compiled release module that has every operation and nothing
//! else (`guests/lean`), and at the same module with a fault planted, which must be found.

use std::collections::BTreeSet;

use alligator_bound::module::Module;
use anyhow::{Result, anyhow, ensure};
use wasmparser::{Operator, Parser, Payload};

use alligator_tools::command::features_of;
use alligator_tools::guest::{self, Guest};

/// Features of the allocator whose modules are looked at, where the allocator has them.
const BUILDS: [&str; 3] = ["", "small", "hardened"];

/// What the names of functions end with that may have a loop, whose turns the prover counts: only calls that gather come
/// to them.
const MAY_LOOP: [&str; 2] = ["::look_far", "::flush"];

/// Features of the guest that plant something, and how what is found begins.
const PLANTED: [(&str, &str); 5] = [
    ("planted-panic", "imports host.panicked"),
    ("planted-text", "has code of core::fmt"),
    ("planted-loop", "has a loop"),
    ("planted-recursion", "leads to recursion"),
    ("planted-indirect-call", "calls what only"),
];

/// Looks at each build, and that what is planted is found.
pub(crate) fn run() -> Result<()> {
    let features = features_of("alligator-alloc")?;
    let there = |name: &str| features.iter().any(|feature| feature == name);
    for build in BUILDS {
        if !build.is_empty() && !there(build) {
            println!("{build}: left out: the allocator has no such feature");
            continue;
        }
        let (name, feature) = match build {
            "" => ("default", String::new()),
            name => (name, format!("alligator-alloc/{name}")),
        };
        let bytes = module(&feature)?;
        let found = look(&bytes)?;
        ensure!(found.is_empty(), "{name}: {}", found.join("; "));
        let functions = Module::parse(&bytes)?.functions.len();
        println!(
            "{name}: {functions} functions: no import, panic, text, recursion or indirect call; no loop but where the heap gathers"
        );
    }
    ensure!(
        without_names(&module("")?)? == without_names(&module("beside-rt")?)?,
        "alligator-rt changes a module that does not use it"
    );
    println!("beside alligator-rt, unused: the same module, byte for byte");
    for (feature, expected) in PLANTED {
        let found = look(&module(feature)?)?;
        ensure!(
            found.iter().any(|fault| fault.contains(expected)),
            "{feature} is not found, but: {found:?}"
        );
        println!("{feature}: found: {}", found.join("; "));
    }
    Ok(())
}

fn module(feature: &str) -> Result<Vec<u8>> {
    let path = guest::build(&Guest {
        crate_dir: &guest::root().join("guests").join("lean"),
        library: "lean",
        features: &[feature],
        output: "lean",
        profile: None,
        overrides: Vec::new(),
    })?;
    Ok(std::fs::read(path)?)
}

/// The module's sections but for the custom ones: symbols have a number made of the features in their names.
fn without_names(module: &[u8]) -> Result<Vec<&[u8]>> {
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        let is_custom = matches!(payload, Payload::CustomSection(_));
        if let Some((_, range)) = payload.as_section().filter(|_| !is_custom) {
            let bytes = usize::try_from(range.start)?..usize::try_from(range.end)?;
            sections.push(&module[bytes]);
        }
    }
    ensure!(sections.len() > 4, "a module without code");
    Ok(sections)
}

/// What the module has that it must not have.
fn look(bytes: &[u8]) -> Result<Vec<String>> {
    let module = Module::parse(bytes).map_err(|error| anyhow!("{error}"))?;
    let mut found = Vec::new();
    let mut callees = Vec::new();
    for (index, function) in (0..).zip(&module.functions) {
        let name = module.display_name(index);
        if let Some((from, import)) = &function.import {
            // The panic handler calls it, so something can panic.
            found.push(format!("imports {from}.{import}"));
        }
        for foreign in ["core::fmt", "core::panicking", "alloc::", "std::"] {
            if name.starts_with(foreign) || name.contains(&format!("<{foreign}")) {
                found.push(format!("has code of {foreign}: {name}"));
            }
        }
        let mut called = BTreeSet::new();
        let code = module.code(index).map_err(|error| anyhow!("{error}"))?;
        for operator in code.iter().flat_map(|code| &code.operators) {
            match operator {
                Operator::Loop { .. } if !MAY_LOOP.iter().any(|end| name.ends_with(end)) => {
                    found.push(format!("{name} has a loop"));
                }
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    called.insert(*function_index);
                }
                Operator::CallIndirect { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::CallRef { .. }
                | Operator::ReturnCallRef { .. } => {
                    found.push(format!("{name} calls what only the running program knows"));
                }
                _ => {}
            }
        }
        callees.push(called);
    }
    for index in in_cycles(&callees) {
        found.push(format!("{} leads to recursion", module.display_name(index)));
    }
    Ok(found)
}

/// The functions that reach one that calls itself, directly or around a corner.
fn in_cycles(callees: &[BTreeSet<u32>]) -> BTreeSet<u32> {
    let mut left: BTreeSet<u32> = (0..).zip(callees).map(|(index, _)| index).collect();
    loop {
        // Whoever calls nobody who is left is done.
        let calls_on = |index: &u32| callees[*index as usize].iter().any(|to| left.contains(to));
        let next: BTreeSet<u32> = left.iter().copied().filter(calls_on).collect();
        if next.len() == left.len() {
            return next;
        }
        left = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        look(&wat::parse_str(text).expect("a module")).expect("a valid module")
    }

    #[test]
    fn a_module_of_straight_lines_has_nothing_hidden() {
        assert!(found("(module (func $a call $b) (func $b call $c call $c) (func $c))").is_empty());
    }

    #[test]
    fn recursion_around_a_corner_is_found() {
        let found = found("(module (func $a call $b) (func $b call $c) (func $c call $b))");
        assert!(
            found
                .iter()
                .any(|fault| fault.contains("c leads to recursion")),
            "{found:?}"
        );
    }

    #[test]
    fn an_import_and_a_loop_are_found() {
        let found = found("(module (import \"host\" \"panicked\" (func)) (func (loop)))");
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
