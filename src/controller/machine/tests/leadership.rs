use super::*;
use crate::controller::machine::heartbeats::expire;
use crate::controller::machine::leadership::{balance, elect, elect_unclean};

/// Three brokers, one partition on all of them, and those of `gone` fenced one after the other.
fn image(gone: &[i32]) -> Image {
    let image = with_topic(&cluster(vec![broker(0), broker(1), broker(2)]), "a", &[&[0, 1, 2]]);
    fenced(image, gone)
}

fn fenced(image: Image, gone: &[i32]) -> Image {
    gone.iter().fold(image, |image, id| after(&image, expire(NodeId(*id), &view(&image)).records))
}

fn unfenced(image: &Image, id: i32) -> Image {
    after(image, vec![Record::UnfenceBroker { broker: NodeId(id), epoch: i64::from(id) + 100 }])
}

fn ask(image: &Image, election: ElectionType) -> (Result<(), ApiError>, Vec<Record>) {
    let partitions = Some(vec![("a".to_owned(), vec![PartitionId(0)])]);
    let decided = elect(&ElectLeaders { election, partitions }, &view(image));
    (decided.answer[0].1[0].1.clone(), decided.records)
}

#[test]
fn whoever_leaves_an_isr_below_its_minimum_stays_eligible() {
    let image = with_config(&image(&[]), "min.insync.replicas", "2");
    let one = partition(&fenced(image.clone(), &[0]), 0);
    assert_eq!((one.leader, &one.isr[..], &one.elr[..]), (Some(NodeId(1)), &nodes(&[1, 2])[..], &[][..]));
    let two = partition(&fenced(image.clone(), &[0, 1]), 0);
    assert_eq!((two.leader, &two.isr[..], &two.elr[..]), (Some(NodeId(2)), &nodes(&[2])[..], &nodes(&[1])[..]));
    let all = partition(&fenced(image, &[0, 1, 2]), 0);
    assert_eq!((all.leader, &all.isr[..], &all.elr[..]), (None, &[][..], &nodes(&[1, 2])[..]));
    assert_eq!(all.last_known_elr[..], nodes(&[2])[..]);
}

#[test]
fn without_eligible_replicas_the_last_of_the_isr_stays_in_it() {
    let gone = partition(&fenced(without_elr(&image(&[])), &[0, 1, 2]), 0);
    assert_eq!((gone.leader, &gone.isr[..], &gone.elr[..]), (None, &nodes(&[2])[..], &[][..]));
}

#[test]
fn nobody_outside_the_isr_is_elected_unless_the_topic_allows_it() {
    let strict = without_elr(&image(&[]));
    let gone = fenced(strict.clone(), &[0, 1, 2]);
    assert_eq!(elect_unclean(&view(&unfenced(&gone, 0))), vec![]);

    let lenient = with_config(&gone, "unclean.leader.election.enable", "true");
    let records = elect_unclean(&view(&unfenced(&lenient, 0)));
    let mut expected = change(0);
    expected.leader = Some(Some(NodeId(0)));
    expected.isr = Some(nodes(&[0]).into());
    expected.recovering = Some(true);
    assert_eq!(records, vec![Record::PartitionChange(expected)]);
}

#[test]
fn unclean_elections_are_allowed_for_the_cluster_or_by_the_configuration_too() {
    let gone = unfenced(&fenced(without_elr(&image(&[])), &[0, 1, 2]), 0);
    let resource = ConfigResource::cluster_default();
    let key = "unclean.leader.election.enable".to_owned();
    let dynamic = after(&gone, vec![Record::Config { resource, key, value: Some("true".into()) }]);
    assert_eq!(elect_unclean(&view(&dynamic)).len(), 1);
    let configured = View::new(&gone, Defaults { unclean_leader_election: true, ..DEFAULTS });
    assert_eq!(elect_unclean(&configured).len(), 1);
    let topic = with_config(&dynamic, "unclean.leader.election.enable", "false");
    assert_eq!(elect_unclean(&view(&topic)), vec![]);
}

#[test]
fn when_all_eligible_replicas_are_lost_the_last_leader_may_lead_and_has_to_recover() {
    let gone = image(&[0, 1, 2]);
    let mut lost = change(0);
    lost.elr = Some(Replicas::new());
    let gone = after(&gone, vec![Record::PartitionChange(lost)]);
    assert_eq!(partition(&gone, 0).last_known_elr[..], nodes(&[2])[..]);
    assert_eq!(balance(&view(&unfenced(&gone, 1))), vec![]);
    let back = unfenced(&gone, 2);
    let back = partition(&after(&back, balance(&view(&back))), 0);
    assert_eq!((back.leader, &back.isr[..], back.recovering), (Some(NodeId(2)), &nodes(&[2])[..], true));
    assert_eq!(back.last_known_elr[..], [][..]);
}

#[test]
fn leadership_goes_back_to_the_first_replica_once_it_is_in_sync() {
    let moved = unfenced(&image(&[0]), 0);
    assert_eq!(balance(&view(&moved)), vec![]);
    let mut joined = change(0);
    joined.isr = Some(nodes(&[1, 2, 0]).into());
    let moved = after(&moved, vec![Record::PartitionChange(joined)]);
    let mut expected = change(0);
    expected.leader = Some(Some(NodeId(0)));
    assert_eq!(balance(&view(&moved)), vec![Record::PartitionChange(expected.clone())]);
    assert_eq!(ask(&moved, ElectionType::Preferred), (Ok(()), vec![Record::PartitionChange(expected)]));
}

#[test]
fn an_election_that_is_asked_for_says_why_there_is_none() {
    let bare = |code| Err(ApiError::bare(code));
    let well = image(&[]);
    assert_eq!(ask(&well, ElectionType::Preferred).0, bare(ErrorCode::ELECTION_NOT_NEEDED));
    assert_eq!(ask(&well, ElectionType::Unclean).0, bare(ErrorCode::ELECTION_NOT_NEEDED));
    assert_eq!(ask(&image(&[0]), ElectionType::Preferred).0, bare(ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE));
    assert_eq!(ask(&image(&[0, 1, 2]), ElectionType::Unclean).0, bare(ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE));
    let named = |name: &str, number| {
        let partitions = Some(vec![(name.to_owned(), vec![PartitionId(number)])]);
        elect(&ElectLeaders { election: ElectionType::Preferred, partitions }, &view(&well)).answer[0].1[0].1.clone()
    };
    assert_eq!(named("b", 0), error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "No such topic as b"));
    assert_eq!(named("a", 1), error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "No such partition as a-1"));
}

#[test]
fn asked_for_all_partitions_those_that_need_nothing_are_left_out() {
    let request = ElectLeaders { election: ElectionType::Preferred, partitions: None };
    assert_eq!(elect(&request, &view(&image(&[]))).answer, vec![("a".to_owned(), vec![])]);
    let told = elect(&request, &view(&image(&[0]))).answer;
    assert_eq!(told[0].1, vec![(PartitionId(0), Err(ApiError::bare(ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE)))]);
}

#[test]
fn an_old_cluster_gets_a_new_epoch_when_an_isr_shrinks() {
    let old = after(&without_elr(&image(&[])), vec![Record::Feature { name: "metadata.version".into(), level: 11 }]);
    let shrunk = partition(&fenced(old, &[2]), 0);
    assert_eq!((shrunk.leader, shrunk.leader_epoch), (Some(NodeId(0)), LeaderEpoch(1)));
    let shrunk = partition(&fenced(without_elr(&image(&[])), &[2]), 0);
    assert_eq!((shrunk.leader, shrunk.leader_epoch), (Some(NodeId(0)), LeaderEpoch(0)));
}
