use super::*;
use crate::controller::machine::scram::alter;
use crate::controller::security::{AlterScram, ScramDeletion, ScramUpsertion, UserOutcomes};
use crate::metadata::record::UserScramCredential;
use crate::model::{ScramCredential, ScramMechanism};

fn delete(user: &str, mechanism: i8) -> AlterScram {
    AlterScram { deletions: vec![ScramDeletion { user: user.into(), mechanism }], upsertions: vec![] }
}

fn upsert(user: &str, mechanism: i8, iterations: i32) -> AlterScram {
    let (salt, salted_password) = (b"salt"[..].into(), b"salted"[..].into());
    let one = ScramUpsertion { user: user.into(), mechanism, iterations, salt, salted_password };
    AlterScram { deletions: vec![], upsertions: vec![one] }
}

fn both(mut first: AlterScram, second: AlterScram) -> AlterScram {
    first.deletions.extend(second.deletions);
    first.upsertions.extend(second.upsertions);
    first
}

fn record(user: &str, mechanism: ScramMechanism, iterations: u32) -> Record {
    let credential = ScramCredential::of_salted(mechanism, b"salted", b"salt", iterations);
    Record::ScramCredential(UserScramCredential { user: user.into(), mechanism, credential })
}

fn decided(request: &AlterScram, image: &Image) -> (Vec<Record>, UserOutcomes) {
    let Decision { records, answer } = alter(request, image);
    (records, answer.unwrap())
}

fn refused(request: &AlterScram, image: &Image, code: ErrorCode, message: &str) {
    let (records, answer) = decided(request, image);
    assert_eq!(records, vec![]);
    assert_eq!(answer.len(), 1);
    assert_eq!(answer[0].1, error(code, message));
}

#[test]
fn a_credential_is_kept_as_its_keys_and_never_as_the_salted_password() {
    for (code, mechanism) in [(1, ScramMechanism::Sha256), (2, ScramMechanism::Sha512)] {
        let (records, answer) = decided(&upsert("alice", code, 4096), &cluster(vec![broker(0)]));
        assert_eq!(records, vec![record("alice", mechanism, 4096)]);
        assert_eq!(answer, vec![("alice".to_owned(), Ok(()))]);
    }
}

#[test]
fn iterations_are_4096_to_16384() {
    let image = cluster(vec![broker(0)]);
    for iterations in [4096, 16384] {
        assert_eq!(decided(&upsert("a", 1, iterations), &image).0.len(), 1);
    }
    for iterations in [4095, 0, -1, i32::MIN] {
        refused(&upsert("a", 2, iterations), &image, ErrorCode::UNACCEPTABLE_CREDENTIAL, "Too few iterations");
    }
    for iterations in [16385, i32::MAX] {
        refused(&upsert("a", 2, iterations), &image, ErrorCode::UNACCEPTABLE_CREDENTIAL, "Too many iterations");
    }
}

#[test]
fn a_user_has_a_name_and_a_mechanism_that_is_known() {
    let image = cluster(vec![broker(0)]);
    for request in [upsert("", 1, 4096), delete("", 1)] {
        refused(&request, &image, ErrorCode::UNACCEPTABLE_CREDENTIAL, "Username must not be empty");
    }
    for request in [upsert("a", 0, 4096), upsert("a", 3, 4096), delete("a", -1)] {
        refused(&request, &image, ErrorCode::UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism");
    }
}

#[test]
fn only_a_credential_that_is_there_is_removed() {
    let image = after(&cluster(vec![broker(0)]), vec![record("a", ScramMechanism::Sha256, 4096)]);
    let missing = "Attempt to delete a user credential that does not exist";
    refused(&delete("a", 2), &image, ErrorCode::RESOURCE_NOT_FOUND, missing);
    refused(&delete("b", 1), &image, ErrorCode::RESOURCE_NOT_FOUND, missing);
    let (records, _) = decided(&delete("a", 1), &image);
    assert_eq!(records, vec![Record::RemoveScramCredential { user: "a".into(), mechanism: ScramMechanism::Sha256 }]);
}

#[test]
fn a_user_named_twice_is_not_changed_at_all_whichever_way() {
    let image = after(&cluster(vec![broker(0)]), vec![record("a", ScramMechanism::Sha256, 4096)]);
    let twice = "A user credential cannot be altered twice in the same request";
    for request in [
        both(upsert("a", 1, 4096), upsert("a", 2, 4096)),
        both(delete("a", 1), upsert("a", 2, 4096)),
        both(delete("a", 1), delete("a", 1)),
        both(both(delete("a", 1), delete("a", 1)), upsert("a", 1, 4096)),
    ] {
        refused(&request, &image, ErrorCode::DUPLICATE_RESOURCE, twice);
    }
}

#[test]
fn the_first_fault_of_a_user_is_the_one_that_is_told() {
    let request = both(upsert("a", 1, 1), upsert("a", 1, 4096));
    refused(&request, &cluster(vec![broker(0)]), ErrorCode::UNACCEPTABLE_CREDENTIAL, "Too few iterations");
}

#[test]
fn one_users_fault_does_not_keep_the_others_from_being_changed() {
    let request = both(upsert("a", 1, 1), upsert("b", 1, 4096));
    let (records, answer) = decided(&request, &cluster(vec![broker(0)]));
    assert_eq!(records, vec![record("b", ScramMechanism::Sha256, 4096)]);
    assert!(answer[0].1.is_err() && answer[1].1.is_ok());
}

#[test]
fn an_old_cluster_has_no_credentials() {
    let old = vec![Record::Feature { name: "metadata.version".into(), level: 10 }];
    let image = after(&cluster(vec![broker(0)]), old);
    let text = "The current metadata.version does not support SCRAM";
    refused(&upsert("a", 1, 4096), &image, ErrorCode::UNSUPPORTED_VERSION, text);
    refused(&delete("", 9), &image, ErrorCode::UNSUPPORTED_VERSION, text);
}

#[test]
fn the_request_shows_no_password() {
    assert!(!format!("{:?}", upsert("alice", 1, 4096)).contains("salt"));
}
