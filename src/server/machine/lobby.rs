//! Connections that have not logged in, and what they hold together: no more than a bound.
//!
//! Who comes, or brings more, when the bound is reached is let in all the same, and somebody else has to go: of the address
//! that holds most, the connection that has been there longest. So a flood from a few addresses pushes out its own, and what
//! is new, as a client is that logs in without delay, stays. Of addresses that hold the same, the one goes first whose oldest
//! connection came first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

/// A connection, in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::server) struct Guest(u64);

/// What an address holds. The last in order is the next that has to give something up.
type Weight = (usize, Reverse<Guest>, IpAddr);

struct House {
    bytes: usize,
    guests: BTreeSet<Guest>,
}

/// See the module. Bytes are what a connection is reckoned to hold.
#[derive(Default)]
pub(in crate::server) struct Lobby {
    came: u64,
    bytes: usize,
    guests: BTreeMap<Guest, (IpAddr, usize)>,
    houses: BTreeMap<IpAddr, House>,
    by_weight: BTreeSet<Weight>,
}

/// The part of an address that one owner has all of.
fn house(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        ip => ip,
    }
}

impl Lobby {
    /// A connection comes that holds `bytes`. Those who have to go for it are no longer guests; it may be among them.
    pub(in crate::server) fn enter(&mut self, ip: IpAddr, bytes: usize, max: usize) -> (Guest, Vec<Guest>) {
        let guest = Guest(self.came);
        self.came += 1;
        self.guests.insert(guest, (house(ip), 0));
        self.weigh(house(ip), |house| {
            house.guests.insert(guest);
        });
        let gone = self.hold(guest, bytes, max);
        (guest, gone)
    }

    /// A guest holds `bytes` from now on. Answers who has to go for it; it may be among them.
    pub(in crate::server) fn hold(&mut self, guest: Guest, bytes: usize, max: usize) -> Vec<Guest> {
        let Some((ip, before)) = self.guests.get_mut(&guest) else { return Vec::new() };
        let (ip, before) = (*ip, std::mem::replace(before, bytes));
        self.bytes = self.bytes - before + bytes;
        self.weigh(ip, |house| house.bytes = house.bytes - before + bytes);
        let mut gone = Vec::new();
        while self.bytes > max
            && let Some((_, Reverse(oldest), _)) = self.by_weight.last().copied()
        {
            self.leave(oldest);
            gone.push(oldest);
        }
        gone
    }

    /// A guest goes, or is one no more since it logged in; `false`: it had to go before.
    pub(in crate::server) fn leave(&mut self, guest: Guest) -> bool {
        let Some((ip, bytes)) = self.guests.remove(&guest) else { return false };
        self.bytes -= bytes;
        self.weigh(ip, |house| {
            house.bytes -= bytes;
            house.guests.remove(&guest);
        });
        true
    }

    /// Changes what is known of an address, and where it stands among the others.
    fn weigh(&mut self, ip: IpAddr, change: impl FnOnce(&mut House)) {
        let house = self.houses.entry(ip).or_insert(House { bytes: 0, guests: BTreeSet::new() });
        let weight = |house: &House| house.guests.first().map(|oldest| (house.bytes, Reverse(*oldest), ip));
        if let Some(before) = weight(house) {
            self.by_weight.remove(&before);
        }
        change(house);
        match weight(house) {
            Some(after) => {
                self.by_weight.insert(after);
            }
            None => {
                self.houses.remove(&ip);
            }
        }
    }

    /// What all of them hold.
    #[cfg(test)]
    pub(in crate::server) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::Ipv4Addr;

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn enter(lobby: &mut Lobby, ip: IpAddr) -> Guest {
        let (guest, gone) = lobby.enter(ip, 10, 100);
        assert_eq!(gone, []);
        guest
    }

    #[test]
    fn within_the_bound_nobody_has_to_go() {
        let mut lobby = Lobby::default();
        let all: Vec<Guest> = (0..10).map(|_| enter(&mut lobby, A)).collect();
        assert_eq!(lobby.bytes(), 100);
        assert!(all.into_iter().all(|guest| lobby.leave(guest)));
        assert_eq!(lobby.bytes(), 0);
        assert!(lobby.houses.is_empty() && lobby.by_weight.is_empty());
    }

    #[test]
    fn beyond_the_bound_the_oldest_of_the_address_that_holds_most_goes() {
        let mut lobby = Lobby::default();
        let client = enter(&mut lobby, B);
        let flood: Vec<Guest> = (0..9).map(|_| enter(&mut lobby, A)).collect();
        assert_eq!(lobby.enter(A, 10, 100).1, [flood[0]]);
        assert_eq!(lobby.enter(B, 10, 100).1, [flood[1]]);
        assert_eq!(lobby.hold(client, 25, 100), [flood[2], flood[3]]);
        assert!(lobby.leave(client) && !lobby.leave(flood[0]));
    }

    #[test]
    fn of_addresses_that_hold_the_same_the_one_that_came_first_goes_first() {
        let mut lobby = Lobby::default();
        let address = |n: u8| IpAddr::V4(Ipv4Addr::new(10, 0, 1, n));
        let all: Vec<Guest> = (0..10).map(|n| enter(&mut lobby, address(200 - n))).collect();
        assert_eq!(lobby.enter(address(1), 10, 100).1, [all[0]]);
        assert_eq!(lobby.enter(address(250), 10, 100).1, [all[1]]);
    }

    #[test]
    fn who_brings_more_than_there_may_be_at_all_goes_itself() {
        let mut lobby = Lobby::default();
        let (other, one) = (enter(&mut lobby, B), enter(&mut lobby, A));
        assert_eq!(lobby.hold(one, 101, 100), [one]);
        assert_eq!(lobby.hold(one, 10, 100), [], "it is no guest any more");
        assert_eq!(lobby.bytes(), 10);
        assert!(lobby.leave(other));
    }

    #[test]
    fn a_bound_that_was_lowered_acts_when_somebody_comes() {
        let mut lobby = Lobby::default();
        let all: Vec<Guest> = (0..10).map(|_| enter(&mut lobby, A)).collect();
        let (newest, gone) = lobby.enter(A, 10, 20);
        assert_eq!(gone, all[..9]);
        assert!(lobby.leave(newest));
    }

    #[test]
    fn the_addresses_of_one_network_of_version_6_are_one() {
        let mut lobby = Lobby::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let client = enter(&mut lobby, address("2001:db8:0:2::1"));
        let flood: Vec<Guest> = (0..9).map(|n| enter(&mut lobby, address(&format!("2001:db8:0:1:{n}::{n}")))).collect();
        assert_eq!(lobby.enter(address("::ffff:10.0.0.1"), 10, 100).1, flood[..1]);
        assert_eq!(house(address("::ffff:10.0.0.1")), A);
        assert!(lobby.leave(client));
    }

    #[test]
    fn whatever_happens_the_sums_are_those_of_the_guests_and_within_the_bound() {
        let mut state = 7_u64;
        let mut below = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % bound
        };
        let (mut lobby, mut known) = (Lobby::default(), Vec::new());
        for _ in 0..20_000 {
            let bytes = below(50);
            let gone = match (below(3), known.is_empty()) {
                (0, _) | (_, true) => {
                    let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, below(5) as u8));
                    let (guest, gone) = lobby.enter(ip, bytes, 1000);
                    known.push(guest);
                    gone
                }
                (1, _) => lobby.hold(known[below(known.len())], bytes, 1000),
                _ => {
                    let guest = known.swap_remove(below(known.len()));
                    assert!(lobby.leave(guest));
                    Vec::new()
                }
            };
            known.retain(|guest| !gone.contains(guest));
            assert_eq!(lobby.guests.keys().copied().collect::<BTreeSet<_>>(), known.iter().copied().collect());
            assert_eq!(lobby.bytes, lobby.guests.values().map(|(_, bytes)| bytes).sum::<usize>());
            assert_eq!(lobby.bytes, lobby.houses.values().map(|house| house.bytes).sum::<usize>());
            assert_eq!(lobby.houses.len(), lobby.by_weight.len());
            assert!(lobby.bytes <= 1000);
        }
    }
}
