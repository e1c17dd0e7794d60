//! What is found in a module, as data. Its JSON form is documented in `docs/find.md`.

use serde::Serialize;

use crate::component::CoreModule;
use crate::entries::{Entry, Found};
use crate::module::Module;
use crate::names::{Parameter, Role};

/// Name and version of the JSON form.
pub const SCHEMA: &str = "alligator-find/1";

/// How a function was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The user said so.
    Given,
    /// By an exported name.
    Export,
    /// By a name of the name section.
    Symbol,
    /// By the JavaScript that goes with the module.
    Glue,
    /// A function so found only calls this one.
    Wrapped,
    /// By its shape.
    Shape,
}

impl How {
    /// As it is written for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Export => "name (export)",
            Self::Symbol => "name (symbol)",
            Self::Glue => "glue",
            Self::Wrapped => "wrapped",
            Self::Shape => "shape",
        }
    }
}

/// A function of the allocator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeapFunction {
    /// What it does.
    pub role: Role,
    /// Its index.
    pub function: u32,
    /// Its name, or `func[index]`.
    pub name: String,
    /// What its parameters mean.
    pub parameters: Vec<Parameter>,
    /// How it was found.
    pub found: How,
    /// Calls by which it was confirmed to do what is said, together with others; `None` when it was not.
    pub confirmed: Option<u32>,
    /// Why it was not, when it was tried.
    pub doubt: Option<String>,
}

/// What there is to say of a module's heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Functions that give memory were found.
    Found,
    /// The module has no heap: nothing in it is an allocator by any sign, and no memory grows.
    NoHeap,
    /// Memory grows, or functions have the names of an allocator's, but nothing gives memory by what is known.
    Unknown,
}

/// An allocator that was recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allocator {
    /// Its name, or `unknown`.
    pub name: String,
    /// What shows it; empty when it is unknown.
    pub evidence: Vec<String>,
}

/// What was found in a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heap {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The core module that is meant, in a component.
    pub module: Option<CoreModule>,
    /// Whether a heap was found.
    pub outcome: Outcome,
    /// Which allocator it is.
    pub allocator: Allocator,
    /// Functions, by role.
    pub functions: Vec<HeapFunction>,
    /// Remarks.
    pub notes: Vec<String>,
}

impl Heap {
    /// The JSON form, with a newline at its end.
    ///
    /// # Panics
    /// Never: it holds only strings, numbers and lists.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a heap has a JSON form");
        text.push('\n');
        text
    }

    /// Functions that names do not show, as entries to bound: those of the glue, of a shape, or given.
    pub fn entries(&self) -> Vec<Entry> {
        let entry = |function: &HeapFunction| {
            let found = match function.found {
                How::Given => Found::Given,
                How::Glue => Found::Glue,
                How::Shape => Found::Shape,
                How::Export | How::Symbol | How::Wrapped => return None,
            };
            Some(Entry {
                name: function.name.clone(),
                role: Some(function.role),
                function: function.function,
                found,
                callers: Vec::new(),
            })
        };
        self.functions.iter().filter_map(entry).collect()
    }
}

impl HeapFunction {
    /// A function that nobody has tried yet.
    pub(crate) fn new(
        module: &Module<'_>,
        function: u32,
        role: Role,
        parameters: Vec<Parameter>,
        found: How,
    ) -> Self {
        Self {
            role,
            function,
            name: module.display_name(function),
            parameters,
            found,
            confirmed: None,
            doubt: None,
        }
    }
}
