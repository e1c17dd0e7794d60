//! The functions that have the places of others, and say what these do.

use alligator_find::heap::HeapFunction;
use alligator_find::module::Module;
use alligator_find::names::{Parameter, Role};
use wasm_encoder::{BlockType, Catch, Function, InstructionSink, ValType};

use crate::abi::{RawKind, TAG_ALIGN_SHIFT, TAG_ZEROED};
use crate::code::{addresses, at};
use crate::plan::{Exceptions, Plan, Wrapped};

/// The function that has the place of another, and calls that one's code.
pub(crate) fn wrapper(
    plan: &Plan,
    module: &Module<'_>,
    wrapped: &Wrapped,
    original: u32,
) -> Function {
    let of = wrapped.function();
    let signature = module.signature_of(of);
    let values = |list: &[wasmparser::ValType]| -> Vec<ValType> {
        list.iter()
            .map(|it| {
                if *it == wasmparser::ValType::I64 {
                    ValType::I64
                } else {
                    ValType::I32
                }
            })
            .collect()
    };
    let params = values(signature.map_or(&[], |it| it.params()));
    let results = values(signature.map_or(&[], |it| it.results()));
    match wrapped {
        Wrapped::Mark(_) => mark_wrapper(plan, original),
        Wrapped::Heap(function) => Wrapper {
            plan,
            function,
            params,
            result: results.first().copied(),
            original,
        }
        .build(),
    }
}

fn mark_wrapper(plan: &Plan, original: u32) -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.local_get(0).local_get(1).call(plan.added.mark);
    code.local_get(0).local_get(1).call(original).end();
    function
}

/// A function of the allocator that says what it does.
struct Wrapper<'a> {
    plan: &'a Plan,
    function: &'a HeapFunction,
    params: Vec<ValType>,
    result: Option<ValType>,
    original: u32,
}

impl Wrapper<'_> {
    /// The local that holds the result.
    fn result_local(&self) -> u32 {
        u32::try_from(self.params.len()).unwrap_or(u32::MAX)
    }

    fn build(&self) -> Function {
        let added = &self.plan.added;
        let mut function = Function::new(self.result.map(|kind| (1, kind)));
        let mut code = function.instructions();
        // The allocator calls itself: that is no event.
        code.global_get(added.inside).if_(BlockType::Empty);
        self.call(&mut code);
        code.return_().end();
        if self.function.role == Role::Dealloc {
            self.say_free(&mut code);
        }
        code.i32_const(1).global_set(added.inside);
        self.call_and_catch(&mut code);
        code.i32_const(0).global_set(added.inside);
        match self.function.role {
            Role::Alloc => self.say_alloc(&mut code, 0),
            Role::AllocZeroed => self.say_alloc(&mut code, TAG_ZEROED),
            Role::Realloc => self.say_realloc(&mut code),
            Role::Dealloc | Role::Pin | Role::Unpin => {}
        }
        if self.result.is_some() {
            code.local_get(self.result_local());
        }
        code.end();
        function
    }

    fn call(&self, code: &mut InstructionSink<'_>) {
        for local in 0..self.result_local() {
            code.local_get(local);
        }
        code.call(self.original);
    }

    /// Calls and keeps the result; an exception goes on, with the allocator left.
    fn call_and_catch(&self, code: &mut InstructionSink<'_>) {
        let result = |code: &mut InstructionSink<'_>| {
            if self.result.is_some() {
                code.local_set(self.result_local());
            }
        };
        let leave = |code: &mut InstructionSink<'_>| {
            code.i32_const(0).global_set(self.plan.added.inside);
        };
        match self.plan.exceptions {
            Exceptions::None => {
                self.call(code);
                result(code);
            }
            Exceptions::Legacy => {
                code.try_(BlockType::Empty);
                self.call(code);
                result(code);
                code.catch_all();
                leave(code);
                code.rethrow(0).end();
            }
            Exceptions::Table => {
                code.block(BlockType::Empty)
                    .block(BlockType::Result(ValType::EXNREF));
                code.try_table(BlockType::Empty, [Catch::AllRef { label: 0 }]);
                self.call(code);
                result(code);
                code.end().br(1).end();
                leave(code);
                code.throw_ref().end();
            }
        }
    }

    fn place(&self, wanted: Parameter) -> Option<u32> {
        let place = self
            .function
            .parameters
            .iter()
            .position(|it| *it == wanted)?;
        u32::try_from(place).ok()
    }

    /// Leaves a local, as wide as an address.
    fn address(&self, code: &mut InstructionSink<'_>, local: u32) {
        code.local_get(local);
        let kind = self.params.get(local as usize).copied().or(self.result);
        match (kind, self.plan.is_64) {
            (Some(ValType::I32), true) => code.i64_extend_i32_u(),
            (Some(ValType::I64), false) => code.i32_wrap_i64(),
            _ => code,
        };
    }

    fn parameter(&self, code: &mut InstructionSink<'_>, wanted: Parameter) {
        match self.place(wanted) {
            Some(local) => self.address(code, local),
            None => addresses(self.plan).constant(code, 0),
        }
    }

    /// Leaves the bytes asked for; the largest number if they are more than 32 bits count.
    fn size(&self, code: &mut InstructionSink<'_>) {
        if self.place(Parameter::Count).is_none() {
            self.parameter(code, Parameter::Size);
            return;
        }
        let both = |code: &mut InstructionSink<'_>, is_64: bool| {
            for factor in [Parameter::Size, Parameter::Count] {
                self.parameter(code, factor);
                if !is_64 {
                    code.i64_extend_i32_u();
                }
            }
            code.i64_mul();
        };
        both(code, self.plan.is_64);
        if !self.plan.is_64 {
            code.i32_wrap_i64().i32_const(-1);
            both(code, false);
            code.i64_const(32).i64_shr_u().i64_eqz().select();
        }
    }

    /// Leaves a tag with the alignment asked for.
    fn tag(&self, code: &mut InstructionSink<'_>, kind: RawKind, flags: u32) {
        code.i32_const(kind.tag() | flags.cast_signed());
        let Some(align) = self.place(Parameter::Align) else {
            return;
        };
        code.local_get(align);
        match self.params.get(align as usize) {
            Some(ValType::I64) => code.i64_ctz().i32_wrap_i64(),
            _ => code.i32_ctz(),
        };
        code.i32_const(1)
            .i32_add()
            .i32_const(TAG_ALIGN_SHIFT.cast_signed())
            .i32_shl()
            .i32_or();
    }

    /// Leaves the address of the block that was given: the result, or what was written at a place if the result is 0.
    fn given(&self, code: &mut InstructionSink<'_>) {
        let Some(place) = self.place(Parameter::Place) else {
            self.address(code, self.result_local());
            return;
        };
        let of = addresses(self.plan);
        let address = BlockType::Result(self.plan.address());
        code.local_get(self.result_local());
        match self.result {
            Some(ValType::I64) => code.i64_eqz(),
            _ => code.i32_eqz(),
        };
        code.if_(address).local_get(place);
        let from = at(0, self.plan.added.program);
        if self.plan.is_64 {
            code.i64_load(from)
        } else {
            code.i32_load(from)
        };
        code.else_();
        of.constant(code, 0);
        code.end();
    }

    fn say_alloc(&self, code: &mut InstructionSink<'_>, flags: u32) {
        let added = &self.plan.added;
        if self.plan.samples() {
            self.size(code);
            code.call(added.coin).if_(BlockType::Empty);
        }
        self.tag(code, RawKind::Alloc, flags);
        addresses(self.plan).constant(code, 0);
        self.given(code);
        self.size(code);
        code.call(added.emit);
        if self.plan.samples() {
            if self.plan.has_buffer() {
                self.given(code);
                code.call(added.remember);
            }
            code.end();
        }
    }

    /// Before the block is given back, so that with threads nobody has it yet.
    fn say_free(&self, code: &mut InstructionSink<'_>) {
        let added = &self.plan.added;
        self.is_block(code);
        if self.plan.samples() {
            code.if_(BlockType::Result(ValType::I32));
            self.parameter(code, Parameter::Pointer);
            code.call(added.forget).else_().i32_const(0).end();
        }
        code.if_(BlockType::Empty);
        self.say_freed(code);
        code.end();
    }

    fn say_freed(&self, code: &mut InstructionSink<'_>) {
        code.i32_const(RawKind::Free.tag());
        addresses(self.plan).constant(code, 0);
        self.parameter(code, Parameter::Pointer);
        addresses(self.plan).constant(code, 0);
        code.call(self.plan.added.emit);
    }

    /// Leaves whether the pointer is not null.
    fn is_block(&self, code: &mut InstructionSink<'_>) {
        self.parameter(code, Parameter::Pointer);
        addresses(self.plan).constant(code, 0);
        addresses(self.plan).is_different(code);
    }

    /// With sampling, a block that is resized is one given back and one asked for: each has its own probability.
    fn say_realloc(&self, code: &mut InstructionSink<'_>) {
        if !self.plan.samples() {
            self.tag(code, RawKind::Realloc, 0);
            self.parameter(code, Parameter::Pointer);
            self.given(code);
            self.size(code);
            code.call(self.plan.added.emit);
            return;
        }
        // If it was refused, nothing has changed.
        let of = addresses(self.plan);
        self.given(code);
        of.constant(code, 0);
        of.is_different(code);
        self.size(code);
        of.constant(code, 0);
        of.is_different(code);
        code.i32_eqz().i32_or().if_(BlockType::Empty);
        self.say_free(code);
        self.say_alloc(code, 0);
        code.end();
    }
}
