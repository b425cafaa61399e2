//! Rules of throttled copies.

use crate::config::settings::{CopyLimit, Windows};
use crate::partition::machine::Throttle;

const LIMIT: CopyLimit = CopyLimit { bytes_per_second: 1000, windows: Windows { count: 11, size: 1000 } };

#[test]
fn what_was_not_copied_is_not_too_much_even_where_nothing_is_allowed() {
    let nothing = CopyLimit { bytes_per_second: 0, ..LIMIT };
    let mut throttle = Throttle::default();
    assert!(!throttle.is_exceeded(0, &nothing));
    throttle.record(1, 0, &nothing);
    assert!(throttle.is_exceeded(0, &nothing));
}

#[test]
fn a_burst_is_spread_over_the_time_since_it_began_and_at_least_over_a_window() {
    let mut throttle = Throttle::default();
    throttle.record(1000, 0, &LIMIT);
    assert!(!throttle.is_exceeded(0, &LIMIT), "a thousand in a second is what is allowed");
    throttle.record(2000, 10, &LIMIT);
    assert!(throttle.is_exceeded(999, &LIMIT));
    assert!(throttle.is_exceeded(2999, &LIMIT));
    assert!(!throttle.is_exceeded(3000, &LIMIT));
}

#[test]
fn what_is_older_than_all_windows_is_forgotten() {
    let mut throttle = Throttle::default();
    throttle.record(1_000_000, 5, &LIMIT);
    assert!(throttle.is_exceeded(11_004, &LIMIT));
    assert!(!throttle.is_exceeded(11_005, &LIMIT));
}

#[test]
fn over_time_no_more_is_copied_than_is_allowed() {
    let mut throttle = Throttle::default();
    let mut copied = 0;
    for now in (0..60_000).step_by(10) {
        if !throttle.is_exceeded(now, &LIMIT) {
            throttle.record(300, now, &LIMIT);
            copied += 300;
        }
    }
    assert!((50_000..=66_000).contains(&copied), "{copied} bytes in a minute");
}
