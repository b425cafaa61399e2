#![allow(clippy::unwrap_used)]
use super::*;

fn full() -> Subscription {
    Subscription {
        topics: vec!["a".into(), "b".into()],
        user_data: Some(Bytes::from_static(b"data")),
        owned: vec![("a".into(), vec![PartitionId(0), PartitionId(7)])],
        generation: 12,
        rack: Some("r1".into()),
    }
}

fn assignment() -> Assignment {
    Assignment {
        partitions: vec![("a".into(), vec![PartitionId(1)]), ("b".into(), Vec::new())],
        user_data: Some(Bytes::from_static(b"x")),
    }
}

#[test]
fn a_subscription_has_in_each_version_what_that_version_has() {
    let full = full();
    let of_1 = Subscription { generation: -1, rack: None, ..full.clone() };
    let of_2 = Subscription { rack: None, ..full.clone() };
    let of_0 = Subscription { owned: Vec::new(), ..of_1.clone() };
    for (version, expected) in [(0, &of_0), (1, &of_1), (2, &of_2), (3, &full)] {
        let bytes = full.encode(version).unwrap();
        assert_eq!(super::version(&bytes), Ok(version));
        assert_eq!(&Subscription::parse(&bytes).unwrap(), expected);
    }
}

#[test]
fn the_bytes_are_kafkas() {
    let bytes = full().encode(3).unwrap();
    let expected =
        b"\0\x03\0\0\0\x02\0\x01a\0\x01b\0\0\0\x04data\0\0\0\x01\0\x01a\0\0\0\x02\0\0\0\0\0\0\0\x07\0\0\0\x0c\0\x02r1";
    assert_eq!(&bytes[..], expected);
    let bytes = assignment().encode(1).unwrap();
    assert_eq!(&bytes[..], b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x01\0\0\0\x01\0\x01b\0\0\0\0\0\0\0\x01x");
    let nothing = Assignment::default().encode(0).unwrap();
    assert_eq!(&nothing[..], b"\0\0\0\0\0\0\xff\xff\xff\xff");
}

#[test]
fn an_assignment_comes_back_in_every_version() {
    for version in 0..=NEWEST {
        let bytes = assignment().encode(version).unwrap();
        assert_eq!(Assignment::parse(&bytes).unwrap(), assignment());
    }
}

#[test]
fn a_newer_version_is_read_and_written_as_the_newest_and_what_follows_is_not_looked_at() {
    let mut bytes = full().encode(3).unwrap().to_vec();
    bytes[1] = 9;
    bytes.extend(b"of the future");
    assert_eq!(Subscription::parse(&bytes).unwrap(), full());
    assert_eq!(version(&full().encode(9).unwrap()), Ok(3));
    let mut bytes = assignment().encode(3).unwrap().to_vec();
    bytes[1] = 9;
    bytes.push(1);
    assert_eq!(Assignment::parse(&bytes).unwrap(), assignment());
}

#[test]
fn a_negative_version_is_not_understood() {
    let negative = b"\xff\xff\0\0\0\0\xff\xff\xff\xff";
    assert!(Subscription::parse(negative).is_err());
    assert!(Assignment::parse(negative).is_err());
    assert!(full().encode(-1).is_err() && assignment().encode(-1).is_err());
}

#[test]
fn an_empty_rack_is_none() {
    let empty = Subscription { rack: Some(String::new()), ..full() };
    assert_eq!(Subscription::parse(&empty.encode(3).unwrap()).unwrap().rack, None);
}

#[test]
fn topics_are_read_from_the_front_whatever_the_rest_says() {
    let mut read = Vec::new();
    let mut bytes = full().encode(1).unwrap().to_vec();
    bytes.truncate(bytes.len() - 3);
    assert!(Subscription::parse(&bytes).is_err());
    subscribed_topics(&bytes, |topic| read.push(topic.to_owned())).unwrap();
    assert_eq!(read, ["a", "b"]);
}

#[test]
fn names_that_are_not_utf8_are_read_with_replacements() {
    let bytes = b"\0\0\0\0\0\x01\0\x02a\xff\xff\xff\xff\xff";
    assert_eq!(Subscription::parse(bytes).unwrap().topics, ["a\u{fffd}".into()]);
}

#[test]
fn bytes_that_end_early_are_refused_at_every_length() {
    let subscription = full().encode(3).unwrap();
    for end in 0..subscription.len() {
        assert!(Subscription::parse(&subscription[..end]).is_err(), "{end}");
    }
    let assignment = assignment().encode(3).unwrap();
    for end in 0..assignment.len() {
        assert!(Assignment::parse(&assignment[..end]).is_err(), "{end}");
    }
    assert!(version(&[]).is_err() && version(&[0]).is_err());
}

#[test]
fn any_byte_may_be_anything() {
    let good = [full().encode(3).unwrap(), assignment().encode(3).unwrap()];
    for bytes in good {
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = bytes.to_vec();
                bytes[at] = value;
                let _ = (Subscription::parse(&bytes), Assignment::parse(&bytes), subscribed_topics(&bytes, |_| ()));
            }
        }
    }
}

#[test]
fn a_claim_of_two_billion_elements_is_refused_before_anything_is_kept() {
    let mut called = 0;
    assert!(subscribed_topics(b"\0\0\x7f\xff\xff\xff\0\0\0\0", |_| called += 1).is_err());
    assert_eq!(called, 0);
    assert!(Assignment::parse(b"\0\0\0\0\0\x01\0\x01a\x7f\xff\xff\xff\0\0\0\0").is_err());
}

#[test]
fn what_is_too_long_for_its_length_field_is_not_written() {
    let long = "x".repeat(40_000);
    let with = Assignment { partitions: vec![((&*long).into(), Vec::new())], user_data: None };
    assert!(with.encode(3).is_err());
    assert!(Subscription { rack: Some(long), ..full() }.encode(3).is_err());
}
