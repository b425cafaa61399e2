//! Changing client quotas (`ClientQuotaControlManager`).

use super::{Decision, RECORDS_MAX};
use crate::controller::request::ApiError;
use crate::controller::security::{AskedEntity, QuotaAlteration, QuotaOutcomes as Outcomes};
use crate::metadata::record::{ClientQuota, Record};
use crate::metadata::{Image, QuotaEntity, QuotaName, QuotaType, Quotas};
use crate::model::ErrorCode;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

/// A quota's name and what its value may be.
struct Kind {
    name: &'static str,
    /// The largest value, and its type as Kafka's messages have it; `None`: any number.
    whole: Option<(f64, &'static str)>,
}

const LONG: Option<(f64, &str)> = Some((i64::MAX as f64, "a LONG"));
const INT: Option<(f64, &str)> = Some((i32::MAX as f64, "an INT"));

const OF_CLIENTS: &[Kind] = &[
    Kind { name: "producer_byte_rate", whole: LONG },
    Kind { name: "consumer_byte_rate", whole: LONG },
    Kind { name: "request_percentage", whole: None },
    Kind { name: "controller_mutation_rate", whole: None },
];
const OF_ADDRESSES: &[Kind] = &[Kind { name: "connection_creation_rate", whole: INT }];

/// Decides AlterClientQuotas: one outcome per entity. An entity changes whole or not at all.
pub(crate) fn alter(
    alterations: &[QuotaAlteration],
    validate_only: bool,
    image: &Image,
) -> Decision<Result<Outcomes, ApiError>> {
    let mut records = Vec::new();
    let mut outcomes: BTreeMap<AskedEntity, Result<(), ApiError>> = BTreeMap::new();
    for QuotaAlteration { entity, ops } in alterations {
        // Of a kind that is named twice the last counts.
        let asked: AskedEntity = entity.iter().cloned().collect::<BTreeMap<String, QuotaName>>().into_iter().collect();
        let mut keys: Vec<&str> = ops.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        let twice = keys.windows(2).any(|pair| pair[0] == pair[1]);
        let outcome = if twice || outcomes.contains_key(&asked) {
            invalid(format!("Ignoring duplicate entity {}", shown(&asked)))
        } else {
            alter_one(&asked, ops, image).map(|more| records.extend(more))
        };
        outcomes.insert(asked, outcome);
    }
    if records.len() > RECORDS_MAX {
        let text = "Unable to perform excessively large batch operation.";
        return Decision { records: Vec::new(), answer: Err(ApiError::new(ErrorCode::POLICY_VIOLATION, text)) };
    }
    if validate_only {
        records.clear();
    }
    Decision { records, answer: Ok(outcomes.into_iter().collect()) }
}

fn invalid<T>(text: String) -> Result<T, ApiError> {
    Err(ApiError::new(ErrorCode::INVALID_REQUEST, text))
}

fn alter_one(
    asked: &[(String, QuotaName)],
    ops: &[(String, Option<f64>)],
    image: &Image,
) -> Result<Vec<Record>, ApiError> {
    let entity = check_entity(asked)?;
    let kinds = kinds(&entity)?;
    let none = Quotas::new();
    let current = image.quotas.get(&entity).map_or(&none, |quotas| quotas);
    let mut records = Vec::new();
    for (key, value) in ops {
        if let Some(value) = value {
            check_value(kinds, key, *value)?;
        }
        // What does not change is not written.
        if current.get(key).copied() != *value {
            records.push(Record::ClientQuota(ClientQuota { entity: entity.clone(), key: key.clone(), value: *value }));
        }
    }
    Ok(records)
}

fn check_entity(asked: &[(String, QuotaName)]) -> Result<QuotaEntity, ApiError> {
    if asked.is_empty() {
        return invalid("Invalid empty client quota entity".into());
    }
    let mut entity = QuotaEntity::default();
    for (kind, name) in asked {
        let Some(of) = QuotaType::parse(kind) else {
            return invalid(format!("Unhandled client quota entity type: {kind}"));
        };
        if name.name() == Some("") {
            return invalid(format!("Empty {kind} not supported"));
        }
        entity.set(of, name.clone());
    }
    Ok(entity)
}

/// The quotas that such an entity may have.
fn kinds(entity: &QuotaEntity) -> Result<&'static [Kind], ApiError> {
    let Some(ip) = &entity.ip else { return Ok(OF_CLIENTS) };
    if entity.user.is_some() || entity.client_id.is_some() {
        return invalid(
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId".into(),
        );
    }
    match ip.name() {
        // Kafka also takes a name that it can look up, once; addresses behind names change.
        Some(name) if name.parse::<IpAddr>().is_err() => {
            invalid(format!("{name} is not a valid IP or resolvable host."))
        }
        _ => Ok(OF_ADDRESSES),
    }
}

fn check_value(kinds: &[Kind], key: &str, value: f64) -> Result<(), ApiError> {
    let Some(Kind { whole, .. }) = kinds.iter().find(|kind| kind.name == key) else {
        return invalid(format!("Invalid configuration key {key}"));
    };
    if value.is_nan() || value <= 0.0 {
        return invalid(format!("Quota {key} must be greater than 0"));
    }
    let Some((max, of)) = whole else { return Ok(()) };
    if value > *max {
        return invalid(format!("Proposed value for {key} is too large for {of}."));
    }
    if value.fract() > 1e-6 {
        return invalid(format!("{key} cannot be a fractional value."));
    }
    Ok(())
}

/// As Kafka's messages show an entity.
fn shown(asked: &[(String, QuotaName)]) -> String {
    let mut text = String::from("ClientQuotaEntity(entries={");
    for (i, (kind, name)) in asked.iter().enumerate() {
        let between = if i == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{between}{kind}={}", name.name().unwrap_or("null"));
    }
    text + "})"
}
