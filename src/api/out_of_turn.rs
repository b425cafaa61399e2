//! What a request is answered that comes in the middle of a login: its own answer, with `ILLEGAL_SASL_STATE`.
//!
//! A client that takes the refusal of its token (RFC 7628, 3.2.2) for a success asks on, and this tells it what is wrong:
//! kafkajs does so. Apache Kafka answers every API like this; here it is ApiVersions and Metadata, which clients begin with.
//! Other requests of somebody who has not logged in are not even decoded: they get no answer, only the end of the connection.

use super::metadata::{self, Metadata};
use super::{Api, wire};
use crate::api::api_versions::ApiVersions;
use crate::model::ErrorCode;
use crate::wire::RequestHeader;
use bytes::Bytes;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest};
use kafka_protocol::protocol::Request;

const ERROR: ErrorCode = ErrorCode::ILLEGAL_SASL_STATE;

/// The answer, empty if there is none.
///
/// # Errors
/// The body is not what the header says.
pub fn out_of_turn(header: &RequestHeader, body: Bytes) -> Result<Bytes, String> {
    let RequestHeader { key, version, correlation_id, .. } = *header;
    let answer = match key {
        MetadataRequest::KEY if Metadata::VERSIONS.contains(version) => {
            let request: MetadataRequest = wire::decode(version, body).map_err(|error| error.to_string())?;
            wire::response(key, version, correlation_id, &metadata::refused(&request, version, ERROR))
        }
        ApiVersionsRequest::KEY if ApiVersions::VERSIONS.contains(version) => {
            let response = ApiVersionsResponse::default().with_error_code(ERROR.0);
            wire::response(key, version, correlation_id, &response)
        }
        _ => return Ok(Bytes::new()),
    };
    answer.map_err(|error| error.to_string())
}
