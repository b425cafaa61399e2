//! What becomes of records.

use super::*;

#[test]
fn of_the_records_of_a_key_only_the_last_stays_with_its_offset() {
    let rig = Rig::new();
    for (key, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("b", "2")] {
        rig.put(key, Some(value));
    }
    rig.roll();
    rig.roll();
    let cleaned = rig.clean().unwrap();
    assert_eq!(rig.shown(), ["2:a=2", "3:c=1", "4:b=2"]);
    assert_eq!((cleaned.first, cleaned.to.0), (Offset(0), 6));
    assert_eq!(rig.log.lock().cleaned_to(), Some(Offset(6)));
    assert!(rig.clean().is_none(), "there was something left to clean");
}

#[test]
fn a_record_of_the_active_segment_supersedes_nothing_yet() {
    let rig = Rig::new();
    rig.put("a", Some("1"));
    rig.roll();
    rig.put("a", Some("2"));
    assert_eq!(rig.clean().unwrap().to, Offset(1));
    assert_eq!(rig.shown(), ["0:a=1", "2:a=2"]);
}

#[test]
fn what_is_new_supersedes_what_was_cleaned_before() {
    let rig = Rig::new();
    rig.put("a", Some("1"));
    rig.put("b", Some("1"));
    rig.roll();
    rig.roll();
    rig.clean().unwrap();
    rig.put("a", Some("2"));
    rig.roll();
    rig.roll();
    let cleaned = rig.clean().unwrap();
    assert_eq!(rig.shown(), ["1:b=1", "4:a=2"]);
    assert_eq!(cleaned.first, Offset(3));
}

#[test]
fn a_batch_loses_records_and_keeps_its_offsets_and_its_codec() {
    let rig = Rig::new();
    let records = [("a", Some("1")), ("b", Some("1")), ("a", Some("2")), ("c", Some("1"))];
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        rig.append(build(BatchBuilder::new(Offset(0)).compressed(codec), &records, NOW));
    }
    rig.put("c", Some("2"));
    rig.roll();
    rig.roll();
    rig.clean().unwrap();
    assert_eq!(rig.shown(), ["13:b=1", "14:a=2", "16:c=2"]);
    let header = rig.batches().iter().map(|(header, _)| *header).find(|header| header.record_count > 0).unwrap();
    assert_eq!((header.base_offset, header.last_offset()), (Offset(12), Offset(15)));
    assert_eq!(header.attributes.compression(), Some(Compression::Zstd));
}

#[test]
fn a_batch_that_loses_nothing_is_copied_byte_by_byte() {
    let rig = Rig::new();
    rig.append(build(BatchBuilder::new(Offset(0)).compressed(Compression::Gzip), &[("a", Some("1"))], NOW));
    rig.put("b", Some("1"));
    rig.put("b", Some("2"));
    rig.roll();
    rig.roll();
    let before = rig.batches();
    rig.clean().unwrap();
    let after = rig.batches();
    assert_eq!(after[0], before[0]);
    assert_eq!(after[1], before[2]);
}

#[test]
fn a_deletion_goes_when_its_time_has_passed_and_not_before() {
    let mut rig = Rig::new();
    rig.put("a", Some("1"));
    rig.put("a", None);
    rig.put("b", Some("1"));
    let again = |rig: &mut Rig, ms| {
        rig.now = NOW.plus(ms);
        rig.roll();
        rig.roll();
        rig.clean().unwrap();
        rig.shown()
    };
    assert_eq!(again(&mut rig, 0), ["1:a=-", "2:b=1"]);
    assert_eq!(rig.batches()[0].0.delete_horizon(), Some(NOW.plus(1000)));
    assert_eq!(rig.rows()[0].timestamp, NOW.0, "the time of a record has changed");
    assert_eq!(again(&mut rig, 999), ["1:a=-", "2:b=1"]);
    assert_eq!(again(&mut rig, 1000), ["2:b=1"]);
}

#[test]
fn a_value_after_a_deletion_stays() {
    let mut rig = Rig::new();
    rig.put("a", None);
    rig.put("a", Some("2"));
    for _ in 0..3 {
        rig.roll();
        rig.roll();
        rig.clean().unwrap();
        assert_eq!(rig.shown(), ["1:a=2"]);
        rig.now = rig.now.plus(5000);
    }
}

#[test]
fn records_without_a_key_go() {
    let rig = Rig::new();
    let mut builder = BatchBuilder::new(Offset(0));
    builder.push(NOW, None, Some(b"nothing"), &[]);
    builder.push(NOW, Some(b"a"), Some(b"1"), &[]);
    rig.append(Batch::verify(builder.build().unwrap()).unwrap());
    rig.roll();
    rig.roll();
    assert_eq!(rig.clean().unwrap().keyless_records, 1);
    assert_eq!(rig.shown(), ["1:a=1"]);
}

#[test]
fn the_time_that_a_broker_gave_stays() {
    let rig =
        Rig::with(TopicConfig { timestamp_type: crate::config::topic::TimestampType::LogAppendTime, ..compacted() });
    let validated = |records: &[(&str, Option<&str>)]| {
        let bytes = batch(records, TimestampMs(5)).to_bytes();
        let partition = TopicPartition::new("t".into(), PartitionId(0));
        let rules = crate::record::Rules {
            partition: &partition,
            config: &rig.config,
            now: NOW,
            decompressed_bytes_max: 1 << 20,
        };
        crate::record::validate(bytes, &rules).unwrap()
    };
    rig.append(validated(&[("a", Some("1")), ("b", None), ("c", Some("1"))]));
    rig.append(validated(&[("a", Some("2"))]));
    rig.roll();
    rig.roll();
    rig.clean().unwrap();
    assert_eq!(rig.shown(), ["1:b=-", "2:c=1", "3:a=2"]);
    assert!(rig.rows()[..3].iter().all(|row| row.timestamp == NOW.0));
}

#[test]
fn keys_that_do_not_fit_are_cleaned_the_next_time() {
    let mut rig = Rig::new();
    rig.means.map_bytes = 12 * 4;
    for round in 0..3 {
        for key in ["a", "b", "c", "d", "e", "f", "g"] {
            rig.put(key, Some(&round.to_string()));
        }
    }
    rig.roll();
    rig.roll();
    let mut passes = 0;
    while rig.clean().is_some() {
        passes += 1;
    }
    assert!(passes > 2, "all fitted at once");
    // What a pass has no memory for stays for another one: nothing that is last has gone.
    let shown = rig.shown();
    for last in ["14:a=2", "15:b=2", "16:c=2", "17:d=2", "18:e=2", "19:f=2", "20:g=2"] {
        assert!(shown.contains(&last.to_owned()), "{last} is not in {shown:?}");
    }
    assert_eq!(shown.len(), 7);
}

#[test]
fn the_last_offset_that_was_cleaned_is_not_forgotten() {
    let rig = Rig::new();
    rig.put("a", Some("1"));
    rig.roll();
    rig.put("b", Some("1"));
    rig.append(batch(&[("a", Some("2"))], NOW));
    let mut builder = BatchBuilder::new(Offset(0));
    builder.push(NOW, None, Some(b"nothing"), &[]);
    rig.append(Batch::verify(builder.build().unwrap()).unwrap());
    rig.roll();
    let last = rig.log.lock().log_end().0 - 2;
    rig.clean().unwrap();
    let end = rig.batches().iter().find(|(header, _)| header.last_offset().0 == last).map(|(header, _)| *header);
    assert_eq!(end.map(|header| header.record_count), Some(0), "an empty batch says where the segment ended");
}
