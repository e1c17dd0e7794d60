//! A WebAssembly module as everything here sees it: validated, indexed, its functions decoded when asked for.
//!
//! Nothing here interprets code. Every later layer may rely on validation: operand stacks match,
//! branch depths exist, indices are in range.

use std::collections::BTreeMap;

use wasmparser::{
    BlockType, CompositeInnerType, ConstExpr, ContType, Element, ElementItems, ElementKind, Export,
    ExternalKind, FrameKind, FuncType, FunctionBody, Import, KnownCustom, MemoryType, ModuleArity,
    Name, NameSectionReader, Operator, Parser, Payload, RefType, SubType, TableInit, TypeRef,
    ValType, Validator, WasmFeatures,
};

pub use crate::error::InputError;
use crate::error::printable;

/// Largest module read, in bytes. Larger input is refused before it is parsed.
pub const MODULE_BYTES_MAX: usize = 1 << 30;

/// Logarithm of the size of a page, 64 KiB, where a memory does not say another.
const PAGE_SIZE_LOG2: u32 = 16;

/// A function: imported, or with a body.
#[derive(Debug, Clone)]
pub struct Function<'a> {
    /// Index of its type in the module's types.
    pub type_index: u32,
    /// Name by import, export or name section, still mangled.
    pub name: Option<String>,
    /// Module and field when imported.
    pub import: Option<(String, String)>,
    /// Code, when defined here.
    pub body: Option<FunctionBody<'a>>,
}

/// A function's code, decoded.
#[derive(Debug, Clone)]
pub struct Code<'a> {
    /// Types of parameters, then of declared locals.
    pub locals: Vec<ValType>,
    /// Number of parameters among `locals`.
    pub params: usize,
    /// Number of results.
    pub results: usize,
    /// Operators in order; the last is the function's `end`.
    pub operators: Vec<Operator<'a>>,
    /// Byte offset of each operator in the module.
    pub offsets: Vec<u64>,
}

/// What a table may hold when its contents cannot change after instantiation.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Whether somebody else may write it: imported, exported, or written by an instruction.
    pub open: bool,
    /// Functions that element segments put into it, in index order, without repeats.
    pub functions: Vec<u32>,
    /// Whether an element was given as an expression that names no function here.
    pub foreign_elements: bool,
}

/// A linear memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent properties of a memory's type"
)]
pub struct Memory {
    /// Whether addresses have 64 bits.
    pub is_64: bool,
    /// Whether other threads may write it.
    pub shared: bool,
    /// Whether its pages have another size than 64 KiB.
    pub odd_pages: bool,
    /// Logarithm of the size of its pages.
    pub page_size_log2: u32,
    /// Whether it is imported, and so perhaps the same as another one that is.
    pub imported: bool,
}

impl Memory {
    fn of(memory: &MemoryType, imported: bool) -> Self {
        let page_size_log2 = memory.page_size_log2.unwrap_or(PAGE_SIZE_LOG2);
        Self {
            imported,
            is_64: memory.memory64,
            shared: memory.shared,
            odd_pages: page_size_log2 != PAGE_SIZE_LOG2,
            page_size_log2,
        }
    }

    /// Width of its addresses.
    pub fn address_bits(self) -> u32 {
        if self.is_64 { 64 } else { 32 }
    }
}

/// A global variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Global {
    /// Type of its value.
    pub value_type: ValType,
    /// Whether code may write it.
    pub mutable: bool,
    /// Value when immutable and given by a constant.
    pub constant: Option<i64>,
    /// Whether it is imported, and so perhaps the same as another one that is.
    pub imported: bool,
}

/// An indexed, validated module.
#[derive(Debug, Default)]
pub struct Module<'a> {
    types: Vec<SubType>,
    /// All functions, imported ones first.
    pub functions: Vec<Function<'a>>,
    /// All globals, imported ones first.
    pub globals: Vec<Global>,
    /// All memories, imported ones first.
    pub memories: Vec<Memory>,
    /// All tables, imported ones first.
    pub tables: Vec<Table>,
    /// Exported functions by export name, in the module's order.
    pub exports: Vec<(String, u32)>,
    /// Name section's function names.
    pub symbols: BTreeMap<u32, String>,
    /// Whether the module carries function names.
    pub has_name_section: bool,
    /// The function that runs when the module is instantiated.
    pub start: Option<u32>,
    tags: Vec<u32>,
}

/// Proposals that are read. Everything the cost table has no row for is refused later, by name.
fn features() -> WasmFeatures {
    (WasmFeatures::default() | WasmFeatures::LEGACY_EXCEPTIONS | WasmFeatures::CUSTOM_PAGE_SIZES)
        .difference(WasmFeatures::COMPONENT_MODEL)
}

impl<'a> Module<'a> {
    /// Validates and indexes a core module.
    ///
    /// # Errors
    /// When the bytes are not a valid core module, with the offset of the first fault.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, InputError> {
        if bytes.len() > MODULE_BYTES_MAX {
            return Err(InputError::plain(format!(
                "module of {} bytes is larger than {MODULE_BYTES_MAX}",
                bytes.len()
            )));
        }
        if !Parser::is_core_wasm(bytes) {
            return Err(InputError::at(0, not_a_core_module(bytes)));
        }
        Validator::new_with_features(features()).validate_all(bytes)?;
        let mut module = Module::default();
        let mut bodies = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::CodeSectionEntry(body) => bodies.push(body),
                payload => module.take_section(payload)?,
            }
        }
        let imported = module.functions.len() - bodies.len().min(module.functions.len());
        for (function, body) in module.functions[imported..].iter_mut().zip(bodies) {
            function.body = Some(body);
        }
        module.name_functions();
        module.find_table_writes()?;
        Ok(module)
    }

    fn take_section(&mut self, payload: Payload<'a>) -> Result<(), InputError> {
        match payload {
            Payload::TypeSection(reader) => {
                for group in reader {
                    self.types.extend(group?.into_types());
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    self.take_import(&import?);
                }
            }
            Payload::FunctionSection(reader) => {
                for type_index in reader {
                    self.functions.push(Function {
                        type_index: type_index?,
                        name: None,
                        import: None,
                        body: None,
                    });
                }
            }
            Payload::TableSection(reader) => {
                for table in reader {
                    self.tables.push(Table {
                        // A table filled with an initial function is not followed.
                        foreign_elements: matches!(table?.init, TableInit::Expr(_)),
                        ..Table::default()
                    });
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    self.memories.push(Memory::of(&memory?, false));
                }
            }
            Payload::TagSection(reader) => {
                for tag in reader {
                    self.tags.push(tag?.func_type_idx);
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader {
                    let global = global?;
                    let constant = constant_value(&global.init_expr);
                    self.globals.push(Global {
                        value_type: global.ty.content_type,
                        mutable: global.ty.mutable,
                        constant: constant.filter(|_| !global.ty.mutable),
                        imported: false,
                    });
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    self.take_export(&export?);
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(reader) => {
                for element in reader {
                    self.take_element(element?)?;
                }
            }
            Payload::CustomSection(reader) => {
                if let KnownCustom::Name(names) = reader.as_known() {
                    self.take_names(names);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn take_import(&mut self, import: &Import<'a>) {
        match import.ty {
            TypeRef::Func(type_index) | TypeRef::FuncExact(type_index) => {
                self.functions.push(Function {
                    type_index,
                    name: Some(import.name.to_owned()),
                    import: Some((import.module.to_owned(), import.name.to_owned())),
                    body: None,
                });
            }
            TypeRef::Table(_) => self.tables.push(Table {
                open: true,
                ..Table::default()
            }),
            TypeRef::Memory(memory) => self.memories.push(Memory::of(&memory, true)),
            TypeRef::Global(global) => self.globals.push(Global {
                value_type: global.content_type,
                mutable: global.mutable,
                constant: None,
                imported: true,
            }),
            TypeRef::Tag(tag) => self.tags.push(tag.func_type_idx),
        }
    }

    fn take_export(&mut self, export: &Export<'a>) {
        match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => {
                self.exports.push((export.name.to_owned(), export.index));
            }
            ExternalKind::Table => {
                if let Some(table) = self.tables.get_mut(export.index as usize) {
                    table.open = true;
                }
            }
            _ => {}
        }
    }

    fn take_element(&mut self, element: Element<'a>) -> Result<(), InputError> {
        let ElementKind::Active { table_index, .. } = element.kind else {
            return Ok(());
        };
        let Some(table) = self.tables.get_mut(table_index.unwrap_or(0) as usize) else {
            return Ok(());
        };
        match element.items {
            ElementItems::Functions(functions) => {
                for function in functions {
                    table.functions.push(function?);
                }
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    match expression?.get_operators_reader().read()? {
                        Operator::RefFunc { function_index } => {
                            table.functions.push(function_index);
                        }
                        Operator::RefNull { .. } => {}
                        _ => table.foreign_elements = true,
                    }
                }
            }
        }
        table.functions.sort_unstable();
        table.functions.dedup();
        Ok(())
    }

    /// Reads function names as far as the section is well formed; names are not needed to be sound.
    fn take_names(&mut self, names: NameSectionReader<'a>) {
        self.has_name_section = true;
        for subsection in names.into_iter().map_while(Result::ok) {
            if let Name::Function(functions) = subsection {
                for naming in functions.into_iter().map_while(Result::ok) {
                    self.symbols.insert(naming.index, naming.name.to_owned());
                }
            }
        }
    }

    /// Gives each function its most telling name: symbol, else export, else import.
    fn name_functions(&mut self) {
        for (name, index) in &self.exports {
            if let Some(function) = self.functions.get_mut(*index as usize) {
                function.name.get_or_insert_with(|| name.clone());
            }
        }
        for (index, name) in &self.symbols {
            if let Some(function) = self.functions.get_mut(*index as usize) {
                function.name = Some(name.clone());
            }
        }
    }

    /// Marks every table that an instruction anywhere in the module writes.
    fn find_table_writes(&mut self) -> Result<(), InputError> {
        for function in &self.functions {
            let Some(body) = &function.body else { continue };
            for operator in body.get_operators_reader()? {
                let written = match operator? {
                    Operator::TableSet { table }
                    | Operator::TableGrow { table }
                    | Operator::TableFill { table }
                    | Operator::TableInit { table, .. } => table,
                    Operator::TableCopy { dst_table, .. } => dst_table,
                    _ => continue,
                };
                if let Some(table) = self.tables.get_mut(written as usize) {
                    table.open = true;
                }
            }
        }
        Ok(())
    }

    /// Decodes one function's code, or `None` when it is imported.
    ///
    /// # Errors
    /// When the code cannot be read; validation makes that impossible for a parsed module.
    pub fn code(&self, index: u32) -> Result<Option<Code<'a>>, InputError> {
        let function = &self.functions[index as usize];
        let Some(body) = &function.body else {
            return Ok(None);
        };
        let signature = self.signature(function.type_index);
        let mut locals = signature.map_or_else(Vec::new, |s| s.params().to_vec());
        let params = locals.len();
        for group in body.get_locals_reader()? {
            let (count, value_type) = group?;
            locals.extend(core::iter::repeat_n(value_type, count as usize));
        }
        let (mut operators, mut offsets) = (Vec::new(), Vec::new());
        for operator in body.get_operators_reader()?.into_iter_with_offsets() {
            let (operator, offset) = operator?;
            operators.push(operator);
            offsets.push(offset);
        }
        Ok(Some(Code {
            locals,
            params,
            results: signature.map_or(0, |s| s.results().len()),
            operators,
            offsets,
        }))
    }

    /// A function type by index, or `None` when that type is no function's.
    pub fn signature(&self, type_index: u32) -> Option<&FuncType> {
        match &self.types.get(type_index as usize)?.composite_type.inner {
            CompositeInnerType::Func(signature) => Some(signature),
            _ => None,
        }
    }

    /// The function that a text names: by export, symbol or index. It has code.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn function_called(&self, text: &str) -> Result<u32, InputError> {
        let exported = self.exports.iter().find(|(export, _)| export == text);
        let count = u32::try_from(self.functions.len()).unwrap_or(u32::MAX);
        let named = || (0..count).filter(|function| names(self, *function, text));
        let function = match (exported, named().nth(1)) {
            (Some((_, function)), _) => Some(*function),
            (None, None) => named().next(),
            (None, Some(_)) => {
                return Err(InputError::plain(format!(
                    "several functions are {text:?}: give an index"
                )));
            }
        };
        let function = function.ok_or_else(|| {
            InputError::plain(format!("no export, symbol or function index is {text:?}"))
        })?;
        if self.functions[function as usize].body.is_none() {
            return Err(InputError::plain(format!(
                "{text:?} is an import: it has no code here"
            )));
        }
        Ok(function)
    }

    /// The type of a function, by the function's index.
    pub fn signature_of(&self, function: u32) -> Option<&FuncType> {
        self.signature(self.functions.get(function as usize)?.type_index)
    }

    /// The number of a function's parameters, when they and its results are integers and it gives one or none, as
    /// said; `None` when it is another kind of function.
    pub fn integer_parameters(&self, function: u32, gives: bool) -> Option<usize> {
        let signature = self.signature_of(function)?;
        let is_integer = |value_type: &ValType| matches!(value_type, ValType::I32 | ValType::I64);
        let all = signature.params().iter().chain(signature.results());
        let fits = signature.results().len() == usize::from(gives) && all.clone().all(is_integer);
        fits.then_some(signature.params().len())
    }

    /// Whether `call_indirect` of a type may find a function of another to fit.
    ///
    /// Types that name other types, or that may have subtypes, are compared by their arity alone:
    /// that holds for all that fit, and for some that do not.
    pub fn may_fit(&self, wanted: u32, found: u32) -> bool {
        let (Some(one), Some(other)) = (self.signature(wanted), self.signature(found)) else {
            return wanted == found;
        };
        let arity = |signature: &FuncType| (signature.params().len(), signature.results().len());
        if wanted == found || one == other {
            return true;
        }
        let is_plain = |index: u32, signature: &FuncType| {
            let closed = self.types[index as usize].is_final
                && self.types[index as usize].supertype_idxs.is_empty();
            let types = signature.params().iter().chain(signature.results());
            closed
                && types
                    .into_iter()
                    .all(|one| !matches!(one, ValType::Ref(reference) if reference.is_concrete_type_ref()))
        };
        let plain = is_plain(wanted, one) && is_plain(found, other);
        !plain && arity(one) == arity(other)
    }

    /// Operands taken and results given by an operator that is not a control instruction.
    pub fn arity(&self, operator: &Operator<'_>) -> Option<(usize, usize)> {
        let (taken, given) = operator.operator_arity(self)?;
        Some((taken as usize, given as usize))
    }

    /// Parameters and results of a block.
    pub fn block_arity(&self, block: BlockType) -> (usize, usize) {
        let (params, results) = self.block_type_arity(block).unwrap_or((0, 0));
        (params as usize, results as usize)
    }

    /// The number of values an exception of this tag carries.
    pub fn tag_arity(&self, tag: u32) -> usize {
        self.tag_type_arity(tag)
            .map_or(0, |(values, _)| values as usize)
    }

    /// Readable name of a function: demangled, without the compiler's hash.
    pub fn display_name(&self, index: u32) -> String {
        match self
            .functions
            .get(index as usize)
            .and_then(|f| f.name.as_deref())
        {
            Some(name) => printable(&format!("{:#}", rustc_demangle::demangle(name))),
            None => format!("func[{index}]"),
        }
    }
}

/// Whether a text names a function: index, readable name, or symbol.
pub fn names(module: &Module<'_>, function: u32, text: &str) -> bool {
    text.parse() == Ok(function)
        || module.display_name(function) == text
        || module.functions[function as usize].name.as_deref() == Some(text)
}

/// The integer an initialiser leaves, when it is a single constant.
fn constant_value(expression: &ConstExpr<'_>) -> Option<i64> {
    let mut reader = expression.get_operators_reader();
    let value = match reader.read().ok()? {
        Operator::I32Const { value } => i64::from(value),
        Operator::I64Const { value } => value,
        _ => return None,
    };
    matches!(reader.read().ok()?, Operator::End).then_some(value)
}

fn not_a_core_module(bytes: &[u8]) -> &'static str {
    if Parser::is_component(bytes) {
        "a component; give the core module inside it"
    } else {
        "no WebAssembly module: it does not start with \"\\0asm\" and version 1"
    }
}

impl ModuleArity for Module<'_> {
    fn sub_type_at(&self, type_index: u32) -> Option<&SubType> {
        self.types.get(type_index as usize)
    }

    fn tag_type_arity(&self, tag: u32) -> Option<(u32, u32)> {
        self.sub_type_arity(self.sub_type_at(*self.tags.get(tag as usize)?)?)
    }

    fn type_index_of_function(&self, function: u32) -> Option<u32> {
        Some(self.functions.get(function as usize)?.type_index)
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, reference: &RefType) -> Option<&SubType> {
        self.sub_type_at(reference.type_index()?.as_module_index()?)
    }

    fn control_stack_height(&self) -> u32 {
        0
    }

    fn label_block(&self, _: u32) -> Option<(BlockType, FrameKind)> {
        None
    }
}
