//! A bucket of tokens (KIP-599): it fills at the rate that is allowed, holds as many as are allowed in all windows together,
//! and may be overdrawn once.

use super::{Windows, rounded};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bucket {
    /// Tokens and when they were counted; full until it was first used.
    at: Option<(f64, i64)>,
}

impl Bucket {
    /// How long until nothing is overdrawn, in milliseconds; 0: nothing is.
    pub fn overdrawn(&mut self, limit: f64, now: i64, windows: Windows) -> u64 {
        let tokens = self.refill(limit, now, windows);
        if tokens < 0.0 { rounded(-tokens / limit * 1000.0) } else { 0 }
    }

    /// Takes tokens, whether or not they are there.
    pub fn take(&mut self, tokens: f64, limit: f64, now: i64, windows: Windows) {
        let left = self.refill(limit, now, windows) - tokens;
        self.at = Some((left.min(Bucket::size(limit, windows)), now));
    }

    /// It is full again: as if it had never been used.
    pub fn is_full(&mut self, limit: f64, now: i64, windows: Windows) -> bool {
        self.refill(limit, now, windows) >= Bucket::size(limit, windows)
    }

    fn size(limit: f64, windows: Windows) -> f64 {
        limit * f64::from(windows.count) * (windows.size as f64 / 1000.0)
    }

    fn refill(&mut self, limit: f64, now: i64, windows: Windows) -> f64 {
        let size = Bucket::size(limit, windows);
        let tokens = match self.at {
            None => size,
            Some((tokens, then)) => (tokens + limit * ((now - then).max(0) as f64 / 1000.0)).min(size),
        };
        self.at = Some((tokens, now));
        tokens
    }
}
