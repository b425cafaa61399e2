//! Snapshots of what is old, and the end of what the log need not keep.

use super::*;

impl Rig {
    /// Lets time pass up to this; what was done at each deadline on the way.
    fn pass(&mut self, until: i64) -> (Vec<Record>, Vec<Task>) {
        let (mut written, mut then) = (Vec::new(), Vec::new());
        while let Some(due) = self.machine.next_deadline().filter(|due| due.0 <= until) {
            self.env.now = due;
            self.step(Input::Tick);
            written.append(&mut self.written);
            then.append(&mut self.then);
        }
        self.env.now = TimestampMs(until);
        (written, then)
    }
}

#[test]
fn a_partition_without_a_snapshot_for_long_gets_one() {
    let mut rig = Rig::new();
    rig.initialize(0, 1, Some(10)).unwrap();
    rig.env.now = TimestampMs(1100);
    rig.initialize(1, 1, Some(20)).unwrap();
    rig.env.now = TimestampMs(1300);
    rig.write(ShareWrite { batches: vec![batch(10, 12, Acknowledged, 1)], ..write() }).unwrap();
    let (written, _) = rig.pass(1500);
    let again =
        Snapshot { written: TimestampMs(1500), batches: vec![batch(10, 12, Acknowledged, 1)], ..snapshot(1, Some(10)) };
    // The second is younger than the interval.
    assert_eq!(written, [Record::Snapshot(key(0), Some(again))]);
}

#[test]
fn where_nothing_goes_on_nothing_is_written() {
    let mut rig = Rig::new();
    assert_eq!(rig.pass(3000).0, []);
    rig.initialize(0, 1, Some(10)).unwrap();
    assert_eq!(rig.pass(4000).0.len(), 1);
    assert_eq!(rig.pass(9000).0, []);
    // A partition that is alive has the others written again.
    rig.initialize(1, 1, Some(10)).unwrap();
    let written = rig.pass(9500).0;
    assert!(matches!(&written[..], [Record::Snapshot(at, Some(_)), ..] if *at == key(0)), "{written:?}");
}

#[test]
fn the_log_goes_up_to_the_first_snapshot_that_counts() {
    let mut rig = Rig::new();
    assert_eq!(rig.pass(1400).1, []);
    // Offset 0 and 1; nothing lies before.
    rig.initialize(0, 1, Some(10)).unwrap();
    rig.initialize(1, 1, Some(10)).unwrap();
    rig.env.snapshot_every_ms = 1_000_000;
    assert_eq!(rig.pass(1800).1, []);
    rig.initialize(0, 1, Some(10)).unwrap();
    assert_eq!(rig.pass(2200).1, [Task::Prune(Offset(1))]);
    // Updates do not count: they need their snapshot.
    rig.write(write()).unwrap();
    rig.initialize(1, 1, Some(10)).unwrap();
    assert_eq!(rig.pass(2600).1, [Task::Prune(Offset(2))]);
    let machine = rig.reloaded(2);
    assert_eq!(machine.all, rig.machine.all);
}

#[test]
fn of_what_is_forgotten_only_the_tombstone_stays() {
    let mut rig = Rig::new();
    rig.env.snapshot_every_ms = 1_000_000;
    rig.initialize(0, 1, Some(10)).unwrap();
    rig.write(write()).unwrap();
    rig.ask(Request::Delete(key(0)));
    assert_eq!(rig.pass(1800).1.last(), Some(&Task::Prune(Offset(2))));
}

#[test]
fn a_cluster_without_share_groups_has_nothing_to_do_until_it_has_them() {
    let mut rig = Rig::new();
    let with = |level: i16| {
        let mut image = image();
        image.features.insert("share.version".into(), level);
        Arc::new(image)
    };
    rig.env.image = with(0);
    assert_eq!(rig.pass(1400), (vec![], vec![]));
    assert_eq!(rig.machine.next_deadline(), None);
    rig.step(Input::Changed(Arc::default()));
    assert_eq!(rig.machine.next_deadline(), None);
    rig.env.image = with(1);
    rig.step(Input::Changed(Arc::default()));
    assert_eq!(rig.machine.next_deadline(), Some(TimestampMs(1800)));
}
