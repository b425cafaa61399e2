//! `UniformAssignor` where every member is subscribed to the same topics (`UniformHomogeneousAssignmentBuilder`).
//!
//! Who has more than a fair share gives up what is over; who has less gets what is free. Nothing else moves. If the
//! partitions do not divide evenly, those who already have the larger share keep it, and the last members get what larger
//! shares are left.

use super::index::{Index, NOBODY};

/// The owner of each partition.
pub(super) fn assign(index: &Index<'_>) -> Vec<usize> {
    let members = index.members.len();
    let mut owners = vec![NOBODY; index.partitions()];
    if members == 0 {
        return owners;
    }
    let share = owners.len() / members;
    let mut larger_shares = owners.len() % members;

    let kept = index.kept();
    for (member, kept) in kept.iter().enumerate() {
        for partition in kept {
            owners[*partition] = member;
        }
    }
    let mut free: Vec<usize> = (0..owners.len()).filter(|partition| owners[*partition] == NOBODY).collect();

    let mut short = Vec::new();
    for (member, kept) in kept.iter().enumerate() {
        let mut larger = larger_shares > 0;
        let most = share + usize::from(larger);
        free.extend(kept.iter().skip(most));
        let mut missing = most.saturating_sub(kept.len());
        // A larger share that a later member may already have is left for it, as long as enough members follow.
        if missing > 0 && larger && members - member > larger_shares {
            missing -= 1;
            larger = false;
        }
        larger_shares -= usize::from(larger);
        short.extend(std::iter::repeat_n(member, missing));
    }
    // As many are missing as are free: the shares add up to all partitions.
    for (partition, member) in free.into_iter().zip(short) {
        owners[partition] = member;
    }
    owners
}
