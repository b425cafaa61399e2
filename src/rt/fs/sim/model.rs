//! What a simulated disk remembers: nodes with a durable and a volatile image each.

use super::{io_failure, power_off};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Component, Path, PathBuf};

pub(super) type Ino = u64;
pub(super) const ROOT: Ino = 0;
/// The capacity of a volume that no test has limited.
const UNLIMITED: u64 = 1 << 40;

pub(super) struct State {
    pub(super) nodes: HashMap<Ino, Node>,
    pub(super) next: Ino,
    /// Paths that are locked in this life of the machine.
    pub(super) locks: BTreeSet<PathBuf>,
    /// Raised by a crash: handles and locks of an earlier life are void.
    pub(super) life: u64,
    pub(super) off: bool,
    pub(super) syncs: u64,
    pub(super) writes: u64,
    pub(super) reads: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) kill_at: Option<u64>,
    pub(super) failing_syncs: BTreeSet<u64>,
    pub(super) failing_writes: BTreeSet<u64>,
    pub(super) capacity: u64,
    pub(super) cold: bool,
}

pub(super) enum Node {
    Dir(Dir),
    File(Content),
}

#[derive(Default)]
pub(super) struct Dir {
    pub(super) volatile: BTreeMap<String, Ino>,
    pub(super) durable: BTreeMap<String, Ino>,
    pub(super) pending: Vec<NameChange>,
}

#[derive(Clone)]
pub(super) enum NameChange {
    Set(String, Ino),
    Remove(String),
    Rename(String, String, Ino),
}

#[derive(Default)]
pub(super) struct Content {
    pub(super) volatile: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Change>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write(u64, Vec<u8>),
    Len(u64),
}

impl Default for State {
    fn default() -> State {
        State {
            nodes: HashMap::from([(ROOT, Node::Dir(Dir::default()))]),
            next: ROOT + 1,
            locks: BTreeSet::new(),
            life: 0,
            off: false,
            syncs: 0,
            writes: 0,
            reads: 0,
            crash_at: None,
            kill_at: None,
            failing_syncs: BTreeSet::new(),
            failing_writes: BTreeSet::new(),
            capacity: UNLIMITED,
            cold: false,
        }
    }
}

/// Where a name is: its directory, and the name.
pub(super) struct Place {
    pub(super) dir: Ino,
    pub(super) name: String,
}

impl State {
    pub(super) fn dir(&mut self, ino: Ino) -> io::Result<&mut Dir> {
        match self.nodes.get_mut(&ino) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn content(&mut self, ino: Ino) -> io::Result<&mut Content> {
        match self.nodes.get_mut(&ino) {
            Some(Node::File(content)) => Ok(content),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn add(&mut self, node: Node) -> Ino {
        let ino = self.next;
        self.next += 1;
        self.nodes.insert(ino, node);
        ino
    }

    pub(super) fn find(&mut self, path: &Path) -> io::Result<Ino> {
        let mut at = ROOT;
        for name in names(path)? {
            at = *self.dir(at)?.volatile.get(&name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    pub(super) fn place(&mut self, path: &Path) -> io::Result<Place> {
        let mut all = names(path)?;
        let name = all.pop().ok_or(io::ErrorKind::InvalidInput)?;
        let mut dir = ROOT;
        for step in all {
            dir = *self.dir(dir)?.volatile.get(&step).ok_or(io::ErrorKind::NotFound)?;
        }
        self.dir(dir)?;
        Ok(Place { dir, name })
    }

    /// Counts a sync and says what becomes of it: `Ok(true)` it happens, `Ok(false)` it fails and loses.
    /// Open files and locks are void, faults that were asked for are forgotten.
    pub(super) fn begin_life(&mut self) {
        self.locks.clear();
        self.life += 1;
        self.off = false;
        (self.crash_at, self.kill_at) = (None, None);
        self.failing_syncs.clear();
        self.failing_writes.clear();
    }

    pub(super) fn sync_point(&mut self) -> io::Result<bool> {
        self.syncs += 1;
        if self.crash_at == Some(self.syncs) {
            self.off = true;
            return Err(power_off());
        }
        let now = self.syncs;
        Ok(!self.failing_syncs.remove(&now))
    }

    pub(super) fn write_point(&mut self) -> io::Result<()> {
        self.writes += 1;
        let now = self.writes;
        if self.kill_at == Some(now) {
            self.off = true;
            return Err(power_off());
        }
        if self.failing_writes.remove(&now) { Err(io_failure()) } else { Ok(()) }
    }

    /// Bytes of the files that have a name.
    pub(super) fn used(&self) -> u64 {
        let mut sum = 0;
        self.visit(|dir| dir.volatile.values().copied().collect(), |content| sum += content.volatile.len() as u64);
        sum
    }

    /// How many more bytes fit.
    pub(super) fn room(&self) -> u64 {
        // Adding all files up at every write would make long tests slow.
        if self.capacity == UNLIMITED { UNLIMITED } else { self.capacity.saturating_sub(self.used()) }
    }

    fn visit(&self, children: impl Fn(&Dir) -> Vec<Ino>, mut file: impl FnMut(&Content)) -> BTreeSet<Ino> {
        let mut seen = BTreeSet::from([ROOT]);
        let mut todo = vec![ROOT];
        while let Some(ino) = todo.pop() {
            match self.nodes.get(&ino) {
                Some(Node::Dir(dir)) => todo.extend(children(dir).into_iter().filter(|child| seen.insert(*child))),
                Some(Node::File(content)) => file(content),
                None => {}
            }
        }
        seen
    }

    pub(super) fn forget_unreachable(&mut self) {
        let seen = self.visit(|dir| dir.volatile.values().chain(dir.durable.values()).copied().collect(), |_| {});
        self.nodes.retain(|ino, _| seen.contains(ino));
    }
}

pub(super) fn names(path: &Path) -> io::Result<Vec<String>> {
    let mut all = Vec::new();
    for part in path.components() {
        match part {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => all.push(name.to_str().ok_or(io::ErrorKind::InvalidFilename)?.to_owned()),
            Component::ParentDir | Component::Prefix(_) => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(all)
}

impl Dir {
    pub(super) fn change(&mut self, change: NameChange) {
        apply_name(&mut self.volatile, &change);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.durable = self.volatile.clone();
        self.pending.clear();
    }

    pub(super) fn crash(&mut self, chance: Option<&mut Chance>) {
        let kept = chance.map_or(0, |chance| chance.below(self.pending.len() + 1));
        for change in self.pending.drain(..).take(kept) {
            apply_name(&mut self.durable, &change);
        }
        self.volatile = self.durable.clone();
    }
}

fn apply_name(names: &mut BTreeMap<String, Ino>, change: &NameChange) {
    match change {
        NameChange::Set(name, ino) => {
            names.insert(name.clone(), *ino);
        }
        NameChange::Remove(name) => {
            names.remove(name);
        }
        NameChange::Rename(from, to, ino) => {
            names.remove(from);
            names.insert(to.clone(), *ino);
        }
    }
}

impl Content {
    pub(super) fn change(&mut self, change: Change) {
        apply(&mut self.volatile, &change);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            apply(&mut self.durable, &change);
        }
    }

    pub(super) fn crash(&mut self, chance: Option<&mut Chance>) {
        let pending = std::mem::take(&mut self.pending);
        if let Some(chance) = chance {
            self.survive(pending, chance);
        }
        self.volatile = self.durable.clone();
    }

    /// Half the time a prefix of the changes survives, otherwise any of them; the last may be torn.
    fn survive(&mut self, mut pending: Vec<Change>, chance: &mut Chance) {
        if chance.below(2) == 0 {
            pending.truncate(chance.below(pending.len() + 1));
        } else {
            pending.retain(|_| chance.below(2) == 0);
        }
        if let Some(Change::Write(_, bytes)) = pending.last_mut()
            && chance.below(2) == 0
        {
            bytes.truncate(chance.below(bytes.len() + 1));
        }
        for change in &pending {
            apply(&mut self.durable, change);
        }
    }
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(pos, bytes) => {
            let start = to_len(*pos);
            let end = start + bytes.len();
            if content.len() < end && !bytes.is_empty() {
                content.resize(end, 0);
            }
            if let Some(there) = content.get_mut(start..end) {
                there.copy_from_slice(bytes);
            }
        }
        Change::Len(len) => content.resize(to_len(*len), 0),
    }
}

pub(super) fn to_len(pos: u64) -> usize {
    usize::try_from(pos).unwrap_or(usize::MAX)
}

/// xorshift64*: the same seed, the same crash.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
}
