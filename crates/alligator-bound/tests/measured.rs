//! What is measured never exceeds what is proved.
//!
//! Random structured modules run under wasmtime with fuel. The default seeds are fixed and quick;
//! `ALLIGATOR_MODULES=100000 cargo test --release -p alligator-bound --test measured` is the long
//! run, `ALLIGATOR_SEED` moves its start.

mod common;

use alligator_bound::loops::LoopBound;
use alligator_bound::report::{EntryReport, Figure};
use alligator_bound::{Options, analyze};
use common::{Random, Running, TURNS, counting_engine, random_module};
use wasmtime::Val;

/// Modules tried by default.
const MODULES: u64 = 150;
/// Calls of each exported function.
const CALLS: u64 = 60;
/// Branches a search follows: small, so that stopped searches are tested as well.
const STEPS: u64 = 2_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

fn options(refine: bool) -> Options {
    Options {
        entries: (0..4).map(|index| format!("f{index}")).collect(),
        refine,
        steps_max: STEPS,
        witness: false,
        ..Options::default()
    }
}

/// Options in which every loop of the module has the bound it was made with.
fn with_loop_bounds(bytes: &[u8], mut options: Options) -> Options {
    let plain = Options {
        refine: false,
        ..options.clone()
    };
    let report = analyze(bytes, &plain).expect("analysed");
    let obstacles = report.entries.iter().flat_map(|entry| &entry.obstacles);
    options.bounds.loops = obstacles
        .map(|obstacle| LoopBound {
            function: obstacle.function.clone(),
            offset: obstacle.offset,
            turns: TURNS,
            because: "each turn counts".to_owned(),
        })
        .collect();
    options
}

fn argument(random: &mut Random) -> Val {
    const COMMON: [u32; 8] = [0, 1, 2, 4, 8, 0x3c, u32::MAX, 1 << 31];
    let value = match random.below(3) {
        0 => COMMON[usize::try_from(random.below(8)).expect("small")],
        1 => u32::try_from(random.below(80)).expect("small"),
        _ => u32::try_from(random.next() >> 32).expect("32 bits"),
    };
    Val::I32(value.cast_signed())
}

fn limit(entry: &EntryReport, measured: &common::Measured) -> u64 {
    let bound = |figure: &Option<Figure>| figure.as_ref().and_then(|f| f.bound).unwrap_or(0);
    let plain = |figure: &Option<Figure>| figure.as_ref().and_then(|f| f.plain).unwrap_or(0);
    match (measured.ended, measured.grew) {
        (false, _) => plain(&entry.without_growth).max(plain(&entry.with_growth)),
        (true, true) => bound(&entry.with_growth),
        (true, false) => bound(&entry.without_growth),
    }
}

#[test]
fn no_execution_exceeds_its_bound() {
    let engine = counting_engine(true);
    let first = setting("ALLIGATOR_SEED", 1);
    let (mut tightest, mut plain, mut reached) = (0, 0, 0);
    for seed in first..first + setting("ALLIGATOR_MODULES", MODULES) {
        let mut random = Random::new(seed);
        let bytes = random_module(&mut random);
        let options = with_loop_bounds(&bytes, options(true));
        let report = analyze(&bytes, &options).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let mut running = Running::new(&engine, &bytes);
        for entry in &report.entries {
            let mut most = 0;
            for _ in 0..CALLS {
                let arguments = [(); 4].map(|()| argument(&mut random));
                let measured = running.call(&entry.name, &arguments);
                let limit = limit(entry, &measured);
                assert!(
                    measured.fuel <= limit,
                    "seed {seed}: {}{arguments:?} cost {measured:?}, proved {limit}",
                    entry.name
                );
                if measured.ended && !measured.grew {
                    most = most.max(measured.fuel);
                }
            }
            if let Some(figure) = &entry.without_growth {
                tightest += figure.bound.unwrap_or(0);
                plain += figure.plain.unwrap_or(0);
                reached += most;
            }
        }
    }
    println!("sums over all functions: reached {reached}, refined {tightest}, plain {plain}");
    assert!(reached <= tightest && tightest < plain);
}

#[test]
fn the_plain_path_that_is_shown_costs_the_plain_figure() {
    for seed in 1..40 {
        let bytes = random_module(&mut Random::new(seed));
        let shown = Options {
            witness: true,
            ..options(false)
        };
        let shown = with_loop_bounds(&bytes, shown);
        let report = analyze(&bytes, &shown).expect("analysed");
        for entry in &report.entries {
            for figure in [&entry.without_growth, &entry.with_growth]
                .into_iter()
                .flatten()
            {
                assert_eq!(figure.bound, figure.plain);
                let last = figure.witness.last().map_or(0, |step| step.cost);
                assert!(Some(last) <= figure.plain, "seed {seed}: {}", entry.name);
            }
        }
    }
}
