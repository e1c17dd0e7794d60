//! What is in a module's code.

use alligator_bound::module::Module;
use anyhow::{Context, Result, anyhow, bail, ensure};
use wasmparser::{Operator, Parser, Payload};

/// The atomic instructions of some functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Atomics {
    /// On a byte, as a lock's are: exchanges and compare-exchanges.
    pub(super) exchanges: u32,
    pub(super) stores: u32,
}

impl Atomics {
    fn add(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::I32AtomicRmw8XchgU { .. } | Operator::I32AtomicRmw8CmpxchgU { .. } => {
                self.exchanges += 1;
            }
            Operator::I32AtomicStore { .. }
            | Operator::I64AtomicStore { .. }
            | Operator::I32AtomicStore8 { .. }
            | Operator::I32AtomicStore16 { .. }
            | Operator::I64AtomicStore8 { .. }
            | Operator::I64AtomicStore16 { .. }
            | Operator::I64AtomicStore32 { .. } => self.stores += 1,
            _ => {}
        }
    }
}

/// The atomics of one function, found by the last part of its name, and of what it calls.
pub(super) fn atomics(bytes: &[u8], name: &str) -> Result<Atomics> {
    let module = Module::parse(bytes).map_err(|error| anyhow!("{error}"))?;
    let path = format!("::{name}");
    let is_it = |found: &str| found == name || found.ends_with(&path);
    let mut left = functions(&module, is_it)?;
    let mut seen = left.clone();
    let mut found = Atomics::default();
    while let Some(index) = left.pop() {
        for_each_operator(&module, index, |operator| {
            found.add(operator);
            if let Operator::Call { function_index } = operator
                && !seen.contains(function_index)
            {
                seen.push(*function_index);
                left.push(*function_index);
            }
        })?;
    }
    Ok(found)
}

/// The atomics of the functions whose names contain one of `parts`, without what they call.
pub(super) fn atomics_within(bytes: &[u8], parts: &[&str]) -> Result<Atomics> {
    let module = Module::parse(bytes).map_err(|error| anyhow!("{error}"))?;
    let is_one = |found: &str| parts.iter().any(|part| found.contains(part));
    let mut found = Atomics::default();
    for index in functions(&module, is_one)? {
        for_each_operator(&module, index, |operator| found.add(operator))?;
    }
    Ok(found)
}

/// Where the loops of a function start, in bytes from the module's start.
pub(super) fn loops(module: &Module<'_>, index: u32) -> Result<Vec<u64>> {
    let code = module.code(index).map_err(|error| anyhow!("{error}"))?;
    let code = code
        .iter()
        .flat_map(|code| code.operators.iter().zip(&code.offsets));
    let loops = code.filter(|(operator, _)| matches!(operator, Operator::Loop { .. }));
    Ok(loops.map(|(_, offset)| *offset).collect())
}

/// The functions of `threads::locked` whose names have the last part `name`: one at least.
pub(super) fn locked(module: &Module<'_>, name: &str) -> Result<Vec<u32>> {
    let mangled = format!("{}{name}17h", name.len());
    let plain = format!("::{name}");
    functions(module, |found| {
        found.contains("threads6locked") && found.contains(&mangled)
            || found.contains("threads::locked") && found.ends_with(&plain)
    })
    .with_context(|| name.to_owned())
}

/// Nothing, if the function whose name has the last part `name` and is one of `threads::locked` takes a lock, and from
/// there until it gives it back there is no call and no loop.
pub(super) fn is_straight(bytes: &[u8], name: &str) -> Result<()> {
    let module = Module::parse(bytes).map_err(|error| anyhow!("{error}"))?;
    for index in locked(&module, name)? {
        let (mut held, mut locks, mut value) = (false, 0, None);
        let mut fault = None;
        for_each_operator(&module, index, |operator| {
            match operator {
                Operator::I32AtomicRmw8XchgU { .. } => {
                    held = value == Some(1);
                    locks += u32::from(held);
                }
                Operator::Call { function_index } => {
                    let callee = module.display_name(*function_index);
                    if callee.contains("lock::SpinLock") || callee.contains("4lock8SpinLock") {
                        held = true; // Who waits for it, or all of `lock`, which is a call if compiled for size.
                        locks += 1;
                    } else if held {
                        fault = Some(format!("calls {callee}"));
                    }
                }
                Operator::CallIndirect { .. } | Operator::Loop { .. } if held => {
                    fault = Some("a loop, or an indirect call".to_owned());
                }
                _ => {}
            }
            value = match operator {
                Operator::I32Const { value } => Some(*value),
                _ => None,
            };
        })?;
        ensure!(locks > 0, "it takes no lock");
        ensure!(!held, "it does not give the lock back");
        if let Some(fault) = fault {
            bail!("with the lock held: {fault}");
        }
    }
    Ok(())
}

/// The functions whose names are wanted: one at least.
fn functions(module: &Module<'_>, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<u32>> {
    let count = u32::try_from(module.functions.len())?;
    let found: Vec<u32> = (0..count)
        .filter(|index| is_wanted(&module.display_name(*index)))
        .collect();
    ensure!(!found.is_empty(), "no function of that name");
    Ok(found)
}

fn for_each_operator(
    module: &Module<'_>,
    index: u32,
    mut action: impl FnMut(&Operator<'_>),
) -> Result<()> {
    let code = module.code(index).map_err(|error| anyhow!("{error}"))?;
    code.iter()
        .flat_map(|code| &code.operators)
        .for_each(&mut action);
    Ok(())
}

/// The same module, with `unreachable` in place of each `memory.grow`: by no page, too, which would take away the views
/// that JavaScript has.
pub(super) fn without_growth(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut module = bytes.to_vec();
    let mut count = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        let Payload::CodeSectionEntry(body) = payload? else {
            continue;
        };
        for found in body.get_operators_reader()?.into_iter_with_offsets() {
            let (operator, at) = found?;
            if matches!(operator, Operator::MemoryGrow { .. }) {
                // An index of one byte, since there is one memory: two bytes, as `unreachable` and `nop`.
                let at = usize::try_from(at)?;
                module[at..at + 2].copy_from_slice(&[0x00, 0x01]);
                count += 1;
            }
        }
    }
    ensure!(count > 0, "no memory.grow is in the module");
    Ok(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWS: &str = r#"(module (memory 1)
        (func (export "grow") (result i32) (memory.grow (i32.const 0)))
        (func (export "size") (result i32) (memory.size)))"#;

    #[test]
    fn only_growth_is_replaced() -> Result<()> {
        let module = without_growth(&wat::parse_str(GROWS)?)?;
        wasmparser::validate(&module)?;
        assert!(without_growth(&module).is_err(), "there is one left");
        Ok(())
    }

    const LOCK: &str = r"(module (memory 1 1 shared)
        (func $alloc (call $lock))
        (func $lock (drop (i32.atomic.rmw8.xchg_u (i32.const 0) (i32.const 1))))
        (func $other (i32.atomic.store8 (i32.const 0) (i32.const 1))))";

    #[test]
    fn a_lock_is_found_in_what_is_called() -> Result<()> {
        let module = wat::parse_str(LOCK)?;
        let found = atomics(&module, "alloc")?;
        assert_eq!((found.exchanges, found.stores), (1, 0));
        let found = atomics_within(&module, &["alloc", "other"])?;
        assert_eq!((found.exchanges, found.stores), (0, 1));
        Ok(())
    }
}
