//! Random structured modules.
//!
//! Few distinct values are compared and few addresses used, so that branches depend on each other,
//! and each module is made to tempt the prover: writes through other addresses, memories and globals
//! that are one, values that pass through calls, tables and loops.
#![allow(dead_code, reason = "each test uses a part")]

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    InstructionSink, MemArg, MemArgTarget, MemorySection, MemoryType, Module, RefType,
    TableSection, TableType, TypeSection, ValType,
};

/// Xorshift: the same numbers from the same seed, everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// Number of functions; each calls only those before it.
const FUNCTIONS: u32 = 4;
/// Parameters of each function: four of 32 bits.
const PARAMS: u32 = 4;
/// Locals of 32 bits, parameters included.
const WORDS: u32 = 8;
/// Locals of 64 bits after them.
const LONGS: u32 = 3;
/// Loop counters of 32 bits after those, one per depth of nesting.
const COUNTERS: u32 = 2;
/// Times the body of every loop starts, at most.
pub(crate) const TURNS: u64 = 4;
const GLOBALS: u32 = 2;
/// A global that counts how often a growing function is entered, exported by this name, after the others.
pub(crate) const ENTERED: &str = "entered";
const ENTERED_INDEX: u32 = GLOBALS;
/// A global that is not zero while a hook runs, so that hooks do not run in hooks for ever.
pub(crate) const IN_HOOK: &str = "in_hook";
const IN_HOOK_INDEX: u32 = GLOBALS + 1;
/// Addresses are cut to this many bits, so that accesses meet and rarely trap.
const ADDRESS_MASK: i32 = 0x3c;
/// Functions in the table.
const IN_TABLE: u32 = 2;
/// Instructions on a side that is to stand out.
const COSTLY: u32 = 90;

/// What sets one module apart from another.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "five independent choices")]
struct Shape {
    /// Two memories instead of one.
    two_memories: bool,
    /// Memories have addresses of 64 bits.
    is_64: bool,
    /// Loops that count. Their bounds are loose, and hide what else is wrong.
    loops: bool,
    /// Memories and globals are imported, and are then one and the same.
    imported: bool,
    /// Functions that grow call any function once they have: a recursion, but not without growth.
    hooks: bool,
}

/// A module of structured functions `f0`..; the last calls the others, and every loop counts. Those that
/// grow memory are exported as `grows0`.. as well.
pub(crate) fn random_module(random: &mut Random) -> Vec<u8> {
    let shape = Shape {
        two_memories: random.one_in(3),
        is_64: random.one_in(6),
        loops: random.one_in(5),
        imported: random.one_in(4),
        hooks: random.one_in(3),
    };
    let mut types = TypeSection::new();
    types
        .ty()
        .function(vec![ValType::I32; PARAMS as usize], [ValType::I32]);
    let (mut functions, mut exports, mut code) = (
        FunctionSection::new(),
        ExportSection::new(),
        CodeSection::new(),
    );
    for index in 0..FUNCTIONS {
        functions.function(0);
        let locals = [
            (WORDS - PARAMS, ValType::I32),
            (LONGS, ValType::I64),
            (COUNTERS, ValType::I32),
        ];
        let mut function = Function::new(locals);
        let grows = index > 0 && random.one_in(3);
        if grows {
            // The first name is the one that the prover knows it by.
            exports.export(&format!("grows{index}"), ExportKind::Func, index);
        }
        exports.export(&format!("f{index}"), ExportKind::Func, index);
        let mut writer = Writer {
            random,
            shape,
            callees: index,
            depth: 0,
            loops: 0,
            budget: 40 + index * 25,
            grows,
        };
        let mut body = function.instructions();
        if grows {
            writer.entered(&mut body);
        }
        writer.statements(&mut body);
        writer.word(&mut body, 2);
        body.end();
        code.function(&function);
    }
    let memory = MemoryType {
        minimum: 1,
        maximum: Some(3),
        memory64: shape.is_64,
        shared: false,
        page_size_log2: None,
    };
    let global = GlobalType {
        val_type: ValType::I32,
        mutable: true,
        shared: false,
    };
    let (mut imports, mut memories, mut globals) = (
        ImportSection::new(),
        MemorySection::new(),
        GlobalSection::new(),
    );
    for number in 0..=u32::from(shape.two_memories) {
        if shape.imported {
            imports.import("host", &format!("m{number}"), EntityType::Memory(memory));
        } else {
            memories.memory(memory);
        }
    }
    for number in 0..GLOBALS {
        if shape.imported {
            imports.import("host", &format!("g{number}"), EntityType::Global(global));
        } else {
            globals.global(global, &ConstExpr::i32_const(0));
        }
    }
    for name in [ENTERED, IN_HOOK] {
        let index = globals.len() + if shape.imported { GLOBALS } else { 0 };
        globals.global(global, &ConstExpr::i32_const(0));
        exports.export(name, ExportKind::Global, index);
    }
    let (tables, elements) = table_of_first();
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&tables)
        .section(&memories)
        .section(&globals)
        .section(&exports)
        .section(&elements)
        .section(&code);
    module.finish()
}

/// One table that nobody writes: the first functions, each of which calls only those before it, hooks apart.
fn table_of_first() -> (TableSection, ElementSection) {
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: u64::from(IN_TABLE),
        maximum: None,
        shared: false,
    });
    let mut elements = ElementSection::new();
    let in_table: Vec<u32> = (0..IN_TABLE).collect();
    elements.active(
        None,
        &ConstExpr::i32_const(0),
        Elements::Functions(in_table.into()),
    );
    (tables, elements)
}

struct Writer<'r> {
    random: &'r mut Random,
    shape: Shape,
    callees: u32,
    depth: u32,
    loops: u32,
    budget: u32,
    grows: bool,
}

impl Writer<'_> {
    /// What a growing function does first: it says that it was entered, and grows if it likes to. A hook runs
    /// where it has grown, or where the number of pages tells so.
    fn entered(&mut self, body: &mut InstructionSink<'_>) {
        body.global_get(ENTERED_INDEX).i32_const(1).i32_add();
        body.global_set(ENTERED_INDEX);
        let by_pages = self.random.one_in(2);
        let memory = self.memory();
        let before = WORDS - 1;
        body.memory_size(memory);
        self.narrow(body);
        body.local_set(before);
        self.condition(body);
        body.if_(BlockType::Empty);
        self.pages(body, 1);
        body.memory_grow(memory);
        self.narrow(body);
        body.drop();
        if !by_pages {
            self.hook(body);
        }
        body.end();
        if by_pages {
            body.memory_size(memory);
            self.narrow(body);
            body.local_get(before).i32_ne();
            body.if_(BlockType::Empty);
            self.hook(body);
            body.end();
        }
    }

    /// Calls any function, but not in a hook.
    fn hook(&mut self, body: &mut InstructionSink<'_>) {
        if !self.shape.hooks {
            return;
        }
        body.global_get(IN_HOOK_INDEX).i32_eqz();
        body.if_(BlockType::Empty);
        body.i32_const(1).global_set(IN_HOOK_INDEX);
        for _ in 0..PARAMS {
            self.word(body, 1);
        }
        let callee = self.random.below(u64::from(FUNCTIONS));
        body.call(u32::try_from(callee).expect("small")).drop();
        body.i32_const(0).global_set(IN_HOOK_INDEX);
        body.end();
    }

    fn statements(&mut self, body: &mut InstructionSink<'_>) {
        let count = 2 + self.random.below(5);
        for _ in 0..count {
            if self.budget == 0 {
                return;
            }
            self.budget -= 1;
            self.statement(body);
        }
    }

    fn statement(&mut self, body: &mut InstructionSink<'_>) {
        match self.random.below(25) {
            0..=4 => {
                self.word(body, 2);
                body.local_set(self.word_local());
            }
            5 => {
                self.long(body, 2);
                body.local_set(self.long_local());
            }
            6 if self.random.one_in(2) => self.overwrite(body),
            6..=7 => self.store(body),
            8 => {
                self.word(body, 1);
                body.global_set(
                    self.random
                        .below(u64::from(GLOBALS))
                        .try_into()
                        .expect("small"),
                );
            }
            9..=12 => self.branch(body, true),
            13..=14 => self.branch(body, false),
            15 if self.shape.loops && self.loops < COUNTERS => self.counted_loop(body),
            15..=16 => self.block(body),
            17 => self.table(body),
            18 if self.callees > 0 => self.call(body),
            19 if self.depth > 0 => {
                self.condition(body);
                let depth = u32::try_from(self.random.below(u64::from(self.depth))).expect("small");
                body.br_if(depth);
            }
            20 if self.random.one_in(3) => self.fill(body),
            21 if self.grows && self.random.one_in(4) => {
                let memory = self.memory();
                self.pages(body, 1);
                body.memory_grow(memory);
                self.narrow(body);
                body.local_set(self.word_local());
            }
            22 if self.callees > IN_TABLE => {
                for _ in 0..PARAMS {
                    self.word(body, 1);
                }
                // Sometimes out of the table: a trap.
                self.word(body, 0);
                body.i32_const(if self.random.one_in(9) { 3 } else { 1 })
                    .i32_and();
                body.call_indirect(0, 0);
                body.local_set(self.word_local());
            }
            23 if self.callees > 0 && self.depth > 0 && self.random.one_in(3) => {
                // In the place of the rest of this function.
                self.condition(body);
                body.if_(BlockType::Empty);
                for _ in 0..PARAMS {
                    self.word(body, 1);
                }
                let callee = self.random.below(u64::from(self.callees));
                body.return_call(u32::try_from(callee).expect("small"));
                body.end();
            }
            24 if self.random.one_in(2) => self.vector(body),
            _ => {
                self.condition(body);
                body.if_(BlockType::Empty);
                if self.random.one_in(6) {
                    body.unreachable();
                }
                body.end();
            }
        }
    }

    fn branch(&mut self, body: &mut InstructionSink<'_>, alternative: bool) {
        self.condition(body);
        body.if_(BlockType::Empty);
        self.depth += 1;
        self.statements(body);
        if alternative {
            body.else_();
            self.statements(body);
        }
        self.depth -= 1;
        body.end();
    }

    fn block(&mut self, body: &mut InstructionSink<'_>) {
        body.block(BlockType::Empty);
        self.depth += 1;
        self.statements(body);
        self.condition(body);
        body.br_if(0);
        self.statements(body);
        self.depth -= 1;
        body.end();
    }

    /// A value written, perhaps overwritten through another address, and read again: costly if it
    /// has changed, so that a prover that overlooks the second write is caught.
    fn overwrite(&mut self, body: &mut InstructionSink<'_>) {
        let (one, other) = (self.word_local(), self.word_local());
        let is_64 = self.shape.is_64;
        let place = |body: &mut InstructionSink<'_>, local| {
            body.local_get(local).i32_const(ADDRESS_MASK).i32_and();
            if is_64 {
                body.i64_extend_i32_u();
            }
        };
        let (mut memarg, mut through) = (self.memarg(), self.memarg());
        (memarg.offset, through.offset) = (0, 0);
        place(body, one);
        body.i32_const(5).i32_store(memarg);
        place(body, other);
        if self.random.one_in(2) {
            body.i32_const(6).i32_store8(through);
        } else {
            // The address again, as a value that differs from 5 in its lowest byte.
            body.i32_const(6).i32x4_splat().v128_store(through);
        }
        place(body, one);
        body.i32_load(memarg).i32_const(5).i32_ne();
        body.if_(BlockType::Empty);
        for _ in 0..COSTLY {
            body.local_get(one).drop();
        }
        body.end();
    }

    /// Counts first, so that a branch back to it from anywhere inside counts, too.
    fn counted_loop(&mut self, body: &mut InstructionSink<'_>) {
        let counter = WORDS + LONGS + self.loops;
        body.i32_const(0).local_set(counter);
        body.block(BlockType::Empty).loop_(BlockType::Empty);
        body.local_get(counter).i32_const(1).i32_add();
        body.local_tee(counter);
        let turns = i32::try_from(TURNS).expect("small");
        if self.random.one_in(2) {
            body.i32_const(turns); // The prover counts such loops itself ..
        } else {
            body.i32_const(turns - 1).i32_const(1).i32_add(); // .. and must be told of these.
        }
        body.i32_ge_u().br_if(1);
        self.loops += 1;
        self.depth += 2;
        self.statements(body);
        self.condition(body);
        body.br_if(0);
        self.depth -= 2;
        self.loops -= 1;
        body.end().end();
    }

    fn table(&mut self, body: &mut InstructionSink<'_>) {
        for _ in 0..3 {
            body.block(BlockType::Empty);
        }
        self.depth += 3;
        self.word(body, 1);
        body.br_table([0, 1, 1, 0], 2);
        for _ in 0..3 {
            self.depth -= 1;
            body.end();
            self.statements(body);
        }
    }

    fn call(&mut self, body: &mut InstructionSink<'_>) {
        for _ in 0..PARAMS {
            self.word(body, 1);
        }
        body.call(u32::try_from(self.random.below(u64::from(self.callees))).expect("small"));
        body.local_set(self.word_local());
    }

    fn word_local(&mut self) -> u32 {
        u32::try_from(self.random.below(u64::from(WORDS))).expect("small")
    }

    fn long_local(&mut self) -> u32 {
        WORDS + u32::try_from(self.random.below(u64::from(LONGS))).expect("small")
    }

    fn small_constant(&mut self) -> i32 {
        const COMMON: [i32; 10] = [0, 1, 2, 3, 4, 7, 8, 16, -1, i32::MIN];
        COMMON[usize::try_from(self.random.below(10)).expect("small")]
    }

    fn address(&mut self, body: &mut InstructionSink<'_>) {
        self.word(body, 1);
        if !self.random.one_in(12) {
            body.i32_const(ADDRESS_MASK).i32_and();
        }
        if self.shape.is_64 {
            body.i64_extend_i32_u();
        }
    }

    fn memory(&mut self) -> u32 {
        u32::from(self.shape.two_memories && self.random.one_in(2))
    }

    /// A number of pages or bytes, as wide as addresses.
    fn pages(&self, body: &mut InstructionSink<'_>, count: i32) {
        if self.shape.is_64 {
            body.i64_const(count.into());
        } else {
            body.i32_const(count);
        }
    }

    /// A number of pages as a word.
    fn narrow(&self, body: &mut InstructionSink<'_>) {
        if self.shape.is_64 {
            body.i32_wrap_i64();
        }
    }

    fn fill(&mut self, body: &mut InstructionSink<'_>) {
        let length = i32::try_from(1 + self.random.below(9)).expect("small");
        let memory = self.memory();
        self.address(body);
        body.i32_const(7);
        self.pages(body, length);
        body.memory_fill(memory);
    }

    /// Values that are not followed, and what comes back from them.
    fn vector(&mut self, body: &mut InstructionSink<'_>) {
        self.word(body, 1);
        body.i32x4_splat();
        self.word(body, 0);
        body.i32x4_splat();
        match self.random.below(3) {
            0 => body.i32x4_add(),
            1 => body.v128_xor(),
            _ => body.i32x4_eq(),
        };
        body.i32x4_extract_lane(0);
        body.local_set(self.word_local());
    }

    fn memarg(&mut self) -> MemArg {
        MemArg {
            offset: 4 * self.random.below(3),
            align: 0,
            target: MemArgTarget::Memory(self.memory()),
            ordering: None,
        }
    }

    fn store(&mut self, body: &mut InstructionSink<'_>) {
        self.address(body);
        let memarg = self.memarg();
        match self.random.below(5) {
            0..=2 => {
                self.word(body, 1);
                body.i32_store(memarg);
            }
            3 => {
                self.word(body, 1);
                body.i32_store8(memarg);
            }
            _ => {
                self.long(body, 1);
                body.i64_store(memarg);
            }
        }
    }

    fn condition(&mut self, body: &mut InstructionSink<'_>) {
        if self.random.one_in(5) {
            self.long(body, 1);
            self.long(body, 0);
            match self.random.below(6) {
                0 => body.i64_eq(),
                1 => body.i64_ne(),
                2 => body.i64_lt_u(),
                3 => body.i64_ge_s(),
                4 => body.i64_gt_s(),
                _ => body.i64_le_u(),
            };
            return;
        }
        self.word(body, 1);
        match self.random.below(4) {
            0 => return,
            1 => {
                body.i32_eqz();
                return;
            }
            _ => {}
        }
        if self.random.one_in(3) {
            self.word(body, 1);
        } else {
            body.i32_const(self.small_constant());
        }
        match self.random.below(10) {
            0 => body.i32_eq(),
            1 => body.i32_ne(),
            2 => body.i32_lt_u(),
            3 => body.i32_lt_s(),
            4 => body.i32_gt_u(),
            5 => body.i32_gt_s(),
            6 => body.i32_le_u(),
            7 => body.i32_le_s(),
            8 => body.i32_ge_u(),
            _ => body.i32_ge_s(),
        };
    }

    fn word(&mut self, body: &mut InstructionSink<'_>, depth: u32) {
        if depth == 0 {
            if self.random.one_in(3) {
                body.i32_const(self.small_constant());
            } else {
                body.local_get(self.word_local());
            }
            return;
        }
        match self.random.below(12) {
            0 => {
                self.address(body);
                let memarg = self.memarg();
                match self.random.below(4) {
                    0 => body.i32_load8_u(memarg),
                    1 => body.i32_load16_s(memarg),
                    _ => body.i32_load(memarg),
                };
            }
            1 => {
                body.global_get(
                    self.random
                        .below(u64::from(GLOBALS))
                        .try_into()
                        .expect("small"),
                );
            }
            2 => {
                self.long(body, depth - 1);
                body.i32_wrap_i64();
            }
            3 => {
                self.word(body, depth - 1);
                match self.random.below(6) {
                    0 => body.i32_clz(),
                    1 => body.i32_ctz(),
                    2 => body.i32_popcnt(),
                    3 => body.i32_eqz(),
                    4 => body.i32_extend8_s(),
                    _ => body.i32_extend16_s(),
                };
            }
            4 => {
                self.word(body, depth - 1);
                self.word(body, depth - 1);
                self.word(body, 0);
                body.select();
            }
            5 if self.random.one_in(4) => {
                let memory = self.memory();
                body.memory_size(memory);
                self.narrow(body);
            }
            6..=8 => {
                self.word(body, depth - 1);
                self.word(body, depth - 1);
                match self.random.below(16) {
                    0 | 1 => body.i32_add(),
                    2 => body.i32_sub(),
                    3 => body.i32_mul(),
                    4 | 5 => body.i32_and(),
                    6 => body.i32_or(),
                    7 => body.i32_xor(),
                    8 => body.i32_shl(),
                    9 => body.i32_shr_u(),
                    10 => body.i32_shr_s(),
                    11 => body.i32_rotl(),
                    12 => body.i32_lt_u(),
                    13 => body.i32_lt_s(),
                    14 if self.random.one_in(3) => body.i32_div_u(),
                    _ if self.random.one_in(3) => body.i32_rem_s(),
                    _ => body.i32_eq(),
                };
            }
            _ => self.word(body, 0),
        }
    }

    fn long(&mut self, body: &mut InstructionSink<'_>, depth: u32) {
        if depth == 0 {
            body.local_get(self.long_local());
            return;
        }
        match self.random.below(7) {
            0 => {
                self.word(body, depth - 1);
                body.i64_extend_i32_u();
            }
            1 => {
                self.word(body, depth - 1);
                body.i64_extend_i32_s();
            }
            2 => {
                body.i64_const(i64::from(self.small_constant()));
            }
            3 => {
                self.address(body);
                let memarg = self.memarg();
                match self.random.below(3) {
                    0 => body.i64_load(memarg),
                    1 => body.i64_load32_s(memarg),
                    _ => body.i64_load8_u(memarg),
                };
            }
            _ => {
                self.long(body, depth - 1);
                self.long(body, depth - 1);
                match self.random.below(7) {
                    0 => body.i64_add(),
                    1 => body.i64_sub(),
                    2 => body.i64_and(),
                    3 => body.i64_or(),
                    4 => body.i64_shl(),
                    5 => body.i64_shr_u(),
                    _ => body.i64_mul(),
                };
            }
        }
    }
}
