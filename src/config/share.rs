//! The settings of share groups (KIP-932), and those of one share group with what it sets for itself.

use super::build::Read;
use super::groups::bounded;
use super::{ConfigError, Settings, entity_keys};
use std::collections::BTreeMap;
use std::time::Duration;

/// The one assignor that is known (`SimpleAssignor`).
const ASSIGNOR: &str = "simple";

/// What share groups have that set nothing of their own, and what bounds those that do.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareGroups {
    pub session_timeout: Bounded<Duration>,
    pub heartbeat_interval: Bounded<Duration>,
    /// Least time between two assignments.
    pub assignment_interval: Bounded<Duration>,
    /// How long a delivered record stays with its consumer.
    pub record_lock: Bounded<Duration>,
    /// How often a record is delivered before it is given up.
    pub delivery_count: Bounded<i16>,
    /// Records of a partition that are with consumers at once.
    pub record_locks: Bounded<usize>,
    pub members_max: usize,
    /// `group.share.max.share.sessions`: of this broker.
    pub sessions_max: usize,
    /// `group.share.initialize.retry.interval.ms`, and not less than a write of the coordinator may take.
    pub initialize_retry_interval: Duration,
}

/// A value, and the bounds of what a group may choose instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded<T> {
    pub default: T,
    pub least: T,
    pub most: T,
}

/// What one share group goes by: what it sets, else what the broker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareConfig {
    pub session_timeout: Duration,
    pub heartbeat_interval: Duration,
    /// Least time between two assignments.
    pub assignment_interval: Duration,
    /// `share.record.lock.duration.ms`
    pub record_lock: Duration,
    /// `share.delivery.count.limit`
    pub delivery_count: i16,
    /// `share.partition.max.record.locks`
    pub record_locks: usize,
    pub auto_offset_reset: ShareReset,
    /// `share.isolation.level` is `read_committed`.
    pub committed_only: bool,
    /// `share.renew.acknowledge.enable`
    pub renews: bool,
}

/// Where a share group begins in a partition (`share.auto.offset.reset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareReset {
    Earliest,
    Latest,
    /// With the first record that is not older than this.
    ByDuration(Duration),
}

pub(super) fn settings(read: &Read<'_>, commit_timeout: Duration) -> Result<ShareGroups, ConfigError> {
    if read.list("group.share.assignors") != [ASSIGNOR] {
        return Err(ConfigError::new(format!(
            "group.share.assignors has to name one assignor, and Klamm cannot load Java classes: name {ASSIGNOR}."
        )));
    }
    let key = |bound: &str, of: &str| format!("group.share.{bound}{of}");
    let ms = |of: &str| Bounded {
        default: read.ms(&key("", of)),
        least: read.ms(&key("min.", of)),
        most: read.ms(&key("max.", of)),
    };
    let number = |of: &str| [key("", of), key("min.", of), key("max.", of)].map(|name| read.long(&name));
    let [deliveries, deliveries_min, deliveries_max] =
        number("delivery.count.limit").map(|number| i16::try_from(number).unwrap_or(i16::MAX));
    let [locks, locks_min, locks_max] =
        number("partition.max.record.locks").map(|number| usize::try_from(number).unwrap_or_default());
    let assignment = ms("assignment.interval.ms");
    Ok(ShareGroups {
        session_timeout: ms("session.timeout.ms"),
        heartbeat_interval: ms("heartbeat.interval.ms"),
        // May change while the broker runs: then bounded, not refused (`GroupCoordinatorConfig.clampDynamicConfigs`).
        assignment_interval: Bounded {
            default: bounded(assignment.default, assignment.least, assignment.most),
            ..assignment
        },
        record_lock: ms("record.lock.duration.ms"),
        delivery_count: Bounded { default: deliveries, least: deliveries_min, most: deliveries_max },
        record_locks: Bounded { default: locks, least: locks_min, most: locks_max },
        members_max: read.size("group.share.max.size"),
        sessions_max: read.size("group.share.max.share.sessions"),
        initialize_retry_interval: read.ms("group.share.initialize.retry.interval.ms").max(commit_timeout),
    })
}

impl ShareConfig {
    /// What a group sets was checked against the broker's bounds of then; those of now hold (`GroupConfig.evaluate`).
    ///
    /// `overrides`: those of the resource GROUP of this name, if there are any.
    #[must_use]
    pub fn resolve(overrides: Option<&BTreeMap<String, String>>, settings: &Settings) -> ShareConfig {
        let share = &settings.groups.share;
        let own = |name: &str| {
            let text = overrides?.get(name)?;
            entity_keys::find_group(name)?.key.parse(text).ok()
        };
        let number = |name: &str| own(name).map(|value| value.number());
        let ms = |name: &str, of: Bounded<Duration>| {
            of.or(number(name).and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis))
        };
        let deliveries = number("share.delivery.count.limit").map(|number| i16::try_from(number).unwrap_or(i16::MAX));
        let locks = number("share.partition.max.record.locks").and_then(|number| usize::try_from(number).ok());
        ShareConfig {
            session_timeout: ms("share.session.timeout.ms", share.session_timeout),
            heartbeat_interval: ms("share.heartbeat.interval.ms", share.heartbeat_interval),
            assignment_interval: ms("share.assignment.interval.ms", share.assignment_interval),
            record_lock: ms("share.record.lock.duration.ms", share.record_lock),
            delivery_count: share.delivery_count.or(deliveries),
            record_locks: share.record_locks.or(locks),
            auto_offset_reset: own("share.auto.offset.reset")
                .and_then(|value| ShareReset::parse(&value.to_string()))
                .unwrap_or(ShareReset::Latest),
            committed_only: own("share.isolation.level").is_some_and(|value| value.to_string() == "read_committed"),
            renews: own("share.renew.acknowledge.enable").is_none_or(|value| value.to_string() == "true"),
        }
    }
}

impl<T: Ord + Copy> Bounded<T> {
    /// What a group sets within the bounds, else the default.
    fn or(self, own: Option<T>) -> T {
        own.map_or(self.default, |own| bounded(own, self.least, self.most))
    }
}

impl ShareReset {
    /// `None`: the text is none of the strategies that share groups have.
    #[must_use]
    pub fn parse(text: &str) -> Option<ShareReset> {
        match text {
            "earliest" => Some(ShareReset::Earliest),
            "latest" => Some(ShareReset::Latest),
            _ => iso_duration(text.strip_prefix("by_duration:")?).map(ShareReset::ByDuration),
        }
    }
}

/// A duration as `java.time.Duration.parse` reads it, PnDTnHnMn.nS; `None` also if it is negative.
fn iso_duration(text: &str) -> Option<Duration> {
    let text = text.to_ascii_uppercase();
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let text = text.strip_prefix('P')?;
    let (mut rest, time) = match text.split_once('T') {
        // A T without a time is refused, and so is a P alone.
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None if text.is_empty() => return None,
        None => (text, ""),
    };
    let mut nanos: i128 = 0;
    let mut take = |rest: &mut &str, unit: char, seconds: i128| -> Option<()> {
        if let Some((amount, after)) = rest.split_once(unit) {
            nanos += i128::from(whole(amount)?) * seconds * 1_000_000_000;
            *rest = after;
        }
        Some(())
    };
    take(&mut rest, 'D', 86_400)?;
    if !rest.is_empty() {
        return None;
    }
    let mut rest = time;
    take(&mut rest, 'H', 3600)?;
    take(&mut rest, 'M', 60)?;
    if !rest.is_empty() {
        let seconds = rest.strip_suffix('S')?;
        let (amount, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, ""));
        if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let part: i128 = format!("{fraction:0<9}").parse().ok()?;
        let part = if amount.starts_with('-') { -part } else { part };
        nanos += i128::from(whole(amount)?) * 1_000_000_000 + part;
    }
    let nanos = u128::try_from(nanos * sign).ok()?;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).ok()?))
}

/// Digits, with a sign or without.
fn whole(text: &str) -> Option<i64> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::BrokerConfig;
    use super::*;
    use crate::config::Values;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn broker(pairs: &[(&str, &str)]) -> BrokerConfig {
        BrokerConfig::new(values(pairs)).unwrap()
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        BrokerConfig::new(values(pairs)).unwrap_err().to_string()
    }

    #[test]
    fn a_share_group_that_sets_nothing_has_what_the_broker_says() {
        let config = broker(&[("group.share.delivery.count.limit", "7")]);
        let of_group = ShareConfig::resolve(None, config.settings());
        let expected = ShareConfig {
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(5),
            assignment_interval: Duration::from_secs(1),
            record_lock: Duration::from_secs(30),
            delivery_count: 7,
            record_locks: 2000,
            auto_offset_reset: ShareReset::Latest,
            committed_only: false,
            renews: true,
        };
        assert_eq!(of_group, expected);
    }

    #[test]
    fn what_a_share_group_sets_stays_within_the_brokers_bounds_of_now() {
        let own = values(&[
            ("share.session.timeout.ms", "90000"),
            ("share.heartbeat.interval.ms", "6000"),
            ("share.assignment.interval.ms", "0"),
            ("share.record.lock.duration.ms", "1000"),
            ("share.delivery.count.limit", "25"),
            ("share.partition.max.record.locks", "100"),
            ("share.auto.offset.reset", "by_duration:PT1H"),
            ("share.isolation.level", "read_committed"),
            ("share.renew.acknowledge.enable", "false"),
        ]);
        let expected = ShareConfig {
            session_timeout: Duration::from_secs(60),
            heartbeat_interval: Duration::from_secs(6),
            assignment_interval: Duration::ZERO,
            record_lock: Duration::from_secs(15),
            delivery_count: 10,
            record_locks: 100,
            auto_offset_reset: ShareReset::ByDuration(Duration::from_secs(3600)),
            committed_only: true,
            renews: false,
        };
        assert_eq!(ShareConfig::resolve(Some(&own), broker(&[]).settings()), expected);
    }

    #[test]
    fn what_the_broker_sets_outside_its_own_bounds_is_refused() {
        let below = |own: &str, bound: &str| format!("{own} must be greater than or equal to {bound}");
        let cases = [
            (
                ("group.share.session.timeout.ms", "1000"),
                below("group.share.session.timeout.ms", "group.share.min.session.timeout.ms"),
            ),
            (
                ("group.share.record.lock.duration.ms", "1000"),
                below("group.share.record.lock.duration.ms", "group.share.min.record.lock.duration.ms"),
            ),
            (
                ("group.share.record.lock.duration.ms", "90000"),
                below("group.share.max.record.lock.duration.ms", "group.share.record.lock.duration.ms"),
            ),
            (
                ("group.share.partition.max.record.locks", "5000"),
                below("group.share.max.partition.max.record.locks", "group.share.partition.max.record.locks"),
            ),
            (
                ("group.share.max.share.sessions", "199"),
                below("group.share.max.share.sessions", "group.share.max.size"),
            ),
        ];
        for (pair, expected) in cases {
            assert_eq!(refusal(&[pair]), format!("{expected}: change one of them."), "{pair:?}");
        }
        assert!(refusal(&[("group.share.assignors", "org.example.Mine")]).contains("cannot load Java classes"));
        assert!(refusal(&[("group.share.assignors", "simple,uniform")]).contains("one assignor"));
    }

    #[test]
    fn a_new_attempt_to_initialise_does_not_come_before_a_write_can_be_over() {
        let config =
            broker(&[("group.share.initialize.retry.interval.ms", "1000"), ("offsets.commit.timeout.ms", "7000")]);
        assert_eq!(config.settings().groups.share.initialize_retry_interval, Duration::from_secs(7));
    }

    #[test]
    fn a_reset_by_duration_is_read_as_java_reads_durations() {
        let ms = |text: &str| match ShareReset::parse(&format!("by_duration:{text}")) {
            Some(ShareReset::ByDuration(duration)) => Some(duration.as_millis()),
            _ => None,
        };
        assert_eq!(ms("P1D"), Some(86_400_000));
        assert_eq!(ms("P1DT1H1M1.5S"), Some(90_061_500));
        assert_eq!(ms("pt0.25s"), Some(250));
        assert_eq!(ms("PT1H-30M"), Some(1_800_000));
        assert_eq!(ms("-PT-1S"), Some(1000));
        assert_eq!(ms("PT1.S"), Some(1000));
        for wrong in ["", "P", "PT", "P1DT", "1H", "PT1", "PT1X", "PT-1S", "-PT1S", "P1H", "PT1M1H", "PT1.0000000001S"]
        {
            assert_eq!(ms(wrong), None, "{wrong}");
        }
        assert_eq!(ShareReset::parse("none"), None);
        assert_eq!(ShareReset::parse("LATEST"), None);
    }
}
