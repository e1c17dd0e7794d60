//! Programs made by hand, whose right advice is known.

use alligator_advise::{
    Advice, Patterns, REPLAYED, RESERVE_STEPS, Replays, Topic, advise, reserve_bytes,
};
use alligator_replay::{Allocator, Allocators, Options, replay};
use alligator_report::{Report, analyse};
use alligator_trace::{Entry, Frame, Header, Kind, Reader, StackId, Writer};

/// Writes the trace of a program.
struct Program {
    writer: Writer<Vec<u8>>,
    next: u64,
}

impl Program {
    fn new() -> Self {
        Self::of(&Header::default())
    }

    fn of(header: &Header) -> Self {
        Self {
            writer: Writer::new(Vec::new(), header).expect("a vector takes all bytes"),
            next: 0x1_0000,
        }
    }

    fn site(&mut self, name: &str) -> StackId {
        let frame = Frame {
            name,
            ..Frame::default()
        };
        let frame = self.writer.frame(&frame).expect("is written");
        self.writer.stack(StackId::NONE, frame).expect("is written")
    }

    fn event(&mut self, stack: StackId, kind: Kind) {
        self.writer.event(0, 0, stack, kind).expect("is an event");
    }

    fn alloc(&mut self, stack: StackId, size: u64) -> u64 {
        let address = self.next;
        self.next += size.next_multiple_of(16);
        let kind = Kind::Alloc {
            address,
            size,
            align: 8,
            zeroed: false,
        };
        self.event(stack, kind);
        address
    }

    fn free(&mut self, address: u64) {
        self.event(StackId::NONE, Kind::Free { address });
    }

    fn realloc(&mut self, stack: StackId, old: u64, size: u64) -> u64 {
        let address = self.next;
        self.next += size.next_multiple_of(16);
        let kind = Kind::Realloc {
            old,
            address,
            size,
            align: 8,
        };
        self.event(stack, kind);
        address
    }

    fn mark(&mut self) {
        let name = self.writer.string("frame").expect("is written");
        self.event(StackId::NONE, Kind::Mark { name });
    }

    fn grow(&mut self, before: u64, after: u64) {
        self.event(StackId::NONE, Kind::Grow { before, after });
    }

    fn finish(self) -> Vec<u8> {
        self.writer.finish(None).expect("is written")
    }
}

fn report(bytes: &[u8]) -> Report {
    let options = alligator_report::Options::default();
    analyse("app.trace", || Ok(bytes), &options)
        .expect("is a trace")
        .report
}

fn patterns(bytes: &[u8], report: &Report) -> Patterns {
    Patterns::of(report, Reader::new(bytes).expect("a header")).expect("is whole")
}

fn advice(bytes: &[u8]) -> Vec<Advice> {
    let report = report(bytes);
    advise(&report, &patterns(bytes, &report), None)
}

/// The same with replays.
fn replayed(bytes: &[u8]) -> Vec<Advice> {
    let report = report(bytes);
    let shipped = Allocators::shipped().expect("is packed");
    let on = |name: &str, reserve_bytes| {
        let compiled = shipped
            .named(name)
            .and_then(Allocator::compile)
            .expect("is there");
        let options = Options {
            reserve_bytes,
            ..Options::default()
        };
        let reader = Reader::new(bytes).expect("a header");
        replay(&compiled, &report, reader, &options).expect("can be replayed")
    };
    let reserve = RESERVE_STEPS.into_iter().find_map(|percent| {
        let bytes = reserve_bytes(&report, percent);
        let replayed = on("alligator", bytes);
        let operations = replayed.figures.operations();
        let grows = operations.iter().any(|one| one.growing.count > 0);
        (!grows).then_some((bytes, replayed))
    });
    let replays = Replays {
        all: REPLAYED
            .iter()
            .map(|name| ((*name).to_owned(), on(name, 0)))
            .collect(),
        reserve,
        dlmalloc: "dlmalloc".to_owned(),
    };
    advise(&report, &patterns(bytes, &report), Some(&replays))
}

fn of(advice: &[Advice], topic: Topic) -> Vec<&Advice> {
    advice.iter().filter(|one| one.topic == topic).collect()
}

/// The only advice of a topic.
fn one(advice: &[Advice], topic: Topic) -> &Advice {
    let [one] = of(advice, topic)[..] else {
        panic!("{topic:?} in {advice:#?}");
    };
    one
}

fn holds(advice: &Advice, texts: &[&str]) {
    for text in texts {
        assert!(advice.text.contains(text), "{text:?} is not in {advice:#?}");
    }
}

/// A hundred vectors, of which so many grow from 16 to 4,096 bytes, and the others to 64.
fn vectors(long: u64) -> Vec<u8> {
    let mut program = Program::new();
    let stack = program.site("app::fill");
    for number in 0..100 {
        let last = if number < long { 4096 } else { 64 };
        let mut size = 16;
        let mut block = program.alloc(stack, size);
        while size < last {
            size *= 2;
            block = program.realloc(stack, block, size);
        }
        program.free(block);
    }
    program.finish()
}

#[test]
fn a_vector_that_doubles_is_told_its_capacity() {
    let advice = advice(&vectors(78));
    let capacity = one(&advice, Topic::Capacity);
    holds(
        capacity,
        &[
            "app::fill grows 100 blocks by half or more, 668 times",
            "most often from 16 to 4,096 (78.0 %)",
            "A capacity of 4,096 bytes, enough for 100.0 % of them",
        ],
    );
    assert_eq!(capacity.code, "Vec::with_capacity(4096 / size_of::<T>())");
}

#[test]
fn the_capacity_is_the_smallest_that_is_enough_for_most() {
    let advice = advice(&vectors(25));
    let capacity = one(&advice, Topic::Capacity);
    holds(
        capacity,
        &[
            "most often from 16 to 64 (75.0 %)",
            "A capacity of 64 bytes, enough for 75.0 % of them",
        ],
    );
}

#[test]
fn resizes_that_hardly_happen_are_not_spoken_of() {
    let mut program = Program::new();
    let stack = program.site("app::fill");
    for _ in 0..3 {
        let mut block = program.alloc(stack, 16);
        for size in (32..1000).step_by(16) {
            block = program.realloc(stack, block, size);
        }
        program.free(block);
    }
    // Three chains only; and ten of which each has two resizes, among many other calls.
    let other = program.site("app::other");
    for _ in 0..10 {
        let block = program.alloc(other, 16);
        let block = program.realloc(other, block, 32);
        let block = program.realloc(other, block, 64);
        program.free(block);
    }
    for _ in 0..2000 {
        let block = program.alloc(StackId::NONE, 8);
        program.free(block);
    }
    let advice = advice(&program.finish());
    assert!(of(&advice, Topic::Capacity).is_empty(), "{advice:#?}");
}

/// Ten frames: blocks that go with them, blocks that stay, growths and moves.
fn frames() -> Vec<u8> {
    let mut program = Program::new();
    let (level, draw, text) = (
        program.site("app::level"),
        program.site("app::draw"),
        program.site("app::text"),
    );
    for frame in 1..=10 {
        program.mark();
        let stays = program.alloc(level, 100);
        let blocks: Vec<u64> = (0..10).map(|_| program.alloc(draw, 50)).collect();
        if frame == 4 {
            program.grow(1, 3);
            let moved = program.realloc(level, stays, 300);
            program.realloc(level, moved, 1024);
        }
        for block in blocks {
            program.free(block);
        }
        // Gone in the frame as well, but too few.
        let one = program.alloc(text, 8);
        program.free(one);
    }
    program.mark();
    program.finish()
}

#[test]
fn what_goes_with_its_frame_is_one_for_a_scope() {
    let advice = advice(&frames());
    let scope = one(&advice, Topic::Scope);
    holds(
        scope,
        &[
            "app::draw takes 100 blocks that go in the frame (\"frame\")",
            "100.0 % of its blocks and 83.3 % of all, 500 bytes in one frame at most",
        ],
    );
    assert!(
        scope
            .code
            .starts_with("let mut frames = Frames::new(&ALLOCATOR, 2048)")
    );
}

#[test]
fn what_outlives_its_frame_is_none_for_a_scope() {
    let mut program = Program::new();
    let stack = program.site("app::double_buffer");
    let mut last: Vec<u64> = Vec::new();
    for _ in 0..40 {
        program.mark();
        let blocks = (0..10).map(|_| program.alloc(stack, 50)).collect();
        for block in core::mem::replace(&mut last, blocks) {
            program.free(block);
        }
    }
    program.mark();
    let advice = advice(&program.finish());
    assert!(of(&advice, Topic::Scope).is_empty(), "{advice:#?}");
}

#[test]
fn a_guard_would_stop_at_what_frames_do() {
    let advice = advice(&frames());
    let guard = one(&advice, Topic::Guard);
    holds(
        guard,
        &[
            "in 10 frames (\"frame\")",
            "GROW in 1 (the last is frame 4)",
            "MOVE 2 times (up to 300 B copied)",
            "FREE or REALLOC in 10, up to 25 calls in one",
        ],
    );
    assert_eq!(
        guard.code,
        "let _guard = Guard::UNBOUNDED.enter(); // alligator-rt"
    );
}

#[test]
fn frames_without_a_call_stay_so_and_programs_without_frames_get_marks() {
    let mut program = Program::new();
    program.alloc(StackId::NONE, 1000);
    let quiet = |frames| {
        let mut program = Program::new();
        program.alloc(StackId::NONE, 1000);
        for _ in 0..=frames {
            program.mark();
        }
        advice(&program.finish())
    };
    holds(
        one(&quiet(8), Topic::Guard),
        &["none of the 8 frames (\"frame\") calls the allocator"],
    );
    let few = quiet(7);
    holds(one(&few, Topic::Guard), &["has not 8 marks of one name"]);
    assert!(one(&few, Topic::Guard).code.contains("alligator_mark"));
}

#[test]
fn blocks_of_one_size_that_come_and_go_are_for_a_pool() {
    let turns = |count: u64, live: usize, other: u64| {
        let mut program = Program::new();
        let stack = program.site("app::note");
        let mut blocks = std::collections::VecDeque::new();
        for number in 0..count {
            let size = if number % 100 < other { 64 } else { 48 };
            blocks.push_back(program.alloc(stack, size));
            if blocks.len() == live {
                let oldest = blocks.pop_front().expect("is live");
                program.free(oldest);
            }
        }
        advice(&program.finish())
    };
    let found = turns(2000, 5, 3);
    let pool = one(&found, Topic::Pool);
    holds(
        pool,
        &["app::note takes 2,000 blocks, 97.0 % of them of 48 bytes, of which at most 5 are live"],
    );
    assert!(pool.code.contains("Vec::with_capacity(5)"), "{}", pool.code);
    for few in [turns(900, 5, 0), turns(2000, 300, 0), turns(2000, 5, 10)] {
        assert!(of(&few, Topic::Pool).is_empty(), "{few:#?}");
    }
}

#[test]
fn blocks_that_pile_up_come_first() {
    let mut program = Program::new();
    let stack = program.site("app::log");
    for _ in 0..200 {
        program.alloc(stack, 32);
        let block = program.alloc(StackId::NONE, 8);
        program.free(block);
    }
    let advice = advice(&program.finish());
    assert_eq!(advice[0].topic, Topic::Leak);
    holds(
        &advice[0],
        &[
            "app::log piles up: 6.25 KiB in 200 blocks",
            "from 4 quarters",
        ],
    );
    assert_eq!(
        advice[0].code,
        "alligator report app.trace --leaks-fail=growing"
    );
}

#[test]
fn a_steady_state_is_told_from_one_that_rises() {
    let waves = |rising: u64| {
        let mut program = Program::new();
        for turn in 0..40 {
            let block = program.alloc(StackId::NONE, 1000 + turn * rising);
            program.free(block);
        }
        advice(&program.finish())
    };
    let steady = waves(0);
    holds(
        one(&steady, Topic::Peak),
        &[
            "at most 1000 B are live, in 1 blocks",
            "the state is steady",
        ],
    );
    assert_eq!(
        one(&steady, Topic::Peak).code,
        "alligator report app.trace --max-peak 1100"
    );
    let rising = waves(50);
    holds(
        one(&rising, Topic::Peak),
        &["it is not steady: the second half has up to 2.88 KiB, the first 1.90 KiB"],
    );
}

#[test]
fn without_replays_growth_is_an_estimate() {
    let mut program = Program::new();
    program.grow(1, 4);
    for _ in 0..10 {
        program.alloc(StackId::NONE, 1100);
    }
    let advice = advice(&program.finish());
    let reserve = one(&advice, Topic::Reserve);
    holds(
        reserve,
        &["grew 1 times by 4 pages in all, the last time at event 1 of 11"],
    );
    assert_eq!(reserve.code, "ALLOCATOR.reserve(262144);");
}

#[test]
fn a_c_program_gets_lines_of_c() {
    let mut header = Header::default();
    header.entries.push(Entry {
        name: "malloc".to_owned(),
        ..Entry::default()
    });
    let mut program = Program::of(&header);
    program.grow(1, 2);
    program.alloc(StackId::NONE, 8);
    let advice = advice(&program.finish());
    assert_eq!(
        one(&advice, Topic::Reserve).code,
        "if (!alligator_reserve(131072)) abort();"
    );
}

#[test]
fn a_reservation_is_tried_and_a_short_program_gets_less_code() {
    let mut program = Program::new();
    for size in [20_000, 40_000, 80_000] {
        program.alloc(StackId::NONE, size);
    }
    let advice = replayed(&program.finish());
    let reserve = one(&advice, Topic::Reserve);
    holds(
        reserve,
        &["With ", " reserved at the start none does (replayed)"],
    );
    let bytes = reserve
        .code
        .trim_start_matches("ALLOCATOR.reserve(")
        .trim_end_matches(");");
    let bytes: u64 = bytes.parse().expect("a number");
    assert!((140_000..=420_000 + 65_536).contains(&bytes), "{bytes}");
    let tier = one(&advice, Topic::Tier);
    holds(tier, &["with 3 calls in all", "the feature `small`"]);
    assert!(
        tier.code.contains("features = [\"small\"]"),
        "{}",
        tier.code
    );
    holds(
        one(&advice, Topic::Hardened),
        &["instructions a call", "pages"],
    );
    holds(one(&advice, Topic::Others), &["dlmalloc would take"]);
}

#[test]
fn many_small_blocks_are_served_best_as_they_are() {
    let mut program = Program::new();
    for _ in 0..6000 {
        let block = program.alloc(StackId::NONE, 24);
        program.free(block);
    }
    let tier = replayed(&program.finish());
    holds(
        one(&tier, Topic::Tier),
        &["the default serves this program best"],
    );
}
