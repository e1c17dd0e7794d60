//! What is said of replays on other allocators.

use core::fmt::Write as _;

use alligator_replay::Replayed;
use alligator_replay::fuel::PAGE_BYTES;
use alligator_report::Report;
use alligator_report::format::{bytes, count};

use crate::patterns::Patterns;
use crate::rules::{FRAMES_MIN, features, reserve};
use crate::{Advice, Language, Topic};

/// The allocators of which something is said.
pub const REPLAYED: [&str; 4] = [OURS, "alligator-small", "alligator-hardened", "dlmalloc"];

const OURS: &str = "alligator";

/// Reservations that are tried, in percent of the peak. The first after which nothing grows is the one that is proposed.
pub const RESERVE_STEPS: [u64; 7] = [100, 110, 120, 135, 150, 200, 300];

/// The feature `small` is proposed to programs with at most so many calls, if it takes at most so many pages more.
const SMALL_CALLS_MAX: u64 = 10_000;
const SMALL_PAGES_MAX: u64 = 1;

/// Replays of one trace.
#[derive(Debug, Default)]
pub struct Replays {
    /// By the allocator's name; those that could replay it.
    pub all: Vec<(String, Replayed)>,
    /// The reservation with which ours did not grow, if one was found.
    pub reserve: Option<(u64, Replayed)>,
    /// The version of dlmalloc.
    pub dlmalloc: String,
}

impl Replays {
    fn of(&self, name: &str) -> Option<&Replayed> {
        let found = self.all.iter().find(|(other, _)| other == name);
        found.map(|(_, replayed)| replayed)
    }
}

/// What to reserve, in whole pages, at a step of [`RESERVE_STEPS`].
pub fn reserve_bytes(report: &Report, percent: u64) -> u64 {
    let bytes = u128::from(report.peak.bytes) * u128::from(percent) / 100;
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    bytes
        .max(1)
        .checked_next_multiple_of(PAGE_BYTES)
        .unwrap_or(bytes)
}

/// Everything that replays can say.
pub(crate) fn all(
    report: &Report,
    patterns: &Patterns,
    replays: &Replays,
    language: Language,
) -> Vec<Advice> {
    let Some(ours) = replays.of(OURS) else {
        return Vec::new();
    };
    let mut advice = vec![reservation(replays, ours, language)];
    if language == Language::Rust {
        advice.push(tier(patterns, replays, ours)); // The library for C has one build.
    }
    advice.extend(hardened(replays, ours, language));
    advice.extend(dlmalloc(report, replays, ours));
    advice
}

/// Calls that grew the memory, and the dearest of them in instructions.
fn growing(replayed: &Replayed) -> (u64, u64) {
    let operations = replayed.figures.operations();
    let worst = operations.iter().map(|one| one.growing.worst_fuel()).max();
    (
        operations.iter().map(|one| one.growing.count).sum(),
        worst.unwrap_or(0),
    )
}

/// Instructions of the dearest allocation that did not grow the memory.
fn worst_alloc(replayed: &Replayed) -> u64 {
    replayed.figures.alloc.steady.worst_fuel()
}

fn mean(replayed: &Replayed) -> String {
    if replayed.figures.calls() == 0 {
        return "0".to_owned();
    }
    format!("{:.1}", replayed.figures.mean_fuel())
}

/// A number above another, in percent of that.
fn above(number: u64, other: u64) -> String {
    match (u128::from(number) * 1000).checked_div(u128::from(other)) {
        None => "-".to_owned(),
        Some(thousandths) => {
            let difference = i128::try_from(thousandths).unwrap_or(i128::MAX) - 1000;
            let sign = if difference < 0 { "-" } else { "+" };
            format!(
                "{sign}{}.{} %",
                difference.abs() / 10,
                difference.abs() % 10
            )
        }
    }
}

fn reservation(replays: &Replays, ours: &Replayed, language: Language) -> Advice {
    let (times, worst) = growing(ours);
    let so = format!(
        "Alligator needs {} pages for this, and {} calls grow the memory or are the first, up to {} instructions beside the \
         host's time",
        count(ours.figures.grown_pages),
        count(times),
        count(worst),
    );
    let Some((reserved, replayed)) = &replays.reserve else {
        let text = format!(
            "{so}. No reservation of up to {} % of the peak keeps it from growing",
            RESERVE_STEPS[RESERVE_STEPS.len() - 1]
        );
        let pages = ours.figures.grown_pages.saturating_mul(PAGE_BYTES);
        let code = reserve(language, pages.saturating_mul(2));
        return Advice::new(Topic::Reserve, text, code);
    };
    let text = format!(
        "{so}. With {} reserved at the start none does (replayed), and no allocation takes more than {} instructions",
        bytes(*reserved),
        count(worst_alloc(replayed)),
    );
    Advice::new(Topic::Reserve, text, reserve(language, *reserved))
}

/// Which features of the crate.
fn tier(patterns: &Patterns, replays: &Replays, ours: &Replayed) -> Advice {
    let figures = &ours.figures;
    if let Some(small) = replays.of("alligator-small") {
        let pages = small.figures.grown_pages;
        if patterns.calls <= SMALL_CALLS_MAX && pages <= figures.grown_pages + SMALL_PAGES_MAX {
            let text = format!(
                "with {} calls in all, the time of the allocator hardly matters: the feature `small` has less than half the code, \
                 for {} instructions a call, {} without it, and takes {} pages, {} without",
                count(patterns.calls),
                mean(small),
                mean(ours),
                count(pages),
                count(figures.grown_pages),
            );
            return Advice::new(Topic::Tier, text, features(Language::Rust, "small"));
        }
    }
    let mut text = format!(
        "the default serves this program best: {} instructions a call",
        mean(ours)
    );
    if let Some(small) = replays.of("alligator-small") {
        let _ = write!(
            text,
            ", `small` {} ({} pages, {} with it)",
            mean(small),
            count(figures.grown_pages),
            count(small.figures.grown_pages)
        );
    }
    Advice::new(Topic::Tier, text, "alligator-alloc = \"0.1\"")
}

fn hardened(replays: &Replays, ours: &Replayed, language: Language) -> Option<Advice> {
    let hardened = replays.of("alligator-hardened")?;
    let text = format!(
        "a build that stops at misuse of the heap takes {} instructions a call, {} without it ({}), up to {} for an allocation, \
         and {} pages, {} without",
        mean(hardened),
        mean(ours),
        above(hardened.figures.fuel(), ours.figures.fuel()),
        count(worst_alloc(hardened)),
        count(hardened.figures.grown_pages),
        count(ours.figures.grown_pages),
    );
    Some(Advice::new(
        Topic::Hardened,
        text,
        features(language, "hardened"),
    ))
}

fn dlmalloc(report: &Report, replays: &Replays, ours: &Replayed) -> Option<Advice> {
    let other = replays.of("dlmalloc")?;
    let (times, _) = growing(other);
    let mut text = format!(
        "{} would take {} instructions a call (Alligator {}), up to {} for an allocation ({}), {} pages ({}), and grow {} times",
        replays.dlmalloc,
        mean(other),
        mean(ours),
        count(worst_alloc(other)),
        count(worst_alloc(ours)),
        count(other.figures.grown_pages),
        count(ours.figures.grown_pages),
        count(times),
    );
    let frames = ours
        .frames
        .iter()
        .filter(|frame| frame.frames >= FRAMES_MIN);
    if let Some(frame) = frames.max_by_key(|frame| frame.frames)
        && let Some(others) = other.frames.iter().find(|other| other.name == frame.name)
    {
        let _ = write!(
            text,
            "; {} instructions in its dearest frame ({})",
            count(others.fuel_max),
            count(frame.fuel_max)
        );
    }
    let code = format!("alligator replay {}", report.name);
    Some(Advice::new(Topic::Others, text, code))
}
