//! Records of users and clients: UserScramCredentialRecord, ClientQuotaRecord, DelegationTokenRecord.

use super::BadRecord;
use super::wire::{Reader, Write as _};
use crate::metadata::security::{DelegationToken, QuotaEntity, QuotaName, QuotaType};
use crate::model::{Principal, ScramCredential, ScramMechanism, TimestampMs};
use std::sync::Arc;

/// A user's credential for one mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserScramCredential {
    pub user: String,
    pub mechanism: ScramMechanism,
    pub credential: ScramCredential,
}

/// One quota of an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientQuota {
    pub entity: QuotaEntity,
    pub key: String,
    /// `None` removes it.
    pub value: Option<f64>,
}

pub(super) fn mechanism(r: &mut Reader<'_>) -> Result<ScramMechanism, BadRecord> {
    ScramMechanism::from_id(r.i8()?).ok_or(BadRecord::Invalid("an unknown SCRAM mechanism"))
}

impl UserScramCredential {
    pub(super) fn read(r: &mut Reader<'_>) -> Result<UserScramCredential, BadRecord> {
        let (user, mechanism) = (r.string()?, mechanism(r)?);
        let mut key = || r.bytes().map(Arc::from);
        let (salt, stored_key, server_key) = (key()?, key()?, key()?);
        let iterations =
            u32::try_from(r.i32()?).map_err(|_| BadRecord::Invalid("a negative number of SCRAM iterations"))?;
        let credential = ScramCredential { salt, stored_key, server_key, iterations };
        Ok(UserScramCredential { user, mechanism, credential })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let ScramCredential { salt, stored_key, server_key, iterations } = &self.credential;
        out.string(&self.user);
        out.i8(self.mechanism.id());
        out.bytes(salt);
        out.bytes(stored_key);
        out.bytes(server_key);
        out.i32(i32::try_from(*iterations).unwrap_or(i32::MAX));
    }
}

impl ClientQuota {
    pub(super) fn read(r: &mut Reader<'_>) -> Result<ClientQuota, BadRecord> {
        let parts: Vec<(String, Option<String>)> = r.list(3, |r| {
            let part = (r.string()?, r.nullable_string()?);
            r.no_tags()?;
            Ok(part)
        })?;
        let mut entity = QuotaEntity::default();
        for (kind, name) in parts {
            let kind = QuotaType::parse(&kind).ok_or(BadRecord::Invalid("a quota of an unknown kind of entity"))?;
            entity.set(kind, QuotaName::from_nullable(name));
        }
        let (key, value) = (r.string()?, r.f64()?);
        Ok(ClientQuota { entity, key, value: (!r.bool()?).then_some(value) })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.len(self.entity.parts().count());
        for (kind, name) in self.entity.parts() {
            out.string(kind.name());
            out.nullable_string(name.name());
            out.no_tags();
        }
        out.string(&self.key);
        out.f64(self.value.unwrap_or(0.0));
        out.bool(self.value.is_none());
    }
}

fn principal(r: &mut Reader<'_>) -> Result<Principal, BadRecord> {
    Principal::parse(&r.string()?).ok_or(BadRecord::Invalid("a principal that is not 'type:name'"))
}

pub(super) fn read_token(r: &mut Reader<'_>) -> Result<DelegationToken, BadRecord> {
    Ok(DelegationToken {
        owner: principal(r)?,
        requester: principal(r)?,
        renewers: r.list(1, principal)?,
        issued: TimestampMs(r.i64()?),
        max: TimestampMs(r.i64()?),
        expires: TimestampMs(r.i64()?),
        id: r.string()?,
    })
}

pub(super) fn write_token(token: &DelegationToken, out: &mut Vec<u8>) {
    out.string(&token.owner.to_string());
    out.string(&token.requester.to_string());
    out.len(token.renewers.len());
    for renewer in &token.renewers {
        out.string(&renewer.to_string());
    }
    out.i64(token.issued.0);
    out.i64(token.max.0);
    out.i64(token.expires.0);
    out.string(&token.id);
}
