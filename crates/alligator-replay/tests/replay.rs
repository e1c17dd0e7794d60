//! Traces whose right replay is known, and those that no allocator can replay.

use alligator_replay::{
    Allocators, Compiled, Fault, MALLOC_ALIGN, Op, Options, Recorder, Replayed, replay, rewrite,
    trace_of, write_trace,
};
use alligator_report::{Report, analyse};
use alligator_trace::{Frame, Header, Kind, Reader, StackId, Writer};
use anyhow::Result;
use proptest::prelude::*;

/// A trace of these events, each from one call stack.
fn trace(header: &Header, kinds: &[Kind]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), header).expect("a vector takes all bytes");
    let frame = Frame {
        function: 7,
        name: "app::parse",
        ..Frame::default()
    };
    let frame = writer.frame(&frame).expect("is written");
    let site = writer.stack(StackId::NONE, frame).expect("is written");
    for kind in kinds {
        writer.event(0, 0, site, *kind).expect("is an event");
    }
    writer.finish(Some("exit status 0")).expect("is written")
}

/// The same, with marks where an event is none.
fn marked(kinds: &[Option<Kind>]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &Header::default()).expect("takes all bytes");
    let name = writer.string("frame").expect("is written");
    for kind in kinds {
        let kind = kind.unwrap_or(Kind::Mark { name });
        writer
            .event(0, 0, StackId::NONE, kind)
            .expect("is an event");
    }
    writer.finish(None).expect("is written")
}

fn alloc(address: u64, size: u64, align: u64) -> Kind {
    Kind::Alloc {
        address,
        size,
        align,
        zeroed: false,
    }
}

fn free(address: u64) -> Kind {
    Kind::Free { address }
}

fn realloc(old: u64, address: u64, size: u64) -> Kind {
    Kind::Realloc {
        old,
        address,
        size,
        align: 8,
    }
}

fn report(bytes: &[u8]) -> Result<Report> {
    let options = alligator_report::Options::default();
    Ok(analyse("test", || Ok(bytes), &options)?.report)
}

fn on(name: &str, bytes: &[u8]) -> Result<Replayed> {
    let compiled = Allocators::shipped()?.named(name)?.compile()?;
    let report = report(bytes)?;
    replay(&compiled, &report, Reader::new(bytes)?, &Options::default())
}

/// Blocks of many sizes, which come and go.
fn busy() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for turn in 0..400_u64 {
        let address = 0x1000 + turn * 0x10000;
        kinds.push(alloc(address, 1 + turn * 37 % 5000, 8));
        if turn % 3 == 1 {
            kinds.push(realloc(address, address + 0x8000, 1 + turn * 91 % 9000));
        }
        if turn % 2 == 1 {
            let last = 0x1000 + (turn - 1) * 0x10000;
            let moved = (turn - 1) % 3 == 1;
            kinds.push(free(last + if moved { 0x8000 } else { 0 }));
        }
    }
    kinds
}

#[test]
fn calls_and_live_bytes_are_the_traces_on_every_allocator() -> Result<()> {
    let bytes = trace(&Header::default(), &busy());
    let report = report(&bytes)?;
    for allocator in Allocators::shipped()?.all() {
        let compiled = allocator.compile()?;
        let reader = Reader::new(&bytes[..])?;
        let replayed = replay(&compiled, &report, reader, &Options::default())?;
        let figures = &replayed.figures;
        let calls = figures
            .operations()
            .map(|one| one.steady.count + one.growing.count);
        assert_eq!(calls, [400, 200, 133], "{}", allocator.title());
        assert_eq!(figures.peak_live_bytes, report.peak.bytes);
        assert!(figures.fuel() > calls.iter().sum(), "{}", allocator.title());
    }
    Ok(())
}

#[test]
fn another_traces_report_is_noticed() -> Result<()> {
    let bytes = trace(&Header::default(), &busy());
    let compiled = Allocators::shipped()?.named("dlmalloc")?.compile()?;
    let fails = |change: &dyn Fn(&mut Report)| -> Result<String> {
        let mut report = report(&bytes)?;
        change(&mut report);
        let reader = Reader::new(&bytes[..])?;
        let replayed = replay(&compiled, &report, reader, &Options::default());
        let error = replayed.expect_err("is noticed");
        assert!(error.is::<Fault>());
        Ok(error.to_string())
    };
    let text = fails(&|report| report.peak.bytes += 1)?;
    assert!(text.contains("live bytes at the peak"), "{text}");
    let text = fails(&|report| report.end.bytes -= 1)?;
    assert!(text.contains("live bytes at the end"), "{text}");
    let text = fails(&|report| report.end.blocks += 1)?;
    assert!(
        text.contains("200 live blocks, the trace with 201"),
        "{text}"
    );
    let text = fails(&|report| report.counts.taken += 1)?;
    assert!(
        text.contains("400 allocations, 200 frees and 133 resizes"),
        "{text}"
    );
    Ok(())
}

#[test]
fn what_cannot_be_replayed_as_it_is_is_counted() -> Result<()> {
    let kinds = [
        alloc(0x100, 8, 8),
        alloc(0x100, 16, 8),
        alloc(0, 99, 8),
        alloc(0x200, 0, 0),
        free(0x900),
        free(0),
        realloc(0x800, 0x300, 40),
        Kind::Realloc {
            old: 0x100,
            address: 0x400,
            size: 32,
            align: 16,
        },
        Kind::Lost { events: 5 },
        free(0x200),
    ];
    let replayed = on("alligator", &trace(&Header::default(), &kinds))?;
    let oddities = replayed.oddities;
    assert_eq!([oddities.unseen, oddities.refused, oddities.empty], [1; 3]);
    assert_eq!(
        [oddities.unknown, oddities.realigned, oddities.lost],
        [2, 1, 5]
    );
    assert_eq!(oddities.notes().len(), 6);
    let calls = replayed
        .figures
        .operations()
        .map(|one| one.steady.count + one.growing.count);
    // The block whose address was given away is given back, too.
    assert_eq!(calls, [4, 2, 1]);
    Ok(())
}

#[test]
fn what_no_allocator_can_replay_is_said_in_one_line() {
    let says = |header: &Header, kinds: &[Kind], text: &str| {
        let error = on("dlmalloc", &trace(header, kinds)).expect_err(text);
        let shown = format!("{error:#}");
        assert!(shown.contains(text), "{shown}");
        assert_eq!(shown.lines().count(), 1, "{shown}");
    };
    let sampled = Header {
        sample_bytes: 512,
        ..Header::default()
    };
    says(
        &sampled,
        &[alloc(8, 8, 8)],
        "a sampled trace cannot be replayed",
    );
    let plain = Header::default();
    says(
        &plain,
        &[alloc(8, 1 << 31, 8)],
        "a block of 2147483648 bytes, too large",
    );
    says(
        &plain,
        &[alloc(1 << 40, 8, 1 << 33)],
        "an alignment of 8589934592 bytes",
    );
    let all = [alloc(1 << 20, 1 << 30, 8), alloc(1 << 32, 1 << 30, 8)];
    let four = [
        all,
        [alloc(1 << 33, 1 << 30, 8), alloc(1 << 34, 1 << 30, 8)],
    ]
    .concat();
    says(&plain, &four, "null for 1073741824 bytes");
}

#[test]
fn blocks_without_an_alignment_get_the_one_that_is_chosen() -> Result<()> {
    let kinds: Vec<Kind> = (1..=4000)
        .map(|number| alloc(number << 12, 24, 0))
        .collect();
    let bytes = trace(&Header::default(), &kinds);
    let report = report(&bytes)?;
    let compiled = Allocators::shipped()?.named("alligator")?.compile()?;
    let pages = |malloc_align| -> Result<u64> {
        let options = Options {
            malloc_align,
            ..Options::default()
        };
        let replayed = replay(&compiled, &report, Reader::new(&bytes[..])?, &options)?;
        Ok(replayed.figures.grown_pages)
    };
    // Slots of 24 bytes, and of 32.
    assert!(pages(8)? < pages(16)?);
    assert!(pages(24).is_err());
    Ok(())
}

#[test]
fn an_allocator_that_gives_a_block_twice_is_named_with_the_operation() -> Result<()> {
    const SAME: &str = r#"(module (memory (export "memory") 1)
        (func (export "op_alloc") (param i32 i32) (result i32) (i32.const 1024))
        (func (export "op_alloc_zeroed") (param i32 i32) (result i32) (i32.const 1024))
        (func (export "op_dealloc") (param i32 i32 i32))
        (func (export "op_realloc") (param i32 i32 i32 i32) (result i32) (local.get 0)))"#;
    let compiled = Compiled::new(&wat::parse_str(SAME)?, 1)?;
    let bytes = trace(&Header::default(), &[alloc(8, 24, 8), alloc(64, 24, 8)]);
    let error = replay(
        &compiled,
        &report(&bytes)?,
        Reader::new(&bytes[..])?,
        &Options::default(),
    );
    let text = format!("{:#}", error.expect_err("breaks its contract"));
    assert!(text.starts_with("operation 1, "), "{text}");
    assert!(
        text.contains("0x400..0x418 overlaps 0x400..0x418"),
        "{text}"
    );
    Ok(())
}

#[test]
fn frames_are_between_marks_and_know_where_memory_grew() -> Result<()> {
    let mut kinds = vec![None];
    for frame in 0..4_u64 {
        kinds.push(Some(alloc(
            0x1000 + frame * 0x10000,
            if frame == 2 { 900_000 } else { 24 },
            8,
        )));
        kinds.push(None);
    }
    let replayed = on("dlmalloc", &marked(&kinds))?;
    let [frame] = &replayed.frames[..] else {
        panic!("one name");
    };
    assert_eq!((frame.name.as_str(), frame.frames), ("frame", 4));
    // The first block, and the long one.
    assert_eq!((frame.grown, frame.last_grown), (2, 3));
    assert!(frame.fuel_max < frame.fuel && frame.fuel_max > frame.fuel / 4);
    assert_eq!(frame.fuel, replayed.figures.fuel());
    Ok(())
}

#[test]
fn memory_that_is_there_before_does_not_grow() -> Result<()> {
    let bytes = trace(&Header::default(), &busy());
    let report = report(&bytes)?;
    let compiled = Allocators::shipped()?.named("alligator")?.compile()?;
    let growing = |reserve_bytes| -> Result<u64> {
        let options = Options {
            reserve_bytes,
            ..Options::default()
        };
        let replayed = replay(&compiled, &report, Reader::new(&bytes[..])?, &options)?;
        let operations = replayed.figures.operations();
        Ok(operations.iter().map(|one| one.growing.count).sum())
    };
    assert!(growing(0)? > 3);
    assert_eq!(growing(8 << 20)?, 0);
    Ok(())
}

#[test]
fn a_rewritten_trace_has_the_same_calls_at_other_places() -> Result<()> {
    let bytes = trace(&Header::default(), &busy());
    let allocators = Allocators::shipped()?;
    let dlmalloc = allocators.named("dlmalloc")?;
    let compiled = dlmalloc.compile()?;
    let rewritten = rewrite(
        dlmalloc,
        &compiled,
        Reader::new(&bytes[..])?,
        MALLOC_ALIGN,
        Vec::new(),
    )?;
    let (old, new) = (report(&bytes)?, report(&rewritten)?);
    assert_eq!(new.header.allocator, dlmalloc.title());
    assert_eq!((new.peak.bytes, new.counts), (old.peak.bytes, old.counts));
    assert_eq!(new.sites.len(), 1);
    assert_eq!(
        alligator_report::site_name(&new.stacks, new.sites[0].site),
        "app::parse"
    );
    assert!(new.growths.count > 0 && old.growths.count == 0);
    assert_eq!(new.ending, old.ending);
    let (replayed, again) = (on("dlmalloc", &bytes)?, on("dlmalloc", &rewritten)?);
    assert_eq!(
        new.end.pages - new.growths.first_pages,
        replayed.figures.grown_pages
    );
    assert_eq!(again.figures.fuel(), replayed.figures.fuel());
    let cut = &bytes[..bytes.len() - 20];
    let error = rewrite(
        dlmalloc,
        &compiled,
        Reader::new(cut)?,
        MALLOC_ALIGN,
        Vec::new(),
    );
    assert!(
        error
            .expect_err("has no end")
            .to_string()
            .contains("breaks off")
    );
    Ok(())
}

#[test]
fn damaged_traces_are_refused_or_replayed_and_nothing_else() -> Result<()> {
    let bytes = trace(&Header::default(), &busy()[..40]);
    let compiled = Allocators::shipped()?.named("alligator-small")?.compile()?;
    let mut refused = 0;
    for at in 0..bytes.len() {
        for damaged in [bytes[..at].to_vec(), {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x55;
            bytes
        }] {
            let done = report(&damaged).and_then(|report| {
                let reader = Reader::new(&damaged[..])?;
                replay(&compiled, &report, reader, &Options::default())
            });
            if let Err(error) = done {
                assert_eq!(format!("{error:#}").lines().count(), 1, "{at}: {error:#}");
                refused += 1;
            }
        }
    }
    assert!(refused > bytes.len() / 2, "{refused} of {}", bytes.len());
    Ok(())
}

/// What to do next, of whatever is live.
#[derive(Clone, Debug)]
enum Step {
    Alloc(u32, u32, bool),
    Dealloc(usize),
    Realloc(usize, u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..100_000_u32, 0..8_u32, any::<bool>()).prop_map(|(s, a, z)| Step::Alloc(s, a, z)),
        any::<usize>().prop_map(Step::Dealloc),
        (any::<usize>(), 1..100_000_u32).prop_map(|(b, s)| Step::Realloc(b, s)),
    ]
}

proptest! {
    #[test]
    fn there_and_back_is_the_same(steps in prop::collection::vec(step(), 0..200)) {
        let mut recorder = Recorder::default();
        let mut live = Vec::new();
        for step in steps {
            match step {
                Step::Alloc(size, log, zeroed) => {
                    let block = alligator_replay::Block { size, align: 1 << log };
                    live.push(recorder.push_alloc(block, zeroed));
                }
                Step::Dealloc(at) if !live.is_empty() => {
                    let at = at % live.len();
                    recorder.dealloc(live.swap_remove(at));
                }
                Step::Realloc(at, size) if !live.is_empty() => {
                    recorder.realloc(live[at % live.len()], size);
                }
                _ => {}
            }
        }
        let trace = recorder.finish("random");
        let decoded = alligator_replay::Trace::decode("random", &trace.encode()).expect("whole");
        prop_assert_eq!(&decoded, &trace);
        let bytes = write_trace(&trace, Vec::new()).expect("a vector takes all bytes");
        let (back, oddities) =
            trace_of("random", Reader::new(&bytes[..]).expect("a header"), MALLOC_ALIGN).expect("is whole");
        prop_assert!(oddities.notes().is_empty());
        prop_assert_eq!(&back, &trace);
    }
}

#[test]
fn a_block_given_back_unseen_leaves_its_index() -> Result<()> {
    let kinds = [alloc(0x100, 24, 8), alloc(0x100, 48, 8), free(0x100)];
    let bytes = trace(&Header::default(), &kinds);
    let (trace, oddities) = trace_of("test", Reader::new(&bytes[..])?, MALLOC_ALIGN)?;
    assert_eq!((trace.block_count, trace.ops.len()), (1, 4));
    assert_eq!((trace.peak_live_bytes, oddities.unseen), (48, 1));
    Ok(())
}

#[test]
fn what_is_live_at_the_end_is_given_back_in_the_labs_format() -> Result<()> {
    let bytes = trace(
        &Header::default(),
        &[alloc(0x100, 24, 8), alloc(0x200, 48, 8), free(0x100)],
    );
    let (trace, _) = trace_of("test", Reader::new(&bytes[..])?, MALLOC_ALIGN)?;
    assert_eq!(
        trace.ops[2..],
        [Op::Dealloc { id: 0 }, Op::Dealloc { id: 1 }]
    );
    assert_eq!((trace.peak_live_bytes, trace.block_count), (72, 2));
    Ok(())
}
