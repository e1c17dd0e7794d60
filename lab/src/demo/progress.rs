//! What is going on while it takes long: a spinner on a terminal, else a line per step.

use core::time::Duration;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

/// Tells the user, on standard error, which step is running.
pub(super) struct Progress {
    on_terminal: bool,
}

impl Progress {
    pub(super) fn new(on_terminal: bool) -> Self {
        Self { on_terminal }
    }

    /// Runs `work` and shows `name` meanwhile.
    pub(super) fn step<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        if !self.on_terminal {
            eprintln!("{name}");
            return work();
        }
        let started = Instant::now();
        let spinner = ProgressBar::new_spinner().with_message(name.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{spinner:.green} {msg} {elapsed:.dim}") {
            spinner.set_style(style);
        }
        spinner.enable_steady_tick(Duration::from_millis(120));
        let result = work();
        spinner.finish_and_clear();
        if started.elapsed() >= Duration::from_secs(2) {
            let seconds = started.elapsed().as_secs();
            eprintln!(
                "{} {name} ({seconds} s)",
                console::style("✓").green().for_stderr()
            );
        }
        result
    }
}
