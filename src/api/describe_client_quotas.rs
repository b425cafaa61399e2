//! DescribeClientQuotas (48), v0-1: the quotas of the entities that a filter lets through (`ClientQuotasImage.describe`).
//!
//! Versions differ in their encoding only. The cluster needs DESCRIBE_CONFIGS.

use super::{Api, ApiError, Call, Context, Versions, text};
use crate::metadata::{Image, QuotaEntity, QuotaName, QuotaType, Quotas};
use crate::model::{ErrorCode, Operation};
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use kafka_protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct DescribeClientQuotas;

impl Api for DescribeClientQuotas {
    type Request = DescribeClientQuotasRequest;
    const NAME: &'static str = "DescribeClientQuotas";
    const VERSIONS: Versions = Versions { min: 0, max: 1 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: DescribeClientQuotasRequest,
    ) -> DescribeClientQuotasResponse {
        if !call.may().cluster(Operation::DescribeConfigs) {
            return failed(ApiError::bare(ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        respond(&ctx.metadata.load(), &request)
    }
}

/// What a part of an entity must be.
enum Match {
    /// This name, or the default.
    Exactly(QuotaName),
    /// There, whatever it is.
    Specified,
}

type Filter = BTreeMap<QuotaType, Match>;

fn respond(image: &Image, request: &DescribeClientQuotasRequest) -> DescribeClientQuotasResponse {
    let filter = match filter(&request.components) {
        Ok(filter) => filter,
        Err(error) => return failed(error),
    };
    let fits = |entity: &QuotaEntity| {
        (!request.strict || entity.parts().count() == filter.len())
            && filter.iter().all(|(kind, wanted)| match (entity.get(*kind), wanted) {
                (Some(name), Match::Exactly(wanted)) => name == wanted,
                (Some(_), Match::Specified) => true,
                (None, _) => false,
            })
    };
    let entries = image.quotas.iter().filter(|(entity, _)| fits(entity)).map(|(entity, quotas)| entry(entity, quotas));
    DescribeClientQuotasResponse::default().with_entries(Some(entries.collect()))
}

fn failed(error: ApiError) -> DescribeClientQuotasResponse {
    let (code, message) = text::error_fields(Err(error));
    DescribeClientQuotasResponse::default().with_error_code(code).with_error_message(message).with_entries(None)
}

fn refused<T>(text: String) -> Result<T, ApiError> {
    Err(ApiError::new(ErrorCode::INVALID_REQUEST, text))
}

fn filter(components: &[ComponentData]) -> Result<Filter, ApiError> {
    let mut filter = Filter::new();
    for component in components {
        if component.entity_type.is_empty() {
            return refused("Invalid empty entity type.".into());
        }
        let kind = QuotaType::parse(&component.entity_type);
        if kind.is_some_and(|kind| filter.contains_key(&kind)) {
            let kind = &component.entity_type;
            return refused(format!("Entity type {kind} cannot appear more than once in the filter."));
        }
        let Some(kind) = kind else {
            let text = format!("Unsupported entity type {}", &*component.entity_type);
            return Err(ApiError::new(ErrorCode::UNSUPPORTED_VERSION, text));
        };
        let no_name = |of: &str, wanted| match component._match {
            Some(_) => refused(format!("Request specified {of}, but also specified a match string.")),
            None => Ok(wanted),
        };
        let wanted = match (component.match_type, &component._match) {
            (0, Some(name)) => Match::Exactly(QuotaName::Named(name.to_string())),
            (0, None) => return refused("Request specified MATCH_TYPE_EXACT, but set match string to null.".into()),
            (1, _) => no_name("MATCH_TYPE_DEFAULT", Match::Exactly(QuotaName::Default))?,
            (2, _) => no_name("MATCH_TYPE_SPECIFIED", Match::Specified)?,
            (other, _) => return refused(format!("Unknown match type {other}")),
        };
        filter.insert(kind, wanted);
    }
    if filter.contains_key(&QuotaType::Ip) && filter.len() > 1 {
        return refused(
            "Invalid entity filter component combination. IP filter component should not be used with user or clientId \
             filter component."
                .into(),
        );
    }
    Ok(filter)
}

fn entry(entity: &QuotaEntity, quotas: &Quotas) -> EntryData {
    let parts = entity.parts().map(|(kind, name)| {
        EntityData::default().with_entity_type(kind.name().into()).with_entity_name(name.name().map(text::text))
    });
    let values = quotas.iter().map(|(key, value)| ValueData::default().with_key(text::text(key)).with_value(*value));
    EntryData::default().with_entity(parts.collect()).with_values(values.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::encoded;
    use super::*;

    fn name(name: &str) -> QuotaName {
        if name == "*" { QuotaName::Default } else { QuotaName::Named(name.into()) }
    }

    fn image() -> Image {
        let mut image = Image::default();
        let all = [
            &[("user", "a")][..],
            &[("user", "*")],
            &[("user", "a"), ("client-id", "c")],
            &[("user", "a"), ("client-id", "*")],
            &[("client-id", "c")],
            &[("ip", "10.0.0.7")],
        ];
        for parts in all {
            let mut entity = QuotaEntity::default();
            for (kind, of) in parts {
                entity.set(QuotaType::parse(kind).unwrap(), name(of));
            }
            image.quotas.insert(entity, Arc::new(Quotas::from([("x".to_owned(), 1.5)])));
        }
        image
    }

    fn component(kind: &'static str, match_type: i8, name: Option<&'static str>) -> ComponentData {
        ComponentData::default()
            .with_entity_type(kind.into())
            .with_match_type(match_type)
            .with_match(name.map(Into::into))
    }

    fn ask(components: Vec<ComponentData>, strict: bool) -> DescribeClientQuotasResponse {
        let request = DescribeClientQuotasRequest::default().with_components(components).with_strict(strict);
        let response = respond(&image(), &request);
        for version in 0..=1 {
            encoded(version, &response);
        }
        response
    }

    fn shown(response: &DescribeClientQuotasResponse) -> Vec<String> {
        let entries = response.entries.iter().flatten();
        entries
            .map(|entry| {
                let parts = entry
                    .entity
                    .iter()
                    .map(|part| format!("{}={}", &*part.entity_type, part.entity_name.as_deref().unwrap_or("*")));
                parts.collect::<Vec<_>>().join(",")
            })
            .collect()
    }

    #[test]
    fn without_a_filter_every_entity_is_described_unless_it_is_strict() {
        assert_eq!(shown(&ask(vec![], false)).len(), 6);
        assert_eq!(shown(&ask(vec![], true)).len(), 0);
    }

    #[test]
    fn a_filter_names_one_the_default_or_any() {
        let user = |match_type, name| vec![component("user", match_type, name)];
        assert_eq!(shown(&ask(user(0, Some("a")), true)), ["user=a"]);
        assert_eq!(shown(&ask(user(1, None), true)), ["user=*"]);
        assert_eq!(shown(&ask(user(2, None), true)), ["user=*", "user=a"]);
        assert_eq!(shown(&ask(user(2, None), false)).len(), 4);
        let both = vec![component("user", 0, Some("a")), component("client-id", 1, None)];
        assert_eq!(shown(&ask(both, true)), ["client-id=*,user=a"]);
    }

    #[test]
    fn values_come_with_their_keys() {
        let response = ask(vec![component("ip", 2, None)], true);
        let values = &response.entries.unwrap()[0].values;
        assert_eq!((values[0].key.as_str(), values[0].value), ("x", 1.5));
    }

    #[test]
    fn a_filter_that_makes_no_sense_is_refused_as_kafka_refuses_it() {
        let cases = [
            (vec![component("", 0, Some("a"))], ErrorCode::INVALID_REQUEST, "Invalid empty entity type."),
            (
                vec![component("user", 2, None), component("user", 1, None)],
                ErrorCode::INVALID_REQUEST,
                "Entity type user cannot appear more than once in the filter.",
            ),
            (vec![component("group", 2, None)], ErrorCode::UNSUPPORTED_VERSION, "Unsupported entity type group"),
            (
                vec![component("user", 0, None)],
                ErrorCode::INVALID_REQUEST,
                "Request specified MATCH_TYPE_EXACT, but set match string to null.",
            ),
            (
                vec![component("user", 1, Some("a"))],
                ErrorCode::INVALID_REQUEST,
                "Request specified MATCH_TYPE_DEFAULT, but also specified a match string.",
            ),
            (vec![component("user", 7, None)], ErrorCode::INVALID_REQUEST, "Unknown match type 7"),
            (
                vec![component("ip", 2, None), component("user", 2, None)],
                ErrorCode::INVALID_REQUEST,
                "Invalid entity filter component combination. IP filter component should not be used with user or \
                 clientId filter component.",
            ),
        ];
        for (components, code, message) in cases {
            let response = ask(components, false);
            assert_eq!(ErrorCode(response.error_code), code);
            assert_eq!(response.error_message.as_deref(), Some(message));
            assert_eq!(response.entries, None);
        }
    }
}
