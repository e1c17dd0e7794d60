//! What is going on while it takes long: on a terminal a bar or a spinner, else a line per step.

use core::time::Duration;
use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar for steps that say how long they are; hidden where there is no terminal.
pub(crate) fn bar() -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    with_style(bar, "{msg:40!} {wide_bar} {pos}/{len} {elapsed}")
}

/// Runs `work` and shows `name` meanwhile.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> T) -> T {
    if !std::io::stderr().is_terminal() {
        eprintln!("{name}");
        return work();
    }
    let started = Instant::now();
    let spinner = ProgressBar::new_spinner().with_message(name.to_owned());
    let spinner = with_style(spinner, "{spinner:.green} {msg} {elapsed:.dim}");
    spinner.enable_steady_tick(Duration::from_millis(120));
    let result = work();
    spinner.finish_and_clear();
    if started.elapsed() >= Duration::from_secs(2) {
        let seconds = started.elapsed().as_secs();
        let mark = console::style("✓").green().for_stderr();
        eprintln!("{mark} {name} ({seconds} s)");
    }
    result
}

/// A template that indicatif does not know leaves the bar as it is.
fn with_style(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
