//! What members say of the records they got.

use super::runs::{Fate, Hold, Origin, Run, Span, State};
use super::{SharePartition, Terms, Write, WriteId, note, returned};
use crate::model::{ErrorCode, MemberId};
use crate::share::persister::StateBatch;

/// What a member says of a record (`AcknowledgeType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no record at this offset.
    Gap,
    Accept,
    Release,
    Reject,
    /// It needs more time (KIP-1222).
    Renew,
}

impl Kind {
    /// By its number on the wire.
    #[must_use]
    pub fn from_wire(id: i8) -> Option<Kind> {
        Some(match id {
            0 => Kind::Gap,
            1 => Kind::Accept,
            2 => Kind::Release,
            3 => Kind::Reject,
            4 => Kind::Renew,
            _ => return None,
        })
    }
}

/// What a member says of neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    pub span: Span,
    /// One for all of them, or one for each.
    pub kinds: Vec<Kind>,
}

/// Why an acknowledgement was refused. Nothing of the request holds then, but for locks that were renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub code: ErrorCode,
    /// Kafka's words.
    pub message: &'static str,
}

impl Rejected {
    /// Nothing is known of such records.
    pub const NOT_FOUND: Rejected = Rejected {
        code: ErrorCode::INVALID_RECORD_STATE,
        message: "Batch record not found. The request batch offsets are not found in the cache.",
    };
}

const FIRST_IS_PAST: Rejected = Rejected {
    code: ErrorCode::INVALID_REQUEST,
    message: "Batch record not found. The first offset in request is past acquired records.",
};
const LAST_IS_PAST: Rejected = Rejected {
    code: ErrorCode::INVALID_REQUEST,
    message: "Batch record not found. The last offset in request is past acquired records.",
};
const BATCH_IS_NOT_ACQUIRED: Rejected = Rejected {
    code: ErrorCode::INVALID_RECORD_STATE,
    message: "The batch cannot be acknowledged. The batch is not in the acquired state.",
};
const OFFSET_IS_NOT_ACQUIRED: Rejected = Rejected {
    code: ErrorCode::INVALID_RECORD_STATE,
    message: "The offset cannot be acknowledged. The offset is not acquired.",
};
const BATCH_IS_ANOTHERS: Rejected =
    Rejected { code: ErrorCode::INVALID_RECORD_STATE, message: "Member is not the owner of batch record" };
const OFFSET_IS_ANOTHERS: Rejected =
    Rejected { code: ErrorCode::INVALID_RECORD_STATE, message: "Member is not the owner of offset" };
const NO_RENEWING: Rejected = Rejected {
    code: ErrorCode::INVALID_RECORD_STATE,
    message: "Renewing acquisition locks is not enabled for the group.",
};

/// A request's decisions while it is looked at.
struct Deciding<'a> {
    id: WriteId,
    member: &'a MemberId,
    terms: &'a Terms,
    until_ms: i64,
    batches: Vec<StateBatch>,
    spans: Vec<Span>,
}

impl SharePartition {
    /// Begins what `member` says of its records. `None`: nothing is to be written (locks were renewed, or all of it is
    /// before the start), and it is done.
    ///
    /// # Errors
    /// The first thing that is wrong, as Kafka puts it; then nothing was begun.
    pub fn acknowledge(
        &mut self,
        member: &MemberId,
        said: &[Acknowledgement],
        terms: &Terms,
        now_ms: i64,
    ) -> Result<Option<Write>, Rejected> {
        let id = self.write_id();
        let until_ms = now_ms.saturating_add(terms.lock_ms);
        let mut deciding = Deciding { id, member, terms, until_ms, batches: Vec::new(), spans: Vec::new() };
        for batch in said {
            if let Err(rejected) = self.begin(batch, &mut deciding) {
                self.writing.insert(id, deciding.spans);
                self.written(id, false);
                return Err(rejected);
            }
        }
        Ok(self.write(id, deciding.batches, deciding.spans))
    }

    fn begin(&mut self, said: &Acknowledgement, deciding: &mut Deciding<'_>) -> Result<(), Rejected> {
        if said.span.last < self.start {
            // Settled in the meantime, or gone from the log.
            return Ok(());
        }
        if self.runs.is_empty() {
            return Err(Rejected::NOT_FOUND);
        }
        if said.span.first >= self.end {
            return Err(FIRST_IS_PAST);
        }
        if said.span.last >= self.end {
            return Err(LAST_IS_PAST);
        }
        match said.kinds.as_slice() {
            [] => Err(Rejected { code: ErrorCode::INVALID_REQUEST, message: "Invalid acknowledge type: []" }),
            [kind] => self.decide(said.span, *kind, deciding),
            kinds => {
                let mut first = said.span.first;
                for same in kinds.chunk_by(|one, next| one == next) {
                    let next = first.plus(i64::try_from(same.len()).unwrap_or(i64::MAX));
                    let span = Span::new(first, next.plus(-1)).within(said.span);
                    if let Some(kind) = same.first() {
                        self.decide(span, *kind, deciding)?;
                    }
                    first = next;
                }
                Ok(())
            }
        }
    }

    fn decide(&mut self, span: Span, kind: Kind, deciding: &mut Deciding<'_>) -> Result<(), Rejected> {
        let span = span.within(Span::new(self.start, self.end.plus(-1)));
        // Looked at first: `change` cannot stop half-way.
        for (at, run) in self.runs.touching(span) {
            held(at, run, deciding.member)?;
        }
        if kind == Kind::Renew && !deciding.terms.renews {
            return Err(NO_RENEWING);
        }
        self.runs.change(span, |at, run| {
            let State::Acquired(hold) = &run.state else { return None };
            let fate = match kind {
                Kind::Accept => Some(Fate::Acknowledged),
                Kind::Gap | Kind::Reject => Some(Fate::Archived),
                Kind::Release => Some(returned(run.count, deciding.terms)),
                Kind::Renew => None,
            };
            let hold = match fate {
                None => Hold { until_ms: deciding.until_ms, ..hold.clone() },
                Some(fate) => {
                    note(&mut deciding.batches, at, fate, run.count);
                    deciding.spans.push(at);
                    Hold { deciding: Some((deciding.id, fate)), ..hold.clone() }
                }
            };
            Some(Run::new(at.last, State::Acquired(hold), run.count, run.origin))
        });
        Ok(())
    }
}

/// Whether `member` may decide about these; offsets that the log does not have are nobody's.
fn held(at: Span, run: &Run, member: &MemberId) -> Result<(), Rejected> {
    let whole = run.origin == Origin::Fetched(at);
    match &run.state {
        State::Missing => Ok(()),
        State::Acquired(hold) if hold.deciding.is_none() && hold.member == *member => Ok(()),
        State::Acquired(hold) if hold.deciding.is_none() => {
            Err(if whole { BATCH_IS_ANOTHERS } else { OFFSET_IS_ANOTHERS })
        }
        _ => Err(if whole { BATCH_IS_NOT_ACQUIRED } else { OFFSET_IS_NOT_ACQUIRED }),
    }
}
