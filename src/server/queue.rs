//! The requests of a connection that were placed and not yet answered, in their order.

use super::limits::Grant;
use crate::api::Answer;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

/// An answer that is still to come.
pub(super) type Later = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// One placed request.
pub(super) struct Slot {
    pub(super) key: i16,
    pub(super) received: Instant,
    pub(super) state: State,
    /// Given back when the request is answered.
    pub(super) _grants: Grants,
}

/// The memory that a request was granted: for its frame, and for its decoded form.
pub(super) type Grants = [Option<Grant>; 2];

pub(super) enum State {
    Done(Answer),
    /// Later requests may be placed meanwhile.
    Waiting(Later),
    /// Nothing else is placed before this is answered, as in Kafka for every request.
    Exclusive(Later),
}

/// See the module.
#[derive(Default)]
pub(super) struct Queue {
    slots: VecDeque<Slot>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether a request of this API waits.
    pub(super) fn holds(&self, key: i16) -> bool {
        self.slots.iter().any(|slot| slot.key == key)
    }

    pub(super) fn push(&mut self, slot: Slot) {
        self.slots.push_back(slot);
    }

    /// No further request may be placed now.
    pub(super) fn is_exclusive(&self) -> bool {
        matches!(self.slots.back(), Some(Slot { state: State::Exclusive(_), .. }))
    }

    /// The oldest request's answer, when it is there.
    pub(super) fn poll_front(&mut self, cx: &mut Context<'_>) -> Poll<(Slot, Answer)> {
        let Some(front) = self.slots.front_mut() else { return Poll::Pending };
        let answer = match &mut front.state {
            State::Done(answer) => std::mem::take(answer),
            State::Waiting(later) | State::Exclusive(later) => match later.as_mut().poll(cx) {
                Poll::Ready(answer) => answer,
                Poll::Pending => return Poll::Pending,
            },
        };
        match self.slots.pop_front() {
            Some(slot) => Poll::Ready((slot, answer)),
            None => Poll::Pending,
        }
    }
}
