//! How far consumers may see: the high watermark, between the log and what holds it back.
//!
//! The high watermark follows what counts of the own log, up to the limit that others set: for a leader what all
//! in-sync replicas have, for a follower what its leader has committed, for a partition on one broker nothing. Without a
//! flush setting all of the own log counts at once. With `flush.messages` an append may demand a flush first
//! (`UnifiedLog.append` flushes before it answers); what was appended then counts when that flush is done, so that
//! nothing that a power cut could take is ever acknowledged or shown.

use crate::model::Offset;

/// No one else limits the high watermark.
pub const NO_LIMIT: Offset = Offset(i64::MAX);

/// The high watermark and what holds it back.
///
/// Invariant: `high_watermark <= log_end`, and the high watermark never falls, unless the log is cut below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visibility {
    high_watermark: Offset,
    log_end: Offset,
    /// Everything before this offset counts.
    own: Offset,
    /// Everything before this offset must be on disk before it counts.
    flush_demanded: Option<Offset>,
    limit: Offset,
}

impl Visibility {
    /// A log that has just been opened and of which everything before `high_watermark` is known to be committed.
    #[must_use]
    pub fn opened(high_watermark: Offset, log_end: Offset, limit: Offset) -> Visibility {
        let high_watermark = high_watermark.min(log_end);
        let mut visibility = Visibility { high_watermark, log_end, own: log_end, flush_demanded: None, limit };
        visibility.advance();
        visibility
    }

    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// What of the own log counts.
    #[must_use]
    pub fn own(&self) -> Offset {
        self.own
    }

    #[must_use]
    pub fn awaits_flush(&self) -> bool {
        self.flush_demanded.is_some()
    }

    /// Records were appended up to `log_end`; `flush_first` if they must be on disk before they count.
    /// Answers whether the high watermark moved.
    pub fn appended(&mut self, log_end: Offset, flush_first: bool) -> bool {
        assert!(log_end >= self.log_end, "log end fell from {} to {log_end}", self.log_end);
        self.log_end = log_end;
        if flush_first {
            self.flush_demanded = Some(log_end);
        }
        if self.flush_demanded.is_none() {
            self.own = log_end;
        }
        self.advance()
    }

    /// Everything before `upto` is on disk. Answers whether the high watermark moved.
    pub fn flushed(&mut self, upto: Offset) -> bool {
        match self.flush_demanded {
            Some(demanded) if demanded > upto => self.own = self.own.max(upto),
            _ => {
                self.flush_demanded = None;
                self.own = self.log_end;
            }
        }
        self.advance()
    }

    /// Others let the high watermark go so far; a limit below it does not take it back. Answers whether it moved.
    pub fn limited(&mut self, limit: Offset) -> bool {
        self.limit = limit;
        self.advance()
    }

    /// The log was cut or restarted, and ends at `log_end` now.
    pub fn cut(&mut self, log_end: Offset) {
        self.log_end = log_end;
        self.own = self.own.min(log_end);
        self.high_watermark = self.high_watermark.min(log_end);
        self.flush_demanded = None;
        self.own = log_end;
    }

    fn advance(&mut self) -> bool {
        let to = self.own.min(self.limit);
        if to <= self.high_watermark {
            return false;
        }
        assert!(to <= self.log_end, "high watermark {to} above log end {}", self.log_end);
        self.high_watermark = to;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_flush_settings_the_high_watermark_follows_the_log_end() {
        let mut v = Visibility::opened(Offset(5), Offset(5), NO_LIMIT);
        assert!(v.appended(Offset(8), false));
        assert_eq!(v.high_watermark(), Offset(8));
    }

    #[test]
    fn a_demanded_flush_holds_the_high_watermark_until_it_is_done() {
        let mut v = Visibility::opened(Offset(0), Offset(0), NO_LIMIT);
        assert!(!v.appended(Offset(3), true));
        assert_eq!(v.high_watermark(), Offset(0));
        assert!(v.flushed(Offset(3)));
        assert_eq!(v.high_watermark(), Offset(3));
        assert!(!v.awaits_flush());
    }

    #[test]
    fn a_flush_that_started_before_a_later_append_shows_only_what_it_covered() {
        let mut v = Visibility::opened(Offset(0), Offset(0), NO_LIMIT);
        v.appended(Offset(3), true);
        v.appended(Offset(7), true);
        assert!(v.flushed(Offset(3)));
        assert_eq!(v.high_watermark(), Offset(3));
        assert!(v.awaits_flush());
        assert!(v.flushed(Offset(7)));
        assert_eq!(v.high_watermark(), Offset(7));
    }

    #[test]
    fn records_between_flush_points_become_visible_with_the_flush_before_them() {
        let mut v = Visibility::opened(Offset(0), Offset(0), NO_LIMIT);
        v.appended(Offset(10), true);
        assert!(!v.appended(Offset(12), false));
        assert!(v.flushed(Offset(10)));
        assert_eq!(v.high_watermark(), Offset(12));
    }

    #[test]
    fn what_others_have_not_is_not_visible() {
        let mut v = Visibility::opened(Offset(0), Offset(0), Offset(0));
        assert!(!v.appended(Offset(10), false));
        assert!(v.limited(Offset(4)));
        assert_eq!(v.high_watermark(), Offset(4));
        assert!(v.limited(NO_LIMIT));
        assert_eq!(v.high_watermark(), Offset(10));
    }

    #[test]
    fn a_limit_below_the_high_watermark_does_not_take_it_back() {
        let mut v = Visibility::opened(Offset(5), Offset(8), Offset(5));
        assert!(!v.limited(Offset(2)));
        assert_eq!(v.high_watermark(), Offset(5));
        assert!(!v.appended(Offset(9), false));
        assert_eq!(v.high_watermark(), Offset(5));
    }

    #[test]
    fn what_others_have_is_not_visible_before_the_flush_that_was_demanded() {
        let mut v = Visibility::opened(Offset(0), Offset(0), Offset(0));
        v.appended(Offset(10), true);
        assert!(!v.limited(Offset(10)));
        assert!(v.flushed(Offset(10)));
        assert_eq!(v.high_watermark(), Offset(10));
    }

    #[test]
    fn only_a_cut_takes_the_high_watermark_back() {
        let mut v = Visibility::opened(Offset(5), Offset(8), Offset(5));
        v.cut(Offset(3));
        assert_eq!(v.high_watermark(), Offset(3));
        assert!(v.appended(Offset(9), false));
        assert_eq!(v.high_watermark(), Offset(5));
    }
}
