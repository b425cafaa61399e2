//! Transactions whose records are a shard's, and what a machine leaves to others.

use super::*;
use crate::partition::{Acks, First, Outcome, TransactionEnd, Verified};

const PRODUCER: (ProducerId, ProducerEpoch) = (ProducerId(7), ProducerEpoch(1));

fn end(commit: bool, coordinator_epoch: i32) -> TransactionEnd {
    TransactionEnd { producer: PRODUCER, commit, coordinator_epoch, version: 0 }
}

impl Rig {
    async fn put_within(&self, key: &'static str, verified: Verified<'_>) -> Result<Told, ErrorCode> {
        let ask = Ask::PutWithin(PRODUCER, key, "x");
        within(self.runtime.ask_within(P0, ask, Some((PRODUCER, verified)))).await
    }

    async fn put_verified(&self, key: &'static str) {
        let verification = self.partition(P0).begin_verification(PRODUCER, None).unwrap();
        let verified = verification.as_ref().map_or(Verified::No, Verified::Yes);
        self.put_within(key, verified).await.unwrap();
    }

    async fn end(&self, end: TransactionEnd) -> Result<(), ErrorCode> {
        within(self.runtime.end_transaction(P0, &end)).await
    }

    fn lives(&self) -> i64 {
        self.made.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_machine_leaves_to_others_is_done_once_its_records_are_committed() {
    let rig = Rig::start(&SimFs::new()).await;
    let syncs = rig.hold_syncs();
    let asked = rig.later(P0, Ask::Task("dishes"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(rig.runtime.host().tasks.lock().is_empty(), "done before the record was on disk");
    drop(syncs);
    within(asked).await.unwrap().unwrap();
    within(async {
        while *rig.runtime.host().tasks.lock() != ["dishes"] {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_transaction_comes_to_the_machine_and_to_the_log() {
    let fs = SimFs::new();
    let rig = Rig::start(&fs).await;
    rig.put_verified("a").await;
    assert_eq!(rig.ask(P0, Ask::All).await, told(&[]));
    rig.end(end(true, 3)).await.unwrap();
    rig.put_verified("b").await;
    rig.end(end(false, 3)).await.unwrap();
    let all = told(&["a=x"]);
    assert_eq!(rig.ask(P0, Ask::All).await, all);
    fs.crash_losing_all();
    drop(rig);
    let rig = Rig::start(&fs).await;
    assert_eq!(rig.ask(P0, Ask::All).await, all);
    assert_eq!(rig.ask(P0, Ask::Ended).await, told(&["7:true", "7:false"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_from_the_past_is_refused_and_the_shard_lives_on() {
    let rig = Rig::start(&SimFs::new()).await;
    let lives = rig.lives();
    rig.put_verified("a").await;
    rig.end(end(true, 3)).await.unwrap();
    rig.put_verified("b").await;
    assert_eq!(rig.end(end(true, 2)).await, Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED));
    let older = TransactionEnd { producer: (PRODUCER.0, ProducerEpoch(0)), ..end(true, 3) };
    assert_eq!(rig.end(older).await, Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!((rig.ask(P0, Ask::All).await, rig.lives()), (told(&["a=x"]), lives));
    rig.end(end(true, 3)).await.unwrap();
    assert_eq!(rig.ask(P0, Ask::All).await, told(&["a=x", "b=x"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_nobody_vouches_for_writes_nothing() {
    let rig = Rig::start(&SimFs::new()).await;
    let lives = rig.lives();
    assert_eq!(rig.put_within("a", Verified::No).await, Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(rig.batches(P0), []);
    rig.put_verified("a").await;
    // It is open there: its coordinator is not asked again.
    assert!(rig.partition(P0).begin_verification(PRODUCER, None).unwrap().is_none());
    rig.put_within("b", Verified::No).await.unwrap();
    rig.end(end(true, 0)).await.unwrap();
    assert_eq!(rig.put_within("c", Verified::No).await, Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(rig.ask(P0, Ask::All).await, told(&["a=x", "b=x"]));
    // Where nobody is to be asked, nobody is.
    rig.put_within("c", Verified::NotNeeded).await.unwrap();
    assert_eq!(rig.lives(), lives);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_ended_while_its_coordinator_was_asked_does_not_begin() {
    let rig = Rig::start(&SimFs::new()).await;
    let verification = rig.partition(P0).begin_verification(PRODUCER, None).unwrap().unwrap();
    rig.end(end(false, 0)).await.unwrap();
    assert_eq!(rig.put_within("a", Verified::Yes(&verification)).await, Err(ErrorCode::INVALID_TXN_STATE));
    // Asked again, it may: this is the next transaction.
    rig.put_verified("a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_verification_given_up_does_not_void_another() {
    let rig = Rig::start(&SimFs::new()).await;
    let first = rig.partition(P0).begin_verification(PRODUCER, None).unwrap();
    let second = rig.partition(P0).begin_verification(PRODUCER, None).unwrap().unwrap();
    drop(first);
    rig.put_within("a", Verified::Yes(&second)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_instance_of_a_producer_is_told_so() {
    let rig = Rig::start(&SimFs::new()).await;
    rig.put_verified("a").await;
    let older = (PRODUCER.0, ProducerEpoch(0));
    let begun = rig.partition(P0).begin_verification(older, None).map(|_| ());
    assert_eq!(begun, Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    let ask = Ask::PutWithin(older, "b", "x");
    let put = within(rig.runtime.ask_within(P0, ask, Some((older, Verified::NotNeeded)))).await;
    assert_eq!(put, Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(rig.ask(P0, Ask::All).await, told(&[]));
}

fn batch(sequence: i32) -> Batch {
    let (id, epoch) = PRODUCER;
    let mut batch = BatchBuilder::new(Offset(0)).producer(id, epoch, Sequence(sequence)).transactional();
    batch.push(TimestampMs(1), None, Some(b"x"), &[]);
    Batch::verify(batch.build().unwrap()).unwrap()
}

/// Appends the batch with this sequence as a producer of the first protocol does; `answers`: the coordinator does.
fn produce(rig: &Rig, sequence: i32, answers: bool) -> Result<(), ErrorCode> {
    let partition = rig.partition(P0);
    let first = First { sequence: Sequence(sequence), bumps: false };
    let verification = partition.begin_verification(PRODUCER, Some(first))?;
    let verified = match &verification {
        Some(verification) if answers => Verified::Yes(verification),
        _ => Verified::No,
    };
    match partition.append_transactional(&mut batch(sequence), verified, false, Acks::Leader, TimestampMs(1)) {
        Outcome::Failed { error, .. } => Err(error),
        Outcome::Done(_) | Outcome::Waits(..) => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_not_appended_before_one_whose_verification_failed() {
    let rig = Rig::start(&SimFs::new()).await;
    assert_eq!(produce(&rig, 0, false), Err(ErrorCode::INVALID_TXN_STATE));
    // Nothing is known of the producer, so that without the first one any sequence could begin.
    assert_eq!(produce(&rig, 1, true), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert_eq!(produce(&rig, 0, true), Ok(()));
    assert_eq!(produce(&rig, 1, true), Ok(()));
    // It is not remembered beyond that, nor beyond the end of the transaction.
    rig.partition(P0).append_end(&end(true, 0), TimestampMs(1)).unwrap();
    assert_eq!(produce(&rig, 2, false), Err(ErrorCode::INVALID_TXN_STATE));
    rig.partition(P0).append_end(&end(false, 0), TimestampMs(1)).unwrap();
    assert_eq!(produce(&rig, 2, true), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_begins_no_transaction_and_is_remembered_as_what_wanted_to() {
    let rig = Rig::start(&SimFs::new()).await;
    assert_eq!(produce(&rig, 0, true), Ok(()));
    rig.partition(P0).append_end(&end(true, 0), TimestampMs(1)).unwrap();
    assert_eq!(produce(&rig, 0, true), Ok(()));
    assert_eq!(produce(&rig, 1, true), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    rig.partition(P0).append_end(&end(false, 0), TimestampMs(1)).unwrap();
    assert_eq!(produce(&rig, 1, true), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_wanted_to_begin_before_another_led_is_no_bar_to_what_follows_it() {
    let mut rig = Rig::start(&SimFs::new()).await;
    assert_eq!(produce(&rig, 0, false), Err(ErrorCode::INVALID_TXN_STATE));
    // The other leader took the first one, and the end of its transaction.
    rig.change(vec![led(P0, 2, 1)]);
    rig.change(vec![led(P0, 1, 2)]);
    assert_eq!(produce(&rig, 1, true), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_from_before_another_led_is_void() {
    let mut rig = Rig::start(&SimFs::new()).await;
    let partition = rig.partition(P0);
    let first = First { sequence: Sequence(0), bumps: false };
    let verification = partition.begin_verification(PRODUCER, Some(first)).unwrap().unwrap();
    let append = |partition: &Arc<Partition>| {
        let verified = Verified::Yes(&verification);
        partition.append_transactional(&mut batch(0), verified, false, Acks::Leader, TimestampMs(1))
    };
    // The other leader may have written the end of the transaction.
    rig.change(vec![led(P0, 2, 1)]);
    let appended = append(&partition);
    assert!(matches!(appended, Outcome::Failed { error: ErrorCode::NOT_LEADER_OR_FOLLOWER, .. }), "{appended:?}");
    rig.change(vec![led(P0, 1, 2)]);
    let appended = append(&partition);
    assert!(matches!(appended, Outcome::Failed { error: ErrorCode::INVALID_TXN_STATE, .. }), "{appended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_lead_verifies_nothing_and_remembers_nothing_of_it() {
    let mut rig = Rig::start(&SimFs::new()).await;
    rig.change(vec![led(P0, 2, 1)]);
    assert_eq!(produce(&rig, 0, true), Err(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    rig.change(vec![led(P0, 1, 2)]);
    assert_eq!(produce(&rig, 1, true), Ok(()));
}
