//! Fuzzes a request's way in: frame, header, guard, decoder, and the codecs of our own against the crate's.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir protocol-tests/fuzz wire -- -max_total_time=660 -rss_limit_mb=2048
//! -malloc_limit_mb=64 -max_len=16384` (libFuzzer needs options of the compiler that are not stable).
//!
//! No corpus is kept: the mutator makes valid messages of every API from the table of shapes, and libFuzzer spoils them.
#![no_main]

#[path = "../common/mod.rs"]
mod common;

use bytes::{Bytes, BytesMut};
use common::{Rng, apis, framed, random, request};
use klamm::wire::header::request_header_version;
use klamm::wire::{FrameCodec, Refused, fetch, guard, header, produce, shape};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use tokio_util::codec::Decoder;

const FRAME_MAX: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    // As it is, in two pieces, which is mostly about lengths.
    let mut codec = FrameCodec::new(FRAME_MAX);
    let mut src = BytesMut::new();
    for piece in data.chunks(data.len() / 2 + 1) {
        src.extend_from_slice(piece);
        while let Ok(Some(frame)) = codec.decode(&mut src) {
            one_request(&frame);
        }
    }
    // And as one request.
    let mut src = BytesMut::from(&framed(data)[..]);
    if let Ok(Some(frame)) = FrameCodec::new(FRAME_MAX).decode(&mut src) {
        one_request(&frame);
    }
});

fn one_request(frame: &Bytes) {
    let Ok((head, body)) = header::parse(frame) else { return };
    let (key, version) = (head.key, head.version);
    let verdict = guard::check(key, version, &body);
    let theirs = verdict.is_ok().then(|| apis::decode(key, version, body.clone()));
    match key {
        produce::KEY => agree(produce::parse(version, &body).map(drop), theirs.as_ref().map(Result::is_ok)),
        fetch::KEY => agree(fetch::parse(version, &body).map(drop), theirs.as_ref().map(Result::is_ok)),
        _ => {}
    }
    match theirs {
        None => assert!(!apis::guarded(key, version, body)),
        Some(Ok(decoded)) => {
            let again =
                decoded.again.unwrap_or_else(|error| panic!("API {key} v{version} cannot be written again: {error}"));
            guard::check(key, version, &again)
                .unwrap_or_else(|error| panic!("API {key} v{version} written again: {error}"));
        }
        // Only what the guard does not look at is left to be wrong.
        Some(Err(error)) => assert!(error.contains("utf-8"), "API {key} v{version}: {error}"),
    }
}

/// Our parser accepts what the guard and the crate accept, and nothing else; but for lists that cost too much.
fn agree(ours: Result<(), Refused>, theirs: Option<bool>) {
    match (ours, theirs) {
        (Ok(()), Some(true)) | (Err(_), None | Some(false)) | (Err(Refused::Count { .. }), Some(true)) => {}
        (ours, theirs) => panic!("ours: {ours:?}, the crate's: {theirs:?}"),
    }
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 32 != 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut rng = Rng(u64::from(seed));
    let apis: Vec<_> = shape::all().collect();
    let api = apis[rng.below(apis.len())];
    let version = api.min + rng.below((api.max - api.min + 1) as usize) as i16;
    let body = random::message(&mut rng, api, version).bytes;
    let fresh = request(api.key, version, request_header_version(api.key, version).unwrap_or(1), &body);
    let fresh = &fresh[..fresh.len().min(max_size)];
    data[..fresh.len()].copy_from_slice(fresh);
    fresh.len()
});
