//! Who calls whom, and where memory grows.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::Operator;

use crate::module::Module;

/// Who calls whom by name, and who may be called otherwise.
#[derive(Debug, Default)]
pub struct Calls {
    /// Functions that each function calls.
    pub callees: BTreeMap<u32, BTreeSet<u32>>,
    /// Calls of each function in the code.
    pub sites: BTreeMap<u32, u32>,
    /// Functions that may be called otherwise: exported, in a table, or referred to.
    pub referred: BTreeSet<u32>,
    /// Those, and functions that nobody calls.
    pub roots: BTreeSet<u32>,
    /// Functions that ask for memory, with the byte offset of the first `memory.grow`.
    pub grow: BTreeMap<u32, u64>,
}

impl Calls {
    /// Reads all code.
    pub fn of(module: &Module<'_>) -> Self {
        let count = u32::try_from(module.functions.len()).unwrap_or(u32::MAX);
        let mut calls = Self {
            referred: module
                .exports
                .iter()
                .map(|(_, function)| *function)
                .collect(),
            ..Self::default()
        };
        let in_tables = module.tables.iter().flat_map(|table| &table.functions);
        calls.referred.extend(in_tables);
        let mut called: BTreeSet<u32> = BTreeSet::new();
        for function in 0..count {
            calls.scan(module, function);
            called.extend(calls.callees.get(&function).into_iter().flatten());
        }
        let uncalled = (0..count).filter(|function| !called.contains(function));
        calls.roots = calls.referred.iter().copied().chain(uncalled).collect();
        calls
    }

    fn scan(&mut self, module: &Module<'_>, function: u32) {
        let Some(body) = &module.functions[function as usize].body else {
            return;
        };
        let Ok(operators) = body.get_operators_reader() else {
            return;
        };
        let mut callees = BTreeSet::new();
        for (operator, offset) in operators.into_iter_with_offsets().map_while(Result::ok) {
            match operator {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    callees.insert(function_index);
                    *self.sites.entry(function_index).or_default() += 1;
                }
                Operator::RefFunc { function_index } => {
                    self.referred.insert(function_index);
                }
                Operator::MemoryGrow { .. } => {
                    self.grow.entry(function).or_insert(offset);
                }
                _ => {}
            }
        }
        self.callees.insert(function, callees);
    }

    /// Functions reached from some by calls, without going through others.
    pub fn reached(&self, from: &BTreeSet<u32>, not_through: &BTreeSet<u32>) -> BTreeSet<u32> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<u32> = from.iter().copied().collect();
        while let Some(function) = open.pop() {
            if not_through.contains(&function) || !reached.insert(function) {
                continue;
            }
            open.extend(self.callees.get(&function).into_iter().flatten());
        }
        reached
    }
}
