//! The schedule of a run: drawn from its seed before anything begins, so that a seed is a schedule.

use super::super::support::chance::Chance;
use std::time::Duration;

/// Whom a fault hits. Who that is, is looked up when the fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Node(usize),
    /// The active controller.
    Controller,
    /// The leader of the first partition of the first topic.
    Leader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// So that it is also seen how the nodes are when nothing happens.
    Nothing,
    /// kill -9, and a start when the time is over.
    Kill(Target),
    /// kill -9 of all nodes at once.
    KillAll,
    /// SIGTERM and a start.
    Restart(Target),
    /// SIGSTOP, and SIGCONT.
    Pause(Target),
    /// The two others are paused; then it is killed, they go on without what only it has, and it comes back.
    Strand(Target),
    /// The two others do not hear a node and it does not hear them; clients reach all.
    CutOff(Target),
    /// Nothing comes to a node or leaves it, clients' messages included.
    Isolate(Target),
    /// Two nodes do not hear each other; the third hears both.
    Cut(usize, usize),
    /// The second does not hear the first.
    OneWay(usize, usize),
    /// No byte more fits on a node's disk.
    Fill(Target),
    /// A node loses a share of the packets that come, in per cent.
    Loss(Target, u64),
}

impl Fault {
    /// Whether it takes a network and disks of our own.
    fn needs_spaces(self) -> bool {
        matches!(
            self,
            Fault::Isolate(_)
                | Fault::CutOff(_)
                | Fault::Cut(..)
                | Fault::OneWay(..)
                | Fault::Fill(_)
                | Fault::Loss(..)
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
    pub(crate) fault: Fault,
}

fn millis(chance: &mut Chance, from: u64, to: u64) -> Duration {
    Duration::from_millis(from + chance.below(to - from))
}

fn target(chance: &mut Chance) -> Target {
    match chance.below(5) {
        0 => Target::Controller,
        1 => Target::Leader,
        _ => Target::Node(usize::try_from(chance.below(3)).unwrap()),
    }
}

fn pair(chance: &mut Chance) -> (usize, usize) {
    let from = usize::try_from(chance.below(3)).unwrap();
    let to = (from + 1 + usize::try_from(chance.below(2)).unwrap()) % 3;
    (from, to)
}

fn fault(chance: &mut Chance) -> Fault {
    match chance.below(24) {
        0 => Fault::Nothing,
        1..6 => Fault::Kill(target(chance)),
        6 => Fault::KillAll,
        7..9 => Fault::Restart(target(chance)),
        9..12 => Fault::Pause(target(chance)),
        12..14 => Fault::Isolate(target(chance)),
        14..16 => {
            let (from, to) = pair(chance);
            Fault::Cut(from, to)
        }
        16..18 => {
            let (from, to) = pair(chance);
            Fault::OneWay(from, to)
        }
        18..20 => Fault::CutOff(target(chance)),
        20 => Fault::Strand(target(chance)),
        21 => Fault::Fill(target(chance)),
        _ => {
            let target = target(chance);
            Fault::Loss(target, 5 + chance.below(30))
        }
    }
}

/// Faults for so long. They last up to eight seconds; a quarter of them begin while another one lasts.
pub(crate) fn schedule(seed: u64, total: Duration, spaces: bool) -> Vec<Step> {
    let mut chance = Chance(seed);
    let mut steps = Vec::new();
    let mut at = millis(&mut chance, 1000, 3000);
    while at < total {
        let fault = fault(&mut chance);
        // Longer than the session of a broker or not, and sometimes a blink.
        let lasts = match chance.below(4) {
            0 => millis(&mut chance, 20, 500),
            1 => millis(&mut chance, 500, 3000),
            _ => millis(&mut chance, 3000, 8000),
        };
        let quiet = millis(&mut chance, 300, 5000);
        let overlaps = chance.below(4) == 0;
        // Drawn all the same, so that a seed means the same everywhere but for what cannot be done there.
        if spaces || !fault.needs_spaces() {
            steps.push(Step { at, lasts: lasts.min(total.saturating_sub(at)), fault });
        }
        at += if overlaps { quiet / 2 } else { lasts + quiet };
    }
    steps
}

#[test]
fn a_seed_is_a_schedule() {
    let of = |seed| schedule(seed, Duration::from_secs(600), true);
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    let kinds: std::collections::HashSet<_> = of(1).iter().map(|step| std::mem::discriminant(&step.fault)).collect();
    assert_eq!(kinds.len(), 12, "ten minutes have every kind of fault");
}
