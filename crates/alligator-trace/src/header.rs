//! What a trace says once: JSON objects, in which a reader ignores fields that it does not know.

use serde::{Deserialize, Serialize};

/// What was recorded, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// The module, as it was before it was made to record.
    pub module: ModuleInfo,
    /// The allocator's functions that are recorded.
    pub entries: Vec<Entry>,
    /// The allocator, as `alligator find` names it.
    pub allocator: String,
    /// What ran the module, for instance `wasmtime 48.0.8`; empty when it is not known.
    pub engine: String,
    /// What wrote the trace.
    pub recorder: String,
    /// What is known of times.
    pub clock: Clock,
    /// Bytes of one page.
    pub page_bytes: u64,
    /// Pages of memory when the recording began.
    pub pages: u64,
    /// Bytes of a pointer of the program: 4 or 8.
    pub pointer_bytes: u32,
    /// Whether call stacks were recorded.
    pub stacks: bool,
    /// 0 if every block was recorded. Else one block for each so many bytes: a block of `size` bytes is there with a
    /// probability of `size / sample_bytes`, at most 1, and stands for the inverse.
    pub sample_bytes: u64,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            module: ModuleInfo::default(),
            entries: Vec::new(),
            allocator: String::new(),
            engine: String::new(),
            recorder: String::new(),
            clock: Clock::None,
            page_bytes: 65536,
            pages: 0,
            pointer_bytes: 4,
            stacks: false,
            sample_bytes: 0,
        }
    }
}

/// A module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModuleInfo {
    /// The file's name, without its folder.
    pub name: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// A function of the allocator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Its index in the module before it was made to record.
    pub function: u32,
    /// Its name, or `func[index]`.
    pub name: String,
    /// `alloc`, `dealloc`, `realloc` or `alloc_zeroed`.
    pub role: String,
    /// How it was found, as `alligator find` says it.
    pub found: String,
}

/// What is known of times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Nothing: all times are 0, and order is all there is.
    #[default]
    None,
    /// Events that reached the host together have one time: that of the batch's end.
    Batch,
    /// Each event has its own.
    Event,
}

/// What was counted, at the end of a trace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Events, of all kinds.
    pub events: u64,
    /// [`Kind::Alloc`](crate::Kind::Alloc).
    pub allocs: u64,
    /// [`Kind::Free`](crate::Kind::Free).
    pub frees: u64,
    /// [`Kind::Realloc`](crate::Kind::Realloc).
    pub reallocs: u64,
    /// [`Kind::Grow`](crate::Kind::Grow).
    pub grows: u64,
    /// [`Kind::Mark`](crate::Kind::Mark).
    pub marks: u64,
    /// Events that were lost: the sum over [`Kind::Lost`](crate::Kind::Lost).
    pub lost: u64,
    /// How the program ended, if that is known, for instance `exit status 0` or a trap's text.
    pub ending: Option<String>,
}
