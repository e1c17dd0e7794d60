//! What to do about a recorded heap, in words.
//!
//! Each piece of [`Advice`] is of one topic, and has its figure and the line of code that does it. What is too small to
//! matter is not said: the thresholds are constants of `rules`, and `docs/heap.md` has a table of them.
//!
//! | Module | Is |
//! |---|---|
//! | `patterns` | what the report does not have: sizes, chains and lifetimes by site, and what frames do |
//! | `rules` | what is said of the trace alone |
//! | `replays` | what is said of replays on other allocators |
#![forbid(unsafe_code)]

mod patterns;
mod replays;
mod rules;

use alligator_report::Report;
use serde::Serialize;

pub use patterns::{FramePattern, Patterns, SitePattern};
pub use replays::{REPLAYED, RESERVE_STEPS, Replays, reserve_bytes};

/// What advice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Blocks that pile up.
    Leak,
    /// The most that is live, and whether that is a steady state.
    Peak,
    /// Memory to bring in beforehand.
    Reserve,
    /// Which features of the allocator.
    Tier,
    /// A size to say beforehand.
    Capacity,
    /// Blocks that go with their frame.
    Scope,
    /// Blocks to keep for the next time.
    Pool,
    /// What a guard for real time would stop at.
    Guard,
    /// What a hardened build costs.
    Hardened,
    /// What another allocator would have needed.
    Others,
}

impl Topic {
    /// In a word or two.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leak => "piles up",
            Self::Peak => "high water",
            Self::Reserve => "reserve",
            Self::Tier => "features",
            Self::Capacity => "capacity",
            Self::Scope => "scope",
            Self::Pool => "pool",
            Self::Guard => "real time",
            Self::Hardened => "hardened",
            Self::Others => "others",
        }
    }
}

/// One piece of advice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// What it is about.
    pub topic: Topic,
    /// What is so, with its figure, and what to do.
    pub text: String,
    /// The line of code or the command that does it.
    pub code: String,
}

impl Advice {
    pub(crate) fn new(topic: Topic, text: impl Into<String>, code: impl Into<String>) -> Self {
        Self {
            topic,
            text: text.into(),
            code: code.into(),
        }
    }
}

/// The language of a program, as far as code is written for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    C,
}

impl Language {
    /// C, if the functions that were recorded are C's and no source file is Rust's.
    fn of(report: &Report) -> Self {
        const OF_C: [&str; 4] = [
            "malloc",
            "dlmalloc",
            "__libc_malloc",
            "emscripten_builtin_malloc",
        ];
        let mut entries = report.header.entries.iter();
        let is_c = entries.any(|entry| OF_C.contains(&entry.name.as_str()));
        let mut frames = (1..=report.stacks.frame_count()).filter_map(|frame| {
            let frame = alligator_trace::FrameId(u32::try_from(frame).ok()?);
            report.stacks.frame(frame)
        });
        let is_rust = |file: Option<&str>| {
            let extension = std::path::Path::new(file.unwrap_or_default()).extension();
            extension.is_some_and(|extension| extension == "rs")
        };
        if is_c && !frames.any(|frame| is_rust(frame.file)) {
            Self::C
        } else {
            Self::Rust
        }
    }

    pub(crate) fn choose(self, rust: impl Into<String>, c: impl Into<String>) -> String {
        match self {
            Self::Rust => rust.into(),
            Self::C => c.into(),
        }
    }
}

/// All advice, the most pressing first. Without replays, what only they can say is left out.
pub fn advise(report: &Report, patterns: &Patterns, replays: Option<&Replays>) -> Vec<Advice> {
    let language = Language::of(report);
    let mut advice = rules::all(report, patterns, language);
    match replays {
        Some(replays) => advice.extend(replays::all(report, patterns, replays, language)),
        None => advice.extend(rules::estimate(report, patterns, language)),
    }
    advice.sort_by_key(|one| one.topic);
    advice
}
