//! Charts as SVG: lines with their names at the right end, and points with their names beside them.

use core::ops::Range;

use anyhow::{Context, Result};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Width and height of every picture, in pixels.
const SIZE: (u32, u32) = (800, 420);

/// Heights of letters, in pixels.
const TITLE: u32 = 24;
const TEXT: u32 = 17;

/// About how wide a letter of `TEXT` is.
const LETTER: i32 = 8;

/// Pixels between the baselines of names that stand above each other.
const LINE: i32 = 18;

/// Radius of a point.
const POINT: i32 = 6;

/// How a picture is coloured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    pub(super) name: &'static str,
    paper: RGBColor,
    ink: RGBColor,
    faint: RGBColor,
}

impl Theme {
    pub(super) const LIGHT: Self = Self {
        name: "light",
        paper: RGBColor(255, 255, 255),
        ink: RGBColor(36, 41, 47),
        faint: RGBColor(208, 215, 222),
    };

    pub(super) const DARK: Self = Self {
        name: "dark",
        paper: RGBColor(13, 17, 23),
        ink: RGBColor(230, 237, 243),
        faint: RGBColor(48, 54, 61),
    };
}

/// The colour of an allocator, which is read on both papers.
fn colour(allocator: &str) -> RGBColor {
    match allocator {
        name if name.starts_with("alligator") => RGBColor(26, 158, 92),
        "talc" => RGBColor(209, 73, 91),
        "dlmalloc" => RGBColor(63, 134, 224),
        "rlsf" => RGBColor(217, 139, 28),
        "wasmalloc" => RGBColor(154, 107, 224),
        "lol_alloc" => RGBColor(42, 167, 181),
        _ => RGBColor(138, 143, 140),
    }
}

/// An axis. Its values are put where `scale` says.
pub(super) struct Axis {
    pub(super) title: &'static str,
    pub(super) range: Range<f64>,
    /// Values, and what they are called.
    pub(super) ticks: Vec<(f64, String)>,
    pub(super) scale: fn(f64) -> f64,
}

/// An allocator's values, in the order in which a line goes through them.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A chart of lines.
pub(super) fn lines(theme: Theme, title: &str, axes: &[Axis; 2], all: &[Series]) -> Result<String> {
    picture(theme, title, axes, 150, |chart, root| {
        for series in all {
            let is_ours = series.name == "alligator";
            let style = colour(&series.name).stroke_width(if is_ours { 4 } else { 2 });
            let points: Vec<(f64, f64)> = series
                .points
                .iter()
                .map(|point| scaled(axes, *point))
                .collect();
            let dots = points.iter().map(|point| {
                Circle::new(
                    *point,
                    if is_ours { 5 } else { 4 },
                    colour(&series.name).filled(),
                )
            });
            chart.draw_series(dots)?;
            chart.draw_series([PathElement::new(points, style)])?;
        }
        let mut ends: Vec<(&Series, (i32, i32))> = Vec::new();
        for series in all {
            let last = series.points.last().context("a line without points")?;
            ends.push((series, chart.backend_coord(&scaled(axes, *last))));
        }
        ends.sort_by_key(|(_, (_, y))| *y);
        let heights = apart(&ends.iter().map(|(_, (_, y))| *y).collect::<Vec<_>>());
        for ((series, (x, _)), y) in ends.iter().zip(heights) {
            let style = text(colour(&series.name), TEXT, HPos::Left, VPos::Center);
            root.draw_text(&series.name, &style, (x + 12, y))?;
        }
        Ok(())
    })
}

/// A chart of points, one for each series.
pub(super) fn points(
    theme: Theme,
    title: &str,
    axes: &[Axis; 2],
    all: &[Series],
) -> Result<String> {
    picture(theme, title, axes, 30, |chart, root| {
        let mut places = Vec::new();
        for series in all {
            let point = series.points.first().context("a series without a point")?;
            let place = chart.backend_coord(&scaled(axes, *point));
            root.draw(&Circle::new(place, POINT, colour(&series.name).filled()))?;
            places.push((series, place));
        }
        let mut taken: Vec<[i32; 4]> = places
            .iter()
            .map(|(_, (x, y))| [x - POINT, y - POINT, x + POINT, y + POINT])
            .collect();
        // Most names go to the right of their points: those on the right first.
        places.sort_by_key(|(_, (x, _))| core::cmp::Reverse(*x));
        for (series, place) in places {
            let (x, y, area) = free_place(&series.name, place, &taken);
            let style = text(colour(&series.name), TEXT, HPos::Left, VPos::Center);
            root.draw_text(&series.name, &style, (x, y))?;
            taken.push(area);
        }
        Ok(())
    })
}

/// Where a name has room beside its point: the left end and the middle of its text, and what it takes.
fn free_place(name: &str, (x, y): (i32, i32), taken: &[[i32; 4]]) -> (i32, i32, [i32; 4]) {
    let width = i32::try_from(name.len()).unwrap_or(0) * LETTER;
    let sides = [x + POINT + 5, x - POINT - 5 - width];
    let rows = [0, -LINE, LINE, -2 * LINE, 2 * LINE];
    let places = rows
        .iter()
        .flat_map(|row| sides.map(|side| (side, y + row)));
    let area =
        |(left, middle): (i32, i32)| [left, middle - LINE / 2, left + width, middle + LINE / 2];
    let is_free = |place: &(i32, i32)| {
        let one = area(*place);
        let [left, top, right, bottom] = one;
        let is_inside = left > 70 && i64::from(right) < i64::from(SIZE.0);
        let hits = |other: &&[i32; 4]| {
            left < other[2] && other[0] < right && top < other[3] && other[1] < bottom
        };
        is_inside && !taken.iter().any(|other| hits(&other))
    };
    let first = (sides[0], y);
    let (left, middle) = places.into_iter().find(is_free).unwrap_or(first);
    (left, middle, area((left, middle)))
}

/// Heights, from above, moved so that names have room: never up, but as a whole.
fn apart(heights: &[i32]) -> Vec<i32> {
    let mut apart: Vec<i32> = Vec::new();
    for height in heights {
        let least = apart.last().map_or(*height, |last| last + LINE);
        apart.push(least.max(*height));
    }
    apart
}

/// The paper, the axes, and what `draw` adds.
fn picture(
    theme: Theme,
    title: &str,
    axes: &[Axis; 2],
    right: u32,
    draw: impl FnOnce(
        &mut Chart<'_>,
        &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    ) -> Result<()>,
) -> Result<String> {
    let mut made = String::new();
    {
        let root = SVGBackend::with_string(&mut made, SIZE).into_drawing_area();
        root.fill(&theme.paper)?;
        let [x, y] = axes;
        let range = |axis: &Axis| (axis.scale)(axis.range.start)..(axis.scale)(axis.range.end);
        let mut chart = ChartBuilder::on(&root)
            .margin_top(74)
            .margin_left(84)
            .margin_bottom(58)
            .margin_right(right)
            .build_cartesian_2d(range(x), range(y))?;
        let ink = |size, across, down| text(theme.ink, size, across, down);
        root.draw_text(title, &ink(TITLE, HPos::Left, VPos::Top), (16, 12))?;
        root.draw_text(y.title, &ink(TEXT, HPos::Left, VPos::Top), (16, 42))?;
        let middle = i32::try_from(SIZE.0 / 2)?;
        let bottom = i32::try_from(SIZE.1)? - 10;
        root.draw_text(
            x.title,
            &ink(TEXT, HPos::Center, VPos::Bottom),
            (middle, bottom),
        )?;
        for (value, name) in &x.ticks {
            let at = (x.scale)(*value);
            let from = (at, (y.scale)(y.range.start));
            rule(&mut chart, theme, from, (at, (y.scale)(y.range.end)))?;
            let (left, down) = chart.backend_coord(&from);
            root.draw_text(name, &ink(TEXT, HPos::Center, VPos::Top), (left, down + 8))?;
        }
        for (value, name) in &y.ticks {
            let at = (y.scale)(*value);
            let from = ((x.scale)(x.range.start), at);
            rule(&mut chart, theme, from, ((x.scale)(x.range.end), at))?;
            let (left, down) = chart.backend_coord(&from);
            root.draw_text(
                name,
                &ink(TEXT, HPos::Right, VPos::Center),
                (left - 8, down),
            )?;
        }
        draw(&mut chart, &root)?;
        root.present()?;
    }
    Ok(made)
}

/// A line of the grid.
fn rule(chart: &mut Chart<'_>, theme: Theme, from: (f64, f64), to: (f64, f64)) -> Result<()> {
    chart.draw_series([PathElement::new([from, to], theme.faint)])?;
    Ok(())
}

fn text(colour: RGBColor, size: u32, across: HPos, down: VPos) -> TextStyle<'static> {
    let font = ("sans-serif", size).into_font().color(&colour);
    font.pos(Pos::new(across, down))
}

fn scaled([x, y]: &[Axis; 2], (across, up): (f64, f64)) -> (f64, f64) {
    ((x.scale)(across), (y.scale)(up))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_the_same_height_are_moved_apart() {
        assert_eq!(apart(&[10, 12, 80]), [10, 10 + LINE, 80]);
    }

    #[test]
    fn a_name_goes_where_no_point_or_other_name_is() {
        let (point, beside) = ((400, 200), [410, 190, 420, 210]);
        let (x, y, _) = free_place("talc", point, &[]);
        assert_eq!((x, y), (411, 200));
        let (x, y, _) = free_place("talc", point, &[beside]);
        assert!(x < 400 && y == 200);
    }
}
