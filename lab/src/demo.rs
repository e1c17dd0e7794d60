//! `cargo xtask demo`: a real program on two heaps, std's (dlmalloc) and Alligator's, and the
//! report of what the heap cost.
//!
//! The guest (`guests/demo`) is built four times. Each allocator has a plain module, which gives
//! the program's instructions, memory and code, and a traced one, which calls us around every
//! call of the allocator (`trace`). Alligator's traced module also tells us what its heap looks
//! like half-way (`picture`).

mod figures;
mod json;
mod module;
mod picture;
mod report;
mod trace;

use anyhow::{Context, Result, bail, ensure};

use self::figures::{Allocator, Figures, figures};
use alligator_tools::guest;

/// What `cargo xtask demo` is asked.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Print one JSON object and nothing else (fields: `lab/src/demo/json.rs`)
    #[arg(long)]
    json: bool,
    /// Print no colours, even on a terminal (`NO_COLOR` does the same)
    #[arg(long)]
    no_color: bool,
    /// Compile the program for size, as modules are shipped, or for speed
    #[arg(long, value_name = "LEVEL", value_parser = ["s", "z", "2", "3"], default_value = "s")]
    opt_level: String,
    /// Draw at most this many pages of the heap
    #[arg(long, value_name = "COUNT", default_value_t = 40)]
    pages: usize,
    /// Fail, too, if Alligator takes more than 10 % more pages, or is not ahead in instructions, in each worst call and,
    /// with the compiler of the record, in code
    #[arg(long)]
    check: bool,
}

/// Builds, runs, compares and reports.
pub(crate) fn run(options: &Options) -> Result<()> {
    let colours = !options.no_color && console::colors_enabled();
    console::set_colors_enabled(colours);
    guest::ensure_target(guest::TARGET)?;

    let (std, _) = figures(Allocator::Std, &options.opt_level)?;
    let (alligator, picture) = figures(Allocator::Alligator, &options.opt_level)?;
    let picture = picture.context("the guest drew no picture of its heap")?;

    if options.json {
        println!(
            "{:#}",
            json::object(&options.opt_level, &std, &alligator, &picture)
        );
    } else {
        report::print(&options.opt_level, &std, &alligator);
        picture::print(&picture, options.pages);
    }
    compare(&std, &alligator)?;
    if options.check {
        check(&std, &alligator)?;
    }
    Ok(())
}

/// Fails when the allocators' programs did not print the same.
fn compare(std: &Figures, alligator: &Figures) -> Result<()> {
    match first_difference(&std.output, &alligator.output) {
        None => Ok(()),
        Some(line) => bail!("the outputs differ, first in line {line}"),
    }
}

/// Fails when Alligator is not as far ahead as the project promises of this program.
fn check(std: &Figures, alligator: &Figures) -> Result<()> {
    let ahead = |what: &str, ours: u64, others: u64| {
        ensure!(ours < others, "{what}: {ours}, and {others} on std's heap");
        Ok(())
    };
    ahead("instructions", alligator.instructions, std.instructions)?;
    let (ours, others) = (&alligator.trace, &std.trace);
    ahead("worst alloc", ours.alloc.worst, others.alloc.worst)?;
    ahead("worst dealloc", ours.dealloc.worst, others.dealloc.worst)?;
    ahead("worst realloc", ours.realloc.worst, others.realloc.worst)?;
    // Another compiler copies other functions to where they are called.
    if guest::bounds_are_comparable()? {
        ahead("bytes of code", alligator.code_bytes, std.code_bytes)?;
    }
    let (ours, others) = (alligator.heap_pages(), std.heap_pages());
    ensure!(
        ours * 10 <= others * 11,
        "{ours} pages, more than 10 % above the {others} of std's heap"
    );
    Ok(())
}

/// Number, from 1, of the first line that is not the same in both texts.
fn first_difference(left: &str, right: &str) -> Option<usize> {
    if left == right {
        return None;
    }
    let same = left
        .split('\n')
        .zip(right.split('\n'))
        .take_while(|(left, right)| left == right);
    Some(same.count() + 1)
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
    }
}
