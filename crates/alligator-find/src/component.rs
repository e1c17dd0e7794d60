//! The core modules of a component.

use core::ops::Range;

use serde::Serialize;
use wasmparser::{Parser, Payload};

use crate::module::{InputError, MODULE_BYTES_MAX};

/// Core modules of one component that are looked at, at most.
const MODULES_MAX: usize = 256;

/// Which of a component's core modules is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoreModule {
    /// Its number, from 0.
    pub index: usize,
    /// How many there are.
    pub of: usize,
    /// Where it begins in the file, in bytes.
    pub offset: u64,
}

/// Where the core modules of a component lie, however deep; `None` when the bytes are no component.
///
/// # Errors
/// When the component is not well formed, with the offset of the first fault.
pub fn core_modules(bytes: &[u8]) -> Result<Option<Vec<Range<usize>>>, InputError> {
    if !Parser::is_component(bytes) {
        return Ok(None);
    }
    if bytes.len() > MODULE_BYTES_MAX {
        return Err(InputError::plain(format!(
            "component of {} bytes is larger than {MODULE_BYTES_MAX}",
            bytes.len()
        )));
    }
    let mut modules = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::ModuleSection {
            unchecked_range, ..
        } = payload?
        {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            modules.push(place(unchecked_range.start)..place(unchecked_range.end));
        }
        if modules.len() > MODULES_MAX {
            return Err(InputError::plain(format!(
                "a component of more than {MODULES_MAX} core modules"
            )));
        }
    }
    Ok(Some(modules))
}
