//! One test per rule of `StandardAuthorizer`, and the index against the rules written down plainly.
#![allow(clippy::unwrap_used)]

use super::testing::{acl, authorizer, image};
use super::*;
use crate::metadata::record::AclRecord;
use crate::metadata::{Change, Record, Store};
use crate::model::{Acl, Offset, Pattern, Permission};
use std::collections::BTreeSet;
use uuid::Uuid;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn with(acls: &[&str]) -> Authorizer {
    authorizer(acls.iter().map(|text| acl(text)), false)
}

fn action(operation: Operation, kind: ResourceKind, name: &str) -> Action<'_> {
    Action { operation, kind, name, count: 1, log_denied: true, log_allowed: true }
}

fn may(authorizer: &Authorizer, who: &str, operation: Operation, topic: &str) -> bool {
    may_from(authorizer, who, HERE, operation, topic)
}

fn may_from(authorizer: &Authorizer, who: &str, address: IpAddr, operation: Operation, topic: &str) -> bool {
    let principal = Principal::parse(who).unwrap();
    let subject = Subject { principal: &principal, address, request: "Test" };
    authorizer.allows(&subject, &action(operation, ResourceKind::Topic, topic))
}

const ALICE: &str = "User:alice";

use Operation::{All, Alter, AlterConfigs, Create, Delete, Describe, DescribeConfigs, Read, Write};

#[test]
fn without_an_entry_nothing_is_allowed() {
    assert!(!may(&with(&[]), ALICE, Read, "a"));
    assert!(!may(&with(&["+topic:b:User:alice:READ", "+group:a:User:alice:READ"]), ALICE, Read, "a"));
}

#[test]
fn an_entry_allows_its_operation_on_its_resource_to_its_principal() {
    let rules = with(&["+topic:a:User:alice:READ"]);
    assert!(may(&rules, ALICE, Read, "a"));
    assert!(!may(&rules, ALICE, Write, "a"));
    assert!(!may(&rules, "User:bob", Read, "a"));
    assert!(!may(&rules, "Group:alice", Read, "a"));
    assert!(!may(&rules, ALICE, Read, "ab"));
}

#[test]
fn a_super_user_may_do_everything_even_what_is_denied() {
    let rules = with(&["-topic:a:User:root:ALL"]);
    assert!(may(&rules, "User:root", Read, "a"));
    assert!(!may(&rules, "Group:root", Read, "a"));
}

#[test]
fn what_denies_outweighs_what_allows_however_it_is_written() {
    for deny in ["-topic:foo:User:alice:READ", "-topic:f+:User:alice:ALL", "-topic:*:User:*:READ"] {
        for allow in ["+topic:foo:User:alice:ALL", "+topic:fo+:User:*:READ", "+topic:*:User:alice:READ"] {
            assert!(!may(&with(&[deny, allow]), ALICE, Read, "foo"), "{deny} {allow}");
            assert!(may(&with(&[allow]), ALICE, Read, "foo"), "{allow}");
        }
    }
}

#[test]
fn a_prefix_covers_every_name_that_begins_with_it() {
    let rules = with(&["+topic:foo+:User:alice:READ", "+topic:fo:User:alice:WRITE", "+topic:foobar+:User:alice:ALTER"]);
    for name in ["foo", "foo-1", "foobar", "foobarbaz"] {
        assert!(may(&rules, ALICE, Read, name), "{name}");
    }
    assert!(!may(&rules, ALICE, Read, "fo") && !may(&rules, ALICE, Write, "foo"));
    assert!(may(&rules, ALICE, Alter, "foobarbaz") && !may(&rules, ALICE, Alter, "fooba"));
}

#[test]
fn a_prefix_is_found_behind_others_that_do_not_match() {
    // Sorted between the prefix and the name lies what only shares a part with it.
    let rules = with(&["+topic:f+:User:alice:READ", "+topic:fa+:User:bob:READ", "+topic:fob+:User:bob:READ"]);
    assert!(may(&rules, ALICE, Read, "foo") && may(&rules, ALICE, Read, "fzz") && !may(&rules, ALICE, Read, "g"));
}

#[test]
fn the_literal_star_is_any_name_and_the_prefix_star_is_not() {
    let rules = with(&["+topic:*:User:alice:READ", "+topic:*+:User:alice:WRITE"]);
    assert!(may(&rules, ALICE, Read, "anything"));
    assert!(!may(&rules, ALICE, Write, "anything"));
    assert!(may(&rules, ALICE, Write, "*thing"));
}

#[test]
fn the_principal_star_is_everybody() {
    let rules = with(&["+topic:a:User:*:READ", "+topic:b:Group:*:READ"]);
    assert!(may(&rules, ALICE, Read, "a") && may(&rules, "Role:x", Read, "a"));
    assert!(!may(&rules, "Group:x", Read, "b"), "only User:* is a wildcard");
}

#[test]
fn an_entry_holds_for_its_host_only() {
    let rules =
        with(&["+topic:a:User:alice:READ@10.0.0.1", "-topic:b:User:alice:READ@10.0.0.1", "+topic:b:User:*:READ"]);
    let from = |address: &str, topic| may_from(&rules, ALICE, address.parse().unwrap(), Read, topic);
    assert!(from("10.0.0.1", "a") && !from("10.0.0.2", "a"));
    assert!(from("::ffff:10.0.0.1", "a"), "an IPv4 client of an IPv6 socket");
    assert!(!from("10.0.0.1", "b") && from("10.0.0.2", "b"));
}

#[test]
fn an_ipv6_host_is_written_as_java_writes_it() {
    let rules = with(&["+topic:a:User:alice:READ@0:0:0:0:0:0:0:1", "+topic:b:User:alice:READ@::1"]);
    let from = |topic| may_from(&rules, ALICE, "::1".parse().unwrap(), Read, topic);
    assert!(from("a"));
    assert!(!from("b"));
}

#[test]
fn the_operation_all_is_every_operation() {
    let rules = with(&["+topic:a:User:alice:ALL"]);
    for operation in Operation::ALL {
        assert!(may(&rules, ALICE, *operation, "a"));
    }
}

#[test]
fn leave_to_read_write_delete_or_alter_is_leave_to_describe() {
    for operation in Operation::ALL {
        let rules = with(&[&format!("+topic:a:User:alice:{}", operation.name())]);
        let implied = matches!(operation, All | Read | Write | Delete | Alter | Describe);
        assert_eq!(may(&rules, ALICE, Describe, "a"), implied, "{operation:?}");
        let implied = matches!(operation, All | AlterConfigs | DescribeConfigs);
        assert_eq!(may(&rules, ALICE, DescribeConfigs, "a"), implied, "{operation:?}");
        assert_eq!(may(&rules, ALICE, Create, "a"), matches!(operation, All | Create), "{operation:?}");
    }
}

#[test]
fn to_deny_reading_is_not_to_deny_describing() {
    let rules = with(&["-topic:a:User:alice:READ", "+topic:a:User:alice:WRITE"]);
    assert!(may(&rules, ALICE, Describe, "a"));
    let rules = with(&["-topic:a:User:alice:DESCRIBE", "+topic:a:User:alice:READ"]);
    assert!(!may(&rules, ALICE, Describe, "a") && may(&rules, ALICE, Read, "a"));
}

#[test]
fn everybody_may_use_what_has_no_entries_where_that_is_set() {
    let rules = authorizer([acl("+topic:a:User:bob:READ"), acl("+topic:p+:User:bob:READ")], true);
    assert!(may(&rules, ALICE, Read, "b"));
    assert!(!may(&rules, ALICE, Read, "a") && !may(&rules, ALICE, Read, "px"));
    assert!(may(&rules, "User:bob", Read, "a") && !may(&rules, "User:bob", Write, "a"));
    let covered = authorizer([acl("+topic:*:User:bob:READ")], true);
    assert!(!may(&covered, ALICE, Read, "b"), "an entry for every name is one for this name");
}

#[test]
fn an_entry_counts_from_when_it_is_published_until_it_is_removed() {
    let rules = Arc::new(Authorizer::new([], false));
    let store = Store::default();
    store.subscribe(Arc::clone(&rules) as Arc<dyn Publisher>);
    rules.complete();
    let publish = |records: &[Record]| {
        let mut change = Change::new(&store.image());
        records.iter().for_each(|record| change.apply(record).unwrap());
        let (image, delta) = change.finish(Offset(0), 1).unwrap();
        store.publish(Arc::new(image), &delta);
    };
    let [a, b] = [1, 2].map(Uuid::from_u128);
    let add = |id, text| Record::Acl(AclRecord { id, acl: acl(text) });
    publish(&[add(a, "+topic:a:User:alice:READ"), add(b, "+group:g:User:alice:READ")]);
    assert!(may(&rules, ALICE, Read, "a"));
    publish(&[Record::RemoveAcl { id: a }]);
    assert!(!may(&rules, ALICE, Read, "a"));
    assert_eq!(rules.index.load().len(), 1, "the group's entry is still there");
}

#[test]
fn until_the_metadata_is_there_only_super_users_may_do_anything() {
    let rules = Authorizer::new([Principal::user("root")], true);
    assert!(may(&rules, "User:root", Read, "a"));
    assert!(!may(&rules, ALICE, Read, "a") && !somewhere(&rules, Read));
    rules.complete();
    assert!(may(&rules, ALICE, Read, "a") && somewhere(&rules, Read));
}

fn somewhere(rules: &Authorizer, operation: Operation) -> bool {
    let alice = Principal::user("alice");
    rules.allows_somewhere(
        &Subject { principal: &alice, address: HERE, request: "Test" },
        operation,
        ResourceKind::Topic,
    )
}

#[test]
fn somewhere_is_allowed_what_an_entry_allows_and_none_denies_wholly() {
    for (acls, allowed) in [
        (&[][..], false),
        (&["+topic:a:User:alice:WRITE"], true),
        (&["+topic:a:User:alice:READ"], false),
        (&["+topic:a:User:alice:ALL"], true),
        (&["+topic:a:User:bob:WRITE"], false),
        (&["+topic:a:User:alice:WRITE@1.2.3.4"], false),
        (&["+group:a:User:alice:WRITE"], false),
        (&["+topic:a+:User:*:WRITE"], true),
        (&["+topic:*:User:alice:WRITE"], true),
        (&["+topic:*:User:alice:WRITE", "-topic:*:User:alice:WRITE"], false),
        (&["+topic:a:User:alice:WRITE", "-topic:*:User:*:ALL"], false),
        (&["+topic:a:User:alice:WRITE", "-topic:a:User:alice:WRITE"], false),
        (&["+topic:ab:User:alice:WRITE", "-topic:a+:User:alice:WRITE"], false),
        (&["+topic:ab+:User:alice:WRITE", "-topic:a+:User:alice:WRITE"], false),
        (&["+topic:ab+:User:alice:WRITE", "-topic:ab+:User:alice:WRITE"], false),
        (&["+topic:ab+:User:alice:WRITE", "-topic:abc+:User:alice:WRITE"], true),
        (&["+topic:ab+:User:alice:WRITE", "-topic:ab:User:alice:WRITE"], true),
        (&["+topic:a:User:alice:WRITE", "-topic:b:User:alice:WRITE"], true),
        (&["+topic:a:User:alice:WRITE", "-topic:a:User:alice:READ"], true),
    ] {
        assert_eq!(somewhere(&with(acls), Write), allowed, "{acls:?}");
    }
    assert!(!somewhere(&with(&["+topic:a:User:alice:WRITE"]), Describe), "no operation implies another here");
    assert!(somewhere(&authorizer([], true), Write));
}

#[test]
fn a_line_of_the_audit_is_kafkas() {
    let rules = with(&["+topic:fo+:User:alice:READ"]);
    let alice = Principal::user("alice");
    let subject = Subject { principal: &alice, address: "::1".parse().unwrap(), request: "Fetch" };
    let index = rules.index.load();
    let line = |operation| {
        let action = Action { count: 2, ..action(operation, ResourceKind::Topic, "foo") };
        let rule = index.decide(&alice, subject.address, &action, false);
        audit::Line { subject: &subject, action: &action, rule: &rule }.to_string()
    };
    assert_eq!(
        line(Write),
        "Principal = User:alice is Denied operation = WRITE from host = 0:0:0:0:0:0:0:1 on resource = Topic:LITERAL:foo \
         for request = Fetch with resourceRefCount = 2 based on rule DefaultDeny"
    );
    assert_eq!(
        line(Read),
        "Principal = User:alice is Allowed operation = READ from host = 0:0:0:0:0:0:0:1 on resource = Topic:LITERAL:foo \
         for request = Fetch with resourceRefCount = 2 based on rule MatchingAcl(acl=StandardAcl(resourceType=TOPIC, \
         resourceName=fo, patternType=PREFIXED, principal=User:alice, host=*, operation=READ, permissionType=ALLOW))"
    );
}

#[test]
fn the_bit_field_has_the_operations_that_are_allowed() {
    let rules = with(&["+topic:a:User:alice:READ", "+topic:a:User:alice:ALTER_CONFIGS"]);
    let alice = Principal::user("alice");
    let subject = Subject { principal: &alice, address: HERE, request: "Test" };
    let bits = Permissions::new(Some(&rules), subject).operations(ResourceKind::Topic, "a");
    assert_eq!(bits, 1 << 3 | 1 << 8 | 1 << 10 | 1 << 11);
    let all = |kind| Permissions::everything().operations(kind, "a");
    // What Apache Kafka answers without an authorizer.
    assert_eq!([all(ResourceKind::Topic), all(ResourceKind::Cluster), all(ResourceKind::Group)], [3576, 8096, 3400]);
}

/// The rules, without an index.
fn plainly(acls: &BTreeSet<Acl>, who: &str, operation: Operation, topic: &str) -> bool {
    let matching = |acl: &&Acl| match acl.pattern {
        Pattern::Literal => &*acl.name == "*" || &*acl.name == topic,
        Pattern::Prefixed => topic.starts_with(&*acl.name),
    };
    let says = |permission| {
        acls.iter().filter(matching).any(|acl| {
            let implied = permission == Permission::Allow
                && operation == Describe
                && matches!(acl.operation, Read | Write | Delete | Alter);
            acl.permission == permission
                && (&*acl.principal == who || &*acl.principal == "User:*")
                && (acl.operation == operation || acl.operation == All || implied)
        })
    };
    says(Permission::Allow) && !says(Permission::Deny)
}

#[test]
fn the_index_decides_as_the_plain_rules_do() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut below = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    let mut allowed = 0;
    for _ in 0..400 {
        let mut name = |longest| (0..=below(longest)).map(|_| ['a', 'b', '*'][below(8).min(2) % 3]).collect::<String>();
        let names: Vec<String> = (0..12).map(|_| name(4)).collect();
        let asked: Vec<String> = (0..12).map(|_| name(5)).collect();
        let acls: BTreeSet<Acl> = names
            .iter()
            .map(|name| Acl {
                resource: ResourceKind::Topic,
                name: name.as_str().into(),
                pattern: Pattern::ALL[below(2)],
                principal: ["User:alice", "User:bob", "User:*"][below(3)].into(),
                host: "*".into(),
                operation: [Read, Write, Describe, All][below(4)],
                permission: if below(4) == 0 { Permission::Deny } else { Permission::Allow },
            })
            .collect();
        let rules = authorizer(acls.clone(), false);
        for topic in &asked {
            for operation in [Read, Describe] {
                let expected = plainly(&acls, ALICE, operation, topic);
                allowed += usize::from(expected);
                assert_eq!(may(&rules, ALICE, operation, topic), expected, "{operation:?} {topic} {acls:#?}");
            }
        }
    }
    assert!(allowed > 1000, "{allowed}");
}

/// What a decision costs with ten thousand entries: `cargo test --release --lib a_decision -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn a_decision_among_ten_thousand_entries_takes_nanoseconds() {
    let entries = (0..10_000).map(|n| {
        let (team, user) = (n % 2500, n % 500);
        match n % 4 {
            0 => acl(&format!("+topic:team-{team}.:User:u{user}:READ")),
            1 => acl(&format!("+topic:team-{team}.+:User:u{user}:WRITE")),
            2 => acl(&format!("+topic:team-{team}.orders:User:u{user}:ALL")),
            _ => acl(&format!("-topic:team-{team}.secret.+:User:u{user}:ALL")),
        }
    });
    let rules = authorizer(entries, false);
    let principals: Vec<Principal> = (0..500).map(|n| Principal::user(&format!("u{n}"))).collect();
    let topics: Vec<String> = (0..2500).map(|n| format!("team-{n}.orders")).collect();
    let rounds = 200;
    for (what, seldom) in [("topics at random", 1), ("one topic", usize::MAX)] {
        let started = crate::rt::clock::now();
        let mut allowed = 0u64;
        for n in 0..rounds * topics.len() {
            let at = if seldom == 1 { n.wrapping_mul(7919) % topics.len() } else { 1 };
            let subject = Subject { principal: &principals[at % 500], address: HERE, request: "Produce" };
            allowed += u64::from(rules.allows(&subject, &action(Write, ResourceKind::Topic, &topics[at])));
        }
        let each = started.elapsed().as_nanos() / (rounds * topics.len()) as u128;
        println!("{} entries, {what}: {each} ns a decision, {allowed} allowed", rules.index.load().len());
    }
    let image = image((0..10_000).map(|n| acl(&format!("+topic:team-{n}.+:User:u:READ"))));
    let started = crate::rt::clock::now();
    let index = Index::default().updated(&image.acls, &BTreeSet::from([ResourceKind::Topic]));
    println!("arranging {} entries of one kind: {} us", index.len(), started.elapsed().as_micros());
}
