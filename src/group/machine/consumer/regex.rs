//! Subscriptions by regular expression (`maybeUpdateRegularExpressions`, `TopicRegexResolver`).
//!
//! A group's expressions are resolved together, at most every ten seconds: when one is new, when topics came, and when it is
//! long ago. Kafka does it in a thread of its own and comes back with the result; here it is done right after the heartbeat
//! that asked for it, and its answer does not know of it either. Expressions run in time linear in the topic's name (Kafka's
//! RE2/J does too) and match whole names. Like Kafka's, they match internal topics.

use super::draft::{Context, Draft, after};
use super::member::Change;
use super::state::ConsumerGroup;
use super::target::next;
use super::{dialect, hash};
use crate::group::machine::{Env, Groups, Out};
use crate::group::record::{Record, RegexValue};
use crate::group::request::Refusal;
use crate::metadata::Image;
use crate::model::{ErrorCode, GroupId, TopicName};
use regex::bytes::{Regex, RegexBuilder};

/// `REGEX_BATCH_REFRESH_MIN_INTERVAL_MS`
const REFRESH_INTERVAL_MIN_MS: i64 = 10_000;

/// Bytes of an expression, and of what it is compiled to: counted repetitions multiply.
const PATTERN_BYTES_MAX: usize = 32 * 1024;
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// What became of a member's expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Update {
    None,
    /// It is another one, and what it matches is not known yet: the group waits with a new assignment.
    Unresolved,
    /// It is another one that the group knows, or none.
    Resolved,
}

pub(super) struct Updated {
    pub(super) update: Update,
    /// All expressions of the group, if they are to be resolved now.
    pub(super) to_resolve: Option<Vec<String>>,
}

impl ConsumerGroup {
    /// # Errors
    /// INVALID_REGULAR_EXPRESSION
    pub(super) fn update_regex(
        &self,
        context: &Context<'_>,
        change: &Change<'_>,
        draft: &mut Draft,
    ) -> Result<Updated, Refusal> {
        let (old, new) = change.regexes();
        let mut update = Update::None;
        let mut due = false;
        if change.old.regex != change.new.regex {
            update = Update::Unresolved;
            if let Some(old) = old
                && self.with_regex(old) == 1
            {
                draft.remove_regex(&self.id, old);
            }
            match new {
                Some(new) if self.with_regex(new) == 0 => {
                    compile(new)?;
                    due = true;
                }
                Some(new) if self.resolved.contains_key(new) => update = Update::Resolved,
                None if old.is_some() => update = Update::Resolved,
                _ => {}
            }
        }
        let nothing = Ok(Updated { update, to_resolve: None });
        if !due && self.regexes.is_empty() {
            return nothing;
        }
        // They are resolved together, so that any of them tells when.
        let last = self.resolved.values().next();
        let ago = last.map(|last| context.env.now.0.saturating_sub(last.at.0));
        if ago.is_some_and(|ago| ago <= REFRESH_INTERVAL_MIN_MS) {
            return nothing;
        }
        let (goes, comes) = match old == new {
            true => (false, false),
            false => {
                (old.is_some_and(|old| self.with_regex(old) == 1), new.is_some_and(|new| self.with_regex(new) == 0))
            }
        };
        let count = self.regexes.len() + usize::from(comes) - usize::from(goes);
        due |= count != self.resolved.len();
        due |= last.map_or(0, |last| last.version) < context.index.topics_came_at.unwrap_or(-1);
        let interval = context.env.settings.groups.consumer_regex_refresh_interval.as_millis();
        due |= ago.is_none_or(|ago| i128::from(ago) > i128::try_from(interval).unwrap_or(i128::MAX));
        if !due || count == 0 {
            return nothing;
        }
        let stays = |regex: &&String| !goes || Some(regex.as_str()) != old;
        let mut regexes: Vec<String> = self.regexes.keys().filter(stays).cloned().collect();
        regexes.extend(new.filter(|_| comes).map(str::to_owned));
        Ok(Updated { update, to_resolve: Some(regexes) })
    }
}

impl Groups {
    /// Resolves expressions of a group (`handleRegularExpressionsResult`). A result that differs raises the group's epoch; who
    /// sends the next heartbeat gets it assigned.
    pub(super) fn resolve_regexes(&mut self, env: &Env, id: &GroupId, regexes: &[String], out: &mut Out) {
        let mut draft = Draft::default();
        let context = Context::new(env, id, &mut self.consumers);
        let Some(crate::group::machine::Group::Consumer(group)) = self.groups.get(id) else { return };
        let mut subscribed = group.subscribed.clone();
        let mut raise = false;
        for regex in regexes.iter().filter(|regex| group.with_regex(regex) > 0) {
            let topics = resolve(regex, &env.image);
            let old = group.resolved.get(regex).map_or(&[][..], |old| &old.topics);
            if topics != old {
                raise = true;
                for topic in old {
                    subscribed.regex_removed(topic);
                }
                for topic in &topics {
                    subscribed.regex_added(topic);
                }
            }
            draft.records.push(Record::Regex {
                group: id.clone(),
                regex: regex.clone(),
                value: Some(RegexValue { topics, version: env.image.offset.0, at: env.now }),
            });
        }
        let hash = hash::of_group(&subscribed, &env.image, context.index);
        if raise || hash != group.metadata_hash {
            let epoch = next(group.epoch);
            draft.epoch(id, epoch, hash);
            draft.hash_holds = Some((after(env, i32::MAX), epoch));
        }
        if let Err(refusal) = self.settle(env, id, draft, out) {
            tracing::error!(group = %id, ?refusal, "a group's regular expressions are not resolved");
        }
    }
}

/// Topics that the expression matches, ascending.
fn resolve(regex: &str, image: &Image) -> Vec<TopicName> {
    match compile(regex) {
        Ok(regex) => {
            image.topics_by_name.keys().filter(|topic| regex.is_match(topic.as_str().as_bytes())).cloned().collect()
        }
        Err(refusal) => {
            tracing::error!(reason = ?refusal.message, "a regular expression that was taken cannot be read");
            Vec::new()
        }
    }
}

/// # Errors
/// INVALID_REGULAR_EXPRESSION
fn compile(pattern: &str) -> Result<Regex, Refusal> {
    let invalid = |reason: &str| {
        let message = format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {reason}.");
        Err(Refusal::new(ErrorCode::INVALID_REGULAR_EXPRESSION, message))
    };
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(Refusal::new(
            ErrorCode::INVALID_REGULAR_EXPRESSION,
            format!("SubscribedTopicRegex is longer than {PATTERN_BYTES_MAX} bytes."),
        ));
    }
    let translated = match dialect::translated(pattern) {
        Ok(translated) => translated,
        Err(reason) => return invalid(reason),
    };
    // Classes are of ASCII, as in RE2/J and as topics' names are: those of Unicode are larger by far. Only where they are
    // asked for (`\pL`) it has to be them.
    let build = |pattern: &str, unicode| {
        let mut builder = RegexBuilder::new(pattern);
        builder.unicode(unicode).size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX).build()
    };
    // By itself first: what is put around it must not complete it.
    let whole = |unicode| build(&translated, unicode).and_then(|_| build(&format!(r"\A(?:{translated})\z"), unicode));
    match whole(false).or_else(|_| whole(true)) {
        Ok(regex) => Ok(regex),
        Err(regex::Error::CompiledTooBig(_)) => invalid("it is too large when compiled"),
        Err(error) => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            invalid(reason.strip_prefix("error: ").unwrap_or(reason))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_expression_matches_whole_names() {
        let regex = compile("a|ab").unwrap();
        assert!(regex.is_match(b"a") && regex.is_match(b"ab"));
        assert!(!regex.is_match(b"abc") && !regex.is_match(b"xa") && !regex.is_match(b"a\n"));
        assert!(!compile("foo").unwrap().is_match(b"foo-bar"));
    }

    #[test]
    fn what_is_put_around_an_expression_does_not_complete_it() {
        for bad in ["(", "[", "*a", "a)(b", "a)", "\\", "(?=a)", "\\1", "(?x)a#"] {
            assert_eq!(compile(bad).unwrap_err().code, ErrorCode::INVALID_REGULAR_EXPRESSION, "{bad}");
        }
        assert_eq!(
            compile("(").unwrap_err().message.unwrap(),
            "SubscribedTopicRegex `(` is not a valid regular expression: unclosed group."
        );
    }

    #[test]
    fn what_kafkas_expressions_know_is_known() {
        let known = [
            r"\d+",
            r"\Qa\E",
            r"\w{1000}",
            r"[[:alpha:]]+",
            r"\pL+",
            r"(?i)A",
            r"(?P<n>a)",
            r"a*?",
            r"[^b]",
            r"\x61",
            "",
        ];
        for pattern in known {
            compile(pattern).unwrap();
        }
        assert!(compile(r"\w{1000}").unwrap().is_match("a".repeat(1000).as_bytes()));
        assert!(compile("(?i)FOO").unwrap().is_match(b"foo"));
    }

    #[test]
    fn an_expression_that_grows_without_bounds_is_refused() {
        for bad in [r"((a{100}){100}){100}", r"(\w{900}){900}", &"a".repeat(PATTERN_BYTES_MAX + 1)] {
            assert_eq!(compile(bad).unwrap_err().code, ErrorCode::INVALID_REGULAR_EXPRESSION);
        }
    }
}
