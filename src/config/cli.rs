//! The command line.

use super::broker::Values;
use super::topic_keys;
use super::{ConfigError, broker_keys};
use crate::model::TopicName;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// A topic to be created at start, unless it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicToCreate {
    pub name: TopicName,
    /// `None`: `num.partitions`.
    pub partitions: Option<i32>,
    /// `None`: `default.replication.factor`.
    pub replication: Option<i16>,
    pub configs: Values,
}

/// A Kafka-compatible broker in one small binary.
#[derive(Debug, Parser)]
#[command(name = "klamm", version, disable_help_subcommand = true)]
pub(super) struct Cli {
    /// Settings in Kafka's server.properties format
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where data is kept; the same as --set log.dirs=D
    #[arg(long, value_name = "D")]
    pub(super) data_dir: Option<PathBuf>,
    /// Where to listen for clients
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) listen: Option<String>,
    /// The address that clients are told to use
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) advertise: Option<String>,
    /// One setting under Kafka's name; may be given again
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,
    /// Run a cluster of so many nodes in this process, on consecutive ports; for development
    #[arg(long, value_name = "N")]
    pub(super) brokers: Option<u16>,
    /// Keep data in a temporary directory, removed at exit
    #[arg(long)]
    pub(super) ephemeral: bool,
    /// Create a topic unless it exists: name[:partitions[:replication[:config=value,...]]]; may be given again, and so
    /// may be those of the variable KLAMM_CREATE_TOPICS, separated by spaces or semicolons
    #[arg(long, value_name = "TOPIC")]
    pub(super) create_topic: Vec<String>,
    /// Print the lines that Kafka prints when it serves, for tools that wait for them
    #[arg(long)]
    pub(super) kafka_ready_lines: bool,
    /// How log lines are written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(super) log_format: LogFormat,
    #[command(subcommand)]
    pub(super) instead: Option<Instead>,
}

/// What is done instead of running a broker.
#[derive(Debug, Subcommand)]
pub(super) enum Instead {
    /// Ask the broker of this configuration whether it serves clients; exit code 1 if not
    Health,
    /// Format and show data directories, as kafka-storage does; see klamm storage --help
    Storage,
    /// Say whether a client could work with a cluster from here; see klamm doctor --help
    Doctor,
}

/// What the command line asks for.
pub(super) enum Parsed {
    Run(Box<Cli>),
    /// `--help` or `--version`.
    Print(String),
}

pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, ConfigError> {
    let command = Cli::command().after_help(settings_help());
    let matches = match command.try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => return Ok(Parsed::Print(error.to_string())),
        Err(error) => {
            // Only the first paragraph: usage and hints are what --help is for.
            let text = error.to_string();
            let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
            return Err(ConfigError::new(format!("The command line is wrong: {what}; see klamm --help.")));
        }
    };
    let cli = <Cli as clap::FromArgMatches>::from_arg_matches(&matches)
        .map_err(|error| ConfigError::new(format!("The command line is wrong: {error}; see klamm --help.")))?;
    Ok(Parsed::Run(Box::new(cli)))
}

/// `name[:partitions[:replication[:config=value,...]]]`. A value may have commas: `cleanup.policy=compact,delete`.
pub(super) fn topic(origin: &str, text: &str) -> Result<TopicToCreate, ConfigError> {
    let fault = |what: &str| {
        ConfigError::new(format!(
            "{origin} {text:?} {what}: write name[:partitions[:replication[:config=value,...]]], for example \
             orders:3:1:retention.ms=60000."
        ))
    };
    let mut parts = text.splitn(4, ':');
    let name = parts.next().unwrap_or_default();
    if let Some(what) = TopicName::fault(name) {
        return Err(ConfigError::new(format!("{origin} {text:?} cannot be created: {what}; choose another name.")));
    }
    let partitions = match parts.next() {
        None | Some("") => None,
        Some(number) => match number.parse::<i32>() {
            Ok(number) if number >= 1 => Some(number),
            _ => return Err(fault("has no number of partitions")),
        },
    };
    let replication = match parts.next() {
        None | Some("") => None,
        Some(number) => match number.parse::<i16>() {
            Ok(number) if number >= 1 => Some(number),
            _ => return Err(fault("has no replication factor")),
        },
    };
    let mut configs = Values::new();
    let mut last: Option<String> = None;
    for item in parts.next().unwrap_or_default().split(',').filter(|item| !item.is_empty()) {
        match (item.split_once('='), &last) {
            (Some((key, value)), _) => {
                configs.insert(key.trim().to_owned(), value.to_owned());
                last = Some(key.trim().to_owned());
            }
            (None, Some(key)) => {
                if let Some(value) = configs.get_mut(key) {
                    value.push(',');
                    value.push_str(item);
                }
            }
            (None, None) => return Err(fault("has a config without a value")),
        }
    }
    if let Err(bad) = topic_keys::validate(&Values::new(), &configs) {
        return Err(ConfigError::new(format!("{origin} {text:?} cannot be created: {bad}.")));
    }
    Ok(TopicToCreate { name: TopicName::new(name), partitions, replication, configs })
}

/// `NAME=VALUE` of `--set`.
pub(super) fn setting(text: &str) -> Result<(&str, &str), ConfigError> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim(), value)),
        _ => Err(ConfigError::new(format!("--set {text:?} is not a setting: write --set NAME=VALUE."))),
    }
}

/// The settings people look for first.
const COMMON: [&str; 17] = [
    "listeners",
    "advertised.listeners",
    "node.id",
    "log.dir",
    "log.dirs",
    "num.partitions",
    "auto.create.topics.enable",
    "log.retention.ms",
    "log.retention.hours",
    "log.retention.bytes",
    "log.segment.bytes",
    "log.flush.interval.messages",
    "message.max.bytes",
    "compression.type",
    "max.connections",
    "queued.max.request.bytes",
    "admin.listener",
];

fn settings_help() -> String {
    let mut text = String::from("Settings, all of Kafka's; the commonest with their defaults:\n");
    for name in COMMON {
        if let Some(key) = broker_keys::find(name) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name}={}\n      {}", key.default.unwrap_or("(not set)"), key.doc);
        }
    }
    text.push_str(
        "\nThey come, weakest first, from defaults, --config, KAFKA_* environment variables \
         (KAFKA_LOG_RETENTION_MS is log.retention.ms, __ is _, ___ is -) and the command line.\n\n\
         Examples:\n  \
         klamm\n  \
         klamm --data-dir /var/lib/klamm --listen :9092 --advertise broker.example:9092\n  \
         klamm --ephemeral --create-topic orders:3 --set log.retention.ms=600000\n  \
         KAFKA_NUM_PARTITIONS=3 klamm --config server.properties",
    );
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn args(line: &str) -> Vec<OsString> {
        std::iter::once("klamm").chain(line.split_whitespace()).map(OsString::from).collect()
    }

    #[test]
    fn topics_are_read_in_every_length() {
        type Case<'a> = (&'a str, Option<i32>, Option<i16>, &'a [(&'a str, &'a str)]);
        let cases: &[Case<'_>] = &[
            ("orders", None, None, &[]),
            ("orders:3", Some(3), None, &[]),
            ("orders:3:1", Some(3), Some(1), &[]),
            ("orders::1", None, Some(1), &[]),
            ("orders:::retention.ms=5", None, None, &[("retention.ms", "5")]),
            (
                "orders:3:1:cleanup.policy=compact,delete,retention.ms=5",
                Some(3),
                Some(1),
                &[("cleanup.policy", "compact,delete"), ("retention.ms", "5")],
            ),
            (
                "orders:1:1:leader.replication.throttled.replicas=0:1,1:1",
                Some(1),
                Some(1),
                &[("leader.replication.throttled.replicas", "0:1,1:1")],
            ),
        ];
        for (text, partitions, replication, configs) in cases {
            let topic = topic("--create-topic", text).unwrap();
            assert_eq!(topic.name.as_str(), "orders");
            assert_eq!((topic.partitions, topic.replication), (*partitions, *replication), "{text}");
            let given: Vec<(&str, &str)> = topic.configs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            assert_eq!(given, *configs, "{text}");
        }
    }

    #[test]
    fn topics_that_cannot_be_are_refused_in_a_sentence() {
        for (text, expected) in [
            ("", "the empty string is not allowed"),
            ("a/b", "contains one or more characters"),
            ("a:x", "no number of partitions"),
            ("a:0", "no number of partitions"),
            ("a:1:0", "no replication factor"),
            ("a:1:1:compact", "a config without a value"),
            ("a:1:1:retention.ms=-5", "Value must be at least -1"),
            ("a:1:1:nonsense=1", "Unknown topic config name: nonsense"),
        ] {
            let fault = topic("--create-topic", text).unwrap_err().to_string();
            assert!(fault.contains(expected) && fault.ends_with('.'), "{text:?} gave {fault:?}");
        }
    }

    #[test]
    fn help_lists_the_common_settings_with_their_defaults() {
        let Parsed::Print(text) = parse(args("--help")).unwrap_or_else(|fault| panic!("{fault}")) else {
            panic!("--help started a broker");
        };
        for name in COMMON {
            assert!(text.contains(&format!("  {name}=")), "{name} is missing from:\n{text}");
        }
        for expected in ["listeners=PLAINTEXT://localhost:9092", "--create-topic", "--ephemeral", "Examples:"] {
            assert!(text.contains(expected), "{expected} is missing from:\n{text}");
        }
    }

    #[test]
    fn version_is_the_crates() {
        let Parsed::Print(text) = parse(args("--version")).unwrap_or_else(|fault| panic!("{fault}")) else {
            panic!("--version started a broker");
        };
        assert_eq!(text.trim(), format!("klamm {}", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn a_wrong_command_line_is_one_sentence() {
        for line in ["--nonsense", "--log-format xml", "--config", "stray"] {
            let fault = match parse(args(line)) {
                Err(fault) => fault.to_string(),
                Ok(_) => panic!("{line} was accepted"),
            };
            assert!(fault.starts_with("The command line is wrong: ") && !fault.contains('\n'), "{fault:?}");
            assert!(fault.ends_with("see klamm --help."), "{fault:?}");
        }
    }
}
