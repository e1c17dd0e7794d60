//! What the attacks came to: as a table for people, JSON for machines, and `docs/attacks.md` for the record.

use core::fmt::Write as _;

use serde::Serialize;

use super::program::Class;
use super::search::{Finding, Tally};
use super::trial::Kind;

/// All results of one call of the command.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    /// Random programs for each class and allocator.
    pub(crate) trials: u64,
    /// The same for the hardened heap, if it is another number.
    pub(crate) trials_hardened: Option<u64>,
    pub(crate) searches: Vec<Search>,
    pub(crate) cases: Vec<CaseResult>,
}

/// A class of bugs on one allocator.
#[derive(Debug, Serialize)]
pub(crate) struct Search {
    pub(crate) allocator: &'static str,
    pub(crate) class: Class,
    #[serde(flatten)]
    pub(crate) tally: Tally,
    pub(crate) findings: Vec<Finding>,
}

/// A known attack on one allocator.
#[derive(Debug, Serialize)]
pub(crate) struct CaseResult {
    pub(crate) allocator: &'static str,
    pub(crate) case: &'static str,
    #[serde(flatten)]
    pub(crate) tally: Tally,
    pub(crate) findings: Vec<Finding>,
}

const HEAD: &str = "\
| allocator | bug | trials | with a primitive | overlap | outside | arbitrary write | restricted write | hangs | stopped | crashed |
| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
";

/// The table of random programs.
pub(crate) fn searches(report: &Report) -> String {
    let mut table = HEAD.to_owned();
    for search in &report.searches {
        table.push_str(&row(search));
    }
    table
}

fn row(search: &Search) -> String {
    let tally = &search.tally;
    let share = |count: u64| share(count, tally.trials);
    let kinds: Vec<String> = Kind::PRIMITIVES.map(|kind| share(tally.of(kind))).to_vec();
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
        search.allocator,
        search.class.name(),
        grouped(tally.trials),
        share(tally.primitives()),
        kinds.join(" | "),
        share(tally.of(Kind::Hang)),
        share(tally.stopped),
        share(tally.of(Kind::Crash)),
    )
}

/// The table of known attacks: a line for each, a column for each allocator.
pub(crate) fn cases(report: &Report) -> String {
    let mut allocators: Vec<&str> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for result in &report.cases {
        if !allocators.contains(&result.allocator) {
            allocators.push(result.allocator);
        }
        if !names.contains(&result.case) {
            names.push(result.case);
        }
    }
    let mut table = format!("| attack | variants | {} |\n", allocators.join(" | "));
    let _ = writeln!(table, "| --- | --: |{}", " --: |".repeat(allocators.len()));
    for name in names {
        let of_case: Vec<&CaseResult> = report.cases.iter().filter(|it| it.case == name).collect();
        let cells: Vec<String> = of_case.iter().map(|result| cell(&result.tally)).collect();
        let variants = of_case.first().map_or(0, |result| result.tally.trials);
        let _ = writeln!(table, "| {name} | {variants} | {} |", cells.join(" | "));
    }
    table
}

/// Variants with a primitive, and with a hang.
fn cell(tally: &Tally) -> String {
    let hangs = match tally.of(Kind::Hang) {
        0 => String::new(),
        hangs => format!(" + {hangs} hangs"),
    };
    format!("{}{hangs}", tally.primitives())
}

/// A count as a share of all, exact where it is none.
fn share(count: u64, of: u64) -> String {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of trials, for a percentage of few digits"
    )]
    let percent = 100.0 * count as f64 / of.max(1) as f64;
    match count {
        0 => "0".to_owned(),
        _ if percent < 0.1 => format!("{count} of {}", grouped(of)),
        _ => format!("{percent:.1} %"),
    }
}

/// A number with a comma at every thousand.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// For what faults programs were stopped, by allocators that say so: a line for each class of bugs.
pub(crate) fn faults(report: &Report) -> String {
    let mut text = String::new();
    for search in &report.searches {
        let faults = search.tally.faults.iter();
        let counts: Vec<String> = faults
            .map(|(name, &count)| format!("{name} {}", grouped(count)))
            .collect();
        if !counts.is_empty() {
            let (allocator, class) = (search.allocator, search.class.name());
            let _ = writeln!(text, "- {allocator}, {class}: {}", counts.join(", "));
        }
    }
    text
}

/// All findings of these kinds, the programs indented.
pub(crate) fn findings(report: &Report, kinds: &[Kind]) -> String {
    let searches = report.searches.iter();
    let of_searches = searches.map(|it| (it.allocator, it.class.name(), &it.findings));
    let cases = report.cases.iter();
    let of_cases = cases.map(|it| (it.allocator, it.case.to_owned(), &it.findings));
    let mut text = String::new();
    for (allocator, name, findings) in of_searches.chain(of_cases) {
        for finding in findings.iter().filter(|it| kinds.contains(&it.kind)) {
            let kind = finding.kind.name();
            let _ = writeln!(text, "{allocator}, {name}: {kind}: {}\n", finding.what);
            for line in &finding.program {
                let _ = writeln!(text, "    {line}");
            }
            text.push('\n');
        }
    }
    text
}

/// `docs/attacks.md`.
pub(crate) fn record(report: &Report) -> String {
    let hardened = report.trials_hardened;
    let hardened = hardened.map_or(String::new(), |trials| {
        format!(" --trials-hardened {trials}")
    });
    format!(
        "{INTRODUCTION}
## Random attacks

`cargo xtask attacks --trials {}{hardened} --seed {} --record`:

{}
{}
## Known attacks

How many of the variants of each give a primitive:

{}
## Programs found in ours

The first of each kind, minimised; `--show` prints those of every allocator.

Ours has nothing beside or in blocks, free or used, so the attacks that forge headers and links find none. What is left, without the feature `hardened`: the records of all granules stand in one table at the heap's end, above all blocks. Who writes far enough past a block reaches it, by one byte if the block fills its run and lies right below the table; and who still writes to a block that was given back, when the table has come to lie there, writes into it. An address given back is believed: twice, or inside a block, or in a static, it is handed out again.

```text
{}```
",
        report.trials,
        report.seed,
        searches(report),
        reasons(report),
        cases(report),
        findings(report, &Kind::PRIMITIVES),
    )
}

/// [`faults`] with a heading, if there are some.
fn reasons(report: &Report) -> String {
    let faults = faults(report);
    if faults.is_empty() {
        return faults;
    }
    format!(
        "## Why programs were stopped\n\nThe fault that the allocator left for the host, and trials:\n\n{faults}"
    )
}

const INTRODUCTION: &str = "\
# Attacks on the heap

What a memory bug in a program gives an attacker besides the bug itself, on ours and on other allocators. This page is written by the command that it shows.

A *trial* runs a random program in a fresh WebAssembly instance: legal requests of few sizes, and up to four bugs of one class. The attacker writes what is worth writing: pointers to blocks and to statics, sizes, distances, small numbers; addresses are known, as they are in WebAssembly. The actions and the values are those of ArcHeap (Yun and others, USENIX Security 2020). The program's own writes, wrong as they are, are no finding: a trial has a *primitive* when the allocator, called as usual afterwards, does one of these:

- *overlap*: it gives a block that overlaps a live one;
- *outside*: it gives a block in memory that is not the heap's;
- *arbitrary write*: it changes a live block or a static of the program, to a word that the attacker chose;
- *restricted write*: it changes one to something else.

The first of them ends the trial and is counted. A *hang* is a call of more than a million instructions. *Stopped* means that the allocator stopped the program, *crashed* that the engine did, at an access outside the memory; both end an attack, and count apart.

| bug | |
| --- | --- |
| overflow | writes from a block's end on, up to 256 KiB |
| off-by-one | writes the one byte after a block's end |
| off-by-one-null | the same, zero |
| write-after-free | writes into a block given back; who has the memory now does not matter |
| double-free | gives a block back again that nobody has got since |
| invalid-free | gives back what never was a block: inside a block, in a static, elsewhere in the heap |
| wrong-layout | gives back or resizes a block with the size or alignment of another |
| stale-free | gives a block back again whose memory has a new owner: to the allocator this is a legal call |
| none | no bug: what is found here is the judge's fault or a bug of the allocator's |

`weak` is an allocator with headers, links in the free blocks and no check, which is there to be broken: it shows that the attacker and the judge find each kind. What the search does not show: attacks longer than its programs, those that need a second kind of bug, and what an attacker does with the bug's own writes, which no allocator can prevent.
";
