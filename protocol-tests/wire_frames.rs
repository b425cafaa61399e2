//! Golden frames: a request and an empty answer of every version of every API that is served, in hex, in
//! `golden/frames.txt`. A change of a codec, of a table or of the crate that changes a byte on the wire shows here.
//!
//! `UPDATE_GOLDEN=1` writes the file anew: read the difference before you commit it.
#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{Rng, apis, framed, hex, random, request, unhex};
use klamm::wire::{guard, header, shape};
use std::fmt::Write as _;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/protocol-tests/golden/frames.txt");
const CORRELATION_ID: i32 = 7;

/// Every frame, a line each: name, version, what it is, bytes.
fn frames() -> String {
    let mut text = String::new();
    let mut served: Vec<_> = klamm::api::served().iter().collect();
    served.sort_by_key(|api| api.key);
    for served in served {
        let api = shape::all().find(|api| api.key == served.key).unwrap();
        for version in served.versions.min..=served.versions.max {
            let mut rng = Rng(i64::from(served.key) as u64 * 1000 + version as u64);
            let form = klamm::api::form(served.key, version);
            let body = random::message_of(&mut rng, api, form, 2).bytes;
            let header_version = header::request_header_version(served.key, version).unwrap();
            let request = framed(&request(served.key, version, header_version, &body));
            writeln!(text, "{} {version} request {}", served.name, hex(&request)).unwrap();
            let answer = apis::empty_answer(served.key, form, CORRELATION_ID);
            writeln!(text, "{} {version} answer {}", served.name, hex(&answer)).unwrap();
        }
    }
    text
}

#[test]
fn the_frames_of_every_version_of_every_api_are_the_golden_ones() {
    let frames = frames();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(PATH, &frames).unwrap();
    }
    let golden = std::fs::read_to_string(PATH).unwrap();
    for (ours, golden) in frames.lines().zip(golden.lines()) {
        assert_eq!(ours, golden);
    }
    assert_eq!(frames.lines().count(), golden.lines().count());
}

#[test]
fn every_golden_request_is_read_to_its_last_byte_and_written_again_as_it_was() {
    let golden = std::fs::read_to_string(PATH).unwrap();
    let mut read = 0;
    for line in golden.lines() {
        let [name, version, kind, bytes] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        if kind != "request" {
            continue;
        }
        let frame = unhex(bytes);
        assert_eq!(frame[..4], (frame.len() as i32 - 4).to_be_bytes(), "{line}");
        let (head, body) = header::parse(&Bytes::from(frame[4..].to_vec())).unwrap();
        let served = klamm::api::served().iter().find(|api| api.key == head.key).unwrap();
        assert_eq!((served.name, head.version.to_string().as_str()), (name, version));
        let form = klamm::api::form(head.key, head.version);
        guard::check(head.key, form, &body).unwrap();
        let decoded = apis::decode(head.key, form, body.clone()).unwrap();
        // Our own decoders pass over the tagged fields that nobody knows; the crate keeps them.
        if !(apis::is_ours(head.key, form) && decoded.left > 0) {
            assert_eq!((decoded.left, hex(&decoded.again.unwrap())), (0, hex(&body)), "{name} v{version}");
        }
        read += 1;
    }
    let versions = klamm::api::served().iter().map(|api| api.versions.max - api.versions.min + 1);
    assert_eq!(read, i32::from(versions.sum::<i16>()), "a version is missing: UPDATE_GOLDEN=1 adds it");
}
