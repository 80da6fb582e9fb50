//! How long a snapshot takes to come in, slice by slice.
//!
//! Every load of the same snapshot has the same slices, so a slice's time is the median of its times: what the machine
//! did besides falls away, a slice that is long by itself does not.

use policies::snapshot::CHUNK_BYTES;

use crate::figures::{Figure, median, quantile};

/// Times of one load, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct LoadTimes {
    /// Reading and checking the manifest.
    pub(crate) begin: f64,
    /// Each slice of bytes.
    pub(crate) pushes: Vec<f64>,
    /// Each step of looking at it.
    pub(crate) steps: Vec<f64>,
    /// Dropping what was in force.
    pub(crate) drop: f64,
}

const MILLISECOND: f64 = 1e6;

/// What the loads come to.
pub(crate) fn figures(loads: &[LoadTimes]) -> Vec<Figure> {
    let milliseconds = |name: &str, nanoseconds: f64| Figure::new(name, nanoseconds / MILLISECOND, "ms");
    let all = |part: fn(&LoadTimes) -> f64| median(&loads.iter().map(part).collect::<Vec<_>>());
    let mut figures = vec![
        Figure::new("load.rounds", loads.len() as f64, "loads"),
        Figure::new("load.push_slice", CHUNK_BYTES as f64, "bytes"),
        milliseconds("load.begin", all(|load| load.begin)),
        milliseconds("load.drop", all(|load| load.drop)),
        milliseconds("load.total", all(|load| load.begin + sum(&load.pushes) + sum(&load.steps) + load.drop)),
    ];
    for (name, part) in [("push", (|load| &load.pushes) as fn(&LoadTimes) -> &Vec<f64>), ("step", |load| &load.steps)] {
        let slices = slices(loads, part);
        let raw = loads.iter().flat_map(part).copied().fold(0.0, f64::max);
        figures.extend([
            Figure::new(format!("load.{name}_slices"), slices.len() as f64, "slices"),
            milliseconds(&format!("load.{name}_median"), median(&slices)),
            milliseconds(&format!("load.{name}_p99"), quantile(&slices, 0.99)),
            milliseconds(&format!("load.{name}_max"), quantile(&slices, 1.0)),
            milliseconds(&format!("load.{name}_max_once"), raw),
            milliseconds(&format!("load.{name}_total"), sum(&slices)),
        ]);
    }
    figures
}

/// Each slice's median over the loads.
fn slices(loads: &[LoadTimes], part: fn(&LoadTimes) -> &Vec<f64>) -> Vec<f64> {
    let count = loads.iter().map(|load| part(load).len()).min().unwrap_or(0);
    let slice = |position: usize| {
        let times: Vec<f64> = loads.iter().filter_map(|load| part(load).get(position).copied()).collect();
        median(&times)
    };
    (0..count).map(slice).collect()
}

fn sum(times: &[f64]) -> f64 {
    times.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_slice_is_told_apart_from_a_long_one() {
        let load = |first: f64, second: f64| LoadTimes {
            pushes: vec![first * MILLISECOND, second * MILLISECOND],
            ..LoadTimes::default()
        };
        let figures = figures(&[load(1.0, 3.0), load(9.0, 3.0), load(1.0, 3.0)]);
        let value = |name: &str| figures.iter().find(|figure| figure.name == name).unwrap().value;
        assert_eq!((value("load.push_max"), value("load.push_max_once")), (3.0, 9.0));
        assert_eq!((value("load.push_slices"), value("load.push_total")), (2.0, 4.0));
    }
}
