//! The report for machines.
//!
//! One object. `opt_level` is what the program was compiled with. `std` and `alligator` hold the figures of each heap:
//! - `instructions`: executed by the whole program; copying or filling memory counts as one
//! - `memory_pages`: pages of 64 KiB at the end, stack and data included
//! - `heap_pages`, `heap_bytes`: from the end of stack and data to the end of the memory
//! - `code_bytes`: contents of the code section
//! - `peak_live_bytes`: the most that was allocated at a time, as asked for
//! - `footprint`: `heap_bytes / peak_live_bytes`
//! - `calls`: of `alloc`, `dealloc`, `realloc`, of `all` three, and of those that were `growing`
//!   the memory, which are in none of the others. Each has `count`, `instructions` (their sum),
//!   `worst` (most instructions of one call) and `worst_bytes` (given back and asked for by it)
//! - `mean`, `p50`, `p99`, `p999`: instructions per call, growing calls apart
//! - `grown_pages`: pages that the growing calls added
//!
//! `same_output` says whether both programs printed the same, `output` is what it was.
//! `picture` is Alligator's heap half-way, in bytes (`mini_page`, `run`, `free`, `meta`), and
//! `classes`: `slot_bytes`, `mini_pages`, `slots`, `used_slots` of each size class.

use alligator_report::PieceKind as Kind;
use serde_json::{Value, json};

use super::figures::Figures;
use super::picture::Picture;
use super::trace::Calls;

pub(super) fn object(
    opt_level: &str,
    std: &Figures,
    alligator: &Figures,
    picture: &Picture,
) -> Value {
    json!({
        "opt_level": opt_level,
        "std": figures(std),
        "alligator": figures(alligator),
        "same_output": std.output == alligator.output,
        "output": alligator.output,
        "picture": heap(picture),
    })
}

fn figures(figures: &Figures) -> Value {
    let trace = &figures.trace;
    json!({
        "instructions": figures.instructions,
        "memory_pages": figures.memory_pages,
        "heap_pages": figures.heap_pages(),
        "heap_bytes": figures.heap_bytes,
        "code_bytes": figures.code_bytes,
        "peak_live_bytes": trace.peak_live_bytes(),
        "footprint": figures.footprint(),
        "calls": {
            "alloc": calls(trace.alloc),
            "dealloc": calls(trace.dealloc),
            "realloc": calls(trace.realloc),
            "all": calls(trace.all()),
            "growing": calls(trace.growing),
        },
        "mean": trace.mean(),
        "p50": trace.quantile(500),
        "p99": trace.quantile(990),
        "p999": trace.quantile(999),
        "grown_pages": trace.grown_pages,
    })
}

fn calls(calls: Calls) -> Value {
    json!({
        "count": calls.count,
        "instructions": calls.instructions,
        "worst": calls.worst,
        "worst_bytes": calls.worst_bytes,
    })
}

fn heap(picture: &Picture) -> Value {
    let classes = picture.classes();
    let classes = classes.iter().map(|(slot_bytes, class)| {
        json!({
            "slot_bytes": slot_bytes,
            "mini_pages": class.mini_pages,
            "slots": class.slots,
            "used_slots": class.used_slots,
        })
    });
    json!({
        "mini_page": picture.bytes_of(|kind| matches!(kind, Kind::MiniPage { .. })),
        "run": picture.bytes_of(|kind| kind == Kind::Run),
        "free": picture.bytes_of(|kind| kind == Kind::FreeRun),
        "meta": picture.bytes_of(|kind| kind == Kind::Records),
        "classes": classes.collect::<Vec<_>>(),
    })
}
