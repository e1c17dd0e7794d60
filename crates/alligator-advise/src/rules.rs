//! What is said of the trace alone.

use alligator_report::format::{bytes, count, percent};
use alligator_report::{Report, site_name};

use crate::patterns::{Patterns, SitePattern};
use crate::{Advice, Language, Topic};

/// Sites of one topic that are named, at most.
const SITES_MAX: usize = 3;
/// Above the peak by this share of it is the limit that is proposed.
const PEAK_SPARE_PERCENT: u64 = 10;
/// A state is steady if the second half of the trace has at most this many percent of what the first half had at most.
const STEADY_PERCENT: u64 = 105;
/// Chains of a site that are worth a word, at least: how many, their resizes, and these in percent of all calls.
const CHAINS_MIN: u64 = 4;
const RESIZES_MIN: u64 = 16;
const RESIZES_PERCENT_MIN: u64 = 1;
/// In so many percent of its chains, at least, a site ends at or below the size that is proposed for it.
const CAPACITY_PERCENT: u64 = 75;
/// Frames that there are, at least, before anything is said of frames.
pub(crate) const FRAMES_MIN: u64 = 8;
/// A site is one for a scope if so many percent of its blocks go in the frame in which they came, at least,
const SCOPE_PERCENT: u64 = 95;
/// if it has so many blocks in a frame on average, at least,
const SCOPE_BLOCKS_MIN: u64 = 4;
/// and so many percent of all blocks.
const SCOPE_SHARE_PERCENT: u64 = 5;
/// A site is one for a pool if it has so many blocks, at least,
const POOL_BLOCKS_MIN: u64 = 1000;
/// so many percent of them of one size,
const POOL_PERCENT: u64 = 95;
/// so many times as many as are ever live,
const POOL_TURNS_MIN: u64 = 10;
/// and so many percent of all blocks.
const POOL_SHARE_PERCENT: u64 = 5;

/// Whether `part` is at least so many percent of `whole`.
pub(crate) fn is_share(part: u64, whole: u64, percent: u64) -> bool {
    whole > 0 && u128::from(part) * 100 >= u128::from(whole) * u128::from(percent)
}

/// Everything that needs no replay.
pub(crate) fn all(report: &Report, patterns: &Patterns, language: Language) -> Vec<Advice> {
    let mut advice = leaks(report);
    advice.push(peak(report));
    advice.extend(capacities(report, patterns, language));
    let of_frames = scopes(report, patterns, language);
    let in_scopes: Vec<u32> = of_frames.iter().map(|(site, _)| *site).collect();
    advice.extend(of_frames.into_iter().map(|(_, advice)| advice));
    advice.extend(pools(report, patterns, language, &in_scopes));
    advice.push(guard(patterns, language));
    advice
}

/// What replays would know better.
pub(crate) fn estimate(report: &Report, patterns: &Patterns, language: Language) -> Option<Advice> {
    let growths = &report.growths;
    if growths.count == 0 {
        return None;
    }
    let grown = report.end.pages.saturating_sub(growths.first_pages);
    let text = format!(
        "as recorded, the memory grew {} times by {} pages in all, the last time at event {} of {}. Reserve that at the start; \
         `--replay` finds what this allocator needs, and tries it",
        count(growths.count),
        count(grown),
        count(patterns.last_growth),
        count(report.events),
    );
    let reserved = grown.saturating_mul(report.header.page_bytes);
    Some(Advice::new(
        Topic::Reserve,
        text,
        reserve(language, reserved),
    ))
}

/// The line that reserves.
pub(crate) fn reserve(language: Language, bytes: u64) -> String {
    language.choose(
        format!("ALLOCATOR.reserve({bytes});"),
        format!("if (!alligator_reserve({bytes})) abort();"),
    )
}

/// The line that chooses a feature.
pub(crate) fn features(language: Language, feature: &str) -> String {
    let of_rust = format!("alligator-alloc = {{ version = \"0.1\", features = [\"{feature}\"] }}");
    let of_c = format!(
        "cargo rustc -p alligator-c --release --target wasm32-wasip1 --crate-type staticlib --features library,{feature}"
    );
    language.choose(of_rust, of_c)
}

fn leaks(report: &Report) -> Vec<Advice> {
    let growing = report.leaks().into_iter().filter(|site| site.is_growing());
    growing
        .take(SITES_MAX)
        .map(|site| {
            let text = format!(
                "{} piles up: {} in {} blocks that were never given back, from {} quarters of the trace, the last among them",
                site_name(&report.stacks, site.site),
                bytes(site.end.bytes),
                count(site.end.blocks),
                site.stayed_by_quarter.iter().filter(|blocks| **blocks > 0).count(),
            );
            let code = format!("alligator report {} --leaks-fail=growing", report.name);
            Advice::new(Topic::Leak, text, code)
        })
        .collect()
}

/// The high-water mark, and whether the program has come to a steady state.
fn peak(report: &Report) -> Advice {
    let half = report.events / 2;
    let most = |late: bool| {
        let of_half = report
            .timeline
            .iter()
            .filter(|bucket| (bucket.moment > half) == late);
        of_half.map(|bucket| bucket.peak_bytes).max().unwrap_or(0)
    };
    let (early, late) = (most(false), most(true));
    let course = if early == 0 {
        "the trace is too short to know a steady state".to_owned()
    } else if is_share(late, early, STEADY_PERCENT + 1) {
        format!(
            "it is not steady: the second half has up to {}, the first {}",
            bytes(late),
            bytes(early)
        )
    } else {
        format!(
            "the state is steady: the second half has up to {}, the first {}",
            bytes(late),
            bytes(early)
        )
    };
    let text = format!(
        "at most {} are live, in {} blocks, after event {} of {}; {course}. Hold it in continuous integration, with {} % to \
         spare",
        bytes(report.peak.bytes),
        count(report.peak.blocks),
        count(report.peak.events),
        count(report.events),
        PEAK_SPARE_PERCENT,
    );
    let limit = u128::from(report.peak.bytes) * u128::from(100 + PEAK_SPARE_PERCENT) / 100;
    let code = format!("alligator report {} --max-peak {limit}", report.name);
    Advice::new(Topic::Peak, text, code)
}

/// Sites whose blocks grow again and again.
fn capacities(report: &Report, patterns: &Patterns, language: Language) -> Vec<Advice> {
    let is_worth = |pattern: &SitePattern| {
        pattern.chains >= CHAINS_MIN
            && pattern.resizes >= RESIZES_MIN
            && is_share(pattern.resizes, patterns.calls, RESIZES_PERCENT_MIN)
    };
    let sites = patterns.sites.iter();
    let mut sites: Vec<(u32, &SitePattern)> =
        sites.map(|(site, pattern)| (*site, pattern)).collect();
    sites.retain(|(_, pattern)| is_worth(pattern));
    sites.sort_by_key(|(site, pattern)| {
        (core::cmp::Reverse((pattern.resizes, pattern.copied)), *site)
    });
    let sites = sites.into_iter().take(SITES_MAX);
    sites
        .filter_map(|(site, pattern)| {
            let (capacity, covered) = capacity(pattern)?;
            let ((first, last), most) = pattern
                .ends
                .iter()
                .max_by_key(|(ends, count)| (**count, core::cmp::Reverse(**ends)))?;
            let how = if is_share(pattern.leaps, pattern.resizes, CAPACITY_PERCENT) {
                "by half or more"
            } else {
                "step by step"
            };
            let text = format!(
                "{} grows {} blocks {how}, {} times in all, with {} bytes copied, most often from {} to {} ({}). A capacity of {} \
                 bytes, enough for {} of them, makes one call of each",
                site_name(&report.stacks, site),
                count(pattern.chains),
                count(pattern.resizes),
                count(pattern.copied),
                count(*first),
                count(*last),
                percent(*most, pattern.chains),
                count(capacity),
                percent(covered, pattern.chains),
            );
            let code = language.choose(
                format!("Vec::with_capacity({capacity} / size_of::<T>())"),
                format!("malloc({capacity})"),
            );
            Some(Advice::new(Topic::Capacity, text, code))
        })
        .collect()
}

/// The smallest last size that is enough for most chains, and for how many.
fn capacity(pattern: &SitePattern) -> Option<(u64, u64)> {
    let mut by_last: Vec<(u64, u64)> = pattern
        .ends
        .iter()
        .map(|((_, last), count)| (*last, *count))
        .collect();
    by_last.sort_unstable();
    let mut covered = 0;
    for (index, (last, count)) in by_last.iter().enumerate() {
        covered += count;
        let is_whole = by_last.get(index + 1).is_none_or(|(next, _)| next > last);
        if is_whole && is_share(covered, pattern.chains, CAPACITY_PERCENT) {
            return Some((*last, covered));
        }
    }
    None
}

/// Sites whose blocks go with their frame.
fn scopes(report: &Report, patterns: &Patterns, language: Language) -> Vec<(u32, Advice)> {
    let Some(frames) = patterns.main_frames().filter(|it| it.frames >= FRAMES_MIN) else {
        return Vec::new();
    };
    let taken: u64 = patterns.sites.values().map(|pattern| pattern.blocks).sum();
    let is_worth = |pattern: &SitePattern| {
        is_share(pattern.in_frame, pattern.blocks, SCOPE_PERCENT)
            && pattern.in_frame >= frames.frames.saturating_mul(SCOPE_BLOCKS_MIN)
            && is_share(pattern.blocks, taken, SCOPE_SHARE_PERCENT)
    };
    let mut sites: Vec<_> = patterns
        .sites
        .iter()
        .filter(|(_, it)| is_worth(it))
        .collect();
    sites.sort_by_key(|(site, pattern)| (core::cmp::Reverse(pattern.in_frame), **site));
    sites
        .into_iter()
        .take(SITES_MAX)
        .map(|(site, pattern)| {
            let bytes_max = pattern.frame_bytes_max.next_multiple_of(2048);
            let text = format!(
                "{} takes {} blocks that go in the frame ({:?}) in which they came, {} of its blocks and {} of all, {} bytes in \
                 one frame at most. In a scope they cost a few instructions each, and go back at once",
                site_name(&report.stacks, *site),
                count(pattern.in_frame),
                frames.name,
                percent(pattern.in_frame, pattern.blocks),
                percent(pattern.blocks, taken),
                count(pattern.frame_bytes_max),
            );
            let code = language.choose(
                format!(
                    "let mut frames = Frames::new(&ALLOCATOR, {bytes_max})?; // then: let mut frame = frames.begin(); \
                     frame.alloc(..)"
                ),
                format!("static char scratch[{bytes_max}]; /* filled block by block, empty again at each frame */"),
            );
            (*site, Advice::new(Topic::Scope, text, code))
        })
        .collect()
}

/// Sites whose blocks are of one size, and come and go.
fn pools(
    report: &Report,
    patterns: &Patterns,
    language: Language,
    in_scopes: &[u32],
) -> Vec<Advice> {
    let taken: u64 = patterns.sites.values().map(|pattern| pattern.taken).sum();
    let mut sites: Vec<(u32, &SitePattern, u64, u64)> = Vec::new();
    for (site, pattern) in &patterns.sites {
        let most = pattern
            .sizes
            .iter()
            .max_by_key(|(size, count)| (**count, **size));
        let Some((size, of_size)) = most else {
            continue;
        };
        let is_worth = pattern.taken >= POOL_BLOCKS_MIN
            && is_share(*of_size, pattern.taken, POOL_PERCENT)
            && pattern.taken >= pattern.live_max.saturating_mul(POOL_TURNS_MIN)
            && is_share(pattern.taken, taken, POOL_SHARE_PERCENT);
        if is_worth && !in_scopes.contains(site) {
            sites.push((*site, pattern, *size, *of_size));
        }
    }
    sites.sort_by_key(|(site, pattern, ..)| (core::cmp::Reverse(pattern.taken), *site));
    let sites = sites.into_iter().take(SITES_MAX);
    sites
        .map(|(site, pattern, size, of_size)| {
            let text = format!(
                "{} takes {} blocks, {} of them of {} bytes, of which at most {} are live at one time: keep those that are done \
                 with, and take them again",
                site_name(&report.stacks, site),
                count(pattern.taken),
                percent(of_size, pattern.taken),
                count(size),
                count(pattern.live_max),
            );
            let live = pattern.live_max;
            let code = language.choose(
                format!("let mut pool: Vec<Box<T>> = Vec::with_capacity({live}); // pool.pop(), pool.push(done)"),
                format!("static T *pool[{live}]; /* take the last one, put it back when it is done with */"),
            );
            Advice::new(Topic::Pool, text, code)
        })
        .collect()
}

/// What a guard for real time would stop at.
fn guard(patterns: &Patterns, language: Language) -> Advice {
    let Some(frames) = patterns.main_frames().filter(|it| it.frames >= FRAMES_MIN) else {
        let text = format!(
            "the trace has not {FRAMES_MIN} marks of one name, so nothing is known of frames or callbacks. Set a mark at the \
             start of each, and record again"
        );
        let code = language.choose(
            "unsafe extern \"C\" { safe fn alligator_mark(name: *const u8, length: usize); } // \"frame\"",
            "alligator_mark(\"frame\", 5);",
        );
        return Advice::new(Topic::Guard, text, code);
    };
    if frames.calling == 0 && frames.grown == 0 {
        let text = format!(
            "none of the {} frames ({:?}) calls the allocator: a guard makes sure that it stays so",
            count(frames.frames),
            frames.name
        );
        return Advice::new(
            Topic::Guard,
            text,
            guarded(language, "Guard::CALLS.or(Guard::UNBOUNDED)"),
        );
    }
    let text = format!(
        "in {} frames ({:?}), a guard would stop at GROW in {}{}, at MOVE {} times{}, and at ALLOC, FREE or REALLOC in {}, up to \
         {} calls in one",
        count(frames.frames),
        frames.name,
        count(frames.grown),
        if frames.grown > 0 {
            format!(" (the last is frame {})", count(frames.last_grown))
        } else {
            String::new()
        },
        count(frames.moves),
        if frames.moves > 0 {
            format!(" (up to {} copied)", bytes(frames.move_max))
        } else {
            String::new()
        },
        count(frames.calling),
        count(frames.calls_max),
    );
    Advice::new(Topic::Guard, text, guarded(language, "Guard::UNBOUNDED"))
}

fn guarded(language: Language, guard: &str) -> String {
    language.choose(
        format!("let _guard = {guard}.enter(); // alligator-rt"),
        "alligator bound app.wasm --forbid grow,wait,loop --from process",
    )
}
