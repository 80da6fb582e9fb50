//! Counters, gauges and histograms by name, with Envoy's rules: recording a counter adds, a counter never goes down,
//! a histogram cannot be read by the guest.

use std::collections::BTreeMap;

use super::abi::Status;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Default)]
pub(super) struct Metrics {
    ids: BTreeMap<u32, (Kind, String)>,
    values: BTreeMap<(Kind, String), u64>,
    histograms: BTreeMap<String, Vec<u64>>,
}

impl Metrics {
    pub(super) fn define(&mut self, kind: u32, name: String) -> Result<u32, Status> {
        let kind = match kind {
            0 => Kind::Counter,
            1 => Kind::Gauge,
            2 => Kind::Histogram,
            _ => return Err(Status::BadArgument),
        };
        // The kind in the low bits, as in Envoy, so that a guest cannot come to depend on small consecutive numbers.
        let count = u32::try_from(self.ids.len()).map_err(|_| Status::InternalFailure)?;
        let id = count.saturating_add(1).saturating_mul(4) | kind as u32;
        if kind == Kind::Histogram {
            self.histograms.entry(name.clone()).or_default();
        } else {
            self.values.entry((kind, name.clone())).or_insert(0);
        }
        self.ids.insert(id, (kind, name));
        Ok(id)
    }

    pub(super) fn increment(&mut self, id: u32, offset: i64) -> Result<(), Status> {
        let (kind, value) = self.value_of(id)?;
        if kind == Kind::Counter && offset <= 0 {
            return Err(Status::BadArgument);
        }
        *value = value.wrapping_add_signed(offset);
        Ok(())
    }

    pub(super) fn record(&mut self, id: u32, number: u64) -> Result<(), Status> {
        if let Some((Kind::Histogram, name)) = self.ids.get(&id) {
            self.histograms.entry(name.clone()).or_default().push(number);
            return Ok(());
        }
        match self.value_of(id).map_err(|_| Status::NotFound)? {
            (Kind::Counter, value) => *value = value.wrapping_add(number),
            (_, value) => *value = number,
        }
        Ok(())
    }

    pub(super) fn read(&mut self, id: u32) -> Result<u64, Status> {
        self.value_of(id).map(|(_, value)| *value)
    }

    /// Counters and gauges by name.
    pub(super) fn all(&self) -> BTreeMap<String, u64> {
        self.values.iter().map(|((_, name), value)| (name.clone(), *value)).collect()
    }

    pub(super) fn named(&self, name: &str) -> Option<u64> {
        let kinds = [Kind::Counter, Kind::Gauge];
        kinds.into_iter().find_map(|kind| self.values.get(&(kind, name.to_owned())).copied())
    }

    pub(super) fn histogram(&self, name: &str) -> Vec<u64> {
        self.histograms.get(name).cloned().unwrap_or_default()
    }

    fn value_of(&mut self, id: u32) -> Result<(Kind, &mut u64), Status> {
        // The low bits tell the kind even of a number that was never given out.
        let unknown = if id & 3 < 2 { Status::NotFound } else { Status::BadArgument };
        let (kind, name) = self.ids.get(&id).ok_or(unknown)?;
        let value = self.values.get_mut(&(*kind, name.clone())).ok_or(unknown)?;
        Ok((*kind, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_definitions_of_one_name_are_one_number() {
        let mut metrics = Metrics::default();
        let first = metrics.define(0, "calls".into()).unwrap();
        let second = metrics.define(0, "calls".into()).unwrap();
        metrics.increment(first, 1).unwrap();
        metrics.record(second, 2).unwrap();
        assert_ne!(first, second);
        assert_eq!(metrics.named("calls"), Some(3));
    }

    #[test]
    fn what_a_kind_cannot_do_is_refused() {
        let mut metrics = Metrics::default();
        let counter = metrics.define(0, "c".into()).unwrap();
        let gauge = metrics.define(1, "g".into()).unwrap();
        let histogram = metrics.define(2, "h".into()).unwrap();
        assert_eq!(metrics.increment(counter, -1), Err(Status::BadArgument));
        metrics.increment(gauge, 5).unwrap();
        metrics.increment(gauge, -2).unwrap();
        assert_eq!(metrics.read(gauge), Ok(3));
        metrics.record(histogram, 9).unwrap();
        assert_eq!(metrics.read(histogram), Err(Status::BadArgument));
        assert_eq!(metrics.histogram("h"), [9]);
        assert_eq!(metrics.read(100), Err(Status::NotFound));
        assert_eq!(metrics.read(99), Err(Status::BadArgument));
        assert_eq!(metrics.record(99, 1), Err(Status::NotFound));
        assert_eq!(metrics.define(3, "x".into()), Err(Status::BadArgument));
    }
}
