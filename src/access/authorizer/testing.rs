//! Entries for tests, in a short form.
#![allow(clippy::unwrap_used)]

use super::Authorizer;
use crate::metadata::record::AclRecord;
use crate::metadata::{Change, Delta, Image, Publisher as _, Record};
use crate::model::{Acl, Offset, Operation, Pattern, Permission, Principal, ResourceKind};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// `+topic:name:User:alice:READ@host`, `-` to deny; a name that ends in `+` is a prefix.
pub(crate) fn acl(text: &str) -> Acl {
    let (permission, rest) = match text.split_at(1) {
        ("+", rest) => (Permission::Allow, rest),
        ("-", rest) => (Permission::Deny, rest),
        _ => panic!("{text}"),
    };
    let (rest, host) = rest.split_once('@').unwrap_or((rest, "*"));
    let parts: Vec<&str> = rest.splitn(3, ':').collect();
    let (principal, operation) = parts[2].rsplit_once(':').unwrap();
    let (name, pattern) = match parts[1].strip_suffix('+') {
        Some(prefix) => (prefix, Pattern::Prefixed),
        None => (parts[1], Pattern::Literal),
    };
    Acl {
        resource: *ResourceKind::ALL.iter().find(|kind| kind.name().eq_ignore_ascii_case(parts[0])).unwrap(),
        name: name.into(),
        pattern,
        principal: principal.into(),
        host: host.into(),
        operation: *Operation::ALL.iter().find(|known| known.name() == operation).unwrap(),
        permission,
    }
}

/// An image with these entries and nothing else.
pub(crate) fn image(acls: impl IntoIterator<Item = Acl>) -> Arc<Image> {
    let mut change = Change::new(&Image::default());
    let acls: BTreeSet<Acl> = acls.into_iter().collect();
    for (id, acl) in (1..).map(Uuid::from_u128).zip(acls) {
        change.apply(&Record::Acl(AclRecord { id, acl })).unwrap();
    }
    Arc::new(change.finish(Offset(0), 1).unwrap().0)
}

/// An authorizer of the superuser `root` that knows these entries.
pub(crate) fn authorizer(acls: impl IntoIterator<Item = Acl>, allow_if_no_acl: bool) -> Authorizer {
    let authorizer = Authorizer::new([Principal::user("root")], allow_if_no_acl);
    let image = image(acls);
    authorizer.publish(&image, &Delta::everything(&image));
    authorizer.complete();
    authorizer
}
