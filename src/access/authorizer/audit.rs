//! The audit: one line for each refusal, and at debug for each leave, in Kafka's words and under the name of Kafka's logger,
//! so that what reads those lines today reads these.

use super::{Action, Rule, Subject};
use std::fmt;
use std::net::IpAddr;

/// Kafka's logger.
const TARGET: &str = "kafka.authorizer.logger";

pub(super) fn log(subject: &Subject<'_>, action: &Action<'_>, rule: &Rule<'_>) {
    let line = Line { subject, action, rule };
    match (rule.allows(), action.log_allowed, action.log_denied) {
        (false, _, true) => tracing::info!(target: TARGET, "{line}"),
        (true, true, _) => tracing::debug!(target: TARGET, "{line}"),
        _ => tracing::trace!(target: TARGET, "{line}"),
    }
}

pub(super) struct Line<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) action: &'a Action<'a>,
    pub(super) rule: &'a Rule<'a>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { subject, action, rule } = self;
        write!(
            f,
            "Principal = {} is {} operation = {} from host = {} on resource = {}:LITERAL:{} for request = {} with \
             resourceRefCount = {} based on rule {rule}",
            subject.principal,
            if rule.allows() { "Allowed" } else { "Denied" },
            action.operation.name(),
            Host(subject.address),
            action.kind.title(),
            action.name,
            subject.request,
            action.count,
        )
    }
}

/// An address as Java writes it (`InetAddress.getHostAddress`): an IPv6 address without the `::`.
pub(super) struct Host(pub(super) IpAddr);

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_canonical() {
            IpAddr::V4(address) => fmt::Display::fmt(&address, f),
            IpAddr::V6(address) => {
                for (n, segment) in address.segments().into_iter().enumerate() {
                    if n > 0 {
                        f.write_str(":")?;
                    }
                    write!(f, "{segment:x}")?;
                }
                Ok(())
            }
        }
    }
}
