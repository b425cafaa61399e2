//! A disk in memory that forgets what was not synced: a fake for tests, and nothing else uses it.
//!
//! Every file has a volatile content (what reads see) and a durable one (what a crash leaves); every
//! directory the same for its names. [`File::sync_data`] makes a file durable, [`Fs::sync_dir`] the
//! names of one directory, [`Volume::sync`] everything. A name and the content it names are
//! independent, as on a real disk: a file synced under a name that was not is lost by a crash.
//!
//! - [`SimFs::crash`] keeps what is durable and, by a seed, any part of what is not: for each file
//!   some of the unsynced writes (not necessarily the first ones), one of them perhaps torn; for each
//!   directory the first few of its unsynced changes, in order.
//! - [`SimFs::crash_at_sync`] cuts the power at the n-th sync: that sync does nothing, and every call
//!   from then on fails until `crash`. Running a test for every n until it runs through visits every
//!   durability point there is.
//! - [`SimFs::kill_process`], [`SimFs::kill_process_at_write`]: the process goes and the system stays, so that the next
//!   one finds everything that was written.
//! - [`SimFs::fail_sync`], [`SimFs::fail_write`], [`SimFs::set_capacity`], [`SimFs::set_cold`]: EIO, a
//!   full disk, reads that would block. A sync of a file that failed loses what it was to make
//!   durable, even if the next one succeeds: that is what Linux does.
//!
//! Left out: permissions, links, partial reads.

mod model;
#[cfg(test)]
mod tests;

use model::{Chance, Change, Content, Dir, Ino, NameChange, Node, ROOT, State, names, to_len};

use super::{Entry, File, Fs, Lock, Open, Space, Volume};
use parking_lot::{Mutex, MutexGuard};
use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The disk. Clones share it.
#[derive(Clone, Default)]
pub struct SimFs {
    state: Arc<Mutex<State>>,
}

impl SimFs {
    #[must_use]
    pub fn new() -> SimFs {
        SimFs::default()
    }

    /// As what the rest of the program takes.
    #[must_use]
    pub fn shared(&self) -> Arc<dyn Fs> {
        Arc::new(self.clone())
    }

    /// Sync points so far: files, directories and volumes alike, failed ones included.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Calls of [`File::write_all_at`] and [`File::set_len`] so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.state.lock().writes
    }

    /// Calls of [`File::read_at`] and [`Fs::read_dir`] so far.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.state.lock().reads
    }

    /// Cuts the power at the `n`-th sync from the beginning (the first is 1).
    pub fn crash_at_sync(&self, n: u64) {
        self.state.lock().crash_at = Some(n);
    }

    /// Whether the power is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state.lock().off
    }

    /// The `n`-th sync from now (the next is 1) fails with EIO and loses what it was to make durable.
    pub fn fail_sync(&self, n: u64) {
        let mut state = self.state.lock();
        let at = state.syncs + n;
        state.failing_syncs.insert(at);
    }

    /// The `n`-th write from now (the next is 1) fails with EIO.
    pub fn fail_write(&self, n: u64) {
        let mut state = self.state.lock();
        let at = state.writes + n;
        state.failing_writes.insert(at);
    }

    /// The volume holds `bytes` of file content and no more: writes beyond are cut short with `StorageFull`.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = bytes;
    }

    /// While cold, [`File::read_at_nowait`] answers `WouldBlock`.
    pub fn set_cold(&self, cold: bool) {
        self.state.lock().cold = cold;
    }

    /// The power fails and comes back. What was synced is there; of the rest, what `seed` decides.
    /// Open files and locks are void; faults that were asked for are forgotten.
    pub fn crash(&self, seed: u64) {
        self.restart(Some(&mut Chance::new(seed)));
    }

    /// As [`SimFs::crash`], with nothing left of what was not synced.
    pub fn crash_losing_all(&self) {
        self.restart(None);
    }

    /// The process ends: every call from now on fails, until [`SimFs::restart_process`].
    pub fn kill_process(&self) {
        self.state.lock().off = true;
    }

    /// The process ends at the `n`-th write from now (the next is 1), which does nothing.
    pub fn kill_process_at_write(&self, n: u64) {
        let mut state = self.state.lock();
        state.kill_at = Some(state.writes + n);
    }

    /// There is another process, and everything that the one before wrote: the system did not go down. Open files and
    /// locks are void.
    pub fn restart_process(&self) {
        let mut state = self.state.lock();
        state.begin_life();
    }

    fn restart(&self, mut chance: Option<&mut Chance>) {
        let mut state = self.state.lock();
        let mut inodes: Vec<Ino> = state.nodes.keys().copied().collect();
        inodes.sort_unstable();
        for ino in inodes {
            match state.nodes.get_mut(&ino) {
                Some(Node::Dir(dir)) => dir.crash(chance.as_deref_mut()),
                Some(Node::File(content)) => content.crash(chance.as_deref_mut()),
                None => {}
            }
        }
        state.forget_unreachable();
        state.begin_life();
    }

    fn on(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state.lock();
        if state.off { Err(power_off()) } else { Ok(state) }
    }
}

fn power_off() -> io::Error {
    io::Error::other("the simulated power is off")
}

fn io_failure() -> io::Error {
    io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())
}

impl Fs for SimFs {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let mut state = self.on()?;
        let place = state.place(path)?;
        let found = state.dir(place.dir)?.volatile.get(&place.name).copied();
        let ino = match (found, how) {
            (Some(ino), _) => ino,
            (None, Open::Read | Open::ReadWrite) => return Err(io::ErrorKind::NotFound.into()),
            (None, Open::Create | Open::Truncate) => {
                let ino = state.add(Node::File(Content::default()));
                state.dir(place.dir)?.change(NameChange::Set(place.name, ino));
                ino
            }
        };
        let content = state.content(ino)?;
        if how == Open::Truncate && !content.volatile.is_empty() {
            content.change(Change::Len(0));
        }
        let writable = how != Open::Read;
        Ok(Arc::new(SimFile { fs: self.clone(), ino, life: state.life, writable }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.on()?;
        let mut at = ROOT;
        for name in names(path)? {
            at = match state.dir(at)?.volatile.get(&name).copied() {
                Some(ino) => ino,
                None => {
                    let ino = state.add(Node::Dir(Dir::default()));
                    state.dir(at)?.change(NameChange::Set(name, ino));
                    ino
                }
            };
        }
        state.dir(at).map(|_| ())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut state = self.on()?;
        state.reads += 1;
        let ino = state.find(path)?;
        let names: Vec<(String, Ino)> = state.dir(ino)?.volatile.iter().map(|(n, i)| (n.clone(), *i)).collect();
        Ok(names
            .into_iter()
            .map(|(name, ino)| Entry { name, is_dir: matches!(state.nodes.get(&ino), Some(Node::Dir(_))) })
            .collect())
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        let mut state = self.on()?;
        let ino = state.find(path)?;
        Ok(state.content(ino)?.volatile.len() as u64)
    }

    fn exists(&self, path: &Path) -> bool {
        self.on().is_ok_and(|mut state| state.find(path).is_ok())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.on()?;
        let ino = state.find(from)?;
        let (from, to) = (state.place(from)?, state.place(to)?);
        if let Some(Node::Dir(there)) = state
            .dir(to.dir)?
            .volatile
            .get(&to.name)
            .copied()
            .filter(|at| *at != ino)
            .and_then(|at| state.nodes.get(&at))
            && !there.volatile.is_empty()
        {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        if from.dir == to.dir {
            return state.dir(from.dir).map(|dir| dir.change(NameChange::Rename(from.name, to.name, ino)));
        }
        state.dir(to.dir)?.change(NameChange::Set(to.name, ino));
        state.dir(from.dir).map(|dir| dir.change(NameChange::Remove(from.name)))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.on()?;
        let ino = state.find(path)?;
        state.content(ino)?;
        let place = state.place(path)?;
        state.dir(place.dir).map(|dir| dir.change(NameChange::Remove(place.name)))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.on()?;
        let ino = state.find(path)?;
        state.dir(ino)?;
        let place = state.place(path)?;
        state.dir(place.dir).map(|dir| dir.change(NameChange::Remove(place.name)))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.on()?;
        let ino = state.find(path)?;
        let works = state.sync_point()?;
        if works { state.dir(ino).map(Dir::sync) } else { Err(io_failure()) }
    }

    fn volume(&self, path: &Path) -> io::Result<Arc<dyn Volume>> {
        let mut state = self.on()?;
        state.find(path)?;
        Ok(Arc::new(SimVolume { fs: self.clone(), life: state.life }))
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let state = self.on()?;
        Ok(Space { total: state.capacity, usable: state.room() })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.open(path, Open::Create)?;
        let mut state = self.on()?;
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { fs: self.clone(), path: path.to_owned(), life: state.life }))
    }
}

struct SimLock {
    fs: SimFs,
    path: PathBuf,
    life: u64,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.fs.state.lock();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

struct SimFile {
    fs: SimFs,
    ino: Ino,
    life: u64,
    writable: bool,
}

impl SimFile {
    fn on(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.fs.on()?;
        if state.life == self.life { Ok(state) } else { Err(power_off()) }
    }

    fn to_write(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.on()?;
        if !self.writable {
            return Err(io::Error::from_raw_os_error(rustix::io::Errno::BADF.raw_os_error()));
        }
        state.write_point()?;
        Ok(state)
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        let mut state = self.on()?;
        state.reads += 1;
        let content = &state.content(self.ino)?.volatile;
        let rest = content.get(to_len(pos)..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn read_at_nowait(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        if self.on()?.cold {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.read_at(buf, pos)
    }

    fn write_all_at(&self, bufs: &mut [IoSlice<'_>], pos: u64) -> io::Result<()> {
        let mut state = self.to_write()?;
        let mut bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        let old = state.content(self.ino)?.volatile.len() as u64;
        // Bytes up to the old end cost nothing.
        let room = old.saturating_add(state.room()).saturating_sub(pos);
        let full = bytes.len() as u64 > room;
        if full {
            bytes.truncate(to_len(room));
        }
        state.content(self.ino)?.change(Change::Write(pos, bytes));
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.on()?.content(self.ino)?.volatile.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.to_write()?;
        state.content(self.ino).map(|content| content.change(Change::Len(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.on()?;
        let works = state.sync_point()?;
        let content = state.content(self.ino)?;
        if works {
            content.sync();
            return Ok(());
        }
        content.pending.clear();
        Err(io_failure())
    }
}

/// One volume for all paths.
struct SimVolume {
    fs: SimFs,
    life: u64,
}

impl Volume for SimVolume {
    fn sync(&self) -> io::Result<()> {
        let mut state = self.fs.on()?;
        if state.life != self.life {
            return Err(power_off());
        }
        let works = state.sync_point()?;
        for node in state.nodes.values_mut() {
            match (node, works) {
                (Node::Dir(dir), true) => dir.sync(),
                (Node::File(content), true) => content.sync(),
                (Node::Dir(_), false) => {}
                (Node::File(content), false) => content.pending.clear(),
            }
        }
        if works { Ok(()) } else { Err(io_failure()) }
    }
}

impl fmt::Debug for SimVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimVolume")
    }
}

impl fmt::Debug for SimFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimFs")
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimFile({})", self.ino)
    }
}

impl fmt::Debug for SimLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimLock({})", self.path.display())
    }
}
