//! ListTransactions (66), v0-2: the transactions that this broker coordinates.
//!
//! Versions: v1 filters by how long ago they began; v2 by a pattern that the whole transactional id has to match, in the
//! syntax of RE2. A state that does not exist is named in the answer and lets nothing through. Listed is what the client
//! may DESCRIBE.

use super::{Api, Call, Context, Versions, distinct, transactions};
use crate::model::{ErrorCode, Operation, ProducerId};
use crate::txn::record::State;
use crate::txn::request::{List, Listed};
use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::{self, ListTransactionsRequest, ListTransactionsResponse};
use kafka_protocol::protocol::StrBytes;
use regex::{Regex, RegexBuilder};
use std::sync::Arc;

/// What a pattern may become: far more than any that names a few applications.
const PATTERN_BYTES_MAX: usize = 256 * 1024;

pub struct ListTransactions;

impl Api for ListTransactions {
    type Request = ListTransactionsRequest;
    const NAME: &'static str = "ListTransactions";
    const VERSIONS: Versions = Versions { min: 0, max: 2 };

    async fn handle(ctx: Arc<Context>, call: Call, request: ListTransactionsRequest) -> ListTransactionsResponse {
        let pattern = match pattern(request.transactional_id_pattern.as_deref()) {
            Ok(pattern) => pattern,
            Err(error) => return ListTransactionsResponse::default().with_error_code(error.0),
        };
        let (list, unknown) = question(&request);
        let mut listed = ctx.transactions.list(list).await;
        if let Ok(listed) = &mut listed {
            let may = call.may();
            listed.retain(|of| may.transactional_id(Operation::Describe, of.id.as_str()));
        }
        answer(listed, pattern.as_ref()).with_unknown_state_filters(unknown)
    }
}

fn pattern(text: Option<&str>) -> Result<Option<Regex>, ErrorCode> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    // Alone first: it must not close the group that it is put in.
    let compile = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
    let whole = compile(text).and_then(|_| compile(&format!("^(?:{text})$")));
    whole.map(Some).map_err(|_| ErrorCode::INVALID_REGULAR_EXPRESSION)
}

/// And the states that do not exist.
fn question(request: &ListTransactionsRequest) -> (List, Vec<StrBytes>) {
    let named = |name: &StrBytes| State::ALL.into_iter().find(|state| state.name() == name.as_str());
    // Those two of Kafka's exist, although nothing is ever in them that a list shows.
    let unseen = |name: &StrBytes| matches!(name.as_str(), "Dead" | "PrepareEpochFence");
    let unknown = request.state_filters.iter().filter(|name| named(name).is_none() && !unseen(name));
    let unknown = distinct::each_once(unknown).into_iter().cloned().collect();
    let list = List {
        states: request.state_filters.iter().filter_map(named).collect(),
        states_asked: !request.state_filters.is_empty(),
        producers: request.producer_id_filters.iter().map(|id| ProducerId(id.0)).collect(),
        longer_than_ms: request.duration_filter,
    };
    (list, unknown)
}

fn answer(listed: Result<Vec<Listed>, ErrorCode>, pattern: Option<&Regex>) -> ListTransactionsResponse {
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => return ListTransactionsResponse::default().with_error_code(error.0),
    };
    let matches = |listed: &Listed| pattern.is_none_or(|pattern| pattern.is_match(listed.id.as_str()));
    let shown = listed.into_iter().filter(matches).map(|listed| {
        TransactionState::default()
            .with_transactional_id(transactions::wire_id(&listed.id))
            .with_producer_id(messages::ProducerId(listed.producer.0))
            .with_transaction_state(StrBytes::from_static_str(listed.state.name()))
    });
    ListTransactionsResponse::default().with_transaction_states(shown.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::encoded;
    use super::*;
    use crate::model::TransactionalId;

    fn listed(ids: &[&str]) -> Vec<Listed> {
        let listed =
            |id: &&str| Listed { id: TransactionalId::new(id), producer: ProducerId(7), state: State::Ongoing };
        ids.iter().map(listed).collect()
    }

    fn shown(ids: &[&str], text: Option<&str>) -> Vec<String> {
        let pattern = pattern(text).unwrap();
        let response = answer(Ok(listed(ids)), pattern.as_ref());
        response.transaction_states.iter().map(|state| state.transactional_id.to_string()).collect()
    }

    #[test]
    fn every_version_can_be_encoded() {
        for version in 0..=2 {
            encoded(version, &answer(Ok(listed(&["a"])), None));
            encoded(version, &answer(Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS), None));
        }
    }

    #[test]
    fn a_pattern_has_to_match_the_whole_id() {
        let ids = ["app-1", "app-2", "my-app-1"];
        assert_eq!(shown(&ids, None), ids);
        assert_eq!(shown(&ids, Some("")), ids);
        assert_eq!(shown(&ids, Some("app-.*")), ["app-1", "app-2"]);
        assert_eq!(shown(&ids, Some("app-1|my")), ["app-1"]);
    }

    #[test]
    fn a_pattern_that_is_none_or_too_large_is_refused() {
        for bad in ["(", "a)(?:b", "[", "(a{1000}){1000}"] {
            assert_eq!(pattern(Some(bad)).unwrap_err(), ErrorCode::INVALID_REGULAR_EXPRESSION, "{bad}");
        }
    }

    #[test]
    fn a_state_that_does_not_exist_is_named_and_lets_nothing_through() {
        let request = ListTransactionsRequest::default()
            .with_state_filters(["Ongoing", "ongoing", "Dead", "ongoing"].map(StrBytes::from_static_str).to_vec());
        let (list, unknown) = question(&request);
        assert_eq!((list.states, list.states_asked), (vec![State::Ongoing], true));
        assert_eq!(unknown, [StrBytes::from_static_str("ongoing")]);
        assert!(!question(&ListTransactionsRequest::default()).0.states_asked);
    }
}
