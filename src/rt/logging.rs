//! Logs: lines on standard error, and levels that can change while the broker runs.
//!
//! `RUST_LOG` decides what is shown (default `info`); what is set through [`Loggers`] (the
//! broker-logger resource of Kafka's API) comes on top.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::io::IsTerminal as _;
use std::sync::OnceLock;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt as lines, reload};

/// Kafka's name for "everything that has no level of its own".
pub const ROOT: &str = "root";

/// The parts of the broker whose level can be set, besides [`ROOT`]. With dots, since Kafka's tools take no colon in a
/// name.
const PARTS: [&str; 12] = [
    "klamm.admin",
    "klamm.api",
    "klamm.config",
    "klamm.controller",
    "klamm.metadata",
    "klamm.metrics",
    "klamm.node",
    "klamm.partition",
    "klamm.quorum",
    "klamm.record",
    "klamm.server",
    "klamm.storage",
];

/// The levels of the broker's parts.
pub struct Loggers {
    base: String,
    levels: Mutex<BTreeMap<String, &'static str>>,
    apply: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loggers").field("levels", &self.levels.lock()).finish_non_exhaustive()
    }
}

/// Why a level cannot be set, in Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLevel {
    #[error("Logger {0} does not exist!")]
    NoSuchLogger(String),
    #[error(
        "Cannot set the log level of {logger} to {level} as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"
    )]
    NoSuchLevel { logger: String, level: String },
}

/// What is logged unless `RUST_LOG` says otherwise. openraft reports each of its steps, and each
/// message that does not arrive, several a second, as an error: the quorum says once which controller does not answer, and what
/// openraft cannot go on from comes back as an error.
const DEFAULT: &str = "info,openraft=off";

/// The process has one log, so it has one set of loggers.
static LOGGERS: OnceLock<Loggers> = OnceLock::new();

/// Starts logging, once per process; `rust_log` is the variable `RUST_LOG`.
pub fn init(json: bool, rust_log: Option<String>) -> &'static Loggers {
    LOGGERS.get_or_init(|| Loggers::new(json, rust_log))
}

/// The loggers that [`init`] made; `None` in a process that never called it.
#[must_use]
pub fn loggers() -> Option<&'static Loggers> {
    LOGGERS.get()
}

impl Loggers {
    fn new(json: bool, rust_log: Option<String>) -> Loggers {
        let base = rust_log.filter(|text| EnvFilter::try_new(text).is_ok()).unwrap_or_else(|| DEFAULT.into());
        let (filter, handle) = reload::Layer::new(EnvFilter::new(&base));
        let layer = lines::layer().with_writer(std::io::stderr);
        let layer: Box<dyn Layer<Registry> + Send + Sync> = if json {
            layer.json().flatten_event(true).with_filter(filter).boxed()
        } else {
            layer.compact().with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed()
        };
        // A test harness may have a subscriber already; that one stays.
        let _ = tracing_subscriber::registry().with(layer).try_init();
        let apply = Box::new(move |filter| {
            if let Err(error) = handle.reload(filter) {
                tracing::warn!(%error, "log levels could not be changed");
            }
        });
        Loggers { base, levels: Mutex::default(), apply }
    }

    /// Every logger with its level in Kafka's spelling, by name.
    #[must_use]
    pub fn levels(&self) -> Vec<(String, &'static str)> {
        let levels = self.levels.lock();
        let root = levels.get(ROOT).copied().unwrap_or_else(|| self.base_level());
        let parts = PARTS.iter().map(|part| ((*part).to_owned(), levels.get(*part).copied().unwrap_or(root)));
        parts.chain([(ROOT.to_owned(), root)]).collect()
    }

    /// Is there such a logger?
    #[must_use]
    pub fn has(&self, logger: &str) -> bool {
        known(logger).is_ok()
    }

    /// May this logger have this level? Kafka takes capitals only.
    pub fn check(&self, logger: &str, level: &str) -> Result<(), BadLevel> {
        known(logger)?;
        kafka_level(level)
            .filter(|known| *known == level)
            .map(|_| ())
            .ok_or_else(|| BadLevel::NoSuchLevel { logger: logger.to_owned(), level: level.to_owned() })
    }

    /// Sets a logger's level, `None` for that of [`ROOT`].
    pub fn set(&self, logger: &str, level: Option<&str>) -> Result<(), BadLevel> {
        known(logger)?;
        let mut levels = self.levels.lock();
        match level {
            Some(level) => {
                self.check(logger, level)?;
                if let Some(level) = kafka_level(level) {
                    levels.insert(logger.to_owned(), level);
                }
            }
            None => {
                levels.remove(logger);
            }
        }
        (self.apply)(EnvFilter::new(directives(&self.base, &levels)));
        Ok(())
    }

    /// Levels that reach no log.
    #[cfg(test)]
    pub(crate) fn unapplied(base: &str) -> Loggers {
        Loggers { base: base.to_owned(), levels: Mutex::default(), apply: Box::new(|_| {}) }
    }

    fn base_level(&self) -> &'static str {
        let plain = self.base.split(',').find(|directive| !directive.contains(['=', '[']));
        plain.and_then(kafka_level).unwrap_or("INFO")
    }
}

fn known(logger: &str) -> Result<(), BadLevel> {
    if logger == ROOT || PARTS.contains(&logger) { Ok(()) } else { Err(BadLevel::NoSuchLogger(logger.to_owned())) }
}

fn kafka_level(level: &str) -> Option<&'static str> {
    ["DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN"].into_iter().find(|known| known.eq_ignore_ascii_case(level))
}

/// The filter's text: later directives beat earlier ones for the same target.
fn directives(base: &str, levels: &BTreeMap<String, &'static str>) -> String {
    let mut text = base.to_owned();
    for (logger, level) in levels {
        // Nothing here is fatal without the process ending.
        let level = if *level == "FATAL" { "error".into() } else { level.to_lowercase() };
        text.push(',');
        if logger != ROOT {
            text.push_str(&logger.replace('.', "::"));
            text.push('=');
        }
        text.push_str(&level);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Arc;

    fn loggers(base: &str) -> (Loggers, Arc<Mutex<Vec<String>>>) {
        let applied = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&applied);
        let apply = Box::new(move |filter: EnvFilter| seen.lock().push(filter.to_string()));
        (Loggers { base: base.into(), levels: Mutex::default(), apply }, applied)
    }

    fn level(loggers: &Loggers, name: &str) -> &'static str {
        loggers.levels().into_iter().find(|(known, _)| known == name).unwrap().1
    }

    #[test]
    fn a_part_has_the_roots_level_until_it_gets_its_own() {
        let (loggers, applied) = loggers("info,hyper=warn");
        assert_eq!(level(&loggers, "root"), "INFO");
        assert_eq!(level(&loggers, "klamm.storage"), "INFO");
        loggers.set("klamm.storage", Some("DEBUG")).unwrap();
        assert_eq!(level(&loggers, "klamm.storage"), "DEBUG");
        loggers.set("root", Some("ERROR")).unwrap();
        assert_eq!(level(&loggers, "klamm.api"), "ERROR");
        assert!(applied.lock().last().unwrap().contains("klamm::storage=debug"));
        loggers.set("klamm.storage", None).unwrap();
        assert_eq!(level(&loggers, "klamm.storage"), "ERROR");
        assert!(!applied.lock().last().unwrap().contains("klamm::storage"));
    }

    #[test]
    fn unknown_loggers_and_levels_are_refused_in_kafkas_words() {
        let (loggers, applied) = loggers("info");
        assert_eq!(
            loggers.set("kafka.nobody", Some("INFO")).unwrap_err().to_string(),
            "Logger kafka.nobody does not exist!"
        );
        let fault = loggers.check("root", "LOUD").unwrap_err().to_string();
        assert!(fault.starts_with("Cannot set the log level of root to LOUD as it is not a supported log level."));
        assert!(applied.lock().is_empty());
    }
}
