//! All statistics of the lab: medians, spreads, geometric means, and the intervals of these.
//!
//! Quartiles interpolate linearly between samples, as R's type 7 and spreadsheets do; libraries
//! for statistics in Rust have other ones (`statrs`: type 8), which would change what is recorded,
//! and none has the bootstrap of a mean over several samples.

use alligator_tools::random::Random;

/// A median with the middle half of the samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    /// The first quartile.
    pub(crate) low: f64,
    /// The third.
    pub(crate) high: f64,
}

/// A mean with its interval: those of 95 of 100 repetitions have the true mean in them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mean {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl core::fmt::Display for Mean {
    fn fmt(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            to,
            "{:.2} ({:.2} to {:.2})",
            self.value, self.low, self.high
        )
    }
}

/// Repetitions from which an interval is taken.
const RESAMPLES: usize = 1_000;

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// One count divided by another.
pub(crate) fn ratio(above: u64, below: u64) -> f64 {
    float(above) / float(below)
}

/// The spread of some samples; none of nothing.
pub(crate) fn spread(samples: &[f64]) -> Option<Spread> {
    let sorted = sorted(samples.to_vec());
    Some(Spread {
        median: quantile(&sorted, 0.5)?,
        low: quantile(&sorted, 0.25)?,
        high: quantile(&sorted, 0.75)?,
    })
}

/// The median; none of nothing.
pub(crate) fn median(samples: &[f64]) -> Option<f64> {
    quantile(&sorted(samples.to_vec()), 0.5)
}

fn sorted(mut samples: Vec<f64>) -> Vec<f64> {
    samples.sort_by(f64::total_cmp);
    samples
}

/// By linear interpolation between sorted samples.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index from a share of a small length"
)]
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * (sorted.len().checked_sub(1)?) as f64;
    let below = *sorted.get(place.floor() as usize)?;
    let above = *sorted.get(place.ceil() as usize)?;
    Some(below + (above - below) * place.fract())
}

/// Ratios of two allocators' samples of the same round, the driver's of that round subtracted.
/// Rounds in which the driver took longer than one of them say nothing and are left out.
pub(crate) fn ratios(samples: &[f64], reference: &[f64], driver: Option<&[f64]>) -> Vec<f64> {
    let rounds = samples.iter().zip(reference).enumerate();
    rounds
        .filter_map(|(round, (ours, theirs))| {
            let driver = driver.map_or(Some(0.0), |driver| driver.get(round).copied())?;
            let (ours, theirs) = (ours - driver, theirs - driver);
            (ours > 0.0 && theirs > 0.0).then_some(ours / theirs)
        })
        .collect()
}

/// The geometric mean; none of nothing.
#[expect(clippy::cast_precision_loss, reason = "a few values")]
pub(crate) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let logs = values.iter().map(|value| value.ln());
    (!values.is_empty()).then(|| (logs.sum::<f64>() / values.len() as f64).exp())
}

/// The geometric mean of the medians of several groups of samples, with the interval that comes of
/// drawing each group anew from itself (the bootstrap), the same one each time. None of nothing,
/// or if a group has no sample.
pub(crate) fn mean_of_medians(groups: &[Vec<f64>]) -> Option<Mean> {
    let mean = |groups: &[Vec<f64>]| {
        let medians: Option<Vec<f64>> = groups.iter().map(|group| median(group)).collect();
        geometric_mean(&medians?)
    };
    let mut random = Random::new(1);
    let mut draw = || {
        let draw_group = |group: &Vec<f64>| group.iter().map(|_| random.pick(group)).collect();
        mean(&groups.iter().map(draw_group).collect::<Vec<_>>())
    };
    let value = mean(groups)?;
    let drawn: Option<Vec<f64>> = (0..RESAMPLES).map(|_| draw()).collect();
    let drawn = sorted(drawn?);
    Some(Mean {
        value,
        low: quantile(&drawn, 0.025)?,
        high: quantile(&drawn, 0.975)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_the_middle_half() {
        let spread = spread(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        let expected = Spread {
            median: 3.0,
            low: 2.0,
            high: 4.0,
        };
        assert_eq!(spread, Some(expected));
    }

    #[test]
    fn nothing_has_no_spread() {
        assert_eq!(spread(&[]), None);
        assert_eq!(geometric_mean(&[]), None);
        assert_eq!(mean_of_medians(&[]), None);
        assert_eq!(mean_of_medians(&[vec![1.0], Vec::new()]), None);
    }

    #[test]
    fn a_ratio_is_of_one_round_without_the_driver() {
        let ratios = ratios(&[3.0, 5.0, 1.0], &[2.0, 3.0, 9.0], Some(&[1.0, 1.0, 2.0]));
        assert_eq!(ratios, [2.0, 2.0]);
    }

    #[test]
    fn the_interval_is_around_the_mean_and_as_wide_as_the_samples_differ() {
        let interval = |noise: f64| {
            let samples = [
                1.0,
                1.0 + noise,
                1.0 - noise,
                1.0 + noise / 2.0,
                1.0 - noise / 2.0,
            ];
            mean_of_medians(&[samples.to_vec(), samples.map(|one| one * 4.0).to_vec()])
                .expect("there are samples")
        };
        let (narrow, wide) = (interval(0.01), interval(0.1));
        assert!((narrow.value - 2.0).abs() < 1e-9, "{narrow:?}");
        assert!(narrow.low < 2.0 && narrow.high > 2.0, "{narrow:?}");
        assert!(
            wide.high - wide.low > 5.0 * (narrow.high - narrow.low),
            "{wide:?}"
        );
        assert_eq!(
            interval(0.0),
            Mean {
                value: 2.0,
                low: 2.0,
                high: 2.0
            }
        );
    }

    /// Of a hundred repetitions, most have the true value in their interval.
    #[test]
    fn most_intervals_hold_the_true_value() {
        let mut random = Random::new(7);
        let mut sample = || 1.0 + (f64::from(random.below(2_001)) - 1_000.0) / 10_000.0;
        let held = (0..100).filter(|_| {
            let groups: Vec<Vec<f64>> =
                (0..5).map(|_| (0..9).map(|_| sample()).collect()).collect();
            mean_of_medians(&groups).is_some_and(|mean| mean.low <= 1.0 && mean.high >= 1.0)
        });
        assert!(held.count() >= 90);
    }
}
