//! What has to hold of a run, by the names of the reliability page: one function each, which answers what is wrong.
//! Each has a test with a history that breaks it.

pub(crate) mod groups;
pub(crate) mod log;
pub(crate) mod metadata;
pub(crate) mod replicas;
pub(crate) mod transactions;

use super::disks::Replica;
use super::history::{History, Outcomes};
use std::collections::BTreeMap;

/// All checks, with their names.
pub(crate) fn all(history: &History, outcomes: &Outcomes, disks: &[BTreeMap<String, Replica>]) -> Vec<String> {
    let sent = history.sent.lock();
    let records = &outcomes.records;
    // Those whose client began anew, and may have sent twice what it did not know the end of.
    let mut renewed = log::renewed(records, disks);
    renewed.extend(history.impatient.lock().iter());
    let patient = log::without(&renewed, records);
    let txns = history.txns.lock();
    let (sights, ends) = (history.sights.lock(), history.ends.lock());
    let (commits, seen, delivered) = (history.commits.lock(), history.seen.lock(), history.delivered.lock());
    let checked = [
        ("L1, L2: what was acknowledged is there", log::lost(&sent, records)),
        ("L3: nothing is there that nobody sent", log::phantoms(&sent, records)),
        ("L5: nothing is there twice", log::doubled(&patient)),
        ("L5: what a producer numbers is there once, in its order", replicas::misnumbered(disks)),
        ("L6: what was acknowledged is where it was acknowledged", log::misplaced(&sent, &patient)),
        ("L7: a producer's records are in its order", log::disordered(&patient)),
        ("L8: reading skips nothing", log::skipped(records)),
        ("L9: no end goes back", log::ends_that_fell(&ends)),
        ("L10: replicas are equal", replicas::different(disks)),
        ("L11: epochs rise, and are those of the batches", replicas::wrong_epochs(disks)),
        ("L12: one node writes in an epoch; what lies there is sound", replicas::unsound(disks)),
        ("L13: leader in ISR in replicas", metadata::insane(&sights)),
        ("L13: epochs never fall", metadata::epochs_that_fell(&sights)),
        ("L12, M1: one leader in an epoch", metadata::two_leaders(&sights)),
        ("M1: one controller in an epoch", metadata::two_controllers(&history.controllers.lock())),
        ("T1: what was aborted is not read", transactions::aborted(&txns, outcomes)),
        ("T3: transactions are whole", transactions::torn(&txns, outcomes)),
        ("T8: every input is copied exactly once, in order", transactions::not_once(outcomes)),
        ("G3: what a group committed stays", groups::forgotten(&commits, &seen)),
        ("G3: how far a group is never falls", groups::fell(&seen)),
        ("G4: what is committed was delivered", groups::undelivered(&commits, &delivered, records)),
    ];
    let named = |(name, wrong): (&str, Vec<String>)| {
        let total = wrong.len();
        let mut lines: Vec<String> = wrong.into_iter().take(5).map(|what| format!("{name}: {what}")).collect();
        if total > lines.len() {
            lines.push(format!("{name}: and {} more", total - lines.len()));
        }
        lines
    };
    checked.into_iter().flat_map(named).collect()
}
