//! What the report does not have: sizes, chains of resizes and lifetimes by site, and what happens between marks.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use alligator_report::Report;
use alligator_trace::{Error, Event, Kind, Reader, StringId};

/// Different sizes, or first and last sizes of chains, that are counted for a site, at most. Others count together.
const KINDS_MAX: usize = 256;

/// Blocks of one call stack. A block that is resized is one block: taken by the stack that asked for it first, and in all
/// else that of the stack that resized it last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SitePattern {
    /// Blocks taken.
    pub taken: u64,
    /// The most that were live at one time.
    pub live_max: u64,
    /// Blocks taken by size, of up to 256 sizes.
    pub sizes: BTreeMap<u64, u64>,
    /// Blocks that were given back, or are live at the end.
    pub blocks: u64,
    /// Of these, blocks that were given back in the frame in which they were taken.
    pub in_frame: u64,
    /// Most bytes of one frame that went to such blocks, resizes included.
    pub frame_bytes_max: u64,
    /// Blocks that were resized at least twice, and are given back or live at the end.
    pub chains: u64,
    /// Resizes of these.
    pub resizes: u64,
    /// Of these, those to at least one and a half times the size.
    pub leaps: u64,
    /// Bytes that they copied.
    pub copied: u64,
    /// Chains by first and last size, of up to 256 pairs.
    pub ends: BTreeMap<(u64, u64), u64>,
    live: u64,
    /// The frame that is counted now, and the bytes of blocks given back in it that were taken in it.
    frame: (u64, u64),
}

/// What happens between two marks of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FramePattern {
    /// The marks' name.
    pub name: String,
    /// How many frames: one less than there are marks.
    pub frames: u64,
    /// Frames in which memory grew.
    pub grown: u64,
    /// The last of them, from 1.
    pub last_grown: u64,
    /// Frames in which the allocator was called.
    pub calling: u64,
    /// Calls in all frames.
    pub calls: u64,
    /// Most calls in one.
    pub calls_max: u64,
    /// Resizes in frames that moved their block.
    pub moves: u64,
    /// Most bytes that one of these copied.
    pub move_max: u64,
    current: Current,
}

/// The frame that has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Current {
    is_open: bool,
    calls: u64,
    has_grown: bool,
    moves: u64,
    move_max: u64,
}

/// What sites and frames of a trace do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    /// By number of the call stack.
    pub sites: BTreeMap<u32, SitePattern>,
    /// By name of the mark.
    pub frames: Vec<FramePattern>,
    /// Calls of the allocator.
    pub calls: u64,
    /// The last event at which memory grew, from 1.
    pub last_growth: u64,
}

/// A live block.
#[derive(Debug, Clone, Copy)]
struct Live {
    size: u64,
    first_size: u64,
    site: u32,
    /// The frame it was taken in; 0 before the first.
    frame: u64,
    resizes: u64,
    leaps: u64,
    copied: u64,
    /// Bytes taken for it, resizes included.
    taken_bytes: u64,
}

impl Patterns {
    /// Reads a trace once more. `report` is that of the same trace. Memory: its live blocks and its sites.
    ///
    /// # Errors
    /// A trace that is damaged.
    pub fn of<R: Read>(report: &Report, mut reader: Reader<R>) -> Result<Self, Error> {
        let most = report.marks.iter().max_by_key(|row| row.count);
        let mut reading = Reading {
            patterns: Self::default(),
            live: HashMap::new(),
            frames: BTreeMap::new(),
            frame_mark: most.map_or_else(String::new, |row| row.name.clone()),
            frame: 0,
        };
        while let Some(event) = reader.next_event()? {
            let mark = match event.kind {
                Kind::Mark { name } => reader.sites().string(name),
                _ => None,
            };
            reading.take(&event, mark);
        }
        Ok(reading.finish())
    }

    /// The frames of the mark that is set most often, if there are some.
    pub fn main_frames(&self) -> Option<&FramePattern> {
        let frames = self.frames.iter().filter(|frame| frame.frames > 0);
        frames.max_by_key(|frame| frame.frames)
    }
}

struct Reading {
    patterns: Patterns,
    live: HashMap<u64, Live>,
    frames: BTreeMap<StringId, FramePattern>,
    /// The name of the marks that part frames.
    frame_mark: String,
    /// How many of them there were.
    frame: u64,
}

impl Reading {
    fn take(&mut self, event: &Event, mark: Option<&str>) {
        let site = event.site.0;
        let is_call = matches!(
            event.kind,
            Kind::Alloc { .. } | Kind::Free { .. } | Kind::Realloc { .. }
        );
        if is_call {
            self.patterns.calls += 1;
            for frame in self.frames.values_mut() {
                frame.current.calls += 1;
            }
        }
        match event.kind {
            Kind::Alloc { address, size, .. } => self.born(address, size, site, None),
            Kind::Free { address } => {
                if let Some(block) = self.live.remove(&address) {
                    self.left(&block);
                    self.ended(&block, true);
                }
            }
            Kind::Realloc {
                old, address, size, ..
            } => self.resized(old, address, size, site),
            Kind::Grow { .. } => {
                self.patterns.last_growth = event.sequence + 1;
                for frame in self.frames.values_mut() {
                    frame.current.has_grown = true;
                }
            }
            Kind::Mark { name } => {
                let mark = mark.unwrap_or_default();
                self.frame += u64::from(mark == self.frame_mark);
                let frame = self.frames.entry(name).or_insert_with(|| FramePattern {
                    name: mark.to_owned(),
                    ..FramePattern::default()
                });
                frame.mark();
            }
            Kind::Lost { .. } => {}
        }
    }

    fn born(&mut self, address: u64, size: u64, stack: u32, before: Option<Live>) {
        if address == 0 {
            return;
        }
        let block = match before {
            None => Live {
                size,
                first_size: size,
                site: stack,
                frame: self.frame,
                resizes: 0,
                leaps: 0,
                copied: 0,
                taken_bytes: size,
            },
            Some(before) => Live {
                size,
                site: stack,
                resizes: before.resizes + 1,
                leaps: before.leaps
                    + u64::from(size >= before.size.saturating_add(before.size / 2)),
                taken_bytes: before.taken_bytes.saturating_add(size),
                ..before
            },
        };
        let row = self.patterns.sites.entry(stack).or_default();
        row.live += 1;
        row.live_max = row.live_max.max(row.live);
        if before.is_none() {
            row.taken += 1;
            count(&mut row.sizes, size);
        }
        if let Some(replaced) = self.live.insert(address, block) {
            self.left(&replaced);
            self.ended(&replaced, true);
        }
    }

    fn resized(&mut self, old: u64, address: u64, size: u64, stack: u32) {
        if address == 0 {
            return;
        }
        let before = self.live.remove(&old).map(|mut block| {
            self.left(&block);
            if address != old {
                let copied = block.size.min(size);
                block.copied = block.copied.saturating_add(copied);
                for frame in self.frames.values_mut() {
                    frame.current.moves += 1;
                    frame.current.move_max = frame.current.move_max.max(copied);
                }
            }
            block
        });
        self.born(address, size, stack, before);
    }

    /// A block is no longer its site's.
    fn left(&mut self, block: &Live) {
        let row = self.patterns.sites.entry(block.site).or_default();
        row.live = row.live.saturating_sub(1);
    }

    /// A block was given back, or the trace ended.
    fn ended(&mut self, block: &Live, is_given_back: bool) {
        let row = self.patterns.sites.entry(block.site).or_default();
        row.blocks += 1;
        if is_given_back && self.frame > 0 && block.frame == self.frame {
            row.in_frame += 1;
            if row.frame.0 != self.frame {
                row.frame = (self.frame, 0);
            }
            row.frame.1 = row.frame.1.saturating_add(block.taken_bytes);
            row.frame_bytes_max = row.frame_bytes_max.max(row.frame.1);
        }
        if block.resizes >= 2 {
            row.chains += 1;
            row.resizes += block.resizes;
            row.leaps += block.leaps;
            row.copied = row.copied.saturating_add(block.copied);
            count(&mut row.ends, (block.first_size, block.size));
        }
    }

    fn finish(mut self) -> Patterns {
        let rest: Vec<Live> = self.live.values().copied().collect();
        for block in &rest {
            self.ended(block, false);
        }
        let mut frames: Vec<FramePattern> = self.frames.into_values().collect();
        frames.sort_by(|one, other| one.name.cmp(&other.name));
        self.patterns.frames = frames;
        self.patterns
    }
}

impl FramePattern {
    /// Ends a frame, if one has begun, and begins one.
    fn mark(&mut self) {
        let Current {
            is_open,
            calls,
            has_grown,
            moves,
            move_max,
        } = self.current;
        self.current = Current {
            is_open: true,
            ..Current::default()
        };
        if !is_open {
            return;
        }
        self.frames += 1;
        self.calling += u64::from(calls > 0);
        self.calls += calls;
        self.calls_max = self.calls_max.max(calls);
        self.moves += moves;
        self.move_max = self.move_max.max(move_max);
        if has_grown {
            self.grown += 1;
            self.last_grown = self.frames;
        }
    }
}

/// Counts one of a kind, unless there are too many kinds.
fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, kind: K) {
    if counts.len() < KINDS_MAX || counts.contains_key(&kind) {
        *counts.entry(kind).or_default() += 1;
    }
}
