//! Where blocks lie: holes between them, pages that they keep, and how the memory grew.

use serde::Serialize;

use crate::heap::Block;
use crate::sites::{Amount, sum};

/// Largest holes of each row of [`Fragmentation::by_size`] but the last, in bytes.
const HOLES: [u64; 7] = [16, 64, 256, 1024, 4096, 16_384, 65_536];

/// Growths that are kept one by one, at most.
const GROWTHS_MAX: usize = 4096;

/// Pages that are listed, lowest first.
const LOW_PAGES: usize = 8;

/// A page is held thinly by less than this part of it.
const THIN: u64 = 16;

/// Holes of a range of sizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct HoleRow {
    /// The largest size of the range, in bytes; none in the last.
    pub size_max: Option<u64>,
    /// How many holes.
    pub holes: u64,
    /// Bytes of these.
    pub bytes: u64,
}

/// Live blocks, and what lies between them: free memory, and what the allocator keeps beside blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Fragmentation {
    /// Pages of memory.
    pub pages: u64,
    /// Bytes of all pages.
    pub memory_bytes: u64,
    /// Live.
    pub live: Amount,
    /// Address of the lowest live block.
    pub lowest: u64,
    /// First address after the highest live block.
    pub highest: u64,
    /// Holes between live blocks.
    pub holes: u64,
    /// Bytes of these.
    pub hole_bytes: u64,
    /// The largest.
    pub hole_max: u64,
    /// Bytes of live blocks that lie over others: wrong events.
    pub overlap_bytes: u64,
    /// Pages from the lowest to the highest block.
    pub spanned_pages: u64,
    /// Of these, pages without a byte of a live block.
    pub empty_pages: u64,
    /// Holes by size.
    pub by_size: Vec<HoleRow>,
}

impl Fragmentation {
    /// Of blocks by address.
    pub(crate) fn of(blocks: &[Block], pages: u64, page_bytes: u64) -> Self {
        let mut rows: Vec<HoleRow> = HOLES
            .iter()
            .copied()
            .map(Some)
            .chain([None])
            .map(|size_max| HoleRow {
                size_max,
                ..HoleRow::default()
            })
            .collect();
        let mut figures = Self {
            pages,
            memory_bytes: pages.saturating_mul(page_bytes),
            lowest: blocks.first().map_or(0, |block| block.address),
            ..Self::default()
        };
        let mut held = HeldPages::new(page_bytes);
        for block in blocks {
            figures.live.add(block);
            held.add(block);
            if figures.live.blocks > 1 {
                match block.address.checked_sub(figures.highest) {
                    Some(0) => {}
                    Some(hole) => {
                        figures.holes += 1;
                        figures.hole_bytes += hole;
                        figures.hole_max = figures.hole_max.max(hole);
                        let row = &mut rows[HOLES.partition_point(|most| *most < hole)];
                        row.holes += 1;
                        row.bytes += hole;
                    }
                    None => {
                        let overlap = figures.highest - block.address;
                        let overlap = overlap.min(block.size);
                        figures.overlap_bytes = figures.overlap_bytes.saturating_add(overlap);
                    }
                }
            }
            figures.highest = figures.highest.max(block.end());
        }
        if let Some(last) = figures
            .highest
            .checked_sub(1)
            .filter(|_| !blocks.is_empty())
        {
            figures.spanned_pages = last / page_bytes - figures.lowest / page_bytes + 1;
            figures.empty_pages = figures.spanned_pages.saturating_sub(held.count);
        }
        figures.by_size = rows.into_iter().filter(|row| row.holes > 0).collect();
        figures
    }
}

/// Pages that blocks have a byte in. Blocks come by address.
struct HeldPages {
    page_bytes: u64,
    count: u64,
    /// First page that no block so far has a byte in.
    next: u64,
}

impl HeldPages {
    fn new(page_bytes: u64) -> Self {
        Self {
            page_bytes,
            count: 0,
            next: 0,
        }
    }

    fn add(&mut self, block: &Block) {
        let first = (block.address / self.page_bytes).max(self.next);
        let after = block.address.saturating_add(block.size.max(1) - 1) / self.page_bytes;
        let after = after.saturating_add(1);
        self.count += after.saturating_sub(first);
        self.next = self.next.max(after);
    }
}

/// A page with blocks that stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StayRow {
    /// Its number: its address divided by the bytes of a page.
    pub page: u64,
    /// What stays in it, by the block's first byte.
    pub live: Amount,
    /// The site with most of these bytes.
    pub site: u32,
    /// Bytes of that.
    pub site_bytes: u64,
}

/// What is live at the end, by where it lies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stays {
    /// All of it.
    pub live: Amount,
    /// Of this, taken in the first quarter of the trace.
    pub early: Amount,
    /// Pages that have a byte of it.
    pub pages: u64,
    /// Pages that stay for less than a sixteenth of their bytes.
    pub thin_pages: u64,
    /// The lowest pages that it lies in.
    pub lowest: Vec<StayRow>,
}

impl Stays {
    /// Of blocks by address.
    pub(crate) fn of(blocks: &[Block], events: u64, page_bytes: u64) -> Self {
        let mut figures = Self::default();
        let mut held = HeldPages::new(page_bytes);
        for block in blocks {
            held.add(block);
            let early = block.born.saturating_mul(4) <= events;
            figures.live.add(block);
            if early {
                figures.early.add(block);
            }
        }
        figures.pages = held.count;
        figures.thin_pages = thin_pages(blocks, page_bytes);
        figures.lowest = blocks
            .chunk_by(|one, next| one.address / page_bytes == next.address / page_bytes)
            .take(LOW_PAGES)
            .map(|blocks| StayRow::of(blocks, page_bytes))
            .collect();
        figures
    }
}

/// Pages with a byte of a block, and with less than a sixteenth of bytes of blocks.
fn thin_pages(blocks: &[Block], page_bytes: u64) -> u64 {
    let is_thin = |bytes: u64| u64::from(bytes > 0 && bytes < page_bytes / THIN);
    let (mut thin, mut page, mut held) = (0, 0, 0_u64);
    for block in blocks {
        let first = block.address / page_bytes;
        let last = block.end().saturating_sub(1).max(block.address) / page_bytes;
        if first != page {
            thin += is_thin(held);
            (page, held) = (first, 0);
        }
        if last == first {
            held = held.saturating_add(block.size.max(1));
        } else {
            // Pages between the first and the last are full.
            thin += is_thin(held.saturating_add((first + 1) * page_bytes - block.address));
            (page, held) = (last, block.end() - last * page_bytes);
        }
    }
    thin + is_thin(held)
}

impl StayRow {
    /// Of the blocks of one page, of which there is one.
    fn of(blocks: &[Block], page_bytes: u64) -> Self {
        let mut by_site = std::collections::BTreeMap::<u32, u64>::new();
        for block in blocks {
            let bytes = by_site.entry(block.site).or_default();
            *bytes = bytes.saturating_add(block.size);
        }
        let most = by_site
            .iter()
            .max_by_key(|(site, bytes)| (**bytes, core::cmp::Reverse(**site)));
        let (site, site_bytes) = most.map_or((0, 0), |(site, bytes)| (*site, *bytes));
        Self {
            page: blocks.first().map_or(0, |block| block.address / page_bytes),
            live: Amount {
                blocks: blocks.len() as u64,
                bytes: sum(by_site.values().copied()),
            },
            site,
            site_bytes,
        }
    }
}

/// One growth of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Growth {
    /// Its moment.
    pub moment: u64,
    /// Its time, in nanoseconds.
    pub time_ns: u64,
    /// Pages before.
    pub before: u64,
    /// Pages after.
    pub after: u64,
    /// Nanoseconds since the event before it. The growth, and what the program did meanwhile, took no longer.
    pub since_ns: u64,
}

/// How the memory grew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GrowthFigures {
    /// How often.
    pub count: u64,
    /// Pages when the recording began.
    pub first_pages: u64,
    /// Most pages at one step.
    pub step_max: u64,
    /// The first growths, up to 4,096.
    pub growths: Vec<Growth>,
    /// The growth with the longest time since the event before it.
    pub longest: Option<Growth>,
}

impl GrowthFigures {
    pub(crate) fn add(&mut self, growth: Growth) {
        self.count += 1;
        let step = growth.after.saturating_sub(growth.before);
        self.step_max = self.step_max.max(step);
        if self
            .longest
            .is_none_or(|longest| growth.since_ns > longest.since_ns)
        {
            self.longest = Some(growth);
        }
        if self.growths.len() < GROWTHS_MAX {
            self.growths.push(growth);
        }
    }
}
