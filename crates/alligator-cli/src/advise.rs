//! `alligator advise`: what to do about a recorded heap, in words.

use core::fmt::Write as _;
use std::path::PathBuf;

use alligator_advise::{Advice, Patterns, REPLAYED, RESERVE_STEPS, Replays, advise, reserve_bytes};
use alligator_replay::{Allocator, Allocators, Options, Replayed};
use alligator_report::Report;

use crate::bound::located;
use crate::replay::{Align, Outcome, read_trace, reader, replays};

/// Characters of a line.
const WIDTH: usize = 100;
/// Characters before its text.
const INDENT: usize = 12;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The trace, as `alligator run` or `record` makes it; with --stacks, advice names places in the program.
    trace: PathBuf,
    /// Replay it on Alligator with its features and on dlmalloc, and say what that tells.
    #[arg(long)]
    replay: bool,
    #[command(flatten)]
    align: Align,
    /// Print JSON: a list of objects with `topic`, `text` and `code`.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand and gives the exit status.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, String> {
    let path = &arguments.trace;
    let report = read_trace(path)?;
    if report.is_sampled() {
        return Err(located(
            path,
            &"a sampled trace: advice needs every block, record it without --sample",
        ));
    }
    let patterns = Patterns::of(&report, reader(path)?).map_err(|error| located(path, &error))?;
    let replays = if arguments.replay {
        Some(replayed(arguments, &report)?)
    } else {
        None
    };
    let advice = advise(&report, &patterns, replays.as_ref());
    if arguments.json {
        let text = serde_json::to_string_pretty(&advice).map_err(|error| error.to_string())?;
        println!("{text}");
        return Ok(0);
    }
    println!("{}", text(&report, &advice));
    if !report.header.stacks {
        println!(
            "note: the trace has no call stacks, so no places are named: record it with --stacks"
        );
    }
    if !arguments.replay {
        println!(
            "note: `--replay` adds what to reserve, which features to choose, and what dlmalloc would need"
        );
    }
    if let Some(byte) = report.cut_off {
        println!("note: the trace breaks off at byte {byte}: the advice is on what came before");
    }
    Ok(0)
}

/// The replays of which something is said. One that fails is named, and left out.
fn replayed(arguments: &Arguments, report: &Report) -> Result<Replays, String> {
    let path = &arguments.trace;
    let shipped = Allocators::shipped().map_err(|error| error.to_string())?;
    let named = |name: &str| shipped.named(name).map_err(|error| error.to_string());
    let chosen: Vec<&Allocator> = REPLAYED.into_iter().map(named).collect::<Result<_, _>>()?;
    let options = Options {
        malloc_align: arguments.align.malloc_align,
        ..Options::default()
    };
    let outcomes = replays(path, report, &chosen, &options)?;
    let mut all = Vec::new();
    for (allocator, outcome) in chosen.iter().zip(outcomes) {
        let name = &allocator.info.name;
        match outcome {
            Ok(replayed) => all.push((name.clone(), replayed)),
            Err(reason) => eprintln!("alligator: {}: {name}: {reason}", path.display()),
        }
    }
    Ok(Replays {
        reserve: reserved(arguments, report, chosen[0])?,
        dlmalloc: named("dlmalloc")?.title(),
        all,
    })
}

/// The smallest reservation that is tried with which nothing grows.
fn reserved(
    arguments: &Arguments,
    report: &Report,
    ours: &Allocator,
) -> Result<Option<(u64, Replayed)>, String> {
    for percent in RESERVE_STEPS {
        let options = Options {
            reserve_bytes: reserve_bytes(report, percent),
            malloc_align: arguments.align.malloc_align,
            ..Options::default()
        };
        let mut outcomes = replays(&arguments.trace, report, &[ours], &options)?;
        if let Some(Outcome::Ok(replayed)) = outcomes.pop() {
            let operations = replayed.figures.operations();
            if operations.iter().all(|one| one.growing.count == 0) {
                return Ok(Some((options.reserve_bytes, replayed)));
            }
        }
    }
    Ok(None)
}

fn text(report: &Report, advice: &[Advice]) -> String {
    let mut text = report.name.clone();
    for known in [&report.header.module.name, &report.header.allocator] {
        if !known.is_empty() {
            let _ = write!(text, ", {known}");
        }
    }
    text.push('\n');
    for one in advice {
        let name = one.topic.name();
        let _ = write!(text, "\n{name:<INDENT$}");
        let lines = wrapped(&one.text, WIDTH - INDENT);
        text.push_str(&lines.join(&format!("\n{:INDENT$}", "")));
        let _ = write!(text, "\n{:INDENT$}> {}\n", "", one.code);
    }
    text
}

/// Lines of at most so many characters, but for longer words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().filter(|line| {
            line.is_empty() || line.chars().count() + 1 + word.chars().count() <= width
        });
        match line {
            Some(line) => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words() {
        assert_eq!(wrapped("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrapped("abcdef g", 4), ["abcdef", "g"]);
        assert_eq!(wrapped("", 4), [""]);
    }
}
