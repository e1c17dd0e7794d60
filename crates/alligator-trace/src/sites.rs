//! Where in the program events come from.

use std::collections::HashMap;

/// Strings, frames or stacks of a trace, at most, each.
pub(crate) const COUNT_MAX: usize = 1 << 24;
/// Bytes of a string, at most.
pub(crate) const STRING_BYTES_MAX: usize = 1 << 16;

/// A string of a trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StringId(pub u32);

/// A frame of a trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameId(pub u32);

/// A call stack of a trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackId(pub u32);

impl StackId {
    /// No frame is known.
    pub const NONE: Self = Self(0);
}

/// A place in the program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Frame<'a> {
    /// Index of the function in the module before it was made to record.
    pub function: u32,
    /// Its readable name, or `func[index]`. A function that was inlined has its own frame, with its own name and the
    /// index of the function it is in.
    pub name: &'a str,
    /// The source file, where it is known.
    pub file: Option<&'a str>,
    /// The line in it, from 1; 0 where it is not known.
    pub line: u32,
    /// Byte offset in the module of the call; 0 where it is not known.
    pub offset: u64,
}

/// A frame, with its texts by number; 0 is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FrameRecord {
    pub(crate) function: u32,
    pub(crate) name: u32,
    pub(crate) file: u32,
    pub(crate) line: u32,
    pub(crate) offset: u64,
}

/// A frame and those it was called from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StackRecord {
    pub(crate) parent: u32,
    pub(crate) frame: u32,
}

/// Strings, frames and stacks. Each is numbered from 1, in the order in which it came.
#[derive(Debug, Default)]
pub struct Sites {
    strings: Vec<Box<str>>,
    frames: Vec<FrameRecord>,
    stacks: Vec<StackRecord>,
}

fn nth<T>(list: &[T], id: u32) -> Option<&T> {
    list.get(usize::try_from(id).ok()?.checked_sub(1)?)
}

/// Adds one and gives its number.
fn add<T>(list: &mut Vec<T>, item: T, what: &str) -> Result<u32, String> {
    if list.len() >= COUNT_MAX {
        return Err(format!("more than {COUNT_MAX} {what}"));
    }
    list.push(item);
    u32::try_from(list.len()).map_err(|_| format!("too many {what}"))
}

impl Sites {
    /// A string; `None` when no record has defined it.
    pub fn string(&self, id: StringId) -> Option<&str> {
        nth(&self.strings, id.0).map(AsRef::as_ref)
    }

    /// A frame; `None` when no record has defined it.
    pub fn frame(&self, id: FrameId) -> Option<Frame<'_>> {
        let record = nth(&self.frames, id.0)?;
        Some(Frame {
            function: record.function,
            name: self.string(StringId(record.name)).unwrap_or_default(),
            file: self.string(StringId(record.file)),
            line: record.line,
            offset: record.offset,
        })
    }

    /// The innermost frame of a stack, and the stack it was called from; `None` for [`StackId::NONE`].
    pub fn stack(&self, id: StackId) -> Option<(FrameId, StackId)> {
        let record = nth(&self.stacks, id.0)?;
        Some((FrameId(record.frame), StackId(record.parent)))
    }

    /// The frames of a stack, the innermost first.
    pub fn frames(&self, id: StackId) -> StackFrames<'_> {
        StackFrames {
            sites: self,
            next: id,
        }
    }

    /// How many frames there are: they have the numbers from 1 to this.
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    /// How many stacks there are: they have the numbers from 1 to this.
    pub fn stack_count(&self) -> usize {
        self.stacks.len()
    }

    /// How many strings there are: they have the numbers from 1 to this.
    pub fn string_count(&self) -> usize {
        self.strings.len()
    }

    pub(crate) fn add_string(&mut self, text: &str) -> Result<u32, String> {
        if text.len() > STRING_BYTES_MAX {
            return Err(format!("a string of more than {STRING_BYTES_MAX} bytes"));
        }
        add(&mut self.strings, text.into(), "strings")
    }

    pub(crate) fn add_frame(&mut self, record: FrameRecord) -> Result<u32, String> {
        let known = |id: u32| nth(&self.strings, id).is_some();
        if !known(record.name) || !(record.file == 0 || known(record.file)) {
            return Err("a frame with a string that is not defined".to_owned());
        }
        add(&mut self.frames, record, "frames")
    }

    /// The parent is older than the stack, so that no stack is endless.
    pub(crate) fn add_stack(&mut self, record: StackRecord) -> Result<u32, String> {
        if nth(&self.frames, record.frame).is_none() {
            return Err("a stack with a frame that is not defined".to_owned());
        }
        if record.parent != 0 && nth(&self.stacks, record.parent).is_none() {
            return Err("a stack with a parent that is not defined".to_owned());
        }
        add(&mut self.stacks, record, "stacks")
    }
}

/// The frames of a stack, the innermost first: [`Sites::frames`].
#[derive(Debug, Clone)]
pub struct StackFrames<'a> {
    sites: &'a Sites,
    next: StackId,
}

impl<'a> Iterator for StackFrames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let (frame, parent) = self.sites.stack(self.next)?;
        self.next = parent;
        self.sites.frame(frame)
    }
}

/// What a writer has defined already.
#[derive(Debug, Default)]
pub(crate) struct Interned {
    pub(crate) sites: Sites,
    pub(crate) strings: HashMap<Box<str>, u32>,
    pub(crate) frames: HashMap<FrameRecord, u32>,
    pub(crate) stacks: HashMap<StackRecord, u32>,
}
