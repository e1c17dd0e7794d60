//! What is measured never exceeds what is proved.
//!
//! Random structured modules run under wasmtime with fuel. The default seeds are fixed and quick; for
//! a long run, `ALLIGATOR_MODULES`, `ALLIGATOR_SEED` and `ALLIGATOR_CALLS` set the number of modules,
//! the first seed, and the calls of each function: `ALLIGATOR_MODULES=5000 ALLIGATOR_CALLS=500 cargo
//! test --profile tools -p alligator-bound --test measured -- --nocapture`.

mod common;

use alligator_bound::loops::LoopBound;
use alligator_bound::report::{EntryReport, Figure};
use alligator_bound::{Options, analyze};
use alligator_meter::{End, Measured, Meter, Running, Units};
use common::{ENTERED, IN_HOOK, Random, TURNS, random_module};
use wasmtime::Val;

/// Modules tried by default.
const MODULES: u64 = 150;
/// Calls of each exported function by default.
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
        .filter(|obstacle| obstacle.kind == "loop")
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

/// What is proved of a call that did this; 0 if no such call should be possible. `asked` tells whether it
/// entered a growing function.
fn limit(entry: &EntryReport, measured: &Measured, asked: bool) -> u64 {
    let bound = |figure: &Option<Figure>| figure.as_ref().map_or(0, bound_of);
    match (&measured.end, measured.grew) {
        (End::Trapped(_), _) => entry.trap_bound.unwrap_or(u64::MAX),
        (_, true) => bound(&entry.with_growth),
        (_, false) if asked => bound(&entry.refused),
        (_, false) => bound(&entry.without_growth),
    }
}

/// Calls a function, and tells whether a growing one was entered, itself apart.
fn call(running: &mut Running, name: &str, arguments: &[Val]) -> (Measured, bool) {
    for global in [ENTERED, IN_HOOK] {
        running.set_global(global, Val::I32(0)).expect("exported");
    }
    let measured = running.call(name, arguments).expect("called");
    let entered = running.global(ENTERED).and_then(|value| value.i32());
    let itself = running.parameters(&name.replace('f', "grows")).is_some();
    (measured, entered.expect("a number") > i32::from(itself))
}

fn bound_of(figure: &Figure) -> u64 {
    figure.bound.unwrap_or(u64::MAX)
}

#[test]
fn no_execution_exceeds_its_bound() {
    let meter = Meter::new(Units::Charged).expect("an engine");
    let first = setting("ALLIGATOR_SEED", 1);
    let (mut functions, mut attained, mut refused) = (0_u64, 0_u64, 0_u64);
    let (mut calls, mut tightest, mut plain, mut reached) = (0_u64, 0, 0, 0);
    for seed in first..first + setting("ALLIGATOR_MODULES", MODULES) {
        let mut random = Random::new(seed);
        let bytes = random_module(&mut random);
        let options = with_loop_bounds(&bytes, options(true));
        let report = analyze(&bytes, &options).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let mut running = meter.start(&bytes).expect("starts");
        for entry in &report.entries {
            let mut most = 0;
            for _ in 0..setting("ALLIGATOR_CALLS", CALLS) {
                let arguments = [(); 4].map(|()| argument(&mut random));
                let (measured, asked) = call(&mut running, &entry.name, &arguments);
                calls += 1;
                refused += u64::from(asked && !measured.grew);
                let limit = limit(entry, &measured, asked);
                assert!(
                    measured.fuel <= limit,
                    "seed {seed}: {}{arguments:?} cost {measured:?}, proved {limit}",
                    entry.name
                );
                if !matches!(measured.end, End::Trapped(_)) && !measured.grew && !asked {
                    most = most.max(measured.fuel);
                }
            }
            if let Some(figure) = &entry.without_growth {
                functions += 1;
                attained += u64::from(figure.bound == Some(most));
                tightest += figure.bound.unwrap_or(0);
                plain += figure.plain.unwrap_or(0);
                reached += most;
            }
        }
    }
    println!("{functions} functions, the bound of {attained} attained");
    println!(
        "{calls} calls; sums over all functions: reached {reached}, refined {tightest}, plain {plain}"
    );
    println!("{refused} calls entered a growing function and did not grow");
    assert!(refused > calls / 500, "too few to test anything");
    assert!(reached <= tightest && tightest < plain && attained > functions / 4);
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
            let figures = [&entry.without_growth, &entry.refused, &entry.with_growth];
            for figure in figures.into_iter().flatten() {
                assert_eq!(figure.bound, figure.plain);
                let last = figure.witness.last().map_or(0, |step| step.cost);
                assert!(
                    Some(last) <= figure.plain || figure.plain.is_none(),
                    "seed {seed}: {}",
                    entry.name
                );
            }
        }
    }
}

/// The bytes of a loop over bytes are in no figure but `cost_per_unit`.
#[test]
fn loops_over_bytes_cost_no_more_than_so_much_per_byte() {
    let text = include_str!("cases/bytes.wat");
    let text = text.replace("(func $memset", "(func $memset (export \"memset\")");
    let bytes = wat::parse_str(text).expect("well formed");
    let options = Options {
        entries: vec!["memset".to_owned()],
        ..Options::default()
    };
    let report = analyze(&bytes, &options).expect("analysed");
    let entry = &report.entries[0];
    let fixed = entry.without_growth.as_ref().map_or(0, bound_of);
    let per_byte = entry.bulk[0].cost_per_unit;
    let mut running = Meter::new(Units::Free)
        .and_then(|meter| meter.start(&bytes))
        .expect("starts");
    for length in [0, 1, 2, 7, 100, 1000] {
        let arguments = [8, 0, length].map(Val::I32);
        let measured = running.call("memset", &arguments).expect("called");
        let limit = fixed + per_byte * u64::from(length.cast_unsigned());
        assert!(measured.fuel <= limit, "{length}: {measured:?}, {limit}");
        // It is not a limit that anything keeps to.
        assert!(measured.fuel + fixed > limit - per_byte, "{length}");
    }
}
