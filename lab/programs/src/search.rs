//! Logs searched with regular expressions, their matches rewritten and collected.

use core::fmt::Write as _;

use regex::{Captures, Regex};

use crate::corpus::Dice;

pub(crate) fn run() -> String {
    let mut dice = Dice::new(4);
    let mut output = String::new();
    for _ in 0..2 {
        let log: Vec<String> = (0..600).map(|_| line(&mut dice)).collect();
        output.push_str(&requests(&log));
        output.push_str(&rewritten(&log));
        output.push_str(&fields(&log));
    }
    output
}

fn line(dice: &mut Dice) -> String {
    let level = ["INFO", "WARN", "ERROR"][dice.below(3) as usize];
    let (hour, minute) = (dice.below(24), dice.below(60));
    let (user, path, time) = (
        dice.word(),
        dice.words(2).replace(' ', "/"),
        dice.below(5_000),
    );
    let message = dice.sentence();
    format!("{hour:02}:{minute:02} [{level}] user={user} GET /{path} took {time} ms: {message}")
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

/// The slow requests, as owned strings.
fn requests(log: &[String]) -> String {
    let request = pattern(r"GET (?P<path>/[a-z/]+) took (?P<time>\d{3,}) ms");
    let slow: Vec<(String, String)> = log
        .iter()
        .filter_map(|line| request.captures(line))
        .map(|found| (found["path"].to_owned(), found["time"].to_owned()))
        .collect();
    slow.into_iter()
        .map(|(path, time)| format!("{path}={time}\n"))
        .collect()
}

/// The log with names hidden and times in seconds.
fn rewritten(log: &[String]) -> String {
    let user = pattern(r"user=\w+");
    let time = pattern(r"(\d+) ms");
    let lines = log.iter().map(|line| {
        let hidden = user.replace_all(line, "user=***");
        let seconds = |found: &Captures<'_>| format!("0.{:0>3} s", &found[1]);
        time.replace_all(&hidden, seconds).into_owned()
    });
    lines.collect::<Vec<String>>().join("\n")
}

/// Fields of the lines that are errors at night.
fn fields(log: &[String]) -> String {
    let night = pattern(r"^(?:2[0-3]|0[0-6]):\d\d \[(?:WARN|ERROR)\]");
    let separator = pattern(r"\s*[:=\[\]]\s*|\s{1,}");
    let mut text = String::new();
    for line in log.iter().filter(|line| night.is_match(line)) {
        let fields: Vec<String> = separator.split(line).map(str::to_owned).collect();
        writeln!(text, "{} {}", fields.len(), fields.concat()).expect("a String takes all");
    }
    text
}
