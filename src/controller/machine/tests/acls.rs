use super::super::acls;
use super::*;
use crate::metadata::record::AclRecord;
use crate::model::{
    Acl, AclFilter, AclRequest, Asked, AskedPattern, CLUSTER_NAME, Operation, Pattern, Permission, ResourceKind,
};
use std::sync::Arc;

fn wanted(name: &str) -> AclRequest {
    AclRequest {
        resource: Asked::Is(ResourceKind::Topic),
        name: name.into(),
        pattern: AskedPattern::Is(Pattern::Literal),
        principal: "User:alice".into(),
        host: "*".into(),
        operation: Asked::Is(Operation::Read),
        permission: Asked::Is(Permission::Allow),
    }
}

fn entry(name: &str) -> Acl {
    Acl {
        resource: ResourceKind::Topic,
        name: name.into(),
        pattern: Pattern::Literal,
        principal: "User:alice".into(),
        host: "*".into(),
        operation: Operation::Read,
        permission: Permission::Allow,
    }
}

fn record(id: u128, name: &str) -> Record {
    Record::Acl(AclRecord { id: Uuid::from_u128(id), acl: entry(name) })
}

fn remove(id: u128) -> Record {
    Record::RemoveAcl { id: Uuid::from_u128(id) }
}

fn create(requests: &[AclRequest], image: &Image) -> Decision<Vec<Result<(), ApiError>>> {
    let mut ids = (1..).map(Uuid::from_u128);
    acls::create(requests, image, || ids.next().unwrap())
}

fn refused(request: AclRequest) -> String {
    let Decision { records, mut answer } = create(&[request], &Image::default());
    assert_eq!(records, []);
    let error = answer.pop().unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::INVALID_REQUEST);
    error.message.unwrap()
}

#[test]
fn each_new_entry_is_a_record_with_an_id_of_its_own() {
    let decided = create(&[wanted("a"), wanted("b")], &Image::default());
    assert_eq!(decided, Decision { records: vec![record(1, "a"), record(2, "b")], answer: vec![Ok(()), Ok(())] });
}

#[test]
fn an_entry_that_is_there_or_comes_twice_is_created_without_a_record() {
    let image = after(&Image::default(), vec![record(1, "a")]);
    let decided = create(&[wanted("a"), wanted("b"), wanted("b")], &image);
    // The id 1 is taken, so the next one that is drawn is used.
    assert_eq!(decided, Decision { records: vec![record(2, "b")], answer: vec![Ok(()); 3] });
}

#[test]
fn an_entry_that_says_nothing_definite_is_refused() {
    assert_eq!(refused(AclRequest { resource: Asked::Any, ..wanted("a") }), "Invalid resourceType ANY");
    assert_eq!(refused(AclRequest { resource: Asked::Unknown, ..wanted("a") }), "Invalid resourceType UNKNOWN");
    assert_eq!(refused(AclRequest { pattern: AskedPattern::Match, ..wanted("a") }), "Invalid patternType MATCH");
    assert_eq!(refused(AclRequest { pattern: AskedPattern::Any, ..wanted("a") }), "Invalid patternType ANY");
    assert_eq!(refused(AclRequest { operation: Asked::Any, ..wanted("a") }), "Invalid operation ANY");
    assert_eq!(refused(AclRequest { permission: Asked::Any, ..wanted("a") }), "Invalid permissionType ANY");
    assert_eq!(refused(wanted("")), "Invalid empty resource name");
}

#[test]
fn the_cluster_has_one_name() {
    let cluster = |name| AclRequest { resource: Asked::Is(ResourceKind::Cluster), ..wanted(name) };
    assert_eq!(refused(cluster("other")), "The only valid name for the CLUSTER resource is kafka-cluster");
    assert_eq!(create(&[cluster(CLUSTER_NAME)], &Image::default()).answer, [Ok(())]);
}

#[test]
fn a_principal_without_a_type_is_refused() {
    let text = refused(AclRequest { principal: "alice".into(), ..wanted("a") });
    assert_eq!(
        text,
        "Could not parse principal from `alice` (no colon is present separating the principal type from the principal \
         name)"
    );
}

#[test]
fn one_bad_entry_does_not_keep_the_others_out() {
    let decided = create(&[wanted(""), wanted("a")], &Image::default());
    assert_eq!(decided.records, [record(1, "a")]);
    assert!(decided.answer[0].is_err() && decided.answer[1].is_ok());
}

#[test]
fn more_entries_than_fit_a_batch_are_refused_together() {
    let many: Vec<AclRequest> = (0..=RECORDS_MAX).map(|n| wanted(&format!("t{n}"))).collect();
    let decided = create(&many, &Image::default());
    assert_eq!(decided.records, []);
    assert_eq!(
        decided.answer[0],
        error(ErrorCode::POLICY_VIOLATION, "Unable to perform excessively large batch operation.")
    );
}

#[test]
fn a_filter_deletes_what_it_matches_and_names_it() {
    let image = after(&Image::default(), vec![record(1, "a"), record(2, "b")]);
    let only_b = AclFilter { name: Some("b".into()), ..AclFilter::any() };
    let decided = acls::delete(std::slice::from_ref(&only_b), &image);
    assert_eq!(decided, Decision { records: vec![remove(2)], answer: vec![Ok(vec![Arc::new(entry("b"))])] });
    // What two filters match is removed once and told twice.
    let decided = acls::delete(&[AclFilter::any(), only_b], &image);
    assert_eq!(decided.records, [remove(1), remove(2)]);
    let told: Vec<usize> = decided.answer.iter().map(|answer| answer.as_ref().unwrap().len()).collect();
    assert_eq!(told, [2, 1]);
}

#[test]
fn a_filter_that_matches_nothing_is_no_error() {
    let decided = acls::delete(&[AclFilter::any()], &Image::default());
    assert_eq!(decided, Decision { records: vec![], answer: vec![Ok(vec![])] });
}

#[test]
fn a_filter_of_unknown_words_is_refused() {
    let image = after(&Image::default(), vec![record(1, "a")]);
    let unknown = [
        (AclFilter { pattern: AskedPattern::Unknown, ..AclFilter::any() }, "Unknown patternFilter."),
        (AclFilter { resource: Asked::Unknown, ..AclFilter::any() }, "Unknown patternFilter."),
        (AclFilter { operation: Asked::Unknown, ..AclFilter::any() }, "Unknown entryFilter."),
        (AclFilter { permission: Asked::Unknown, ..AclFilter::any() }, "Unknown entryFilter."),
    ];
    for (filter, text) in unknown {
        let decided = acls::delete(&[filter], &image);
        assert_eq!(decided, Decision { records: vec![], answer: vec![error(ErrorCode::INVALID_REQUEST, text)] });
    }
}

#[test]
fn more_than_a_batch_of_entries_is_not_deleted_at_all() {
    let many = (0..=RECORDS_MAX as u128).map(|n| record(n, &format!("t{n}"))).collect();
    let decided = acls::delete(&[AclFilter::any()], &after(&Image::default(), many));
    assert_eq!(decided.records, []);
    assert_eq!(
        decided.answer[0],
        error(ErrorCode::INVALID_REQUEST, "Cannot remove more than 10000 acls in a single delete operation.")
    );
}
