//! Makes an attack program shorter as long as the allocator still does the same kind of thing.
//!
//! *Source:* Zeller, Hildebrandt: Simplifying and isolating failure-inducing input, IEEE TSE 2002.

use anyhow::Result;

use super::program::{Action, Program, Value};
use super::subject::Subject;
use super::trial::{self, End, Found, Kind};

/// A shorter program that gives a finding of `kind`, and the finding. None if `program` does not.
pub(crate) fn minimise(
    subject: &Subject,
    program: &Program,
    kind: Kind,
) -> Result<Option<(Program, Found)>> {
    let gives = |program: &Program| -> Result<Option<Found>> {
        Ok(match trial::run(subject, program)? {
            End::Found(found) if found.kind == kind => Some(found),
            _ => None,
        })
    };
    let Some(mut found) = gives(program)? else {
        return Ok(None);
    };
    let mut program = program.clone();
    let mut length = usize::MAX;
    // Each turn but the last makes the program shorter.
    while program.len() < length {
        length = program.len();
        let mut count = length / 2;
        while count > 0 {
            // From the end: what follows the finding is superfluous for sure.
            let mut end = program.len();
            while end >= count {
                let mut shorter = program.clone();
                shorter.drain(end - count..end);
                if let Some(again) = gives(&shorter)? {
                    (program, found) = (shorter, again);
                }
                end = (end - count).min(program.len());
            }
            count /= 2;
        }
    }
    for action in 0..program.len() {
        for change in [remove, erase] {
            // From the last word on, so that those before keep their places.
            for word in (0..words(&program, action)).rev() {
                let mut simpler = program.clone();
                change(&mut simpler[action], word);
                if let Some(again) = gives(&simpler)? {
                    (program, found) = (simpler, again);
                }
            }
        }
    }
    Ok(Some((program, found)))
}

/// How many words an action writes.
fn words(program: &Program, action: usize) -> usize {
    let mut action = program[action].clone();
    action.words_mut().map_or(0, |words| words.len())
}

/// One word less, if there is another.
fn remove(action: &mut Action, word: usize) {
    if let Some(words) = action.words_mut().filter(|words| words.len() > 1) {
        words.remove(word);
    }
}

/// Zero in place of a word.
fn erase(action: &mut Action, word: usize) {
    if let Some(words) = action.words_mut() {
        words[word] = Value::Number(0);
    }
}
