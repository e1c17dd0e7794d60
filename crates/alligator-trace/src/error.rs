//! A trace that cannot be read.

/// Why a trace was refused, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Byte offset in the file of the block that is at fault.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
}

impl Error {
    pub(crate) fn at(offset: u64, reason: impl Into<String>) -> Self {
        Self {
            offset,
            reason: reason.into().replace(char::is_control, " "),
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{} (at offset {:#x})", self.reason, self.offset)
    }
}

impl core::error::Error for Error {}
