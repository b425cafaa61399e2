//! A configuration key: what it is called, what it accepts, what becomes of it here.

use super::share::ShareReset;
use super::value::{self, BadValue, Type, Value};
use std::fmt::Write as _;

/// What a value must satisfy beyond its type (`ConfigDef.Validator`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// A double within bounds.
    BetweenReal(f64, f64),
    OneOf(&'static [&'static str]),
    OneOfIgnoringCase(&'static [&'static str]),
    NotEmpty,
    /// A list of these values, without duplicates.
    ListOf {
        items: &'static [&'static str],
        may_be_empty: bool,
    },
    /// A list of anything, without duplicates or empty items.
    Distinct {
        may_be_empty: bool,
    },
    /// `1..9` or `-1`.
    GzipLevel,
    /// `partition:broker,...` or `*`.
    ThrottledReplicas,
    /// `latest`, `earliest` or `by_duration:PnDTnHnMn.nS`.
    ShareOffsetReset,
}

/// When a value may be changed on a running broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Only by a restart.
    ReadOnly,
    /// For one broker.
    PerBroker,
    /// For one broker or for all.
    ClusterWide,
}

/// What Klamm does with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does what Kafka's does.
    Honoured,
    /// It is accepted, and changes nothing, for this reason.
    NoEffect(&'static str),
    /// A value other than the default is refused at start; this says what to do instead.
    Refused(&'static str),
}

/// One key of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    pub name: &'static str,
    pub of: Type,
    /// As text; `None` is Kafka's null.
    pub default: Option<&'static str>,
    pub check: Check,
    /// Shown by DescribeConfigs only where it was set.
    pub internal: bool,
    pub update: Update,
    pub support: Support,
    /// One line of documentation, in our words.
    pub doc: &'static str,
}

impl Key {
    pub(crate) const fn new(name: &'static str, of: Type, default: Option<&'static str>, doc: &'static str) -> Key {
        Key {
            name,
            of,
            default,
            check: Check::Any,
            internal: false,
            update: Update::ReadOnly,
            support: Support::Honoured,
            doc,
        }
    }

    pub(crate) const fn check(self, check: Check) -> Key {
        Key { check, ..self }
    }

    pub(crate) const fn internal(self) -> Key {
        Key { internal: true, ..self }
    }

    pub(crate) const fn per_broker(self) -> Key {
        Key { update: Update::PerBroker, ..self }
    }

    pub(crate) const fn cluster_wide(self) -> Key {
        Key { update: Update::ClusterWide, ..self }
    }

    pub(crate) const fn no_effect(self, reason: &'static str) -> Key {
        Key { support: Support::NoEffect(reason), ..self }
    }

    pub(crate) const fn refused(self, instead: &'static str) -> Key {
        Key { support: Support::Refused(instead), ..self }
    }

    /// Secret: never shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.of == Type::Password
    }

    /// Parses and checks `text`.
    pub fn parse(&self, text: &str) -> Result<Value, BadValue> {
        let mut value = value::parse(self.name, text, self.of)?;
        if let (Value::List(items), Check::ListOf { .. } | Check::Distinct { .. }) = (&mut value, self.check) {
            // As Kafka: duplicates are dropped, not refused.
            let mut seen: Vec<String> = Vec::with_capacity(items.len());
            items.retain(|item| {
                let fresh = !seen.contains(item);
                if fresh {
                    seen.push(item.clone());
                }
                fresh
            });
        }
        self.satisfied(&value)?;
        Ok(value)
    }

    /// The default, parsed. The tables' tests show that every default parses.
    #[must_use]
    pub fn default_value(&self) -> Option<Value> {
        self.default.and_then(|text| value::parse(self.name, text, self.of).ok())
    }

    fn satisfied(&self, value: &Value) -> Result<(), BadValue> {
        let bad = |message: &str| Err(BadValue::new(self.name, value, message));
        match (self.check, value) {
            (Check::AtLeast(min) | Check::Between(min, _), Value::Number(n)) if *n < min => {
                bad(&format!("Value must be at least {min}"))
            }
            (Check::Between(_, max), Value::Number(n)) if *n > max => bad(&format!("Value must be no more than {max}")),
            (Check::AtLeast(min) | Check::Between(min, _), Value::Double(n)) if *n < min as f64 => {
                bad(&format!("Value must be at least {min}"))
            }
            (Check::Between(_, max), Value::Double(n)) if *n > max as f64 => {
                bad(&format!("Value must be no more than {max}"))
            }
            (Check::BetweenReal(min, _), Value::Double(n)) if *n < min => bad(&format!("Value must be at least {min}")),
            (Check::BetweenReal(_, max), Value::Double(n)) if *n > max => {
                bad(&format!("Value must be no more than {max}"))
            }
            (Check::OneOf(allowed), Value::Text(text)) if !allowed.contains(&text.as_str()) => {
                bad(&format!("String must be one of: {}", allowed.join(", ")))
            }
            (Check::OneOfIgnoringCase(allowed), Value::Text(text))
                if !allowed.iter().any(|item| item.eq_ignore_ascii_case(text)) =>
            {
                bad(&format!("String must be one of (case insensitive): {}", allowed.join(", ")))
            }
            (Check::NotEmpty, Value::Text(text)) if text.is_empty() => bad("String must be non-empty"),
            (Check::GzipLevel, Value::Number(n)) if *n != -1 && !(1..=9).contains(n) => {
                bad("Value must be between 1 and 9 or equal to -1")
            }
            (Check::ListOf { may_be_empty, items: allowed }, Value::List(items)) => {
                self.list(items, allowed, may_be_empty)
            }
            (Check::Distinct { may_be_empty }, Value::List(items)) => self.list(items, &[], may_be_empty),
            (Check::ThrottledReplicas, Value::List(items)) if !throttled_replicas(items) => Err(BadValue::new(
                self.name,
                format_args!("[{}]", items.join(", ")),
                &format!(
                    "{} must be the literal '*' or a list of replicas in the following format: \
                     [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                    self.name
                ),
            )),
            (Check::ShareOffsetReset, Value::Text(text)) if ShareReset::parse(text).is_none() => bad(&format!(
                "Invalid value `{text}` for configuration {}. The value must be either 'earliest', 'latest' or of the \
                 format 'by_duration:<PnDTnHnMn.nS>'.",
                self.name
            )),
            _ => Ok(()),
        }
    }

    fn list(&self, items: &[String], allowed: &[&str], may_be_empty: bool) -> Result<(), BadValue> {
        if items.is_empty() && !may_be_empty {
            let valid =
                if allowed.is_empty() { "any non-empty value".into() } else { format!("[{}]", allowed.join(", ")) };
            return Err(BadValue(format!(
                "Configuration '{}' must not be empty. Valid values include: {valid}",
                self.name
            )));
        }
        for item in items {
            if item.is_empty() {
                return Err(BadValue(format!("Configuration '{}' values must not be empty.", self.name)));
            }
            if !allowed.is_empty() && !allowed.contains(&item.as_str()) {
                let message = format!("String must be one of: {}", allowed.join(", "));
                return Err(BadValue::new(self.name, item, &message));
            }
        }
        Ok(())
    }

    /// What values are allowed, for people.
    #[must_use]
    pub fn allowed(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = match self.check {
            Check::Any | Check::Distinct { .. } => Ok(()),
            Check::AtLeast(min) => write!(text, "at least {min}"),
            Check::Between(min, max) => write!(text, "{min} to {max}"),
            Check::BetweenReal(min, max) => write!(text, "{min} to {max}"),
            Check::OneOf(items) | Check::OneOfIgnoringCase(items) | Check::ListOf { items, .. } => {
                write!(text, "{}", items.join(", "))
            }
            Check::NotEmpty => write!(text, "not empty"),
            Check::GzipLevel => write!(text, "1 to 9, or -1"),
            Check::ThrottledReplicas => write!(text, "partition:broker,... or *"),
            Check::ShareOffsetReset => write!(text, "latest, earliest or by_duration:<ISO duration>"),
        };
        text
    }
}

fn throttled_replicas(items: &[String]) -> bool {
    let pair = |item: &str| {
        item.split_once(':').is_some_and(|(partition, broker)| {
            let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            number(partition) && number(broker)
        })
    };
    items.concat() == "*" || items.iter().all(|item| item.is_empty() || pair(item))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(key: Key, text: &str) -> Option<String> {
        key.parse(text).err().map(|bad| bad.0)
    }

    const NUMBER: Key = Key::new("a.number", Type::Int, None, "");

    #[test]
    fn bounds_are_inclusive_and_named_in_the_message() {
        let key = NUMBER.check(Check::Between(1, 17));
        assert_eq!(fault(key, "1"), None);
        assert_eq!(fault(key, "17"), None);
        assert_eq!(
            fault(key, "0").as_deref(),
            Some("Invalid value 0 for configuration a.number: Value must be at least 1")
        );
        assert_eq!(
            fault(key, "18").as_deref(),
            Some("Invalid value 18 for configuration a.number: Value must be no more than 17")
        );
        let ratio = Key::new("a.ratio", Type::Double, None, "").check(Check::Between(0, 1));
        assert_eq!(fault(ratio, "1.0"), None);
        assert_eq!(
            fault(ratio, "1.5").as_deref(),
            Some("Invalid value 1.5 for configuration a.ratio: Value must be no more than 1")
        );
        let jitter = Key::new("a.jitter", Type::Double, None, "").check(Check::BetweenReal(0.0, 0.25));
        assert_eq!(fault(jitter, "0.25"), None);
        assert!(fault(jitter, "0.3").is_some());
    }

    #[test]
    fn gzip_takes_a_level_or_minus_one() {
        let key = NUMBER.check(Check::GzipLevel);
        for good in ["-1", "1", "9"] {
            assert_eq!(fault(key, good), None);
        }
        for bad in ["0", "10", "-2"] {
            assert!(fault(key, bad).is_some(), "{bad} was accepted");
        }
    }

    #[test]
    fn words_are_checked_with_or_without_case() {
        let exact = Key::new("k", Type::String, None, "").check(Check::OneOf(&["CreateTime", "LogAppendTime"]));
        assert_eq!(
            fault(exact, "createtime").as_deref(),
            Some("Invalid value createtime for configuration k: String must be one of: CreateTime, LogAppendTime")
        );
        let any_case = Key::new("k", Type::String, None, "").check(Check::OneOfIgnoringCase(&["UPGRADE"]));
        assert_eq!(fault(any_case, "upgrade"), None);
        assert!(fault(any_case, "sideways").is_some());
    }

    #[test]
    fn lists_drop_duplicates_and_refuse_what_they_do_not_know() {
        let key = Key::new("cleanup.policy", Type::List, None, "")
            .check(Check::ListOf { items: &["compact", "delete"], may_be_empty: true });
        assert_eq!(key.parse("delete, compact,delete").map(|v| v.to_string()), Ok("delete,compact".into()));
        assert_eq!(key.parse(""), Ok(Value::List(vec![])));
        assert_eq!(
            fault(key, "delete,shrink").as_deref(),
            Some("Invalid value shrink for configuration cleanup.policy: String must be one of: compact, delete")
        );
        assert_eq!(fault(key, "delete,").as_deref(), Some("Configuration 'cleanup.policy' values must not be empty."));
        let never_empty = key.check(Check::Distinct { may_be_empty: false });
        assert_eq!(
            fault(never_empty, "").as_deref(),
            Some("Configuration 'cleanup.policy' must not be empty. Valid values include: any non-empty value")
        );
    }

    #[test]
    fn throttled_replicas_are_pairs_or_a_star() {
        let key = Key::new("k", Type::List, None, "").check(Check::ThrottledReplicas);
        for good in ["", "*", "0:1", "0:1,12:3"] {
            assert_eq!(fault(key, good), None, "{good:?}");
        }
        for bad in ["0", "0:", ":1", "a:1", "0:1,*", "0:1:2"] {
            assert!(fault(key, bad).is_some(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_share_offset_reset_is_refused_in_kafkas_words() {
        let key = Key::new("k", Type::String, None, "").check(Check::ShareOffsetReset);
        assert_eq!(fault(key, "by_duration:PT1H"), None);
        assert!(fault(key, "Latest").is_some_and(|fault| fault.contains("must be either 'earliest', 'latest' or")));
    }
}
