//! Hostile bytes: what a careless decoder would believe, for every API, in this process.
//!
//! Every case of `common::hostile`, and a hundred thousand seeded mutations, go the way of a request (frame, header, guard,
//! decoder), with every allocation counted. Nothing may panic, and what the decoder takes may not be more than the guard
//! said. `hostile_broker.rs` sends the same cases to a running broker.
#![allow(clippy::unwrap_used)]

mod common;

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use common::{Rng, apis, framed, hex, hostile, random, request};
use klamm::model::{Offset, TimestampMs};
use klamm::wire::guard::{self, Cost};
use klamm::wire::header::request_header_version;
use klamm::wire::{FrameCodec, FrameError, fetch, header, produce, shape};
use tokio_util::codec::Decoder;

/// What a decoder may take beyond what the guard said: an error's message, the count of references to the body.
const SLACK: u64 = 1024;

/// The peak of the memory that `work` held.
fn peak(work: impl FnOnce()) -> u64 {
    measure(work).bytes_max
}

/// Takes a body the way of a request past the guard, and says whether it was accepted. Panics if the crate took more
/// memory than the guard said, or read another number of bytes.
fn check_body(key: i16, version: i16, body: &[u8], what: &dyn Fn() -> String) -> bool {
    // The table is compiled when it is first used.
    let mut verdict = guard::check(3, 0, &[]).and(Err(klamm::wire::Refused::UnknownApi { key }));
    let held = peak(|| verdict = guard::check(key, version, body));
    assert_eq!(held, 0, "the guard allocated for {}", what());
    let bytes = Bytes::copy_from_slice(body);
    match (key, version) {
        (produce::KEY, _) => {
            let held = peak(|| drop(std::hint::black_box(produce::parse(version, &bytes))));
            assert!(held <= produce::decoded_max(body.len()) as u64 + SLACK, "{held} bytes held for {}", what());
        }
        (fetch::KEY, _) => {
            let held = peak(|| drop(std::hint::black_box(fetch::parse(version, &bytes))));
            assert!(held <= fetch::decoded_max(body.len()) as u64 + SLACK, "{held} bytes held for {}", what());
        }
        _ => {}
    }
    let Ok(Cost(cost)) = verdict else {
        assert!(!apis::guarded(key, version, bytes), "decoded past the guard: {}", what());
        return false;
    };
    let held = peak(|| {
        apis::decodes(key, version, bytes.clone());
    });
    assert!(held <= cost as u64 + SLACK, "{held} bytes held where the guard said {cost} for {}", what());
    true
}

#[test]
fn the_counter_counts() {
    assert!((5000..6000).contains(&peak(|| drop(std::hint::black_box(vec![0u8; 5000])))));
    // Fifty topics of a Metadata request: the guard says what they take, and not much more.
    let body = Bytes::from([&[51][..], &[0; 18 * 50 + 3]].concat());
    let Cost(cost) = guard::check(3, 12, &body).unwrap();
    let held = peak(|| assert!(apis::decodes(3, 12, body.clone())));
    assert!(held <= cost as u64 && held + 200 >= cost as u64, "{held} held, {cost} said");
}

#[test]
fn a_produce_request_for_one_partition_is_read_and_answered_without_an_allocation() {
    let api = shape::all().find(|api| api.key == produce::KEY).unwrap();
    let mut read = 0;
    for version in produce::MIN_VERSION..=produce::MAX_VERSION {
        let mut rng = Rng(version as u64);
        for _ in 0..20 {
            // As the frame codec gives it: a shared slice of the read buffer.
            let message = random::message_of(&mut rng, api, version, 1).bytes;
            let mut buffer = BytesMut::from(&[&message[..], b"more"].concat()[..]);
            let body = buffer.split_to(message.len()).freeze();
            let mut out = BytesMut::with_capacity(256);
            let count = measure(|| {
                let request = produce::parse(version, &body).unwrap();
                let Some(topic) = request.topics.first() else { return };
                let partitions = topic.partitions.iter().map(|p| {
                    produce::PartitionResponse::appended(p.partition, Offset::ZERO, TimestampMs::NONE, Offset::ZERO)
                });
                let topic = produce::TopicResponse { topic: topic.topic, partitions: partitions.collect() };
                let answer = produce::ProduceResponse { topics: [topic].into_iter().collect(), ..Default::default() };
                produce::encode_response(&mut out, version, 7, &answer).unwrap();
                read += 1;
            })
            .count_total;
            assert_eq!(count, 0, "v{version}: {}", hex(&message));
        }
    }
    assert!(read > 50, "only {read} requests had a topic");
}

#[test]
fn no_api_believes_a_length_that_its_body_does_not_hold() {
    let mut cases = 0;
    for case in hostile::cases() {
        let frame = Bytes::from(case.request.clone());
        let (head, body) = header::parse(&frame).unwrap_or_else(|e| panic!("{e}: {}", case.name));
        assert_eq!((head.key, head.version, body.len()), (case.key, case.version, frame.len() - case.body));
        let what = || format!("{}: {}", case.name, hex(&body));
        let accepted = check_body(case.key, case.version, &body, &what);
        assert!(!(case.refused && accepted), "accepted {}", what());
        cases += 1;
    }
    assert!(cases > 10_000, "only {cases} cases");
}

#[test]
fn every_version_of_every_api_that_is_served_has_hostile_cases() {
    for served in klamm::api::served() {
        let api = shape::all().find(|api| api.key == served.key).unwrap();
        let cases = hostile::cases_of(api);
        for version in hostile::served_versions(api) {
            let refused = cases.iter().filter(|case| case.version == version && case.refused).count();
            // A body without any field (old versions of ApiVersions) has nothing to lie about.
            let is_empty = random::message(&mut Rng(1), api, version).bytes.is_empty();
            assert!(refused > 0 || is_empty, "{} v{version} has no hostile case", served.name);
        }
    }
}

#[test]
fn a_message_with_unknown_tagged_fields_everywhere_costs_no_more_than_the_guard_says() {
    // ShareAcknowledge has three levels of lists; every struct carries as many unknown fields as are allowed.
    for tags in [1u32, 2, 11, 12, 13, 30, 64] {
        let mut section = Vec::new();
        common::uvarint(&mut section, tags);
        for tag in 0..tags {
            // In descending order, which fills the leaves of a B-tree worst.
            common::uvarint(&mut section, 1000 - tag);
            section.push(0);
        }
        // Metadata v12: topics of nil id and null name.
        let mut body = Vec::new();
        common::uvarint(&mut body, 51);
        for _ in 0..50 {
            body.extend_from_slice(&[0; 17]);
            body.extend_from_slice(&section);
        }
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(&section);
        assert!(check_body(3, 12, &body, &|| format!("{tags} tags")), "{tags} tags were refused");
    }
}

#[test]
fn more_unknown_tagged_fields_than_any_client_sends_are_refused() {
    let mut body = vec![1, 0, 0, 65];
    for tag in 100..165u8 {
        body.extend_from_slice(&[tag & 0x7f, 0]);
    }
    assert!(matches!(guard::check(3, 12, &body), Err(klamm::wire::Refused::TooManyTags { at: 3, count: 65 })));
}

#[test]
fn big_lists_cost_no_more_than_the_guard_says() {
    for api in shape::all() {
        for version in hostile::versions(api) {
            let mut rng = Rng(u64::from(api.key.unsigned_abs()) * 31 + version as u64);
            let message = random::message_of(&mut rng, api, version, 12);
            assert!(check_body(api.key, version, &message.bytes, &|| format!("{} v{version}", api.name)));
        }
    }
}

/// Changes a message as a fuzzer would: bytes, lengths, pieces cut out or doubled.
fn mutate(rng: &mut Rng, message: &random::Message) -> Vec<u8> {
    let mut bytes = message.bytes.clone();
    if !message.sites.is_empty() && rng.percent(40) {
        let site = message.sites[rng.below(message.sites.len())];
        let small = rng.below(200) as i64;
        let value = if rng.percent(50) { site.absurd()[rng.below(site.absurd().len())] } else { small };
        bytes = site.replaced(&bytes, value);
    }
    for _ in 0..rng.below(4) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.below(bytes.len());
        match rng.below(6) {
            0 => bytes[at] = rng.next() as u8,
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, [0, 1, 0x7f, 0x80, 0xff][rng.below(5)]),
            4 => drop(bytes.remove(at)),
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}

#[test]
fn a_hundred_thousand_mutated_requests_neither_panic_nor_take_more_than_the_guard_says() {
    let apis: Vec<_> = shape::all().collect();
    let mut rng = Rng(0x5eed);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..100_000 {
        let api = apis[round % apis.len()];
        let version = api.min + rng.below((api.max - api.min + 1) as usize) as i16;
        let message = random::message(&mut rng, api, version);
        let body = mutate(&mut rng, &message);
        let what = || format!("round {round}, {} v{version}: {}", api.name, hex(&body));
        if check_body(api.key, version, &body, &what) {
            accepted += 1;
        } else {
            refused += 1;
        }
    }
    assert!(accepted > 10_000 && refused > 10_000, "{accepted} accepted, {refused} refused");
}

#[test]
fn a_hundred_thousand_mutated_frames_and_headers_do_not_panic() {
    let metadata = shape::all().find(|api| api.key == 3).unwrap();
    let mut rng = Rng(0xf4a3);
    let mut cut = 0;
    for round in 0..100_000 {
        let version = (round % 14) as i16;
        let body = random::message(&mut rng, metadata, version);
        let header_version = request_header_version(3, version).unwrap();
        let mut stream = framed(&request(3, version, header_version, &body.bytes));
        for _ in 0..rng.below(4) {
            let at = rng.below(stream.len().min(24));
            stream[at] = rng.next() as u8;
        }
        let mut codec = FrameCodec::new(1 << 20);
        let mut src = BytesMut::new();
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(1 + rng.below(rest.len()));
            src.extend_from_slice(now);
            rest = later;
            match codec.decode(&mut src) {
                Ok(Some(frame)) => {
                    cut += 1;
                    if let Ok((head, body)) = header::parse(&frame) {
                        check_body(head.key, head.version, &body, &|| format!("round {round}: {}", hex(&frame)));
                    }
                }
                Ok(None) => {}
                Err(_) => break,
            }
        }
    }
    assert!(cut > 50_000, "only {cut} frames were cut");
}

#[test]
fn a_stream_that_is_wrong_before_any_body_gets_no_further_than_the_header() {
    for (name, stream) in hostile::streams() {
        let mut codec = FrameCodec::new(100 * 1024 * 1024);
        let mut src = BytesMut::from(&stream[..]);
        let mut outcome = String::new();
        let held = peak(|| {
            outcome = match codec.decode(&mut src) {
                Err(error @ (FrameError::Negative(_) | FrameError::TooLarge { .. })) => error.to_string(),
                Err(FrameError::Io(error)) => panic!("{error}"),
                Ok(None) => "waiting".into(),
                Ok(Some(frame)) => match header::parse(&frame) {
                    Err(error) => error.to_string(),
                    Ok((head, body)) => match guard::check(head.key, head.version, &body) {
                        Err(error) => error.to_string(),
                        Ok(_) => panic!("{name} was accepted"),
                    },
                },
            };
        });
        assert!(held < 300 * 1024, "{name}: {held} bytes held, {outcome}");
    }
}
