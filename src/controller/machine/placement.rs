//! Which brokers get the replicas of new partitions (`StripedReplicaPlacer`).
//!
//! Replicas go round the racks, and within a rack round its brokers, unfenced ones first, from
//! starting points drawn by chance; each partition starts one rack and one broker further on. After
//! as many partitions as there are unfenced brokers the orders are shuffled, so that partitions do
//! not repeat the same sets. The first replica of a partition is never a fenced broker.

use super::{Draw, has_uncordoned_directories};
use crate::controller::request::ApiError;
use crate::metadata::Image;
use crate::model::{ErrorCode, NodeId};
use std::collections::BTreeMap;

/// Brokers to go round. A new round begins at each partition, one broker further on.
#[derive(Default)]
struct Ring {
    brokers: Vec<NodeId>,
    taken: usize,
    offset: usize,
    round: usize,
}

impl Ring {
    fn next(&mut self, round: usize) -> Option<NodeId> {
        if self.round != round && !self.brokers.is_empty() {
            self.round = round;
            self.taken = 0;
            self.offset = (self.offset + 1) % self.brokers.len();
        }
        if self.taken >= self.brokers.len() {
            return None;
        }
        let broker = self.brokers[(self.taken + self.offset) % self.brokers.len()];
        self.taken += 1;
        Some(broker)
    }
}

#[derive(Default)]
struct Rack {
    fenced: Ring,
    unfenced: Ring,
}

fn shuffle<T>(items: &mut [T], draw: &mut dyn Draw) {
    for last in (1..items.len()).rev() {
        items.swap(last, draw.below(last + 1));
    }
}

/// Replicas for each of `partitions` new partitions.
pub(super) fn place(
    image: &Image,
    partitions: usize,
    replication_factor: i16,
    draw: &mut dyn Draw,
) -> Result<Vec<Vec<NodeId>>, ApiError> {
    let fault = |text: String| Err(ApiError::new(ErrorCode::INVALID_REPLICATION_FACTOR, text));
    let mut by_name: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
    let (mut total, mut unfenced) = (0, 0);
    for broker in image.brokers.values() {
        if broker.in_controlled_shutdown || !has_uncordoned_directories(broker) {
            continue;
        }
        let rack = by_name.entry(broker.rack.as_deref()).or_default();
        let ring = if broker.fenced { &mut rack.fenced } else { &mut rack.unfenced };
        ring.brokers.push(broker.id);
        total += 1;
        unfenced += usize::from(!broker.fenced);
    }
    let factor = match usize::try_from(replication_factor) {
        Ok(factor) if factor > 0 => factor,
        _ => {
            return fault(format!(
                "Invalid replication factor {replication_factor}: the replication factor must be positive."
            ));
        }
    };
    if unfenced == 0 {
        return fault("All brokers are currently fenced, or have all their log directories cordoned.".into());
    }
    if factor > total {
        return fault(format!(
            "The target replication factor of {factor} cannot be reached because only {total} broker(s) are registered \
             or some brokers have all their log directories cordoned."
        ));
    }

    let mut racks: Vec<Rack> = by_name.into_values().collect();
    for ring in racks.iter_mut().flat_map(|rack| [&mut rack.fenced, &mut rack.unfenced]) {
        if !ring.brokers.is_empty() {
            ring.offset = draw.below(ring.brokers.len());
        }
    }
    let mut start = draw.below(racks.len());
    let mut since_shuffle = 0;
    let mut placed = Vec::with_capacity(partitions);
    for round in 0..partitions {
        if since_shuffle == unfenced && unfenced > 1 {
            shuffle(&mut racks, draw);
            for rack in &mut racks {
                shuffle(&mut rack.fenced.brokers, draw);
                shuffle(&mut rack.unfenced.brokers, draw);
            }
            since_shuffle = 0;
        }
        placed.push(place_one(&mut racks, start, factor, round));
        since_shuffle += 1;
        start = (start + 1) % racks.len();
    }
    Ok(placed)
}

fn place_one(racks: &mut [Rack], start: usize, factor: usize, round: usize) -> Vec<NodeId> {
    let mut replicas = Vec::with_capacity(factor);
    // There is an unfenced broker, and every ring starts afresh in this round.
    let mut led_by = (start..racks.len()).chain(0..start);
    let leader = led_by.find_map(|index| Some((index, racks[index].unfenced.next(round)?)));
    let Some((first, leader)) = leader else { return replicas };
    replicas.push(leader);
    // The leader's rack is passed over once.
    let mut pass_over = Some(first);
    let mut index = start;
    while replicas.len() < factor {
        if pass_over == Some(index) {
            pass_over = None;
        } else {
            let rack = &mut racks[index];
            replicas.extend(rack.unfenced.next(round).or_else(|| rack.fenced.next(round)));
        }
        index = (index + 1) % racks.len();
    }
    replicas
}
