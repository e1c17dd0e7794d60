//! Every figure of a trace that is small enough to be reckoned by hand, and of a few for one thing each.

mod common;

use alligator_report::{Comparison, Leaks, Limits, Options, Report, analyse, page, text};
use alligator_trace::{Clock, Header, Kind, StackId};
use common::{Trace, header, report, small};

/// The row of the site with this function innermost.
fn site<'a>(report: &'a Report, name: &str) -> &'a alligator_report::SiteRow {
    let is = |row: &&alligator_report::SiteRow| {
        let frames = report.stacks.frames(StackId(row.site));
        frames.map(|frame| frame.name).next() == Some(name)
    };
    report.sites.iter().find(is).expect("a site of this name")
}

#[test]
fn the_peak_is_where_most_bytes_are_live() {
    let report = report(&small());
    let peak = report.peak;
    assert_eq!(
        (peak.events, peak.bytes, peak.blocks, peak.pages),
        (9, 1424, 4, 2)
    );
    assert_eq!(peak.time_ns, 9000);
    let end = report.end;
    assert_eq!(
        (end.events, end.bytes, end.blocks, end.pages),
        (15, 124, 3, 2)
    );
}

#[test]
fn counts_take_a_resize_as_one_block_given_back_and_one_taken() {
    let report = report(&small());
    let counts = report.counts;
    assert_eq!((counts.taken, counts.resized), (8, 2));
    assert_eq!(
        counts.taken_bytes,
        100 + 50 + 1000 + 200 + 300 + 24 + 8 + 16
    );
    assert_eq!(counts.given_back, 5);
    assert_eq!(report.events, 15);
    assert_eq!(report.threads, [15]);
    let oddities = report.oddities;
    assert_eq!(
        (
            oddities.refused,
            oddities.unknown,
            oddities.replaced,
            oddities.lost
        ),
        (1, 1, 1, 0)
    );
}

#[test]
fn the_time_line_has_the_course_of_it() {
    let report = report(&small());
    assert_eq!(report.timeline.len(), 15);
    let peaks: Vec<u64> = report
        .timeline
        .iter()
        .map(|bucket| bucket.peak_bytes)
        .collect();
    assert_eq!(peaks[..6], [0, 0, 100, 150, 1150, 1300]);
    assert_eq!(report.timeline[0].pages, 2);
    let taken: u64 = report
        .timeline
        .iter()
        .map(|bucket| bucket.taken_bytes)
        .sum();
    assert_eq!(taken, report.counts.taken_bytes);

    let trace = small();
    let options = Options {
        buckets: 4,
        ..Options::default()
    };
    let short = analyse("app", || Ok(&trace[..]), &options)
        .expect("a trace")
        .report;
    let ends: Vec<u64> = short.timeline.iter().map(|bucket| bucket.moment).collect();
    assert_eq!(ends, [3, 7, 11, 15]);
    let peaks: Vec<u64> = short
        .timeline
        .iter()
        .map(|bucket| bucket.peak_bytes)
        .collect();
    assert_eq!(peaks, [100, 1400, 1424, 400]);
}

#[test]
fn sites_have_what_they_took_and_what_is_left() {
    let report = report(&small());
    assert_eq!(report.sites.len(), 3);
    let load = site(&report, "alloc::boxed::Box<T>::new");
    assert_eq!((load.taken.blocks, load.taken.bytes), (3, 140));
    assert_eq!((load.peak.blocks, load.peak.bytes), (2, 124));
    assert_eq!((load.end.blocks, load.end.bytes), (2, 116));
    assert_eq!((load.most.blocks, load.most.bytes), (2, 124));
    assert_eq!((load.size_min, load.size_max), (16, 100));
    assert_eq!((load.given_back(), load.mean_lifetime()), (1, Some(2)));
    assert_eq!(load.lifetimes_ns, 2000);
    assert_eq!(load.stayed_by_quarter, [1, 0, 0, 1]);
    let parse = site(&report, "parse");
    assert_eq!((parse.taken.blocks, parse.taken.bytes), (3, 1058));
    // 50 bytes lived from 4 to 6, 1,000 from 5 to 10.
    assert_eq!((parse.lifetimes, parse.mean_lifetime()), (7, Some(3)));
    assert_eq!(
        (parse.most.bytes, parse.peak.bytes, parse.end.bytes),
        (1050, 1000, 8)
    );
    let grow = site(&report, "grow");
    assert_eq!(
        (grow.taken.blocks, grow.taken.bytes, grow.resized),
        (2, 500, 2)
    );
    assert_eq!((grow.peak.bytes, grow.end.bytes), (300, 0));
    // 200 bytes lived from 6 to 7; 300 from 7 to 14, when their address was given away.
    assert_eq!(grow.lifetimes, 1 + 7);
}

#[test]
fn sizes_and_lifetimes_add_up() {
    let report = report(&small());
    let sizes: Vec<(u64, u64, u64, u64)> = report
        .sizes
        .iter()
        .map(|row| (row.size_max, row.taken, row.peak_bytes, row.end_bytes))
        .collect();
    let expected = [
        (8, 1, 0, 8),
        (16, 1, 0, 16),
        (24, 1, 24, 0),
        (64, 1, 0, 0),
        (128, 1, 100, 100),
        (256, 1, 0, 0),
        (384, 1, 300, 0),
        (1024, 1, 1000, 0),
    ];
    assert_eq!(sizes, expected);
    let lifetimes: Vec<(Option<u64>, u64, u64)> = report
        .lifetimes
        .iter()
        .map(|row| (row.events_max, row.blocks, row.bytes))
        .collect();
    // 1 event: 200; 2 events: 50 and 24; 5 and 7: 1,000 and 300; what is left: 100, 8, 16.
    assert_eq!(
        lifetimes,
        [
            (Some(1), 1, 200),
            (Some(4), 2, 74),
            (Some(16), 2, 1300),
            (None, 3, 124)
        ]
    );
}

#[test]
fn holes_lie_between_live_blocks() {
    let report = report(&small());
    let figures = report.fragmentation.expect("not sampled");
    // At the peak: 0x1000 + 100, 0x1200 + 300, 0x2000 + 24, 0x12000 + 1000.
    assert_eq!((figures.live.blocks, figures.live.bytes), (4, 1424));
    assert_eq!((figures.lowest, figures.highest), (0x1000, 0x12000 + 1000));
    let holes = [
        0x1200 - 0x1000 - 100,
        0x2000 - 0x1200 - 300,
        0x12000 - 0x2000 - 24,
    ];
    assert_eq!(figures.holes, 3);
    assert_eq!(figures.hole_bytes, holes.iter().sum::<u64>());
    assert_eq!(figures.hole_max, holes[2]);
    let rows: Vec<(Option<u64>, u64)> = figures
        .by_size
        .iter()
        .map(|row| (row.size_max, row.holes))
        .collect();
    assert_eq!(rows, [(Some(1024), 1), (Some(4096), 1), (Some(65_536), 1)]);
    assert_eq!((figures.pages, figures.memory_bytes), (2, 131_072));
    assert_eq!(
        (
            figures.spanned_pages,
            figures.empty_pages,
            figures.overlap_bytes
        ),
        (2, 0, 0)
    );
}

#[test]
fn what_stays_lies_in_pages() {
    let stays = report(&small()).stays.expect("not sampled");
    assert_eq!((stays.live.blocks, stays.live.bytes), (3, 124));
    // Taken up to event 3 of 15.
    assert_eq!((stays.early.blocks, stays.early.bytes), (1, 100));
    assert_eq!((stays.pages, stays.thin_pages), (1, 1));
    let [row] = stays.lowest[..] else {
        panic!("one page")
    };
    assert_eq!(
        (row.page, row.live.blocks, row.live.bytes, row.site_bytes),
        (0, 3, 124, 116)
    );
}

#[test]
fn a_page_is_held_by_blocks_that_start_before_it() {
    let mut trace = Trace::new(&Header {
        pages: 8,
        ..header()
    });
    let site = trace.site(&["main"]);
    // Pages 0 to 2, the last for 8 bytes; 4 for 4,096 bytes, a sixteenth; 5 for 4,095.
    trace.alloc(site, 0x8000, 0x18008);
    trace.alloc(site, 0x40000, 4096);
    trace.alloc(site, 0x50000, 4095);
    let report = report(&trace.finish());
    let stays = report.stays.expect("not sampled");
    assert_eq!((stays.pages, stays.thin_pages), (5, 2));
    let figures = report.fragmentation.expect("not sampled");
    assert_eq!((figures.spanned_pages, figures.empty_pages), (6, 1));
}

#[test]
fn resizes_and_chains() {
    let report = report(&small());
    let resizes = &report.resizes;
    assert_eq!(
        (resizes.count, resizes.moved, resizes.grown, resizes.copied),
        (2, 1, 2, 50)
    );
    let first = resizes.biggest[0];
    assert_eq!(
        (first.moment, first.old_size, first.new_size, first.moved),
        (6, 50, 200, true)
    );
    let [chain] = resizes.chains[..] else {
        panic!("one chain")
    };
    assert_eq!(
        (chain.chains, chain.resizes, chain.longest, chain.leaps),
        (1, 2, 2, 2)
    );
    assert_eq!(
        (chain.first_size, chain.last_size, chain.copied),
        (50, 300, 50)
    );
}

#[test]
fn the_biggest_resizes_are_counted_by_kind() {
    let mut trace = Trace::new(&header());
    let site = trace.site(&["main"]);
    for round in 0..20 {
        trace.alloc(site, 0x1000, 8);
        let large = 0x9000 + round * 0x100;
        trace.realloc(site, 0x1000, large, 16);
        trace.realloc(site, large, 0x1000, 32 + round % 12);
        trace.free(0x1000);
    }
    let report = report(&trace.finish());
    let biggest: Vec<(u64, u64)> = report
        .resizes
        .biggest
        .iter()
        .map(|row| (row.new_size, row.count))
        .collect();
    // 16 bytes are copied to each of 32 to 43; 8 of these sizes came twice.
    let expected =
        [43, 42, 41, 40, 39, 38, 37, 36, 35, 34].map(|size| (size, if size < 40 { 2 } else { 1 }));
    assert_eq!(biggest, expected);
}

#[test]
fn a_refused_resize_leaves_the_block() {
    let mut trace = Trace::new(&header());
    let site = trace.site(&["main"]);
    trace.alloc(site, 0x1000, 16);
    trace.realloc(site, 0x1000, 0, 1 << 30);
    trace.realloc(site, 0, 0x2000, 32);
    let report = report(&trace.finish());
    assert_eq!((report.end.blocks, report.end.bytes), (2, 48));
    assert_eq!((report.oddities.refused, report.oddities.unknown), (1, 0));
    assert_eq!((report.counts.resized, report.resizes.count), (0, 0));
}

#[test]
fn growths_have_their_time() {
    let mut trace = Trace::new(&header());
    trace.grow(1, 3);
    trace.grow(3, 4);
    let report = report(&trace.finish());
    let growths = &report.growths;
    assert_eq!(
        (growths.count, growths.first_pages, growths.step_max),
        (2, 1, 2)
    );
    let longest = growths.longest.expect("two");
    assert_eq!((longest.moment, longest.since_ns), (1, 1000));
    assert!(text(&report, 5).contains("1.00 µs, at event 1"));
}

#[test]
fn marks_have_what_was_taken_between_them() {
    let report = report(&small());
    let [row] = &report.marks[..] else {
        panic!("one name")
    };
    assert_eq!((row.name.as_str(), row.count), ("frame", 2));
    assert_eq!((row.taken, row.taken_bytes, row.taken_max), (5, 1650, 5));
    assert_eq!(row.places, [(2, 2000), (8, 8000)]);
}

#[test]
fn only_sites_whose_blocks_pile_up_are_growing() {
    let mut trace = Trace::new(&header());
    let once = trace.site(&["once"]);
    let piling = trace.site(&["piling"]);
    for index in 0..50 {
        trace.alloc(once, 0x10000 + index * 64, 64);
    }
    for index in 0..50 {
        trace.alloc(piling, 0x20000 + index * 16, 16);
        trace.alloc(once, 0x30000, 8);
        trace.free(0x30000);
    }
    let report = report(&trace.finish());
    let leaks: Vec<(u64, bool)> = report
        .leaks()
        .iter()
        .map(|row| (row.end.bytes, row.is_growing()))
        .collect();
    assert_eq!(leaks, [(800, true), (3200, false)]);
}

#[test]
fn a_sampled_trace_is_scaled_and_has_no_places() {
    let mut trace = Trace::new(&Header {
        sample_bytes: 1000,
        ..header()
    });
    let site = trace.site(&["main"]);
    trace.alloc(site, 0x1000, 100);
    trace.alloc(site, 0x2000, 5000);
    trace.realloc(site, 0x1000, 0x3000, 200);
    let report = report(&trace.finish());
    // 100 bytes stand for ten blocks, and still do at 200 bytes.
    assert_eq!((report.end.blocks, report.end.bytes), (11, 7000));
    assert!(report.fragmentation.is_none() && report.stays.is_none());
    assert!(text(&report, 5).contains("sampled"));
}

#[test]
fn an_empty_trace_has_an_empty_report() {
    let trace = Trace::new(&Header {
        clock: Clock::None,
        ..header()
    })
    .finish();
    let analysis = common::analysis(&trace);
    let report = &analysis.report;
    assert_eq!((report.events, report.peak.bytes), (0, 0));
    assert!(text(report, 5).contains("0 B live"));
    assert!(page(&analysis, None).is_ok());
}

#[test]
fn a_trace_that_breaks_off_is_reported_as_far_as_it_goes() {
    let mut trace = Trace::new(&header());
    let site = trace.site(&["main"]);
    trace.alloc(site, 0x1000, 100);
    trace.writer.flush().expect("written");
    trace.alloc(site, 0x2000, 100);
    let whole = trace.finish();
    let cut = (0..whole.len()).rev().map(|length| &whole[..length]);
    let report = cut
        .map(|cut| analyse("cut", || Ok(cut), &common::options()))
        .find_map(|result| result.ok().filter(|analysis| analysis.report.events == 1))
        .expect("the first block is whole")
        .report;
    assert_eq!(report.end.bytes, 100);
    assert!(text(&report, 5).contains("breaks off"));
}

#[test]
fn what_is_no_trace_is_refused() {
    let error = analyse("no", || Ok(&b"what?"[..]), &common::options()).expect_err("no trace");
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn limits_say_what_is_exceeded() {
    let one = report(&small());
    let mut trace = Trace::new(&header());
    let site = trace.site(&["main"]);
    trace.alloc(site, 0x1000, 1420);
    trace.free(0x1000);
    let other = report(&trace.finish());
    let limits = Limits {
        leaks: Some(Leaks::Any),
        peak_max: Some(1423),
        ..Limits::default()
    };
    let failures = limits.failures(&one);
    assert_eq!(failures.len(), 2);
    assert!(
        failures[0].starts_with("leaks: 124 B in 3 blocks of 2 sites"),
        "{failures:?}"
    );
    assert!(failures[1].starts_with("peak: 1,424 bytes"), "{failures:?}");
    let limits = Limits {
        leaks: Some(Leaks::Growing),
        peak_max: Some(1424),
        ..Limits::default()
    };
    assert!(limits.failures(&one).is_empty());
    assert!(
        Limits {
            leaks: Some(Leaks::Any),
            ..Limits::default()
        }
        .failures(&other)
        .is_empty()
    );

    let baseline = |tolerance_percent| {
        Limits {
            baseline: Some(&other),
            tolerance_percent,
            ..Limits::default()
        }
        .failures(&one)
    };
    let named =
        |failures: Vec<String>, name: &str| failures.iter().any(|line| line.starts_with(name));
    assert!(named(baseline(0.0), "peak live: 1,424 bytes"));
    assert!(!named(baseline(1.0), "peak live"));
    assert!(named(
        baseline(1.0),
        "live at the end: 124 bytes, the baseline has 0"
    ));
    let same = Limits {
        baseline: Some(&one),
        ..Limits::default()
    };
    assert!(same.failures(&one).is_empty());
}

#[test]
fn a_comparison_matches_sites_by_their_functions() {
    let before = report(&small());
    let mut trace = Trace::new(&header());
    let parse = trace.site(&["main", "parse"]);
    trace.alloc(parse, 0x1000, 3000);
    let after = report(&trace.finish());
    let comparison = Comparison {
        before: &before,
        after: &after,
    };
    let peak = comparison.figures()[0];
    assert_eq!(
        (peak.name, peak.before, peak.after),
        ("peak live", 1424, 3000)
    );
    let text = alligator_report::text_of_two(&comparison, 9);
    let row = text
        .lines()
        .find(|line| line.contains("parse 5.rs:50 < main"))
        .expect("a row");
    assert!(
        row.contains("1000 B") && row.contains("2.92 KiB") && row.contains("+1.95 KiB"),
        "{row}"
    );
}

#[test]
fn a_page_holds_no_text_as_markup_and_loads_nothing() {
    let mut trace = Trace::new(&header());
    let site = trace.site(&["<script>alert(1)</script>"]);
    trace.alloc(site, 0x1000, 100);
    trace.mark("</script><img>");
    let trace = trace.finish();
    let analysis = common::analysis(&trace);
    let page = page(&analysis, Some(&analysis.report)).expect("a page");
    assert!(!page.contains("<script>alert") && !page.contains("<img"));
    assert!(page.contains("default-src 'none'"));
    for loading in ["src=", "href=", "@import", "url("] {
        assert!(!page.contains(loading), "{loading}");
    }
}

#[test]
fn lost_events_are_told() {
    let mut trace = Trace::new(&header());
    trace.event(StackId::NONE, Kind::Lost { events: 7 });
    let report = report(&trace.finish());
    assert_eq!(report.oddities.lost, 7);
    assert!(text(&report, 5).contains("7 events were lost"));
}
