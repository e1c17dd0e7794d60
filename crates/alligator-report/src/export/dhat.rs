//! JSON of Valgrind's DHAT, version 2. Source: Valgrind, `dhat/dh_main.c`, "File format".

use crate::heap::FxHashMap;
use serde::Serialize;

use super::{json, tree};
use crate::Error;
use crate::report::{Moment, Report};
use crate::sites::frame_name;

#[derive(Serialize)]
struct Dhat {
    #[serde(rename = "dhatFileVersion")]
    file_version: u32,
    mode: &'static str,
    verb: &'static str,
    /// Blocks have lifetimes.
    bklt: bool,
    /// Blocks have accesses.
    bkacc: bool,
    /// Unit of time, and of a million of it.
    tu: &'static str,
    #[serde(rename = "Mtu")]
    mtu: &'static str,
    /// Blocks that live shorter are called short-lived.
    tuth: u64,
    cmd: String,
    pid: u32,
    /// Time of the end, and of the peak.
    te: u64,
    tg: u64,
    pps: Vec<Point>,
    ftbl: Vec<String>,
}

/// What a call stack did: bytes and blocks in all, their lifetimes, at its own most, at the peak, at the end.
#[derive(Serialize)]
struct Point {
    tb: u64,
    tbk: u64,
    tl: u64,
    mb: u64,
    mbk: u64,
    gb: u64,
    gbk: u64,
    eb: u64,
    ebk: u64,
    fs: Vec<usize>,
}

pub(super) fn write(report: &Report) -> Result<Vec<u8>, Error> {
    let has_times = report.has_exact_times();
    let time = |at: &Moment| {
        if has_times {
            at.time_ns / 1000
        } else {
            at.events
        }
    };
    let mut frames = vec!["[root]".to_owned()];
    let mut known = FxHashMap::default();
    let mut points = Vec::new();
    for row in &report.sites {
        let stack = tree::stack(report, row.site);
        let ids = stack.iter().rev().map(|frame| {
            let name = format!("{:#x}: {}", frame.offset, frame_name(frame));
            *known.entry(name).or_insert_with_key(|name| {
                frames.push(name.clone());
                frames.len() - 1
            })
        });
        let fs = ids.collect();
        points.push(Point {
            tb: row.taken.bytes,
            tbk: row.taken.blocks,
            tl: if has_times {
                row.lifetimes_ns / 1000
            } else {
                row.lifetimes
            },
            mb: row.most.bytes,
            mbk: row.most.blocks,
            gb: row.peak.bytes,
            gbk: row.peak.blocks,
            eb: row.end.bytes,
            ebk: row.end.blocks,
            fs,
        });
    }
    json(&Dhat {
        file_version: 2,
        mode: "heap",
        verb: "Allocated",
        bklt: true,
        bkacc: false,
        tu: if has_times { "µs" } else { "events" },
        mtu: if has_times { "s" } else { "Mevents" },
        tuth: if has_times { 10 } else { 4 },
        cmd: report.header.module.name.clone(),
        pid: 0,
        te: time(&report.end),
        tg: time(&report.peak),
        pps: points,
        ftbl: frames,
    })
}
