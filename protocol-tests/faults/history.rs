//! What clients did and saw. Of what was asked for, it is known that it happened, that it did not, or neither.

use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A topic and a partition.
pub(crate) type Place = (&'static str, i32);

/// A record of an idempotent producer: who sent it, and the how many of its partition it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Value {
    pub(crate) producer: u32,
    pub(crate) number: u64,
}

impl Value {
    pub(crate) fn text(self) -> String {
        format!("{}.{}", self.producer, self.number)
    }

    pub(crate) fn parse(text: &str) -> Option<Value> {
        let (producer, number) = text.split_once('.')?;
        Some(Value { producer: producer.parse().ok()?, number: number.parse().ok()? })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome<T> {
    Done(T),
    Failed,
    Unknown,
}

/// A transaction of a copier: which of its values are in which copies is in the values.
#[derive(Clone, Debug)]
pub(crate) struct Txn {
    /// Unique in the run.
    pub(crate) id: String,
    pub(crate) inputs: Vec<(i32, i64)>,
    pub(crate) outcome: Outcome<()>,
}

#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) group: &'static str,
    pub(crate) place: Place,
    pub(crate) offset: i64,
    /// When the answer was there.
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome<()>,
}

/// That somebody asked how far a group is.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) group: &'static str,
    pub(crate) place: Place,
    /// When the question left.
    pub(crate) began: Duration,
    /// -1: nothing is committed.
    pub(crate) offset: i64,
}

/// What a life of a node said of a partition.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    #[expect(dead_code, reason = "for whoever reads a finding")]
    pub(crate) at: Duration,
    pub(crate) node: usize,
    /// Which life of the node, from 1.
    pub(crate) life: u32,
    pub(crate) standing: super::ask::Standing,
}

/// Where a partition ended for a reader; kept in the order in which it was asked.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) at: Duration,
    pub(crate) place: Place,
    pub(crate) stable: bool,
    /// Of the leader that said so.
    pub(crate) epoch: i32,
    pub(crate) offset: i64,
}

pub(crate) struct History {
    began: Instant,
    pub(crate) sent: Mutex<BTreeMap<(Place, Value), Outcome<i64>>>,
    /// Producers that gave records up: what else was under way then, librdkafka sends anew in another epoch, so it may be there
    /// twice, elsewhere and later.
    pub(crate) impatient: Mutex<BTreeSet<u32>>,
    pub(crate) txns: Mutex<Vec<Txn>>,
    pub(crate) commits: Mutex<Vec<Commit>>,
    pub(crate) seen: Mutex<Vec<Seen>>,
    /// What came to members of groups.
    pub(crate) delivered: Mutex<BTreeMap<(&'static str, Place), BTreeSet<i64>>>,
    pub(crate) sights: Mutex<Vec<Sight>>,
    /// Who decided in which epoch, as nodes said.
    pub(crate) controllers: Mutex<BTreeSet<(i32, i32)>>,
    pub(crate) ends: Mutex<Vec<End>>,
    /// What is wrong by itself, whatever else happened.
    pub(crate) findings: Mutex<Vec<String>>,
}

impl History {
    pub(crate) fn new() -> History {
        History {
            began: Instant::now(),
            sent: Mutex::default(),
            impatient: Mutex::default(),
            txns: Mutex::default(),
            commits: Mutex::default(),
            seen: Mutex::default(),
            delivered: Mutex::default(),
            sights: Mutex::default(),
            controllers: Mutex::default(),
            ends: Mutex::default(),
            findings: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// A line for whoever looks at the run.
    pub(crate) fn say(&self, line: &str) {
        eprintln!("{:8.3}  {line}", self.now().as_secs_f64());
    }

    pub(crate) fn find(&self, what: String) {
        self.say(&format!("FINDING: {what}"));
        self.findings.lock().push(what);
    }
}

/// What is there in the end.
#[derive(Default)]
pub(crate) struct Outcomes {
    /// Offset and text of every record of the topics that idempotent producers write to.
    pub(crate) records: BTreeMap<Place, Vec<(i64, String)>>,
    /// As they are read by whoever wants only what is committed.
    pub(crate) copies: BTreeMap<Place, Vec<(i64, String)>>,
}
