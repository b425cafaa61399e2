//! Bytes as Kafka's own classes write and read them.

use super::super::build::{ControlType, EndTxn, Marker, end_txn_marker, leader_change};
use super::super::records::{self, Records};
use super::super::testing::*;
use super::super::*;
use crate::model::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use bytes::Bytes;

const LIMIT: usize = 1 << 20;

#[test]
fn our_batch_is_byte_for_byte_javas() {
    assert_eq!(like_java().build().unwrap(), unhex(JAVA_NONE));
}

#[test]
fn a_header_is_read_field_by_field_and_written_back() {
    let bytes = unhex(JAVA_NONE);
    let header = BatchHeader::parse(&bytes).unwrap();
    let expected = BatchHeader {
        base_offset: Offset(0),
        batch_length: 0xbc,
        leader_epoch: LeaderEpoch(5),
        magic: 2,
        crc: 0x87c8_3e98,
        attributes: Attributes(0),
        last_offset_delta: 2,
        base_timestamp: TimestampMs(1000),
        max_timestamp: TimestampMs(1005),
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(3),
        base_sequence: Sequence(11),
        record_count: 3,
    };
    assert_eq!(header, expected);
    assert_eq!(header.to_bytes(), bytes[..HEADER_LEN]);
    assert_eq!((header.size(), header.last_offset(), header.next_offset()), (200, Offset(2), Offset(3)));
    assert_eq!(header.last_sequence(), Sequence(13));
}

#[test]
fn the_last_sequence_wraps_and_none_stays_none() {
    let mut header = BatchHeader::parse(&unhex(JAVA_NONE)).unwrap();
    header.base_sequence = Sequence(i32::MAX);
    assert_eq!(header.last_sequence(), Sequence(1));
    header.base_sequence = Sequence::NONE;
    assert_eq!(header.last_sequence(), Sequence::NONE);
}

#[test]
fn attributes_are_told_apart() {
    let none = Attributes(0);
    assert!(!(none.is_transactional() || none.is_control() || none.is_log_append_time() || none.has_delete_horizon()));
    assert!(Attributes(0x08).is_log_append_time());
    assert!(Attributes(0x10).is_transactional());
    assert!(Attributes(0x20).is_control());
    assert!(Attributes(0x40).has_delete_horizon());
    for codec in CODECS {
        assert_eq!(Attributes(i16::from(codec.id()) | 0x78).compression(), Some(codec));
    }
    assert_eq!(Attributes(5).codec(), Err(BadBatch::Codec(5)));
}

#[test]
fn the_records_are_javas() {
    let bytes = unhex(JAVA_NONE);
    let header = BatchHeader::parse(&bytes).unwrap();
    let records: Vec<_> = Records::new(&header, &bytes[HEADER_LEN..]).unwrap().map(Result::unwrap).collect();
    assert_eq!(records.len(), 3);
    assert_eq!((records[0].offset, records[0].timestamp), (Offset(0), TimestampMs(1000)));
    assert_eq!((records[0].key, records[0].value), (Some(&b"k1"[..]), Some(&b"v1"[..])));
    let headers: Vec<_> = records[0].headers.collect();
    assert_eq!(headers, [(&b"h"[..], Some(&b"x"[..])), (&b"null"[..], None)]);
    assert_eq!((records[1].key, records[1].value), (None, Some(&[b'a'; 100][..])));
    assert_eq!((records[2].offset, records[2].timestamp), (Offset(2), TimestampMs(999)));
    assert_eq!((records[2].key, records[2].value), (Some(&b"k3"[..]), None));
    assert!(records[2].headers.is_empty());
    assert_eq!(records.iter().map(|record| record.bytes.len()).sum::<usize>(), bytes.len() - HEADER_LEN);
}

#[test]
fn what_java_compressed_opens_here() {
    let plain = unhex(JAVA_NONE);
    for (codec, text) in JAVA_COMPRESSED {
        let bytes = unhex(text);
        let header = verify(&bytes).unwrap();
        assert_eq!(header.attributes.compression(), Some(codec));
        assert_eq!(*records::open(&header, &bytes, LIMIT).unwrap(), plain[HEADER_LEN..], "{codec:?}");
    }
}

#[test]
fn what_we_compress_opens_here_and_has_javas_framing() {
    let plain = unhex(JAVA_NONE);
    for (codec, text) in JAVA_COMPRESSED {
        let java = unhex(text);
        let bytes = like_java().compressed(codec).build().unwrap();
        let header = verify(&bytes).unwrap();
        assert_eq!(*records::open(&header, &bytes, LIMIT).unwrap(), plain[HEADER_LEN..], "{codec:?}");
        // What tells the reader how to read: xerial's header, lz4's flags and header checksum, gzip's
        // and zstd's magic. What follows may differ between two correct compressors.
        let framing = match codec {
            Compression::Gzip => 4,
            Compression::Snappy => 16,
            Compression::Lz4 => 7,
            Compression::Zstd => 4,
        };
        let at = HEADER_LEN..HEADER_LEN + framing;
        assert_eq!(bytes[at.clone()], java[at], "{codec:?}");
        assert_eq!(header.crc, crc32c(&bytes[21..]));
    }
}

#[test]
fn under_log_append_time_every_record_has_the_batchs_time() {
    let bytes = lying(&unhex(JAVA_NONE), |header, _| {
        header.attributes.0 |= 0x08;
        header.max_timestamp = TimestampMs(5000);
    });
    let header = BatchHeader::parse(&bytes).unwrap();
    for record in Records::new(&header, &bytes[HEADER_LEN..]).unwrap() {
        assert_eq!(record.unwrap().timestamp, TimestampMs(5000));
    }
}

#[test]
fn transaction_markers_are_javas_and_are_read_back() {
    for (marker, java) in [(Marker::Commit, JAVA_COMMIT), (Marker::Abort, JAVA_ABORT)] {
        let ours = end_txn_marker(marker, ProducerId(7), ProducerEpoch(3), 9, TimestampMs(1234)).unwrap();
        assert_eq!(ours, unhex(java));
        let header = verify(&ours).unwrap();
        assert!(header.attributes.is_control() && header.attributes.is_transactional());
        let record = Records::new(&header, &ours[HEADER_LEN..]).unwrap().next().unwrap().unwrap();
        let read = EndTxn::parse(record.key, record.value).unwrap();
        assert_eq!(read, Some(EndTxn { marker, coordinator_epoch: 9 }));
    }
}

#[test]
fn a_leader_change_is_javas() {
    let ours =
        leader_change(Offset(100), LeaderEpoch(4), NodeId(1), &[NodeId(1), NodeId(2)], &[NodeId(2)], TimestampMs(1234));
    let ours = ours.unwrap();
    assert_eq!(ours, unhex(JAVA_LEADER));
    let record = Records::new(&verify(&ours).unwrap(), &ours[HEADER_LEN..]).unwrap().next().unwrap().unwrap();
    assert_eq!(ControlType::parse(record.key), Ok(ControlType::LeaderChange));
    assert_eq!(EndTxn::parse(record.key, record.value), Ok(None));
}

#[test]
fn a_control_record_without_a_type_is_refused_and_an_unknown_type_is_not() {
    for bad in [None, Some(&b""[..]), Some(b"\0\0\0"), Some(b"\xff\xff\0\0")] {
        assert!(ControlType::parse(bad).is_err(), "{bad:?}");
    }
    assert_eq!(ControlType::parse(Some(b"\0\x01\x01\0more")), Ok(ControlType::Unknown(256)));
    assert!(EndTxn::parse(Some(b"\0\0\0\0"), Some(b"\0\0\0\0\0")).is_err());
    assert!(EndTxn::parse(Some(b"\0\0\0\0"), None).is_err());
}

#[test]
fn a_batch_without_records_is_not_built() {
    assert!(BatchBuilder::new(Offset(0)).build().is_err());
}

#[test]
fn a_batch_takes_its_place_without_a_new_crc_and_shares_its_bytes() {
    let bytes = Bytes::from(unhex(JAVA_NONE));
    let mut batch = Batch::verify(bytes.clone()).unwrap();
    batch.assign(Offset(77), LeaderEpoch(8));
    assert_eq!((batch.header().base_offset, batch.header().leader_epoch), (Offset(77), LeaderEpoch(8)));
    let stored = batch.to_bytes();
    assert_eq!(batch.as_slices().concat(), stored);
    assert_eq!(verify(&stored).unwrap(), *batch.header());
    assert_eq!(stored.len(), batch.size());
    assert_eq!(batch.rest().as_ptr(), bytes[HEADER_LEN..].as_ptr(), "the records were copied");
}

#[test]
fn verifying_wants_exactly_one_batch_of_magic_2_with_its_crc() {
    let good = unhex(JAVA_NONE);
    let verified = |bytes: &[u8]| Batch::verify(Bytes::copy_from_slice(bytes)).map(|_| ());
    assert_eq!(verified(&good), Ok(()));
    assert_eq!(verified(&good[..good.len() - 1]), Err(BadBatch::Truncated));
    assert_eq!(verified(&[&good[..], b"x"].concat()), Err(BadBatch::Truncated));
    assert_eq!(verified(b""), Err(BadBatch::Truncated));
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        verified(&bytes).unwrap_err()
    };
    assert_eq!(changed(16, 1), BadBatch::Magic(1));
    assert_eq!(changed(11, 48), BadBatch::Length(48));
    assert!(matches!(changed(8, 0xff), BadBatch::Length(_)));
    assert!(matches!(changed(199, 9), BadBatch::Crc { .. }));
    assert_eq!(verified(&lying(&good, |header, _| header.attributes.0 = 6)), Err(BadBatch::Codec(6)));
}

#[test]
fn several_batches_are_told_apart_and_a_cut_one_ends_them() {
    let one = unhex(JAVA_NONE);
    let two = unhex(JAVA_LEADER);
    let bytes = [&one[..], &two, &one[..70]].concat();
    let found: Vec<_> = Batches::new(&bytes).map(|batch| batch.unwrap().1.to_vec()).collect();
    assert_eq!(found, [one.clone(), two]);
    let mut damaged = [&one[..], &one].concat();
    damaged[200 + 16] = 1;
    let found: Vec<_> = Batches::new(&damaged).map(|batch| batch.map(|(header, _)| header.crc)).collect();
    assert_eq!(found, [Ok(0x87c8_3e98), Err(BadBatch::Magic(1))]);
}
