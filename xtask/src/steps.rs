//! Steps: what must hold, piece by piece. Each runs in a process of its own, so that several run side by side and
//! each has its own log; the slowest of the last run start first.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use alligator_tools::guest;
use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::programs::{self, LEFT_OUT};

/// Lines of a failed step's log that are shown.
const LOG_LINES: usize = 120;

/// Steps whose times are shown at the end.
const SLOWEST: usize = 8;

type Action = Box<dyn Fn() -> Result<()>>;

/// One thing that must hold.
pub(crate) struct Step {
    name: String,
    /// The part of the whole run that has it.
    part: &'static str,
    is_quick: bool,
    group: Option<&'static str>,
    needs: Action,
    action: Action,
}

impl Step {
    pub(crate) fn new(name: impl Into<String>, action: impl Fn() -> Result<()> + 'static) -> Self {
        Self {
            name: name.into(),
            part: "",
            is_quick: false,
            group: None,
            needs: Box::new(|| Ok(())),
            action: Box::new(action),
        }
    }

    /// Left out, with the reason, where `needs` is an error.
    pub(crate) fn needs(mut self, needs: impl Fn() -> Result<()> + 'static) -> Self {
        self.needs = Box::new(needs);
        self
    }

    /// In this part of the whole run.
    pub(crate) fn part(mut self, part: &'static str) -> Self {
        self.part = part;
        self
    }

    /// What a contributor runs before each commit has this step.
    pub(crate) fn quick(mut self) -> Self {
        self.is_quick = true;
        self
    }

    /// Steps of a group run one after the other, in their order: they write the same files.
    pub(crate) fn group(mut self, group: &'static str) -> Self {
        self.group = Some(group);
        self
    }
}

/// Which steps to run.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Only the steps whose names contain this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only this part: the steps that need the same things, as CI runs them side by side
    #[arg(long, value_name = "NAME")]
    part: Option<String>,
    /// Only what to run before each commit: less than three minutes
    #[arg(long)]
    quick: bool,
    /// Print the names of the steps, and run nothing
    #[arg(long)]
    list: bool,
    /// Steps at a time; one for each processor by default
    #[arg(long, value_name = "COUNT")]
    jobs: Option<usize>,
    /// Run the step of this name here, in this process
    #[arg(long, value_name = "NAME", hide = true)]
    step: Option<String>,
}

/// What has become of a step.
#[derive(Debug)]
enum Outcome {
    Passed,
    LeftOut(String),
    Failed,
}

/// A step that has ended.
#[derive(Debug)]
struct Ended {
    name: String,
    outcome: Outcome,
    time: Duration,
}

/// Runs the steps that `options` choose. `command` is the arguments that bring us here again.
pub(crate) fn run(steps: &[Step], options: &Options, command: &[&str]) -> Result<ExitCode> {
    if let Some(name) = &options.step {
        return run_here(steps, name);
    }
    let (chosen, others): (Vec<&Step>, Vec<&Step>) = steps.iter().partition(|step| {
        (!options.quick || step.is_quick)
            && options.part.as_ref().is_none_or(|part| step.part == part)
            && options
                .only
                .as_ref()
                .is_none_or(|only| step.name.contains(only.as_str()))
    });
    if options.list {
        for step in &chosen {
            println!("{:<10} {}", step.part, step.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        !chosen.is_empty(),
        "no step has this name or part; --list prints all"
    );
    let start = Instant::now();
    let ended = run_all(&chosen, options, command)?;
    if options.quick && options.only.is_none() {
        println!("\nnot in --quick, but in the whole run:");
        for step in &others {
            println!("  {}", step.name);
        }
    }
    let status = report(&ended, start.elapsed());
    Ok(status)
}

/// Runs one step in this process.
fn run_here(steps: &[Step], name: &str) -> Result<ExitCode> {
    let step = steps.iter().find(|step| step.name == name);
    let step = step.with_context(|| format!("no step is called {name}"))?;
    if let Err(reason) = (step.needs)() {
        println!("{reason:#}");
        return Ok(LEFT_OUT.into());
    }
    match (step.action)() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // The program has said what is missing.
        Err(error) if error.is::<programs::Missing>() => Ok(LEFT_OUT.into()),
        Err(error) => Err(error),
    }
}

/// Runs the steps, several at a time.
fn run_all(chosen: &[&Step], options: &Options, command: &[&str]) -> Result<Vec<Ended>> {
    let programs = programs::build_all()?;
    let logs = guest::root().join("target/test/logs");
    std::fs::create_dir_all(&logs)?;
    let times = Times::read();
    let count = chosen.len();
    let lanes = Mutex::new(lanes(chosen, &times));
    let jobs = options
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, core::num::NonZero::get));
    let bar = ProgressBar::new(count as u64);
    if std::io::stderr().is_terminal() {
        bar.set_style(ProgressStyle::with_template(
            "{bar:30} {pos} of {len}, {elapsed}, {msg}",
        )?);
        bar.enable_steady_tick(Duration::from_millis(200));
    } else {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let running = Mutex::new(Vec::<String>::new());
    let ended = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        loop {
            let next = lanes.lock().ok().and_then(|mut lanes| lanes.pop_front());
            let Some(lane) = next else { return Ok(()) };
            for name in lane {
                if let Ok(mut running) = running.lock() {
                    running.push(name.clone());
                    bar.set_message(running.join("; "));
                }
                let log = logs.join(format!("{}.log", file_name(&name)));
                let one = run_one(&name, &log, command, programs)?;
                if let (Ok(mut running), Ok(mut ended)) = (running.lock(), ended.lock()) {
                    running.retain(|other| *other != name);
                    bar.inc(1);
                    bar.set_message(running.join("; "));
                    ended.push(one);
                    let text = line(ended.last(), ended.len(), count, &log);
                    bar.suspend(|| println!("{text}"));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(outcome) => outcome?,
                Err(_) => bail!("a thread panicked"),
            }
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    let ended = ended.into_inner().unwrap_or_default();
    times.write(&ended)?;
    Ok(ended)
}

/// Runs one step in a process of its own, which writes into `log`.
fn run_one(name: &str, log: &Path, command: &[&str], programs: &Path) -> Result<Ended> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let start = Instant::now();
    let status = Command::new(std::env::current_exe()?)
        .args(command)
        .args(["--step", name])
        .env(programs::FOLDER, programs)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .context("a step does not start")?;
    let outcome = if status.success() {
        Outcome::Passed
    } else if status.code() == Some(LEFT_OUT.into()) {
        let text = std::fs::read_to_string(log)?;
        let reason = text.lines().last().unwrap_or_default();
        Outcome::LeftOut(reason.trim_start_matches("left out: ").to_owned())
    } else {
        Outcome::Failed
    };
    Ok(Ended {
        name: name.to_owned(),
        outcome,
        time: start.elapsed(),
    })
}

/// What is printed of a step when it has ended: of one that failed, the end of its log.
fn line(ended: Option<&Ended>, count: usize, all: usize, log: &Path) -> String {
    let Some(Ended {
        name,
        outcome,
        time,
    }) = ended
    else {
        return String::new();
    };
    let head = format!("[{count:>3}/{all}] {:>6.1} s  {name}", time.as_secs_f64());
    match outcome {
        Outcome::Passed => format!("{head}: passed"),
        Outcome::LeftOut(reason) => format!("{head}: left out: {reason}"),
        Outcome::Failed => {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            format!("{head}: FAILED ({})\n{end}\n", log.display())
        }
    }
}

/// What took longest, what was left out, what failed, and as the last line how many passed and failed.
fn report(ended: &[Ended], time: Duration) -> ExitCode {
    let mut slowest: Vec<_> = ended.iter().collect();
    slowest.sort_by_key(|one| core::cmp::Reverse(one.time));
    println!(
        "\nthe slowest of {} steps, which took {}:",
        ended.len(),
        minutes(time)
    );
    for one in slowest.iter().take(SLOWEST) {
        println!("  {:>6.1} s  {}", one.time.as_secs_f64(), one.name);
    }
    let mut counts = [0; 2];
    for one in ended {
        match &one.outcome {
            Outcome::Passed => counts[0] += 1,
            Outcome::LeftOut(reason) => println!("LEFT OUT {}: {reason}", one.name),
            Outcome::Failed => {
                println!("FAILED {}", one.name);
                counts[1] += 1;
            }
        }
    }
    println!("{} passed, {} failed", counts[0], counts[1]);
    ExitCode::from(u8::from(counts[1] > 0))
}

fn minutes(time: Duration) -> String {
    format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60)
}

/// The names of the steps, group by group, those first that took longest when they were last run. What was never run may
/// take long.
fn lanes(chosen: &[&Step], times: &Times) -> VecDeque<Vec<String>> {
    let mut lanes: Vec<(Option<&str>, Vec<String>)> = Vec::new();
    for step in chosen {
        let known = lanes
            .iter_mut()
            .find(|(group, _)| group.is_some() && *group == step.group);
        match known {
            Some((_, lane)) => lane.push(step.name.clone()),
            None => lanes.push((step.group, vec![step.name.clone()])),
        }
    }
    let time = |lane: &Vec<String>| lane.iter().map(|name| times.of(name)).sum::<f64>();
    lanes.sort_by(|(_, one), (_, other)| time(other).total_cmp(&time(one)));
    lanes.into_iter().map(|(_, lane)| lane).collect()
}

/// How long each step took when it was last run, in seconds.
struct Times(BTreeMap<String, f64>);

impl Times {
    fn file() -> PathBuf {
        guest::root().join("target/test/times.json")
    }

    fn read() -> Self {
        let text = std::fs::read(Self::file()).unwrap_or_default();
        Self(serde_json::from_slice(&text).unwrap_or_default())
    }

    fn of(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(f64::from(u16::MAX))
    }

    fn write(mut self, ended: &[Ended]) -> Result<()> {
        let new = ended
            .iter()
            .map(|one| (one.name.clone(), one.time.as_secs_f64()));
        self.0.extend(new);
        std::fs::write(Self::file(), serde_json::to_vec_pretty(&self.0)?)?;
        Ok(())
    }
}

/// A step's name as a file's.
fn file_name(name: &str) -> String {
    let mut text: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect();
    while text.contains("--") {
        text = text.replace("--", "-");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str) -> Step {
        Step::new(name, || Ok(()))
    }

    #[test]
    fn a_group_is_one_lane_and_the_longest_lane_is_first() {
        let steps = [
            step("short"),
            step("one").group("group"),
            step("long"),
            step("two").group("group"),
        ];
        let times = [("short", 1.0), ("one", 2.0), ("long", 9.0), ("two", 3.0)];
        let times = Times(times.map(|(name, time)| (name.to_owned(), time)).into());
        let lanes = lanes(&steps.iter().collect::<Vec<_>>(), &times);
        assert_eq!(lanes, [vec!["long"], vec!["one", "two"], vec!["short"]]);
    }

    #[test]
    fn a_step_that_was_never_run_is_first() {
        let steps = [step("known"), step("new")];
        let times = Times([("known".to_owned(), 100.0)].into());
        let lanes = lanes(&steps.iter().collect::<Vec<_>>(), &times);
        assert_eq!(lanes, [["new"], ["known"]]);
    }

    #[test]
    fn a_log_has_a_plain_name() {
        assert_eq!(file_name("the lab: a run, Wasm"), "the-lab-a-run-Wasm");
    }
}
