//! What the JavaScript that goes with a module says about its exports.
//!
//! Emscripten's code assigns exports to names of C, in many forms: `_malloc = Module["_malloc"] = wasmExports["A"]`,
//! `b._malloc = function() { return (b._malloc = b.asm.A).apply(null, arguments) }`, `Module["_free"] =
//! createExportWrapper("free", 1)`. Code of wasm-bindgen hands exports to helpers that pass strings, and calls one to give
//! them back. Both survive minification in their order, not in their names.

mod tokens;

use self::tokens::{Token, tokens};
use crate::module::Module;
use crate::names::{self, Parameter, Parameters, Role};

/// Largest file that is read, in bytes.
pub const GLUE_BYTES_MAX: usize = 64 << 20;

/// Tokens between a name of C and the export that is assigned to it, at most.
const ASSIGNMENT_MAX: usize = 48;

/// Arguments of a call of wasm-bindgen's helpers, at most.
const ARGUMENTS_MAX: usize = 8;

/// What a file says about one export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// What it does.
    pub role: Role,
    /// The function.
    pub function: u32,
    /// Meaning of its parameters.
    pub parameters: Parameters,
}

/// What a file says about a module's exports, each once.
pub fn read(text: &str, module: &Module<'_>) -> Vec<Claim> {
    let reader = Reader {
        tokens: tokens(text),
        module,
    };
    let mut claims = Vec::new();
    for at in 0..reader.tokens.len() {
        for claim in reader.assigned(at).into_iter().chain(reader.passed(at)) {
            if !claims.contains(&claim) {
                claims.push(claim);
            }
        }
    }
    claims
}

struct Reader<'a, 'm> {
    tokens: Vec<Token<'a>>,
    module: &'m Module<'m>,
}

impl<'a> Reader<'a, '_> {
    fn token(&self, at: usize) -> Option<Token<'a>> {
        self.tokens.get(at).copied()
    }

    fn is_mark(&self, at: usize, mark: char) -> bool {
        self.token(at) == Some(Token::Mark(mark))
    }

    /// The function of C to which an export is assigned here.
    fn assigned(&self, at: usize) -> Option<Claim> {
        let (Token::Name(name) | Token::Text(name)) = self.token(at)? else {
            return None;
        };
        let name = name.strip_prefix('_')?;
        let named = names::named(name).filter(|_| names::is_of_c(name))?;
        let mut next = at + 1;
        if matches!(self.token(at)?, Token::Text(_)) {
            next += usize::from(self.is_mark(next, ']'));
        }
        let is_assignment = self.is_mark(next, '=') && !self.is_mark(next + 1, '=');
        let function = self.assigned_export(next + 1).filter(|_| is_assignment)?;
        self.claim(named.role, function, |count| named.parameters(count))
    }

    /// The export that an assignment ends in, through further assignments and functions that only call it.
    fn assigned_export(&self, from: usize) -> Option<u32> {
        let mut at = from;
        while at < from + ASSIGNMENT_MAX {
            match self.token(at)? {
                Token::Name("function" | "return")
                | Token::Mark('(' | ')' | '{' | '=' | '>' | '.' | ',') => at += 1,
                Token::Name("createExportWrapper") => return self.wrapped(at + 1),
                Token::Name(_) => {
                    let (last, end) = self.members(at);
                    let goes_on = self.is_mark(end, '=')
                        || (last.is_none()
                            && matches!(self.token(end), Some(Token::Mark(')' | ','))));
                    match last {
                        _ if goes_on => at = end,
                        Some(last) => return self.export(last),
                        None => return None,
                    }
                }
                _ => return None,
            }
        }
        None
    }

    /// `("malloc", 1)`.
    fn wrapped(&self, at: usize) -> Option<u32> {
        match self.token(at + 1)? {
            Token::Text(name) if self.is_mark(at, '(') => self.export(name),
            _ => None,
        }
    }

    /// The last name of `a.b["c"]`, if it has more than one, and where it ends.
    fn members(&self, at: usize) -> (Option<&'a str>, usize) {
        let (mut last, mut at) = (None, at + 1);
        loop {
            match (self.token(at), self.token(at + 1), self.token(at + 2)) {
                (Some(Token::Mark('.')), Some(Token::Name(name)), _) => {
                    last = Some(name);
                    at += 2;
                }
                (Some(Token::Mark('[')), Some(Token::Text(name)), Some(Token::Mark(']'))) => {
                    last = Some(name);
                    at += 3;
                }
                _ => return (last, at),
            }
        }
    }

    fn export(&self, name: &str) -> Option<u32> {
        let mut exports = self.module.exports.iter();
        Some(exports.find(|(export, _)| export == name)?.1)
    }

    /// What a call says that has exports among its arguments, or is one of an export.
    fn passed(&self, at: usize) -> Vec<Claim> {
        let Some(Token::Name(_)) = self.token(at) else {
            return Vec::new();
        };
        // Only the whole of a member expression is a callee.
        if at > 0 && self.is_mark(at - 1, '.') {
            return Vec::new();
        }
        let (last, end) = self.members(at);
        if !self.is_mark(end, '(') {
            return Vec::new();
        }
        match last {
            None => self.passed_to_helper(end + 1),
            Some(name) => self.given_back(name, end + 1).into_iter().collect(),
        }
    }

    /// `passStringToWasm0(text, wasm.A, wasm.B)`: the first gives memory, the second more of it.
    fn passed_to_helper(&self, at: usize) -> Vec<Claim> {
        let arguments = self.arguments(at);
        let exports: Vec<Option<u32>> = arguments
            .iter()
            .map(|&(from, to)| self.argument_export(from, to))
            .collect();
        match exports[..] {
            [None, Some(alloc), Some(realloc)] => {
                let both = self.alloc(alloc).zip(self.realloc(realloc));
                both.map_or_else(Vec::new, |(one, other)| vec![one, other])
            }
            [None, Some(alloc)] => self.alloc(alloc).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// `wasm.C(pointer, length * 4, 4)`: it takes memory back.
    fn given_back(&self, name: &str, at: usize) -> Option<Claim> {
        let function = self.export(name)?;
        let arguments = self.arguments(at);
        let [(first, comma), _, (from, to)] = arguments[..] else {
            return None;
        };
        let is_name = comma == first + 1 && matches!(self.token(first)?, Token::Name(_));
        let align = match self.token(from)? {
            Token::Number(number) if to == from + 1 => number.parse::<u32>().ok()?,
            _ => return None,
        };
        let dealloc = names::named("__wbindgen_free")?;
        self.claim(Role::Dealloc, function, |count| dealloc.parameters(count))
            .filter(|claim| {
                is_name && matches!(align, 1 | 2 | 4 | 8 | 16) && claim.parameters.len() == 3
            })
    }

    /// Where the arguments of a call begin and end.
    fn arguments(&self, from: usize) -> Vec<(usize, usize)> {
        let (mut arguments, mut depth, mut start) = (Vec::new(), 0_u32, from);
        for at in from..self.tokens.len().min(from + 64) {
            match self.tokens[at] {
                Token::Mark('(' | '[' | '{') => depth += 1,
                Token::Mark(')') if depth == 0 => {
                    arguments.push((start, at));
                    return arguments;
                }
                Token::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
                Token::Mark(',') if depth == 0 => {
                    arguments.push((start, at));
                    start = at + 1;
                }
                _ => {}
            }
            if arguments.len() > ARGUMENTS_MAX {
                break;
            }
        }
        Vec::new()
    }

    /// The export that an argument is, as `wasm.A`.
    fn argument_export(&self, from: usize, to: usize) -> Option<u32> {
        let Token::Name(_) = self.token(from)? else {
            return None;
        };
        let (last, end) = self.members(from);
        self.export(last?).filter(|_| end == to)
    }

    fn alloc(&self, function: u32) -> Option<Claim> {
        let named = names::named("__wbindgen_malloc")?;
        self.claim(Role::Alloc, function, |count| named.parameters(count))
    }

    fn realloc(&self, function: u32) -> Option<Claim> {
        let named = names::named("__wbindgen_realloc")?;
        self.claim(Role::Realloc, function, |count| named.parameters(count))
    }

    /// A claim that the function's type does not contradict.
    fn claim(
        &self,
        role: Role,
        function: u32,
        parameters: impl Fn(usize) -> Option<Parameters>,
    ) -> Option<Claim> {
        let count = self
            .module
            .integer_parameters(function, role != Role::Dealloc)?;
        Some(Claim {
            role,
            function,
            parameters: parameters(count).filter(|parameters| {
                role != Role::Alloc || parameters.first() != Some(&Parameter::Other)
            })?,
        })
    }
}
