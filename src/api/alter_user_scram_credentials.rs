//! AlterUserScramCredentials (51), v0: sets and removes what SCRAM checks logins against. One outcome per user. The
//! cluster needs ALTER.

use super::{Api, ApiError, Call, Context, Versions, text};
use crate::controller::{AlterScram, ScramDeletion, ScramUpsertion, UserOutcomes};
use crate::model::Operation;
use kafka_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_protocol::messages::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};
use std::collections::BTreeSet;
use std::sync::Arc;

pub struct AlterUserScramCredentials;

impl Api for AlterUserScramCredentials {
    type Request = AlterUserScramCredentialsRequest;
    const NAME: &'static str = "AlterUserScramCredentials";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: AlterUserScramCredentialsRequest,
    ) -> AlterUserScramCredentialsResponse {
        let outcome = match call.on_cluster(Operation::Alter) {
            Ok(()) => ctx.controller.alter_scram_credentials(question(&request)).await,
            Err(error) => Err(error),
        };
        answer(&request, outcome)
    }
}

fn question(request: &AlterUserScramCredentialsRequest) -> AlterScram {
    let deletions = request
        .deletions
        .iter()
        .map(|one| ScramDeletion { user: one.name.to_string(), mechanism: one.mechanism })
        .collect();
    let upsertions = request
        .upsertions
        .iter()
        .map(|one| ScramUpsertion {
            user: one.name.to_string(),
            mechanism: one.mechanism,
            iterations: one.iterations,
            salt: one.salt.clone(),
            salted_password: one.salted_password.clone(),
        })
        .collect();
    AlterScram { deletions, upsertions }
}

fn answer(
    request: &AlterUserScramCredentialsRequest,
    outcome: Result<UserOutcomes, ApiError>,
) -> AlterUserScramCredentialsResponse {
    let users = || {
        let all = request.deletions.iter().map(|one| &one.name).chain(request.upsertions.iter().map(|one| &one.name));
        all.map(|name| name.to_string()).collect::<BTreeSet<_>>()
    };
    let outcomes = outcome.unwrap_or_else(|error| users().into_iter().map(|user| (user, Err(error.clone()))).collect());
    let results = outcomes.into_iter().map(|(user, outcome)| {
        let (code, message) = text::error_fields(outcome);
        AlterUserScramCredentialsResult::default()
            .with_user(user.into())
            .with_error_code(code)
            .with_error_message(message)
    });
    AlterUserScramCredentialsResponse::default().with_results(results.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded};
    use super::*;
    use crate::model::{ErrorCode, ScramMechanism};
    use bytes::Bytes;
    use kafka_protocol::messages::alter_user_scram_credentials_request::{
        ScramCredentialDeletion, ScramCredentialUpsertion,
    };

    fn upsertion(user: &'static str, iterations: i32) -> ScramCredentialUpsertion {
        ScramCredentialUpsertion::default()
            .with_name(user.into())
            .with_mechanism(1)
            .with_iterations(iterations)
            .with_salt(Bytes::from_static(b"salt"))
            .with_salted_password(Bytes::from_static(b"salted"))
    }

    #[tokio::test]
    async fn users_get_their_credentials_or_an_error_each() {
        let controller = testing::controller();
        let request = AlterUserScramCredentialsRequest::default()
            .with_upsertions(vec![upsertion("alice", 8192), upsertion("bob", 1)])
            .with_deletions(vec![ScramCredentialDeletion::default().with_name("carol".into()).with_mechanism(1)]);
        let response = answer(&request, controller.alter_scram_credentials(question(&request)).await);
        encoded(0, &response);
        let shown: Vec<_> = response.results.iter().map(|r| (r.user.as_str(), ErrorCode(r.error_code))).collect();
        let expected = [
            ("alice", ErrorCode::NONE),
            ("bob", ErrorCode::UNACCEPTABLE_CREDENTIAL),
            ("carol", ErrorCode::RESOURCE_NOT_FOUND),
        ];
        assert_eq!(shown, expected);
        let image = controller.store().image();
        assert_eq!(image.scram_credential(ScramMechanism::Sha256, "alice").map(|c| c.iterations), Some(8192));
        assert_eq!(image.scram.len(), 1);
    }

    #[test]
    fn when_nothing_could_be_committed_every_user_is_told() {
        let request = AlterUserScramCredentialsRequest::default()
            .with_upsertions(vec![upsertion("alice", 4096), upsertion("alice", 4096)]);
        let response = answer(&request, Err(ApiError::bare(ErrorCode::NOT_CONTROLLER)));
        let shown: Vec<_> = response.results.iter().map(|r| (r.user.as_str(), ErrorCode(r.error_code))).collect();
        assert_eq!(shown, [("alice", ErrorCode::NOT_CONTROLLER)]);
    }
}
