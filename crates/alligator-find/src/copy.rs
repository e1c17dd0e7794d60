//! A copy of a module of which some functions can be called from outside.
//!
//! The copy is made to be run by any engine, and to be compiled quickly: functions that are not needed only trap,
//! exceptions are not caught, shared memories are not shared, and references are all of one kind. What an allocator does
//! depends on none of these.

use std::collections::BTreeSet;

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    AbstractHeapType, CodeSection, ElementSection, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, HeapType, ImportSection, Instruction, MemorySection,
    MemoryType, TableSection, TypeSection,
};
use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef};

use crate::module::{InputError, Module};

/// The name under which the copy exports the memory.
pub const MEMORY: &str = "memory";

/// The name under which the copy exports a function.
pub fn name_of(function: u32) -> String {
    format!("function {function}")
}

/// Copies a module: `kept` functions have their code, of which `exported` ones can be called. The function that runs at
/// the start is left out unless it is kept.
///
/// # Errors
/// When the module has something that cannot be written again.
pub fn copy(
    bytes: &[u8],
    module: &Module<'_>,
    kept: &BTreeSet<u32>,
    exported: &BTreeSet<u32>,
) -> Result<Vec<u8>, InputError> {
    let imported = module.functions.iter().filter(|f| f.body.is_none()).count();
    let mut copier = Copier {
        kept,
        exported,
        has_memory: !module.memories.is_empty(),
        next: u32::try_from(imported).unwrap_or(u32::MAX),
    };
    copier
        .module(bytes)
        .map_err(|error| InputError::plain(format!("cannot be copied: {error}")))
}

struct Copier<'k> {
    kept: &'k BTreeSet<u32>,
    exported: &'k BTreeSet<u32>,
    has_memory: bool,
    /// Index of the function whose body comes next.
    next: u32,
}

type Done<T> = Result<T, Error>;

impl Reencode for Copier<'_> {
    type Error = core::convert::Infallible;

    fn heap_type(&mut self, kind: wasmparser::HeapType) -> Done<HeapType> {
        use wasmparser::AbstractHeapType::{Exn, Extern, NoExn, NoExtern};
        match kind {
            wasmparser::HeapType::Abstract {
                ty: Extern | NoExtern | Exn | NoExn,
                shared,
            } => Ok(HeapType::Abstract {
                shared,
                ty: AbstractHeapType::Func,
            }),
            _ => wasm_encoder::reencode::utils::heap_type(self, kind),
        }
    }

    fn memory_type(&mut self, kind: wasmparser::MemoryType) -> Done<MemoryType> {
        let kind = wasm_encoder::reencode::utils::memory_type(self, kind);
        Ok(MemoryType {
            shared: false,
            ..kind
        })
    }
}

impl Copier<'_> {
    fn module(&mut self, bytes: &[u8]) -> Done<Vec<u8>> {
        let mut copy = wasm_encoder::Module::new();
        let mut code = CodeSection::new();
        let (mut has_exports, mut bodies) = (false, 0);
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            if !has_exports && comes_after_exports(&payload) {
                has_exports = true;
                copy.section(&self.exports());
            }
            match payload {
                Payload::CodeSectionStart { count, .. } => bodies = count,
                Payload::CodeSectionEntry(body) => {
                    code.function(&self.body(&body)?);
                    self.next += 1;
                    if code.len() == bodies {
                        copy.section(&code);
                    }
                }
                payload => self.section(&mut copy, payload)?,
            }
        }
        if !has_exports {
            copy.section(&self.exports());
        }
        Ok(copy.finish())
    }

    fn exports(&self) -> ExportSection {
        let mut exports = ExportSection::new();
        for function in self.exported {
            exports.export(&name_of(*function), ExportKind::Func, *function);
        }
        if self.has_memory {
            exports.export(MEMORY, ExportKind::Memory, 0);
        }
        exports
    }

    /// Writes a section again; what is not needed to run is left out.
    fn section(&mut self, copy: &mut wasm_encoder::Module, payload: Payload<'_>) -> Done<()> {
        match payload {
            Payload::TypeSection(reader) => {
                let mut section = TypeSection::new();
                self.parse_type_section(&mut section, reader)?;
                copy.section(&section);
            }
            Payload::ImportSection(reader) => {
                let mut section = ImportSection::new();
                for import in reader.into_imports() {
                    let import = import?;
                    if !matches!(import.ty, TypeRef::Tag(_)) {
                        self.parse_import(&mut section, import)?;
                    }
                }
                copy.section(&section);
            }
            Payload::FunctionSection(reader) => {
                let mut section = FunctionSection::new();
                self.parse_function_section(&mut section, reader)?;
                copy.section(&section);
            }
            Payload::TableSection(reader) => {
                let mut section = TableSection::new();
                self.parse_table_section(&mut section, reader)?;
                copy.section(&section);
            }
            Payload::MemorySection(reader) => {
                let mut section = MemorySection::new();
                self.parse_memory_section(&mut section, reader)?;
                copy.section(&section);
            }
            Payload::GlobalSection(reader) => {
                let mut section = GlobalSection::new();
                self.parse_global_section(&mut section, reader)?;
                copy.section(&section);
            }
            Payload::StartSection { func, .. } if self.kept.contains(&func) => {
                copy.section(&wasm_encoder::StartSection {
                    function_index: func,
                });
            }
            Payload::ElementSection(reader) => {
                let mut section = ElementSection::new();
                self.parse_element_section(&mut section, reader)?;
                copy.section(&section);
            }
            Payload::DataCountSection { count, .. } => {
                copy.section(&wasm_encoder::DataCountSection { count });
            }
            Payload::DataSection(reader) => {
                let mut section = wasm_encoder::DataSection::new();
                self.parse_data_section(&mut section, reader)?;
                copy.section(&section);
            }
            _ => {}
        }
        Ok(())
    }

    fn body(&mut self, body: &FunctionBody<'_>) -> Done<Function> {
        if !self.kept.contains(&self.next) {
            let mut trap = Function::new([]);
            trap.instruction(&Instruction::Unreachable);
            trap.instruction(&Instruction::End);
            return Ok(trap);
        }
        let mut function = self.new_function_with_parsed_locals(body)?;
        for operator in body.get_operators_reader()? {
            self.operator(&mut function, operator?)?;
        }
        Ok(function)
    }

    /// Writes an instruction; a block that catches becomes one that does not, and what throws traps. Handlers stay as
    /// code that is never reached.
    fn operator(&mut self, function: &mut Function, operator: Operator<'_>) -> Done<()> {
        match operator {
            Operator::Try { blockty } => {
                let kind = self.block_type(blockty)?;
                function.instruction(&Instruction::Block(kind));
            }
            Operator::TryTable { try_table } => {
                let kind = self.block_type(try_table.ty)?;
                function.instruction(&Instruction::Block(kind));
            }
            Operator::Catch { .. } | Operator::CatchAll => {
                function.instruction(&Instruction::Br(0));
            }
            Operator::Delegate { .. } => {
                function.instruction(&Instruction::End);
            }
            Operator::Throw { .. } | Operator::ThrowRef | Operator::Rethrow { .. } => {
                function.instruction(&Instruction::Unreachable);
            }
            operator => {
                function.instruction(&self.instruction(operator)?);
            }
        }
        Ok(())
    }
}

/// Whether exports must have been written before this.
fn comes_after_exports(payload: &Payload<'_>) -> bool {
    matches!(
        payload,
        Payload::StartSection { .. }
            | Payload::ElementSection(_)
            | Payload::DataCountSection { .. }
            | Payload::CodeSectionStart { .. }
            | Payload::DataSection(_)
    )
}
