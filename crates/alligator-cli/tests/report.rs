//! `alligator report`: output, files and exit status.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use alligator_trace::{Frame, Header, Kind, StackId, Writer};

/// A folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("writable");
    folder
}

/// A trace of blocks of these sizes, the last of which is not given back.
fn trace(folder: &Path, name: &str, sizes: &[u64]) -> String {
    let mut writer = Writer::new(Vec::new(), &Header::default()).expect("written");
    let frame = Frame {
        function: 1,
        name: "work",
        ..Frame::default()
    };
    let frame = writer.frame(&frame).expect("written");
    let site = writer.stack(StackId::NONE, frame).expect("written");
    for (at, size) in sizes.iter().copied().enumerate() {
        let address = 0x1000;
        let alloc = Kind::Alloc {
            address,
            size,
            align: 8,
            zeroed: false,
        };
        writer.event(0, 0, site, alloc).expect("written");
        if at + 1 < sizes.len() {
            writer
                .event(0, 0, site, Kind::Free { address })
                .expect("written");
        }
    }
    let path = folder.join(name);
    std::fs::write(&path, writer.finish(None).expect("written")).expect("writable");
    path.to_str().expect("UTF-8").to_owned()
}

fn report(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_alligator"))
        .arg("report")
        .args(arguments)
        .output()
        .expect("the tool runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_report_is_printed() {
    let folder = folder("report-text");
    let trace = trace(&folder, "a.trace", &[100, 300]);
    let (status, stdout, stderr) = report(&[&trace]);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(
        stdout.starts_with("a.trace\npeak: 300 B live in 1 blocks"),
        "{stdout}"
    );
    assert!(
        stdout.contains("By size") && stdout.contains("work"),
        "{stdout}"
    );
}

#[test]
fn two_traces_are_compared() {
    let folder = folder("report-two");
    let new = trace(&folder, "new.trace", &[300]);
    let old = trace(&folder, "old.trace", &[100]);
    let (status, stdout, stderr) = report(&[&new, &old]);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.contains("new.trace beside old.trace"), "{stdout}");
    let row = stdout
        .lines()
        .find(|line| line.contains("peak live"))
        .expect("a row");
    assert!(
        row.contains("100 B") && row.contains("300 B") && row.contains("3.00"),
        "{row}"
    );
}

#[test]
fn files_are_written() {
    let folder = folder("report-files");
    let trace = trace(&folder, "a.trace", &[100, 300]);
    let page = folder.join("heap.html");
    let collapsed = folder.join("a.txt");
    let (page, collapsed) = (
        page.to_str().expect("UTF-8"),
        collapsed.to_str().expect("UTF-8"),
    );
    let arguments = [
        &trace,
        "--html",
        page,
        "--format",
        "collapsed",
        "-o",
        collapsed,
        "--value",
        "bytes",
    ];
    let (status, _, stderr) = report(&arguments);
    assert_eq!(status, Some(0), "{stderr}");
    let read = |path: &str| std::fs::read_to_string(path).expect("written");
    assert!(read(page).starts_with("<!DOCTYPE html>"));
    assert_eq!(read(collapsed), "work 400\n");
    let (_, stdout, _) = report(&[&trace, "--format", "collapsed"]);
    assert_eq!(stdout, "work 300\n");
}

#[test]
fn a_limit_that_is_exceeded_is_one_line_and_status_1() {
    let folder = folder("report-limits");
    let trace_of = |name, sizes: &[u64]| trace(&folder, name, sizes);
    let trace = trace_of("a.trace", &[1000, 300]);
    let smaller = trace_of("b.trace", &[990, 300]);
    let (status, _, stderr) = report(&[&trace, "--leaks-fail", "--max-peak", "999"]);
    assert_eq!(status, Some(1));
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(
        lines[0].starts_with("alligator: ")
            && lines[0].contains("a.trace: leaks: 300 B in 1 blocks"),
        "{stderr}"
    );
    assert!(lines[1].contains("a.trace: peak: 1,000 bytes"), "{stderr}");
    assert_eq!(
        report(&[&trace, "--leaks-fail=growing", "--max-peak", "1KiB"]).0,
        Some(0)
    );
    assert_eq!(report(&[&trace, "--baseline", &smaller]).0, Some(0));
    let (status, _, stderr) = report(&[&trace, "--baseline", &smaller, "--tolerance", "1"]);
    assert_eq!(status, Some(1));
    assert!(
        stderr.contains("peak live: 1,000 bytes, the baseline has 990"),
        "{stderr}"
    );
    assert_eq!(
        report(&[&smaller, "--baseline", &trace, "--tolerance", "0"]).0,
        Some(0)
    );
}

#[test]
fn bad_input_is_one_line_and_status_3_and_nothing_is_written() {
    let folder = folder("report-bad");
    let good = trace(&folder, "a.trace", &[100]);
    let bad = folder.join("bad.trace");
    std::fs::write(&bad, b"\0asm\x01\0\0\0").expect("writable");
    let bad = bad.to_str().expect("UTF-8");
    let page = folder.join("heap.html");
    let html = page.to_str().expect("UTF-8");
    let calls: [&[&str]; 5] = [
        &[bad, "--html", html],
        &[&good, bad, "--html", html],
        &[&good, "--baseline", bad, "--html", html],
        &["missing.trace", "--html", html],
        &[&good, "--html", "missing/folder/heap.html"],
    ];
    for arguments in calls {
        let (status, stdout, stderr) = report(arguments);
        assert_eq!(status, Some(3), "{arguments:?}");
        assert_eq!(
            (stderr.lines().count(), stdout.as_str()),
            (1, ""),
            "{stderr}"
        );
        assert!(!page.exists(), "{arguments:?}");
    }
    let (status, _, stderr) = report(&[&good, "--max-peak", "much"]);
    assert_eq!(status, Some(3));
    assert!(stderr.contains("64KiB"), "{stderr}");
}
