//! `UniformAssignor` where members are subscribed to different topics (`UniformHeterogeneousAssignmentBuilder`).
//!
//! Free partitions go to the subscribers with the least, hardest topics first. Then, topic by topic and round after round,
//! partitions move from the subscribers with the most to those with the least until no topic's subscribers can be evened
//! out, or the rounds are up: overlapping subscriptions could take many, each worth less than the one before.

use super::index::{Index, NOBODY, Topic};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// `MAX_ITERATION_COUNT`
const ROUNDS: usize = 16;

/// The owner of each partition.
pub(super) fn assign(index: &Index<'_>) -> Vec<usize> {
    let mut plan = Plan::of(index);
    plan.hand_out();
    plan.even_out();
    plan.owners
}

struct Plan<'a> {
    topics: &'a [Topic],
    /// Topics with many partitions for few subscribers first.
    hardest_first: Vec<usize>,
    /// Of each topic, ascending.
    subscribers: Vec<Vec<usize>>,
    owners: Vec<usize>,
    /// How many partitions each member has.
    loads: Vec<usize>,
}

impl<'a> Plan<'a> {
    fn of(index: &'a Index<'_>) -> Plan<'a> {
        let topics = &index.topics;
        let mut subscribers: Vec<Vec<usize>> = topics.iter().map(|t| Vec::with_capacity(t.subscribers)).collect();
        for member in 0..index.members.len() {
            for topic in index.subscription(member) {
                subscribers[*topic].push(member);
            }
        }
        let mut owners = vec![NOBODY; index.partitions()];
        let mut loads = vec![0; index.members.len()];
        for (member, kept) in index.kept().into_iter().enumerate() {
            loads[member] = kept.len();
            for partition in kept {
                owners[partition] = member;
            }
        }
        let mut hardest_first: Vec<usize> = (0..topics.len()).collect();
        hardest_first.sort_by(|a, b| harder(&topics[*a], &topics[*b]));
        Plan { topics, hardest_first, subscribers, owners, loads }
    }

    fn give(&mut self, partition: usize, member: usize) {
        if let Some(load) = self.loads.get_mut(self.owners[partition]) {
            *load -= 1;
        }
        self.owners[partition] = member;
        self.loads[member] += 1;
    }

    /// Every partition that nobody has goes to the subscriber with the least.
    fn hand_out(&mut self) {
        for topic in self.hardest_first.clone() {
            let free: Vec<usize> =
                self.topics[topic].partitions.clone().filter(|p| self.owners[*p] == NOBODY).collect();
            if free.is_empty() {
                continue;
            }
            // Nobody behind as many members as there are partitions gets one, so that no more have to be in order.
            let mut order = self.subscribers[topic].clone();
            if order.len() > free.len() {
                let loads = &self.loads;
                order.select_nth_unstable_by_key(free.len(), |member| (loads[*member], *member));
                order.truncate(free.len());
            }
            let mut scale = Scale::of(order, &self.loads);
            for partition in free {
                let member = scale.lightest(&self.loads);
                self.give(partition, member);
            }
        }
    }

    /// Rounds over all topics that have somebody to move to, until a whole round moved nothing.
    fn even_out(&mut self) {
        let shared: Vec<usize> =
            self.hardest_first.iter().copied().filter(|topic| self.subscribers[*topic].len() > 1).collect();
        let mut last_moved = None;
        for _ in 0..ROUNDS {
            for topic in &shared {
                if last_moved == Some(*topic) {
                    return;
                }
                if self.even_out_topic(*topic) || last_moved.is_none() {
                    last_moved = Some(*topic);
                }
            }
        }
    }

    /// Moves a topic's partitions from who has the most to who has the least. Says if any moved.
    fn even_out_topic(&mut self, topic: usize) -> bool {
        let partitions = self.topics[topic].partitions.clone();
        let least = self.subscribers[topic].iter().map(|member| self.loads[*member]).min().unwrap_or(0);
        let most = self.owners[partitions.clone()].iter().map(|owner| self.loads[*owner]).max().unwrap_or(0);
        if most <= least + 1 {
            return false;
        }
        let mut held: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for partition in partitions {
            held.entry(self.owners[partition]).or_default().push(partition);
        }
        let mut scale = Scale::of(self.subscribers[topic].clone(), &self.loads);
        let mut moved = false;
        while let Some(from) = scale.heaviest(&self.loads) {
            let Some(partition) = held.get_mut(&from).and_then(Vec::pop) else {
                scale.has_none(from);
                continue;
            };
            let to = scale.lightest(&self.loads);
            if scale.is_even() {
                break;
            }
            self.give(partition, to);
            moved = true;
        }
        moved
    }
}

/// Partitions per subscriber descending, subscribers ascending, id ascending as Java compares them: by signed halves.
fn harder(a: &Topic, b: &Topic) -> Ordering {
    let signed = |topic: &Topic| {
        let (high, low) = topic.id.0.as_u64_pair();
        (high.cast_signed(), low.cast_signed())
    };
    // a's partitions / a's subscribers against b's, without dividing.
    let each = |topic: &Topic, other: &Topic| topic.partitions.len() as u128 * other.subscribers as u128;
    each(b, a).cmp(&each(a, b)).then_with(|| a.subscribers.cmp(&b.subscribers)).then_with(|| signed(a).cmp(&signed(b)))
}

/// A topic's subscribers from who has the least to who has the most, taken from both ends.
///
/// Members with equally many are served in turn: the light end is a level of members that all have `light_load` when a turn
/// begins; when each has had one, the level rises and takes in who had that many already. The heavy end sinks likewise.
struct Scale {
    order: Vec<usize>,
    /// `order[..light_end]` is the light level, `light_next` whose turn it is.
    light_end: usize,
    light_next: usize,
    light_load: isize,
    /// `order[heavy_start..heavy_end]` is the heavy level; its turns go downwards, and those before `heavy_next` are left.
    heavy_start: usize,
    heavy_end: usize,
    heavy_next: usize,
    heavy_load: isize,
}

impl Scale {
    fn of(mut order: Vec<usize>, loads: &[usize]) -> Scale {
        order.sort_unstable_by_key(|member| (loads[*member], *member));
        let load = |member: Option<&usize>| member.map_or(0, |member| loads[*member].cast_signed());
        Scale {
            light_end: 0,
            light_next: 0,
            light_load: load(order.first()) - 1,
            heavy_start: order.len(),
            heavy_end: order.len(),
            heavy_next: order.len(),
            heavy_load: load(order.last()) + 1,
            order,
        }
    }

    fn load_at(&self, place: usize, loads: &[usize]) -> isize {
        loads[self.order[place]].cast_signed()
    }

    /// Who has the least. It is taken to get one.
    fn lightest(&mut self, loads: &[usize]) -> usize {
        if self.light_next >= self.light_end {
            self.light_load += 1;
            while self.light_end < self.order.len() && self.load_at(self.light_end, loads) == self.light_load {
                self.light_end += 1;
            }
            self.light_next = 0;
        }
        self.light_next += 1;
        self.order[self.light_next - 1]
    }

    /// Who has the most, of those that are not known to have none of the topic. It is taken to give one away.
    fn heaviest(&mut self, loads: &[usize]) -> Option<usize> {
        if self.heavy_next <= self.heavy_start {
            if self.heavy_end <= self.heavy_start && self.heavy_start > 0 {
                // Nobody is left on this level: go on with the next one that somebody is on.
                self.heavy_load = self.load_at(self.heavy_start - 1, loads);
            } else {
                self.heavy_load -= 1;
            }
            while self.heavy_start > 0 && self.load_at(self.heavy_start - 1, loads) == self.heavy_load {
                self.heavy_start -= 1;
            }
            self.heavy_next = self.heavy_end;
        }
        if self.heavy_next == 0 {
            return None;
        }
        self.heavy_next -= 1;
        Some(self.order[self.heavy_next])
    }

    /// The member that `heaviest` gave last has none of the topic: it is set aside.
    fn has_none(&mut self, member: usize) {
        debug_assert_eq!(self.order.get(self.heavy_next), Some(&member));
        self.heavy_end -= 1;
        self.order.swap(self.heavy_next, self.heavy_end);
    }

    /// Moving one from the heavy to the light end would not make them more alike.
    fn is_even(&self) -> bool {
        self.heavy_load - self.light_load <= 1
    }
}
