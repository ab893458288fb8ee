//! The plots: what each shows, and the files that they are written to.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::statistics::Spread;
use super::svg::{Axis, Chart};

/// One line of a plot.
#[derive(Debug, Serialize)]
pub(crate) struct Curve {
    pub(crate) plot: &'static str,
    pub(crate) series: &'static str,
    /// Each x with the values of its runs, in the order of x.
    pub(crate) points: Vec<(f64, Vec<f64>)>,
}

impl Curve {
    pub(crate) fn add(&mut self, x: f64, y: f64) {
        match self.points.binary_search_by(|(other, _)| other.total_cmp(&x)) {
            Ok(at) => self.points[at].1.push(y),
            Err(at) => self.points.insert(at, (x, vec![y])),
        }
    }

    /// Medians, with the least and the most.
    pub(crate) fn spreads(&self) -> Vec<(f64, Spread)> {
        let spread = |(x, values): &(f64, Vec<f64>)| Some((*x, Spread::of(values)?));
        self.points.iter().filter_map(spread).collect()
    }
}

/// What a plot is about. Its id is also the name of its file.
struct Frame {
    id: &'static str,
    title: &'static str,
    x: Axis,
    y: Axis,
}

const fn linear(label: &'static str) -> Axis {
    Axis { label, is_log: false }
}

const fn log(label: &'static str) -> Axis {
    Axis { label, is_log: true }
}

const COST: Axis = linear("CPU a message, µs");
const FRAMES: &[Frame] = &[
    Frame { id: "connections", title: "A message beside idle connections", x: log("connections"), y: COST },
    Frame {
        id: "memory",
        title: "Memory of a connection",
        x: log("connections on one node"),
        y: linear("a connection, KiB"),
    },
    Frame {
        id: "mailbox",
        title: "A message in mailboxes of some length",
        x: log("entries in each mailbox"),
        y: COST,
    },
    Frame {
        id: "reading",
        title: "Readings in mailboxes of some length",
        x: log("entries in the mailbox"),
        y: linear("p50 with the way to Postgres, ms"),
    },
    Frame { id: "nodes", title: "A message and the number of nodes", x: linear("nodes"), y: COST },
    Frame {
        id: "batch",
        title: "A message and how many are committed with it",
        x: log("messages in a batch"),
        y: log("a message, µs"),
    },
    Frame { id: "soak-memory", title: "Memory under load", x: linear("minutes"), y: linear("resident, MiB") },
    Frame {
        id: "soak-descriptors",
        title: "Descriptors under load",
        x: linear("minutes"),
        y: linear("open descriptors"),
    },
    Frame {
        id: "soak-latency",
        title: "Latency under load",
        x: linear("minutes"),
        y: linear("delivery, ms"),
    },
];

/// Writes those that there are points of.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn write(curves: &[Curve], folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for Frame { id, title, x, y } in FRAMES {
        let series: Vec<_> = curves.iter().filter(|curve| curve.plot == *id).collect();
        if series.is_empty() {
            continue;
        }
        let series = series.into_iter().map(|curve| (curve.series, curve.spreads())).collect();
        let path = folder.join(format!("{id}.svg"));
        let chart = Chart { title, x: *x, y: *y, series };
        fs::write(&path, chart.draw()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_keep_their_order_and_their_runs() {
        let mut curve = Curve { plot: "nodes", series: "all", points: Vec::new() };
        for (x, y) in [(4.0, 9.0), (1.0, 5.0), (4.0, 7.0), (4.0, 8.0)] {
            curve.add(x, y);
        }
        let spreads = curve.spreads();
        assert_eq!(spreads[0].0, 1.0);
        assert_eq!(spreads[1], (4.0, Spread { median: 8.0, least: 7.0, most: 9.0 }));
    }

    #[test]
    fn each_plot_with_points_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let curve = Curve { plot: "nodes", series: "all", points: vec![(1.0, vec![2.0]), (2.0, vec![2.0])] };
        write(&[curve], folder.path()).unwrap();
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(names, ["nodes.svg"]);
    }
}
