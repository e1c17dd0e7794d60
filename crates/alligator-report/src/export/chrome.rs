//! Trace events: counters for what is live, instants for growths and marks. Source: "Trace Event Format".

use serde_json::{Value, json};

use super::json;
use crate::Error;
use crate::report::Report;

pub(super) fn write(report: &Report) -> Result<Vec<u8>, Error> {
    // In microseconds; an event as one where no times are known.
    let at = |moment: u64, time_ns: u64| -> Value {
        if report.has_times() {
            #[expect(clippy::cast_precision_loss, reason = "exact up to 104 days")]
            let microseconds = time_ns as f64 / 1000.0;
            json!(microseconds)
        } else {
            json!(moment)
        }
    };
    let process = json!({"name": "process_name", "ph": "M", "pid": 1, "tid": 0, "args": {"name": report.name}});
    let mut events = vec![process];
    let mut counter = |name: &str, at: Value, args: Value| {
        events.push(json!({"name": name, "ph": "C", "pid": 1, "tid": 0, "ts": at, "args": args}));
    };
    for bucket in &report.timeline {
        let at = at(bucket.moment, bucket.time_ns);
        counter("live", at.clone(), json!({"bytes": bucket.bytes}));
        counter("blocks", at.clone(), json!({"blocks": bucket.blocks}));
        let memory = bucket.pages.saturating_mul(report.header.page_bytes);
        counter("memory", at.clone(), json!({"bytes": memory}));
        counter("taken", at, json!({"bytes": bucket.taken_bytes}));
    }
    let mut instant = |name: String, at: Value, args: Value| {
        events.push(
            json!({"name": name, "ph": "i", "s": "g", "pid": 1, "tid": 0, "ts": at, "args": args}),
        );
    };
    for growth in &report.growths.growths {
        let args = json!({"pages before": growth.before, "pages after": growth.after});
        instant(
            "memory grew".to_owned(),
            at(growth.moment, growth.time_ns),
            args,
        );
    }
    for mark in &report.marks {
        for (moment, time_ns) in &mark.places {
            instant(mark.name.clone(), at(*moment, *time_ns), json!({}));
        }
    }
    let peak = &report.peak;
    let args = json!({"bytes": peak.bytes, "blocks": peak.blocks});
    instant("peak".to_owned(), at(peak.events, peak.time_ns), args);
    json(&json!({"displayTimeUnit": "ns", "traceEvents": events}))
}
