//! Files for other tools, read back: by libraries where there are some, else by their documented fields.

mod common;

use std::io::Read as _;

use alligator_report::Report;
use alligator_report::export::pprof_message::Profile;
use alligator_report::export::{Format, Value, export};
use common::{Trace, header, report, small};
use prost::Message as _;
use serde_json::Value as Json;

fn file(report: &Report, format: Format, value: Value) -> Vec<u8> {
    export(report, format, value).expect("a file")
}

fn text(report: &Report, format: Format, value: Value) -> String {
    String::from_utf8(file(report, format, value)).expect("text")
}

fn json(report: &Report, format: Format) -> Json {
    serde_json::from_slice(&file(report, format, Value::Peak)).expect("JSON")
}

#[test]
fn collapsed_stacks_have_a_line_each() {
    let report = report(&small());
    let peak = "main;load;alloc::boxed::Box<T>::new 124\nmain;parse 1000\nmain;parse;grow 300\n";
    assert_eq!(text(&report, Format::Collapsed, Value::Peak), peak);
    let end = "main;load;alloc::boxed::Box<T>::new 116\nmain;parse 8\n";
    assert_eq!(text(&report, Format::Collapsed, Value::End), end);
    let blocks = "main;load;alloc::boxed::Box<T>::new 3\nmain;parse 3\nmain;parse;grow 2\n";
    assert_eq!(text(&report, Format::Collapsed, Value::Blocks), blocks);
}

#[test]
fn inferno_draws_collapsed_stacks() {
    let collapsed = text(&report(&small()), Format::Collapsed, Value::Bytes);
    let mut options = inferno::flamegraph::Options::default();
    let mut picture = Vec::new();
    inferno::flamegraph::from_lines(&mut options, collapsed.lines(), &mut picture)
        .expect("a picture");
    let picture = String::from_utf8(picture).expect("SVG");
    assert!(
        picture.contains("main (1,698 samples, 100.00%)"),
        "{picture}"
    );
    assert!(picture.contains("grow (500 samples"));
}

#[test]
fn names_of_any_kind_stay_in_their_line() {
    let mut trace = Trace::new(&header());
    let site = trace.site(&["a;b", "c\nd", ""]);
    trace.alloc(site, 0x1000, 7);
    let report = report(&trace.finish());
    assert_eq!(
        text(&report, Format::Collapsed, Value::Peak),
        "a:b;c d;? 7\n"
    );
    let dot = text(&report, Format::Dot, Value::Peak);
    assert!(!dot.contains("c\nd"), "{dot}");
}

#[test]
fn pprof_has_the_types_of_go_and_the_sums_of_the_report() {
    let report = report(&small());
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&file(&report, Format::Pprof, Value::Peak)[..])
        .read_to_end(&mut bytes)
        .expect("gzip");
    let profile = Profile::decode(&bytes[..]).expect("a profile");
    let name = |index: i64| profile.string_table[usize::try_from(index).expect("small")].as_str();
    assert_eq!(name(0), "");
    let types: Vec<String> = profile
        .sample_type
        .iter()
        .map(|kind| format!("{}/{}", name(kind.r#type), name(kind.unit)))
        .collect();
    let expected = [
        "alloc_objects/count",
        "alloc_space/bytes",
        "inuse_objects/count",
        "inuse_space/bytes",
        "peak_objects/count",
        "peak_space/bytes",
    ];
    assert_eq!(types, expected);
    let sum = |at: usize| {
        profile
            .sample
            .iter()
            .map(|sample| sample.value[at])
            .sum::<i64>()
    };
    assert_eq!([0, 1, 2, 3, 4, 5].map(sum), [8, 1698, 3, 124, 4, 1424]);
    // The innermost function comes first.
    let stacks: Vec<Vec<&str>> = profile
        .sample
        .iter()
        .map(|sample| {
            let functions = sample.location_id.iter().map(|id| {
                let location = profile
                    .location
                    .iter()
                    .find(|location| location.id == *id)
                    .expect("defined");
                assert_eq!(location.mapping_id, profile.mapping[0].id);
                let function = profile
                    .function
                    .iter()
                    .find(|function| function.id == location.line[0].function_id);
                name(function.expect("defined").name)
            });
            functions.collect()
        })
        .collect();
    assert!(
        stacks.contains(&vec!["grow", "parse", "main"]),
        "{stacks:?}"
    );
    let grow = profile
        .function
        .iter()
        .find(|function| name(function.name) == "grow")
        .expect("a function");
    assert_eq!(name(grow.filename), "src/4.rs");
    assert_eq!(name(profile.default_sample_type), "peak_space");
    assert_eq!(name(profile.mapping[0].filename), "app.wasm");
}

#[test]
fn dhat_has_all_fields_of_version_2() {
    let dhat = json(&report(&small()), Format::Dhat);
    assert_eq!(dhat["dhatFileVersion"], 2);
    for field in [
        "mode", "verb", "bklt", "bkacc", "tu", "Mtu", "tuth", "cmd", "pid", "te", "tg", "pps",
        "ftbl",
    ] {
        assert!(!dhat[field].is_null(), "{field}");
    }
    // Microseconds.
    assert_eq!((&dhat["tg"], &dhat["te"]), (&9.into(), &15.into()));
    let points = dhat["pps"].as_array().expect("a list");
    let frames = dhat["ftbl"].as_array().expect("a list");
    assert_eq!(frames[0], "[root]");
    let grow = points.iter().find(|point| {
        let innermost = point["fs"][0].as_u64().expect("a number");
        frames[usize::try_from(innermost).expect("small")] == "0x100: grow (src/4.rs:40)"
    });
    let grow = grow.expect("a point");
    let figures = ["tb", "tbk", "tl", "mb", "mbk", "gb", "gbk", "eb", "ebk"]
        .map(|field| grow[field].as_u64());
    assert_eq!(figures, [500, 2, 8, 300, 1, 300, 1, 0, 0].map(Some));
    assert_eq!(grow["fs"].as_array().map(Vec::len), Some(3));
}

#[test]
fn trace_events_count_what_is_live() {
    let chrome = json(&report(&small()), Format::Chrome);
    let events = chrome["traceEvents"].as_array().expect("a list");
    for event in events {
        let phase = event["ph"].as_str().expect("a phase");
        assert!(["C", "i", "M"].contains(&phase), "{event}");
        assert!(event["name"].is_string() && event["pid"].is_number());
        assert!(phase == "M" || event["ts"].is_number());
    }
    let live: Vec<u64> = events
        .iter()
        .filter(|event| event["name"] == "live")
        .filter_map(|event| event["args"]["bytes"].as_u64())
        .collect();
    assert_eq!(
        live,
        [
            0, 0, 100, 150, 1150, 1300, 1400, 1400, 1424, 424, 400, 400, 400, 108, 124
        ]
    );
    let named = |name: &str| events.iter().filter(|event| event["name"] == name).count();
    assert_eq!(
        (named("frame"), named("memory grew"), named("peak")),
        (2, 1, 1)
    );
}

#[test]
fn a_heapprofile_is_a_tree_whose_sizes_add_up() {
    fn sum(node: &Json, ids: &mut Vec<u64>) -> u64 {
        for field in [
            "functionName",
            "scriptId",
            "url",
            "lineNumber",
            "columnNumber",
        ] {
            assert!(!node["callFrame"][field].is_null(), "{field}");
        }
        ids.push(node["id"].as_u64().expect("a number"));
        let children = node["children"].as_array().expect("a list");
        node["selfSize"].as_u64().expect("a number")
            + children.iter().map(|child| sum(child, ids)).sum::<u64>()
    }
    let profile = json(&report(&small()), Format::HeapProfile);
    let mut ids = Vec::new();
    assert_eq!(sum(&profile["head"], &mut ids), 1424);
    let samples = profile["samples"].as_array().expect("a list");
    let sizes: u64 = samples
        .iter()
        .filter_map(|sample| sample["size"].as_u64())
        .sum();
    assert_eq!(sizes, 1424);
    assert!(
        samples
            .iter()
            .all(|sample| ids.contains(&sample["nodeId"].as_u64().expect("a number")))
    );
    ids.sort_unstable();
    ids.dedup();
    // The root, main, load, new, parse, grow.
    assert_eq!(ids.len(), 6);
}

#[test]
fn a_deep_recursion_is_cut_short() {
    let mut trace = Trace::new(&header());
    let names: Vec<String> = (0..5000).map(|depth| format!("f{depth}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let site = trace.site(&names);
    trace.alloc(site, 0x1000, 7);
    let report = report(&trace.finish());
    let collapsed = text(&report, Format::Collapsed, Value::Peak);
    assert!(collapsed.starts_with("(deeper calls);f4600;") && collapsed.ends_with(";f4999 7\n"));
    assert!(!file(&report, Format::HeapProfile, Value::Peak).is_empty());
}

/// The column of a table that has no field in quotation marks.
fn column(table: &str, name: &str) -> Vec<String> {
    let mut lines = table.lines().map(|line| line.split(','));
    let at = lines
        .next()
        .and_then(|mut header| header.position(|field| field == name));
    let at = at.expect("a column");
    lines
        .map(|mut fields| fields.nth(at).expect("a field").to_owned())
        .collect()
}

#[test]
fn tables_have_a_row_for_each_site_and_bucket() {
    let report = report(&small());
    let sites = text(&report, Format::Csv, Value::Peak)
        .replace("\"main;load;alloc::boxed::Box<T>::new\"", "load");
    let stacks = column(&sites, "stack");
    assert_eq!(stacks.len(), 3);
    let grow = stacks
        .iter()
        .position(|stack| stack == "main;parse;grow")
        .expect("a row");
    assert_eq!(column(&sites, "taken_bytes")[grow], "500");
    assert_eq!(column(&sites, "mean_lifetime")[grow], "4");
    let timeline = text(&report, Format::CsvTimeline, Value::Peak);
    let live = column(&timeline, "live_bytes");
    assert_eq!(live.len(), 15);
    assert_eq!(live[8], "1424");
}

#[test]
fn a_field_that_separates_is_in_quotation_marks() {
    let mut trace = Trace::new(&header());
    let site = trace.site(&["f<a, \"b\">"]);
    trace.alloc(site, 0x1000, 7);
    let table = text(&report(&trace.finish()), Format::Csv, Value::Peak);
    assert!(table.contains("\n\"f<a, \"\"b\"\">\",1,7,"), "{table}");
}

#[test]
fn a_graph_has_functions_and_calls() {
    let dot = text(&report(&small()), Format::Dot, Value::Peak);
    assert!(dot.starts_with("digraph heap {") && dot.ends_with("}\n"));
    assert!(
        dot.contains("label=\"main\\n0 B of itself\\n1.39 KiB in all (100.0 %)\""),
        "{dot}"
    );
    assert!(
        dot.contains("label=\"parse\\n1000 B of itself\\n1.26 KiB in all (91.2 %)\""),
        "{dot}"
    );
    assert_eq!(dot.matches(" -> ").count(), 4);
}
