//! Functions that only call another: what they do, that does.

use wasmparser::Operator;

use crate::module::Module;
use crate::names::Parameter;

/// Operators of a function that only forwards, at most.
const OPERATORS_MAX: usize = 24;

/// Wrappers around wrappers, at most.
pub(crate) const DEPTH_MAX: usize = 8;

/// A value on the stack, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// A parameter, as it came or with a constant added.
    Parameter(usize),
    Constant,
    /// What the call gave.
    Result,
}

/// The function that one forwards to, and what its parameters mean there. Such a function calls one other, gives it its
/// own parameters and constants, or sums of both, and returns what that returns.
pub(crate) fn forwarded(
    module: &Module<'_>,
    function: u32,
    parameters: &[Parameter],
) -> Option<(u32, Vec<Parameter>)> {
    let code = module.functions.get(function as usize)?.body.as_ref()?;
    let mut stack: Vec<Value> = Vec::new();
    let mut called = None;
    for (count, operator) in code.get_operators_reader().ok()?.into_iter().enumerate() {
        if count > OPERATORS_MAX {
            return None;
        }
        match operator.ok()? {
            Operator::LocalGet { local_index } if called.is_none() => {
                let number = usize::try_from(local_index).ok()?;
                // Another local than a parameter is zero.
                let is_parameter = number < parameters.len();
                stack.push(if is_parameter {
                    Value::Parameter(number)
                } else {
                    Value::Constant
                });
            }
            Operator::I32Const { .. } | Operator::I64Const { .. } if called.is_none() => {
                stack.push(Value::Constant);
            }
            Operator::I32Add | Operator::I64Add | Operator::I32Sub | Operator::I64Sub => {
                let (one, other) = (stack.pop()?, stack.pop()?);
                stack.push(sum(one, other)?);
            }
            Operator::Call { function_index } | Operator::ReturnCall { function_index }
                if called.is_none() =>
            {
                let taken = module.signature_of(function_index)?.params().len();
                let arguments = stack.split_off(stack.len().checked_sub(taken)?);
                let meant = arguments.into_iter().map(|value| match value {
                    Value::Parameter(number) => parameters[number],
                    Value::Constant | Value::Result => Parameter::Other,
                });
                called = Some((function_index, meant.collect()));
                stack.push(Value::Result);
            }
            Operator::Return | Operator::End | Operator::Nop => {}
            _ => return None,
        }
    }
    called.filter(|(callee, _)| module.functions[*callee as usize].body.is_some())
}

fn sum(one: Value, other: Value) -> Option<Value> {
    match (one, other) {
        (Value::Parameter(number), Value::Constant)
        | (Value::Constant, Value::Parameter(number)) => Some(Value::Parameter(number)),
        (Value::Constant, Value::Constant) => Some(Value::Constant),
        _ => None,
    }
}
