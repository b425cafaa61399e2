//! What the names in a log directory mean (`LocalLog.parseTopicPartitionName`).

use crate::model::{PartitionId, TopicName, TopicPartition};
use crate::rt::rand;

/// The longest name of a file that every file system takes.
const NAME_MAX: usize = 255;
const DELETE: &str = "-delete";
const FUTURE: &str = "-future";
const STRAY: &str = "-stray";

/// A directory in a log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Partition(TopicPartition),
    /// A partition that was deleted: to be removed.
    Deleted,
    /// A copy of a partition that was on its way to this directory.
    Future(TopicPartition),
    /// A partition that the cluster does not know: left alone.
    Kept,
    /// Nothing of ours.
    Other,
}

pub(super) fn parse(name: &str) -> Name {
    for suffix in [DELETE, FUTURE, STRAY] {
        if let Some(stem) = name.strip_suffix(suffix) {
            // `<topic>-<partition>.<unique>`
            let of = stem.rsplit_once('.').filter(|(partition, unique)| {
                !unique.is_empty() && !unique.contains('-') && partition.rsplit_once('-').is_some()
            });
            return match (of, suffix) {
                (None, _) => Name::Other,
                (Some(_), DELETE) => Name::Deleted,
                (Some((of, _)), FUTURE) => partition(of).map_or(Name::Kept, Name::Future),
                (Some(_), _) => Name::Kept,
            };
        }
    }
    partition(name).map_or(Name::Other, Name::Partition)
}

fn partition(name: &str) -> Option<TopicPartition> {
    let (topic, number) = name.rsplit_once('-')?;
    if TopicName::fault(topic).is_some() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(TopicPartition::new(TopicName::new(topic), PartitionId(number.parse().ok()?)))
}

/// `LocalLog.logDeleteDirName`: `<topic>-<partition>.<unique>-delete`, the topic cut so that it fits.
pub(super) fn deleted(at: &TopicPartition) -> String {
    set_aside(at, DELETE)
}

/// `LocalLog.logStrayDirName`: the same with `-stray`.
pub(super) fn stray(at: &TopicPartition) -> String {
    set_aside(at, STRAY)
}

/// `LocalLog.logFutureDirName`: the same with `-future`, but the topic is never cut, since the name has to say
/// whose copy it is. `None`: the topic's name is too long.
pub(super) fn future(at: &TopicPartition) -> Option<String> {
    let name = format!("{at}.{}{FUTURE}", rand::uuid().simple());
    (name.len() <= NAME_MAX).then_some(name)
}

fn set_aside(at: &TopicPartition, why: &str) -> String {
    let suffix = format!("-{}.{}{why}", at.partition.0, rand::uuid().simple());
    let topic = at.topic.as_str();
    // Valid topics are ASCII; another would have no directory.
    let cut = topic.get(..NAME_MAX.saturating_sub(suffix.len())).unwrap_or(topic);
    format!("{cut}{suffix}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition::new(TopicName::new(topic), PartitionId(partition))
    }

    #[test]
    fn partitions_are_told_from_everything_else() {
        assert_eq!(parse("a-0"), Name::Partition(at("a", 0)));
        assert_eq!(parse("a-b.c-d-12"), Name::Partition(at("a-b.c-d", 12)));
        assert_eq!(parse("my-delete-0"), Name::Partition(at("my-delete", 0)));
        assert_eq!(parse("a-0.0123456789abcdef0123456789abcdef-delete"), Name::Deleted);
        assert_eq!(parse("a-0.0123456789abcdef0123456789abcdef-future"), Name::Future(at("a", 0)));
        assert_eq!(parse("a-0.0123456789abcdef0123456789abcdef-stray"), Name::Kept);
        for other in [
            "lost+found",
            "remote-log-index-cache",
            "a",
            "-0",
            "a-",
            "a-x",
            "a--delete",
            "x-delete",
            "a b-0",
            "a-99999999999",
        ] {
            assert_eq!(parse(other), Name::Other, "{other}");
        }
    }

    #[test]
    fn a_deleted_directorys_name_is_unique_and_fits() {
        let long = "t".repeat(249);
        for topic in ["a", &long] {
            let name = deleted(&at(topic, 2_000_000_000));
            assert!(name.len() <= NAME_MAX);
            assert_eq!(parse(&name), Name::Deleted);
            assert_ne!(name, deleted(&at(topic, 2_000_000_000)));
        }
        assert!(deleted(&at("a", 3)).starts_with("a-3."));
    }

    #[test]
    fn a_copys_name_says_whose_it_is_or_there_is_none() {
        let name = future(&at("a.b-c", 3)).unwrap();
        assert!(name.starts_with("a.b-c-3.") && name.ends_with("-future"));
        assert_eq!(parse(&name), Name::Future(at("a.b-c", 3)));
        assert!(future(&at(&"t".repeat(211), 0)).is_some());
        assert!(future(&at(&"t".repeat(249), 0)).is_none());
    }
}
