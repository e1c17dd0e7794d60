//! Runs programs for `cargo xtask model`, which starts several of these, follows what they print, and notices
//! when one dies: a heap that is wrong may take its process with it.
//!
//! - `run LENGTH CHECK_EVERY` takes seeds, one on each line, and prints what became of each program;
//! - `steps SEED LENGTH` prints a program's steps;
//! - `replay SEED CHECK_EVERY FILE` takes the steps of a file on the heap of this seed.
//!
//! After `--canary` the heap is a wrong one.

mod simulated;
mod wrong;

use std::io::{BufRead, Write};
use std::process::ExitCode;

use alligator_model::{MIXES, Machine, Mix, Program, Step, Subject, slots_of, steps_of};
use simulated::Simulated;
use wrong::GivesTwice;

type Outcome<T> = Result<T, Box<dyn core::error::Error>>;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_canary = arguments.first().is_some_and(|first| first == "--canary");
    arguments.drain(..usize::from(is_canary));
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["run", length, check_every] => run(length, check_every, is_canary),
        ["steps", seed, length] => print_steps(seed, length),
        ["replay", seed, check_every, file] => replay(seed, check_every, file, is_canary),
        _ => {
            Err("run LENGTH CHECK_EVERY, steps SEED LENGTH, or replay SEED CHECK_EVERY FILE".into())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the programs whose seeds come on standard input.
fn run(length: &str, check_every: &str, is_canary: bool) -> Outcome<()> {
    let (length, check_every) = (length.parse()?, check_every.parse()?);
    for line in std::io::stdin().lock().lines() {
        let seed = line?.trim().parse()?;
        let steps = program(seed, length);
        let tally = on_heap(seed, is_canary, steps, check_every)?;
        println!("{tally}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn print_steps(seed: &str, length: &str) -> Outcome<()> {
    let (seed, length) = (seed.parse()?, length.parse()?);
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    for step in program(seed, length) {
        writeln!(output, "{step}")?;
    }
    Ok(output.flush()?)
}

fn replay(seed: &str, check_every: &str, file: &str, is_canary: bool) -> Outcome<()> {
    let steps: Result<Vec<Step>, _> = std::fs::read_to_string(file)?
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::parse)
        .collect();
    let steps = steps?.into_iter();
    println!(
        "{}",
        on_heap(seed.parse()?, is_canary, steps, check_every.parse()?)?
    );
    Ok(())
}

fn program(seed: u64, length: usize) -> impl Iterator<Item = Step> {
    let mix = mix_of(seed);
    Program::new(seed, mix).take(steps_of(mix, length))
}

fn mix_of(seed: u64) -> Mix {
    MIXES[(seed % 8) as usize]
}

/// Takes the steps on a heap whose way to grow follows from the seed.
fn on_heap(
    seed: u64,
    is_canary: bool,
    steps: impl Iterator<Item = Step>,
    check_every: u64,
) -> Outcome<String> {
    let slots = slots_of(mix_of(seed));
    if is_canary {
        let heap = GivesTwice::new(Simulated::<1, true>::new(0));
        return take(Machine::new(heap, slots), steps, check_every);
    }
    match seed / 8 % 4 {
        0 => take(
            Machine::new(Simulated::<1, true>::new(0), slots),
            steps,
            check_every,
        ),
        1 => take(
            Machine::new(Simulated::<16, true>::new(0), slots),
            steps,
            check_every,
        ),
        2 => take(
            Machine::new(Simulated::<1, true>::new(3), slots),
            steps,
            check_every,
        ),
        _ => take(
            Machine::new(Simulated::<1, false>::new(1), slots),
            steps,
            check_every,
        ),
    }
}

/// Takes the steps, and gives everything back in the end. Operations, refusals, checks and the hash.
fn take(
    mut machine: Machine<impl Subject>,
    steps: impl Iterator<Item = Step>,
    check_every: u64,
) -> Outcome<String> {
    let mut left = check_every;
    for (index, step) in steps.enumerate() {
        let at_step = |failure| format!("step {index}, {step}: {failure}");
        machine.step(step).map_err(at_step)?;
        left -= 1;
        if left == 0 {
            left = check_every;
            machine.check().map_err(at_step)?;
        }
    }
    let at_the_end = |failure| format!("at the end: {failure}");
    machine.check().map_err(at_the_end)?;
    machine.free_all().map_err(at_the_end)?;
    machine.check().map_err(at_the_end)?;
    machine
        .subject()
        .require_empty()
        .map_err(|message| format!("at the end: {message}"))?;
    let tally = machine.tally();
    Ok(format!(
        "ok {} {} {} {:016x}",
        tally.operations, tally.refused, tally.checks, tally.hash
    ))
}
