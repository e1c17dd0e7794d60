//! The bounds file: what a person vouches for of loops, imports, indirect calls and loops over bytes.
//!
//! Each needs an argument; reports print it as an assumption. The prover checks that what is named
//! exists, never that the argument holds.

use serde::Deserialize;
use wasmparser::ValType;

use crate::cost::toml_error;
use crate::module::{InputError, Module, names};
use crate::path::Callees;

/// Largest number of turns a bounds file may claim for one loop.
pub const TURNS_MAX: u64 = 1 << 32;

/// How often a loop's body starts, at most, each time the loop is entered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoopBound {
    /// The function's name as reports print it, or its index.
    pub function: String,
    /// Byte offset of the `loop` instruction.
    pub offset: u64,
    /// Times the body starts, at most, per entry; at least 1.
    pub turns: u64,
    /// The argument.
    pub because: String,
}

/// What a call of an imported function costs at most, without growing memory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportCost {
    /// Module imported from.
    pub module: String,
    /// Field imported.
    pub name: String,
    /// Cost of one call, the `call` instruction apart.
    pub cost: u64,
    /// The argument.
    pub because: String,
}

/// What an indirect call reaches, or when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndirectCall {
    /// The function's name as reports print it, or its index.
    pub function: String,
    /// Byte offset of the call.
    pub offset: u64,
    /// Cost of one call at most, the instruction apart, without growing memory or calling back.
    pub cost: Option<u64>,
    /// Instead of a cost: the functions that it can call.
    pub callees: Option<Vec<String>>,
    /// Whether it is made only in a call of the entry that has executed `memory.grow` before.
    #[serde(default)]
    pub after_growth: bool,
    /// The argument.
    pub because: String,
}

impl IndirectCall {
    /// Who is called, if that is said.
    ///
    /// # Errors
    /// When a name is nobody's, or not one function's.
    pub fn callees(&self, module: &Module<'_>) -> Result<Option<Callees>, InputError> {
        if let Some(cost) = self.cost {
            return Ok(Some(Callees::Vouched(cost)));
        }
        let Some(named) = &self.callees else {
            return Ok(None);
        };
        let mut functions = Vec::new();
        for name in named {
            let count = u32::try_from(module.functions.len()).unwrap_or(u32::MAX);
            let mut meant = (0..count).filter(|function| names(module, *function, name));
            let (Some(function), None) = (meant.next(), meant.next()) else {
                return Err(InputError::plain(format!(
                    "indirect call at {:#x}: {name:?} does not name one function",
                    self.offset
                )));
            };
            functions.push(function);
        }
        functions.sort_unstable();
        functions.dedup();
        Ok(Some(Callees::Known(functions)))
    }

    /// What is assumed, in words.
    pub(crate) fn describe(&self) -> String {
        let mut parts = Vec::new();
        if let Some(cost) = self.cost {
            parts.push(format!(
                "costs at most {cost}, grows no memory and does not call back"
            ));
        }
        if let Some(callees) = &self.callees {
            parts.push(format!("reaches only {}", callees.join(", ")));
        }
        if self.after_growth {
            parts.push("is made only after memory.grow".to_owned());
        }
        format!(
            "{} {:#x}: the indirect call {}",
            self.function,
            self.offset,
            parts.join(", and ")
        )
    }
}

/// A function each turn of whose loops handles one byte or more of its length.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BytesLoop {
    /// The function's name as reports print it, or its index.
    pub function: String,
    /// The argument.
    pub because: String,
}

/// A function that is there to grow memory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrowingFunction {
    /// The function's name as reports print it, or its index.
    pub function: String,
    /// The argument.
    pub because: String,
}

/// What names of functions that are there to grow memory have in them.
const NAMES_OF_GROWTH: [&str; 3] = ["grow", "sbrk", "morecore"];

/// Whether a function's name says that it is there to grow memory.
pub fn has_name_of_growth(module: &Module<'_>, function: u32) -> bool {
    let name = module.display_name(function).to_lowercase();
    NAMES_OF_GROWTH.iter().any(|part| name.contains(part))
}

/// Where this number stands, an Alligator heap gathers all that it keeps for later requests: `GATHERING` of the crate
/// `alligator-alloc`. It is still there when names are gone.
pub const GATHERING: i64 = 0x6A7B_1C5E_93D8_42F1;

/// What is assumed of a function whose loops handle bytes, in words.
pub(crate) fn describe_bytes(function: &str) -> String {
    format!(
        "{function}: each turn of its loops handles a byte or more of its length, none of them twice"
    )
}

/// Whether a function has the name and the type of one that C's compilers call to handle bytes.
pub fn is_memory_function(module: &Module<'_>, function: u32) -> bool {
    let name = module.display_name(function);
    let own = name
        .strip_prefix("compiler_builtins::mem::")
        .unwrap_or(&name);
    let Some(signature) = module.signature(module.functions[function as usize].type_index) else {
        return false;
    };
    let (ValType::I32 | ValType::I64) = signature.params().first().unwrap_or(&ValType::V128) else {
        return false;
    };
    let address = signature.params()[0];
    let (middle, result) = match own {
        "memcpy" | "memmove" => (address, address),
        "memset" => (ValType::I32, address),
        "memcmp" | "bcmp" => (address, ValType::I32),
        _ => return false,
    };
    signature.params() == [address, middle, address] && signature.results() == [result]
}

/// All a person vouches for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Loop bounds.
    #[serde(default, rename = "loop")]
    pub loops: Vec<LoopBound>,
    /// Costs of imports.
    #[serde(default, rename = "import")]
    pub imports: Vec<ImportCost>,
    /// Indirect calls.
    #[serde(default)]
    pub indirect: Vec<IndirectCall>,
    /// Functions whose loops handle bytes.
    #[serde(default)]
    pub bytes: Vec<BytesLoop>,
    /// Functions that are there to grow memory.
    #[serde(default)]
    pub growing: Vec<GrowingFunction>,
}

impl Bounds {
    /// Reads a bounds file (TOML, see `docs/bounds.md`).
    ///
    /// # Errors
    /// When it is malformed, a bound is out of range, or an argument is missing.
    pub fn from_toml(text: &str) -> Result<Self, InputError> {
        let bounds: Self = toml::from_str(text).map_err(|error| toml_error(&error, text))?;
        for bound in &bounds.loops {
            if bound.turns == 0 || bound.turns > TURNS_MAX {
                return Err(InputError::plain(format!(
                    "loop at {:#x}: turns = {} is not in 1..={TURNS_MAX}",
                    bound.offset, bound.turns
                )));
            }
        }
        for call in &bounds.indirect {
            let says = u8::from(call.cost.is_some()) + u8::from(call.callees.is_some());
            if says > 1 || (says == 0 && !call.after_growth) {
                return Err(InputError::plain(format!(
                    "indirect call at {:#x}: give cost or callees, after_growth = true, or both",
                    call.offset
                )));
            }
        }
        let arguments = bounds.loops.iter().map(|bound| &bound.because);
        if arguments
            .chain(bounds.imports.iter().map(|import| &import.because))
            .chain(bounds.indirect.iter().map(|call| &call.because))
            .chain(bounds.bytes.iter().map(|bytes| &bytes.because))
            .chain(bounds.growing.iter().map(|growing| &growing.because))
            .any(|because| because.trim().is_empty())
        {
            return Err(InputError::plain(
                "because = \"\": every bound needs its argument",
            ));
        }
        Ok(bounds)
    }

    /// The bound given for a loop.
    pub fn turns(&self, module: &Module<'_>, function: u32, offset: u64) -> Option<&LoopBound> {
        self.loops
            .iter()
            .find(|bound| bound.offset == offset && names(module, function, &bound.function))
    }

    /// What is given for an indirect call.
    pub fn indirect(
        &self,
        module: &Module<'_>,
        function: u32,
        offset: u64,
    ) -> Option<&IndirectCall> {
        self.indirect
            .iter()
            .find(|call| call.offset == offset && names(module, function, &call.function))
    }

    /// What is given for a function's loops over bytes.
    pub fn bytes(&self, module: &Module<'_>, function: u32) -> Option<&BytesLoop> {
        self.bytes
            .iter()
            .find(|bytes| names(module, function, &bytes.function))
    }

    /// Whether a function is given as one that is there to grow memory.
    pub fn is_growing(&self, module: &Module<'_>, function: u32) -> bool {
        self.growing
            .iter()
            .any(|growing| names(module, function, &growing.function))
    }

    /// The cost given for an import.
    pub fn import(&self, module: &str, name: &str) -> Option<&ImportCost> {
        self.imports
            .iter()
            .find(|import| import.module == module && import.name == name)
    }
}
