//! What the tests of `record/` share: batches by Kafka's own classes, batches that lie, and chance.

#![allow(clippy::unwrap_used)]

use super::build::BatchBuilder;
use super::header::{ATTRIBUTES_AT, CRC_AT};
use super::{BatchHeader, Compression, HEADER_LEN, crc32c};
use crate::model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

pub(super) const CODECS: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

// Written by Kafka 4.3.1's MemoryRecordsBuilder: see `like_java` for what is in them.
pub(super) const JAVA_NONE: &str = "0000000000000000000000bc000000050287c83e9800000000000200000000000003e800000000000003ed000000000000000700030000000b0000000328000000046b310476310402680278086e756c6c01d601000a0201c801616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161616161610010000104046b330100";
pub(super) const JAVA_GZIP: &str = "00000000000000000000006f0000000502a6b224c100010000000200000000000003e800000000000003ed000000000000000700030000000b000000031f8b08000000000000ffd360606060c9366429336461ca60aae0c82bcdc961bcc6c8c0c5c4788231910e80418081918525db989101005507b6a38b000000";
pub(super) const JAVA_SNAPPY: &str = "0000000000000000000000770000000502804df67100020000000200000000000003e800000000000003ed000000000000000700030000000b0000000382534e41505059000000000100000001000000328b017428000000046b310476310402680278086e756c6c01d601000a0201c80161fe01008a0100240010000104046b330100";
pub(super) const JAVA_LZ4: &str = "00000000000000000000006e0000000502c73dc91600030000000200000000000003e800000000000003ed000000000000000700030000000b0000000304224d186040822e000000ff0f28000000046b310476310402680278086e756c6c01d601000a0201c80161010050a00010000104046b33010000000000";
pub(super) const JAVA_ZSTD: &str = "00000000000000000000006d00000005021141917400040000000200000000000003e800000000000003ed000000000000000700030000000b0000000328b52ffd0058840100840228000000046b310476310402680278086e756c6c01d601000a0201c801610010000104046b330100010082143801010000";
pub(super) const JAVA_COMMIT: &str = "000000000000000000000042ffffffff02b0c8a67900300000000000000000000004d200000000000004d200000000000000070003ffffffff000000012000000008000000010c00000000000900";
pub(super) const JAVA_ABORT: &str = "000000000000000000000042ffffffff0244f6703100300000000000000000000004d200000000000004d200000000000000070003ffffffff000000012000000008000000000c00000000000900";
pub(super) const JAVA_LEADER: &str = "000000000000006400000054000000040292e3059d00200000000000000000000004d200000000000004d2ffffffffffffffffffffffffffff000000014400000008000000023000000000000103000000010000000002000200000002000000";

pub(super) const JAVA_COMPRESSED: [(Compression, &str); 4] = [
    (Compression::Gzip, JAVA_GZIP),
    (Compression::Snappy, JAVA_SNAPPY),
    (Compression::Lz4, JAVA_LZ4),
    (Compression::Zstd, JAVA_ZSTD),
];

pub(super) fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// The records of the Java batches, from our builder.
pub(super) fn like_java() -> BatchBuilder {
    let mut batch = BatchBuilder::new(Offset(0)).leader_epoch(LeaderEpoch(5)).producer(
        ProducerId(7),
        ProducerEpoch(3),
        Sequence(11),
    );
    batch.push(TimestampMs(1000), Some(b"k1"), Some(b"v1"), &[("h", Some(b"x")), ("null", None)]);
    batch.push(TimestampMs(1005), None, Some(&[b'a'; 100]), &[]);
    batch.push(TimestampMs(999), Some(b"k3"), None, &[]);
    batch
}

/// A batch with these (timestamp, key) and a small value each.
pub(super) fn batch_of(records: &[(i64, Option<&str>)]) -> BatchBuilder {
    let mut batch = BatchBuilder::new(Offset(0));
    for (timestamp, key) in records {
        batch.push(TimestampMs(*timestamp), key.map(str::as_bytes), Some(b"value"), &[]);
    }
    batch
}

pub(super) fn compressed(records: &[(i64, Option<&str>)], codec: Compression) -> Vec<u8> {
    batch_of(records).compressed(codec).build().unwrap().to_vec()
}

pub(super) fn plain(records: &[(i64, Option<&str>)]) -> Vec<u8> {
    batch_of(records).build().unwrap().to_vec()
}

/// Changes a batch's header, or what follows it, and makes length and CRC fit.
pub(super) fn lying(batch: &[u8], change: impl FnOnce(&mut BatchHeader, &mut Vec<u8>)) -> Vec<u8> {
    let mut header = BatchHeader::parse(batch).unwrap();
    let mut payload = batch[HEADER_LEN..].to_vec();
    change(&mut header, &mut payload);
    header.batch_length = (HEADER_LEN + payload.len() - 12) as i32;
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend_from_slice(&payload);
    seal(&mut bytes);
    bytes
}

/// Sets the CRC to what it should be.
pub(super) fn seal(bytes: &mut [u8]) {
    let crc = crc32c(&bytes[ATTRIBUTES_AT..]);
    bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
}

/// xorshift64*.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound.max(1)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// Flips, overwrites, inserts or removes a few bytes.
    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(bytes.len());
            match self.below(5) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                2 => bytes.insert(at, self.next() as u8),
                3 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
    }
}
