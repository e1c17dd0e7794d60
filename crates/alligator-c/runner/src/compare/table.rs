//! The table of `docs/c-programs.md`.

use core::fmt::Write as _;

use anyhow::{Context, Result};

use super::Found;
use alligator_tools::guest;

/// What is asked of the geometric means: fuel, time, pages.
const TARGETS: [f64; 3] = [0.87, 0.85, 1.05];

const HEAD: &str = "# C programs on wasi-libc's dlmalloc and on Alligator\n\n\
    Written by `cargo xtask clib --compare`: Lua, SQLite and QuickJS from crates.io with programs that allocate \
    much (`guests/c`), compiled once by clang and linked with either malloc. The outputs are compared byte by \
    byte. A ratio below 1 is in our favour.\n\n\
    - *Fuel* is every executed instruction of the whole program, and one more for each byte that `memory.copy` \
    and `memory.fill` move. *Floor* is its ratio on a malloc that only counts up and takes nothing back: lower is \
    out of reach. *Malloc alone* is what lies above the floor, ours to dlmalloc's.\n\
    - *Time* is of the whole program, by alternating runs, ratio of medians; on a busy machine it is good for two \
    digits at most.\n\
    - *Pages* are of 64 KiB, stack and data included, at the end.\n\n\
    | program | fuel, dlmalloc | Alligator | ratio | floor | malloc alone | time, wasmtime | time, V8 | pages, \
    dlmalloc | Alligator | ratio |\n\
    | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n";

/// Writes the table to the file and to the terminal.
pub(super) fn write(found: &[Found]) -> Result<()> {
    let mut text = HEAD.to_owned();
    for program in found {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.3} | {:.3} | {:.2} | {:.2} | {} | {} | {} | {:.2} |",
            program.name,
            program.fuel[0],
            program.fuel[1],
            ratio(program.fuel),
            ratio([program.fuel[0], program.floor]),
            malloc_alone(program),
            program.wasmtime,
            optional(program.v8),
            program.pages[0],
            program.pages[1],
            ratio(program.pages),
        );
    }
    let mean = |of: fn(&Found) -> f64| geometric_mean(found.iter().map(of));
    let v8: Option<Vec<f64>> = found.iter().map(|program| program.v8).collect();
    let v8 = v8.map(|ratios| geometric_mean(ratios.into_iter()));
    let _ = writeln!(
        text,
        "| geometric mean | | | {:.3} | {:.3} | {:.2} | {:.2} | {} | | | {:.2} |\n\
         | target | | | {} | | | {} | {} | | | {} |",
        mean(|program| ratio(program.fuel)),
        mean(|program| ratio([program.fuel[0], program.floor])),
        mean(malloc_alone),
        mean(|program| program.wasmtime),
        optional(v8),
        mean(|program| ratio(program.pages)),
        TARGETS[0],
        TARGETS[1],
        TARGETS[1],
        TARGETS[2],
    );
    let path = guest::root().join("docs").join("c-programs.md");
    std::fs::write(&path, &text).with_context(|| format!("{}", path.display()))?;
    print!("{text}");
    Ok(())
}

/// What our malloc costs above the floor, as a part of what dlmalloc does.
fn malloc_alone(program: &Found) -> f64 {
    let above = program.fuel.map(|fuel| fuel.saturating_sub(program.floor));
    ratio(above)
}

fn optional(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
}

#[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^52")]
fn ratio([theirs, ours]: [u64; 2]) -> f64 {
    ours as f64 / theirs as f64
}

fn geometric_mean(ratios: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = ratios.fold((0.0, 0.0), |(count, sum), ratio| {
        (count + 1.0, sum + ratio.ln())
    });
    f64::exp(sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_half_and_double_is_one() {
        let mean = geometric_mean([0.5, 2.0].into_iter());
        assert!((mean - 1.0).abs() < 1e-12);
    }
}
