//! What became of each test, read from what a test program prints, and how two runs differ.

use core::fmt;
use std::collections::BTreeMap;

/// What became of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Ignored,
    Failed,
}

impl Outcome {
    pub(super) fn passed(self) -> bool {
        self == Self::Passed
    }
}

/// What became of each test, by name.
#[derive(Debug, Default)]
pub(super) struct Outcomes(BTreeMap<String, Outcome>);

impl Outcomes {
    /// Those of the tests that were begun, from lines such as `test vec::push ... ok`. One in which the program
    /// ended has failed.
    pub(super) fn parse(text: &str) -> Self {
        let mut outcomes = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix("test ")) {
            let Some((name, outcome)) = line.rsplit_once(" ... ") else {
                continue;
            };
            let outcome = match outcome {
                "ok" => Outcome::Passed,
                text if text.starts_with("ignored") => Outcome::Ignored,
                _ => Outcome::Failed,
            };
            outcomes.insert(name_of(name), outcome);
        }
        outcomes
    }

    /// How many tests the program said it would run.
    pub(super) fn announced(text: &str) -> Option<usize> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("running "))?;
        line.split_once(' ')?.0.parse().ok()
    }

    pub(super) fn insert(&mut self, name: &str, outcome: Outcome) {
        self.0.insert(name.to_owned(), outcome);
    }

    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn has_failed(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Outcome::Failed)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes out the test `name`.
    pub(super) fn forget(&mut self, name: &str) -> Option<Outcome> {
        self.0.remove(name)
    }

    /// The names of the tests with this outcome.
    fn with(&self, outcome: Outcome) -> impl Iterator<Item = &str> {
        let these = self.0.iter().filter(move |&(_, &found)| found == outcome);
        these.map(|(name, _)| name.as_str())
    }

    fn have_passed(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|outcome| outcome.passed())
    }
}

/// The test's name without what is said about it, as in `name - should panic`.
fn name_of(text: &str) -> &str {
    text.split_once(" - ").map_or(text, |(name, _)| name)
}

/// The tests on std's allocator and on Alligator, side by side.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) passed_on_both: usize,
    ignored: usize,
    failed_on_std: usize,
    pub(super) only_on_std: Vec<String>,
}

impl Comparison {
    pub(super) fn new(std: &Outcomes, alligator: &Outcomes) -> Self {
        let passed = std.with(Outcome::Passed);
        let (both, only): (Vec<&str>, Vec<&str>) =
            passed.partition(|name| alligator.have_passed(name));
        Self {
            passed_on_both: both.len(),
            ignored: std.with(Outcome::Ignored).count(),
            failed_on_std: std.with(Outcome::Failed).count(),
            only_on_std: only.into_iter().map(str::to_owned).collect(),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} tests pass on std's allocator and on Alligator, {} on std's only; {} fail on std's, too, and {} \
             are left out by the suites themselves",
            self.passed_on_both,
            self.only_on_std.len(),
            self.failed_on_std,
            self.ignored
        )?;
        for name in &self.only_on_std {
            writeln!(formatter, "  passes on std's only: {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\nrunning 4 tests\ntest a::b ... ok\ntest c - should panic ... ignored\n\
                        test d ... FAILED\ntest e - should panic ... ";

    #[test]
    fn outcomes_are_read_from_a_test_programs_lines() {
        let outcomes = Outcomes::parse(TEXT);
        assert_eq!(outcomes.with(Outcome::Passed).collect::<Vec<_>>(), ["a::b"]);
        assert_eq!(outcomes.with(Outcome::Ignored).collect::<Vec<_>>(), ["c"]);
        assert_eq!(
            outcomes.with(Outcome::Failed).collect::<Vec<_>>(),
            ["d", "e"]
        );
        assert_eq!(Outcomes::announced(TEXT), Some(4));
    }

    #[test]
    fn a_test_that_does_not_pass_on_alligator_is_a_difference() {
        let std = Outcomes::parse("test a ... ok\ntest b ... ok\ntest c ... FAILED\n");
        let alligator = Outcomes::parse("test a ... ok\ntest b ... FAILED\ntest c ... ok\n");
        let comparison = Comparison::new(&std, &alligator);
        assert_eq!(comparison.passed_on_both, 1);
        assert_eq!(comparison.only_on_std, ["b"]);
        assert_eq!(comparison.failed_on_std, 1);
    }
}
