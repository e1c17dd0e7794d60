//! Results for tests.

use serde_json::json;

use super::results::{Results, SCHEMA};

/// Results with one of everything.
pub(crate) fn sample() -> Results {
    let quantiles =
        json!({ "count": 1, "p50": 1.0, "p99": 1.0, "p999": 1.0, "p9999": 1.0, "max": 1.0 });
    let latency = json!({
        "steady": quantiles, "growing": null, "raw": quantiles, "histogram": [0, 1],
    });
    let calls = json!({
        "count": 1, "fuel": 10,
        "worst": { "fuel": 10, "operation": 0, "size": 8, "new_size": 0, "align": 8, "zeroed": false },
    });
    let none = json!({ "count": 0, "fuel": 0, "worst": null });
    let operation = json!({ "steady": calls, "growing": none });
    let value = json!({
        "schema": SCHEMA,
        "setup": {
            "command": "cargo xtask bench", "commit": "0123456789", "date": "2026-01-01 00:00 UTC",
            "processor": "a processor", "cores": 2, "system": "a system", "load": "0.00",
            "compiler": "rustc 1.95.0", "wasm_opt": null, "quick": true, "rounds": 3,
            "reference": "talc", "hole_counts": [1000],
        },
        "engines": [{
            "engine": "jsc", "name": "JavaScriptCore", "version": null, "tiers": null,
            "absent": "not installed", "resolution": null,
        }],
        "allocators": [{
            "name": "talc", "kind": "peer", "version": "5.1.1", "about": "", "reclaims": true,
        }],
        "workloads": [{
            "name": "small", "about": "", "is_program": false, "is_in_targets": true,
            "operations": 2, "peak_live_bytes": 8,
        }],
        "counts": { "talc": { "small": {
            "alloc": operation, "dealloc": operation, "realloc": operation,
            "moved_bytes": 0, "grown_pages": 1, "heap_pages": 1, "peak_live_bytes": 8,
            "timeline": [{ "operation": 0, "live_bytes": 8, "grown_pages": 1 }],
        } } },
        "programs": { "talc": { "json": 1 } },
        "special": { "talc": { "tiny_pages": 1, "box24_fuel": 40, "holes_fuel": [10] } },
        "sizes": { "talc": { "z": { "compiled": 10, "optimized": null } } },
        "checks": [{ "engine": "v8", "workload": "small", "allocator": "talc", "failure": null }],
        "times": [{
            "engine": "v8", "workload": "small", "nanoseconds": { "talc": [1.0] },
            "failures": { "floor": "null" },
        }],
        "latencies": [{
            "engine": "v8", "workload": "small", "by_allocator": { "talc": latency },
            "failures": {},
        }],
        "starts": [{
            "engine": "v8", "workload": "json", "allocator": "talc", "ready": [1.0],
            "first_run": [1.0],
        }],
        "missing": ["something"],
    });
    serde_json::from_value(value).expect("the sample has every field")
}
