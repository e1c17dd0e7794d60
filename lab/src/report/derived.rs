//! What follows from the results: ratios, means, and where we lose. The page and the Markdown
//! show the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::engines::Engine;
use crate::fuel::Figures;
use crate::run::{Results, Times, WorkloadInfo};
use crate::size::OPT_LEVELS;
use crate::special::Special;
use crate::stats::{self, Mean, Spread, geometric_mean};
use alligator_tools::allocator::Kind;

/// What the driver's own times are under.
pub(super) const CONTROL: &str = "control";

/// Ours, where only one of them is spoken of.
pub(crate) const OURS: &str = "alligator";

/// Time of an allocator divided by the reference's.
#[derive(Clone, Debug)]
pub(crate) struct Ratio {
    pub(crate) engine: Engine,
    pub(crate) workload: String,
    pub(crate) allocator: String,
    pub(crate) spread: Spread,
    /// Median nanoseconds per operation, the driver's subtracted, or per run of a program.
    pub(crate) nanoseconds: f64,
}

/// One allocator in short. A figure is none if a workload of the mean is missing.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) allocator: String,
    pub(crate) kind: Kind,
    pub(crate) version: Option<String>,
    pub(crate) mean_fuel: Option<f64>,
    /// Of all workloads: alloc, dealloc, realloc, memory not growing.
    pub(crate) worst: [u64; 3],
    /// Of those that grew the heap, the first one of each workload among them.
    pub(crate) worst_growing: u64,
    pub(crate) footprint: Option<f64>,
    /// The dearest alloc among the most holes, divided by that among the fewest.
    pub(crate) holes: Option<f64>,
    pub(crate) code_bytes: Option<u64>,
    /// By engine: geometric means of the ratios over the synthetic workloads, and the programs.
    pub(crate) times: BTreeMap<Engine, [Option<Mean>; 2]>,
    /// Workloads on which it broke its contract; none if that was not checked.
    pub(crate) contracts_broken: Option<usize>,
}

impl Row {
    /// The allocator with its version.
    pub(crate) fn title(&self) -> String {
        let version = self.version.iter().map(String::as_str);
        let parts = core::iter::once(self.allocator.as_str()).chain(version);
        parts.collect::<Vec<_>>().join(" ")
    }
}

/// A figure of ours that a peer, which also reclaims, betters.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) figure: String,
    pub(crate) ours: f64,
    pub(crate) best: f64,
    pub(crate) peer: String,
}

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct Derived {
    pub(crate) rows: Vec<Row>,
    pub(crate) ratios: Vec<Ratio>,
    pub(crate) losses: Vec<Loss>,
}

/// A difference below this is noise when times are compared.
const TIME_NOISE: f64 = 1.05;

impl Derived {
    pub(crate) fn of(results: &Results) -> Self {
        let ratios = all_ratios(results);
        let rows = results.allocators.iter();
        let rows = rows.map(|info| row(results, &info.name)).collect();
        let losses = losses(results, &ratios);
        Self {
            rows,
            ratios,
            losses,
        }
    }

    /// Engines that times were measured on.
    pub(crate) fn timed_engines(&self, results: &Results) -> Vec<Engine> {
        let engines = results.engines.iter().map(|info| info.engine);
        let is_timed = |engine: &Engine| self.rows.iter().any(|row| row.times.contains_key(engine));
        engines.filter(is_timed).collect()
    }

    /// The ratio of an allocator on a workload and engine.
    pub(crate) fn ratio(&self, engine: Engine, workload: &str, allocator: &str) -> Option<&Ratio> {
        find(&self.ratios, engine, workload, allocator)
    }
}

fn find<'a>(
    ratios: &'a [Ratio],
    engine: Engine,
    workload: &str,
    allocator: &str,
) -> Option<&'a Ratio> {
    let mut ratios = ratios.iter();
    ratios
        .find(|one| one.engine == engine && one.workload == workload && one.allocator == allocator)
}

fn all_ratios(results: &Results) -> Vec<Ratio> {
    let times = results.times.iter();
    times.flat_map(|times| ratios_of(results, times)).collect()
}

fn ratios_of(results: &Results, times: &Times) -> Vec<Ratio> {
    let (engine, workload) = (times.engine, times.workload.as_str());
    let allocators = times.nanoseconds.keys().filter(|name| *name != CONTROL);
    allocators
        .filter_map(|allocator| {
            let ratios = ratios_to(
                results,
                engine,
                workload,
                allocator,
                &results.setup.reference,
            )?;
            Some(Ratio {
                engine,
                workload: workload.to_owned(),
                allocator: allocator.clone(),
                spread: stats::spread(&ratios)?,
                nanoseconds: median_nanoseconds(results, engine, workload, allocator)?,
            })
        })
        .collect()
}

/// Times of an allocator on a workload divided by a peer's, one for each round in which both were
/// measured; none if there is no such round.
pub(crate) fn ratios_to(
    results: &Results,
    engine: Engine,
    workload: &str,
    allocator: &str,
    peer: &str,
) -> Option<Vec<f64>> {
    let samples = &results.times(engine, workload)?.nanoseconds;
    let driver = samples.get(CONTROL).map(Vec::as_slice);
    let ratios = stats::ratios(samples.get(allocator)?, samples.get(peer)?, driver);
    (!ratios.is_empty()).then_some(ratios)
}

/// Nanoseconds per operation, the driver's of the same round subtracted, or per run of a program:
/// the median of the rounds.
pub(crate) fn median_nanoseconds(
    results: &Results,
    engine: Engine,
    workload: &str,
    allocator: &str,
) -> Option<f64> {
    let samples = &results.times(engine, workload)?.nanoseconds;
    let driver = samples.get(CONTROL);
    let rounds = samples.get(allocator)?.iter().enumerate();
    let rounds = rounds.map(|(round, sample)| {
        let driver = driver.and_then(|driver| driver.get(round));
        sample - driver.copied().unwrap_or(0.0)
    });
    stats::median(&rounds.collect::<Vec<_>>())
}

/// The mean ratio of times of an allocator to a peer's over the workloads that are `wanted` and
/// that the peer was timed on. None if one is missing.
pub(crate) fn ratio_mean(
    results: &Results,
    engine: Engine,
    allocator: &str,
    peer: &str,
    wanted: impl Fn(&WorkloadInfo) -> bool,
) -> Option<Mean> {
    let names = results.workloads.iter().filter(|info| wanted(info));
    let names = names.map(|info| info.name.as_str());
    let timed = names.filter(|name| ratios_to(results, engine, name, peer, peer).is_some());
    let ratios: Option<Vec<Vec<f64>>> = timed
        .map(|workload| ratios_to(results, engine, workload, allocator, peer))
        .collect();
    stats::mean_of_medians(&ratios?)
}

fn row(results: &Results, name: &str) -> Row {
    let info = results.allocators.iter().find(|info| info.name == name);
    let counts = results.counts.get(name);
    let figures = || counts.into_iter().flat_map(BTreeMap::values);
    let worst = figures().fold([0; 3], |worst: [u64; 3], one| {
        let these = one
            .operations()
            .map(|operation| operation.steady.worst_fuel());
        core::array::from_fn(|kind| worst[kind].max(these[kind]))
    });
    let growing = figures()
        .flat_map(|one| {
            one.operations()
                .map(|operation| operation.growing.worst_fuel())
        })
        .max();
    let reference = &results.setup.reference;
    let engines = results.engines.iter().map(|info| info.engine);
    let times = engines.map(|engine| {
        let mean = |programs| {
            ratio_mean(results, engine, name, reference, |info| {
                info.is_program == programs
            })
        };
        (engine, [false, true].map(mean))
    });
    let times = times.filter(|(_, means)| means.iter().any(Option::is_some));
    Row {
        allocator: name.to_owned(),
        kind: info.map_or(Kind::Peer, |info| info.kind),
        version: info.and_then(|info| info.version.clone()),
        mean_fuel: allocator_mean(results, name, |figures| Some(figures.mean_fuel())),
        worst,
        worst_growing: growing.unwrap_or(0),
        footprint: allocator_mean(results, name, |figures| {
            Some(figures.footprint()).filter(|footprint| *footprint > 0.0)
        }),
        holes: results.special.get(name).and_then(Special::hole_growth),
        code_bytes: results
            .sizes
            .get(name)
            .and_then(|sizes| sizes.get("z"))
            .map(|size| size.optimized.unwrap_or(size.compiled)),
        times: times.collect(),
        contracts_broken: contracts_broken(results, name),
    }
}

/// Workloads on which an allocator broke its contract, or none if nothing was checked.
fn contracts_broken(results: &Results, name: &str) -> Option<usize> {
    let checks = results
        .checks
        .iter()
        .filter(|check| check.allocator == name);
    let checks: Vec<_> = checks.collect();
    let broken = checks.iter().filter(|check| check.failure.is_some());
    let broken: BTreeSet<&str> = broken.map(|check| check.workload.as_str()).collect();
    (!checks.is_empty()).then_some(broken.len())
}

/// The geometric mean of a figure over the workloads of the targets, the ratchets apart, which have
/// targets of their own. None if one of them was not counted. What `figure` has nothing of is left
/// out.
pub(crate) fn allocator_mean(
    results: &Results,
    name: &str,
    figure: impl Fn(&Figures) -> Option<f64>,
) -> Option<f64> {
    let averaged = results.workloads.iter().filter(|info| info.is_averaged());
    let figures: Option<Vec<&Figures>> = averaged
        .map(|workload| results.figures(name, &workload.name))
        .collect();
    let values: Vec<f64> = figures?.into_iter().filter_map(figure).collect();
    geometric_mean(&values)
}

/// Figures of ours that the best of the peers which reclaim betters, the worst first.
fn losses(results: &Results, ratios: &[Ratio]) -> Vec<Loss> {
    let peers: Vec<&str> = results
        .allocators
        .iter()
        .filter(|info| info.kind == Kind::Peer && info.reclaims)
        .map(|info| info.name.as_str())
        .collect();
    let mut losses = Vec::new();
    let mut compare = |figure: String, margin: f64, value: &dyn Fn(&str) -> Option<f64>| {
        let Some(ours) = value(OURS) else { return };
        let theirs = peers.iter().filter_map(|peer| Some((*peer, value(peer)?)));
        let best = theirs.min_by(|(_, left), (_, right)| left.total_cmp(right));
        if let Some((peer, best)) = best
            && ours > best * margin
        {
            losses.push(Loss {
                figure,
                ours,
                best,
                peer: peer.to_owned(),
            });
        }
    };
    for workload in &results.workloads {
        let name = &workload.name;
        let figures = |allocator: &str| results.figures(allocator, name);
        compare(format!("instructions per operation, {name}"), 1.0, &|one| {
            Some(figures(one)?.mean_fuel())
        });
        compare(format!("memory / peak live, {name}"), 1.0, &|one| {
            Some(figures(one)?.footprint())
        });
        for info in &results.engines {
            let what = format!("time / {}, {}, {name}", results.setup.reference, info.name);
            compare(what, TIME_NOISE, &|one| {
                Some(find(ratios, info.engine, name, one)?.spread.median)
            });
        }
    }
    for level in OPT_LEVELS {
        compare(format!("code bytes at opt-level={level}"), 1.0, &|one| {
            let size = results.sizes.get(one)?.get(level)?;
            Some(stats::float(size.optimized.unwrap_or(size.compiled)))
        });
    }
    losses.sort_by(|left, right| (right.ours / right.best).total_cmp(&(left.ours / left.best)));
    losses
}
