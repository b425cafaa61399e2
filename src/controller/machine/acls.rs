//! Creating and deleting access control entries (`AclControlManager`, `AclApis`).

use super::{Decision, RECORDS_MAX};
use crate::controller::request::ApiError;
use crate::metadata::record::AclRecord;
use crate::metadata::{Image, Record};
use crate::model::{Acl, AclFilter, AclRequest, Asked, AskedPattern, CLUSTER_NAME, ErrorCode, ResourceKind};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Decides CreateAcls; one answer per entry, in order. One that is there already is created without a record. `draw` gives
/// ids, which may have been drawn before.
pub(crate) fn create(
    requests: &[AclRequest],
    image: &Image,
    mut draw: impl FnMut() -> Uuid,
) -> Decision<Vec<Result<(), ApiError>>> {
    let mut new: BTreeSet<Acl> = BTreeSet::new();
    let mut records = Vec::new();
    let mut drawn: BTreeSet<Uuid> = BTreeSet::new();
    let answer = requests
        .iter()
        .map(|request| {
            let acl = checked(request)?;
            if image.acls.contains(&acl) || !new.insert(acl.clone()) {
                return Ok(());
            }
            let mut id = draw();
            while image.acls.contains_id(id) || !drawn.insert(id) {
                id = draw();
            }
            records.push(Record::Acl(AclRecord { id, acl }));
            Ok(())
        })
        .collect();
    Decision { records, answer }.bounded(false)
}

/// What DeleteAcls answers for one filter: the entries it removed.
pub(crate) type Deleted = Result<Vec<Arc<Acl>>, ApiError>;

/// Decides DeleteAcls; one answer per filter, in order. An entry that several filters match is an answer of each.
pub(crate) fn delete(filters: &[AclFilter], image: &Image) -> Decision<Vec<Deleted>> {
    let mut gone: BTreeSet<Uuid> = BTreeSet::new();
    let mut answer = Vec::with_capacity(filters.len());
    for filter in filters {
        if let Err(error) = check_filter(filter) {
            answer.push(Err(error));
            continue;
        }
        let mut matched = Vec::new();
        for (id, acl) in image.acls.iter().filter(|(_, acl)| filter.matches(acl)) {
            if gone.len() >= RECORDS_MAX {
                let text = format!("Cannot remove more than {RECORDS_MAX} acls in a single delete operation.");
                let refused = || Err(ApiError::new(ErrorCode::INVALID_REQUEST, text.clone()));
                return Decision { records: Vec::new(), answer: filters.iter().map(|_| refused()).collect() };
            }
            gone.insert(id);
            matched.push(Arc::clone(acl));
        }
        answer.push(Ok(matched));
    }
    Decision { records: gone.into_iter().map(|id| Record::RemoveAcl { id }).collect(), answer }
}

fn refused<T>(text: impl Into<String>) -> Result<T, ApiError> {
    Err(ApiError::new(ErrorCode::INVALID_REQUEST, text))
}

fn checked(request: &AclRequest) -> Result<Acl, ApiError> {
    let AclRequest { name, principal, .. } = request;
    if request.resource == Asked::Is(ResourceKind::Cluster) && name != CLUSTER_NAME {
        return refused(format!("The only valid name for the CLUSTER resource is {CLUSTER_NAME}"));
    }
    if name.is_empty() {
        return refused("Invalid empty resource name");
    }
    let Asked::Is(resource) = request.resource else {
        return refused(format!("Invalid resourceType {}", request.resource.name()));
    };
    let AskedPattern::Is(pattern) = request.pattern else {
        return refused(format!("Invalid patternType {}", request.pattern.name()));
    };
    let Asked::Is(operation) = request.operation else {
        return refused(format!("Invalid operation {}", request.operation.name()));
    };
    let Asked::Is(permission) = request.permission else {
        return refused(format!("Invalid permissionType {}", request.permission.name()));
    };
    if !principal.contains(':') {
        return refused(format!(
            "Could not parse principal from `{principal}` (no colon is present separating the principal type from the \
             principal name)"
        ));
    }
    Ok(Acl {
        resource,
        name: name.as_str().into(),
        pattern,
        principal: principal.as_str().into(),
        host: request.host.as_str().into(),
        operation,
        permission,
    })
}

fn check_filter(filter: &AclFilter) -> Result<(), ApiError> {
    if filter.resource == Asked::Unknown || filter.pattern == AskedPattern::Unknown {
        return refused("Unknown patternFilter.");
    }
    if filter.operation == Asked::Unknown || filter.permission == Asked::Unknown {
        return refused("Unknown entryFilter.");
    }
    Ok(())
}
