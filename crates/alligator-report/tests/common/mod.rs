//! Traces for the tests.
#![allow(dead_code, reason = "each test uses a part of it")]

use alligator_report::{Analysis, Options, Report, analyse};
use alligator_trace::{Clock, Frame, Header, Kind, ModuleInfo, StackId, Writer};

/// A trace in the making. An event comes 1 µs after the one before.
pub(crate) struct Trace {
    pub(crate) writer: Writer<Vec<u8>>,
    time_ns: u64,
}

/// What is known of the program.
pub(crate) fn header() -> Header {
    Header {
        module: ModuleInfo {
            name: "app.wasm".to_owned(),
            sha256: "00".repeat(32),
            bytes: 9000,
        },
        allocator: "dlmalloc 2.8.x (C)".to_owned(),
        clock: Clock::Event,
        pages: 1,
        stacks: true,
        ..Header::default()
    }
}

impl Trace {
    pub(crate) fn new(header: &Header) -> Self {
        let writer = Writer::new(Vec::new(), header).expect("a vector takes all bytes");
        Self { writer, time_ns: 0 }
    }

    /// A call stack of functions, the outermost first. Each is on line 10 times its length of its own file.
    pub(crate) fn site(&mut self, functions: &[&str]) -> StackId {
        let mut site = StackId::NONE;
        for name in functions {
            let file = format!("src/{}.rs", name.len());
            let frame = Frame {
                function: 1,
                name,
                file: Some(&file),
                line: 10 * u32::try_from(name.len()).expect("short"),
                offset: 0x100,
            };
            let frame = self.writer.frame(&frame).expect("written");
            site = self.writer.stack(site, frame).expect("written");
        }
        site
    }

    pub(crate) fn event(&mut self, site: StackId, kind: Kind) {
        self.time_ns += 1000;
        let time_ns = self.time_ns;
        self.writer.event(time_ns, 0, site, kind).expect("written");
    }

    pub(crate) fn alloc(&mut self, by: StackId, address: u64, size: u64) {
        let (align, zeroed) = (8, false);
        self.event(
            by,
            Kind::Alloc {
                address,
                size,
                align,
                zeroed,
            },
        );
    }

    pub(crate) fn free(&mut self, address: u64) {
        self.event(StackId::NONE, Kind::Free { address });
    }

    pub(crate) fn realloc(&mut self, by: StackId, old: u64, address: u64, size: u64) {
        let align = 8;
        self.event(
            by,
            Kind::Realloc {
                old,
                address,
                size,
                align,
            },
        );
    }

    pub(crate) fn grow(&mut self, before: u64, after: u64) {
        self.event(StackId::NONE, Kind::Grow { before, after });
    }

    pub(crate) fn mark(&mut self, name: &str) {
        let name = self.writer.string(name).expect("written");
        self.event(StackId::NONE, Kind::Mark { name });
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.writer.finish(Some("exit status 0")).expect("written")
    }
}

pub(crate) fn options() -> Options {
    Options {
        blocks_max: 1000,
        ..Options::default()
    }
}

pub(crate) fn analysis(trace: &[u8]) -> Analysis {
    analyse("app.trace", || Ok(trace), &options()).expect("a trace")
}

pub(crate) fn report(trace: &[u8]) -> Report {
    analysis(trace).report
}

/// A small trace with something of everything. In the tests it is reckoned by hand.
///
/// ```text
///  event          live bytes, blocks
///   1 grow 1 to 2             0   0
///   2 mark frame              0   0
///   3 A 0x1000, 100         100   1   by load
///   4 A 0x1100, 50          150   2   by parse
///   5 A 0x12000, 1000      1150   3   by parse
///   6 R 0x1100 to 0x1200, 200         moves, 50 copied
///                          1300   3   by grow
///   7 R 0x1200, 300        1400   3   in place, by grow
///   8 mark frame           1400   3
///   9 A 0x2000, 24         1424   4   by load: the peak
///  10 F 0x12000             424   3   lived 5 events
///  11 F 0x2000              400   2   lived 2 events
///  12 A 0, 4096             400   2   refused
///  13 F 0x9999              400   2   unknown
///  14 A 0x1200, 8           108   2   0x1200 was live: replaced
///  15 A 0x3000, 16          124   3   by load
/// ```
pub(crate) fn small() -> Vec<u8> {
    let mut trace = Trace::new(&header());
    let load = trace.site(&["main", "load", "alloc::boxed::Box<T>::new"]);
    let parse = trace.site(&["main", "parse"]);
    let grow = trace.site(&["main", "parse", "grow"]);
    trace.grow(1, 2);
    trace.mark("frame");
    trace.alloc(load, 0x1000, 100);
    trace.alloc(parse, 0x1100, 50);
    trace.alloc(parse, 0x12000, 1000);
    trace.realloc(grow, 0x1100, 0x1200, 200);
    trace.realloc(grow, 0x1200, 0x1200, 300);
    trace.mark("frame");
    trace.alloc(load, 0x2000, 24);
    trace.free(0x12000);
    trace.free(0x2000);
    trace.alloc(load, 0, 4096);
    trace.free(0x9999);
    trace.alloc(parse, 0x1200, 8);
    trace.alloc(load, 0x3000, 16);
    trace.finish()
}
