//! Records that come back although nobody decided about them: their lock has ended, or their member has.

use super::runs::{Fate, Origin, Run, Span, State};
use super::{SharePartition, Terms, Write, note, returned};
use crate::model::MemberId;
use crate::share::persister::StateBatch;

impl SharePartition {
    /// Ends the locks whose time is over: their records are available again or, delivered often enough, archived. That
    /// holds at once; the write is only to be tried. `None`: there was none.
    pub fn expire(&mut self, now_ms: i64, terms: &Terms) -> Option<Write> {
        let mut ended: Vec<(Span, i16, Origin)> = Vec::new();
        for (span, run) in self.runs.iter() {
            if let State::Acquired(hold) = &run.state
                && hold.deciding.is_none()
                && hold.until_ms <= now_ms
            {
                ended.push((span, run.count, run.origin));
            }
        }
        let mut batches: Vec<StateBatch> = Vec::new();
        for (span, count, origin) in ended {
            let fate = returned(count, terms);
            let state = if fate == Fate::Available { State::Available } else { State::Done };
            self.runs.lay(span, state, count, origin);
            self.scan_from = self.scan_from.min(span.first);
            note(&mut batches, span, fate, count);
        }
        let id = self.write_id();
        let write = self.write(id, batches, Vec::new());
        self.settle_start();
        write
    }

    /// Gives back what `member` holds, since its session has ended. `None`: it holds nothing of which nothing is being
    /// decided.
    pub fn release(&mut self, member: &MemberId, terms: &Terms) -> Option<Write> {
        let id = self.write_id();
        let mut batches = Vec::new();
        let mut spans = Vec::new();
        let all = Span::new(self.start, self.end.plus(-1));
        self.runs.change(all, |span, run| {
            let State::Acquired(hold) = &run.state else { return None };
            if hold.member != *member || hold.deciding.is_some() {
                return None;
            }
            let fate = returned(run.count, terms);
            note(&mut batches, span, fate, run.count);
            spans.push(span);
            let mut hold = hold.clone();
            hold.deciding = Some((id, fate));
            Some(Run::new(span.last, State::Acquired(hold), run.count, run.origin))
        });
        self.write(id, batches, spans)
    }
}
