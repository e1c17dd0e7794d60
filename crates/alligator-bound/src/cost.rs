//! What one instruction costs: a table with a source per row.
//!
//! The default is what wasmtime's fuel charges, so that a proved and a measured figure compare to
//! the unit. An operator without a row is refused; no cost is ever guessed.

use std::collections::BTreeMap;

use serde::Deserialize;
use wasmparser::Operator;

use crate::module::InputError;

/// Largest cost one row may have. Keeps sums far from overflow for any module that can be read.
pub const ROW_COST_MAX: u64 = 1 << 32;

/// Where the default rows come from.
pub const WASMTIME_SOURCE: &str =
    "wasmtime 48, wasmtime-environ/src/tunables.rs, default_operator_cost";

const WASMTIME_ENTRY_SOURCE: &str =
    "wasmtime 48, wasmtime-cranelift/src/func_environ.rs, FuncEnvironment::new (fuel_consumed: 1)";

const WASMTIME_BULK_SOURCE: &str =
    "wasmtime 48, wasmtime-environ/src/tunables.rs, VariableOperatorCost::new";

/// Operators that wasmtime's fuel does not charge for.
const FREE: [&str; 8] = [
    "nop",
    "drop",
    "block",
    "loop",
    "unreachable",
    "return",
    "else",
    "end",
];

/// Proposals whose operators wasmtime 48 executes in time that does not depend on a collector.
const PRICED_PROPOSALS: [&str; 12] = [
    "mvp",
    "sign_extension",
    "saturating_float_to_int",
    "bulk_memory",
    "reference_types",
    "tail_call",
    "threads",
    "simd",
    "relaxed_simd",
    "exceptions",
    "function_references",
    "wide_arithmetic",
];

/// Operators whose work grows with an operand, and what one unit of it is.
const BULK: [(&str, BulkUnit); 8] = [
    ("memory_copy", BulkUnit::Byte),
    ("memory_fill", BulkUnit::Byte),
    ("memory_init", BulkUnit::Byte),
    ("table_copy", BulkUnit::Element),
    ("table_fill", BulkUnit::Element),
    ("table_init", BulkUnit::Element),
    ("table_grow", BulkUnit::Element),
    ("memory_grow", BulkUnit::Page),
];

/// What a bulk operation counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BulkUnit {
    /// One byte of linear memory.
    Byte,
    /// One table element.
    Element,
    /// One page asked for.
    Page,
}

/// One row: a cost in instructions, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Cost in units.
    pub cost: u64,
    /// Where the figure comes from.
    pub source: String,
}

/// Costs of all operators that have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostTable {
    /// Name of the table, for reports.
    pub name: String,
    /// Charged once when a function is entered.
    pub function_entry: Row,
    operators: BTreeMap<&'static str, Row>,
    per_unit: BTreeMap<&'static str, Row>,
}

macro_rules! define_operator_names {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// The operator's name as in the text format, `.` written `_`.
        pub fn operator_name(operator: &Operator<'_>) -> &'static str {
            match operator {
                $(Operator::$op $({ $($arg: _),* })? => {
                    stringify!($visit).trim_start_matches("visit_")
                })*
                _ => "unknown operator",
            }
        }

        fn all_operators() -> impl Iterator<Item = (&'static str, &'static str)> {
            const ALL: &[(&str, &str)] = &[$((stringify!($visit), stringify!($proposal))),*];
            ALL.iter().map(|(visit, proposal)| (visit.trim_start_matches("visit_"), *proposal))
        }
    };
}
wasmparser::for_each_operator!(define_operator_names);

impl Default for CostTable {
    fn default() -> Self {
        Self::wasmtime()
    }
}

impl CostTable {
    /// What wasmtime's fuel charges by default.
    pub fn wasmtime() -> Self {
        let row = |cost, source: &str| Row {
            cost,
            source: source.to_owned(),
        };
        Self {
            name: "wasmtime fuel".to_owned(),
            function_entry: row(1, WASMTIME_ENTRY_SOURCE),
            operators: all_operators()
                .filter(|(_, proposal)| PRICED_PROPOSALS.contains(proposal))
                .map(|(name, _)| (name, row(u64::from(!FREE.contains(&name)), WASMTIME_SOURCE)))
                .collect(),
            per_unit: BULK
                .iter()
                .map(|(name, unit)| {
                    let cost = u64::from(*unit != BulkUnit::Page);
                    (*name, row(cost, WASMTIME_BULK_SOURCE))
                })
                .collect(),
        }
    }

    /// Reads a table from TOML: `name`, `base` (`"wasmtime"` or `"none"`), `function_entry`, and
    /// `[[row]]`s with `operators`, `cost`, `per_unit` and `source`. See `docs/bounds.md`.
    ///
    /// # Errors
    /// When the text is no such table, or names an operator that does not exist.
    pub fn from_toml(text: &str) -> Result<Self, InputError> {
        let file: CostFile = toml::from_str(text).map_err(|error| toml_error(&error, text))?;
        let mut table = Self::wasmtime();
        table.name = file.name;
        match file.base.as_str() {
            "wasmtime" => {}
            "none" => {
                table.operators.clear();
                table.per_unit.clear();
                table.function_entry.cost = 0;
            }
            other => {
                return Err(InputError::plain(format!(
                    "base = {other:?} is neither \"wasmtime\" nor \"none\""
                )));
            }
        }
        if let Some(cost) = file.function_entry {
            table.function_entry = Row {
                cost: row_cost(cost)?,
                source: file.source.clone(),
            };
        }
        for row in file.row {
            table.apply(&row)?;
        }
        Ok(table)
    }

    fn apply(&mut self, row: &CostFileRow) -> Result<(), InputError> {
        for operator in &row.operators {
            let wanted = operator.replace('.', "_");
            let Some((name, _)) = all_operators().find(|(name, _)| *name == wanted) else {
                return Err(InputError::plain(format!(
                    "no operator is called {operator:?}"
                )));
            };
            let entry = |cost| -> Result<Row, InputError> {
                Ok(Row {
                    cost: row_cost(cost)?,
                    source: row.source.clone(),
                })
            };
            self.operators.insert(name, entry(row.cost)?);
            if let Some(cost) = row.per_unit {
                if !BULK.iter().any(|(bulk, _)| *bulk == name) {
                    return Err(InputError::plain(format!(
                        "{operator:?} has no operand to count units of"
                    )));
                }
                self.per_unit.insert(name, entry(cost)?);
            }
        }
        Ok(())
    }

    /// The operator's cost, its variable part apart; `None` when the table has no row for it.
    pub fn operator(&self, operator: &Operator<'_>) -> Option<u64> {
        Some(self.operators.get(operator_name(operator))?.cost)
    }

    /// Cost of each unit of a bulk operation and what is counted; `None` for other operators and
    /// where units are free.
    pub fn per_unit(&self, operator: &Operator<'_>) -> Option<(u64, BulkUnit)> {
        let name = operator_name(operator);
        let (_, unit) = BULK.iter().find(|(bulk, _)| *bulk == name)?;
        let cost = self.per_unit.get(name)?.cost;
        (cost > 0).then_some((cost, *unit))
    }

    /// All rows: operator, cost, cost per unit, source; in the order of their names.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, &Row, Option<&Row>)> {
        self.operators
            .iter()
            .map(|(name, row)| (*name, row, self.per_unit.get(name)))
    }
}

fn row_cost(cost: u64) -> Result<u64, InputError> {
    if cost > ROW_COST_MAX {
        return Err(InputError::plain(format!(
            "a cost of {cost} is above {ROW_COST_MAX}"
        )));
    }
    Ok(cost)
}

/// One line for a TOML fault, with the line it is in.
pub(crate) fn toml_error(error: &toml::de::Error, text: &str) -> InputError {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map_or(1, |before| before.matches('\n').count() + 1);
    let message = error.message().lines().next().unwrap_or_default();
    InputError::plain(format!("line {line}: {message}"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CostFile {
    name: String,
    base: String,
    source: String,
    function_entry: Option<u64>,
    #[serde(default)]
    row: Vec<CostFileRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CostFileRow {
    operators: Vec<String>,
    cost: u64,
    per_unit: Option<u64>,
    source: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_that_generates_no_code_is_free_and_the_rest_costs_one() {
        let table = CostTable::wasmtime();
        assert_eq!(table.operator(&Operator::End), Some(0));
        assert_eq!(table.operator(&Operator::I32Add), Some(1));
        assert_eq!(table.operator(&Operator::RefEq), None);
        assert_eq!(
            table.per_unit(&Operator::MemoryFill { mem: 0 }),
            Some((1, BulkUnit::Byte))
        );
        assert_eq!(table.per_unit(&Operator::MemoryGrow { mem: 0 }), None);
    }

    #[test]
    fn a_row_given_replaces_the_base() {
        let text = "name = \"x\"\nbase = \"wasmtime\"\nsource = \"me\"\n\
                    [[row]]\noperators = [\"i32.mul\"]\ncost = 3\nsource = \"manual\"\n";
        let table = CostTable::from_toml(text).expect("valid");
        assert_eq!(table.operator(&Operator::I32Mul), Some(3));
        assert_eq!(table.operator(&Operator::I64Mul), Some(1));
    }

    #[test]
    fn an_operator_that_does_not_exist_is_refused() {
        let text = "name = \"x\"\nbase = \"none\"\nsource = \"me\"\n\
                    [[row]]\noperators = [\"i33.mul\"]\ncost = 3\nsource = \"manual\"\n";
        let error = CostTable::from_toml(text).expect_err("refused");
        assert!(error.reason.contains("i33.mul"));
    }
}
