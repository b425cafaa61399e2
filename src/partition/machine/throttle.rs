//! How many bytes a second were copied, and whether that is more than allowed (Kafka's `SimpleRate` over samples that age).
//!
//! Bytes fall into samples of one window's length; a sample to which nothing was added for as long as all windows together is
//! forgotten. The rate is taken over the time since the oldest sample began, at least one window. Pure: the caller
//! brings the time, in milliseconds of a steady clock.

use crate::config::settings::CopyLimit;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
struct Sample {
    began: i64,
    last: i64,
    bytes: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Throttle {
    samples: VecDeque<Sample>,
}

impl Throttle {
    pub fn record(&mut self, bytes: u64, now: i64, limit: &CopyLimit) {
        self.forget(now, limit);
        match self.samples.back_mut().filter(|sample| now.saturating_sub(sample.began) < limit.windows.size) {
            Some(sample) => {
                sample.bytes = sample.bytes.saturating_add(bytes);
                sample.last = now;
            }
            None => self.samples.push_back(Sample { began: now, last: now, bytes }),
        }
        // One more than there are windows, for the one that has begun and not ended.
        while self.samples.len() > usize::from(limit.windows.count) + 1 {
            self.samples.pop_front();
        }
    }

    /// Whether nothing more is to be copied now.
    #[must_use]
    pub fn is_exceeded(&mut self, now: i64, limit: &CopyLimit) -> bool {
        self.forget(now, limit);
        let Some(oldest) = self.samples.front() else { return false };
        let span = now.saturating_sub(oldest.began).max(limit.windows.size).max(1);
        let bytes: u64 = self.samples.iter().fold(0, |sum, sample| sum.saturating_add(sample.bytes));
        bytes as f64 * 1000.0 / span as f64 > limit.bytes_per_second as f64
    }

    fn forget(&mut self, now: i64, limit: &CopyLimit) {
        let age_max = i64::from(limit.windows.count).saturating_mul(limit.windows.size);
        while self.samples.front().is_some_and(|sample| now.saturating_sub(sample.last) >= age_max) {
            self.samples.pop_front();
        }
    }
}
