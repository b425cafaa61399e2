//! What the facts mean: findings, and what to change. Facts in, text out.

mod address;
pub mod facts;
mod trial;

use facts::Facts;
use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Good,
    /// Worth knowing; a client can work.
    Note,
    /// A client cannot work, or not always, or somebody will wonder.
    Fault,
}

/// Something that was found, in a sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    /// A word for the cause of a fault, the same in every release.
    pub cause: &'static str,
    pub text: String,
    /// What to change.
    pub advice: Option<String>,
}

impl Finding {
    fn good(text: impl Into<String>) -> Finding {
        Finding { level: Level::Good, cause: "", text: text.into(), advice: None }
    }

    fn note(text: impl Into<String>) -> Finding {
        Finding { level: Level::Note, cause: "", text: text.into(), advice: None }
    }

    fn fault(cause: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { level: Level::Fault, cause, text: text.into(), advice: Some(advice.into()) }
    }
}

/// Findings about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub title: String,
    pub findings: Vec<Finding>,
}

/// All that was found, in the order in which it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub sections: Vec<Section>,
}

impl Report {
    /// The causes of all faults.
    #[must_use]
    pub fn causes(&self) -> Vec<&'static str> {
        self.faults().map(|finding| finding.cause).collect()
    }

    /// Whether there is no fault.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.faults().next().is_none()
    }

    fn faults(&self) -> impl Iterator<Item = &Finding> {
        self.sections.iter().flat_map(|section| &section.findings).filter(|finding| finding.level == Level::Fault)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for section in &self.sections {
            writeln!(f, "{}", printable(&section.title))?;
            for finding in &section.findings {
                match finding.level {
                    Level::Good => writeln!(f, "  ok     {}", printable(&finding.text))?,
                    Level::Note => writeln!(f, "  note   {}", printable(&finding.text))?,
                    Level::Fault => writeln!(f, "  FAULT  {} [{}]", printable(&finding.text), finding.cause)?,
                }
                if let Some(advice) = &finding.advice {
                    writeln!(f, "         -> {}", printable(advice))?;
                }
            }
        }
        match self.causes()[..] {
            [] => writeln!(f, "All is well: a client with these settings can work from here."),
            [cause] => writeln!(f, "There is 1 fault: {cause}."),
            ref causes => writeln!(f, "There are {} faults: {}.", causes.len(), causes.join(", ")),
        }
    }
}

/// Text that may have come from anybody, without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What the facts mean.
#[must_use]
pub fn diagnose(facts: &Facts) -> Report {
    let mut sections = Vec::new();
    for contact in &facts.bootstrap {
        let title = format!("{} (to begin with)", address::shown(&contact.at));
        sections.push(Section { title, findings: address::bootstrap(&facts.wish, contact) });
    }
    if facts.bootstrap.iter().any(|contact| contact.stop.is_none())
        && let Some(section) = sections.first_mut()
        && !facts.wish.unused.is_empty()
    {
        let names = facts.wish.unused.join(", ");
        section.findings.push(Finding::note(format!("of the client's settings these are not tried: {names}")));
    }
    if let Some(cluster) = &facts.cluster {
        sections.extend(address::cluster(facts, cluster));
    }
    if let Some(trial) = &facts.trial {
        sections.push(Section {
            title: format!("a record through the topic {}", trial.topic),
            findings: trial::findings(trial),
        });
    }
    Report { sections }
}

#[cfg(test)]
mod tests;
