//! Input that cannot be used, on one line.

/// Why a module, or a file that goes with it, was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    /// Byte offset in the module where the fault was found, if it has a place there.
    pub offset: Option<u64>,
    /// What is wrong, in one line.
    pub reason: String,
}

impl InputError {
    /// A fault at a byte of the module.
    pub fn at(offset: u64, reason: impl Into<String>) -> Self {
        Self {
            offset: Some(offset),
            reason: printable(&reason.into()),
        }
    }

    /// A fault without a place in the module.
    pub fn plain(reason: impl Into<String>) -> Self {
        Self {
            offset: None,
            reason: printable(&reason.into()),
        }
    }
}

impl InputError {
    /// The same fault of a part that begins at a byte of a file.
    #[must_use]
    pub fn within(mut self, start: u64) -> Self {
        self.offset = self.offset.map(|offset| offset.saturating_add(start));
        self
    }
}

impl core::fmt::Display for InputError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.offset {
            Some(offset) => write!(formatter, "{} (at offset {offset:#x})", self.reason),
            None => write!(formatter, "{}", self.reason),
        }
    }
}

impl core::error::Error for InputError {}

impl From<wasmparser::Error> for InputError {
    fn from(error: wasmparser::Error) -> Self {
        let line = error.message().lines().next().unwrap_or_default();
        Self::at(error.offset(), line)
    }
}

/// Text on one line: names in a module may hold anything.
pub(crate) fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}
