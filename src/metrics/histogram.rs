//! A latency histogram that is only atomics: observing takes no lock, hashes nothing and
//! allocates nothing. (`prometheus_client`'s own histogram takes a lock per observation.)

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds in microseconds: 1, 2, 5 steps from 10 us to 10 s. Above them is `+Inf`.
const BOUNDS_US: [u64; 19] = [
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000,
];

/// Counts of durations by size, and their sum.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { buckets: std::array::from_fn(|_| AtomicU64::new(0)), sum_us: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one duration. A duration that equals a bound belongs to that bound's bucket.
    pub fn observe(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    /// How many durations were observed.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }

    /// The sum of all durations.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us.load(Relaxed))
    }
}

impl Histogram {
    /// Writes the lines of a scrape.
    pub(super) fn write(&self, to: &mut MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut buckets = [(f64::MAX, 0u64); BOUNDS_US.len() + 1];
        for (i, (slot, count)) in buckets.iter_mut().zip(&self.buckets).enumerate() {
            let bound = BOUNDS_US.get(i).map_or(f64::MAX, |us| *us as f64 / 1e6);
            *slot = (bound, count.load(Relaxed));
        }
        // Counted from the same loads, so that `_count` always equals the `+Inf` bucket.
        let count = buckets.iter().map(|(_, n)| n).sum();
        to.encode_histogram::<NoLabelSet>(self.sum_us.load(Relaxed) as f64 / 1e6, count, &buckets, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for us in [0, 10, 11, 10_000_000, 10_000_001] {
            histogram.observe(Duration::from_micros(us));
        }
        let counts: Vec<u64> = histogram.buckets.iter().map(|b| b.load(Relaxed)).collect();
        assert_eq!(counts[0], 2, "0 and 10 us belong to the 10 us bucket");
        assert_eq!(counts[1], 1, "11 us belongs to the 20 us bucket");
        assert_eq!(counts[18], 1, "10 s belongs to the last bucket with a bound");
        assert_eq!(counts[19], 1, "more than 10 s belongs to the unbounded bucket");
        assert_eq!(histogram.count(), 5);
        assert_eq!(histogram.sum(), Duration::from_micros(20_000_022));
    }

    #[test]
    fn an_absurd_duration_is_counted_and_not_a_panic() {
        let histogram = Histogram::default();
        histogram.observe(Duration::MAX);
        assert_eq!(histogram.count(), 1);
    }
}
