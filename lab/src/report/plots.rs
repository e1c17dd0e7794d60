//! The page's plots: what each is drawn from, for every choice that its selects offer.

use std::collections::BTreeMap;

use indicatif::BinaryBytes;
use plotly::common::{
    DashType, ErrorData, ErrorType, Line, LineShape, Marker, Mode, Orientation, Visible,
};
use plotly::layout::{Axis, AxisType, Margin, Shape, ShapeLine, ShapeType};
use plotly::{Bar, Layout, Plot, Scatter};

use super::derived::{CONTROL, Derived, OURS};
use super::html::number;
use crate::engines::{Engine, Latency};
use crate::fuel::PAGE_BYTES;
use crate::run::Results;
use crate::stats::{float, ratio};

/// Plots by name, then by what is chosen: the selects' values with `|` between.
pub(super) type Plots = BTreeMap<&'static str, BTreeMap<String, Plot>>;

/// The names of the plots, as the page's sections have them.
pub(super) const RATIOS: &str = "ratios";
pub(super) const LATENCIES: &str = "latencies";
pub(super) const HOLES: &str = "holes";
pub(super) const MEMORY: &str = "memory";

/// Colours that differ in lightness as well as in hue, and are read on light and dark paper.
const PALETTE: [&str; 13] = [
    "#0b9e58", "#6cc04a", "#a3b800", "#d1495b", "#3a7bd5", "#e08e1b", "#b5740f", "#8e5bd0",
    "#5f7f95", "#2aa7b5", "#c2579a", "#8a8f8c", "#a9a9a0",
];

/// What is no allocator's.
const GREY: &str = "#8a8f8c";

/// Memory over the live bytes from which an allocator would press all others to the floor.
const FOOTPRINT_MAX: f64 = 10.0;

/// Ratios up to this are shown on a linear scale.
const LINEAR_MAX: f64 = 6.0;

/// Bytes of a mebibyte.
const MEBIBYTE: f64 = 1_048_576.0;

/// All of them; a plot of which nothing was measured is not there.
pub(super) fn all(results: &Results, derived: &Derived) -> Plots {
    let plots = [
        (RATIOS, ratios(results, derived)),
        (LATENCIES, latencies(results, derived)),
        (HOLES, holes(results, derived)),
        (MEMORY, memory(results, derived)),
    ];
    plots
        .into_iter()
        .filter(|(_, choices)| !choices.is_empty())
        .collect()
}

/// How an allocator is drawn.
struct Style {
    colour: &'static str,
    is_ours: bool,
    visible: Visible,
}

impl Style {
    /// Of an allocator, or of what is none. What never frees, or holds a fixed arena, is hidden
    /// until it is chosen.
    fn of(results: &Results, derived: &Derived, name: &str) -> Self {
        let place = results.allocators.iter().position(|info| info.name == name);
        let footprint = place.and_then(|place| derived.rows.get(place)?.footprint);
        let is_shown = place.is_none_or(|place| results.allocators[place].reclaims)
            && footprint.is_none_or(|footprint| footprint <= FOOTPRINT_MAX);
        Self {
            colour: place.map_or(GREY, |place| PALETTE[place % PALETTE.len()]),
            is_ours: name == OURS,
            visible: if is_shown {
                Visible::True
            } else {
                Visible::LegendOnly
            },
        }
    }

    fn line(&self) -> Line {
        let line = Line::new().color(self.colour);
        line.width(if self.is_ours { 3.5 } else { 1.6 })
    }
}

/// A line over two axes.
fn scatter(name: &str, style: Style, points: Vec<(f64, f64)>) -> Box<Scatter<f64, f64>> {
    let (x, y) = points.into_iter().unzip();
    let line = style.line();
    Scatter::new(x, y)
        .name(name)
        .mode(Mode::Lines)
        .visible(style.visible)
        .line(line)
}

fn layout(x: Axis, y: Axis) -> Layout {
    Layout::new()
        .x_axis(x.auto_margin(true))
        .y_axis(y.auto_margin(true))
        .height(420)
        .margin(Margin::new().left(70).right(10).top(40).bottom(50))
}

/// An axis of powers of ten, each times `steps`, with what these are called.
fn decades(
    title: &str,
    powers: core::ops::RangeInclusive<i32>,
    steps: &[f64],
    text: fn(f64) -> String,
) -> Axis {
    let decades = powers.map(|power| 10_f64.powi(power));
    let values: Vec<f64> = decades
        .flat_map(|decade| steps.iter().map(move |step| step * decade))
        .collect();
    let texts = values.iter().map(|value| text(*value)).collect();
    Axis::new()
        .title(title)
        .type_(AxisType::Log)
        .tick_values(values)
        .tick_text(texts)
}

/// A time with its unit.
pub(super) fn nanoseconds(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e6 => (value / 1e6, "ms"),
        value if value >= 1e3 => (value / 1e3, "µs"),
        value => (value, "ns"),
    };
    format!(
        "{} {unit}",
        number(value, usize::from(value < 10.0 && value.fract() > 0.0))
    )
}

/// Ratios of times: on each engine of each workload, and of all synthetic ones.
fn ratios(results: &Results, derived: &Derived) -> BTreeMap<String, Plot> {
    let mut bars: BTreeMap<(Engine, &str), Vec<RatioBar<'_>>> = BTreeMap::new();
    for row in &derived.rows {
        for (engine, means) in &row.times {
            let [synthetic, programs] = means;
            if let Some(mean) = synthetic.or(*programs) {
                bars.entry((*engine, "")).or_default().push(RatioBar {
                    name: &row.allocator,
                    ratio: [mean.low, mean.value, mean.high],
                    time: None,
                });
            }
        }
    }
    for ratio in &derived.ratios {
        let place = (ratio.engine, ratio.workload.as_str());
        bars.entry(place).or_default().push(RatioBar {
            name: &ratio.allocator,
            ratio: [ratio.spread.low, ratio.spread.median, ratio.spread.high],
            time: Some(ratio.nanoseconds),
        });
    }
    let plots = bars.into_iter().map(|((engine, workload), bars)| {
        let plot = bar_plot(results, derived, bars);
        (format!("{}|{workload}", engine.name()), plot)
    });
    plots.collect()
}

/// A ratio, and how long it took.
struct RatioBar<'a> {
    name: &'a str,
    /// Its interval or middle half, and between these itself.
    ratio: [f64; 3],
    time: Option<f64>,
}

/// Horizontal bars, the shortest on top.
fn bar_plot(results: &Results, derived: &Derived, mut bars: Vec<RatioBar<'_>>) -> Plot {
    bars.sort_by(|left, right| right.ratio[1].total_cmp(&left.ratio[1]));
    let most = bars.first().map_or(1.0, |bar| bar.ratio[2]);
    let label = |bar: &RatioBar<'_>| {
        let text = format!("{} {:.2} ", bar.name, bar.ratio[1]);
        if bar.name == OURS {
            format!("<b>{text}</b>")
        } else {
            text
        }
    };
    let tip = |bar: &RatioBar<'_>| {
        let [low, middle, high] = bar.ratio;
        let time = bar
            .time
            .map_or_else(String::new, |time| format!(", {}", nanoseconds(time)));
        format!("{}: {middle:.2} ({low:.2} to {high:.2}){time}", bar.name)
    };
    let colours = bars
        .iter()
        .map(|bar| Style::of(results, derived, bar.name).colour);
    let beside = |side: usize| -> Vec<f64> {
        let distances = bars
            .iter()
            .map(|bar| (bar.ratio[side] - bar.ratio[1]).abs());
        distances.collect()
    };
    let error = ErrorData::new(ErrorType::Data)
        .symmetric(false)
        .array(beside(2))
        .array_minus(beside(0))
        .color(GREY)
        .thickness(2.0)
        .width(4);
    let trace = Bar::new(
        bars.iter().map(|bar| bar.ratio[1]).collect(),
        bars.iter().map(label).collect(),
    )
    .orientation(Orientation::Horizontal)
    .marker(Marker::new().color_array(colours.collect()))
    .error_x(error)
    .hover_text_array(bars.iter().map(tip).collect())
    .hover_template("%{hovertext}<extra></extra>");
    let reference = &results.setup.reference;
    let title = format!("time / {reference}'s: less is better");
    let x = if most > LINEAR_MAX {
        let steps: Vec<f64> = [0.1, 0.3]
            .iter()
            .chain(&[1.0, 3.0, 10.0, 30.0, 100.0])
            .copied()
            .collect();
        let texts = steps.iter().map(ToString::to_string).collect();
        let axis = Axis::new().title(title + ", on a logarithmic scale");
        axis.type_(AxisType::Log)
            .tick_values(steps)
            .tick_text(texts)
    } else {
        Axis::new().title(title)
    };
    let one = Shape::new()
        .shape_type(ShapeType::Line)
        .y_ref("paper")
        .x0(1.0)
        .x1(1.0)
        .y0(0.0)
        .y1(1.0)
        .line(ShapeLine::new().color(GREY).dash(DashType::Dash).width(1.0));
    let mut plot = Plot::new();
    plot.add_trace(trace);
    let layout = layout(x, Axis::new()).height(90 + 26 * bars.len());
    plot.set_layout(layout.shapes(vec![one]).show_legend(false));
    plot
}

/// Which share of the single operations took at least how long.
fn latencies(results: &Results, derived: &Derived) -> BTreeMap<String, Plot> {
    let plots = results.latencies.iter().enumerate().map(|(place, one)| {
        let mut plot = Plot::new();
        let mut least = 1.0;
        for (name, latency) in &one.by_allocator {
            let points = at_least(latency);
            least = points
                .last()
                .map_or(least, |(_, share)| f64::min(least, *share));
            let style = Style::of(results, derived, name);
            let mut line = style.line().shape(LineShape::Hv);
            if name == CONTROL {
                line = line.dash(DashType::Dash);
            }
            plot.add_trace(scatter(name, style, points).line(line));
        }
        #[expect(clippy::cast_possible_truncation, reason = "a power of ten of a count")]
        let lowest = least.log10().floor() as i32;
        let share = |share: f64| match share {
            share if share >= 0.01 => format!("{} %", number(share * 100.0, 0)),
            share => format!("1 in {}", number(1.0 / share, 0)),
        };
        plot.set_layout(layout(
            decades("at least this long", 0..=9, &[1.0, 3.0], nanoseconds),
            decades("share of the operations", lowest..=0, &[1.0], share),
        ));
        (place.to_string(), plot)
    });
    plots.collect()
}

/// Nanoseconds and the share of the operations that took at least so long.
fn at_least(latency: &Latency) -> Vec<(f64, f64)> {
    let total: u64 = latency.histogram.iter().sum();
    let (mut above, mut points) = (total, Vec::new());
    let mut bound = 1.0;
    for count in &latency.histogram {
        if above > 0 && (*count > 0 || !points.is_empty()) {
            points.push((bound, ratio(above, total)));
        }
        above -= count;
        bound *= 2_f64.powf(0.25);
    }
    points.push((bound, 0.5 / float(total.max(1))));
    points
}

/// Instructions of the dearest allocation by the number of holes.
fn holes(results: &Results, derived: &Derived) -> BTreeMap<String, Plot> {
    if results.special.is_empty() {
        return BTreeMap::new();
    }
    let mut plot = Plot::new();
    for info in &results.allocators {
        let Some(special) = results.special.get(&info.name) else {
            continue;
        };
        let counts = results
            .setup
            .hole_counts
            .iter()
            .map(|count| f64::from(*count));
        let fuel = special.holes_fuel.iter().map(|fuel| float(*fuel));
        let style = Style::of(results, derived, &info.name);
        let line = scatter(&info.name, style, counts.zip(fuel).collect());
        plot.add_trace(line.mode(Mode::LinesMarkers));
    }
    let counts: Vec<f64> = results
        .setup
        .hole_counts
        .iter()
        .map(|count| f64::from(*count))
        .collect();
    let texts = counts.iter().map(|count| number(*count, 0)).collect();
    let x = Axis::new().title("holes").type_(AxisType::Log);
    plot.set_layout(layout(
        x.tick_values(counts).tick_text(texts),
        decades("instructions, dearest alloc", 0..=9, &[1.0], |value| {
            number(value, 0)
        }),
    ));
    BTreeMap::from([(String::new(), plot)])
}

/// Memory added while a workload runs.
fn memory(results: &Results, derived: &Derived) -> BTreeMap<String, Plot> {
    let mut plots = BTreeMap::new();
    for workload in &results.workloads {
        let mut plot = Plot::new();
        let names = results.allocators.iter().map(|info| info.name.as_str());
        for (name, figures) in
            names.filter_map(|name| Some((name, results.figures(name, &workload.name)?)))
        {
            let moments = figures.timeline.iter();
            let operation = |operation: usize| float(operation as u64);
            if plot.data().is_empty() {
                let blocks = moments
                    .clone()
                    .map(|one| (operation(one.operation), float(one.live_bytes) / MEBIBYTE));
                let style = Style::of(results, derived, CONTROL);
                let line = style.line().dash(DashType::Dash);
                plot.add_trace(scatter("live", style, blocks.collect()).line(line));
            }
            let bytes = |pages: u64| pages * PAGE_BYTES;
            let added = moments.map(|one| {
                (
                    operation(one.operation),
                    float(bytes(one.grown_pages)) / MEBIBYTE,
                )
            });
            let style = Style::of(results, derived, name);
            let line = style.line().shape(LineShape::Hv);
            let end = BinaryBytes(bytes(figures.grown_pages));
            let tip = format!("{name}: %{{y:.2f}} MiB; {end} at the end<extra></extra>");
            let line = scatter(name, style, added.collect()).line(line);
            plot.add_trace(line.hover_template(tip));
        }
        if !plot.data().is_empty() {
            plot.set_layout(layout(
                Axis::new().title("operations").separate_thousands(true),
                Axis::new().title("memory added, MiB"),
            ));
            plots.insert(workload.name.clone(), plot);
        }
    }
    plots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let times = [1.0, 2.5, 90.0, 2_500.0, 10_000.0, 1e6].map(nanoseconds);
        assert_eq!(
            times,
            ["1 ns", "2.5 ns", "90 ns", "2.5 µs", "10 µs", "1 ms"]
        );
    }
}
