//! One test per rule of leading.

use super::super::{FollowerFetch, Leader, NO_LIMIT, Proposal, Verdict};
use super::{image, nodes};
use crate::model::{LeaderEpoch, NodeId, Offset};

const LAG_MAX: i64 = 1000;

/// Node 1 leads since time 0 from offset 100, with 2 and 3 as followers, as many in sync as said.
fn leading(isr: &[i32]) -> Leader {
    let mut leader = Leader::new(NodeId(1), &image(&[1, 2, 3], isr, 5, 10), 0);
    leader.set_eligible(|node| Some(i64::from(node.0) * 10));
    leader.begins_at(Offset(100));
    leader
}

fn fetch(from: i32, at: i64) -> FollowerFetch {
    let epoch = i64::from(from) * 10;
    FollowerFetch {
        from: NodeId(from),
        at: Offset(at),
        log_start: Offset(0),
        broker_epoch: epoch,
        eligible: Some(epoch),
    }
}

fn limit(leader: &Leader, log_end: i64, now: i64) -> Option<i64> {
    leader.limit(Offset(log_end), 1, now, LAG_MAX).map(|limit| limit.0)
}

fn members(proposal: &Proposal) -> Vec<i32> {
    proposal.isr.iter().map(|(node, _)| node.0).collect()
}

fn accepted(proposal: &Proposal) -> Verdict {
    Verdict::Is {
        leader_epoch: proposal.leader_epoch,
        partition_epoch: proposal.partition_epoch + 1,
        isr: proposal.isr.iter().map(|(node, _)| *node).collect(),
    }
}

#[test]
fn a_leader_without_followers_limits_nothing() {
    let leader = Leader::new(NodeId(1), &image(&[1], &[1], 0, 0), 0);
    assert_eq!(leader.limit(Offset(5), 3, 0, LAG_MAX), Some(NO_LIMIT), "whatever min.insync.replicas says");
}

#[test]
fn a_new_leader_commits_nothing_before_every_in_sync_follower_has_fetched() {
    let mut leader = leading(&[1, 2, 3]);
    assert_eq!(limit(&leader, 100, 0), Some(-1));
    leader.fetched(&fetch(2, 100), Offset(100), 1);
    assert_eq!(limit(&leader, 100, 1), Some(-1));
    leader.fetched(&fetch(3, 90), Offset(100), 1);
    assert_eq!(limit(&leader, 100, 1), Some(90));
}

#[test]
fn the_slowest_in_sync_follower_holds_the_high_watermark() {
    let mut leader = leading(&[1, 2, 3]);
    leader.fetched(&fetch(2, 120), Offset(150), 1);
    leader.fetched(&fetch(3, 110), Offset(150), 1);
    assert_eq!(limit(&leader, 150, 1), Some(110));
}

#[test]
fn a_follower_that_is_out_of_sync_and_behind_holds_nothing() {
    let mut leader = leading(&[1, 2]);
    leader.fetched(&fetch(2, 120), Offset(150), 1);
    leader.fetched(&fetch(3, 10), Offset(150), 1);
    assert_eq!(limit(&leader, 150, 1), Some(120));
}

#[test]
fn a_follower_that_has_caught_up_is_waited_for_so_that_it_can_join() {
    let mut leader = leading(&[1, 2]);
    leader.fetched(&fetch(2, 160), Offset(160), 1);
    leader.fetched(&fetch(3, 150), Offset(150), 1);
    assert_eq!(limit(&leader, 160, 1), Some(150));
    assert_eq!(limit(&leader, 160, 1 + LAG_MAX + 1), Some(160), "but not for ever");
    leader.set_eligible(|node| (node == NodeId(2)).then_some(20));
    assert_eq!(limit(&leader, 160, 1), Some(160), "nor if it may not join");
}

#[test]
fn kip_966_nothing_is_committed_while_too_few_are_in_sync() {
    let mut leader = leading(&[1]);
    assert_eq!(leader.limit(Offset(150), 2, 0, LAG_MAX), None);
    assert!(leader.is_under_min_isr(2));
    leader.fetched(&fetch(2, 150), Offset(150), 1);
    let proposal = leader.expansion(NodeId(2), Offset(100)).unwrap();
    assert_eq!(leader.limit(Offset(150), 2, 1, LAG_MAX), None, "a proposal is not a fact");
    assert!(!leader.is_maximally_under_min_isr(2));
    let verdict = accepted(&proposal);
    assert_eq!(leader.decided(proposal, verdict), None);
    assert_eq!(leader.limit(Offset(150), 2, 1, LAG_MAX), Some(Offset(150)));
}

#[test]
fn min_isr_is_never_more_than_there_are_replicas() {
    let leader = leading(&[1, 2, 3]);
    assert!(!leader.is_under_min_isr(5));
    assert!(leading(&[1, 2]).is_under_min_isr(5));
}

#[test]
fn a_follower_joins_when_it_has_what_is_committed_and_what_there_was_at_the_election() {
    let mut leader = leading(&[1, 2]);
    leader.fetched(&fetch(3, 99), Offset(150), 1);
    assert_eq!(leader.expansion(NodeId(3), Offset(50)), None, "the epoch began at 100");
    leader.fetched(&fetch(3, 120), Offset(150), 2);
    assert_eq!(leader.expansion(NodeId(3), Offset(121)), None, "121 are committed");
    let proposal = leader.expansion(NodeId(3), Offset(120)).unwrap();
    assert_eq!(proposal.isr, [(NodeId(1), -1), (NodeId(2), -1), (NodeId(3), 30)]);
    assert_eq!((proposal.leader_epoch, proposal.partition_epoch), (LeaderEpoch(5), 10));
}

#[test]
fn kip_841_who_is_fenced_or_about_to_go_does_not_join() {
    let mut leader = leading(&[1, 2]);
    leader.fetched(&FollowerFetch { eligible: None, ..fetch(3, 150) }, Offset(150), 1);
    assert_eq!(leader.expansion(NodeId(3), Offset(0)), None);
}

#[test]
fn kip_903_an_earlier_life_of_a_follower_is_not_counted() {
    let mut leader = leading(&[1, 2]);
    let reborn = FollowerFetch { broker_epoch: 31, eligible: Some(31), ..fetch(3, 5) };
    assert_eq!(leader.fetched(&reborn, Offset(150), 1), Some(true));
    assert_eq!(leader.fetched(&fetch(3, 150), Offset(150), 2), None);
    assert_eq!(leader.expansion(NodeId(3), Offset(0)), None);
}

#[test]
fn kip_903_a_life_that_the_metadata_does_not_know_yet_does_not_join() {
    let mut leader = leading(&[1, 2]);
    leader.fetched(&FollowerFetch { broker_epoch: 31, eligible: Some(30), ..fetch(3, 150) }, Offset(150), 1);
    assert_eq!(leader.expansion(NodeId(3), Offset(0)), None);
}

#[test]
fn a_fetch_of_one_that_is_no_replica_counts_for_nothing() {
    assert_eq!(leading(&[1, 2]).fetched(&fetch(9, 150), Offset(150), 1), None);
}

#[test]
fn whoever_is_behind_for_too_long_is_to_leave() {
    let mut leader = leading(&[1, 2, 3]);
    leader.fetched(&fetch(2, 150), Offset(150), 500);
    leader.fetched(&fetch(3, 10), Offset(150), 500);
    assert_eq!(leader.shrinking(Offset(150), LAG_MAX, LAG_MAX), None);
    let proposal = leader.shrinking(Offset(150), LAG_MAX + 1, LAG_MAX).unwrap();
    assert_eq!(members(&proposal), [1, 2]);
}

#[test]
fn whoever_has_everything_stays_however_long_ago_it_fetched() {
    let mut leader = leading(&[1, 2]);
    leader.fetched(&fetch(2, 150), Offset(150), 1);
    assert_eq!(leader.shrinking(Offset(150), 1_000_000, LAG_MAX), None);
}

#[test]
fn a_follower_that_keeps_reaching_where_the_log_ended_a_fetch_ago_is_in_sync() {
    let mut leader = leading(&[1, 2]);
    for step in 1..100 {
        // A hundred records behind, always, and never a lag in time.
        leader.fetched(&fetch(2, 100 + 100 * (step - 1)), Offset(100 + 100 * step), step * 900);
        assert_eq!(leader.shrinking(Offset(100 + 100 * step), step * 900, LAG_MAX), None);
    }
}

#[test]
fn until_the_controller_has_answered_both_sides_of_a_change_count() {
    let mut leader = leading(&[1, 2]);
    leader.fetched(&fetch(2, 140), Offset(150), 1);
    leader.fetched(&fetch(3, 130), Offset(150), 1);
    assert_eq!(limit(&leader, 150, 1), Some(140));
    leader.expansion(NodeId(3), Offset(130)).unwrap();
    assert_eq!(limit(&leader, 150, 1), Some(130), "who may have joined");
    let mut leader = leading(&[1, 2, 3]);
    leader.fetched(&fetch(2, 150), Offset(150), 2000);
    leader.fetched(&fetch(3, 10), Offset(150), 1);
    leader.shrinking(Offset(150), 2000, LAG_MAX).unwrap();
    assert_eq!(limit(&leader, 150, 2000), Some(10), "who may still be in");
}

#[test]
fn one_change_is_proposed_at_a_time() {
    let mut leader = leading(&[1]);
    leader.fetched(&fetch(2, 150), Offset(150), 1);
    leader.fetched(&fetch(3, 150), Offset(150), 1);
    assert!(leader.expansion(NodeId(2), Offset(0)).is_some());
    assert_eq!(leader.expansion(NodeId(3), Offset(0)), None);
    assert_eq!(leader.shrinking(Offset(200), 1_000_000, LAG_MAX), None);
}

#[test]
fn what_the_controller_surely_refused_may_be_proposed_anew() {
    let mut leader = leading(&[1, 2]);
    leader.fetched(&fetch(3, 150), Offset(150), 1);
    let proposal = leader.expansion(NodeId(3), Offset(0)).unwrap();
    assert_eq!(leader.decided(proposal, Verdict::Refused), None);
    assert!(leader.expansion(NodeId(3), Offset(0)).is_some());
}

#[test]
fn what_may_have_happened_counts_until_the_metadata_says() {
    let mut leader = leading(&[1, 2]);
    leader.fetched(&fetch(2, 150), Offset(150), 1);
    leader.fetched(&fetch(3, 130), Offset(150), 1);
    let proposal = leader.expansion(NodeId(3), Offset(0)).unwrap();
    assert_eq!(leader.decided(proposal.clone(), Verdict::Unknown), None);
    assert_eq!(leader.decided(proposal.clone(), Verdict::Retry), Some(proposal), "sent again as it was");
    assert_eq!(limit(&leader, 150, 5000), Some(130));
    assert!(leader.update(&image(&[1, 2, 3], &[1, 2], 5, 11), Some(Offset(150)), 5000));
    assert_eq!(leader.proposed(), None);
    assert_eq!(limit(&leader, 150, 5000), Some(150));
}

#[test]
fn an_answer_to_an_older_proposal_changes_nothing() {
    let mut leader = leading(&[1, 2]);
    leader.fetched(&fetch(3, 150), Offset(150), 1);
    let old = leader.expansion(NodeId(3), Offset(0)).unwrap();
    leader.update(&image(&[1, 2, 3], &[1], 5, 11), Some(Offset(150)), 2);
    let verdict = accepted(&old);
    leader.decided(old, verdict);
    assert_eq!(leader.isr(), &nodes(&[1]));
}

#[test]
fn older_metadata_than_the_controllers_answer_is_passed_over() {
    let mut leader = leading(&[1, 2]);
    leader.fetched(&fetch(3, 150), Offset(150), 1);
    let proposal = leader.expansion(NodeId(3), Offset(0)).unwrap();
    let verdict = accepted(&proposal);
    leader.decided(proposal, verdict);
    assert!(!leader.update(&image(&[1, 2, 3], &[1, 2], 5, 10), Some(Offset(150)), 2));
    assert_eq!(leader.isr(), &nodes(&[1, 2, 3]));
    assert!(leader.update(&image(&[1, 2, 3], &[1, 2, 3], 5, 11), Some(Offset(150)), 2));
}

#[test]
fn a_leader_elected_again_begins_a_new_epoch_at_its_log_end() {
    let mut leader = leading(&[1, 2]);
    assert_eq!(leader.epoch_start(), Some(Offset(100)));
    leader.update(&image(&[1, 2, 3], &[1, 2], 6, 11), Some(Offset(150)), 2);
    assert_eq!((leader.epoch(), leader.epoch_start()), (LeaderEpoch(6), Some(Offset(150))));
}

#[test]
fn kip_392_a_consumer_is_sent_to_the_in_sync_replica_in_its_rack_that_has_most() {
    let mut leader = leading(&[1, 2, 3]);
    leader.fetched(&fetch(2, 140), Offset(150), 1);
    leader.fetched(&fetch(3, 130), Offset(150), 1);
    assert_eq!(leader.nearest(Offset(100), |_| true), Some(NodeId(2)));
    assert_eq!(leader.nearest(Offset(100), |node| node == NodeId(3)), Some(NodeId(3)));
    assert_eq!(leader.nearest(Offset(135), |node| node == NodeId(3)), None, "it does not have that yet");
    leader.update(&image(&[1, 2, 3], &[1, 3], 5, 11), Some(Offset(150)), 2);
    assert_eq!(leader.nearest(Offset(100), |_| true), Some(NodeId(3)), "only who is in sync");
}

#[test]
fn the_low_watermark_is_the_lowest_start_of_the_replicas_that_live() {
    let mut leader = leading(&[1, 2, 3]);
    leader.fetched(&FollowerFetch { log_start: Offset(20), ..fetch(2, 140) }, Offset(150), 1);
    leader.fetched(&FollowerFetch { log_start: Offset(10), ..fetch(3, 140) }, Offset(150), 1);
    assert_eq!(leader.low_watermark(Offset(30), |_| true), Offset(10));
    assert_eq!(leader.low_watermark(Offset(30), |node| node == NodeId(2)), Offset(20));
    assert_eq!(leader.low_watermark(Offset(5), |_| true), Offset(5));
}

#[test]
fn a_replica_that_was_added_has_to_fetch_before_it_counts() {
    let mut leader = leading(&[1, 2, 3]);
    leader.fetched(&fetch(2, 150), Offset(150), 1);
    leader.fetched(&fetch(3, 150), Offset(150), 1);
    leader.update(&image(&[1, 2, 4], &[1, 2], 5, 11), Some(Offset(150)), 2);
    assert!(leader.knows(NodeId(4)) && !leader.knows(NodeId(3)));
    assert_eq!(limit(&leader, 150, 2), Some(150));
}
