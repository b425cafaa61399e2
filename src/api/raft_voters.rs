//! AddRaftVoter (80) and RemoveRaftVoter (81), v0 of both: who votes on the metadata.
//!
//! The change is in the metadata log; what a controller reads there beats `controller.quorum.voters`. So it takes a cluster whose
//! voters are not static, which `kraft.version` says, as in Kafka (KIP-853). The cluster needs ALTER.

use super::{Api, Call, Context, Versions, text};
use crate::controller::ApiError;
use crate::model::{ErrorCode, NodeId, Operation};
use crate::quorum::{ProposeError, Quorum, Voter};
use kafka_protocol::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;
use std::time::Duration;

pub struct AddRaftVoter;

impl Api for AddRaftVoter {
    type Request = AddRaftVoterRequest;
    const NAME: &'static str = "AddRaftVoter";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(ctx: Arc<Context>, call: Call, request: AddRaftVoterRequest) -> AddRaftVoterResponse {
        let (code, message) = text::error_fields(add(&ctx, &call, &request).await);
        AddRaftVoterResponse::default().with_error_code(code).with_error_message(message)
    }
}

async fn add(ctx: &Context, call: &Call, request: &AddRaftVoterRequest) -> Result<(), ApiError> {
    may_alter(call)?;
    let quorum = ctx.controller.quorum();
    let id = NodeId(request.voter_id);
    let is_voter = is_voter(ctx, request.cluster_id.as_ref(), quorum, id)?;
    may_change(ctx, "adding")?;
    if is_voter {
        let text = format!("The voter id for ReplicaKey({}) is already part of the set of voters.", id.0);
        return Err(ApiError::new(ErrorCode::DUPLICATE_VOTER, text));
    }
    let Some(listener) = request.listeners.first() else {
        let text = "Add voter request didn't include the endpoint of the default listener";
        return Err(ApiError::new(ErrorCode::INVALID_REQUEST, text.to_owned()));
    };
    let voter = Voter { host: listener.host.to_string(), port: listener.port, directory: request.voter_directory_id };
    let deadline = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or_default());
    match tokio::time::timeout(deadline, quorum.add_voter(id, voter)).await {
        Ok(outcome) => outcome.map_err(|error| refused(&error)),
        Err(_) => Err(ApiError::bare(ErrorCode::REQUEST_TIMED_OUT)),
    }
}

pub struct RemoveRaftVoter;

impl Api for RemoveRaftVoter {
    type Request = RemoveRaftVoterRequest;
    const NAME: &'static str = "RemoveRaftVoter";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(ctx: Arc<Context>, call: Call, request: RemoveRaftVoterRequest) -> RemoveRaftVoterResponse {
        let (code, message) = text::error_fields(remove(&ctx, &call, &request).await);
        RemoveRaftVoterResponse::default().with_error_code(code).with_error_message(message)
    }
}

async fn remove(ctx: &Context, call: &Call, request: &RemoveRaftVoterRequest) -> Result<(), ApiError> {
    may_alter(call)?;
    let quorum = ctx.controller.quorum();
    let id = NodeId(request.voter_id);
    let is_voter = is_voter(ctx, request.cluster_id.as_ref(), quorum, id)?;
    may_change(ctx, "removing")?;
    if !is_voter {
        let text = format!("Cannot remove voter {} from the set of voters.", id.0);
        return Err(ApiError::new(ErrorCode::VOTER_NOT_FOUND, text));
    }
    quorum.remove_voter(id).await.map_err(|error| refused(&error))
}

/// As Kafka says it: with the message of the code, not of the check.
fn may_alter(call: &Call) -> Result<(), ApiError> {
    call.on_cluster(Operation::Alter).map_err(|error| text::explained(ApiError::bare(error.code)))
}

/// Voters that are named in everybody's settings stay as they are.
fn may_change(ctx: &Context, what: &str) -> Result<(), ApiError> {
    match ctx.metadata.load().feature("kraft.version") {
        0 => {
            let text = format!("Cluster doesn't support {what} voter because the kraft.version feature is 0");
            Err(ApiError::new(ErrorCode::UNSUPPORTED_VERSION, text))
        }
        _ => Ok(()),
    }
}

/// Whether `id` votes; an error if that is not for this node to say, or asked of another cluster.
fn is_voter(ctx: &Context, cluster_id: Option<&StrBytes>, quorum: &Quorum, id: NodeId) -> Result<bool, ApiError> {
    if cluster_id.is_some_and(|asked| asked.as_str() != ctx.cluster_id) {
        return Err(ApiError::bare(ErrorCode::INCONSISTENT_CLUSTER_ID));
    }
    let known = quorum.describe().ok_or_else(|| ApiError::bare(ErrorCode::NOT_LEADER_OR_FOLLOWER))?;
    Ok(known.voters.iter().any(|voter| voter.node == id))
}

fn refused(error: &ProposeError) -> ApiError {
    match error {
        ProposeError::TermOver => ApiError::bare(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        other => ApiError::new(ErrorCode::REQUEST_TIMED_OUT, other.to_string()),
    }
}
