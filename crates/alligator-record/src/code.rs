//! The functions that are added, apart from wrappers.

use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, MemArgTarget, ValType};

use crate::abi::{MARK_BYTES_MAX, Meta, RawKind, SENT, SEQUENCE_AT, SLACK_BYTES, TAG_DEPTH_SHIFT};
use crate::plan::Plan;

/// A function that is added: its type's index, its name and its code.
pub(crate) struct Made {
    pub(crate) signature: u32,
    pub(crate) name: &'static str,
    pub(crate) code: Function,
}

pub(crate) fn at(offset: u32, memory: u32) -> MemArg {
    MemArg {
        offset: u64::from(offset),
        align: 0,
        target: MemArgTarget::Memory(memory),
        ordering: None,
    }
}

/// Bytes of one entry of the shadow stack.
pub(crate) const ENTRY_BYTES: i32 = 4;

/// All helpers, in the order of [`Added`](crate::plan::Added). Those that a plan has no use for are empty.
pub(crate) fn helpers(plan: &mut Plan) -> Vec<Made> {
    let address = plan.address();
    let event = vec![ValType::I32, address, address, address];
    let makers: [(&str, Vec<ValType>, Vec<ValType>, Function); 9] = [
        ("alligator emit", event.clone(), vec![], emit(plan)),
        ("alligator put", event, vec![], put(plan)),
        ("alligator drain", vec![], vec![], drain(plan)),
        ("alligator full", vec![], vec![], full(plan)),
        ("alligator send_stack", vec![], vec![], send_stack(plan)),
        (
            "alligator coin",
            vec![address],
            vec![ValType::I32],
            coin(plan),
        ),
        ("alligator remember", vec![address], vec![], remember(plan)),
        (
            "alligator forget",
            vec![address],
            vec![ValType::I32],
            forget(plan),
        ),
        ("alligator mark", vec![address, address], vec![], mark(plan)),
    ];
    makers
        .into_iter()
        .map(|(name, params, results, code)| Made {
            signature: plan.signature(params, results),
            name,
            code,
        })
        .collect()
}

/// An empty function that traps: no call of it is written.
fn unused() -> Function {
    let mut code = Function::new([]);
    code.instructions().unreachable().end();
    code
}

/// Instructions on addresses, of either width.
pub(crate) struct Addresses {
    is_64: bool,
}

impl Addresses {
    pub(crate) fn constant(&self, code: &mut InstructionSink<'_>, value: u32) {
        if self.is_64 {
            code.i64_const(i64::from(value))
        } else {
            code.i32_const(value.cast_signed())
        };
    }

    fn store(&self, code: &mut InstructionSink<'_>, to: MemArg) {
        if self.is_64 {
            code.i64_store(to)
        } else {
            code.i32_store(to)
        };
    }

    pub(crate) fn is_different(&self, code: &mut InstructionSink<'_>) {
        if self.is_64 {
            code.i64_ne()
        } else {
            code.i32_ne()
        };
    }

    /// From 32 bits without a sign.
    fn widen(&self, code: &mut InstructionSink<'_>) {
        if self.is_64 {
            code.i64_extend_i32_u();
        }
    }
}

pub(crate) fn addresses(plan: &Plan) -> Addresses {
    Addresses { is_64: plan.is_64 }
}

/// Writes a record, whose tag and three numbers `value` leaves, at the end of the buffer; there is always room for one.
/// Local `place` is where it was, and then where it ends.
fn store_record(
    plan: &Plan,
    code: &mut InstructionSink<'_>,
    place: u32,
    value: impl Fn(&mut InstructionSink<'_>, u32),
) {
    let (added, of) = (&plan.added, addresses(plan));
    let width = if plan.is_64 { 8 } else { 4 };
    code.global_get(added.at).local_set(place);
    for number in 0..4 {
        code.local_get(place);
        value(code, number);
        if number == 0 {
            of.widen(code);
        }
        of.store(code, at(number * width, added.events));
    }
    if plan.shares_a_counter() {
        code.local_get(place)
            .i32_const(0)
            .i64_const(1)
            .i64_atomic_rmw_add(MemArg {
                offset: SEQUENCE_AT,
                align: 3,
                target: MemArgTarget::Memory(added.shared_memory),
                ordering: None,
            })
            .i64_store(at(4 * width, added.events));
    }
    let bytes = Meta::record_bytes(plan.is_64, plan.shared);
    code.local_get(place)
        .i32_const(bytes.cast_signed())
        .i32_add()
        .local_tee(place)
        .global_set(added.at);
}

/// Leaves a local: the value of a record's number, where these are an event's parameters.
fn parameter(code: &mut InstructionSink<'_>, local: u32) {
    code.local_get(local);
}

/// Empties the buffer if it is full.
fn look_whether_full(plan: &Plan, code: &mut InstructionSink<'_>) {
    let added = &plan.added;
    code.global_get(added.at)
        .global_get(added.end)
        .i32_ge_u()
        .if_(BlockType::Empty)
        .call(added.full)
        .end();
}

/// `emit(tag, old, address, size)`: an event, after growth that was not seen yet, and the part of the stack that the host
/// does not know.
fn emit(plan: &Plan) -> Function {
    let (added, of) = (&plan.added, addresses(plan));
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    let program = added.program;
    if plan.options.stacks && plan.has_buffer() {
        code.call(added.send_stack);
    }
    let with_depth = |code: &mut InstructionSink<'_>| {
        if plan.options.stacks {
            depth_in_tag(plan, code);
            code.i32_or();
        }
    };
    code.memory_size(program).global_get(added.known_pages);
    of.is_different(&mut code);
    code.if_(BlockType::Empty).i32_const(RawKind::Grow.tag());
    with_depth(&mut code);
    code.global_get(added.known_pages).memory_size(program);
    of.constant(&mut code, 0);
    code.call(added.put)
        .memory_size(program)
        .global_set(added.known_pages)
        .end();
    code.local_get(0);
    with_depth(&mut code);
    code.local_set(0);
    if plan.has_buffer() {
        store_record(plan, &mut code, 4, parameter);
        look_whether_full(plan, &mut code);
    } else {
        code.local_get(0)
            .local_get(1)
            .local_get(2)
            .local_get(3)
            .call(added.put);
    }
    code.end();
    function
}

/// The depth of the shadow stack, where it stands in a tag.
fn depth_in_tag(plan: &Plan, code: &mut InstructionSink<'_>) {
    let shift = TAG_DEPTH_SHIFT - ENTRY_BYTES.trailing_zeros();
    code.global_get(plan.added.depth)
        .i32_const(shift.cast_signed())
        .i32_shl();
}

/// `put(tag, old, address, size)`: a record as it is.
fn put(plan: &Plan) -> Function {
    if !plan.has_buffer() {
        return unused();
    }
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    store_record(plan, &mut code, 4, parameter);
    look_whether_full(plan, &mut code);
    code.end();
    function
}

/// `drain()`: offers the buffer to the host.
fn drain(plan: &Plan) -> Function {
    if !plan.has_buffer() {
        return unused();
    }
    let added = &plan.added;
    let mut function = Function::new([]);
    function
        .instructions()
        .global_get(added.at)
        .call(added.hook)
        .i32_eqz()
        .if_(BlockType::Empty)
        .i32_const(0)
        .global_set(added.at)
        .end()
        .end();
    function
}

/// `full()`: offers the buffer, and makes it larger if the host does not take it. If that fails, events are lost, which
/// the next record says.
fn full(plan: &Plan) -> Function {
    if !plan.has_buffer() {
        return unused();
    }
    let (added, of) = (&plan.added, addresses(plan));
    let bytes = Meta::record_bytes(plan.is_64, plan.shared).cast_signed();
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.call(added.drain)
        .global_get(added.at)
        .global_get(added.end)
        .i32_ge_u()
        .if_(BlockType::Empty);
    code.memory_size(added.events)
        .memory_grow(added.events)
        .i32_const(-1)
        .i32_eq()
        .if_(BlockType::Empty);
    code.global_get(added.at)
        .i32_const(bytes)
        .i32_div_u()
        .global_get(added.lost)
        .i32_add()
        .global_set(added.lost)
        .i32_const(0)
        .global_set(added.at)
        .i32_const(RawKind::Lost.tag());
    of.constant(&mut code, 0);
    of.constant(&mut code, 0);
    code.global_get(added.lost);
    of.widen(&mut code);
    code.call(added.put).i32_const(0).global_set(added.lost);
    code.else_()
        .memory_size(added.events)
        .i32_const(16)
        .i32_shl()
        .i32_const(SLACK_BYTES.cast_signed())
        .i32_sub()
        .global_set(added.end)
        .end();
    code.end().end();
    function
}

/// `send_stack()`: records of the entries of the shadow stack that the host does not know. An entry that it knows has only
/// such entries below it: what is below was not written since.
fn send_stack(plan: &Plan) -> Function {
    if !plan.has_buffer() || !plan.options.stacks {
        return unused();
    }
    let (added, of) = (&plan.added, addresses(plan));
    let mut function = Function::new([(2, ValType::I32)]);
    let (place, entry) = (0, 1);
    let stack = at(0, added.stack);
    let mut code = function.instructions();
    code.global_get(added.depth).local_set(place);
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(place).i32_eqz().br_if(1);
    code.local_get(place)
        .i32_const(ENTRY_BYTES)
        .i32_sub()
        .i32_load(stack)
        .i32_const(0)
        .i32_lt_s()
        .br_if(1);
    code.local_get(place)
        .i32_const(ENTRY_BYTES)
        .i32_sub()
        .local_set(place)
        .br(0);
    code.end().end();
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(place)
        .global_get(added.depth)
        .i32_ge_u()
        .br_if(1);
    code.i32_const(RawKind::Frame.tag());
    code.local_get(place).i32_const(2).i32_shr_u();
    of.widen(&mut code);
    code.local_get(place).i32_load(stack).local_tee(entry);
    of.widen(&mut code);
    of.constant(&mut code, 0);
    code.call(added.put);
    code.local_get(place)
        .local_get(entry)
        .i32_const(SENT)
        .i32_or()
        .i32_store(stack);
    code.local_get(place)
        .i32_const(ENTRY_BYTES)
        .i32_add()
        .local_set(place)
        .br(0);
    code.end().end().end();
    function
}

/// `coin(size) -> i32`: whether a block of this size is recorded, with a probability of size / `sample_bytes`.
fn coin(plan: &Plan) -> Function {
    if !plan.samples() {
        return unused();
    }
    let added = &plan.added;
    let mut function = Function::new([]);
    let mut code = function.instructions();
    // A linear congruential generator (Steele and Vigna, 2021); its high bits are good enough for this.
    code.global_get(added.seed)
        .i32_const(0x915f_77f5_u32.cast_signed())
        .i32_mul()
        .i32_const(0x3c6e_f35f)
        .i32_add()
        .global_set(added.seed);
    code.global_get(added.seed)
        .i64_extend_i32_u()
        .i64_const(i64::from(plan.options.sample_bytes))
        .i64_mul()
        .i64_const(32)
        .i64_shr_u()
        .local_get(0);
    if !plan.is_64 {
        code.i64_extend_i32_u();
    }
    code.i64_lt_u().end();
    function
}

/// Leaves the byte of an address's bit, of which there is one for each four bytes.
fn byte_of_bit(plan: &Plan, code: &mut InstructionSink<'_>) {
    code.local_get(0);
    if plan.is_64 {
        code.i64_const(5).i64_shr_u().i32_wrap_i64()
    } else {
        code.i32_const(5).i32_shr_u()
    };
}

/// Leaves the mask of an address's bit in its byte.
fn mask_of_bit(plan: &Plan, code: &mut InstructionSink<'_>) {
    code.i32_const(1).local_get(0);
    if plan.is_64 {
        code.i64_const(2).i64_shr_u().i32_wrap_i64()
    } else {
        code.i32_const(2).i32_shr_u()
    };
    code.i32_const(7).i32_and().i32_shl();
}

/// `remember(address)`: this block is recorded.
fn remember(plan: &Plan) -> Function {
    if !plan.samples() || !plan.has_buffer() {
        return unused();
    }
    let bits = plan.added.bits;
    let mut function = Function::new([(1, ValType::I32)]);
    let place = 1;
    let mut code = function.instructions();
    byte_of_bit(plan, &mut code);
    code.local_set(place);
    // Pages up to and with the byte's. What no memory is there for is forgotten.
    code.local_get(place)
        .i32_const(16)
        .i32_shr_u()
        .memory_size(bits)
        .i32_ge_u()
        .if_(BlockType::Empty)
        .local_get(place)
        .i32_const(16)
        .i32_shr_u()
        .i32_const(1)
        .i32_add()
        .memory_size(bits)
        .i32_sub()
        .memory_grow(bits)
        .i32_const(-1)
        .i32_eq()
        .if_(BlockType::Empty)
        .return_()
        .end()
        .end();
    code.local_get(place)
        .local_get(place)
        .i32_load8_u(at(0, bits));
    mask_of_bit(plan, &mut code);
    code.i32_or().i32_store8(at(0, bits)).end();
    function
}

/// `forget(address) -> i32`: whether this block is recorded; from now on it is not. Without a second memory the host
/// decides.
fn forget(plan: &Plan) -> Function {
    if !plan.samples() {
        return unused();
    }
    let bits = plan.added.bits;
    let mut function = Function::new([(2, ValType::I32)]);
    let (place, byte) = (1, 2);
    let mut code = function.instructions();
    if !plan.has_buffer() {
        code.i32_const(1).end();
        return function;
    }
    byte_of_bit(plan, &mut code);
    code.local_tee(place)
        .i32_const(16)
        .i32_shr_u()
        .memory_size(bits)
        .i32_ge_u()
        .if_(BlockType::Empty)
        .i32_const(0)
        .return_()
        .end();
    code.local_get(place)
        .i32_load8_u(at(0, bits))
        .local_tee(byte);
    mask_of_bit(plan, &mut code);
    code.i32_and()
        .i32_eqz()
        .if_(BlockType::Empty)
        .i32_const(0)
        .return_()
        .end();
    code.local_get(place).local_get(byte);
    mask_of_bit(plan, &mut code);
    code.i32_xor().i32_store8(at(0, bits)).i32_const(1).end();
    function
}

/// `mark(address, bytes)`: a mark with its name, which is copied behind the record. A name that is not in memory is left
/// out.
fn mark(plan: &Plan) -> Function {
    if !plan.has_marks() {
        return unused();
    }
    let (added, of) = (&plan.added, addresses(plan));
    let address = plan.address();
    let mut function = Function::new([(2, ValType::I32)]);
    let (name, length, place, tag) = (0, 1, 2, 3);
    let mut code = function.instructions();
    if !plan.has_buffer() {
        code.i32_const(RawKind::Mark.tag());
        if plan.options.stacks {
            depth_in_tag(plan, &mut code);
            code.i32_or();
        }
        code.local_get(name);
        of.constant(&mut code, 0);
        code.local_get(length).call(added.put).end();
        return function;
    }
    let widened = |code: &mut InstructionSink<'_>, local: u32| {
        code.local_get(local);
        if address == ValType::I32 {
            code.i64_extend_i32_u();
        }
    };
    widened(&mut code, length);
    code.i64_const(i64::from(MARK_BYTES_MAX))
        .i64_gt_u()
        .if_(BlockType::Empty);
    of.constant(&mut code, MARK_BYTES_MAX);
    code.local_set(length).end();
    // The name ends in memory, and does not begin so far up that the sum has no place in 64 bits.
    widened(&mut code, name);
    widened(&mut code, length);
    code.i64_add();
    code.memory_size(added.program);
    if !plan.is_64 {
        code.i64_extend_i32_u();
    }
    code.i64_const(i64::from(plan.page_size_log2))
        .i64_shl()
        .i64_gt_u();
    widened(&mut code, name);
    code.i64_const(0)
        .i64_lt_s()
        .i32_or()
        .if_(BlockType::Empty)
        .return_()
        .end();
    code.i32_const(RawKind::Mark.tag()).local_set(tag);
    if plan.options.stacks {
        code.call(added.send_stack).local_get(tag);
        depth_in_tag(plan, &mut code);
        code.i32_or().local_set(tag);
    }
    store_record(plan, &mut code, place, |code, number| match number {
        0 => parameter(code, tag),
        3 => parameter(code, length),
        _ => addresses(plan).constant(code, 0),
    });
    code.local_get(place).local_get(name).local_get(length);
    if plan.is_64 {
        code.i32_wrap_i64();
    }
    code.memory_copy(added.events, added.program);
    let bytes = Meta::record_bytes(plan.is_64, plan.shared);
    code.local_get(place).local_get(length);
    if plan.is_64 {
        code.i32_wrap_i64();
    }
    code.i32_const((bytes - 1).cast_signed())
        .i32_add()
        .i32_const(bytes.cast_signed())
        .i32_div_u()
        .i32_const(bytes.cast_signed())
        .i32_mul()
        .i32_add()
        .global_set(added.at);
    look_whether_full(plan, &mut code);
    code.end();
    function
}
