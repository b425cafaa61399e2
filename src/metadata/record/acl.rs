//! Records of access control entries: AccessControlEntryRecord and RemoveAccessControlEntryRecord.

use super::BadRecord;
use super::wire::{Reader, Write as _};
use crate::model::{Acl, Coded, Operation, Pattern, Permission, ResourceKind};
use uuid::Uuid;

/// An entry, under the id that it is removed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclRecord {
    pub id: Uuid,
    pub acl: Acl,
}

fn word<T: Coded>(code: i8, missing: &'static str) -> Result<T, BadRecord> {
    T::from_code(code).ok_or(BadRecord::Invalid(missing))
}

impl AclRecord {
    pub(super) fn read(r: &mut Reader<'_>) -> Result<AclRecord, BadRecord> {
        let id = r.uuid()?;
        let resource: ResourceKind = word(r.i8()?, "an access control entry of an unknown resource type")?;
        let name = r.string()?.into();
        let pattern: Pattern = word(r.i8()?, "an access control entry of an unknown pattern type")?;
        let (principal, host) = (r.string()?.into(), r.string()?.into());
        let operation: Operation = word(r.i8()?, "an access control entry of an unknown operation")?;
        let permission: Permission = word(r.i8()?, "an access control entry of an unknown permission type")?;
        r.no_tags()?;
        Ok(AclRecord { id, acl: Acl { resource, name, pattern, principal, host, operation, permission } })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Acl { resource, name, pattern, principal, host, operation, permission } = &self.acl;
        out.uuid(self.id);
        out.i8(resource.code());
        out.string(name);
        out.i8(pattern.code());
        out.string(principal);
        out.string(host);
        out.i8(operation.code());
        out.i8(permission.code());
        out.no_tags();
    }
}
