//! The share partition: one test per rule by exact effects, and a model under random schedules.
#![allow(clippy::unwrap_used)]

mod acknowledge;
mod acquire;
mod load;
mod model;
mod release;

use super::*;
use crate::model::{MemberId, ProducerId};

const TERMS: Terms = Terms { delivery_limit: 5, in_flight_max: 2000, lock_ms: 30_000, renews: true };

fn span(first: i64, last: i64) -> Span {
    Span::new(Offset(first), Offset(last))
}

/// Batches of the log without a producer.
fn log(batches: &[(i64, i64)]) -> Vec<LogBatch> {
    batches.iter().map(|(first, last)| LogBatch { span: span(*first, *last), producer: None }).collect()
}

fn kept(first: i64, last: i64, delivery: Delivery, delivery_count: i16) -> StateBatch {
    StateBatch { first: Offset(first), last: Offset(last), delivery, delivery_count }
}

/// A share partition with what tests need around it.
struct Bench {
    partition: SharePartition,
    terms: Terms,
    now_ms: i64,
    mode: Mode,
    batch_size: i64,
    max_records: i64,
}

impl Bench {
    fn at(start: i64) -> Bench {
        Bench::of(SharePartition::load(Offset(start), &[]).unwrap())
    }

    fn of(partition: SharePartition) -> Bench {
        Bench { partition, terms: TERMS, now_ms: 0, mode: Mode::Batches, batch_size: 500, max_records: 500 }
    }

    /// A partition whose records from `start` on were fetched as one batch by `a`.
    fn held(first: i64, last: i64) -> Bench {
        let mut bench = Bench::at(first);
        assert_eq!(bench.fetch("a", &[(first, last)]), [(first, last, 1)]);
        bench
    }

    fn fetch(&mut self, member: &str, batches: &[(i64, i64)]) -> Vec<(i64, i64, i16)> {
        self.fetch_but(member, &log(batches), &[])
    }

    fn fetch_but(&mut self, member: &str, batches: &[LogBatch], aborted: &[Span]) -> Vec<(i64, i64, i16)> {
        let member = MemberId::new(member);
        let ask = Ask {
            member: &member,
            mode: self.mode,
            batch_size: self.batch_size,
            max_records: self.max_records,
            from: self.partition.next_fetch(),
        };
        let taken = self.partition.acquire(ask, batches, aborted, &self.terms, self.now_ms);
        taken.into_iter().map(|one| (one.span.first.0, one.span.last.0, one.delivery_count)).collect()
    }

    fn say(&mut self, member: &str, first: i64, last: i64, kinds: &[Kind]) -> Result<Option<Write>, Rejected> {
        let said = Acknowledgement { span: span(first, last), kinds: kinds.to_vec() };
        self.partition.acknowledge(&MemberId::new(member), &[said], &self.terms, self.now_ms)
    }

    /// Says it, and has it kept.
    fn settle(&mut self, member: &str, first: i64, last: i64, kind: Kind) -> Vec<StateBatch> {
        let write = self.say(member, first, last, &[kind]).unwrap().unwrap();
        self.partition.written(write.id, true);
        write.batches
    }

    fn expire(&mut self) -> Vec<StateBatch> {
        self.partition.expire(self.now_ms, &self.terms).map(|write| write.batches).unwrap_or_default()
    }

    /// Start, end and where is read next.
    fn places(&mut self) -> (i64, i64, i64) {
        (self.partition.start().0, self.partition.end().0, self.partition.next_fetch().0)
    }
}
