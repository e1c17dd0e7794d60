//! Names and source lines of call sites, from DWARF where the module has it.

use std::collections::HashMap;

use addr2line::gimli::{EndianSlice, LittleEndian, SectionId};
use addr2line::{Context, FrameIter, LookupResult};
use wasmparser::{Parser, Payload};

use crate::rewrite::code_start;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Bytes of a name or a path, at most: the rest is left out.
const TEXT_BYTES_MAX: usize = 4096;

/// A place in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) file: Option<String>,
    /// From 1; 0 where it is not known.
    pub(crate) line: u32,
}

/// What a module's debugging information says of its code.
pub(crate) struct Lines<'a> {
    context: Option<Context<Slice<'a>>>,
    code_start: u64,
}

impl<'a> Lines<'a> {
    /// Reads a module's debugging information. What is not well formed says nothing.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let mut sections: HashMap<&str, &[u8]> = HashMap::new();
        for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
            if let Payload::CustomSection(section) = payload {
                sections.insert(section.name(), section.data());
            }
        }
        let load = |id: SectionId| -> Result<Slice<'a>, addr2line::gimli::Error> {
            let data = sections.get(id.name()).copied().unwrap_or_default();
            Ok(EndianSlice::new(data, LittleEndian))
        };
        let has_any = sections.contains_key(SectionId::DebugInfo.name());
        let context = || Context::from_dwarf(addr2line::gimli::Dwarf::load(load).ok()?).ok();
        Self {
            context: has_any.then(context).flatten(),
            code_start: code_start(bytes),
        }
    }

    /// The functions that the code at a byte of the module is of, the outermost first: all but that are inlined in it.
    /// `name` is the function's name without such information.
    pub(crate) fn at(&self, offset: u64, name: &str) -> Vec<Place> {
        let mut places = self.found(offset).unwrap_or_default();
        places.reverse();
        if places.is_empty() {
            places.push(Place {
                name: String::new(),
                file: None,
                line: 0,
            });
        }
        // The module's own name is the one by which the function is known elsewhere.
        name.clone_into(&mut places[0].name);
        for place in &mut places {
            cut(&mut place.name);
        }
        places
    }

    fn found(&self, offset: u64) -> Option<Vec<Place>> {
        let probe = offset.checked_sub(self.code_start)?;
        let LookupResult::Output(frames) = self.context.as_ref()?.find_frames(probe) else {
            return None;
        };
        places_of(frames.ok()?)
    }
}

fn places_of(mut frames: FrameIter<'_, Slice<'_>>) -> Option<Vec<Place>> {
    let mut places = Vec::new();
    while let Some(frame) = frames.next().ok()? {
        let name = frame.function.as_ref().and_then(|function| {
            let name = function.demangle().ok()?;
            Some(without_hash(&name).to_owned())
        });
        let location = frame.location.as_ref();
        let mut file = location.and_then(|it| it.file).map(str::to_owned);
        if let Some(file) = &mut file {
            cut(file);
        }
        places.push(Place {
            name: name.unwrap_or_else(|| "(inlined)".to_owned()),
            file,
            line: location.and_then(|it| it.line).unwrap_or(0),
        });
    }
    Some(places)
}

/// A name without the hash that a Rust compiler puts after it.
fn without_hash(name: &str) -> &str {
    let is_hash = |text: &str| {
        text.len() == 17
            && text.starts_with('h')
            && text[1..].bytes().all(|it| it.is_ascii_hexdigit())
    };
    match name.rsplit_once("::") {
        Some((start, hash)) if is_hash(hash) => start,
        _ => name,
    }
}

fn cut(text: &mut String) {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}
