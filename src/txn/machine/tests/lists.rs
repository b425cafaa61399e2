//! DescribeTransactions and ListTransactions.

use super::*;
use crate::txn::request::{Described, List, Listed};

#[test]
fn a_transaction_is_described_as_it_is() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Ongoing, 5, -1);
    let described = Described {
        state: State::Ongoing,
        timeout_ms: 60_000,
        started: TimestampMs(1000),
        producer: producer(7, 5),
        partitions: [(TopicName::new("t"), [PartitionId(0)].into())].into(),
    };
    assert_eq!(rig.ask(Request::Describe(id())), Some(Reply::Describe(Ok(described))));
}

#[test]
fn what_is_not_known_is_not_described() {
    let mut rig = Rig::new(TV2);
    let not_found = Reply::Describe(Err(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND));
    assert_eq!(rig.ask(Request::Describe(id())), Some(not_found));
    let empty = rig.ask(Request::Describe(TransactionalId::new("")));
    assert_eq!(empty, Some(Reply::Describe(Err(ErrorCode::INVALID_REQUEST))));
}

#[test]
fn every_filter_of_a_list_must_let_it_through() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Ongoing, 5, -1);
    rig.env.now = TimestampMs(1500);
    let all = || List { longer_than_ms: -1, ..List::default() };
    let cases = [
        (all(), true),
        (List { producers: vec![ProducerId(1), ProducerId(7)], ..all() }, true),
        (List { producers: vec![ProducerId(1)], ..all() }, false),
        (List { states: vec![State::Empty, State::Ongoing], states_asked: true, ..all() }, true),
        (List { states: vec![State::Empty], states_asked: true, ..all() }, false),
        // Of all states that were asked for none exists.
        (List { states_asked: true, ..all() }, false),
        (List { longer_than_ms: 499, ..all() }, true),
        (List { longer_than_ms: 500, ..all() }, false),
        (List { producers: vec![ProducerId(7)], longer_than_ms: 500, ..all() }, false),
    ];
    let listed = Listed { id: id(), producer: ProducerId(7), state: State::Ongoing };
    for (list, shown) in cases {
        let expected = if shown { vec![listed.clone()] } else { vec![] };
        assert_eq!(rig.ask(Request::List(list.clone())), Some(Reply::List(expected)), "{list:?}");
    }
}
