//! Connections that have not shown yet who they are: [`Lobby`], with the tasks of its guests.
//!
//! A stranger is reckoned to hold what an open connection takes, and twice what was received of it since its last whole
//! request: everything in the buffers of TLS and in ours has passed the socket. Together they hold no more than
//! `connections.login.max.bytes`; who has to go for another is told, and its task ends.

use super::machine::{Guest, Lobby};
use crate::config::Live;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

/// What an open connection takes without anything received: its task, and what there is of TLS.
const OPEN: usize = 6 * 1024;
const OPEN_TLS: usize = 12 * 1024;
/// Buffers grow by doubling.
const HELD_PER_RECEIVED: usize = 2;

/// All strangers of a broker.
pub(super) struct Strangers {
    state: Mutex<State>,
    config: Arc<Live>,
}

#[derive(Default)]
struct State {
    lobby: Lobby,
    there: HashMap<Guest, Weak<Stranger>>,
}

/// One of them, until it is dropped.
pub(super) struct Stranger {
    strangers: Arc<Strangers>,
    guest: Guest,
    open: usize,
    received: AtomicUsize,
    /// It logged in, or has to go.
    over: AtomicBool,
    out: AtomicBool,
    waker: AtomicWaker,
}

impl Strangers {
    pub(super) fn new(config: Arc<Live>) -> Arc<Strangers> {
        Arc::new(Strangers { state: Mutex::default(), config })
    }

    /// A connection comes; others may have to go for it.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr, over_tls: bool) -> Arc<Stranger> {
        let open = if over_tls { OPEN_TLS } else { OPEN };
        let mut state = self.state.lock();
        let (guest, gone) = state.lobby.enter(ip, open, self.max());
        let stranger = Arc::new(Stranger {
            strangers: Arc::clone(self),
            guest,
            open,
            received: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            out: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        state.there.insert(guest, Arc::downgrade(&stranger));
        let gone = state.take(&gone);
        drop(state);
        turn_out(&gone);
        stranger
    }

    fn max(&self) -> usize {
        self.config.load().settings().network.strangers_bytes_max
    }

    fn hold(&self, guest: Guest, bytes: usize) {
        let mut state = self.state.lock();
        let gone = state.lobby.hold(guest, bytes, self.max());
        let gone = state.take(&gone);
        // The last hold on one of them may be ours, and letting it go takes the lock.
        drop(state);
        turn_out(&gone);
    }
}

impl State {
    fn take(&mut self, gone: &[Guest]) -> Vec<Arc<Stranger>> {
        gone.iter().filter_map(|guest| self.there.remove(guest)?.upgrade()).collect()
    }
}

fn turn_out(gone: &[Arc<Stranger>]) {
    for stranger in gone {
        stranger.over.store(true, Ordering::Relaxed);
        stranger.out.store(true, Ordering::Release);
        stranger.waker.wake();
    }
}

impl Stranger {
    /// Bytes were received. Answers whether it is still a stranger.
    pub(super) fn received(&self, bytes: usize) -> bool {
        if self.over.load(Ordering::Relaxed) {
            return false;
        }
        let received = self.received.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.strangers.hold(self.guest, self.open + received.saturating_mul(HELD_PER_RECEIVED));
        true
    }

    /// Of what was received nothing is held any more.
    pub(super) fn settled(&self) {
        self.received.store(0, Ordering::Relaxed);
        self.strangers.hold(self.guest, self.open);
    }

    /// It has shown who it is; `false`: it had to go before.
    pub(super) fn logged_in(&self) -> bool {
        self.over.store(true, Ordering::Relaxed);
        self.strangers.state.lock().leave(self.guest)
    }

    /// Whether it has to go.
    pub(super) fn poll_out(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        if self.out.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl State {
    fn leave(&mut self, guest: Guest) -> bool {
        self.there.remove(&guest);
        self.lobby.leave(guest)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.strangers.state.lock().leave(self.guest);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{BrokerConfig, Values};
    use std::future::poll_fn;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn strangers(max: usize) -> Arc<Strangers> {
        let values = [("connections.login.max.bytes".to_owned(), max.to_string())].into_iter().collect::<Values>();
        Strangers::new(Arc::new(Live::new(BrokerConfig::new(values).unwrap())))
    }

    async fn is_out(stranger: &Stranger) -> bool {
        poll_fn(|cx| Poll::Ready(stranger.poll_out(cx).is_ready())).await
    }

    #[tokio::test]
    async fn the_oldest_is_told_to_go_when_one_too_many_comes() {
        let strangers = strangers(3 * OPEN);
        let three = [(); 3].map(|()| strangers.enter(HERE, false));
        let first = Arc::clone(&three[0]);
        let waits = tokio::spawn(async move { poll_fn(|cx| first.poll_out(cx)).await });
        tokio::task::yield_now().await;
        let fourth = strangers.enter(HERE, false);
        waits.await.unwrap();
        assert!(!is_out(&three[1]).await && !is_out(&fourth).await);
        assert!(!three[0].logged_in(), "too late");
        assert!(three[1].logged_in());
        let _fifth = strangers.enter(HERE, false);
        assert!(!is_out(&three[2]).await, "who has logged in made room");
    }

    #[tokio::test]
    async fn what_a_stranger_sends_counts_until_it_is_a_whole_request_and_no_longer_when_it_is_known() {
        let strangers = strangers(2 * OPEN + 4000);
        let (other, stranger) = (strangers.enter(HERE, false), strangers.enter(HERE, false));
        assert!(stranger.received(2000));
        stranger.settled();
        assert!(stranger.received(2000));
        assert!(!is_out(&other).await, "the first half was settled");
        assert!(stranger.received(1));
        assert!(is_out(&other).await);
        assert!(stranger.logged_in());
        let third = strangers.enter(HERE, false);
        assert!(!stranger.received(1 << 19));
        assert!(!is_out(&third).await && !is_out(&stranger).await);
    }

    #[test]
    fn who_is_gone_holds_nothing() {
        let strangers = strangers(1 << 20);
        drop([(); 10].map(|()| strangers.enter(HERE, true)));
        let state = strangers.state.lock();
        assert_eq!((state.lobby.bytes(), state.there.len()), (0, 0));
    }
}
