use super::*;
use allocation_counter::measure;

/// Bytes that are still allocated when `fill` has run, for each of `n` offsets.
fn bytes_each(n: u64, fill: impl FnOnce(&mut Offsets)) -> u64 {
    let mut offsets = Offsets::default();
    let taken = measure(|| fill(&mut offsets));
    assert_eq!(offsets.committed.len() as u64, n);
    u64::try_from(taken.bytes_current).unwrap() / n
}

fn value() -> OffsetValue {
    match offset_record("g", "t", 0, 1) {
        Record::Offset { value: Some(value), .. } => OffsetValue { metadata: "0123456789".into(), ..value },
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_offset_takes_less_than_500_bytes_however_offsets_spread_over_groups_and_topics() {
    const N: usize = 20_000;
    // (groups, topics, partitions)
    for (groups, topics, partitions) in [(N, 1, 1), (1, N, 1), (1, 1, N), (N, N, 1), (N / 10, 10, 1), (200, 10, 10)] {
        let each = bytes_each(N as u64, |offsets| {
            for i in 0..N {
                let (group, topic) =
                    if groups == topics && groups > 1 { (i, i) } else { (i % groups, i / groups % topics) };
                // Group ids of 36 characters, as the JVM's clients make them; a topic has its own name.
                let group = GroupId::new(&format!("00000000-0000-0000-0000-{group:012}"));
                let topic = TopicName::new(&format!("a-topic-with-a-name-{topic:08}"));
                offsets.put(&group, &topic, PartitionId((i / groups / topics % partitions) as i32), value());
            }
        });
        println!("{groups} groups, {topics} topics, {partitions} partitions: {each} bytes an offset");
        assert!(each < 500, "{groups} groups, {topics} topics, {partitions} partitions: {each} bytes an offset");
    }
}

#[test]
fn what_is_removed_gives_its_memory_back() {
    let mut offsets = Offsets::default();
    let taken = measure(|| {
        for round in 0..20 {
            let name = |i: i32| (GroupId::new(&format!("g{round}-{i}")), TopicName::new(&format!("t{round}-{i}")));
            for i in 0..500 {
                let (group, topic) = name(i);
                offsets.put(&group, &topic, PartitionId(i), value());
            }
            for i in 0..500 {
                let (group, topic) = name(i);
                offsets.remove(&group, &topic, PartitionId(i));
            }
        }
    });
    check(&offsets);
    // The lists of free numbers stay, as large as they were once.
    assert!(taken.bytes_current < 64_000, "{}", taken.bytes_current);
}
