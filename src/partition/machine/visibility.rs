//! What of a log consumers may see: the high watermark of a leader whose ISR is itself.
//!
//! Without a flush setting the high watermark follows the log end at once. With
//! `flush.messages` an append may demand a flush first (`UnifiedLog.append` flushes before it
//! answers); then the high watermark stops until that flush is done, so that nothing that a power
//! cut could take is ever acknowledged or shown.

use crate::model::Offset;

/// The high watermark and what holds it back.
///
/// Invariant: `high_watermark <= log_end`, and the high watermark never falls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visibility {
    high_watermark: Offset,
    log_end: Offset,
    /// Everything before this offset must be on disk before the high watermark may pass.
    flush_demanded: Option<Offset>,
}

impl Visibility {
    /// A log that has just been opened: what survived is visible.
    #[must_use]
    pub fn opened(log_end: Offset) -> Visibility {
        Visibility { high_watermark: log_end, log_end, flush_demanded: None }
    }

    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
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
        self.advance(self.flush_demanded.is_none().then_some(log_end))
    }

    /// Everything before `upto` is on disk. Answers whether the high watermark moved.
    pub fn flushed(&mut self, upto: Offset) -> bool {
        match self.flush_demanded {
            Some(demanded) if demanded > upto => self.advance(Some(upto)),
            _ => {
                self.flush_demanded = None;
                self.advance(Some(self.log_end))
            }
        }
    }

    /// The log was cut or restarted elsewhere.
    pub fn reset(&mut self, log_end: Offset) {
        *self = Visibility::opened(log_end);
    }

    fn advance(&mut self, to: Option<Offset>) -> bool {
        let Some(to) = to.filter(|to| *to > self.high_watermark) else { return false };
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
        let mut v = Visibility::opened(Offset(5));
        assert!(v.appended(Offset(8), false));
        assert_eq!(v.high_watermark(), Offset(8));
    }

    #[test]
    fn a_demanded_flush_holds_the_high_watermark_until_it_is_done() {
        let mut v = Visibility::opened(Offset(0));
        assert!(!v.appended(Offset(3), true));
        assert_eq!(v.high_watermark(), Offset(0));
        assert!(v.flushed(Offset(3)));
        assert_eq!(v.high_watermark(), Offset(3));
        assert!(!v.awaits_flush());
    }

    #[test]
    fn a_flush_that_started_before_a_later_append_shows_only_what_it_covered() {
        let mut v = Visibility::opened(Offset(0));
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
        let mut v = Visibility::opened(Offset(0));
        v.appended(Offset(10), true);
        assert!(!v.appended(Offset(12), false));
        assert!(v.flushed(Offset(10)));
        assert_eq!(v.high_watermark(), Offset(12));
    }
}
