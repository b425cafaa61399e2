//! Lines of a log that anybody can cause: so many within a window of time, and then a count of those that were left out.

use crate::model::TimestampMs;

/// How long a window is, in milliseconds.
const WINDOW: i64 = 10_000;
/// Lines of a window.
const LINES: u64 = 5;

/// One kind of line.
#[derive(Default)]
pub(in crate::server) struct Seldom {
    began: Option<TimestampMs>,
    lines: u64,
}

impl Seldom {
    /// There is something to tell. `Some` if it should be told, with how many were not told in the window before.
    pub(in crate::server) fn note(&mut self, now: TimestampMs) -> Option<u64> {
        let mut left_out = 0;
        // A clock that was set back begins a window too.
        if self.began.is_none_or(|began| !(0..WINDOW).contains(&now.0.saturating_sub(began.0))) {
            left_out = self.lines.saturating_sub(LINES);
            (self.began, self.lines) = (Some(now), 0);
        }
        self.lines += 1;
        (self.lines <= LINES).then_some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_are_told_and_the_rest_is_counted_when_the_next_window_begins() {
        let mut seldom = Seldom::default();
        let mut note = |ms| seldom.note(TimestampMs(1_000_000 + ms));
        assert_eq!((0..100).filter(|ms| note(*ms).is_some()).count(), 5);
        assert_eq!(note(WINDOW - 1), None);
        assert_eq!(note(WINDOW), Some(96));
        assert_eq!(note(WINDOW), Some(0));
        assert_eq!(note(WINDOW * 9), Some(0));
        assert_eq!(note(-5), Some(0), "the clock was set back");
    }
}
