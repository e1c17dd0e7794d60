//! Medians, spreads and means.

use serde::{Deserialize, Serialize};

/// A median with the middle half of the samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Spread {
    pub(crate) median: f64,
    /// The first quartile.
    pub(crate) low: f64,
    /// The third.
    pub(crate) high: f64,
}

/// The spread of some samples; none of nothing.
pub(crate) fn spread(mut samples: Vec<f64>) -> Option<Spread> {
    samples.sort_by(f64::total_cmp);
    Some(Spread {
        median: quantile(&samples, 0.5)?,
        low: quantile(&samples, 0.25)?,
        high: quantile(&samples, 0.75)?,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_the_middle_half() {
        let spread = spread(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
        let expected = Spread {
            median: 3.0,
            low: 2.0,
            high: 4.0,
        };
        assert_eq!(spread, Some(expected));
    }

    #[test]
    fn nothing_has_no_spread() {
        assert_eq!(spread(Vec::new()), None);
        assert_eq!(geometric_mean(&[]), None);
    }

    #[test]
    fn a_ratio_is_of_one_round_without_the_driver() {
        let ratios = ratios(&[3.0, 5.0, 1.0], &[2.0, 3.0, 9.0], Some(&[1.0, 1.0, 2.0]));
        assert_eq!(ratios, [2.0, 2.0]);
    }
}
