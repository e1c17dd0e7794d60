//! Call sites, as a section of the module: what each is called, and where it is in the source.

use std::collections::HashMap;

use alligator_find::module::{InputError, Module};
use alligator_trace::Frame;
use wasm_encoder::Encode as _;
use wasmparser::BinaryReader;

use crate::lines::Lines;

/// Call sites while a module is rewritten. Each is known by its number, from 0.
#[derive(Debug, Default)]
pub(crate) struct SiteList(Vec<(u32, u64)>);

impl SiteList {
    /// Adds the call at a byte of the module, in a function.
    pub(crate) fn add(&mut self, function: u32, offset: u64) -> u32 {
        self.0.push((function, offset));
        u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Texts by number, from 1.
#[derive(Debug, Default)]
struct Numbers {
    known: HashMap<String, u32>,
    bytes: Vec<u8>,
}

impl Numbers {
    fn of(&mut self, text: &str) -> u32 {
        if let Some(number) = self.known.get(text) {
            return *number;
        }
        let number = u32::try_from(self.known.len() + 1).unwrap_or(u32::MAX);
        text.encode(&mut self.bytes);
        self.known.insert(text.to_owned(), number);
        number
    }
}

/// The section's contents.
pub(crate) fn encode(
    module: &Module<'_>,
    sites: &SiteList,
    lines: &Lines<'_>,
) -> Result<Vec<u8>, InputError> {
    let mut strings = Numbers::default();
    let mut frames: HashMap<[u64; 5], u32> = HashMap::new();
    let (mut frame_bytes, mut site_bytes) = (Vec::new(), Vec::new());
    let mut names: HashMap<u32, String> = HashMap::new();
    for (function, offset) in &sites.0 {
        let name = names
            .entry(*function)
            .or_insert_with(|| module.display_name(*function));
        let places = lines.at(*offset, name);
        places.len().encode(&mut site_bytes);
        for place in places {
            let file = place.file.as_deref().map_or(0, |file| strings.of(file));
            let name = strings.of(&place.name);
            let frame = [*function, name, file, place.line].map(u64::from);
            let key = [frame[0], frame[1], frame[2], frame[3], *offset];
            let next = u32::try_from(frames.len() + 1).unwrap_or(u32::MAX);
            let number = *frames.entry(key).or_insert_with(|| {
                for part in key {
                    part.encode(&mut frame_bytes);
                }
                next
            });
            number.encode(&mut site_bytes);
        }
    }
    let mut bytes = Vec::new();
    for (count, contents) in [
        (strings.known.len(), &strings.bytes),
        (frames.len(), &frame_bytes),
        (sites.len(), &site_bytes),
    ] {
        let count = u32::try_from(count).map_err(|_| InputError::plain("too many call sites"))?;
        count.encode(&mut bytes);
        bytes.extend(contents);
    }
    Ok(bytes)
}

/// The section, read.
#[derive(Debug, Default)]
pub struct SiteTable {
    strings: Vec<String>,
    frames: Vec<FrameNumbers>,
    sites: Vec<Vec<u32>>,
}

#[derive(Debug, Clone, Copy)]
struct FrameNumbers {
    function: u32,
    name: u32,
    file: u32,
    line: u32,
    offset: u64,
}

impl SiteTable {
    /// Reads the section's contents.
    ///
    /// # Errors
    /// When they are not well formed, with the offset in them.
    pub fn read(bytes: &[u8]) -> Result<Self, InputError> {
        let mut reader = BinaryReader::new(bytes, 0);
        let mut table = Self::default();
        for _ in 0..reader.read_var_u32()? {
            table.strings.push(reader.read_string()?.to_owned());
        }
        for _ in 0..reader.read_var_u32()? {
            table.frames.push(FrameNumbers {
                function: reader.read_var_u32()?,
                name: reader.read_var_u32()?,
                file: reader.read_var_u32()?,
                line: reader.read_var_u32()?,
                offset: reader.read_var_u64()?,
            });
        }
        for _ in 0..reader.read_var_u32()? {
            let mut frames = Vec::new();
            for _ in 0..reader.read_var_u32()? {
                frames.push(reader.read_var_u32()?);
            }
            table.sites.push(frames);
        }
        Ok(table)
    }

    /// The frames of a call site, the outermost first; none of a site that is not known.
    pub fn frames(&self, site: u32) -> impl Iterator<Item = Frame<'_>> {
        let frames = self.sites.get(site as usize).map_or(&[][..], Vec::as_slice);
        frames.iter().filter_map(|number| {
            let frame = self.frames.get((*number as usize).checked_sub(1)?)?;
            Some(Frame {
                function: frame.function,
                name: self.string(frame.name)?,
                file: self.string(frame.file),
                line: frame.line,
                offset: frame.offset,
            })
        })
    }

    fn string(&self, number: u32) -> Option<&str> {
        let text = self.strings.get((number as usize).checked_sub(1)?)?;
        Some(text)
    }

    /// How many call sites there are.
    pub fn len(&self) -> usize {
        self.sites.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty()
    }
}
