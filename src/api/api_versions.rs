//! ApiVersions (18), v0-4: what this broker serves, and the cluster's features.
//!
//! The ranges are those of the one list ([`super::served`]); Produce is advertised from a version it no longer
//! serves, without which librdkafka turns compression off. Keys that are not in the list are not advertised:
//! client telemetry (71, 72) among them, so that clients do not try.
//!
//! Versions: v3 has the client's software name and version, which must be well-formed, and the features; below v4
//! features that may be at level 0 are left out, since older clients cannot read them (KAFKA-17492). Tagged fields
//! that have their default are not sent: librdkafka before 2.2 stumbles over them.
//!
//! A version that is not served is not an error of the connection: [`unsupported`] is the answer, in v0's form.

use super::{Api, Call, Context, Served, Versions, served_on, text, wire};
use crate::metadata::Image;
use crate::model::{ErrorCode, NodeId};
use bytes::Bytes;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::Request;
use std::sync::Arc;

pub struct ApiVersions;

impl Api for ApiVersions {
    type Request = ApiVersionsRequest;
    const NAME: &'static str = "ApiVersions";
    const VERSIONS: Versions = Versions { min: 0, max: 4 };

    async fn handle(ctx: Arc<Context>, call: Call, request: ApiVersionsRequest) -> ApiVersionsResponse {
        if call.version >= 3 && !is_named(&request) {
            return ApiVersionsResponse::default().with_error_code(ErrorCode::INVALID_REQUEST.0);
        }
        respond(served_on(call.peer.side), &ctx.metadata.load(), ctx.settings().node_id, call.version)
    }
}

/// Whether the answer to such a request is no error.
///
/// # Errors
/// The body is not what it says.
pub fn acceptable(version: i16, body: Bytes) -> Result<bool, String> {
    if !ApiVersions::VERSIONS.contains(version) {
        return Ok(false);
    }
    let request: ApiVersionsRequest = wire::decode(version, body).map_err(|error| error.to_string())?;
    Ok(version < 3 || is_named(&request))
}

fn is_named(request: &ApiVersionsRequest) -> bool {
    is_well_formed(&request.client_software_name) && is_well_formed(&request.client_software_version)
}

/// The answer to a version that is not served: error 35 and the versions of this API, for a client to choose from.
/// Encode it as v0, whatever the version of the request.
#[must_use]
pub fn unsupported() -> ApiVersionsResponse {
    let own = ApiVersion::default()
        .with_api_key(ApiVersionsRequest::KEY)
        .with_min_version(ApiVersions::VERSIONS.min)
        .with_max_version(ApiVersions::VERSIONS.max);
    ApiVersionsResponse::default().with_error_code(ErrorCode::UNSUPPORTED_VERSION.0).with_api_keys(vec![own])
}

fn respond<'a>(
    served: impl Iterator<Item = &'a Served>,
    image: &Image,
    node: NodeId,
    version: i16,
) -> ApiVersionsResponse {
    let key = |api: &Served| {
        ApiVersion::default()
            .with_api_key(api.key)
            .with_min_version(api.advertised_min)
            .with_max_version(api.versions.max)
    };
    let mut keys: Vec<_> = served.map(key).collect();
    keys.sort_by_key(|key| key.api_key);
    let response = ApiVersionsResponse::default().with_api_keys(keys);
    if version < 3 {
        return response;
    }
    let supported = image.brokers.get(&node).into_iter().flat_map(|broker| &broker.features);
    let supported = supported.filter(|(_, (min, _))| version >= 4 || *min != 0).map(|(name, (min, max))| {
        SupportedFeatureKey::default().with_name(text::text(name)).with_min_version(*min).with_max_version(*max)
    });
    let finalized = image.features.iter().filter(|(_, level)| **level != 0).map(|(name, level)| {
        FinalizedFeatureKey::default()
            .with_name(text::text(name))
            .with_min_version_level(*level)
            .with_max_version_level(*level)
    });
    response
        .with_supported_features(supported.collect())
        .with_finalized_features(finalized.collect())
        .with_finalized_features_epoch(image.offset.0)
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`
fn is_well_formed(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use super::super::testing::{self, encoded};
    use super::*;

    const SERVED: [Served; 2] = [
        Served {
            key: 0,
            name: "Produce",
            versions: Versions { min: 3, max: 13 },
            advertised_min: 0,
            scope: Scope::Broker,
        },
        Served { key: 18, name: "ApiVersions", versions: ApiVersions::VERSIONS, advertised_min: 0, scope: Scope::Both },
    ];

    fn ask(version: i16) -> ApiVersionsResponse {
        let response = respond(SERVED.iter(), &testing::image(), NodeId(1), version);
        encoded(version, &response);
        response
    }

    #[test]
    fn the_ranges_are_those_of_the_list_with_produce_advertised_lower_than_it_is_served() {
        for version in 0..=4 {
            let response = ask(version);
            let keys: Vec<_> = response.api_keys.iter().map(|k| (k.api_key, k.min_version, k.max_version)).collect();
            assert_eq!(keys, [(0, 0, 13), (18, 0, 4)], "v{version}");
            assert_eq!(response.error_code, 0);
        }
    }

    #[test]
    fn an_unknown_version_is_answered_with_this_apis_own_range() {
        let response = unsupported();
        encoded(0, &response);
        assert_eq!(ErrorCode(response.error_code), ErrorCode::UNSUPPORTED_VERSION);
        let keys: Vec<_> = response.api_keys.iter().map(|k| (k.api_key, k.min_version, k.max_version)).collect();
        assert_eq!(keys, [(18, 0, 4)]);
    }

    #[test]
    fn features_that_may_be_at_level_zero_are_left_out_below_v4() {
        let names =
            |version| -> Vec<String> { ask(version).supported_features.iter().map(|f| f.name.to_string()).collect() };
        assert_eq!(names(2), Vec::<String>::new());
        assert_eq!(names(3), ["metadata.version"]);
        assert_eq!(names(4), ["kraft.version", "metadata.version"]);
    }

    #[test]
    fn finalized_features_and_their_epoch_are_those_of_the_image() {
        for version in 3..=4 {
            let response = ask(version);
            let levels: Vec<_> = response
                .finalized_features
                .iter()
                .map(|f| (f.name.as_str(), f.min_version_level, f.max_version_level))
                .collect();
            assert_eq!(levels, [("group.version", 1, 1), ("metadata.version", 30, 30)]);
            assert_eq!(response.finalized_features_epoch, 42);
        }
    }

    #[test]
    fn tagged_fields_at_their_default_are_not_sent() {
        let nothing = respond([].iter(), &Image::default(), NodeId(1), 3);
        // Error, no keys, throttle time, and a count of zero tagged fields.
        assert_eq!(&encoded(3, &nothing)[..], [0, 0, 1, 0, 0, 0, 0, 0]);
        // The migration flag is the last tag, number 3: with everything else set there are three.
        assert!(!ask(4).zk_migration_ready);
    }

    #[test]
    fn the_clients_software_must_have_a_well_formed_name() {
        for good in ["a", "apache-kafka-java", "librdkafka", "2.11.1", "A-b.C9"] {
            assert!(is_well_formed(good), "{good:?}");
        }
        for bad in ["", "-a", "a.", "a b", "a_b", "ä", "a\n"] {
            assert!(!is_well_formed(bad), "{bad:?}");
        }
    }
}
