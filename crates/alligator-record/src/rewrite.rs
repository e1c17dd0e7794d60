//! The module, section by section.

use std::collections::BTreeMap;

use alligator_find::module::{InputError, Module};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, CustomSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, MemArg, MemArgTarget, MemorySection,
    MemoryType, NameMap, NameSection, SectionId, TypeSection, ValType,
};
use wasmparser::{FunctionBody, KnownCustom, Parser, Payload};

use crate::abi::{
    BUFFER_PAGES, BUFFER_PAGES_MAX, EXPORT_FLUSH, EXPORT_INSIDE, EXPORT_MEMORY, IMPORT_EVENT,
    IMPORT_EVENTS, IMPORT_MODULE, IMPORT_SHARED, MARK, Meta, RawKind, SECTION_META, SECTION_SITES,
    SLACK_BYTES, STACK_PAGES,
};
use crate::code::{self, ENTRY_BYTES, Made};
use crate::lines::Lines;
use crate::plan::Plan;
use crate::sites::{SiteList, encode};
use crate::wrapper::wrapper;

type Done<T> = Result<T, Error>;

/// Pages of the bits that say which blocks are recorded: one bit for each four bytes of 32-bit addresses.
const BITS_PAGES_MAX: u64 = 1 << 11;

/// Writes the module again, and counts its call sites.
pub(crate) fn rewrite(
    bytes: &[u8],
    module: &Module<'_>,
    plan: &Plan,
    meta: &Meta,
) -> Result<(Vec<u8>, usize), InputError> {
    let mut plan = plan.clone();
    let helpers = code::helpers(&mut plan);
    let address = plan.address();
    let hook = if plan.has_buffer() {
        plan.signature(vec![ValType::I32], vec![ValType::I32])
    } else {
        plan.signature(vec![ValType::I32, address, address, address], vec![])
    };
    let mut rewriter = Rewriter {
        plan: &plan,
        module,
        helpers,
        hook,
        next: plan.imported_functions,
        done: Vec::new(),
        originals: BTreeMap::new(),
        sites: SiteList::default(),
        has_names: false,
    };
    let mut out = wasm_encoder::Module::new();
    rewriter
        .parse_core_module(&mut out, Parser::new(0), bytes)
        .map_err(|error| InputError::plain(format!("cannot be rewritten: {error}")))?;
    if !rewriter.has_names {
        out.section(&rewriter.names(NameMap::new()));
    }
    let json = serde_json::to_vec(meta).unwrap_or_default();
    out.section(&CustomSection {
        name: SECTION_META.into(),
        data: json.into(),
    });
    let sites = rewriter.sites;
    if plan.options.stacks {
        let lines = Lines::of(bytes);
        let data = encode(module, &sites, &lines)?;
        out.section(&CustomSection {
            name: SECTION_SITES.into(),
            data: data.into(),
        });
    }
    Ok((out.finish(), sites.len()))
}

struct Rewriter<'m> {
    plan: &'m Plan,
    module: &'m Module<'m>,
    helpers: Vec<Made>,
    /// Type of the import.
    hook: u32,
    /// Index, in the module as it was, of the function whose body comes next.
    next: u32,
    /// Sections that are complete.
    done: Vec<SectionId>,
    /// Code whose place a wrapper has, by its new index.
    originals: BTreeMap<u32, Function>,
    sites: SiteList,
    has_names: bool,
}

impl Reencode for Rewriter<'_> {
    type Error = core::convert::Infallible;

    fn function_index(&mut self, index: u32) -> Done<u32> {
        Ok(self.plan.function(index))
    }

    fn memory_index(&mut self, index: u32) -> Done<u32> {
        Ok(self.plan.memory(index))
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Done<()> {
        utils::parse_type_section(self, types, section)?;
        self.add_types(types);
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Done<()> {
        let mut function = 0;
        for import in section.into_imports() {
            let import = import?;
            let is_function = matches!(
                import.ty,
                wasmparser::TypeRef::Func(_) | wasmparser::TypeRef::FuncExact(_)
            );
            let index = function;
            function += u32::from(is_function);
            if !is_function || !self.plan.mark_imports.contains(&index) {
                self.parse_import(imports, import)?;
            }
        }
        self.add_imports(imports);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Done<()> {
        utils::parse_function_section(self, functions, section)?;
        self.add_functions(functions);
        Ok(())
    }

    fn parse_memory_section(
        &mut self,
        memories: &mut MemorySection,
        section: wasmparser::MemorySectionReader<'_>,
    ) -> Done<()> {
        utils::parse_memory_section(self, memories, section)?;
        self.add_memories(memories);
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Done<()> {
        utils::parse_global_section(self, globals, section)?;
        self.add_globals(globals);
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Done<()> {
        utils::parse_export_section(self, exports, section)?;
        self.add_exports(exports);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Done<()> {
        for body in section {
            let body = self.body(&body?)?;
            code.function(&body);
        }
        for original in core::mem::take(&mut self.originals).values() {
            code.function(original);
        }
        for helper in &self.helpers {
            code.function(&helper.code);
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        out: &mut wasm_encoder::Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Done<()> {
        if let KnownCustom::Name(names) = section.as_known() {
            self.has_names = true;
            out.section(&self.names_of(names));
            return Ok(());
        }
        // What tells code by its place is wrong now.
        let name = section.name();
        let is_stale = name.starts_with(".debug_")
            || name.starts_with("metadata.code.")
            || name.starts_with("reloc.")
            || ["sourceMappingURL", "external_debug_info"].contains(&name);
        if !is_stale {
            utils::parse_custom_section(self, out, section)?;
        }
        Ok(())
    }

    /// Writes sections that the module lacks, where they belong.
    fn intersperse_section_hook(
        &mut self,
        out: &mut wasm_encoder::Module,
        _: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Done<()> {
        let reached = before.map_or(usize::MAX, rank);
        for needed in NEEDED {
            if rank(needed) < reached && !self.done.contains(&needed) {
                self.done.push(needed);
                self.missing(out, needed);
            }
        }
        if let Some(section) = before {
            self.done.push(section);
        }
        Ok(())
    }
}

/// Sections that a module that records has, in their order.
const NEEDED: [SectionId; 7] = [
    SectionId::Type,
    SectionId::Import,
    SectionId::Function,
    SectionId::Memory,
    SectionId::Global,
    SectionId::Export,
    SectionId::Code,
];

/// The order of sections.
fn rank(section: SectionId) -> usize {
    use SectionId::{
        Code, Custom, Data, DataCount, Element, Export, Function, Global, Import, Memory, Start,
        Table, Tag, Type,
    };
    let order = [
        Custom, Type, Import, Function, Table, Memory, Tag, Global, Export, Start, Element,
        DataCount, Code, Data,
    ];
    order
        .into_iter()
        .position(|it| it as u8 == section as u8)
        .unwrap_or(0)
}

impl Rewriter<'_> {
    fn missing(&mut self, out: &mut wasm_encoder::Module, section: SectionId) {
        match section {
            SectionId::Type => {
                let mut types = TypeSection::new();
                self.add_types(&mut types);
                out.section(&types);
            }
            SectionId::Import => {
                let mut imports = ImportSection::new();
                self.add_imports(&mut imports);
                out.section(&imports);
            }
            SectionId::Function => {
                let mut functions = FunctionSection::new();
                self.add_functions(&mut functions);
                out.section(&functions);
            }
            SectionId::Memory => {
                let mut memories = MemorySection::new();
                self.add_memories(&mut memories);
                if !memories.is_empty() {
                    out.section(&memories);
                }
            }
            SectionId::Global => {
                let mut globals = GlobalSection::new();
                self.add_globals(&mut globals);
                out.section(&globals);
            }
            SectionId::Export => {
                let mut exports = ExportSection::new();
                self.add_exports(&mut exports);
                out.section(&exports);
            }
            // The functions that are recorded have code.
            _ => {}
        }
    }

    fn add_types(&self, types: &mut TypeSection) {
        for (params, results) in &self.plan.signatures {
            types
                .ty()
                .function(params.iter().copied(), results.iter().copied());
        }
    }

    fn add_imports(&self, imports: &mut ImportSection) {
        let name = if self.plan.has_buffer() {
            IMPORT_EVENTS
        } else {
            IMPORT_EVENT
        };
        imports.import(IMPORT_MODULE, name, EntityType::Function(self.hook));
        if self.plan.shares_a_counter() {
            let page = MemoryType {
                minimum: 1,
                maximum: Some(1),
                memory64: false,
                shared: true,
                page_size_log2: None,
            };
            imports.import(IMPORT_MODULE, IMPORT_SHARED, page);
        }
    }

    fn add_functions(&mut self, functions: &mut FunctionSection) {
        for wrapped in &self.plan.wrapped {
            let function = &self.module.functions[wrapped.function() as usize];
            functions.function(function.type_index);
        }
        for helper in &self.helpers {
            functions.function(helper.signature);
        }
    }

    fn add_memories(&self, memories: &mut MemorySection) {
        if !self.plan.has_buffer() {
            return;
        }
        let stack_pages = if self.plan.options.stacks {
            STACK_PAGES
        } else {
            0
        };
        let bits_pages = if self.plan.samples() {
            BITS_PAGES_MAX
        } else {
            0
        };
        for (minimum, maximum) in [
            (u64::from(BUFFER_PAGES), u64::from(BUFFER_PAGES_MAX)),
            (u64::from(stack_pages), u64::from(stack_pages)),
            (0, bits_pages),
        ] {
            memories.memory(MemoryType {
                minimum,
                maximum: Some(maximum),
                memory64: false,
                shared: false,
                page_size_log2: None,
            });
        }
    }

    fn add_globals(&self, globals: &mut GlobalSection) {
        let plan = self.plan;
        let end = (BUFFER_PAGES << 16) - SLACK_BYTES;
        // The pages of an imported memory are known at the first event.
        let pages = if plan.is_imported { 0 } else { plan.pages };
        let pages = if plan.is_64 {
            ConstExpr::i64_const(pages.cast_signed())
        } else {
            ConstExpr::i32_const(u32::try_from(pages).unwrap_or(0).cast_signed())
        };
        let number = |value: u32| (ValType::I32, ConstExpr::i32_const(value.cast_signed()));
        for (val_type, value) in [
            number(0),
            number(0),
            number(end),
            (plan.address(), pages),
            number(0),
            number(0),
            number(0x5eed),
        ] {
            let kind = GlobalType {
                val_type,
                mutable: true,
                shared: false,
            };
            globals.global(kind, &value);
        }
    }

    fn add_exports(&self, exports: &mut ExportSection) {
        let added = &self.plan.added;
        exports.export(EXPORT_INSIDE, ExportKind::Global, added.inside);
        if self.plan.has_buffer() {
            exports.export(EXPORT_MEMORY, ExportKind::Memory, added.events);
            exports.export(EXPORT_FLUSH, ExportKind::Func, added.drain);
        }
    }

    /// The code of a function: a wrapper has its place, or its call sites are noted.
    fn body(&mut self, body: &FunctionBody<'_>) -> Done<Function> {
        let index = self.next;
        self.next += 1;
        let plan = self.plan;
        if let Some((original, wrapped)) = plan.original(index) {
            let copied = self.copied(body)?;
            self.originals.insert(original, copied);
            return Ok(wrapper(plan, self.module, wrapped, original));
        }
        if plan.reach.from.contains(&index) {
            return self.with_sites(index, body);
        }
        self.copied(body)
    }

    fn copied(&mut self, body: &FunctionBody<'_>) -> Done<Function> {
        let mut function = self.new_function_with_parsed_locals(body)?;
        for operator in body.get_operators_reader()? {
            function.instruction(&self.instruction(operator?)?);
        }
        Ok(function)
    }

    /// The code of a function that writes each of its call sites on the shadow stack.
    fn with_sites(&mut self, index: u32, body: &FunctionBody<'_>) -> Done<Function> {
        let mut locals = Vec::new();
        let mut count = self
            .module
            .signature_of(index)
            .map_or(0, |it| it.params().len() as u64);
        for pair in body.get_locals_reader()? {
            let (number, kind) = pair?;
            count += u64::from(number);
            locals.push((number, self.val_type(kind)?));
        }
        locals.push((1, ValType::I32));
        // A module that is valid has fewer locals than 32 bits count.
        let own = u32::try_from(count).unwrap_or(u32::MAX);
        let depth = self.plan.added.depth;
        let mut function = Function::new(locals);
        function.instructions().global_get(depth).local_set(own);
        for item in body.get_operators_reader()?.into_iter_with_offsets() {
            let (operator, offset) = item?;
            let is_site = self.plan.reach.is_site(&operator);
            if is_site {
                let site = self.sites.add(index, offset);
                self.enter(&mut function, own, site);
            }
            function.instruction(&self.instruction(operator)?);
            if is_site {
                function.instructions().local_get(own).global_set(depth);
            }
        }
        Ok(function)
    }

    /// Writes a call site at this function's place on the shadow stack.
    fn enter(&self, function: &mut Function, own: u32, site: u32) {
        let added = &self.plan.added;
        let mut code = function.instructions();
        if self.plan.has_buffer() {
            let place = MemArg {
                offset: 0,
                align: 2,
                target: MemArgTarget::Memory(added.stack),
                ordering: None,
            };
            code.local_get(own)
                .i32_const(site.cast_signed())
                .i32_store(place);
        } else {
            code.i32_const(RawKind::Frame.tag())
                .local_get(own)
                .i32_const(2)
                .i32_shr_u();
            if self.plan.is_64 {
                code.i64_extend_i32_u()
                    .i64_const(i64::from(site))
                    .i64_const(0);
            } else {
                code.i32_const(site.cast_signed()).i32_const(0);
            }
            code.call(added.hook);
        }
        code.local_get(own)
            .i32_const(ENTRY_BYTES)
            .i32_add()
            .global_set(added.depth);
    }

    /// The name section, with names for what is added.
    fn names_of(&mut self, section: wasmparser::NameSectionReader<'_>) -> NameSection {
        let mut names = NameSection::new();
        let mut has_functions = false;
        // Names are not needed: what is not well formed is left out.
        for subsection in section.into_iter().map_while(Result::ok) {
            match subsection {
                wasmparser::Name::Function(map) => {
                    has_functions = true;
                    names.functions(&self.function_names(map));
                }
                // Wrappers have other locals.
                wasmparser::Name::Local(_) | wasmparser::Name::Label(_) => {}
                other => {
                    if self
                        .parse_custom_name_subsection(&mut names, other)
                        .is_err()
                    {
                        break;
                    }
                }
            }
        }
        if !has_functions {
            return self.names(NameMap::new());
        }
        names
    }

    fn names(&self, mut functions: NameMap) -> NameSection {
        for (index, name) in self.added_names() {
            functions.append(index, &name);
        }
        let mut names = NameSection::new();
        names.functions(&functions);
        names
    }

    fn function_names(&self, map: wasmparser::NameMap<'_>) -> NameMap {
        let count = self.module.functions.len();
        let own = map.into_iter().map_while(Result::ok);
        let own = own.filter(|naming| (naming.index as usize) < count);
        let mut all: BTreeMap<u32, String> = own
            .map(|naming| (self.plan.function(naming.index), naming.name.to_owned()))
            .collect();
        all.extend(self.added_names());
        let mut functions = NameMap::new();
        for (index, name) in all {
            functions.append(index, &name);
        }
        functions
    }

    fn added_names(&self) -> Vec<(u32, String)> {
        let added = &self.plan.added;
        let mut names = vec![(added.hook, "alligator events".to_owned())];
        for (wrapped, index) in self.plan.wrapped.iter().zip(added.originals..) {
            let name = match wrapped {
                crate::plan::Wrapped::Heap(function) => function.name.as_str(),
                crate::plan::Wrapped::Mark(_) => MARK,
            };
            names.push((index, format!("{name} (recorded)")));
        }
        for (helper, index) in self.helpers.iter().zip(added.emit..) {
            names.push((index, helper.name.to_owned()));
        }
        names
    }
}

/// Where the contents of the code section begin; debugging information counts from there.
pub(crate) fn code_start(bytes: &[u8]) -> u64 {
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        if let Payload::CodeSectionStart {
            unchecked_range, ..
        } = payload
        {
            return unchecked_range.start;
        }
    }
    0
}
