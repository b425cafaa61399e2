//! Where a follower cuts its log (KIP-101, KIP-279; Kafka's `OffsetsForLeaderEpoch` truncation).

use crate::model::{LeaderEpoch, Offset};
use crate::storage::EpochEnd;

/// The end of what a follower may share with its leader.
///
/// `leader` is the largest epoch, up to the follower's last, that the leader knows, and where it ended there. `own` is the
/// same question put to the follower's log: the largest epoch up to `leader.epoch` that it knows, and its end. `end` is
/// where the follower's log ends. If the epochs differ, the follower has records of an epoch that the leader never saw
/// next to one that both know; it cuts to the end of the older one and asks again.
#[must_use]
pub fn truncation(leader: EpochEnd, own: Option<EpochEnd>, end: Offset) -> Offset {
    match own {
        Some(own) if leader.epoch == LeaderEpoch::NONE || own.epoch == leader.epoch => own.end.min(leader.end).min(end),
        Some(own) => own.end.min(end),
        None => leader.end.min(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(epoch: i32, end: i64) -> EpochEnd {
        EpochEnd { epoch: LeaderEpoch(epoch), end: Offset(end) }
    }

    #[test]
    fn kip_101_records_that_only_the_old_leader_had_are_cut_at_the_end_of_its_epoch_on_the_new_one() {
        // The follower wrote up to 20 in epoch 1; the leader's epoch 1 ended at 15.
        assert_eq!(truncation(end(1, 15), Some(end(1, 20)), Offset(20)), Offset(15));
    }

    #[test]
    fn kip_101_a_follower_that_has_less_than_the_leader_cuts_nothing() {
        assert_eq!(truncation(end(1, 30), Some(end(1, 20)), Offset(20)), Offset(20));
    }

    #[test]
    fn kip_279_an_epoch_that_the_follower_does_not_know_sends_it_back_to_the_end_of_the_one_before() {
        // The follower has epochs 1 (to 10) and 3; the leader's largest up to 3 is 2, to 25. Nothing above 10 is shared.
        assert_eq!(truncation(end(2, 25), Some(end(1, 10)), Offset(40)), Offset(10));
    }

    #[test]
    fn a_follower_without_epochs_goes_to_where_the_leaders_ended() {
        assert_eq!(truncation(end(2, 25), None, Offset(40)), Offset(25));
        assert_eq!(truncation(end(2, 25), None, Offset(5)), Offset(5));
    }
}
