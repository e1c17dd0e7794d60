//! What is added to a module, and where it stands among what the module has.

use std::collections::BTreeSet;

use alligator_find::heap::HeapFunction;
use alligator_find::module::{InputError, Module};
use wasm_encoder::ValType;
use wasmparser::{ExternalKind, Operator, Parser, Payload, TypeRef};

use crate::Options;
use crate::abi::{
    EXPORT_FLUSH, EXPORT_INSIDE, EXPORT_MEMORY, IMPORT_MODULE, MARK, Mode, SECTION_META,
};
use crate::convert::section;
use crate::reach::Reach;

/// How a module catches exceptions: a wrapper must catch them in the same way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Exceptions {
    #[default]
    None,
    Legacy,
    Table,
}

/// A function whose place a wrapper takes.
#[derive(Debug, Clone)]
pub(crate) enum Wrapped {
    Heap(HeapFunction),
    Mark(u32),
}

impl Wrapped {
    pub(crate) fn function(&self) -> u32 {
        match self {
            Self::Heap(function) => function.function,
            Self::Mark(function) => *function,
        }
    }
}

/// Indices of what is added. What a plan does not need has an index that is never used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Added {
    // Functions.
    pub(crate) hook: u32,
    pub(crate) originals: u32,
    pub(crate) emit: u32,
    pub(crate) put: u32,
    pub(crate) drain: u32,
    pub(crate) full: u32,
    pub(crate) send_stack: u32,
    pub(crate) coin: u32,
    pub(crate) remember: u32,
    pub(crate) forget: u32,
    pub(crate) mark: u32,
    // Memories.
    pub(crate) program: u32,
    pub(crate) shared_memory: u32,
    pub(crate) events: u32,
    pub(crate) stack: u32,
    pub(crate) bits: u32,
    // Variables.
    pub(crate) inside: u32,
    pub(crate) at: u32,
    pub(crate) end: u32,
    pub(crate) known_pages: u32,
    pub(crate) depth: u32,
    pub(crate) lost: u32,
    pub(crate) seed: u32,
}

/// A function type that is added.
pub(crate) type Signature = (Vec<ValType>, Vec<ValType>);

/// All that is added to a module.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) options: Options,
    pub(crate) functions: Vec<HeapFunction>,
    pub(crate) wrapped: Vec<Wrapped>,
    pub(crate) mark_imports: BTreeSet<u32>,
    pub(crate) reach: Reach,
    pub(crate) exceptions: Exceptions,
    pub(crate) is_64: bool,
    pub(crate) shared: bool,
    pub(crate) page_size_log2: u32,
    /// Pages of the program's memory at the start, as far as the module says.
    pub(crate) pages: u64,
    /// Whether the memory is imported: then it may have more pages.
    pub(crate) is_imported: bool,
    pub(crate) imported_functions: u32,
    pub(crate) imported_memories: u32,
    pub(crate) globals: u32,
    pub(crate) types: u32,
    pub(crate) added: Added,
    /// Function types that are added; they follow the module's own.
    pub(crate) signatures: Vec<Signature>,
}

/// What a first reading of the sections finds.
#[derive(Debug, Default)]
struct Scan {
    types: u32,
    memories: Vec<wasmparser::MemoryType>,
    imported_memories: u32,
    exceptions: Exceptions,
}

fn scan(bytes: &[u8]) -> Result<Scan, InputError> {
    if let Some((_, at)) = section(bytes, SECTION_META)? {
        return Err(InputError::at(at, "the module records its heap already"));
    }
    let mut scan = Scan::default();
    let refuse = |what: &str, at: u64| Err(InputError::at(at, what.to_owned()));
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::TypeSection(reader) => {
                for group in reader {
                    let count = group?.into_types().len();
                    scan.types += u32::try_from(count).unwrap_or(u32::MAX);
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import?;
                    if let TypeRef::Memory(memory) = import.ty {
                        scan.memories.push(memory);
                        scan.imported_memories += 1;
                    }
                    if import.module == IMPORT_MODULE && import.name != MARK {
                        return refuse("the module imports from \"alligator\" already", 0);
                    }
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    scan.memories.push(memory?);
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    if [EXPORT_FLUSH, EXPORT_INSIDE, EXPORT_MEMORY].contains(&export.name) {
                        return refuse("the module exports what a recorder does", 0);
                    }
                }
            }
            Payload::CustomSection(section) => {
                let at = section.range().start;
                if section.name() == "linking" {
                    return refuse("an object file; link it first", at);
                }
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    match operator? {
                        Operator::Try { .. } => scan.exceptions = Exceptions::Legacy,
                        Operator::TryTable { .. } => scan.exceptions = Exceptions::Table,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(scan)
}

impl Plan {
    pub(crate) fn of(
        bytes: &[u8],
        module: &Module<'_>,
        functions: Vec<HeapFunction>,
        options: &Options,
    ) -> Result<Self, InputError> {
        let found = scan(bytes)?;
        let memory = found
            .memories
            .first()
            .ok_or_else(|| InputError::plain("the module has no memory"))?;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let imported = module
            .functions
            .iter()
            .filter(|it| it.body.is_none())
            .count();
        let mut plan = Self {
            options: options.clone(),
            mark_imports: mark_imports(module),
            wrapped: Vec::new(),
            functions,
            reach: Reach::default(),
            exceptions: found.exceptions,
            is_64: memory.memory64,
            shared: memory.shared,
            page_size_log2: memory.page_size_log2.unwrap_or(16),
            pages: memory.initial,
            is_imported: found.imported_memories > 0,
            imported_functions: count(imported),
            imported_memories: found.imported_memories,
            globals: count(module.globals.len()),
            types: found.types,
            added: Added::default(),
            signatures: Vec::new(),
        };
        plan.wrapped
            .extend(plan.functions.iter().cloned().map(Wrapped::Heap));
        plan.wrapped
            .extend(marks(bytes, module)?.into_iter().map(Wrapped::Mark));
        if options.stacks {
            let heap = plan.functions.iter().map(|it| it.function);
            let marks = plan.wrapped.iter().map(Wrapped::function);
            let targets = heap
                .chain(marks)
                .chain(plan.mark_imports.iter().copied())
                .collect();
            plan.reach = Reach::of(module, &targets);
        }
        plan.number(count(module.functions.len()), count(found.memories.len()));
        Ok(plan)
    }

    fn number(&mut self, functions: u32, memories: u32) {
        let removed = u32::try_from(self.mark_imports.len()).unwrap_or(u32::MAX);
        let originals = functions - removed + 1;
        let mut next = originals + u32::try_from(self.wrapped.len()).unwrap_or(u32::MAX);
        let mut function = || {
            next += 1;
            next - 1
        };
        let shared = self.shares_a_counter();
        let events = memories + u32::from(shared);
        let global = self.globals;
        self.added = Added {
            hook: self.imported_functions - removed,
            originals,
            emit: function(),
            put: function(),
            drain: function(),
            full: function(),
            send_stack: function(),
            coin: function(),
            remember: function(),
            forget: function(),
            mark: function(),
            program: self.memory(0),
            shared_memory: self.imported_memories,
            events,
            stack: events + 1,
            bits: events + 2,
            inside: global,
            at: global + 1,
            end: global + 2,
            known_pages: global + 3,
            depth: global + 4,
            lost: global + 5,
            seed: global + 6,
        };
        if !self.has_buffer() {
            // One event is one call of the host.
            self.added.put = self.added.hook;
        }
    }

    pub(crate) fn has_buffer(&self) -> bool {
        self.options.mode == Mode::Memory
    }

    /// Whether threads number their events by a counter in memory. Without a buffer, the host numbers them.
    pub(crate) fn shares_a_counter(&self) -> bool {
        self.shared && self.has_buffer()
    }

    pub(crate) fn samples(&self) -> bool {
        self.options.sample_bytes != 0
    }

    pub(crate) fn has_marks(&self) -> bool {
        !self.mark_imports.is_empty()
            || self.wrapped.iter().any(|it| matches!(it, Wrapped::Mark(_)))
    }

    /// The type of an address.
    pub(crate) fn address(&self) -> ValType {
        if self.is_64 {
            ValType::I64
        } else {
            ValType::I32
        }
    }

    /// Where a function of the module is.
    pub(crate) fn function(&self, index: u32) -> u32 {
        if self.mark_imports.contains(&index) {
            return self.added.mark;
        }
        let before = self.mark_imports.range(..index).count();
        let before = u32::try_from(before).unwrap_or(u32::MAX);
        index - before + u32::from(index >= self.imported_functions)
    }

    /// Where the code of a function is whose place a wrapper has; `None` if no wrapper has it.
    pub(crate) fn original(&self, index: u32) -> Option<(u32, &Wrapped)> {
        let place = self.wrapped.iter().position(|it| it.function() == index)?;
        let offset = u32::try_from(place).unwrap_or(u32::MAX);
        Some((self.added.originals + offset, &self.wrapped[place]))
    }

    /// Where a memory of the module is.
    pub(crate) fn memory(&self, index: u32) -> u32 {
        index + u32::from(self.shares_a_counter() && index >= self.imported_memories)
    }

    /// The index of a function type, which is added if it is new.
    pub(crate) fn signature(&mut self, params: Vec<ValType>, results: Vec<ValType>) -> u32 {
        let signature = (params, results);
        let place = self.signatures.iter().position(|it| *it == signature);
        let place = place.unwrap_or_else(|| {
            self.signatures.push(signature);
            self.signatures.len() - 1
        });
        self.types + u32::try_from(place).unwrap_or(u32::MAX)
    }
}

/// Whether a function has the type of one that sets marks: it takes an address and a length.
fn takes_a_name(module: &Module<'_>, function: u32) -> bool {
    let address = if module.memories.first().is_some_and(|it| it.is_64) {
        wasmparser::ValType::I64
    } else {
        wasmparser::ValType::I32
    };
    module
        .signature_of(function)
        .is_some_and(|it| it.params() == [address, address] && it.results().is_empty())
}

fn mark_imports(module: &Module<'_>) -> BTreeSet<u32> {
    let functions = module.functions.iter().zip(0_u32..);
    let marks = functions.filter(|(function, index)| {
        let named = function
            .import
            .as_ref()
            .is_some_and(|(_, name)| name == MARK);
        named && takes_a_name(module, *index)
    });
    marks.map(|(_, index)| index).collect()
}

/// The program's own functions that set marks, by export or symbol.
fn marks(bytes: &[u8], module: &Module<'_>) -> Result<BTreeSet<u32>, InputError> {
    let mut found: BTreeSet<u32> = module
        .symbols
        .iter()
        .filter(|(_, name)| *name == MARK)
        .map(|(index, _)| *index)
        .collect();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::ExportSection(reader) = payload? {
            for export in reader {
                let export = export?;
                if export.name == MARK && export.kind == ExternalKind::Func {
                    found.insert(export.index);
                }
            }
        }
    }
    let has_body = |index: &u32| {
        let function = module.functions.get(*index as usize);
        function.is_some_and(|it| it.body.is_some())
    };
    found.retain(|index| has_body(index) && takes_a_name(module, *index));
    Ok(found)
}
