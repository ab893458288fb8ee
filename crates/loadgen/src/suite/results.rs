//! What was measured so far.

use std::collections::BTreeMap;

use serde::Serialize;

use super::plots::Curve;
use super::soak::Creep;
use super::statistics::Spread;
use super::table::{Measure, Target};

/// Samples by the id of their target, points by their plot, and what could not be measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    samples: BTreeMap<&'static str, Vec<f64>>,
    pub(crate) curves: Vec<Curve>,
    pub(crate) soak: Vec<Creep>,
    failures: BTreeMap<Measure, String>,
}

impl Results {
    /// One run's value.
    pub(crate) fn record(&mut self, id: &'static str, value: f64) {
        self.samples.entry(id).or_default().push(value);
    }

    /// One run's value of a point of a plot.
    pub(crate) fn plot(&mut self, plot: &'static str, series: &'static str, x: f64, y: f64) {
        let is_it = |curve: &&mut Curve| curve.plot == plot && curve.series == series;
        if let Some(curve) = self.curves.iter_mut().find(is_it) {
            curve.add(x, y);
        } else {
            let mut curve = Curve { plot, series, points: Vec::new() };
            curve.add(x, y);
            self.curves.push(curve);
        }
    }

    /// Why the rest of this could not be measured.
    pub(crate) fn fail(&mut self, measure: Measure, why: String) {
        self.failures.insert(measure, why);
    }

    pub(crate) fn median(&self, id: &str) -> Option<f64> {
        Some(Spread::of(self.samples.get(id)?)?.median)
    }

    /// The runs of a target, if there are any.
    pub(crate) fn measured(&self, target: &Target) -> Option<Spread> {
        Spread::of(self.samples.get(target.id)?)
    }

    /// What could not be measured, at all or to the end, and why.
    pub(crate) fn failures(&self) -> &BTreeMap<Measure, String> {
        &self.failures
    }
}
