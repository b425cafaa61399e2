//! The settings of groups, and those of one group with what it sets for itself.

use super::broker::{Values, value_of};
use super::build::Read;
use super::settings::{Groups, Migration, Settings};
use super::{ConfigError, entity_keys, share};
use std::collections::BTreeMap;
use std::time::Duration;

/// The assignors that are known (`GroupCoordinatorConfig.CONSUMER_GROUP_BUILTIN_ASSIGNORS`).
const ASSIGNORS: [&str; 2] = ["uniform", "range"];

pub(super) fn settings(read: &Read<'_>) -> Result<Groups, ConfigError> {
    let protocols = read.list("group.coordinator.rebalance.protocols");
    let has = |name: &str| protocols.iter().any(|protocol| protocol.eq_ignore_ascii_case(name));
    if !has("classic") {
        return Err(ConfigError::new(
            "group.coordinator.rebalance.protocols leaves out classic, which cannot be turned off: add it.",
        ));
    }
    let consumer_assignors = read.list("group.consumer.assignors");
    if let Some(unknown) = consumer_assignors.iter().find(|name| !ASSIGNORS.contains(&name.as_str())) {
        return Err(ConfigError::new(format!(
            "group.consumer.assignors names {unknown:?}, and Klamm cannot load Java classes: name uniform, range or both."
        )));
    }
    let minutes = u64::try_from(read.long("offsets.retention.minutes")).unwrap_or_default();
    let policy = read.text("group.consumer.migration.policy").to_ascii_lowercase();
    let assignment_min = read.ms("group.consumer.min.assignment.interval.ms");
    let assignment_max = read.ms("group.consumer.max.assignment.interval.ms");
    Ok(Groups {
        offsets_partitions: read.int("offsets.topic.num.partitions"),
        offsets_replication_factor: read.replicas("offsets.topic.replication.factor"),
        offsets_segment_bytes: read.int("offsets.topic.segment.bytes"),
        offsets_compression: read.compression("offsets.topic.compression.codec")?,
        offsets_load_bytes: read.size("offsets.load.buffer.size"),
        offset_metadata_bytes_max: read.size("offset.metadata.max.bytes"),
        offsets_retention: Duration::from_secs(minutes.saturating_mul(60)),
        offsets_retention_check_interval: read.ms("offsets.retention.check.interval.ms"),
        offset_commit_timeout: read.ms("offsets.commit.timeout.ms"),
        session_timeout_min: read.ms("group.min.session.timeout.ms"),
        session_timeout_max: read.ms("group.max.session.timeout.ms"),
        initial_rebalance_delay: read.ms("group.initial.rebalance.delay.ms"),
        members_max: read.size("group.max.size"),
        classic: true,
        consumer: has("consumer"),
        consumer_session_timeout: read.ms("group.consumer.session.timeout.ms"),
        consumer_session_timeout_min: read.ms("group.consumer.min.session.timeout.ms"),
        consumer_session_timeout_max: read.ms("group.consumer.max.session.timeout.ms"),
        consumer_heartbeat_interval: read.ms("group.consumer.heartbeat.interval.ms"),
        consumer_heartbeat_interval_min: read.ms("group.consumer.min.heartbeat.interval.ms"),
        consumer_heartbeat_interval_max: read.ms("group.consumer.max.heartbeat.interval.ms"),
        // The one of these that can change while the broker runs: then bounded, not refused
        // (`GroupCoordinatorConfig.clampDynamicConfigs`).
        consumer_assignment_interval: bounded(
            read.ms("group.consumer.assignment.interval.ms"),
            assignment_min,
            assignment_max,
        ),
        consumer_assignment_interval_min: assignment_min,
        consumer_assignment_interval_max: assignment_max,
        consumer_members_max: read.size("group.consumer.max.size"),
        consumer_assignors,
        consumer_migration: Migration {
            upgrade: policy == "bidirectional" || policy == "upgrade",
            downgrade: policy == "bidirectional" || policy == "downgrade",
        },
        consumer_regex_refresh_interval: read.ms("group.consumer.regex.refresh.interval.ms"),
        share: share::settings(read, read.ms("offsets.commit.timeout.ms"))?,
    })
}

/// Which of the bounds of groups does not hold, in Kafka's words (`GroupCoordinatorConfig`, `ShareGroupConfig`).
pub(super) fn fault(values: &Values) -> Option<String> {
    let bounds = Bounds { values };
    bounds.of_kind("consumer").or_else(|| bounds.of_kind("share")).or_else(|| {
        let [deliveries, locks, lock] = [
            "group.share.{}delivery.count.limit",
            "group.share.{}partition.max.record.locks",
            "group.share.{}record.lock.duration.ms",
        ]
        .map(|key| ["min.", "max.", ""].map(|bound| key.replace("{}", bound)));
        let least = |[least, most, own]: &[String; 3], most_first: bool| {
            let (first, then) = if most_first { ((most, own), (own, least)) } else { ((own, least), (most, own)) };
            bounds.less(first.0, first.1).or_else(|| bounds.less(then.0, then.1))
        };
        least(&deliveries, true)
            .or_else(|| least(&locks, true))
            .or_else(|| least(&lock, false))
            .or_else(|| bounds.less("group.share.max.share.sessions", "group.share.max.size"))
    })
}

struct Bounds<'a> {
    values: &'a Values,
}

impl Bounds<'_> {
    fn number(&self, name: &str) -> i64 {
        value_of(self.values, name).map_or(0, |value| value.number())
    }

    /// The fault, if the first is less than the second.
    fn less(&self, more: &str, less: &str) -> Option<String> {
        (self.number(more) < self.number(less)).then(|| format!("{more} must be greater than or equal to {less}"))
    }

    /// The bounds that consumer groups and share groups have alike.
    fn of_kind(&self, kind: &str) -> Option<String> {
        let [heartbeat, session, assignment] =
            ["heartbeat.interval.ms", "session.timeout.ms", "assignment.interval.ms"]
                .map(|of| ["min.", "max.", ""].map(|bound| format!("group.{kind}.{bound}{of}")));
        let outside = |[least, most, own]: &[String; 3]| {
            self.less(most, least).or_else(|| self.less(own, least)).or_else(|| {
                (self.number(own) > self.number(most)).then(|| format!("{own} must be less than or equal to {most}"))
            })
        };
        outside(&heartbeat)
            .or_else(|| outside(&session))
            .or_else(|| {
                let [[.., heartbeat], [.., session]] = [&heartbeat, &session];
                (self.number(heartbeat) >= self.number(session))
                    .then(|| format!("{heartbeat} must be less than {session}"))
            })
            .or_else(|| outside(&assignment))
    }
}

/// What one group goes by: what it sets, else what the broker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    pub consumer_session_timeout: Duration,
    pub consumer_heartbeat_interval: Duration,
    /// Least time between two assignments.
    pub consumer_assignment_interval: Duration,
}

impl GroupConfig {
    /// What a group sets was checked against the broker's bounds of then; those of now hold (`GroupConfig.evaluate`).
    #[must_use]
    pub fn resolve(overrides: Option<&BTreeMap<String, String>>, settings: &Settings) -> GroupConfig {
        let groups = &settings.groups;
        let own = |name: &str, (least, most): (Duration, Duration)| {
            let text = overrides?.get(name)?;
            let number = entity_keys::find_group(name)?.key.parse(text).ok()?.number();
            Some(bounded(Duration::from_millis(u64::try_from(number).ok()?), least, most))
        };
        let session = (groups.consumer_session_timeout_min, groups.consumer_session_timeout_max);
        let heartbeat = (groups.consumer_heartbeat_interval_min, groups.consumer_heartbeat_interval_max);
        let assignment = (groups.consumer_assignment_interval_min, groups.consumer_assignment_interval_max);
        GroupConfig {
            consumer_session_timeout: own("consumer.session.timeout.ms", session)
                .unwrap_or(groups.consumer_session_timeout),
            consumer_heartbeat_interval: own("consumer.heartbeat.interval.ms", heartbeat)
                .unwrap_or(groups.consumer_heartbeat_interval),
            consumer_assignment_interval: own("consumer.assignment.interval.ms", assignment)
                .unwrap_or(groups.consumer_assignment_interval),
        }
    }
}

/// Not `clamp`, which panics on bounds that are the wrong way round.
pub(super) fn bounded<T: Ord>(value: T, least: T, most: T) -> T {
    value.max(least).min(most)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::BrokerConfig;
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn broker(pairs: &[(&str, &str)]) -> BrokerConfig {
        BrokerConfig::new(values(pairs)).unwrap()
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        BrokerConfig::new(values(pairs)).unwrap_err().to_string()
    }

    fn seconds(config: GroupConfig) -> [u64; 3] {
        [
            config.consumer_session_timeout.as_secs(),
            config.consumer_heartbeat_interval.as_secs(),
            config.consumer_assignment_interval.as_secs(),
        ]
    }

    #[test]
    fn a_group_that_sets_nothing_has_what_the_broker_says() {
        let config = broker(&[("group.consumer.heartbeat.interval.ms", "6000")]);
        assert_eq!(seconds(GroupConfig::resolve(None, config.settings())), [45, 6, 1]);
        assert_eq!(seconds(GroupConfig::resolve(Some(&Values::new()), config.settings())), [45, 6, 1]);
    }

    #[test]
    fn what_a_group_sets_stays_within_the_brokers_bounds_of_now() {
        let config = broker(&[]);
        let own = values(&[
            ("consumer.session.timeout.ms", "50000"),
            ("consumer.heartbeat.interval.ms", "1000"),
            ("consumer.assignment.interval.ms", "99000"),
        ]);
        assert_eq!(seconds(GroupConfig::resolve(Some(&own), config.settings())), [50, 5, 15]);
        let unusable = values(&[("consumer.session.timeout.ms", "soon")]);
        assert_eq!(seconds(GroupConfig::resolve(Some(&unusable), config.settings())), [45, 5, 1]);
    }

    #[test]
    fn what_the_broker_sets_outside_its_own_bounds_is_refused() {
        let least = "group.consumer.session.timeout.ms must be greater than or equal to \
                     group.consumer.min.session.timeout.ms: change one of them.";
        assert_eq!(refusal(&[("group.consumer.session.timeout.ms", "1000")]), least);
        let crossed = refusal(&[
            ("group.consumer.min.session.timeout.ms", "1000"),
            ("group.consumer.session.timeout.ms", "5000"),
        ]);
        let expected = "group.consumer.heartbeat.interval.ms must be less than group.consumer.session.timeout.ms: \
                        change one of them.";
        assert_eq!(crossed, expected);
        assert!(refusal(&[("group.consumer.assignment.interval.ms", "16000")]).contains("less than or equal to"));
    }

    #[test]
    fn a_dynamic_assignment_interval_is_refused_when_it_comes_and_bounded_where_it_is() {
        let config = broker(&[]);
        let high = values(&[("group.consumer.assignment.interval.ms", "16000")]);
        let why = super::super::validate_dynamic_broker(&config, &high, false).unwrap_err();
        let expected = "group.consumer.assignment.interval.ms must be less than or equal to \
                        group.consumer.max.assignment.interval.ms";
        assert_eq!(why.0, expected);
        let (next, left_out) = config.with_dynamic(high, Values::new());
        assert_eq!(left_out, Vec::<String>::new());
        assert_eq!(next.settings().groups.consumer_assignment_interval, Duration::from_secs(15));
    }

    #[test]
    fn assignors_are_those_that_are_known() {
        let assignors =
            |text| broker(&[("group.consumer.assignors", text)]).settings().groups.consumer_assignors.clone();
        assert_eq!(assignors("range"), ["range"]);
        assert_eq!(assignors("range, uniform"), ["range", "uniform"]);
        assert!(refusal(&[("group.consumer.assignors", "org.example.Mine")]).contains("cannot load Java classes"));
    }

    #[test]
    fn a_migration_policy_is_what_may_be_done() {
        let policy = |text| {
            let Migration { upgrade, downgrade } =
                broker(&[("group.consumer.migration.policy", text)]).settings().groups.consumer_migration;
            (upgrade, downgrade)
        };
        assert_eq!(policy("BIDIRECTIONAL"), (true, true));
        assert_eq!(policy("upgrade"), (true, false));
        assert_eq!(policy("Downgrade"), (false, true));
        assert_eq!(policy("disabled"), (false, false));
        assert_eq!(broker(&[]).settings().groups.consumer_migration, Migration { upgrade: true, downgrade: true });
    }

    #[test]
    fn a_compression_of_the_offsets_topic_is_one_of_kafkas() {
        let compression =
            |text| broker(&[("offsets.topic.compression.codec", text)]).settings().groups.offsets_compression;
        assert_eq!((compression("0"), compression("4")), (0, 4));
        assert!(refusal(&[("offsets.topic.compression.codec", "5")]).contains("zstd"));
        assert!(refusal(&[("offsets.topic.compression.codec", "-1")]).contains("zstd"));
    }
}
