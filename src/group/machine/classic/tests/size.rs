//! The work of a request does not grow with the group: counted in members looked at, not in time.
use super::*;
use crate::group::machine::classic::join::PENDING_MAX;

const MEMBERS: usize = 1_000;

#[test]
fn a_thousand_members_join_sync_beat_and_leave_in_steps_that_add_up() {
    let mut shard = Shard::new();
    take_seen();
    let joins: Vec<Ticket> = (0..MEMBERS).map(|_| shard.join(newcomer("c"))).collect();
    assert!(take_seen() <= 1, "to join looks at nobody else");
    shard.pass(2 * DELAY);
    assert!(take_seen() <= 7 * MEMBERS, "a generation looks at everybody a few times");
    let ids: Vec<String> = joins.into_iter().map(|ticket| shard.joined(ticket).member.as_str().to_owned()).collect();

    let (leader, followers) = ids.split_first().unwrap();
    for follower in followers {
        shard.sync(syncs(follower, 1));
        assert_eq!(shard.beat(follower, 1), ErrorCode::NONE);
    }
    assert_eq!(take_seen(), 0, "to sync and to beat look at nobody else");
    shard.sync(syncs(leader, 1));
    assert_eq!(shard.group().state, ClassicState::Stable);
    assert!(take_seen() <= 4 * MEMBERS, "the assignment is everybody's");

    for member in &ids {
        shard.join(Join { protocols: protocols(&["range"]), ..again(member) });
    }
    assert_eq!(shard.group().generation, Generation(2));
    assert!(take_seen() <= 9 * MEMBERS, "one rebalance for all");

    let leavers: Vec<(&str, Option<&str>)> = ids.iter().map(|member| (&**member, None)).collect();
    shard.leave(&leavers);
    assert_eq!(shard.group().state, ClassicState::Empty);
    assert!(take_seen() <= 3 * MEMBERS, "they leave together");
    assert!(shard.waits_for_nothing());
}

#[test]
fn a_thousand_sessions_that_expire_start_one_rebalance() {
    let mut shard = Shard::new();
    let joins: Vec<Ticket> = (0..MEMBERS).map(|_| shard.join(newcomer("c"))).collect();
    shard.pass(2 * DELAY);
    let leader = shard.joined(*joins.first().unwrap()).member;
    shard.sync(syncs(leader.as_str(), 1));
    take_seen();
    shard.pass(i64::from(SESSION));
    assert_eq!(shard.group().state, ClassicState::Empty);
    assert!(take_seen() <= 3 * MEMBERS);
}

#[test]
fn a_member_takes_less_than_four_kilobytes() {
    let mut shard = Shard::new();
    // What the harness keeps (answers and records) counts too.
    let memory = allocation_counter::measure(|| {
        let joins: Vec<Ticket> = (0..MEMBERS).map(|_| shard.join(newcomer("console-consumer"))).collect();
        shard.pass(2 * DELAY);
        let ids: Vec<String> =
            joins.into_iter().map(|ticket| shard.joined(ticket).member.as_str().to_owned()).collect();
        for member in ids.iter().rev() {
            shard.sync(syncs(member, 1));
        }
    });
    assert_eq!(shard.group().state, ClassicState::Stable);
    let each = memory.bytes_current / MEMBERS as i64;
    println!("{each} bytes a member");
    assert!(each < 4096, "{each} bytes a member");
}

#[test]
fn ids_that_nobody_joins_with_are_given_out_up_to_a_limit_and_again_once_their_sessions_are_over() {
    let mut shard = Shard::new();
    let ask = |shard: &mut Shard| {
        let ticket = shard.join(Join { version: 4, ..newcomer("a") });
        shard.joined(ticket).error
    };
    for _ in 0..PENDING_MAX {
        assert_eq!(ask(&mut shard), ErrorCode::MEMBER_ID_REQUIRED);
    }
    assert_eq!(ask(&mut shard), ErrorCode::GROUP_MAX_SIZE_REACHED);
    shard.pass(i64::from(SESSION));
    assert_eq!(ask(&mut shard), ErrorCode::MEMBER_ID_REQUIRED);
}
