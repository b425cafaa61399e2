//! Hostile frames: for every API, what a careless decoder would believe. Made from the table of shapes.

use super::random::{self, What};
use super::{Rng, framed, request, unhex};
use klamm::wire::header::request_header_version;
use klamm::wire::shape::{self, Api};

/// Bytes to send to a broker, and what they are.
pub(crate) struct Case {
    pub(crate) name: String,
    /// The request without its length.
    pub(crate) request: Vec<u8>,
    /// Where its body starts.
    pub(crate) body: usize,
    pub(crate) key: i16,
    pub(crate) version: i16,
    /// No decoder may accept it.
    pub(crate) refused: bool,
}

impl Case {
    pub(crate) fn frame(&self) -> Vec<u8> {
        framed(&self.request)
    }
}

/// The versions of an API in which its encoding differs most: the first, the last, and those around flexible versions.
pub(crate) fn versions(api: &Api) -> Vec<i16> {
    let mut versions = vec![api.min, api.flexible.saturating_sub(1), api.flexible, api.max];
    versions.retain(|version| api.has_version(*version));
    versions.sort_unstable();
    versions.dedup();
    versions
}

/// Every version of an API that a broker serves and that has an encoding of its own.
pub(crate) fn served_versions(api: &Api) -> Vec<i16> {
    let served = klamm::api::served().iter().filter(|served| served.key == api.key);
    let versions = served.flat_map(|served| served.versions.min..=served.versions.max);
    versions.filter(|version| klamm::api::form(api.key, *version) == *version).collect()
}

/// Every case of one API: the body cut at every length, every length and count replaced by absurd values. Each version
/// that is served has its own; of APIs that are not, those in which the encoding differs most.
pub(crate) fn cases_of(api: &Api) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut all = [versions(api), served_versions(api)].concat();
    all.sort_unstable();
    all.dedup();
    for version in all {
        let mut rng = Rng(0x4b1a_0000 + i64::from(api.key) as u64 * 100 + version as u64);
        let message = random::message(&mut rng, api, version);
        let mut case = |name: String, body: &[u8], refused: bool| {
            let name = format!("{} v{version}: {name}", api.name);
            let start = request(api.key, version, header_version(api.key, version), &[]).len();
            let request = request(api.key, version, header_version(api.key, version), body);
            cases.push(Case { name, request, body: start, key: api.key, version, refused });
        };
        for length in 0..message.bytes.len() {
            case(format!("cut after {length} bytes"), &message.bytes[..length], true);
        }
        for site in &message.sites {
            for value in site.absurd() {
                let name = format!("{:?} at {} is {value}", site.what, site.at);
                case(name, &site.replaced(&message.bytes, *value), true);
            }
            if site.what == What::CompactCount || site.what == What::CompactLength {
                case(format!("null at {}", site.at), &site.replaced(&message.bytes, 0), false);
            }
        }
        case("bytes after the message".into(), &[&message.bytes[..], &[0xff; 32]].concat(), false);
        case("eleven bytes of varint".into(), &[0xff; 11], false);
        case("zeros".into(), &[0; 256], false);
    }
    cases
}

/// Every case of every API.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    shape::all().flat_map(cases_of)
}

fn header_version(key: i16, version: i16) -> i16 {
    request_header_version(key, version).unwrap_or(1)
}

/// Whole streams that are wrong before any body: lengths, headers, other protocols. The name says what each is.
pub(crate) fn streams() -> Vec<(&'static str, Vec<u8>)> {
    let header = |key: i16, version: i16| [key.to_be_bytes(), version.to_be_bytes()].concat();
    let after_header = |rest: &[u8]| framed(&[header(3, 9), vec![0, 0, 0, 7, 0, 1, b'h'], rest.to_vec()].concat());
    let mut many_tags = vec![0xc0, 0x84, 0x3d];
    for tag in 1000u32..61_000 {
        super::uvarint(&mut many_tags, tag);
        many_tags.push(0);
    }
    vec![
        ("length 2^31-1", [vec![0x7f, 0xff, 0xff, 0xff], vec![b'x'; 64]].concat()),
        ("length -1", [vec![0xff; 4], vec![b'x'; 64]].concat()),
        ("length 0", vec![0; 4]),
        ("length 1", framed(&[0])),
        ("a length of 100 MiB + 1 and no body", (100 * 1024 * 1024 + 1i32).to_be_bytes().to_vec()),
        ("a TLS hello", [unhex("16030100c8010000c40303"), vec![0; 190]].concat()),
        ("an HTTP request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("an unknown key", framed(&request(9999, 0, 1, &[]))),
        ("a negative key", framed(&request(-1, -1, 1, &[]))),
        ("the smallest key", framed(&request(i16::MIN, i16::MIN, 1, &[]))),
        ("ApiVersions v127", framed(&request(18, 127, 2, &[]))),
        ("Metadata v32767", framed(&request(3, 32767, 2, &[]))),
        ("a client id of length -2", framed(&[header(3, 1), vec![0, 0, 0, 7, 0xff, 0xfe]].concat())),
        ("a client id longer than the frame", framed(&[header(3, 1), vec![0, 0, 0, 7, 0x7f, 0xff, b'a']].concat())),
        ("a client id that is not UTF-8", framed(&[header(3, 1), vec![0, 0, 0, 7, 0, 2, 0xc3, 0x28]].concat())),
        ("2^31 tagged fields in the header", after_header(&[0xff, 0xff, 0xff, 0xff, 0x07])),
        ("a million tagged fields in the header, sixty thousand of them there", after_header(&many_tags)),
    ]
}
