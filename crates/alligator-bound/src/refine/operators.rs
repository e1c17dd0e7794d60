//! How WebAssembly's integer operators are written as terms.

use wasmparser::{MemArg, MemArgTarget, Operator};

use super::term::{Binary, Unary};

/// An operator on one integer of a width.
pub(super) fn unary(operator: &Operator<'_>) -> Option<(Unary, u32)> {
    Some(match operator {
        Operator::I32Eqz => (Unary::Eqz, 32),
        Operator::I64Eqz => (Unary::Eqz, 64),
        Operator::I32Clz => (Unary::Clz, 32),
        Operator::I64Clz => (Unary::Clz, 64),
        Operator::I32Ctz => (Unary::Ctz, 32),
        Operator::I64Ctz => (Unary::Ctz, 64),
        Operator::I32Popcnt => (Unary::Popcnt, 32),
        Operator::I64Popcnt => (Unary::Popcnt, 64),
        Operator::I32WrapI64 => (Unary::Wrap, 64),
        Operator::I64ExtendI32U => (Unary::ExtendU, 32),
        Operator::I64ExtendI32S => (Unary::ExtendS, 32),
        Operator::I32Extend8S => (Unary::Extend8S, 32),
        Operator::I32Extend16S => (Unary::Extend16S, 32),
        Operator::I64Extend8S => (Unary::Extend8S, 64),
        Operator::I64Extend16S => (Unary::Extend16S, 64),
        Operator::I64Extend32S => (Unary::Extend32S, 64),
        _ => return None,
    })
}

/// An operator on two integers, perhaps swapped, its result perhaps negated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BinaryForm {
    /// Operator to use.
    pub operator: Binary,
    /// Width of the operands.
    pub bits: u32,
    /// Whether the operands change places.
    pub swapped: bool,
    /// Whether the truth of the result is reversed.
    pub negated: bool,
}

/// An operator on two integers.
pub(super) fn binary(operator: &Operator<'_>) -> Option<BinaryForm> {
    let plain = |operator, bits| BinaryForm {
        operator,
        bits,
        swapped: false,
        negated: false,
    };
    let form = |operator, bits, swapped, negated| BinaryForm {
        operator,
        bits,
        swapped,
        negated,
    };
    Some(match operator {
        Operator::I32Add => plain(Binary::Add, 32),
        Operator::I32Sub => plain(Binary::Sub, 32),
        Operator::I32Mul => plain(Binary::Mul, 32),
        Operator::I32DivU => plain(Binary::DivU, 32),
        Operator::I32DivS => plain(Binary::DivS, 32),
        Operator::I32RemU => plain(Binary::RemU, 32),
        Operator::I32RemS => plain(Binary::RemS, 32),
        Operator::I32And => plain(Binary::And, 32),
        Operator::I32Or => plain(Binary::Or, 32),
        Operator::I32Xor => plain(Binary::Xor, 32),
        Operator::I32Shl => plain(Binary::Shl, 32),
        Operator::I32ShrU => plain(Binary::ShrU, 32),
        Operator::I32ShrS => plain(Binary::ShrS, 32),
        Operator::I32Rotl => plain(Binary::Rotl, 32),
        Operator::I32Rotr => plain(Binary::Rotr, 32),
        Operator::I64Add => plain(Binary::Add, 64),
        Operator::I64Sub => plain(Binary::Sub, 64),
        Operator::I64Mul => plain(Binary::Mul, 64),
        Operator::I64DivU => plain(Binary::DivU, 64),
        Operator::I64DivS => plain(Binary::DivS, 64),
        Operator::I64RemU => plain(Binary::RemU, 64),
        Operator::I64RemS => plain(Binary::RemS, 64),
        Operator::I64And => plain(Binary::And, 64),
        Operator::I64Or => plain(Binary::Or, 64),
        Operator::I64Xor => plain(Binary::Xor, 64),
        Operator::I64Shl => plain(Binary::Shl, 64),
        Operator::I64ShrU => plain(Binary::ShrU, 64),
        Operator::I64ShrS => plain(Binary::ShrS, 64),
        Operator::I64Rotl => plain(Binary::Rotl, 64),
        Operator::I64Rotr => plain(Binary::Rotr, 64),
        Operator::I32Eq => plain(Binary::Eq, 32),
        Operator::I64Eq => plain(Binary::Eq, 64),
        Operator::I32Ne => form(Binary::Eq, 32, false, true),
        Operator::I64Ne => form(Binary::Eq, 64, false, true),
        Operator::I32LtU => plain(Binary::LtU, 32),
        Operator::I64LtU => plain(Binary::LtU, 64),
        Operator::I32GtU => form(Binary::LtU, 32, true, false),
        Operator::I64GtU => form(Binary::LtU, 64, true, false),
        Operator::I32LeU => form(Binary::LtU, 32, true, true),
        Operator::I64LeU => form(Binary::LtU, 64, true, true),
        Operator::I32GeU => form(Binary::LtU, 32, false, true),
        Operator::I64GeU => form(Binary::LtU, 64, false, true),
        Operator::I32LtS => plain(Binary::LtS, 32),
        Operator::I64LtS => plain(Binary::LtS, 64),
        Operator::I32GtS => form(Binary::LtS, 32, true, false),
        Operator::I64GtS => form(Binary::LtS, 64, true, false),
        Operator::I32LeS => form(Binary::LtS, 32, true, true),
        Operator::I64LeS => form(Binary::LtS, 64, true, true),
        Operator::I32GeS => form(Binary::LtS, 32, false, true),
        Operator::I64GeS => form(Binary::LtS, 64, false, true),
        _ => return None,
    })
}

/// An access to linear memory: which, where, how many bytes, and how they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    /// Memory index.
    pub memory: u32,
    /// Constant part of the address.
    pub offset: u64,
    /// Bytes moved.
    pub bytes: u32,
    /// Width of the integer loaded or stored; 0 for floats.
    pub bits: u32,
    /// Whether a narrow load keeps the sign.
    pub signed: bool,
}

fn memory_of(memarg: &MemArg) -> Option<u32> {
    match memarg.target {
        MemArgTarget::Memory(memory) => Some(memory),
        MemArgTarget::Array(_) => None,
    }
}

/// A plain load. Atomic and vector loads are not followed.
pub(super) fn load(operator: &Operator<'_>) -> Option<Access> {
    let (memarg, bytes, bits, signed) = match operator {
        Operator::I32Load { memarg } => (memarg, 4, 32, false),
        Operator::I64Load { memarg } => (memarg, 8, 64, false),
        Operator::F32Load { memarg } => (memarg, 4, 0, false),
        Operator::F64Load { memarg } => (memarg, 8, 0, false),
        Operator::I32Load8S { memarg } => (memarg, 1, 32, true),
        Operator::I32Load8U { memarg } => (memarg, 1, 32, false),
        Operator::I32Load16S { memarg } => (memarg, 2, 32, true),
        Operator::I32Load16U { memarg } => (memarg, 2, 32, false),
        Operator::I64Load8S { memarg } => (memarg, 1, 64, true),
        Operator::I64Load8U { memarg } => (memarg, 1, 64, false),
        Operator::I64Load16S { memarg } => (memarg, 2, 64, true),
        Operator::I64Load16U { memarg } => (memarg, 2, 64, false),
        Operator::I64Load32S { memarg } => (memarg, 4, 64, true),
        Operator::I64Load32U { memarg } => (memarg, 4, 64, false),
        _ => return None,
    };
    Some(Access {
        memory: memory_of(memarg)?,
        offset: memarg.offset,
        bytes,
        bits,
        signed,
    })
}

/// A plain store.
pub(super) fn store(operator: &Operator<'_>) -> Option<Access> {
    let (memarg, bytes, bits) = match operator {
        Operator::I32Store { memarg } => (memarg, 4, 32),
        Operator::I64Store { memarg } => (memarg, 8, 64),
        Operator::F32Store { memarg } => (memarg, 4, 0),
        Operator::F64Store { memarg } => (memarg, 8, 0),
        Operator::I32Store8 { memarg } => (memarg, 1, 32),
        Operator::I32Store16 { memarg } => (memarg, 2, 32),
        Operator::I64Store8 { memarg } => (memarg, 1, 64),
        Operator::I64Store16 { memarg } => (memarg, 2, 64),
        Operator::I64Store32 { memarg } => (memarg, 4, 64),
        _ => return None,
    };
    Some(Access {
        memory: memory_of(memarg)?,
        offset: memarg.offset,
        bytes,
        bits,
        signed: false,
    })
}
