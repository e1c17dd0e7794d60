//! The trace of a made-up program: a game that loads, plays frames and forgets some of what it took.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;

use alligator_trace::{Clock, Frame, Header, Kind, ModuleInfo, StackId, Writer};
use anyhow::{Context as _, Result};

/// Events of one frame, about.
const FRAME_EVENTS: u64 = 400;

/// The functions of the program: name, file, line.
const FUNCTIONS: [(&str, &str, u32); 16] = [
    ("main", "src/main.rs", 12),
    ("game::load_level", "src/level.rs", 88),
    ("game::frame", "src/game.rs", 41),
    ("render::draw_text", "src/render.rs", 210),
    ("render::sprite_batch", "src/render.rs", 77),
    ("physics::step", "src/physics.rs", 130),
    ("physics::contacts", "src/physics.rs", 164),
    ("net::receive", "src/net.rs", 55),
    ("json::parse_value", "src/json.rs", 301),
    ("json::parse_string", "src/json.rs", 340),
    ("log::write_line", "src/log.rs", 19),
    ("cache::remember", "src/cache.rs", 64),
    (
        "alloc::vec::Vec<T,A>::push",
        "library/alloc/src/vec/mod.rs",
        2466,
    ),
    (
        "alloc::raw_vec::finish_grow",
        "library/alloc/src/raw_vec.rs",
        512,
    ),
    (
        "alloc::string::String::from",
        "library/alloc/src/string.rs",
        2901,
    ),
    (
        "alloc::boxed::Box<T>::new",
        "library/alloc/src/boxed.rs",
        256,
    ),
];

/// Call stacks, the outermost function first, by index.
const STACKS: [&[usize]; 9] = [
    &[0, 1, 15],
    &[0, 1, 8, 9, 14],
    &[0, 2, 3, 14],
    &[0, 2, 4, 12, 13],
    &[0, 2, 5, 6, 12, 13],
    &[0, 2, 7, 8, 8, 9, 14],
    &[0, 2, 7, 8, 15],
    &[0, 2, 10, 14],
    &[0, 2, 11, 15],
];

const LEVEL: usize = 0;
const NAMES: usize = 1;
const TEXT: usize = 2;
const BATCH: usize = 3;
const CONTACTS: usize = 4;
const STRINGS: usize = 5;
const VALUES: usize = 6;
const LOG: usize = 7;
const CACHE: usize = 8;

/// Numbers that look random, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}

/// Where blocks lie: lists of free pieces by size, and a frontier.
struct Memory {
    free: BTreeMap<u64, Vec<u64>>,
    frontier: u64,
    pages: u64,
}

/// Bytes of a block with its header.
fn piece_of(size: u64) -> u64 {
    size.max(1).next_multiple_of(16) + 16
}

/// The program and its heap.
struct Program<W: Write> {
    writer: Writer<W>,
    sites: Vec<StackId>,
    memory: Memory,
    random: Random,
    time_ns: u64,
    events: u64,
}

impl<W: Write> Program<W> {
    fn event(&mut self, site: usize, kind: Kind) -> Result<()> {
        self.time_ns += 40 + self.random.below(200);
        self.events += 1;
        let site = *self.sites.get(site).context("no such site")?;
        self.writer.event(self.time_ns, 0, site, kind)?;
        Ok(())
    }

    /// Where a block of so many bytes goes; the memory grows if it must.
    fn place(&mut self, by: usize, size: u64) -> Result<u64> {
        let piece = piece_of(size);
        if let Some(address) = self.memory.free.get_mut(&piece).and_then(Vec::pop) {
            return Ok(address);
        }
        let address = self.memory.frontier + 16;
        self.memory.frontier += piece;
        let pages = self.memory.frontier.div_ceil(65536);
        if pages > self.memory.pages {
            let before = self.memory.pages;
            let after = pages.max(before + before / 8 + 1);
            self.memory.pages = after;
            self.time_ns += 30_000;
            self.event(by, Kind::Grow { before, after })?;
        }
        Ok(address)
    }

    fn take(&mut self, by: usize, size: u64) -> Result<(u64, u64)> {
        let address = self.place(by, size)?;
        let kind = Kind::Alloc {
            address,
            size,
            align: 8,
            zeroed: by == BATCH,
        };
        self.event(by, kind)?;
        Ok((address, size))
    }

    fn free_piece(&mut self, (address, size): (u64, u64)) {
        let list = self.memory.free.entry(piece_of(size)).or_default();
        list.push(address);
    }

    fn give_back(&mut self, by: usize, block: (u64, u64)) -> Result<()> {
        self.free_piece(block);
        self.event(by, Kind::Free { address: block.0 })
    }

    /// A vector that grows by doubling to `size`, and is dropped.
    fn vector(&mut self, by: usize, size: u64) -> Result<()> {
        let mut block = self.take(by, 64)?;
        while block.1 < size {
            let new = block.1 * 2;
            let address = self.place(by, new)?;
            let kind = Kind::Realloc {
                old: block.0,
                address,
                size: new,
                align: 8,
            };
            self.event(by, kind)?;
            self.free_piece(block);
            block = (address, new);
        }
        self.give_back(by, block)
    }

    fn load(&mut self, blocks: u64) -> Result<()> {
        for index in 0..blocks.max(8) {
            let size = 16 + self.random.below(40) * self.random.below(40);
            self.take(LEVEL, size)?;
            if index % 3 == 0 {
                let size = 5 + self.random.below(60);
                self.take(NAMES, size)?;
            }
        }
        Ok(())
    }

    fn frame(&mut self, queue: &mut VecDeque<(u64, u64)>) -> Result<()> {
        let end = self.events + FRAME_EVENTS;
        let size = 256 << self.random.below(6);
        self.vector(BATCH, size)?;
        let size = 128 << self.random.below(4);
        self.vector(CONTACTS, size)?;
        if self.random.below(40) == 0 {
            // A message comes in: a burst that stays for some frames.
            for _ in 0..FRAME_EVENTS {
                let size = 24 + self.random.below(4) * 24;
                let block = self.take(VALUES, size)?;
                queue.push_back(block);
                let size = 3 + self.random.below(90);
                let block = self.take(STRINGS, size)?;
                queue.push_back(block);
            }
        }
        while self.events < end {
            let size = 8 + self.random.below(56);
            let text = self.take(TEXT, size)?;
            if self.random.below(4) == 0 {
                let size = 40 + self.random.below(200);
                let line = self.take(LOG, size)?;
                self.give_back(LOG, line)?;
            }
            self.give_back(TEXT, text)?;
            for _ in 0..2 {
                if let Some(block) = queue.pop_front() {
                    self.give_back(VALUES, block)?;
                }
            }
        }
        if self.random.below(5) == 0 {
            // What nobody gives back.
            let size = 200 + self.random.below(3) * 100;
            self.take(CACHE, size)?;
        }
        Ok(())
    }
}

/// Writes a trace of about so many events, of a program that loads so many blocks at its start.
pub(crate) fn write(output: impl Write, events: u64, blocks: u64) -> Result<()> {
    let header = Header {
        module: ModuleInfo {
            name: "game.wasm".to_owned(),
            bytes: 1 << 20,
            ..ModuleInfo::default()
        },
        allocator: "an allocator made up".to_owned(),
        engine: "no engine".to_owned(),
        recorder: "report-runner".to_owned(),
        clock: Clock::Event,
        pages: 2,
        stacks: true,
        ..Header::default()
    };
    let mut writer = Writer::new(output, &header)?;
    let mut sites = Vec::new();
    for stack in STACKS {
        let mut site = StackId::NONE;
        for index in stack {
            let (name, file, line) = FUNCTIONS[*index];
            let function = u32::try_from(*index)?;
            let frame = Frame {
                function,
                name,
                file: Some(file),
                line,
                offset: u64::from(function) * 0x100,
            };
            let frame = writer.frame(&frame)?;
            site = writer.stack(site, frame)?;
        }
        sites.push(site);
    }
    let mark = writer.string("frame")?;
    let mut program = Program {
        writer,
        sites,
        memory: Memory {
            free: BTreeMap::new(),
            frontier: 0x4000,
            pages: 2,
        },
        random: Random(0x9e37_79b9_7f4a_7c15),
        time_ns: 0,
        events: 0,
    };
    program.load(blocks)?;
    let mut queue = VecDeque::new();
    while program.events < events {
        program.event(LEVEL, Kind::Mark { name: mark })?;
        program.frame(&mut queue)?;
    }
    program.writer.finish(Some("exit status 0"))?;
    Ok(())
}
