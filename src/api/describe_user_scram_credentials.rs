//! DescribeUserScramCredentials (50), v0: which mechanisms users have credentials for, and with how many iterations.
//!
//! Without names: all users. Never a salt or a key. The cluster needs DESCRIBE.

use super::{Api, ApiError, Call, Context, Versions, text};
use crate::metadata::Image;
use crate::model::{ErrorCode, Operation};
use kafka_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use kafka_protocol::messages::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct DescribeUserScramCredentials;

impl Api for DescribeUserScramCredentials {
    type Request = DescribeUserScramCredentialsRequest;
    const NAME: &'static str = "DescribeUserScramCredentials";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: DescribeUserScramCredentialsRequest,
    ) -> DescribeUserScramCredentialsResponse {
        if !call.may().cluster(Operation::Describe) {
            return refused(&request);
        }
        respond(&ctx.metadata.load(), &request)
    }
}

fn refused(request: &DescribeUserScramCredentialsRequest) -> DescribeUserScramCredentialsResponse {
    let code = ErrorCode::CLUSTER_AUTHORIZATION_FAILED.0;
    // Each without its name, as in Apache Kafka.
    let result = || DescribeUserScramCredentialsResult::default().with_error_code(code).with_error_message(None);
    DescribeUserScramCredentialsResponse::default()
        .with_error_code(code)
        .with_error_message(None)
        .with_results(request.users.iter().flatten().map(|_| result()).collect())
}

fn respond(image: &Image, request: &DescribeUserScramCredentialsRequest) -> DescribeUserScramCredentialsResponse {
    let asked = request.users.as_deref().unwrap_or_default();
    // How often each is named.
    let mut users: BTreeMap<&str, usize> = BTreeMap::new();
    for user in asked {
        *users.entry(&user.name).or_insert(0) += 1;
    }
    if asked.is_empty() {
        users = image.scram.keys().map(|user| (user.as_str(), 1)).collect();
    }
    let results = users.into_iter().map(|(user, times)| describe(image, user, times)).collect();
    DescribeUserScramCredentialsResponse::default().with_results(results)
}

fn describe(image: &Image, user: &str, times: usize) -> DescribeUserScramCredentialsResult {
    let result = DescribeUserScramCredentialsResult::default().with_user(text::text(user));
    let refused = |code, what: &str| {
        let (code, message) = text::error_fields(Err(ApiError::new(code, format!("{what}{user}"))));
        result.clone().with_error_code(code).with_error_message(message)
    };
    if times > 1 {
        let what = "Cannot describe SCRAM credentials for the same user twice in a single request: ";
        return refused(ErrorCode::DUPLICATE_RESOURCE, what);
    }
    let Some(credentials) = image.scram.get(user) else {
        let what = "Attempt to describe a user credential that does not exist: ";
        return refused(ErrorCode::RESOURCE_NOT_FOUND, what);
    };
    let infos = credentials.iter().map(|(mechanism, credential)| {
        CredentialInfo::default()
            .with_mechanism(mechanism.id())
            .with_iterations(i32::try_from(credential.iterations).unwrap_or(i32::MAX))
    });
    result.with_credential_infos(infos.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;
    use crate::model::{ScramCredential, ScramMechanism};
    use kafka_protocol::messages::describe_user_scram_credentials_request::UserName;

    fn ask(users: Option<&[&'static str]>) -> DescribeUserScramCredentialsResponse {
        let mut image = Image::default();
        for (user, mechanisms) in [("alice", &ScramMechanism::ALL[..]), ("bob", &ScramMechanism::ALL[1..])] {
            let credential = |m: &ScramMechanism| (*m, ScramCredential::of_salted(*m, b"salted", b"salt", 5000));
            image.scram.insert(user.into(), Arc::new(mechanisms.iter().map(credential).collect()));
        }
        let names = users.map(|users| users.iter().map(|user| UserName::default().with_name((*user).into())).collect());
        let response = respond(&image, &DescribeUserScramCredentialsRequest::default().with_users(names));
        encoded(0, &response);
        response
    }

    type Shown<'a> = (&'a str, ErrorCode, Vec<(i8, i32)>);

    fn shown(response: &DescribeUserScramCredentialsResponse) -> Vec<Shown<'_>> {
        let infos = |result: &DescribeUserScramCredentialsResult| {
            result.credential_infos.iter().map(|info| (info.mechanism, info.iterations)).collect()
        };
        response.results.iter().map(|r| (r.user.as_str(), ErrorCode(r.error_code), infos(r))).collect()
    }

    #[test]
    fn without_names_all_users_are_described() {
        let all = [("alice", ErrorCode::NONE, vec![(1, 5000), (2, 5000)]), ("bob", ErrorCode::NONE, vec![(2, 5000)])];
        assert_eq!(shown(&ask(None)), all);
        assert_eq!(shown(&ask(Some(&[]))), all);
    }

    #[test]
    fn a_user_who_is_not_there_or_named_twice_has_an_error_of_their_own() {
        let response = ask(Some(&["bob", "carol", "alice", "alice"]));
        assert_eq!(
            shown(&response),
            [
                ("alice", ErrorCode::DUPLICATE_RESOURCE, vec![]),
                ("bob", ErrorCode::NONE, vec![(2, 5000)]),
                ("carol", ErrorCode::RESOURCE_NOT_FOUND, vec![]),
            ]
        );
        let message = |n: usize| response.results[n].error_message.as_deref();
        let twice = "Cannot describe SCRAM credentials for the same user twice in a single request: alice";
        assert_eq!(message(0), Some(twice));
        assert_eq!(message(2), Some("Attempt to describe a user credential that does not exist: carol"));
    }
}
