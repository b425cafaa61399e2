//! How much a second, over samples that age (Kafka's `Rate` over `SampledStat`, so that a client is told to wait for as
//! long as Kafka would tell it).
//!
//! Values fall into samples of one window's length. Those that saw nothing for all windows together are emptied. The time
//! that a rate is taken over is at least all windows but one, however little of it has passed: a first burst may be as large
//! as what is allowed in that time.

use super::{Windows, rounded};

#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    start: i64,
    last: i64,
    value: f64,
}

impl Sample {
    fn new(now: i64) -> Sample {
        Sample { start: now, last: now, value: 0.0 }
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rate {
    samples: Vec<Sample>,
    current: usize,
}

impl Rate {
    /// Adds `value`; a negative one takes back what was added.
    pub fn record(&mut self, value: f64, now: i64, windows: Windows) {
        if self.samples.is_empty() {
            self.samples.push(Sample::new(now));
        }
        let is_complete = self.samples.get(self.current).is_some_and(|sample| now - sample.start >= windows.size);
        if is_complete {
            // One more than there are windows, for the one that has begun and not ended.
            self.current = (self.current + 1) % (usize::from(windows.count) + 1);
            match self.samples.get_mut(self.current) {
                Some(sample) => *sample = Sample::new(now),
                None => {
                    self.current = self.samples.len();
                    self.samples.push(Sample::new(now));
                }
            }
        }
        if let Some(sample) = self.samples.get_mut(self.current) {
            sample.value += value;
            sample.last = now;
        }
    }

    /// How much a second.
    pub fn per_second(&mut self, now: i64, windows: Windows) -> f64 {
        let span = self.span(now, windows);
        let sum: f64 = self.samples.iter().map(|sample| sample.value).sum();
        sum / (span as f64 / 1000.0)
    }

    /// For how long nothing must be added until the rate is `limit` again, in milliseconds; 0: it is not above.
    pub fn excess(&mut self, limit: f64, now: i64, windows: Windows) -> u64 {
        let rate = self.per_second(now, windows);
        if rate <= limit {
            return 0;
        }
        rounded((rate - limit) / limit * self.span(now, windows) as f64)
    }

    /// Nothing was added for so long that it makes no difference.
    #[must_use]
    pub fn is_over(&self, now: i64, windows: Windows) -> bool {
        self.samples.iter().all(|sample| now - sample.last >= i64::from(windows.count) * windows.size)
    }

    #[cfg(test)]
    pub(super) fn samples(&self) -> usize {
        self.samples.len()
    }

    /// The time that the rate is taken over, in milliseconds.
    fn span(&mut self, now: i64, windows: Windows) -> i64 {
        let age_max = i64::from(windows.count) * windows.size;
        for sample in self.samples.iter_mut().filter(|sample| now - sample.last >= age_max) {
            *sample = Sample::new(now);
        }
        let oldest = self.samples.iter().map(|sample| sample.start).min().unwrap_or(now);
        let elapsed = now - oldest;
        let missing = (i64::from(windows.count) - 1 - elapsed / windows.size).max(0);
        (elapsed + missing * windows.size).max(1)
    }
}
