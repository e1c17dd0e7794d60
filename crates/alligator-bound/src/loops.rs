//! The bounds file: loop bounds and costs of imports that a person vouches for.
//!
//! Each needs an argument; reports print it as an assumption. The prover checks that what is named
//! exists, never that the argument holds.

use serde::Deserialize;

use crate::cost::toml_error;
use crate::module::{InputError, Module};

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
        let arguments = bounds.loops.iter().map(|bound| &bound.because);
        if arguments
            .chain(bounds.imports.iter().map(|import| &import.because))
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

    /// The cost given for an import.
    pub fn import(&self, module: &str, name: &str) -> Option<&ImportCost> {
        self.imports
            .iter()
            .find(|import| import.module == module && import.name == name)
    }
}

/// Whether a text names a function: index, readable name, or symbol.
pub fn names(module: &Module<'_>, function: u32, text: &str) -> bool {
    text.parse() == Ok(function)
        || module.display_name(function) == text
        || module.functions[function as usize].name.as_deref() == Some(text)
}
