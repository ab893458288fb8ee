//! What several runs say together, and whether something creeps.

use serde::Serialize;

/// A value of several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// None of nothing.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { median, least, most })
    }
}

/// How a value moved over time, by least squares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Slope {
    pub(crate) per_hour: f64,
    /// The standard error of that.
    pub(crate) error: f64,
    /// How far the line moves from the first sample to the last, as a share of the mean.
    pub(crate) drift: f64,
}

impl Slope {
    /// Of samples at seconds; none of fewer than three, or of samples that are all of one instant.
    pub(crate) fn of(samples: &[(f64, f64)]) -> Option<Self> {
        if samples.len() < 3 {
            return None;
        }
        let n_samples = samples.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / n_samples;
        let (mean_x, mean_y) = (mean(|sample| sample.0), mean(|sample| sample.1));
        let spread = samples.iter().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>();
        if spread == 0.0 {
            return None;
        }
        let slope = samples.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / spread;
        let residual = |(x, y): &(f64, f64)| (y - mean_y - slope * (x - mean_x)).powi(2);
        let variance = samples.iter().map(residual).sum::<f64>() / (n_samples - 2.0);
        let length = samples[samples.len() - 1].0 - samples[0].0;
        let drift = if mean_y == 0.0 { 0.0 } else { slope * length / mean_y };
        Some(Self { per_hour: slope * 3600.0, error: (variance / spread).sqrt() * 3600.0, drift })
    }

    /// Whether nothing creeps: the slope's 95 % interval contains zero, or it comes to less than 2 % over the run.
    pub(crate) fn is_flat(&self) -> bool {
        self.per_hour.abs() <= 1.96 * self.error || self.drift.abs() < 0.02
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(Spread::of(&[4.0, 1.0]), Some(Spread { median: 2.5, least: 1.0, most: 4.0 }));
    }

    /// `y` each ten seconds.
    fn slope(y: impl Fn(f64) -> f64) -> Slope {
        let samples: Vec<_> = (0..100).map(|nth| f64::from(nth) * 10.0).map(|x| (x, y(x))).collect();
        Slope::of(&samples).unwrap()
    }

    /// Anything but a trend: up and down in turn, as wide as given.
    fn noise(x: f64, width: f64) -> f64 {
        if (x / 10.0) % 2.0 == 0.0 { width } else { -width }
    }

    #[test]
    fn what_creeps_is_found() {
        let leak = slope(|x| 1000.0 + x + noise(x, 20.0));
        assert!((leak.per_hour - 3600.0).abs() < 10.0 && leak.error > 0.0, "{leak:?}");
        assert!(!leak.is_flat());
        assert!((leak.drift - 990.0 / 1495.0).abs() < 0.01, "{leak:?}");
    }

    #[test]
    fn what_stands_is_flat() {
        // Noise alone, a creeping below the bound, and nothing at all.
        assert!(slope(|x| 1000.0 + noise(x, 200.0)).is_flat());
        assert!(slope(|x| 1000.0 + 0.01 * x).is_flat());
        assert!(slope(|_| 0.0).is_flat());
        assert_eq!(Slope::of(&[(0.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(Slope::of(&[(1.0, 1.0); 3]), None);
    }

    #[test]
    fn the_error_is_that_of_the_textbook() {
        // y = 2x + 1 with residuals 1, -2, 1 over x = 0, 1, 2.
        let slope = Slope::of(&[(0.0, 2.0), (1.0, 1.0), (2.0, 6.0)]).unwrap();
        assert!((slope.per_hour / 3600.0 - 2.0).abs() < 1e-9);
        assert!((slope.error / 3600.0 - 3.0_f64.sqrt()).abs() < 1e-9, "{slope:?}");
    }
}
