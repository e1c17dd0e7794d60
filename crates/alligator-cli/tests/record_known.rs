//! What is recorded, event by event: of a program whose calls are known, and of random calls that a host makes and counts.

mod common;

use alligator_trace::{Kind, Reader};
use common::{Host, Told, alligator, record, scratch, told};
use wasmtime::Val;

const KNOWN: &str = include_str!("programs/known.wat");

fn alloc(address: u64, size: u64) -> Told {
    Told::Kind(Kind::Alloc {
        address,
        size,
        align: 0,
        zeroed: false,
    })
}

fn realloc(old: u64, address: u64, size: u64) -> Told {
    Told::Kind(Kind::Realloc {
        old,
        address,
        size,
        align: 0,
    })
}

fn free(address: u64) -> Told {
    Told::Kind(Kind::Free { address })
}

fn grow(before: u64, after: u64) -> Told {
    Told::Kind(Kind::Grow { before, after })
}

fn mark(name: &str) -> Told {
    Told::Mark(name.to_owned())
}

/// What `calls` of `known.wat` does, after its start function, and a call of the host.
fn expected() -> Vec<Told> {
    vec![
        alloc(1024, 5),
        alloc(1032, 10),
        realloc(1032, 1048, 100),
        free(1048),
        alloc(1152, 20),
        alloc(1176, 30),
        mark("frame"),
        Told::Kind(Kind::Alloc {
            address: 1208,
            size: 21,
            align: 0,
            zeroed: true,
        }),
        Told::Kind(Kind::Alloc {
            address: 1280,
            size: 1,
            align: 64,
            zeroed: false,
        }),
        grow(1, 3),
        alloc(0, 0x20_0000),
        alloc(1288, 8),
        mark("ame"),
        grow(3, 4),
        alloc(1296, 200_000),
        alloc(201_296, 1),
    ]
}

#[test]
fn a_program_whose_calls_are_known_is_recorded_so() {
    let folder = scratch("known");
    for options in [
        &[][..],
        &["--import"],
        &["--stacks"],
        &["--import", "--stacks"],
    ] {
        let mut host = Host::start(&record(&folder, "known.wat", KNOWN, options));
        host.call("calls", &[]);
        let block = host.call("malloc", &[Val::I32(1)]);
        assert_eq!(block, 201_296, "{options:?}");
        assert_eq!(host.told(), expected(), "{options:?}");
    }
}

#[test]
fn what_was_not_asked_for_stays_as_it_was() {
    let folder = scratch("same");
    let bytes = wat::parse_str(KNOWN).expect("is a module");
    let mut host = Host::start(&bytes);
    host.call("calls", &[]);
    let (next, memory) = (host.call("next", &[]), host.memory());
    for options in [&[][..], &["--import"], &["--stacks"], &["--sample", "50"]] {
        let mut host = Host::start(&record(&folder, "same.wat", KNOWN, options));
        host.call("calls", &[]);
        assert_eq!(host.call("next", &[]), next, "{options:?}");
        assert!(host.memory() == memory, "the memory differs: {options:?}");
    }
}

#[test]
fn stacks_have_the_callers_from_the_innermost() {
    let folder = scratch("stacks");
    for options in [&["--stacks"][..], &["--stacks", "--import"]] {
        let mut host = Host::start(&record(&folder, "stacks.wat", KNOWN, options));
        host.call("calls", &[]);
        let bytes = host.trace();
        let mut reader = Reader::new(&bytes[..]).expect("a header");
        assert!(reader.header().stacks);
        let mut stacks = Vec::new();
        while let Some(event) = reader.next_event().expect("whole") {
            let names: Vec<&str> = reader
                .sites()
                .frames(event.site)
                .map(|it| it.name)
                .collect();
            stacks.push(names.join(" < "));
        }
        // The caller of a tail call is gone.
        let calls = "calls";
        let expected = [
            "begin",
            "leaf < calls",
            calls,
            calls,
            "middle < calls",
            calls,
            calls,
            calls,
            calls,
            calls,
            calls,
            calls,
            calls,
            calls,
            calls,
        ];
        assert_eq!(stacks, expected, "{options:?}");
    }
}

#[test]
fn a_full_buffer_is_handed_over_or_becomes_larger() {
    let folder = scratch("full");
    for takes in [true, false] {
        let mut host = Host::start(&record(&folder, "full.wat", KNOWN, &[]));
        host.takes = takes;
        host.call_taking("many", &[Val::I32(50_000)]);
        host.takes = true;
        let told = host.told();
        assert_eq!(
            told.len(),
            1 + 100_000
                + told
                    .iter()
                    .filter(|it| matches!(it, Told::Kind(Kind::Grow { .. })))
                    .count()
        );
        let frees = told
            .iter()
            .filter(|it| matches!(it, Told::Kind(Kind::Free { .. })));
        assert_eq!(frees.count(), 50_000);
        assert_eq!(host.handed_over > 1, takes, "{}", host.handed_over);
    }
}

#[test]
fn a_sample_is_as_large_as_it_should_be() {
    let folder = scratch("sample");
    for options in [&["--sample", "160"][..], &["--sample", "160", "--import"]] {
        let mut host = Host::start(&record(&folder, "sample.wat", KNOWN, options));
        // Each block has 16 bytes: one in ten is recorded, and given back.
        host.call("many", &[Val::I32(50_000)]);
        let told = host.told();
        let count = |is: fn(&Kind) -> bool| {
            let kinds = told.iter().filter_map(|it| match it {
                Told::Kind(kind) => Some(kind),
                Told::Mark(_) => None,
            });
            kinds.filter(|it| is(it)).count()
        };
        let allocs = count(|it| matches!(it, Kind::Alloc { size: 16, .. }));
        assert!((4_700..5_300).contains(&allocs), "{allocs} {options:?}");
        assert_eq!(
            count(|it| matches!(it, Kind::Free { .. })),
            allocs,
            "{options:?}"
        );
        assert!(count(|it| matches!(it, Kind::Grow { .. })) > 5);
    }
}

#[test]
fn a_browser_takes_what_a_second_memory_holds() {
    let browser = std::process::Command::new("chromium")
        .arg("--version")
        .output();
    if browser.is_err() {
        println!("left out: a browser: no chromium");
        return;
    }
    let folder = scratch("browser");
    let module = record(&folder, "page.wat", KNOWN, &["--stacks"]);
    let hex = module
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["record.js", "trace.js"] {
        std::fs::copy(root.join("../../npm").join(name), folder.join(name)).expect("can be copied");
    }
    let page = std::fs::read_to_string(root.join("tests/programs/page.html")).expect("is there");
    std::fs::write(folder.join("page.html"), page.replace("MODULE", &hex)).expect("can be written");
    let output = std::process::Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--allow-file-access-from-files",
        ])
        .args(["--virtual-time-budget=60000", "--dump-dom"])
        .arg(format!("file://{}", folder.join("page.html").display()))
        .output()
        .expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let trace = text
        .split("trace:")
        .nth(1)
        .and_then(|it| it.split(":trace").next());
    let trace = trace.unwrap_or_else(|| panic!("no trace in {text}"));
    let bytes: Vec<u8> = (0..trace.len() / 2)
        .map(|at| u8::from_str_radix(&trace[2 * at..2 * at + 2], 16).expect("is hexadecimal"))
        .collect();
    let events = told(&bytes);
    let known = &expected()[..15];
    assert_eq!(&events[..15], known);
    assert_eq!(events.last(), Some(&mark("from the page")));
    let frees = events
        .iter()
        .filter(|it| matches!(it, Told::Kind(Kind::Free { .. })));
    assert_eq!(frees.count(), 1 + 30_000);
}

#[test]
fn what_cannot_be_recorded_is_told_in_a_line_and_nothing_is_written() {
    let folder = scratch("refused");
    let of = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).expect("can be written");
        let output = alligator(&["record", name, "-o", "out.wasm"], &folder);
        assert!(!folder.join("out.wasm").exists(), "{name} was written");
        let line = String::from_utf8(output.stderr).expect("is UTF-8");
        assert_eq!(line.lines().count(), 1, "{line}");
        (output.status.code(), line)
    };
    let module = |text| wat::parse_str(text).expect("is a module");
    let (status, line) = of("cut.wasm", &module(KNOWN)[..40]);
    assert_eq!(status, Some(3), "{line}");
    assert!(
        line.contains("cut.wasm") && line.contains("offset"),
        "{line}"
    );
    assert_eq!(of("text.wasm", b"(module)").0, Some(3));
    let (status, line) = of("component.wasm", &module("(component)"));
    assert_eq!(status, Some(3), "{line}");
    let (status, line) = of("none.wasm", &module("(module (memory 1))"));
    assert_eq!(status, Some(2), "{line}");
    let again = record(&folder, "again.wat", KNOWN, &[]);
    std::fs::remove_file(folder.join("recorded.wasm")).expect("was written");
    let (status, line) = of("again.wasm", &again);
    assert_eq!(status, Some(3), "{line}");
    assert!(line.contains("records its heap already"), "{line}");
}
