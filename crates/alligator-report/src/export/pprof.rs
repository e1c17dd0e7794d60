//! pprof's `profile.proto`, gzipped. Source: github.com/google/pprof, proto/profile.proto.

use std::io::Write as _;

use crate::heap::FxHashMap;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;

use super::tree;
use crate::Error;
use crate::report::Report;

/// The messages of `profile.proto`.
#[expect(
    missing_docs,
    clippy::struct_excessive_bools,
    reason = "as profile.proto has them"
)]
pub mod message {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Profile {
        #[prost(message, repeated, tag = "1")]
        pub sample_type: Vec<ValueType>,
        #[prost(message, repeated, tag = "2")]
        pub sample: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub mapping: Vec<Mapping>,
        #[prost(message, repeated, tag = "4")]
        pub location: Vec<Location>,
        #[prost(message, repeated, tag = "5")]
        pub function: Vec<Function>,
        #[prost(string, repeated, tag = "6")]
        pub string_table: Vec<String>,
        #[prost(int64, tag = "10")]
        pub duration_nanos: i64,
        #[prost(message, optional, tag = "11")]
        pub period_type: Option<ValueType>,
        #[prost(int64, tag = "12")]
        pub period: i64,
        #[prost(int64, tag = "14")]
        pub default_sample_type: i64,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct ValueType {
        #[prost(int64, tag = "1")]
        pub r#type: i64,
        #[prost(int64, tag = "2")]
        pub unit: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Sample {
        #[prost(uint64, repeated, tag = "1")]
        pub location_id: Vec<u64>,
        #[prost(int64, repeated, tag = "2")]
        pub value: Vec<i64>,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Mapping {
        #[prost(uint64, tag = "1")]
        pub id: u64,
        #[prost(uint64, tag = "3")]
        pub memory_limit: u64,
        #[prost(int64, tag = "5")]
        pub filename: i64,
        #[prost(int64, tag = "6")]
        pub build_id: i64,
        #[prost(bool, tag = "7")]
        pub has_functions: bool,
        #[prost(bool, tag = "8")]
        pub has_filenames: bool,
        #[prost(bool, tag = "9")]
        pub has_line_numbers: bool,
        #[prost(bool, tag = "10")]
        pub has_inline_frames: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Location {
        #[prost(uint64, tag = "1")]
        pub id: u64,
        #[prost(uint64, tag = "2")]
        pub mapping_id: u64,
        #[prost(uint64, tag = "3")]
        pub address: u64,
        #[prost(message, repeated, tag = "4")]
        pub line: Vec<Line>,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Line {
        #[prost(uint64, tag = "1")]
        pub function_id: u64,
        #[prost(int64, tag = "2")]
        pub line: i64,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Function {
        #[prost(uint64, tag = "1")]
        pub id: u64,
        #[prost(int64, tag = "2")]
        pub name: i64,
        #[prost(int64, tag = "3")]
        pub system_name: i64,
        #[prost(int64, tag = "4")]
        pub filename: i64,
    }
}

use message::{Function, Line, Location, Mapping, Profile, Sample, ValueType};

/// Texts, each once. The first is empty, as the format asks.
#[derive(Default)]
struct Strings {
    texts: Vec<String>,
    known: FxHashMap<String, i64>,
}

impl Strings {
    fn id(&mut self, text: &str) -> i64 {
        if let Some(id) = self.known.get(text) {
            return *id;
        }
        let id = signed(self.texts.len() as u64);
        self.texts.push(text.to_owned());
        self.known.insert(text.to_owned(), id);
        id
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn write(report: &Report) -> Result<Vec<u8>, Error> {
    let profile = profile(report).encode_to_vec();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&profile)?;
    Ok(gzip.finish()?)
}

/// Types of samples as Go has them, and the peak's besides.
fn profile(report: &Report) -> Profile {
    let mut strings = Strings::default();
    strings.id("");
    let mut value_type = |name: &str, unit: &str| ValueType {
        r#type: strings.id(name),
        unit: strings.id(unit),
    };
    let sample_type = vec![
        value_type("alloc_objects", "count"),
        value_type("alloc_space", "bytes"),
        value_type("inuse_objects", "count"),
        value_type("inuse_space", "bytes"),
        value_type("peak_objects", "count"),
        value_type("peak_space", "bytes"),
    ];
    let mut profile = Profile {
        sample_type,
        duration_nanos: signed(report.end.time_ns),
        period_type: Some(value_type("space", "bytes")),
        period: signed(report.header.sample_bytes.max(1)),
        ..Profile::default()
    };
    let mut locations = FxHashMap::default();
    let mut functions = FxHashMap::default();
    for row in &report.sites {
        let mut ids = Vec::new();
        // The innermost first.
        for frame in tree::stack(report, row.site).iter().rev() {
            let file = frame.file.unwrap_or_default();
            let next = functions.len() as u64 + 1;
            let function = *functions.entry((frame.name, file)).or_insert_with(|| {
                profile.function.push(Function {
                    id: next,
                    name: strings.id(frame.name),
                    system_name: strings.id(frame.name),
                    filename: strings.id(file),
                });
                next
            });
            let next = locations.len() as u64 + 1;
            let location = (function, frame.line, frame.offset);
            ids.push(*locations.entry(location).or_insert_with(|| {
                profile.location.push(Location {
                    id: next,
                    mapping_id: 1,
                    address: frame.offset,
                    line: vec![Line {
                        function_id: function,
                        line: i64::from(frame.line),
                    }],
                });
                next
            }));
        }
        let values = [row.taken, row.end, row.peak];
        profile.sample.push(Sample {
            location_id: ids,
            value: values
                .iter()
                .flat_map(|amount| [signed(amount.blocks), signed(amount.bytes)])
                .collect(),
        });
    }
    let module = &report.header.module;
    profile.mapping.push(Mapping {
        id: 1,
        memory_limit: module.bytes,
        filename: strings.id(&module.name),
        build_id: strings.id(&module.sha256),
        has_functions: true,
        has_filenames: true,
        has_line_numbers: true,
        has_inline_frames: true,
    });
    profile.default_sample_type = strings.id("peak_space");
    profile.string_table = strings.texts;
    profile
}
