//! Times of short things, without what reading the clock costs.

use std::time::Instant;

use crate::figures::median;

const READINGS: usize = 20_000;

/// The host's clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    reading_nanoseconds: f64,
}

impl Clock {
    /// Measures what one reading costs: the time between two of them.
    pub fn calibrated() -> Self {
        let readings: Vec<f64> = (0..READINGS).map(|_| between(Instant::now(), Instant::now())).collect();
        Self { reading_nanoseconds: median(&readings) }
    }

    /// Nanoseconds of one reading.
    pub fn reading_nanoseconds(&self) -> f64 {
        self.reading_nanoseconds
    }

    /// Nanoseconds that the work took, and what it gave.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> (f64, T) {
        let start = Instant::now();
        let result = std::hint::black_box(work());
        let taken = between(start, Instant::now());
        ((taken - self.reading_nanoseconds).max(0.0), result)
    }
}

fn between(start: Instant, end: Instant) -> f64 {
    end.duration_since(start).as_nanos() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_takes_no_time() {
        let clock = Clock::calibrated();
        assert!(clock.reading_nanoseconds() > 0.0);
        let (nanoseconds, result) = clock.time(|| 7);
        assert!(nanoseconds >= 0.0 && result == 7);
    }
}
