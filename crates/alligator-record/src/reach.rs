//! Which functions lead to an allocator's.

use std::collections::{BTreeMap, BTreeSet};

use alligator_find::calls::Calls;
use alligator_find::module::Module;
use wasmparser::{FunctionBody, Operator};

/// From which functions and call sites some functions can be reached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reach {
    /// Functions with such call sites.
    pub(crate) from: BTreeSet<u32>,
    /// Those, the functions that are reached, and imports that call back.
    pub(crate) callees: BTreeSet<u32>,
    /// Types by which an indirect call may reach them.
    pub(crate) types: BTreeSet<u32>,
}

/// Who calls one, by what.
#[derive(Debug, Default)]
struct Callers {
    direct: BTreeMap<u32, Vec<u32>>,
    indirect: BTreeMap<u32, Vec<u32>>,
}

impl Reach {
    /// What leads to `targets`, without what is inside `targets`.
    pub(crate) fn of(module: &Module<'_>, targets: &BTreeSet<u32>) -> Self {
        let referred = Calls::of(module).referred;
        let callers = Callers::of(module);
        // Emscripten's way to call and catch: the host calls through the table.
        let invoking = module
            .functions
            .iter()
            .zip(0_u32..)
            .filter(|(function, _)| {
                function
                    .import
                    .as_ref()
                    .is_some_and(|(_, name)| name.starts_with("invoke_"))
            });
        let mut invoking: Vec<u32> = invoking.map(|(_, index)| index).collect();
        let mut reach = Self::default();
        let mut open: Vec<u32> = targets.iter().copied().collect();
        while let Some(function) = open.pop() {
            if !reach.callees.insert(function) {
                continue;
            }
            let mut found: Vec<u32> = Vec::new();
            found.extend(callers.direct.get(&function).into_iter().flatten());
            if referred.contains(&function) {
                open.append(&mut invoking);
                let of_type = module.functions[function as usize].type_index;
                for (wanted, functions) in &callers.indirect {
                    if !reach.types.contains(wanted) && module.may_fit(*wanted, of_type) {
                        reach.types.insert(*wanted);
                        found.extend(functions);
                    }
                }
            }
            for caller in found {
                if !targets.contains(&caller) {
                    reach.from.insert(caller);
                    open.push(caller);
                }
            }
        }
        reach
    }

    /// Whether a call may reach them. A tail call is none: its caller is gone.
    pub(crate) fn is_site(&self, operator: &Operator<'_>) -> bool {
        match operator {
            Operator::Call { function_index } => self.callees.contains(function_index),
            Operator::CallIndirect { type_index, .. } | Operator::CallRef { type_index } => {
                self.types.contains(type_index)
            }
            _ => false,
        }
    }
}

impl Callers {
    fn of(module: &Module<'_>) -> Self {
        let mut callers = Self::default();
        for (function, caller) in module.functions.iter().zip(0_u32..) {
            let Some(Ok(operators)) = function
                .body
                .as_ref()
                .map(FunctionBody::get_operators_reader)
            else {
                continue;
            };
            for operator in operators.into_iter().map_while(Result::ok) {
                let list = match operator {
                    Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                        callers.direct.entry(function_index).or_default()
                    }
                    Operator::CallIndirect { type_index, .. }
                    | Operator::ReturnCallIndirect { type_index, .. }
                    | Operator::CallRef { type_index }
                    | Operator::ReturnCallRef { type_index } => {
                        callers.indirect.entry(type_index).or_default()
                    }
                    _ => continue,
                };
                if list.last() != Some(&caller) {
                    list.push(caller);
                }
            }
        }
        callers
    }
}
