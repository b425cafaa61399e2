//! DescribeDelegationToken (41), v1-3: the tokens that the client may know of, with what proves having them.
//!
//! Versions: v3 tells who asked for a token.

use super::{Api, ApiError, Call, Context, Versions, text, tokens};
use crate::config::settings::Tokens;
use crate::controller::token_hmac;
use crate::metadata::{DelegationToken, Image};
use crate::model::{ErrorCode, Operation, Principal, ResourceKind};
use bytes::Bytes;
use kafka_protocol::messages::describe_delegation_token_response::{
    DescribedDelegationToken, DescribedDelegationTokenRenewer,
};
use kafka_protocol::messages::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse};
use std::sync::Arc;

pub struct DescribeDelegationToken;

impl Api for DescribeDelegationToken {
    type Request = DescribeDelegationTokenRequest;
    const NAME: &'static str = "DescribeDelegationToken";
    const VERSIONS: Versions = Versions { min: 1, max: 3 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: DescribeDelegationTokenRequest,
    ) -> DescribeDelegationTokenResponse {
        match respond(&ctx.metadata.load(), &ctx.settings().tokens, &call, &request) {
            Ok(tokens) => DescribeDelegationTokenResponse::default().with_tokens(tokens),
            Err(error) => DescribeDelegationTokenResponse::default().with_error_code(error.code.0),
        }
    }
}

fn respond(
    image: &Image,
    settings: &Tokens,
    call: &Call,
    request: &DescribeDelegationTokenRequest,
) -> Result<Vec<DescribedDelegationToken>, ApiError> {
    if !tokens::may_ask(&call.peer) {
        return Err(ApiError::bare(ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED));
    }
    let secret = settings.secret.as_ref().ok_or_else(|| ApiError::bare(ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED))?;
    let owners: Option<Vec<Principal>> = request
        .owners
        .as_ref()
        .map(|owners| owners.iter().map(|one| tokens::principal(&one.principal_type, &one.principal_name)).collect());
    let wanted =
        |token: &DelegationToken| owners.as_ref().is_none_or(|owners| owners.iter().any(|o| token.concerns(o)));
    let shown = image.tokens.values().filter(|token| wanted(token) && may_see(token, call));
    Ok(shown.map(|token| describe(call.version, token, token_hmac(secret, &token.id))).collect())
}

/// Its owner, its renewers and who asked for it may know of a token, and who may DESCRIBE it, or DESCRIBE_TOKENS of its
/// owner.
fn may_see(token: &DelegationToken, call: &Call) -> bool {
    token.concerns(&call.peer.principal)
        || call.may().allow(Operation::Describe, ResourceKind::DelegationToken, &token.id)
        || call.may().allow(Operation::DescribeTokens, ResourceKind::User, &token.owner.to_string())
}

fn describe(version: i16, token: &DelegationToken, hmac: Bytes) -> DescribedDelegationToken {
    let (kind, name) = tokens::fields(&token.owner);
    let renewers = token.renewers.iter().map(|renewer| {
        let (kind, name) = tokens::fields(renewer);
        DescribedDelegationTokenRenewer::default().with_principal_type(kind).with_principal_name(name)
    });
    let described = DescribedDelegationToken::default()
        .with_principal_type(kind)
        .with_principal_name(name)
        .with_issue_timestamp(token.issued.0)
        .with_expiry_timestamp(token.expires.0)
        .with_max_timestamp(token.max.0)
        .with_token_id(text::text(&token.id))
        .with_hmac(hmac)
        .with_renewers(renewers.collect());
    if version < 3 {
        return described;
    }
    let (kind, name) = tokens::fields(&token.requester);
    described.with_token_requester_principal_type(kind).with_token_requester_principal_name(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{self, encoded};
    use super::*;
    use crate::config::SecurityProtocol;
    use crate::model::TimestampMs;
    use kafka_protocol::messages::describe_delegation_token_request::DescribeDelegationTokenOwner;

    fn image() -> Image {
        let mut image = Image::default();
        for (id, owner, renewer) in [("1", "alice", "bob"), ("2", "bob", "carol"), ("3", "carol", "carol")] {
            let token = DelegationToken {
                id: id.into(),
                owner: Principal::user(owner),
                requester: Principal::user("admin"),
                renewers: vec![Principal::user(renewer)],
                issued: TimestampMs(1),
                max: TimestampMs(3),
                expires: TimestampMs(2),
            };
            image.tokens.insert(id.into(), Arc::new(token));
        }
        image
    }

    fn ask(version: i16, who: &str, owners: Option<&[&'static str]>) -> Vec<DescribedDelegationToken> {
        ask_with(&[], version, who, owners)
    }

    /// With an authorizer and these entries.
    fn ask_with(
        acls: &[&str],
        version: i16,
        who: &str,
        owners: Option<&[&'static str]>,
    ) -> Vec<DescribedDelegationToken> {
        let mut peer = testing::peer();
        peer.protocol = SecurityProtocol::SaslPlaintext;
        peer.principal = Principal::user(who);
        let call = Call { peer: Arc::new(peer), ..testing::call_with(who, version, acls) };
        let owner = |name: &&'static str| {
            DescribeDelegationTokenOwner::default()
                .with_principal_type("User".into())
                .with_principal_name((*name).into())
        };
        let owners = owners.map(|owners| owners.iter().map(owner).collect());
        let request = DescribeDelegationTokenRequest::default().with_owners(owners);
        let tokens = respond(&image(), &settings(), &call, &request).unwrap();
        encoded(version, &DescribeDelegationTokenResponse::default().with_tokens(tokens.clone()));
        tokens
    }

    fn settings() -> Tokens {
        let mut settings = testing::config().load().settings().tokens.clone();
        settings.secret = Some(b"secret"[..].into());
        settings
    }

    fn ids(tokens: &[DescribedDelegationToken]) -> Vec<&str> {
        tokens.iter().map(|token| token.token_id.as_str()).collect()
    }

    #[test]
    fn a_client_sees_the_tokens_it_owns_may_renew_or_asked_for() {
        assert_eq!(ids(&ask(3, "alice", None)), ["1"]);
        assert_eq!(ids(&ask(3, "bob", None)), ["1", "2"]);
        assert_eq!(ids(&ask(3, "admin", None)), ["1", "2", "3"]);
        assert_eq!(ids(&ask(3, "dora", None)), [""; 0]);
    }

    #[test]
    fn who_may_describe_a_token_or_the_tokens_of_its_owner_sees_it() {
        assert_eq!(ids(&ask_with(&["+delegation_token:3:User:alice:DESCRIBE"], 3, "alice", None)), ["1", "3"]);
        assert_eq!(ids(&ask_with(&["+user:User+:User:dora:DESCRIBE_TOKENS"], 3, "dora", None)), ["1", "2", "3"]);
        assert_eq!(ids(&ask(3, "root", Some(&["carol"]))), ["2", "3"], "a super user");
    }

    #[test]
    fn of_named_owners_only_theirs_and_of_an_empty_list_none() {
        assert_eq!(ids(&ask(3, "bob", Some(&["alice"]))), ["1"]);
        assert_eq!(ids(&ask(3, "bob", Some(&["carol"]))), ["2"]);
        assert_eq!(ids(&ask(3, "admin", Some(&["alice"]))), ["1"]);
        assert_eq!(ids(&ask(3, "bob", Some(&["admin"]))), ["1", "2"]);
        assert_eq!(ids(&ask(3, "bob", Some(&[]))), [""; 0]);
    }

    #[test]
    fn the_requester_is_told_from_v3_on_and_the_hmac_always() {
        for version in 1..=3 {
            let token = &ask(version, "alice", None)[0];
            assert_eq!(token.token_requester_principal_name.as_str(), if version < 3 { "" } else { "admin" });
            assert_eq!(token.hmac, token_hmac(b"secret", "1"));
        }
    }

    #[test]
    fn nobody_asks_over_plaintext_or_with_a_token_or_where_there_are_none() {
        let request = DescribeDelegationTokenRequest::default();
        let code = |peer: super::super::Peer, settings: &Tokens| {
            let call = Call { peer: Arc::new(peer), ..testing::call(3) };
            respond(&image(), settings, &call, &request).unwrap_err().code
        };
        let plain = testing::peer();
        let mut token = testing::peer();
        token.protocol = SecurityProtocol::SaslSsl;
        let known = token.clone();
        token.by_token = true;
        let mut tls = testing::peer();
        tls.protocol = SecurityProtocol::Ssl;
        for peer in [plain, token, tls] {
            assert_eq!(code(peer, &settings()), ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED);
        }
        let disabled = Tokens { secret: None, ..settings() };
        assert_eq!(code(known, &disabled), ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED);
    }
}
